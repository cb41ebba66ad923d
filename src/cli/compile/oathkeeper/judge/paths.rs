//! The paths of a route or rule: as they were written, as they are compared, as they are written here.

use crate::cli::compile::expression::{Expression, PathText};
use crate::cli::compile::written::Path;

/// Some paths.
#[derive(Debug)]
pub struct Paths {
    text: String,
    expression: Expression,
    /// What each of them begins with.
    beginning: String,
}

/// What is more than a letter in an expression.
const META: &str = "\\.+*?()|[]{}^$";

// === impl Paths ===

impl Paths {
    /// These paths, which messages call `text`.
    pub fn new(text: impl Into<String>, expression: Expression) -> Self {
        let beginning = match expression.simplest() {
            PathText::Path(path) if path == "/*" => "/".to_owned(),
            PathText::Path(path) => {
                let plain = path
                    .split_once('{')
                    .map_or(path.as_str(), |(plain, _)| plain);
                // Escapes may be read in two ways.
                let plain = plain.split_once('%').map_or(plain, |(plain, _)| plain);
                plain.to_owned()
            }
            PathText::Regex(regex) => beginning(regex),
        };
        Self {
            text: text.into(),
            expression,
            beginning,
        }
    }

    /// How they were written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As a rule has them.
    pub fn written(&self) -> Path {
        match self.expression.simplest() {
            PathText::Path(path) => Path::Path(path.clone()),
            PathText::Regex(regex) => Path::Regex(regex.clone()),
        }
    }

    /// As an expression, where a template takes less.
    pub fn whole(&self) -> Option<Path> {
        let PathText::Path(path) = self.expression.simplest() else {
            return None;
        };
        let plain = path.strip_suffix("{**}")?;
        Some(Path::Regex(format!("{}.*", escaped(plain))))
    }

    /// Whether all paths of the other are among these. Where it is too much to tell, they are not.
    pub fn cover(&self, other: &Self) -> bool {
        let same = self.expression.simplest() == other.expression.simplest();
        same || self.expression.covers(&other.expression) == Some(true)
    }

    /// Whether a path may be in both. Where it is too much to tell, it may.
    pub fn may_meet(&self, other: &Self) -> bool {
        let (one, another) = (&self.beginning, &other.beginning);
        let alike = one.starts_with(another.as_str()) || another.starts_with(one.as_str());
        alike && self.expression.intersects(&other.expression) != Some(false)
    }

    /// The same with a slash behind each; `None` where these are among them, or cannot be told.
    pub fn with_slash(&self) -> Option<Self> {
        let expression = match self.expression.simplest() {
            PathText::Path(path) if path.contains('{') || path == "/*" || path.ends_with('/') => {
                return None;
            }
            PathText::Path(path) => Expression::path(&format!("{path}/")),
            PathText::Regex(regex) => Expression::regex(&format!("(?:{regex})/")),
        };
        let slashed = Self::new(format!("{}/", self.text), expression.ok()?);
        (!self.cover(&slashed)).then_some(slashed)
    }
}

/// The text that everything begins with that an expression matches; not always all of it.
fn beginning(regex: &str) -> String {
    let plain: String = regex.chars().take_while(|it| !META.contains(*it)).collect();
    let next = regex.chars().nth(plain.chars().count());
    // What is repeated may be absent; an alternative begins in its own way.
    let is_whole = !next.is_some_and(|it| "*?{".contains(it));
    if regex.contains('|') {
        return String::new();
    }
    let mut plain = plain;
    if !is_whole {
        plain.pop();
    }
    plain
}

/// A text as an expression.
fn escaped(text: &str) -> String {
    let letters = text.chars();
    letters.fold(String::new(), |mut escaped, letter| {
        if META.contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
        escaped
    })
}
