//! Cookies (RFC 6265, 5.4): their values, and the header without some of them.
//!
//! Bytes in, bytes out; a value is not decoded, and quotes around it are taken off.

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
    let removed = |cookie: &&[u8]| {
        pair(cookie).is_some_and(|(found, _)| names.iter().any(|name| found == name.as_bytes()))
    };
    if !cookies(headers).any(|cookie| removed(&cookie)) {
        return None;
    }
    let kept: Vec<_> = cookies(headers).filter(|cookie| !removed(cookie)).collect();
    Some(kept.join(&b"; "[..]))
}

fn cookies(headers: &Headers) -> impl Iterator<Item = &[u8]> {
    let lines = headers
        .all("cookie")
        .flat_map(|line| line.split(|byte| *byte == b';'));
    lines
        .map(<[u8]>::trim_ascii)
        .filter(|cookie| !cookie.is_empty())
}

fn pair(cookie: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = cookie.iter().position(|byte| *byte == b'=')?;
    let (name, value) = cookie.split_at_checked(end)?;
    Some((name.trim_ascii_end(), value.get(1..)?.trim_ascii_start()))
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
}
