//! Walks a JSON document and collects every fault with the JSON path where it stands.
//!
//! The section readers ([`super::jwt_rules`] and its neighbours) call it; it knows no section. A
//! reader that meets a fault notes it and goes on; only [`read`] turns faults into a failure.

mod text;

use crate::json::{Members, Node};
use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;
use text::{listed, parse_duration, quoted, written};

/// One thing that is wrong with a configuration: where, what was found, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The JSON path, such as `$.jwtRules[0].issuer`.
    pub path: String,
    /// What was found, in backticks, and what is allowed; lower case, no full stop.
    pub message: String,
}

/// A value in the document and the way to it.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    value: &'a Node<'a>,
    step: Step<'a>,
    parent: Option<&'a At<'a>>,
    report: &'a RefCell<Report>,
}

/// What is found on the way.
#[derive(Default)]
struct Report {
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

/// The last step of the way to a value.
#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Name(&'a str),
    Index(usize),
}

/// The members of an object while they are read; tells which names nobody asked for.
pub(super) struct Fields<'a> {
    at: &'a At<'a>,
    members: &'a Members<'a>,
    known: Vec<&'static str>,
}

/// More faults than this are counted, not listed: a configuration can be 4 MiB of them.
const MAX_FAULTS: usize = 100;

/// Reads a whole document with `section`.
pub(super) fn read<T>(
    value: &Node<'_>,
    section: impl FnOnce(At<'_>) -> Option<T>,
) -> Result<(T, Vec<Fault>), Vec<Fault>> {
    let report = RefCell::default();
    let root = At {
        value,
        step: Step::Root,
        parent: None,
        report: &report,
    };
    let read = section(root);
    let Report {
        mut faults,
        mut warnings,
    } = report.into_inner();
    warnings.truncate(MAX_FAULTS);
    let more = faults.len().saturating_sub(MAX_FAULTS);
    if more > 0 {
        faults.truncate(MAX_FAULTS);
        faults.push(Fault::at_root(format!("{more} more faults")));
    }
    match read {
        Some(read) if faults.is_empty() => Ok((read, warnings)),
        _ => Err(faults),
    }
}

// === impl Fault ===

impl Fault {
    /// A fault of the document as a whole.
    pub(super) fn at_root(message: impl Into<String>) -> Self {
        Self {
            path: "$".to_owned(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

// === impl At ===

impl<'a> At<'a> {
    pub(super) fn value(&self) -> &'a Node<'a> {
        self.value
    }

    /// Notes a fault at this place.
    pub(super) fn fault(&self, message: impl Into<String>) {
        let fault = self.here(message);
        if let Ok(mut report) = self.report.try_borrow_mut() {
            report.faults.push(fault);
        }
    }

    /// Notes something at this place that is allowed, but may not be what was meant.
    pub(super) fn warn(&self, message: impl Into<String>) {
        let warning = self.here(message);
        if let Ok(mut report) = self.report.try_borrow_mut() {
            report.warnings.push(warning);
        }
    }

    fn here(&self, message: impl Into<String>) -> Fault {
        Fault {
            path: self.to_string(),
            message: message.into(),
        }
    }

    /// Notes that something else stands here than what is allowed.
    pub(super) fn unexpected(&self, allowed: &str) {
        self.fault(format!("found {}; allowed: {allowed}", quoted(self.value)));
    }

    pub(super) fn object(&'a self) -> Option<Fields<'a>> {
        match self.value {
            Node::Object(members) => Some(Fields {
                at: self,
                members,
                known: Vec::new(),
            }),
            _ => {
                self.unexpected("an object");
                None
            }
        }
    }

    /// Reads every item of a list; items with faults are left out, the faults noted.
    pub(super) fn list<T>(&self, item: impl FnMut(At<'_>) -> Option<T>) -> Vec<T> {
        let Node::Array(items) = self.value else {
            self.unexpected("a list, in brackets or with a dash before each item");
            return Vec::new();
        };
        let at = |(index, value)| At {
            value,
            step: Step::Index(index),
            parent: Some(self),
            report: self.report,
        };
        let items = items.iter().enumerate().map(at);
        items.filter_map(item).collect()
    }

    /// Like [`At::list`], for a list that means something else, or nothing, when it is empty.
    pub(super) fn non_empty_list<T>(&self, item: impl FnMut(At<'_>) -> Option<T>) -> Vec<T> {
        if self.value.as_array().is_some_and(<[_]>::is_empty) {
            self.fault("an empty list; leave the field out or give at least one item");
        }
        self.list(item)
    }

    /// Reads every member of an object whose names are not fixed.
    pub(super) fn members<T>(
        &self,
        mut member: impl FnMut(&'a str, At<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Node::Object(members) = self.value else {
            self.unexpected("an object");
            return Vec::new();
        };
        let at = |(name, value): (&'a str, &'a Node<'a>)| {
            let at = At {
                value,
                step: Step::Name(name),
                parent: Some(self),
                report: self.report,
            };
            member(name, at)
        };
        members.iter().filter_map(at).collect()
    }

    /// A string that is not empty.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self.value {
            Node::String(text) if !text.is_empty() => Some(text),
            _ => {
                self.unexpected("a string that is not empty");
                None
            }
        }
    }

    /// A string, also an empty one.
    pub(super) fn any_text(&self) -> Option<&'a str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.unexpected("a string");
        }
        text
    }

    /// A string that `parse` understands; its error says what is allowed.
    pub(super) fn parsed<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match parse(self.text()?) {
            Ok(parsed) => Some(parsed),
            Err(allowed) => {
                self.unexpected(&allowed);
                None
            }
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let boolean = self.value.as_bool();
        if boolean.is_none() {
            self.unexpected("`true` or `false`");
        }
        boolean
    }

    /// A duration such as `5s`, `250ms` or `1m30s`; at least a millisecond.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.parsed(|text| {
            let whole = parse_duration(text).filter(|it| *it >= Duration::from_millis(1));
            whole.ok_or_else(|| "a duration of at least `1ms`, such as `5s` or `1m30s`".to_owned())
        })
    }

    /// A duration within bounds.
    pub(super) fn duration_in(&self, bounds: &RangeInclusive<Duration>) -> Option<Duration> {
        self.parsed(|text| {
            let whole = parse_duration(text).filter(|it| bounds.contains(it));
            whole.ok_or_else(|| {
                let (least, most) = (written(*bounds.start()), written(*bounds.end()));
                format!("a duration from `{least}` to `{most}`, such as `500ms` or `5s`")
            })
        })
    }

    /// A whole number within bounds.
    pub(super) fn number_in(&self, bounds: &RangeInclusive<usize>) -> Option<usize> {
        let number = self.value.as_u64().and_then(|it| usize::try_from(it).ok());
        let number = number.filter(|it| bounds.contains(it));
        if number.is_none() {
            let (least, most) = (bounds.start(), bounds.end());
            let bare = if self.value.as_str().is_some() {
                ", without quotes"
            } else {
                ""
            };
            self.unexpected(&format!("a whole number from {least} to {most}{bare}"));
        }
        number
    }

    /// One of a few numbers.
    pub(super) fn one_of_numbers(&self, numbers: &[u16]) -> Option<u16> {
        let found = self.value.as_u64().and_then(|it| u16::try_from(it).ok());
        let found = found.filter(|it| numbers.contains(it));
        if found.is_none() {
            let numbers: Vec<_> = numbers.iter().map(u16::to_string).collect();
            self.unexpected(&listed(numbers.iter().map(String::as_str)));
        }
        found
    }

    /// One of a closed list of words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let found = self.value.as_str();
        let found = words.iter().find(|(word, _)| Some(*word) == found);
        if found.is_none() {
            let words = words.iter().map(|(word, _)| *word);
            self.unexpected(&listed(words));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// A name that policies, metrics and logs carry.
    pub(super) fn name(&self) -> Option<String> {
        self.parsed(|text| {
            let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let ends = [text.bytes().next(), text.bytes().last()];
            let valid = ends.into_iter().flatten().all(inner)
                && text
                    .bytes()
                    .all(|byte| inner(byte) || matches!(byte, b'-' | b'.'))
                && text.len() <= 253;
            let allowed = "a name of at most 253 lower-case letters, digits, `-` and `.`, with a \
                           letter or digit at both ends";
            valid
                .then(|| text.to_owned())
                .ok_or_else(|| allowed.to_owned())
        })
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Root => f.write_str("$"),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Name(name) => write!(f, ".{name}"),
        }
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// The member of that name, if it is there; from now on the name is known.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<At<'a>> {
        self.known.push(name);
        let value = self.members.get(name)?;
        Some(self.member(name, value))
    }

    /// The member of that name, or a fault.
    pub(super) fn required(&mut self, name: &'static str) -> Option<At<'a>> {
        let at = self.optional(name);
        if at.is_none() {
            self.at.fault(format!("`{name}` is missing"));
        }
        at
    }

    /// Whether there is a member of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some()
    }

    /// Notes every member that nobody asked for.
    pub(super) fn finish(self) {
        for (name, value) in self.members.iter() {
            if !self.known.contains(&name) {
                let allowed = listed(self.known.iter().copied());
                self.member(name, value)
                    .fault(format!("unknown field; allowed here: {allowed}"));
            }
        }
    }

    fn member(&self, name: &'a str, value: &'a Node<'a>) -> At<'a> {
        At {
            value,
            step: Step::Name(name),
            parent: Some(self.at),
            report: self.at.report,
        }
    }
}
