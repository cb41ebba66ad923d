//! Istio's value grammar: exact, prefix, suffix, or presence.
//!
//! Compares bytes with bytes; nothing is decoded, trimmed or normalised here.

use crate::bytes::is_same;

/// How a value of a policy matches a value of a request (Istio's `StringMatch` of policies).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringMatch {
    pub(super) shape: Shape,
    /// Without the `*`; lower case if `ignore_case`.
    pub(super) text: Box<str>,
    ignore_case: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Exact,
    Prefix,
    Suffix,
    /// Anything that is not empty.
    Present,
}

impl StringMatch {
    /// Reads a value: `*` is presence, `*x` a suffix, `x*` a prefix. A leading `*` is looked at
    /// first, so `*x*` is the suffix `x*`; a `*` elsewhere stands for itself.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (shape, text) = match (text, text.strip_prefix('*'), text.strip_suffix('*')) {
            ("*", ..) => (Shape::Present, ""),
            (_, Some(suffix), _) => (Shape::Suffix, suffix),
            (_, None, Some(prefix)) => (Shape::Prefix, prefix),
            _ => (Shape::Exact, text),
        };
        Self {
            shape,
            text: text.into(),
            ignore_case: false,
        }
    }

    /// The same, comparing ASCII letters without regard to case.
    #[must_use]
    pub fn parse_ignoring_case(text: &str) -> Self {
        Self {
            ignore_case: true,
            ..Self::parse(&text.to_ascii_lowercase())
        }
    }

    /// Reads a value of which only a `*` at the end is more than a letter: `*` is presence.
    #[must_use]
    pub fn parse_prefix(text: &str) -> Self {
        match text.strip_suffix('*') {
            None => Self::exact(text),
            Some("") => Self::present(),
            Some(prefix) => Self::prefix(prefix),
        }
    }

    /// Whatever begins with this text.
    #[must_use]
    pub fn prefix(text: &str) -> Self {
        Self {
            shape: Shape::Prefix,
            ..Self::exact(text)
        }
    }

    /// Exactly this text, whatever it contains.
    #[must_use]
    pub fn exact(text: &str) -> Self {
        Self {
            shape: Shape::Exact,
            text: text.into(),
            ignore_case: false,
        }
    }

    /// Anything that is not empty.
    #[must_use]
    pub fn present() -> Self {
        Self::parse("*")
    }

    /// Whether `value` matches.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        let text = self.text.as_bytes();
        let part = match self.shape {
            Shape::Exact => Some(value),
            Shape::Prefix => value.get(..text.len()),
            Shape::Suffix => {
                let start = value.len().checked_sub(text.len());
                start.and_then(|start| value.get(start..))
            }
            Shape::Present => return !value.is_empty(),
        };
        part.is_some_and(|part| match self.ignore_case {
            true => is_same(part, text) || part.eq_ignore_ascii_case(text),
            false => is_same(part, text),
        })
    }

    /// The same with another text.
    #[must_use]
    pub fn map(&self, change: impl FnOnce(&str) -> String) -> Self {
        Self {
            text: change(&self.text).into(),
            ..self.clone()
        }
    }

    /// The text that a value must equal, if only one can match.
    pub(crate) fn as_exact(&self) -> Option<&str> {
        (self.shape == Shape::Exact).then_some(&self.text)
    }

    /// The text that a value must begin with.
    pub(super) fn as_prefix(&self) -> Option<&str> {
        (self.shape == Shape::Prefix).then_some(&self.text)
    }

    /// The text that a value must end with.
    pub(super) fn as_suffix(&self) -> Option<&str> {
        (self.shape == Shape::Suffix).then_some(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_istio() {
        for (pattern, value, matches) in [
            ("foo", "foo", true),
            ("foo", "Foo", false),
            ("foo", "food", false),
            ("foo*", "food", true),
            ("foo*", "foo", true),
            ("foo*", "fo", false),
            ("*foo", "barfoo", true),
            ("*foo", "foo", true),
            ("*foo", "foob", false),
            ("*foo*", "xfoo*", true),
            ("*foo*", "xfoox", false),
            ("f*o", "f*o", true),
            ("f*o", "foo", false),
            ("*", "x", true),
            ("*", "", false),
        ] {
            let found = StringMatch::parse(pattern).matches(value.as_bytes());
            assert_eq!(found, matches, "`{pattern}` and `{value}`");
        }
        assert!(StringMatch::parse_ignoring_case("Foo.com*").matches(b"fOO.COM:80"));
        assert!(!StringMatch::parse("a*").matches(b"\xff"));
    }
}
