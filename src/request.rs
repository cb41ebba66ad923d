//! One request as it arrived: bytes that a stranger chose.
//!
//! [`Request::read`] refuses what cannot be read at all; what servers behind the gateway may read in
//! several ways becomes several [`Reading`]s, and a decision must hold for each of them.

mod connection;
mod headers;
mod names;
mod normalize;
mod owned;
mod path;

pub use connection::{Connection, MetadataKey, Needs, Peer, PeerOperator, UNKNOWN_CONNECTION};
pub use headers::{Headers, MalformedHeaders};
pub use names::Names;
pub use normalize::PathNormalization;
pub use owned::{OwnedHeaders, is_same_header};
pub use path::{MAX_UNUSUAL_BYTES, UnreadablePath, query_of, readings as path_readings};

use crate::config::PathMatching;
use crate::policy::normalize_authority;
use crate::verdict::Reason;
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;

/// The facts of one request, borrowed from its headers.
pub struct Request<'a> {
    /// Every header, pseudo-headers included.
    pub headers: &'a Headers,
    /// `:scheme`, as Envoy found it.
    pub scheme: &'a [u8],
    /// `:method`
    pub method: &'a [u8],
    /// `:authority` as sent.
    pub authority: &'a [u8],
    /// The authority in lower case, without port and trailing dot.
    pub authority_name: Cow<'a, str>,
    /// `:path`: path, query and fragment, as sent or as [`Request::normalized`] has made it.
    pub path: Cow<'a, [u8]>,
    sent_path: &'a [u8],
    /// Where query or fragment begin in the path.
    path_end: usize,
    /// What the host knows of the connection.
    pub connection: &'a Connection,
}

/// The lines that every request has once (RFC 9113, 8.3.1), found in one look at all.
#[derive(Default)]
struct PseudoHeaders<'a> {
    method: Sent<'a>,
    scheme: Sent<'a>,
    authority: Sent<'a>,
    path: Sent<'a>,
}

/// How often a line was sent.
#[derive(Default)]
enum Sent<'a> {
    #[default]
    Never,
    Once(&'a [u8]),
    Repeatedly,
}

/// One way in which a server behind the gateway may understand a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The method.
    pub method: Cow<'a, [u8]>,
    /// The path without query and fragment.
    pub path: Cow<'a, [u8]>,
    /// Whether that is the path as it was sent; other readings are decoded.
    pub as_sent: bool,
}

/// All readings of a request, which are mostly one.
pub type Readings<'a> = SmallVec<[Reading<'a>; 1]>;

/// One reading of a path, as patterns see it.
#[derive(Clone, Copy, Debug)]
pub struct ReadPath<'a> {
    /// Without query and fragment.
    pub bytes: &'a [u8],
    /// Whether it is the path as it was sent; other readings are decoded.
    pub as_sent: bool,
}

/// Headers by which frameworks let a client name another method.
const METHOD_OVERRIDES: [&str; 3] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

const OVERRIDING: Names = Names::of(&METHOD_OVERRIDES);

/// More readings of a method than this are refused.
const MAX_METHODS: usize = 4;

// === impl Request ===

impl<'a> Request<'a> {
    /// Reads what every request must have.
    ///
    /// # Errors
    /// The path is missing (CONNECT without one) or does not begin with `/`, or the method or the
    /// authority is missing or can be read in several ways.
    pub fn read(headers: &'a Headers, connection: &'a Connection) -> Result<Self, Reason> {
        let pseudo = PseudoHeaders::read(headers);
        let method = pseudo
            .method
            .once()
            .filter(|it| !it.is_empty())
            .ok_or(Reason::MethodUnreadable)?;
        let authority = pseudo.authority.once();
        let authority = authority.ok_or(Reason::AuthorityUnreadable)?;
        let authority_name = normalize_authority(authority).ok_or(Reason::AuthorityUnreadable)?;
        let path = pseudo.path.once().ok_or(Reason::PathMissing)?;
        if path.first() != Some(&b'/') && !(path == b"*" && method == b"OPTIONS") {
            return Err(Reason::PathUnreadable);
        }
        let scheme = pseudo.scheme.once().unwrap_or(b"http");
        Ok(Self {
            headers,
            scheme,
            method,
            authority,
            authority_name,
            path: Cow::Borrowed(path),
            sent_path: path,
            path_end: path::without_query(path).len(),
            connection,
        })
    }

    /// The request with the path as the mesh normalizes it.
    ///
    /// # Errors
    /// Envoy would not take the path.
    pub fn normalized(self, normalization: PathNormalization) -> Result<Self, Reason> {
        let path = normalization.normalize(self.sent_path);
        let path = path.map_err(|UnreadablePath| Reason::PathUnreadable)?;
        let path_end = match &path {
            Cow::Borrowed(path) if path.len() == self.sent_path.len() => self.path_end,
            path => path::without_query(path).len(),
        };
        Ok(Self {
            path,
            path_end,
            ..self
        })
    }

    /// The path that goes on, if it is not the one that was sent.
    #[must_use]
    pub fn changed_path(&self) -> Option<&[u8]> {
        match &self.path {
            Cow::Borrowed(path) if path.len() == self.sent_path.len() => None,
            path => Some(path.as_ref()).filter(|path| *path != self.sent_path),
        }
    }

    /// Whether something stands behind the path.
    #[must_use]
    pub fn has_query(&self) -> bool {
        self.path_end < self.path.len()
    }

    /// Every reading of the request, each once, the plainest first; at least one.
    ///
    /// # Errors
    /// The path or the method can be read in so many ways that no decision would hold for all.
    pub fn readings(&self, matching: PathMatching) -> Result<Readings<'_>, Reason> {
        let plain = self.path.get(..self.path_end).unwrap_or(&self.path);
        if matching == PathMatching::Istio || (path::is_plain(plain) && self.has_one_method()) {
            return Ok(smallvec![Reading {
                method: Cow::Borrowed(self.method),
                path: Cow::Borrowed(plain),
                as_sent: true,
            }]);
        }
        self.strict_readings(plain)
    }

    /// Every reading of a request whose path, or method, is not plain.
    #[inline(never)]
    fn strict_readings<'s>(&'s self, plain: &'s [u8]) -> Result<Readings<'s>, Reason> {
        let paths = path::readings(plain).map_err(|_| Reason::PathUnreadable)?;
        let methods = self.methods()?;
        let readings = paths.iter().enumerate().flat_map(|(index, path)| {
            let reading = move |method: &Cow<'a, [u8]>| Reading {
                method: method.clone(),
                path: path.clone(),
                as_sent: index == 0,
            };
            methods.iter().map(reading)
        });
        Ok(readings.collect())
    }

    /// Whether it is a CORS preflight, as Envoy's jwt_authn filter tells one.
    #[must_use]
    pub fn is_preflight(&self) -> bool {
        let present = |name| self.headers.all(name).any(|value| !value.is_empty());
        self.method == b"OPTIONS" && present("origin") && present("access-control-request-method")
    }

    /// The authority as sent, and as it is without a port and a trailing dot, which must not lead
    /// around a rule that refuses.
    pub fn authorities(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let name = self.authority_name.as_bytes();
        let port = self.authority.iter().rposition(|byte| *byte == b':');
        let port = port
            .and_then(|at| self.authority.get(at.checked_add(1)?..))
            .filter(|_| !name.ends_with(b"]"));
        // The port as a number: `080` is 80.
        let port = port.and_then(|port| std::str::from_utf8(port).ok()?.parse::<u16>().ok());
        let with_port = port.map(|port| {
            let port = format!(":{port}");
            Cow::Owned([name, port.as_bytes()].concat())
        });
        let mut known = vec![Cow::Borrowed(self.authority)];
        for authority in [Some(Cow::Borrowed(name)), with_port].into_iter().flatten() {
            if !known.contains(&authority) {
                known.push(authority);
            }
        }
        known.into_iter()
    }

    /// Whether nothing names another method, for certain.
    fn has_one_method(&self) -> bool {
        !self.method.iter().any(u8::is_ascii_lowercase)
            && !self.headers.names().may_meet(OVERRIDING)
    }

    /// The method, and each that a header names instead.
    fn methods(&self) -> Result<SmallVec<[Cow<'a, [u8]>; 1]>, Reason> {
        let mut methods: SmallVec<[Cow<'a, [u8]>; 1]> = smallvec![Cow::Borrowed(self.method)];
        // Methods are case-sensitive (RFC 9110, 9.1), but not to every server.
        if self.method.iter().any(u8::is_ascii_lowercase) {
            methods.push(Cow::Owned(self.method.to_ascii_uppercase()));
        }
        for (name, value) in self.headers.iter() {
            let is = |known: &str| known.len() == name.len() && owned::fold(name).eq(known.bytes());
            if name.first() != Some(&b'x') || !METHOD_OVERRIDES.iter().any(|known| is(known)) {
                continue;
            }
            let method = value.trim_ascii().to_ascii_uppercase();
            if method.is_empty() || methods.iter().any(|known| **known == *method) {
                continue;
            }
            if methods.len() >= MAX_METHODS {
                return Err(Reason::MethodUnreadable);
            }
            methods.push(Cow::Owned(method));
        }
        Ok(methods)
    }
}

// === impl PseudoHeaders ===

impl<'a> PseudoHeaders<'a> {
    fn read(headers: &'a Headers) -> Self {
        let mut pseudo = Self::default();
        for (name, value) in headers.iter() {
            let sent = match name {
                b":method" => &mut pseudo.method,
                b":scheme" => &mut pseudo.scheme,
                b":authority" => &mut pseudo.authority,
                b":path" => &mut pseudo.path,
                _ => continue,
            };
            *sent = match sent {
                Sent::Never => Sent::Once(value),
                Sent::Once(_) | Sent::Repeatedly => Sent::Repeatedly,
            };
        }
        pseudo
    }
}

// === impl Sent ===

impl<'a> Sent<'a> {
    /// The value, if it was sent once.
    fn once(&self) -> Option<&'a [u8]> {
        match self {
            Self::Once(value) => Some(value),
            Self::Never | Self::Repeatedly => None,
        }
    }
}

// === impl Reading ===

impl Reading<'_> {
    /// Its path, as patterns see it.
    #[must_use]
    pub fn read_path(&self) -> ReadPath<'_> {
        ReadPath {
            bytes: &self.path,
            as_sent: self.as_sent,
        }
    }
}

// === impl ReadPath ===

/// A path as it was sent.
impl<'a> From<&'a [u8]> for ReadPath<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            as_sent: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in lines {
            headers.push(name, value.as_bytes());
        }
        headers
    }

    /// A request that can be read, with these lines beside.
    fn request(method: &str, authority: &str, path: &str, lines: &[(&str, &str)]) -> Headers {
        let first = [
            (":method", method),
            (":authority", authority),
            (":path", path),
        ];
        headers(&[&first, lines].concat())
    }

    #[test]
    fn what_servers_could_read_in_two_ways_is_refused() {
        for (name, headers, expected) in [
            ("plain", request("GET", "a.com", "/", &[]), None),
            ("any method", request("PURGE", "a.com", "/", &[]), None),
            ("OPTIONS *", request("OPTIONS", "a.com", "*", &[]), None),
            (
                "websocket over HTTP/2",
                request("CONNECT", "a.com", "/", &[(":protocol", "websocket")]),
                None,
            ),
            ("no headers", headers(&[]), Some(Reason::MethodUnreadable)),
            (
                "empty method",
                request("", "a.com", "/", &[]),
                Some(Reason::MethodUnreadable),
            ),
            (
                "two methods",
                request("GET", "a.com", "/", &[(":method", "PUT")]),
                Some(Reason::MethodUnreadable),
            ),
            (
                "no authority",
                headers(&[(":method", "GET"), (":path", "/")]),
                Some(Reason::AuthorityUnreadable),
            ),
            (
                "empty authority",
                request("GET", "", "/", &[]),
                Some(Reason::AuthorityUnreadable),
            ),
            (
                "two authorities",
                request("GET", "a.com", "/", &[(":authority", "b.com")]),
                Some(Reason::AuthorityUnreadable),
            ),
            (
                "two joined",
                request("GET", "a.com,b.com", "/", &[]),
                Some(Reason::AuthorityUnreadable),
            ),
            (
                "a user",
                request("GET", "u@a.com", "/", &[]),
                Some(Reason::AuthorityUnreadable),
            ),
            (
                "CONNECT",
                headers(&[(":method", "CONNECT"), (":authority", "a.com:443")]),
                Some(Reason::PathMissing),
            ),
            (
                "two paths",
                request("GET", "a.com", "/", &[(":path", "/b")]),
                Some(Reason::PathMissing),
            ),
            (
                "empty path",
                request("GET", "a.com", "", &[]),
                Some(Reason::PathUnreadable),
            ),
            (
                "whole URL",
                request("GET", "a.com", "http://b.com/", &[]),
                Some(Reason::PathUnreadable),
            ),
            (
                "GET *",
                request("GET", "a.com", "*", &[]),
                Some(Reason::PathUnreadable),
            ),
            (
                "relative",
                request("GET", "a.com", "b", &[]),
                Some(Reason::PathUnreadable),
            ),
        ] {
            assert_eq!(
                Request::read(&headers, &UNKNOWN_CONNECTION).err(),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn a_rule_that_refuses_sees_the_authority_with_and_without_port_and_dot() {
        for (authority, expected) in [
            ("a.com", vec!["a.com"]),
            ("A.com", vec!["A.com", "a.com"]),
            ("a.com.", vec!["a.com.", "a.com"]),
            ("a.com:80", vec!["a.com:80", "a.com"]),
            ("A.com.:80", vec!["A.com.:80", "a.com", "a.com:80"]),
            ("a.com:080", vec!["a.com:080", "a.com", "a.com:80"]),
            ("[::1]:80", vec!["[::1]:80", "[::1]"]),
            ("[::1]", vec!["[::1]"]),
        ] {
            let headers = request("GET", authority, "/", &[]);
            let request = Request::read(&headers, &UNKNOWN_CONNECTION).unwrap();
            let found: Vec<_> = request.authorities().collect();
            let expected: Vec<_> = expected.iter().map(|it| it.as_bytes()).collect();
            assert_eq!(found, expected, "`{authority}`");
        }
    }

    #[test]
    fn a_header_that_names_another_method_is_one_more_reading() {
        for (lines, strict) in [
            (vec![], Some(vec!["POST"])),
            (
                vec![("x-http-method-override", "DELETE")],
                Some(vec!["POST", "DELETE"]),
            ),
            (
                vec![("X-HTTP-Method", "delete ")],
                Some(vec!["POST", "DELETE"]),
            ),
            (vec![("x-method-override", "post")], Some(vec!["POST"])),
            (vec![("x-method-override", "")], Some(vec!["POST"])),
            (
                vec![("x_http_method_override", "DELETE")],
                Some(vec!["POST", "DELETE"]),
            ),
            (
                vec![("x-http_method", "DELETE")],
                Some(vec!["POST", "DELETE"]),
            ),
            (vec![("x-method", "DELETE")], Some(vec!["POST"])),
            (
                vec![
                    ("x-http-method", "A"),
                    ("x-http-method", "B"),
                    ("x-method-override", "C"),
                ],
                Some(vec!["POST", "A", "B", "C"]),
            ),
            (
                vec![
                    ("x-http-method", "A"),
                    ("x-http-method", "B"),
                    ("x-http-method", "C"),
                    ("x-http-method", "D"),
                ],
                None,
            ),
        ] {
            let headers = request("POST", "a.com", "/a", &lines);
            let request = Request::read(&headers, &UNKNOWN_CONNECTION).unwrap();
            let methods = |matching| {
                let readings = request.readings(matching).ok()?;
                let text = |it: &Reading<'_>| String::from_utf8(it.method.to_vec()).unwrap();
                Some(readings.iter().map(text).collect::<Vec<_>>())
            };
            let strict = strict.map(|it| it.iter().map(ToString::to_string).collect());
            assert_eq!(methods(PathMatching::Strict), strict, "{lines:?}");
            assert_eq!(
                methods(PathMatching::Istio),
                Some(vec!["POST".to_owned()]),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_method_in_lower_case_is_read_in_upper_case_too() {
        for (method, strict) in [
            ("DELETE", vec!["DELETE"]),
            ("delete", vec!["delete", "DELETE"]),
            ("Delete", vec!["Delete", "DELETE"]),
        ] {
            let headers = request(method, "a.com", "/a", &[]);
            let request = Request::read(&headers, &UNKNOWN_CONNECTION).unwrap();
            let readings = request.readings(PathMatching::Strict).unwrap();
            let found: Vec<_> = readings.iter().map(|it| it.method.to_vec()).collect();
            let strict: Vec<_> = strict.iter().map(|it| it.as_bytes().to_vec()).collect();
            assert_eq!(found, strict, "`{method}`");
            assert_eq!(request.readings(PathMatching::Istio).unwrap().len(), 1);
        }
    }

    #[test]
    fn each_path_is_read_with_each_method_the_plain_ones_first() {
        let headers = request("POST", "a.com", "/a;b?c", &[("x-http-method", "PUT")]);
        let request = Request::read(&headers, &UNKNOWN_CONNECTION).unwrap();
        let readings = request.readings(PathMatching::Strict).unwrap();
        let text = |it: &Reading<'_>| {
            format!(
                "{} {}",
                String::from_utf8_lossy(&it.method),
                String::from_utf8_lossy(&it.path)
            )
        };
        let readings: Vec<_> = readings.iter().map(text).collect();
        assert_eq!(readings, ["POST /a;b", "PUT /a;b", "POST /a", "PUT /a"]);
    }

    #[test]
    fn a_preflight_is_told_by_its_method_and_two_headers() {
        let both = [
            ("origin", "https://b.com"),
            ("access-control-request-method", "PUT"),
        ];
        for (name, method, lines, expected) in [
            ("preflight", "OPTIONS", &both[..], true),
            ("another method", "GET", &both, false),
            ("another case", "options", &both, false),
            ("no origin", "OPTIONS", &both[1..], false),
            ("no requested method", "OPTIONS", &both[..1], false),
            ("empty origin", "OPTIONS", &[("origin", ""), both[1]], false),
        ] {
            let headers = request(method, "a.com", "/", lines);
            assert_eq!(
                Request::read(&headers, &UNKNOWN_CONNECTION)
                    .unwrap()
                    .is_preflight(),
                expected,
                "{name}"
            );
        }
    }
}
