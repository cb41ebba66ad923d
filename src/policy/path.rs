//! Patterns for paths, in Istio's grammar.
//!
//! A pattern is compared with one reading of a path at a time; which readings there are is
//! [`crate::request`]'s business.

use super::StringMatch;
use super::glob::{Gap, Glob, is_pchar};
use crate::request::ReadPath;

/// A value of `paths`: exact, prefix, suffix or presence, compared byte by byte, or a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(pub(super) Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain(StringMatch),
    Template(Glob),
}

/// A part of all paths: where something is attached.
#[derive(Debug, Default)]
pub struct Within {
    /// One of them must match; empty is every path.
    pub paths: Vec<PathPattern>,
    /// None of them may.
    pub except: Vec<PathPattern>,
}

// === impl PathPattern ===

impl PathPattern {
    /// Reads a value. One with `{*}` (a segment) or `{**}` (any number of them, the last operator)
    /// is a template, in which everything else stands for itself.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let operators = |segment: &str| segment == "{*}" || segment == "{**}";
        let braces = |segment: &str| segment.contains(['{', '}']);
        if text
            .split('/')
            .any(|segment| braces(segment) && !operators(segment))
        {
            return Err("a path whose segments are literal, or exactly `{*}` or `{**}`".into());
        }
        if !text.split('/').any(operators) {
            return Ok(Self(Kind::Plain(StringMatch::parse(text))));
        }
        let Some(segments) = text.strip_prefix('/') else {
            return Err("a template that begins with `/`".into());
        };
        let mut glob = Glob::new();
        let mut rest_taken = false;
        let mut segments = segments.split('/').peekable();
        while let Some(segment) = segments.next() {
            glob = glob.literal("/");
            if operators(segment) && rest_taken {
                return Err("a template in which `{**}` is the last operator".into());
            }
            glob = match segment {
                "{*}" => glob.gap(Gap::Segment),
                "{**}" => {
                    rest_taken = true;
                    glob.gap(Gap::Path)
                }
                // Only behind the last slash may there be nothing.
                "" if segments.peek().is_none() => glob,
                literal if is_literal(literal) => glob.literal(literal),
                _ => {
                    return Err(
                        "a template whose literal segments are not empty and consist of \
                                letters, digits and `-._~%!$&'()+,;:@=`"
                            .into(),
                    );
                }
            };
        }
        Ok(Self(Kind::Template(glob)))
    }

    /// Exactly this path, whatever it contains.
    pub(super) fn exact(path: &str) -> Self {
        Self(Kind::Plain(StringMatch::exact(path)))
    }

    /// Every path that begins so.
    pub(super) fn prefix(path: &str) -> Self {
        Self(Kind::Plain(StringMatch::prefix(path)))
    }

    /// Every path that fills the gaps.
    pub(super) fn template(glob: Glob) -> Self {
        Self(Kind::Template(glob))
    }

    /// What every matching path begins with, and whether that is the whole of it.
    pub(super) fn head(&self) -> (&[u8], bool) {
        match &self.0 {
            Kind::Plain(value) => match (value.as_exact(), value.as_prefix()) {
                (Some(whole), _) => (whole.as_bytes(), true),
                (_, prefix) => (prefix.unwrap_or_default().as_bytes(), false),
            },
            Kind::Template(glob) => (glob.head(), false),
        }
    }

    /// Whether a reading of a path matches.
    #[must_use]
    pub fn matches<'p>(&self, path: impl Into<ReadPath<'p>>) -> bool {
        let path = path.into();
        match &self.0 {
            Kind::Plain(value) => value.matches(path.bytes),
            Kind::Template(glob) if path.as_sent => glob.matches(path.bytes),
            Kind::Template(glob) => glob.matches_decoded(path.bytes),
        }
    }
}

// === impl Within ===

impl Within {
    /// Whether it is every path.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.paths.is_empty() && self.except.is_empty()
    }

    /// Whether a reading of a path lies in it.
    #[must_use]
    pub fn covers(&self, path: ReadPath<'_>) -> bool {
        let any = |patterns: &[PathPattern]| patterns.iter().any(|it| it.matches(path));
        (self.paths.is_empty() || any(&self.paths)) && !any(&self.except)
    }
}

/// Whether it may stand between the operators of a template, as Istio checks it.
fn is_literal(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(|byte| is_pchar(byte) && byte != b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_follow_istio() {
        for (pattern, path, matches) in [
            ("/foo/{*}", "/foo/bar", true),
            ("/foo/{*}", "/foo/", false),
            ("/foo/{*}", "/foo/bar/", false),
            ("/foo/{*}/", "/foo/bar/", true),
            ("/foo/{*}/bar", "/foo/x/bar", true),
            ("/foo/{*}/bar", "/foo//bar", false),
            ("/a/{**}", "/a/", true),
            ("/a/{**}", "/a/b/c", true),
            ("/a/{**}", "/a", false),
            ("/store/{**}/cart", "/store//cart", true),
            ("/store/{**}/cart", "/store/cart", false),
            ("/foo/{*}/bar/{**}", "/foo/buzz/bar/x/y", true),
            ("/foo/{*}/bar/{**}", "/foo//bar/x", false),
            ("/a.b/{*}", "/aXb/c", false),
            ("/foo/{*}", "/foo/b*r", true),
            ("/a/{**}", "/a/b*/*", true),
        ] {
            let found = PathPattern::parse(pattern)
                .unwrap()
                .matches(path.as_bytes());
            assert_eq!(found, matches, "`{pattern}` and `{path}`");
        }
    }

    #[test]
    fn templates_that_envoy_would_refuse() {
        for pattern in [
            "{*}",
            "a/{*}",
            "/a{*}",
            "/{**}/{*}",
            "/{**}/{**}",
            "/{*}//b",
            "/{*}/b*",
            "/{*}/{x}",
            "/{x}",
            "/{*",
        ] {
            assert!(PathPattern::parse(pattern).is_err(), "`{pattern}`");
        }
    }
}
