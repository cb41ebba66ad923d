//! `path` and `pathRegex` of an API rule: Kyma's grammar, in which nothing but the operators is more
//! than a letter.
//!
//! A path is compared with one reading at a time, as [`PathPattern`] is.

use super::PathPattern;
use super::glob::{Gap, Glob};
use crate::request::ReadPath;
use regex_lite::{Regex, RegexBuilder};

/// Which paths a rule is for.
#[derive(Clone, Debug)]
pub struct ApiPath {
    /// One of them must match, or …
    patterns: Vec<PathPattern>,
    /// … this must, as a whole.
    pub(super) regex: Option<Regex>,
    /// Of `/*`: what Istio's policy for it lets through.
    within: Option<PathPattern>,
    pub(super) segments: Vec<Segment>,
}

/// A part of a path between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(Box<str>),
    /// `{*}`: one that is not empty.
    One,
    /// `{**}`: one or more, also empty ones.
    Rest,
}

/// The longest path of a rule, in bytes.
const MAX_BYTES: usize = 2_048;

/// How much memory an expression may take, in bytes.
const MAX_REGEX: usize = 64 * 1024;

// === impl ApiPath ===

impl ApiPath {
    /// Reads `path`: literal segments, `{*}`, `{**}` (once, as the last operator), or `/*`.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let whole = |segments, patterns| Self {
            patterns,
            regex: None,
            within: None,
            segments,
        };
        if text == "/*" {
            return Ok(Self {
                within: Some(PathPattern::template(
                    Glob::new().literal("/").gap(Gap::Path),
                )),
                ..whole(vec![Segment::Rest], vec![PathPattern::prefix("/")])
            });
        }
        let Some(rest) = text.strip_prefix('/').filter(|_| text.len() <= MAX_BYTES) else {
            return Err(format!(
                "a path that begins with `/`, of at most {MAX_BYTES} bytes"
            ));
        };
        let segments: Vec<_> = rest
            .split('/')
            .map(Segment::parse)
            .collect::<Result<_, _>>()?;
        let last_operator = segments.iter().rposition(|it| !it.is_literal());
        let first_rest = segments.iter().position(|it| *it == Segment::Rest);
        if first_rest.is_some() && first_rest != last_operator {
            return Err("a path in which `{**}` is the last operator, and there once".to_owned());
        }
        let mut patterns = vec![pattern(&segments, last_operator.is_some(), str::to_owned)];
        if text.contains('%') {
            // One reading of a path has its escapes, another is decoded; the rule is for both.
            let decoded = |literal: &str| {
                percent_encoding::percent_decode_str(literal)
                    .decode_utf8_lossy()
                    .into_owned()
            };
            patterns.push(pattern(&segments, last_operator.is_some(), decoded));
        }
        Ok(whole(segments, patterns))
    }

    /// Reads `pathRegex`, which a whole path must match.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn parse_regex(text: &str) -> Result<Self, String> {
        Ok(Self {
            patterns: Vec::new(),
            regex: Some(anchored(text)?),
            within: None,
            segments: Vec::new(),
        })
    }

    /// Whether it is for a path.
    #[must_use]
    pub fn matches<'p>(&self, path: impl Into<ReadPath<'p>>) -> bool {
        let path = path.into();
        match &self.regex {
            Some(regex) => std::str::from_utf8(path.bytes).is_ok_and(|path| regex.is_match(path)),
            None => self.patterns.iter().any(|pattern| pattern.matches(path)),
        }
    }

    /// The only paths that it could match, for an index; empty means every path.
    pub(super) fn patterns(&self) -> &[PathPattern] {
        &self.patterns
    }

    /// What a matching path must be beside.
    pub(super) fn within(&self) -> Option<&PathPattern> {
        self.within.as_ref()
    }

    /// Whether every path of `other` is one of it; not told of expressions.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.regex.is_none() && other.regex.is_none() && covers(&self.segments, &other.segments)
    }

    /// Whether there may be a path for both; not told of expressions.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.regex.is_none() && other.regex.is_none() && intersects(&self.segments, &other.segments)
    }

    /// Its first segment, if that is literal: paths that differ there have nothing in common.
    #[must_use]
    pub fn first_literal(&self) -> Option<&str> {
        match self.segments.first()? {
            Segment::Literal(text) => Some(text),
            Segment::One | Segment::Rest => None,
        }
    }
}

/// An expression that a whole text must match. It costs time linear in the text, whatever both are.
pub(super) fn anchored(text: &str) -> Result<Regex, String> {
    let whole = RegexBuilder::new(&format!("^(?:{text})$"))
        .size_limit(MAX_REGEX)
        .build();
    // On its own too, so that it cannot end the group.
    match (Regex::new(text), whole) {
        (Ok(_), Ok(regex)) => Ok(regex),
        _ => Err(
            "a regular expression without look-around and back references, which are not \
                  supported"
                .to_owned(),
        ),
    }
}

fn pattern(
    segments: &[Segment],
    has_operators: bool,
    read: impl Fn(&str) -> String,
) -> PathPattern {
    if !has_operators {
        let text = segments
            .iter()
            .fold(String::new(), |text, segment| match segment {
                Segment::Literal(literal) => text + "/" + &read(literal),
                Segment::One | Segment::Rest => text,
            });
        return PathPattern::exact(&text);
    }
    let glob = segments.iter().fold(Glob::new(), |glob, segment| {
        let glob = glob.literal("/");
        match segment {
            Segment::Literal(literal) => glob.literal(&read(literal)),
            Segment::One => glob.gap(Gap::Segment),
            Segment::Rest => glob.gap(Gap::Path),
        }
    });
    PathPattern::template(glob)
}

fn covers(wide: &[Segment], narrow: &[Segment]) -> bool {
    match (wide.split_first(), narrow.split_first()) {
        (None, None) => true,
        (Some((Segment::Rest, wide)), Some((_, narrow))) => {
            // What stands behind it is literal, so that it takes all but as many segments.
            let taken = narrow.len().checked_sub(wide.len());
            taken.and_then(|at| narrow.get(at..)) == Some(wide)
        }
        (Some((Segment::One, wide)), Some((Segment::Literal(text), narrow))) => {
            !text.is_empty() && covers(wide, narrow)
        }
        (Some((one, wide)), Some((other, narrow))) => one == other && covers(wide, narrow),
        _ => false,
    }
}

fn intersects(one: &[Segment], other: &[Segment]) -> bool {
    let meet = |one: &Segment, other: &Segment| match (one, other) {
        (Segment::Literal(one), Segment::Literal(other)) => one == other,
        (Segment::Literal(text), Segment::One) | (Segment::One, Segment::Literal(text)) => {
            !text.is_empty()
        }
        _ => true,
    };
    let is_rest = |segment: &Segment| *segment == Segment::Rest;
    let long_enough = match (one.iter().any(is_rest), other.iter().any(is_rest)) {
        (false, false) => one.len() == other.len(),
        (true, false) => one.len() <= other.len(),
        (false, true) => one.len() >= other.len(),
        (true, true) => true,
    };
    if !long_enough {
        return false;
    }
    let compared = |(one, other): &(&Segment, &Segment)| !is_rest(one) && !is_rest(other);
    let mut from_the_start = one.iter().zip(other).take_while(compared);
    let mut from_the_end = one
        .iter()
        .rev()
        .zip(other.iter().rev())
        .take_while(compared);
    from_the_start.all(|(one, other)| meet(one, other))
        && from_the_end.all(|(one, other)| meet(one, other))
}

// === impl Segment ===

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "{*}" => return Ok(Self::One),
            "{**}" => return Ok(Self::Rest),
            _ => {}
        }
        let allowed = || {
            "a path of letters, digits, `-._~!$&'()+,;=:@`, escapes such as `%20`, and the operators \
             `{*}` and `{**}` as whole segments; or `/*`"
                .to_owned()
        };
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            let valid = match byte {
                b'%' => {
                    let mut hex = || bytes.next().is_some_and(|it| it.is_ascii_hexdigit());
                    hex() && hex()
                }
                byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@".contains(&byte),
            };
            if !valid {
                return Err(allowed());
            }
        }
        Ok(Self::Literal(text.into()))
    }

    fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ApiPath {
        ApiPath::parse(text).unwrap()
    }

    #[test]
    fn follows_the_table_that_istio_executes() {
        for (rule, asked, matches) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/foo", "/foo", true),
            ("/foo", "/foo/", false),
            ("/foo", "/Foo", false),
            ("/foo/{**}", "/foo", false),
            ("/foo/{**}", "/foo/", true),
            ("/foo/{**}", "/foo/a/b", true),
            ("/foo/{*}", "/foo/a", true),
            ("/foo/{*}", "/foo/", false),
            ("/foo/{*}", "/foo/a/", false),
            ("/store/{**}/cart", "/store/cart", false),
            ("/store/{**}/cart", "/store/foo/cart", true),
            ("/store/{**}/cart", "/store//cart", true),
            ("/{*}", "/a+b", true),
            ("/{*}", "/%20", true),
            ("/{*}", "/a*b", true),
            ("/a.b", "/a.b", true),
            ("/a.b", "/axb", false),
            ("/a+b", "/a+b", true),
            ("/a(b)", "/a(b)", true),
            ("/a%20b", "/a%20b", true),
            ("/a%20b", "/a b", true),
            ("/a%2Ab", "/aXb", false),
            ("/*", "/", true),
            ("/*", "/a/b", true),
            ("/*", "/[", true),
            ("/{**}", "/", true),
            ("/{**}", "/[", false),
        ] {
            assert_eq!(
                path(rule).matches(asked.as_bytes()),
                matches,
                "`{rule}` and `{asked}`"
            );
        }
        assert!(!path("/*").within().unwrap().matches(&b"/["[..]));
    }

    #[test]
    fn what_is_no_path_is_a_fault() {
        for text in [
            "",
            "a",
            "*",
            "/a*",
            "/a/*",
            "/{a}",
            "/a{*}",
            "/{**}/{*}",
            "/{**}/{**}",
            "/a b",
            "/a%2",
            "/\u{e9}",
            "/a?b",
            "/a#b",
            "/[",
        ] {
            assert!(ApiPath::parse(text).is_err(), "`{text}`");
        }
        assert!(ApiPath::parse(&format!("/{}", "a".repeat(MAX_BYTES))).is_err());
    }

    #[test]
    fn an_expression_must_match_the_whole_path() {
        for (regex, asked, matches) in [
            ("/.*", "/a/b", true),
            ("/a|/b", "/a", true),
            ("/a|/b", "/bb", false),
            ("/a", "/a/b", false),
            ("/[0-9]+", "/12", true),
            ("/.*", "/\u{e9}", true),
            ("/a", "/a\n", false),
        ] {
            let path = ApiPath::parse_regex(regex).unwrap();
            assert_eq!(
                path.matches(asked.as_bytes()),
                matches,
                "`{regex}` and `{asked}`"
            );
        }
        assert!(!ApiPath::parse_regex("/.*").unwrap().matches(&b"/\xff"[..]));
        for regex in [
            "/(?!a).*",
            "(",
            "a)|(b",
            "/(a)\\1",
            &"(a{100}){100}".repeat(10),
        ] {
            assert!(ApiPath::parse_regex(regex).is_err(), "`{regex}`");
        }
    }

    #[test]
    fn covers_and_intersects() {
        for (wide, narrow, covered, intersecting) in [
            ("/a", "/a", true, true),
            ("/a", "/b", false, false),
            ("/a", "/a/", false, false),
            ("/{*}", "/a", true, true),
            ("/{*}", "/", false, false),
            ("/{**}", "/", true, true),
            ("/{**}", "/a/{*}", true, true),
            ("/*", "/{**}", true, true),
            ("/a/{**}", "/a", false, false),
            ("/a/{**}", "/a/{**}", true, true),
            ("/a/{*}", "/a/{**}", false, true),
            ("/a/{*}/c", "/a/b/{**}", false, true),
            ("/a/{*}/c", "/b/{**}", false, false),
            ("/{**}/c", "/a/b/c", true, true),
            ("/{**}/c", "/c", false, false),
            ("/{**}/c", "/{**}/d", false, false),
            ("/{**}/c", "/a/{**}", false, true),
            ("/{**}/c", "/a/{**}/c", true, true),
        ] {
            let found = (
                path(wide).covers(&path(narrow)),
                path(wide).intersects(&path(narrow)),
            );
            assert_eq!(found, (covered, intersecting), "`{wide}` and `{narrow}`");
        }
    }
}
