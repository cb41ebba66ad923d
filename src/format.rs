//! Texts with gaps that a request fills: header values with Envoy's command operators.
//!
//! [`crate::config`] parses one, a request fills it. What a client or an issuer put into a gap is
//! bytes that a stranger chose: a value with anything but printable ASCII is not written at all.

use crate::identity::Identity;
use crate::request::{Peer, PeerOperator, Request};
use serde_json::Value;

/// A header value: literal text, `%REQ(A?B)%`, `%SUBJECT%`, `%CLAIM(a.b)%`; `%%` is a percent sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    /// The first line of this header, or else of that one; lower case.
    Header(Box<str>, Option<Box<str>>),
    /// Of the client certificate.
    Peer(PeerOperator),
    /// `sub`
    Subject,
    /// A claim, by the names on the way to it.
    Claim(Vec<String>),
}

/// What a value may be.
const ALLOWED: &str = "printable ASCII with the operators `%REQ(NAME)%`, `%REQ(NAME?OTHER)%`, \
                       `%SUBJECT%`, `%CLAIM(NAME)%` and `%DOWNSTREAM_PEER_…%` (`SUBJECT`, \
                       `ISSUER`, `URI_SAN`, `DNS_SAN`, `FINGERPRINT_256`, `SERIAL`, `CERT`); `%%` \
                       is a percent sign";

// === impl Format ===

impl Format {
    /// Reads a value.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let allowed = || ALLOWED.to_owned();
        if !is_printable(text.as_bytes()) {
            return Err(allowed());
        }
        let mut parts = Vec::new();
        // Between percent signs, literal text and operators take turns.
        for (index, piece) in text.split('%').enumerate() {
            let part = match (index % 2, piece) {
                (0, "") => continue,
                (0, literal) => Part::Literal(literal.into()),
                (_, "") => Part::Literal("%".into()),
                (_, operator) => Part::parse(operator).ok_or_else(allowed)?,
            };
            parts.push(part);
        }
        match text.matches('%').count() % 2 {
            0 => Ok(Self(parts)),
            _ => Err(allowed()),
        }
    }

    /// Whether it is the same for every request.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// Whether it is about the client certificate alone.
    #[must_use]
    pub fn is_of_the_peer(&self) -> bool {
        let of_peer = |part: &Part| matches!(part, Part::Literal(_) | Part::Peer(_));
        self.0.iter().all(of_peer) && !self.is_literal()
    }

    /// Whether it is about the client certificate.
    #[must_use]
    pub fn needs_peer(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Peer(_)))
    }

    /// The value for a client certificate; `None` if it cannot be told or written.
    #[must_use]
    pub fn of_peer(&self, peer: &Peer) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => value.extend_from_slice(text.as_bytes()),
                Part::Peer(operator) => value.extend(peer.tell(*operator)?),
                Part::Header(..) | Part::Subject | Part::Claim(_) => return None,
            }
        }
        is_printable(&value).then_some(value)
    }

    /// The value for a request; `None` if it is empty, or not all printable ASCII (0x20 to 0x7E).
    #[must_use]
    pub fn value(&self, request: &Request<'_>, identity: Option<&Identity>) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => value.extend_from_slice(text.as_bytes()),
                Part::Header(name, other) => {
                    let line = |name: &str| request.headers.all(name).find(|it| !it.is_empty());
                    let found = line(name).or_else(|| line(other.as_deref()?));
                    value.extend_from_slice(found.unwrap_or_default());
                }
                Part::Peer(operator) => {
                    let peer = request.connection.peer.as_ref();
                    let told = peer.and_then(|peer| peer.tell(*operator));
                    value.extend(told.unwrap_or_default());
                }
                Part::Subject => {
                    let subject = identity.and_then(Identity::subject);
                    value.extend_from_slice(subject.unwrap_or_default().as_bytes());
                }
                Part::Claim(path) => {
                    let claim = identity.and_then(|identity| identity.claim(path));
                    value.extend(claim.map(text).unwrap_or_default().bytes());
                }
            }
        }
        (!value.is_empty() && is_printable(&value)).then_some(value)
    }
}

// === impl Part ===

impl Part {
    /// An operator, without its percent signs.
    fn parse(operator: &str) -> Option<Self> {
        if let Some(name) = operator.strip_prefix("DOWNSTREAM_PEER_") {
            return PeerOperator::by_name(name).map(Self::Peer);
        }
        if operator == "SUBJECT" {
            return Some(Self::Subject);
        }
        let (name, arguments) = operator.strip_suffix(')')?.split_once('(')?;
        match name {
            "CLAIM" if !arguments.is_empty() => Some(Self::Claim(
                arguments.split('.').map(str::to_owned).collect(),
            )),
            "REQ" => {
                let (first, other) = match arguments.split_once('?') {
                    Some((first, other)) => (first, Some(other)),
                    None => (arguments, None),
                };
                let name = |text: &str| {
                    let lower: Box<str> = text.to_ascii_lowercase().into();
                    let letter = |it: u8| it.is_ascii_alphanumeric() || b"-_.:".contains(&it);
                    (!lower.is_empty() && lower.bytes().all(letter)).then_some(lower)
                };
                let other = match other {
                    Some(other) => Some(name(other)?),
                    None => None,
                };
                Some(Self::Header(name(first)?, other))
            }
            _ => None,
        }
    }
}

/// A claim as text: lists are joined by commas, objects have none.
fn text(claim: &Value) -> String {
    match claim {
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Null | Value::Object(_) => String::new(),
    }
}

/// Whether it is all printable ASCII (0x20 to 0x7E).
pub(crate) fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| (0x20..=0x7e).contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Headers, UNKNOWN_CONNECTION};
    use serde_json::json;

    #[test]
    fn gaps_are_filled() {
        let mut headers = Headers::default();
        for (name, value) in [
            (":method", &b"GET"[..]),
            (":authority", b"a.com"),
            (":path", b"/p?q"),
            ("x-a", b"A"),
            ("x-empty", b""),
            ("x-odd", b"\xff"),
        ] {
            headers.push(name, value);
        }
        let request = Request::read(&headers, &UNKNOWN_CONNECTION).unwrap();
        let claims = json!({"sub": "ada", "a": {"b": "c"}, "n": 10, "l": ["x", 1], "e": "\u{e9}"});
        let identity = Identity::of(claims);
        for (format, expected) in [
            ("text", Some("text")),
            ("100%%", Some("100%")),
            ("%REQ(X-A)%", Some("A")),
            ("%REQ(x-b?x-a)%", Some("A")),
            ("%REQ(x-empty?x-a)%", Some("A")),
            ("%REQ(x-b)%", None),
            ("<%REQ(x-b)%>", Some("<>")),
            ("%REQ(x-odd)%", None),
            (
                "https://%REQ(:authority)%%REQ(:path)%",
                Some("https://a.com/p?q"),
            ),
            ("%SUBJECT%", Some("ada")),
            ("%CLAIM(a.b)%", Some("c")),
            ("%CLAIM(n)%", Some("10")),
            ("%CLAIM(l)%", Some("x,1")),
            ("%CLAIM(a)%", None),
            ("%CLAIM(e)%", None),
            ("%CLAIM(none)%", None),
        ] {
            let value = Format::parse(format)
                .unwrap()
                .value(&request, Some(&identity));
            assert_eq!(value.as_deref(), expected.map(str::as_bytes), "`{format}`");
        }
        let subject = Format::parse("%SUBJECT%").unwrap();
        assert_eq!(subject.value(&request, None), None);
    }

    #[test]
    fn what_is_no_operator_is_a_fault() {
        for format in [
            "%",
            "50% off",
            "%NAME%",
            "%REQ()%",
            "%REQ(a b)%",
            "%REQ(a",
            "%CLAIM()%",
            "%DOWNSTREAM_REMOTE_ADDRESS%",
            "{{ .Subject }}\n",
            "\u{e9}",
        ] {
            assert!(Format::parse(format).is_err(), "`{format}`");
        }
        assert!(Format::parse("{{ .Subject }}").unwrap().is_literal());
    }
}
