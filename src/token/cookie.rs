//! Cookies (RFC 6265, 5.4): their values, and the header without some of them.
//!
//! Bytes in, bytes out; a value is not decoded, and quotes around it are taken off.

use crate::bytes::{cut, parts};
use crate::format::is_printable;
use crate::request::Headers;

/// Every value of a cookie, also if it is empty.
pub(super) fn values<'r>(headers: &'r Headers, name: &str) -> impl Iterator<Item = &'r [u8]> {
    cookies(headers).filter_map(move |cookie| {
        let (found, value) = pair(cookie)?;
        (found == name.as_bytes()).then(|| unquoted(value))
    })
}

/// The one line `cookie` without the cookies of these names, empty if none is left; `None` if there
/// is none of them.
#[must_use]
pub fn without_cookies(headers: &Headers, names: &[&str]) -> Option<Vec<u8>> {
    if names.is_empty() {
        return None;
    }
    let removed = |cookie: &[u8]| {
        pair(cookie).is_some_and(|(found, _)| names.iter().any(|name| found == name.as_bytes()))
    };
    let mut kept: Vec<_> = cookies(headers).collect();
    let all = kept.len();
    kept.retain(|cookie| !removed(cookie));
    (kept.len() < all).then(|| kept.join(&b"; "[..]))
}

/// The cookies under other names than these, as they were sent. Left out is also one in which some
/// servers find such a name, as they end a cookie at a space, a comma or a quote, too, and one with
/// anything but printable ASCII.
pub fn other_cookies<'r>(headers: &'r Headers, names: &[&str]) -> impl Iterator<Item = &'r [u8]> {
    let is_named = |part: &[u8]| {
        let found = pair(part).map_or(part, |(found, _)| found);
        names.iter().any(|name| found == name.as_bytes())
    };
    cookies(headers).filter(move |cookie| {
        let mut parts = cookie.split(|byte| b" ,\"".contains(byte));
        is_printable(cookie) && !parts.any(is_named)
    })
}

fn cookies(headers: &Headers) -> impl Iterator<Item = &[u8]> {
    let lines = headers.all("cookie").flat_map(|line| parts(line, b';'));
    lines
        .map(<[u8]>::trim_ascii)
        .filter(|cookie| !cookie.is_empty())
}

fn pair(cookie: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = cut(cookie, b'=');
    Some((name.trim_ascii_end(), value?.trim_ascii_start()))
}

fn unquoted(value: &[u8]) -> &[u8] {
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    inner.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> Headers {
        let mut headers = Headers::default();
        lines
            .iter()
            .for_each(|line| headers.push("cookie", line.as_bytes()));
        headers
    }

    #[test]
    fn finds_values() {
        for (lines, expected) in [
            (&["t=a"][..], &["a"][..]),
            (&["x=1; t=a; y=2"], &["a"]),
            (&["x=1;t=a"], &["a"]),
            (&["t=a; t=b"], &["a", "b"]),
            (&["x=1", "t=a"], &["a"]),
            (&["t=\"a\""], &["a"]),
            (&["t=a=b"], &["a=b"]),
            (&["tt=a; T=a; t"], &[]),
            (&["t="], &[""]),
        ] {
            let found: Vec<_> = values(&headers(lines), "t")
                .map(String::from_utf8_lossy)
                .map(|it| it.into_owned())
                .collect();
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn removes_only_what_is_named() {
        for (lines, expected) in [
            (&["t=a"][..], Some("")),
            (&["x=1; t=a; y=\"2\""], Some("x=1; y=\"2\"")),
            (&["x=1; t=a", "t=b; y"], Some("x=1; y")),
            (&["x=1"], None),
        ] {
            let found = without_cookies(&headers(lines), &["t"]);
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{lines:?}");
        }
    }

    #[test]
    fn others_are_kept_as_they_are() {
        for (lines, expected) in [
            (
                &["x=1; t=a; y=\"2\"", "u=b;z=t"][..],
                &["x=1", "y=\"2\"", "z=t"][..],
            ),
            (
                &["T=a; tt=a; $t=a; t.u=a; t-u=a"],
                &["T=a", "tt=a", "$t=a", "t.u=a", "t-u=a"],
            ),
            (&["x=a b; y=a,b; z=a=t"], &["x=a b", "y=a,b", "z=a=t"]),
            (&["t; t =a;  t= a ; t=; y"], &["y"]),
            (&["x=1 t=a; x=2,t=a; x=3, t =a; x=\"4\"t=a; y=1"], &["y=1"]),
            (&["x=\"1; t=a; y=2\""], &["x=\"1", "y=2\""]),
            (&["x=\u{e9}; x\tt=a; x=\u{7f}; \u{a0}t=a; y"], &["y"]),
            (&[";; "], &[]),
            (&[], &[]),
        ] {
            let headers = headers(lines);
            let found: Vec<_> = other_cookies(&headers, &["t", "u"])
                .map(|it| std::str::from_utf8(it).unwrap())
                .collect();
            assert_eq!(found, expected, "{lines:?}");
        }
    }
}
