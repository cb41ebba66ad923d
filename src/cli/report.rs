//! What is to be said about somebody's files: what is wrong, where, and what to do.
//!
//! A [`Note`] is rendered with the text around its place, by the library that rustc renders its own
//! with. `check` and `compile` call it; it knows nothing of what the files hold.

use super::yaml::{Invalid, Node};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;
use std::ops::Range;

/// A file, or what came by standard input.
#[derive(Debug)]
pub struct Source {
    /// Its path, as it was given.
    pub name: String,
    /// What it holds.
    pub text: String,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

/// Every file that is looked at.
#[derive(Debug, Default)]
pub struct Sources(Vec<Source>);

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which file, by its index.
    pub source: usize,
    /// Where, in bytes.
    pub span: Range<usize>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It may not be what was meant.
    Warning,
    /// It cannot be.
    Error,
}

/// One thing to be said.
#[derive(Clone, Debug)]
pub struct Note {
    /// How bad it is.
    pub severity: Severity,
    /// What was found and what is allowed; lower case, no full stop.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// Which resource and field, such as `APIRule shop/httpbin, .spec.rules[0].path`.
    pub subject: String,
    /// What to do.
    pub help: Option<String>,
}

/// A [`Note`] for machines.
#[derive(Serialize)]
struct Told<'a> {
    severity: Severity,
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

/// So many lines are shown before and behind a place.
const CONTEXT: usize = 1;

// === impl Source ===

impl Source {
    fn new(name: String, text: String) -> Self {
        let ends = text.match_indices('\n');
        let begins = ends.map(|(at, _)| at.saturating_add(1));
        let lines = std::iter::once(0).chain(begins).collect();
        Self { name, text, lines }
    }

    /// The line of a place, from 0.
    fn line(&self, at: usize) -> usize {
        self.lines
            .partition_point(|begin| *begin <= at)
            .saturating_sub(1)
    }

    fn begin(&self, line: usize) -> usize {
        let begin = self.lines.get(line).copied();
        begin.unwrap_or(self.text.len())
    }

    /// The lines around a place: the number of the first, their text, and the place in it.
    fn around(&self, span: &Range<usize>) -> Option<(usize, &str, Range<usize>)> {
        // A text in several lines reaches to where the next thing begins.
        let text = self.text.get(span.clone()).map_or("", str::trim_end);
        let span = match text.is_empty() {
            true => span.clone(),
            false => span.start..span.start.saturating_add(text.len()),
        };
        let (first, last) = (self.line(span.start), self.line(span.end.max(span.start)));
        let first = first.saturating_sub(CONTEXT);
        // Of a long text only its beginning.
        let last = last.min(first.saturating_add(12)).saturating_add(CONTEXT);
        let (begin, end) = (self.begin(first), self.begin(last.saturating_add(1)));
        let text = self.text.get(begin..end)?.trim_end_matches('\n');
        let within = |at: usize| at.saturating_sub(begin).min(text.len());
        Some((
            first.saturating_add(1),
            text,
            within(span.start)..within(span.end),
        ))
    }
}

// === impl Sources ===

impl Sources {
    /// Adds a file; the index by which [`Place`] names it.
    pub fn add(&mut self, name: String, text: String) -> usize {
        self.0.push(Source::new(name, text));
        self.0.len().saturating_sub(1)
    }

    /// A file by its index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Source> {
        self.0.get(index)
    }

    /// Hides what may be a secret in the files that notes are about, as `likely` finds it in a text.
    pub fn mask_likely(&mut self, notes: &[Note], likely: fn(&str) -> Vec<Range<usize>>) {
        let shown = notes
            .iter()
            .filter_map(|note| Some(note.place.as_ref()?.source));
        let shown: std::collections::HashSet<_> = shown.collect();
        for source in shown {
            let spans = self.get(source).map(|it| likely(&it.text));
            for span in spans.into_iter().flatten() {
                self.mask(&Place { source, span });
            }
        }
    }

    /// Hides what stands at a place, as it must never be shown: a secret.
    pub fn mask(&mut self, place: &Place) {
        let Some(source) = self.0.get_mut(place.source) else {
            return;
        };
        let hide = |(at, letter): (usize, char)| match letter {
            // Places are in bytes.
            letter if place.span.contains(&at) && !letter.is_whitespace() => {
                "*".repeat(letter.len_utf8())
            }
            letter => letter.to_string(),
        };
        source.text = source.text.char_indices().map(hide).collect();
    }

    /// `FILE:LINE`, for one line of a place.
    #[must_use]
    pub fn line_of(&self, place: &Place) -> String {
        let Some(source) = self.get(place.source) else {
            return String::new();
        };
        let line = source.line(place.span.start).saturating_add(1);
        format!("{}:{line}", source.name)
    }

    /// A note with the text around its place, for people.
    #[must_use]
    pub fn render(&self, note: &Note, renderer: &Renderer) -> String {
        let level = match note.severity {
            Severity::Warning => Level::WARNING,
            Severity::Error => Level::ERROR,
        };
        let mut group = level
            .primary_title(&note.message)
            .elements(std::iter::empty::<
                Snippet<'_, annotate_snippets::Annotation<'_>>,
            >());
        let place = note.place.as_ref();
        let found = place.and_then(|place| {
            let source = self.get(place.source)?;
            Some((source, source.around(&place.span)?))
        });
        if let Some((source, (line, text, span))) = found {
            let snippet = Snippet::source(text)
                .line_start(line)
                .path(&source.name)
                .fold(false)
                .annotation(AnnotationKind::Primary.span(span));
            group = group.element(snippet);
        }
        if !note.subject.is_empty() {
            group = group.element(
                Level::NOTE
                    .no_name()
                    .message(format!("in {}", note.subject)),
            );
        }
        if let Some(help) = &note.help {
            group = group.element(Level::HELP.message(help));
        }
        renderer.render(&[group])
    }

    /// A note as JSON, for machines.
    #[must_use]
    pub fn to_json(&self, note: &Note) -> serde_json::Value {
        let place = note.place.as_ref();
        let source = place.and_then(|it| Some((self.get(it.source)?, it.span.start)));
        let line = source.map(|(source, at)| source.line(at));
        let column = source.zip(line).map(|((source, at), line)| {
            let before = source.text.get(source.begin(line)..at);
            before.map_or(0, |it| it.chars().count()).saturating_add(1)
        });
        serde_json::json!(Told {
            severity: note.severity,
            message: &note.message,
            subject: &note.subject,
            help: note.help.as_deref(),
            file: source.map(|(source, _)| source.name.as_str()),
            line: line.map(|it| it.saturating_add(1)),
            column,
        })
    }
}

/// How notes look; the output takes colours out where they have no place.
#[must_use]
pub fn renderer() -> Renderer {
    Renderer::styled().decor_style(DecorStyle::Ascii)
}

// === impl Note ===

impl Note {
    /// A text that is no YAML.
    #[must_use]
    pub fn invalid(source: usize, invalid: Invalid) -> Self {
        Self {
            severity: Severity::Error,
            message: format!("not valid YAML: {}", invalid.message),
            place: Some(Place {
                source,
                span: invalid.at.map_or(0..0, |at| at..at.saturating_add(1)),
            }),
            subject: String::new(),
            help: None,
        }
    }

    /// A fault of a configuration that stands at `root` of a file.
    #[must_use]
    pub fn fault(
        severity: Severity,
        fault: &crate::config::Fault,
        source: usize,
        root: &Node,
    ) -> Self {
        Self {
            severity,
            message: fault.message.clone(),
            place: Some(Place {
                source,
                span: root.place(&fault.path),
            }),
            subject: fault.path.clone(),
            help: None,
        }
    }
}
