//! What a case expects and what came instead, as one reads it: line by line, in the words of the
//! case file, so that what came can be copied into it.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use std::fmt;

/// Why a case did not end as it says.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// Something else came than what it expects.
    Field {
        /// What differs, as the case file calls it.
        name: String,
        /// What it expects.
        expected: Value,
        /// What came.
        got: Value,
    },
    /// It did not come to an end.
    Error(String),
}

/// What keeps a case from coming to an end.
pub(super) struct Halt(pub Vec<Difference>);

/// A line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// On both sides.
    Same(String),
    /// Only in what was expected.
    Expected(String),
    /// Only in what came.
    Got(String),
    /// Lines that are the same were left out.
    Gap,
    /// No difference, but an error.
    Error(String),
}

/// So many lines are shown around those that differ.
const CONTEXT: usize = 3;

/// A list or a JSON text of more bytes has lines of its own.
const LONG: usize = 60;

// === impl Difference ===

impl Difference {
    /// The difference between two values, if there is one.
    pub(super) fn of(
        name: &str,
        expected: impl Into<Value>,
        got: impl Into<Value>,
    ) -> Option<Self> {
        let (expected, got) = (expected.into(), got.into());
        (expected != got).then(|| Self::Field {
            name: name.to_owned(),
            expected,
            got,
        })
    }

    /// In one line.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Field {
                name,
                expected,
                got,
            } => format!("{name}: expected {expected}, got {got}"),
            Self::Error(why) => why.clone(),
        }
    }

    /// Line by line.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        match self {
            Self::Field {
                name,
                expected,
                got,
            } => diff(name, expected, got),
            Self::Error(why) => why
                .lines()
                .map(|line| Line::Error(printable(line)))
                .collect(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.lines().iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

// === impl Halt ===

impl From<String> for Halt {
    fn from(why: String) -> Self {
        Self(vec![Difference::Error(why)])
    }
}

// === impl Line ===

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(line) => write!(f, "  {line}"),
            Self::Expected(line) => write!(f, "- {line}"),
            Self::Got(line) => write!(f, "+ {line}"),
            Self::Gap => f.write_str("  …"),
            Self::Error(line) => f.write_str(line),
        }
    }
}

fn diff(name: &str, expected: &Value, got: &Value) -> Vec<Line> {
    let unfolded = || {
        let (expected, got) = (unfolded(expected)?, unfolded(got)?);
        (expected != got).then(|| (field(name, &expected), field(name, &got)))
    };
    let (old, new) = unfolded().unwrap_or_else(|| (field(name, expected), field(name, got)));
    let [old, new] = [&old, &new].map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
    let diff = TextDiff::from_slices(&old, &new);
    let mut lines = Vec::new();
    for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 {
            lines.push(Line::Gap);
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().to_owned();
            lines.push(match change.tag() {
                ChangeTag::Equal => Line::Same(line),
                ChangeTag::Delete => Line::Expected(line),
                ChangeTag::Insert => Line::Got(line),
            });
        }
    }
    lines
}

/// A long JSON text in lines of its own.
fn unfolded(value: &Value) -> Option<Value> {
    let text = value.as_str()?;
    let json: Value = serde_json::from_str(text).ok()?;
    let long = text.len() > LONG && (json.is_object() || json.is_array());
    long.then(|| serde_json::to_string_pretty(&json).ok().map(Value::from))?
}

/// A field of a case file, in lines of YAML.
fn field(name: &str, value: &Value) -> Vec<String> {
    let indented = |lines: Vec<String>| lines.into_iter().map(|line| format!("  {line}"));
    let below = |lines: Vec<String>| std::iter::once(format!("{name}:")).chain(indented(lines));
    match value {
        Value::String(text) if text.trim_end_matches('\n').contains('\n') => {
            let (mark, text) = match text.strip_suffix('\n') {
                None => ("|-", text.as_str()),
                Some(text) if text.ends_with('\n') => ("|+", text),
                Some(text) => ("|", text),
            };
            let lines = text.split('\n').map(printable).collect();
            let head = format!("{name}: {mark}");
            std::iter::once(head).chain(indented(lines)).collect()
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(scalar).collect();
            let one = format!("{name}: [{}]", items.join(", "));
            let plain = |item: &String| item.starts_with('"') || !item.contains(['[', ']', ',']);
            match one.len() <= LONG && items.iter().all(plain) {
                true => vec![one],
                false => below(items.iter().map(|item| format!("- {item}")).collect()).collect(),
            }
        }
        Value::Object(members) if !members.is_empty() => {
            let members = members.iter();
            below(
                members
                    .flat_map(|(name, value)| field(name, value))
                    .collect(),
            )
            .collect()
        }
        other => vec![format!("{name}: {}", scalar(other))],
    }
}

/// A value in one line of YAML.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether YAML takes a text for itself without quotes.
fn is_plain(text: &str) -> bool {
    let starts = |it: char| it.is_alphanumeric() || matches!(it, '/' | '.' | '_' | '$' | '(' | '<');
    let another = matches!(text, "~" | "yes" | "no" | "on" | "off" | "null");
    text.starts_with(starts)
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !text.contains(char::is_control)
        && !another
        && serde_json::from_str::<Value>(text).is_err()
}

/// What a terminal would act upon, as an escape.
fn printable(line: &str) -> String {
    let escaped = |it: char| match it.is_control() && it != '\t' {
        true => it.escape_default().collect(),
        false => String::from(it),
    };
    line.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests;
