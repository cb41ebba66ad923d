//! Parameters in the query of a path: their values, and the path without some of them.
//!
//! Bytes in, bytes out; what is not removed is not changed, not even its escapes.

use crate::bytes::{cut, parts};
use std::borrow::Cow;

/// Every value of a parameter, percent-decoded.
pub(super) fn values<'r>(path: &'r [u8], name: &'r str) -> impl Iterator<Item = Cow<'r, [u8]>> {
    let (_, query, _) = split(path);
    let pairs = parts(query, b'&').filter(|part| !part.is_empty()).map(pair);
    let named = pairs.filter(move |(found, _)| *percent_decode(found) == *name.as_bytes());
    named.map(|(_, value)| percent_decode(value))
}

/// The path without the parameters of these names; `None` if it has none of them.
#[must_use]
pub fn without_parameters(path: &[u8], names: &[&str]) -> Option<Vec<u8>> {
    if names.is_empty() {
        return None;
    }
    let (before, query, fragment) = split(path);
    let removed = |part: &[u8]| {
        let (name, _) = pair(part);
        let name = percent_decode(name);
        names.iter().any(|removed| *removed.as_bytes() == *name)
    };
    let mut kept: Vec<_> = parts(query, b'&').collect();
    let all = kept.len();
    kept.retain(|part| !removed(part));
    if kept.len() == all {
        return None;
    }
    let mut path = before.to_vec();
    if !kept.is_empty() {
        path.push(b'?');
        path.extend(kept.join(&b'&'));
    }
    path.extend_from_slice(fragment);
    Some(path)
}

/// What stands before `?`, the query without `?`, and the fragment with its `#`.
fn split(path: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (before, _) = cut(path, b'#');
    let (path, fragment) = path.split_at_checked(before.len()).unwrap_or((path, b""));
    let (before, query) = cut(path, b'?');
    (before, query.unwrap_or_default(), fragment)
}

fn pair(part: &[u8]) -> (&[u8], &[u8]) {
    let (name, value) = cut(part, b'=');
    (name, value.unwrap_or_default())
}

fn percent_decode(text: &[u8]) -> Cow<'_, [u8]> {
    percent_encoding::percent_decode(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_values() {
        for (path, expected) in [
            ("/?t=a", vec!["a"]),
            ("/?x=1&t=a&y=2", vec!["a"]),
            ("/?t=a&t=b", vec!["a", "b"]),
            ("/?t=%61%2Eb", vec!["a.b"]),
            ("/?%74=a", vec!["a"]),
            ("/?t=a=b", vec!["a=b"]),
            ("/?tt=a", vec![]),
            ("/?t", vec![""]),
            ("/?t=", vec![""]),
            ("/t=a", vec![]),
            ("/#?t=a", vec![]),
            ("/?t=a#&t=b", vec!["a"]),
        ] {
            let found: Vec<_> = values(path.as_bytes(), "t").collect();
            let expected: Vec<_> = expected.iter().map(|it| it.as_bytes()).collect();
            assert_eq!(found, expected, "`{path}`");
        }
    }

    #[test]
    fn removes_only_what_is_named() {
        for (path, expected) in [
            ("/a?t=1", Some("/a")),
            ("/a?t=1&x=%2f+", Some("/a?x=%2f+")),
            ("/a?x=1&t=1&y", Some("/a?x=1&y")),
            ("/a?x=1&%74=1", Some("/a?x=1")),
            ("/a?t=1&t=2#f", Some("/a#f")),
            ("/a?x=t", None),
            ("/a", None),
        ] {
            let found = without_parameters(path.as_bytes(), &["t"]);
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "`{path}`");
        }
    }
}
