//! One request as it arrived: bytes that a stranger chose.
//!
//! [`Request::read`] refuses what cannot be read at all; what servers behind the gateway may read in
//! several ways becomes several [`Reading`]s, and a decision must hold for each of them.

mod headers;
mod path;

pub use headers::{Headers, MalformedHeaders, fold_name};
pub use path::{UnreadablePath, readings as path_readings};

use crate::config::PathMatching;
use crate::policy::normalize_authority;
use crate::verdict::Reason;
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
    /// `:path` as sent: path, query and fragment.
    pub path: &'a [u8],
}

/// One way in which a server behind the gateway may understand a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The method.
    pub method: Cow<'a, [u8]>,
    /// The path without query and fragment.
    pub path: Cow<'a, [u8]>,
}

/// Headers by which frameworks let a client name another method.
const METHOD_OVERRIDES: [&str; 3] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// More readings of a method than this are refused.
const MAX_METHODS: usize = 4;

// === impl Request ===

impl<'a> Request<'a> {
    /// Reads what every request must have.
    ///
    /// # Errors
    /// The path is missing (CONNECT without one) or does not begin with `/`, or the method or the
    /// authority is missing or can be read in several ways.
    pub fn read(headers: &'a Headers) -> Result<Self, Reason> {
        let one = |name: &str| {
            let mut values = headers.all(name);
            let first = values.next();
            first.filter(|_| values.next().is_none())
        };
        let method = one(":method")
            .filter(|it| !it.is_empty())
            .ok_or(Reason::MethodUnreadable)?;
        let authority = one(":authority").ok_or(Reason::AuthorityUnreadable)?;
        let authority_name = normalize_authority(authority).ok_or(Reason::AuthorityUnreadable)?;
        let path = one(":path").ok_or(Reason::PathMissing)?;
        if path.first() != Some(&b'/') && !(path == b"*" && method == b"OPTIONS") {
            return Err(Reason::PathUnreadable);
        }
        let scheme = one(":scheme").unwrap_or(b"http");
        Ok(Self {
            headers,
            scheme,
            method,
            authority,
            authority_name,
            path,
        })
    }

    /// Every reading of the request, each once, the plainest first; at least one.
    ///
    /// # Errors
    /// The path or the method can be read in so many ways that no decision would hold for all.
    pub fn readings(&self, matching: PathMatching) -> Result<Vec<Reading<'a>>, Reason> {
        let plain = path::without_query(self.path);
        let paths = match matching {
            PathMatching::Istio => vec![Cow::Borrowed(plain)],
            PathMatching::Strict => path::readings(plain).map_err(|_| Reason::PathUnreadable)?,
        };
        let methods = match matching {
            PathMatching::Istio => vec![Cow::Borrowed(self.method)],
            PathMatching::Strict => self.methods()?,
        };
        let readings = paths.iter().flat_map(|path| {
            let reading = |method: &Cow<'a, [u8]>| Reading {
                method: method.clone(),
                path: path.clone(),
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
            .and_then(|at| self.authority.get(at..))
            .filter(|_| !name.ends_with(b"]"));
        let with_port = port.map(|port| Cow::Owned([name, port].concat()));
        let mut known = vec![Cow::Borrowed(self.authority)];
        for authority in [Some(Cow::Borrowed(name)), with_port].into_iter().flatten() {
            if !known.contains(&authority) {
                known.push(authority);
            }
        }
        known.into_iter()
    }

    /// The method, and each that a header names instead.
    fn methods(&self) -> Result<Vec<Cow<'a, [u8]>>, Reason> {
        let mut methods = vec![Cow::Borrowed(self.method)];
        for (name, value) in self.headers.iter() {
            let is = |known: &str| known.len() == name.len() && fold_name(name).eq(known.bytes());
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

#[cfg(test)]
mod tests {}
