//! Names of HTTP hosts: how one is read, and which patterns cover it.
//!
//! What a client sends is hostile; [`normalize`] refuses what servers read in different ways.

use super::StringMatch;
use std::borrow::Cow;
use std::fmt;

/// An authority in `appliesTo`: without port, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AuthorityPattern {
    /// This one.
    Exact(Box<str>),
    /// Every one that ends with this text, which begins with a dot: `*.example.com`.
    Wildcard(Box<str>),
}

/// The longest authority that is looked at, in bytes (RFC 1035: 253, and a port).
const MAX_BYTES: usize = 262;

/// Lower case, without port and without one trailing dot; `None` if it is no plain authority.
///
/// Refused are: empty, a user part, white space, a comma (two `Host` lines joined), more than one
/// colon outside brackets, a port that is no number, anything beyond the letters of RFC 3986 that
/// DNS names and IP literals need.
#[must_use]
pub fn normalize(authority: &[u8]) -> Option<Cow<'_, str>> {
    if authority.len() > MAX_BYTES {
        return None;
    }
    let text = std::str::from_utf8(authority).ok()?;
    if is_normal(authority) {
        return Some(Cow::Borrowed(text));
    }
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let address_only = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            if address.is_empty() || !address.bytes().all(address_only) {
                return None;
            }
            (text.strip_suffix(port)?, port)
        }
        None => {
            let (name, port) = text
                .find(':')
                .and_then(|at| text.split_at_checked(at))
                .unwrap_or((text, ""));
            let name = name.strip_suffix('.').unwrap_or(name);
            let letter =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            if name.is_empty() || !name.bytes().all(letter) {
                return None;
            }
            (name, port)
        }
    };
    let port_is_valid = match port.strip_prefix(':') {
        Some(digits) => {
            digits.parse::<u16>().is_ok() && digits.bytes().all(|it| it.is_ascii_digit())
        }
        None => port.is_empty(),
    };
    if !port_is_valid {
        return None;
    }
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Some(Cow::Owned(name.to_ascii_lowercase())),
        false => Some(Cow::Borrowed(name)),
    }
}

/// Whether nothing is to be done about it, as about most: a name in lower case and nothing else.
fn is_normal(authority: &[u8]) -> bool {
    let letter = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
    authority.iter().all(letter) && authority.last().is_some_and(|last| *last != b'.')
}

// === impl AuthorityPattern ===

impl AuthorityPattern {
    /// Reads an authority of `appliesTo`.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let allowed = || "a host name or `*.` and one, without port".to_owned();
        let name = text.strip_prefix("*.").unwrap_or(text);
        let plain = normalize(name.as_bytes()).filter(|plain| plain.len() == name.len());
        let plain = plain.ok_or_else(allowed)?;
        Ok(match name.len() == text.len() {
            true => Self::Exact(plain.into()),
            false => Self::Wildcard(format!(".{plain}").into()),
        })
    }

    /// A pattern that covers every authority that a value of `operation.hosts` matches, ports and
    /// trailing dots aside; `None` if only every authority does.
    #[must_use]
    pub fn covering(host: &StringMatch) -> Option<Self> {
        if let Some(suffix) = host.as_suffix() {
            let name = suffix.strip_prefix('.')?;
            return Some(Self::Wildcard(
                format!(".{}", normalize(name.as_bytes())?).into(),
            ));
        }
        let whole = match host.as_prefix() {
            // `a.com:*`: the name is complete, only the port is open.
            Some(prefix) => prefix.rsplit_once(':')?.0,
            None => host.as_exact()?,
        };
        normalize(whole.as_bytes()).map(|plain| Self::Exact(plain.into()))
    }
}

impl fmt::Display for AuthorityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_plain_and_refuses_what_is_not() {
        for (authority, expected) in [
            ("example.com", Some("example.com")),
            ("Example.COM", Some("example.com")),
            ("example.com:8443", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("example.com.:80", Some("example.com")),
            ("example.com..", Some("example.com.")),
            ("127.0.0.1:80", Some("127.0.0.1")),
            ("[::1]", Some("[::1]")),
            ("[::1]:80", Some("[::1]")),
            ("under_score.example.com", Some("under_score.example.com")),
            ("", None),
            (".", None),
            (":80", None),
            ("example.com:", None),
            ("example.com:+80", None),
            ("example.com:80:80", None),
            ("example.com:65536", None),
            ("user@example.com", None),
            ("a.com,b.com", None),
            ("a.com b.com", None),
            ("a.com/x", None),
            ("a.com\u{e9}", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[]", None),
        ] {
            assert_eq!(
                normalize(authority.as_bytes()).as_deref(),
                expected,
                "`{authority}`"
            );
        }
        assert_eq!(normalize(b"\xff"), None);
        assert_eq!(normalize(&[b'a'; 300]), None);
    }

    #[test]
    fn patterns() {
        let exact = |text: &str| Some(AuthorityPattern::Exact(text.into()));
        let wildcard = |text: &str| Some(AuthorityPattern::Wildcard(text.into()));
        for (text, expected) in [
            ("Example.com", exact("example.com")),
            ("*.Example.com", wildcard(".example.com")),
            ("example.com:80", None),
            ("example.com.", None),
            ("*", None),
            ("*example.com", None),
            ("*.*.com", None),
            ("https://example.com", None),
        ] {
            assert_eq!(AuthorityPattern::parse(text).ok(), expected, "`{text}`");
        }
    }

    #[test]
    fn hosts_are_found_where_their_authorities_are() {
        let exact = |text: &str| Some(AuthorityPattern::Exact(text.into()));
        let wildcard = |text: &str| Some(AuthorityPattern::Wildcard(text.into()));
        for (host, expected) in [
            ("a.com", exact("a.com")),
            ("a.com:8443", exact("a.com")),
            ("a.com:*", exact("a.com")),
            ("a.com:8*", exact("a.com")),
            ("A.com.", exact("a.com")),
            ("*.a.com", wildcard(".a.com")),
            ("*.a.com:8443", wildcard(".a.com")),
            ("a.*", None),
            ("*a.com", None),
            ("*:8443", None),
            ("*", None),
        ] {
            let host_match = StringMatch::parse_ignoring_case(host);
            assert_eq!(
                AuthorityPattern::covering(&host_match),
                expected,
                "`{host}`"
            );
        }
    }
}
