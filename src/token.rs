//! Finds the credential in a request: which bytes, and where they stood.
//!
//! What is found here is unverified. [`jwt`] reads and verifies it.

mod cookie;
pub mod jwt;
mod output;
mod query;
pub mod signature;

pub use cookie::{other_cookies, without_cookies};
pub use jwt::plain_audience;
pub use output::claim_text;
pub use query::without_parameters;

use crate::config::FromHeader;
use crate::request::Request;
use smallvec::SmallVec;
use std::borrow::Cow;

/// Where the tokens of a rule are looked for.
#[derive(Debug, Default)]
pub struct Locations {
    headers: Vec<FromHeader>,
    params: Vec<String>,
    cookies: Vec<String>,
}

/// A token as it was sent, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<'r> {
    /// Its bytes; nothing about them is known.
    pub token: Cow<'r, [u8]>,
    /// Where it stood.
    pub place: Place<'r>,
}

/// A place in a request that held a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'r> {
    /// The header of that name.
    Header(&'r str),
    /// The query parameter of that name.
    Parameter(&'r str),
    /// The cookie of that name.
    Cookie(&'r str),
}

// === impl Locations ===

impl Locations {
    /// Headers first, then query parameters, then cookies, each in the order given.
    #[must_use]
    pub fn new(headers: Vec<FromHeader>, params: Vec<String>, cookies: Vec<String>) -> Self {
        Self {
            headers,
            params,
            cookies,
        }
    }

    /// Where that is, in words.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        let headers = self.headers.iter().map(|it| match it.prefix.as_str() {
            "" => format!("header `{}`", it.name),
            prefix => format!("header `{}` behind `{prefix}`", it.name),
        });
        let params = self.params.iter();
        let params = params.map(|it| format!("query parameter `{it}`"));
        let cookies = self.cookies.iter().map(|it| format!("cookie `{it}`"));
        headers.chain(params).chain(cookies).collect()
    }

    /// Every token at these locations.
    ///
    /// A header value without the prefix carries none (so `Authorization: Basic` is no token);
    /// one with it does, however odd the rest is.
    pub fn find<'r>(&'r self, request: &'r Request<'_>) -> SmallVec<[Found<'r>; 1]> {
        let mut found = SmallVec::new();
        for location in &self.headers {
            let values = request.headers.all(&location.name);
            for token in values.filter_map(|value| location.token(value)) {
                let token = Cow::Borrowed(token);
                let place = Place::Header(&location.name);
                found.push(Found { token, place });
            }
        }
        let params = self.params.iter().filter(|_| request.has_query());
        for name in params {
            for token in query::values(&request.path, name) {
                let place = Place::Parameter(name);
                found.push(Found { token, place });
            }
        }
        for name in &self.cookies {
            for token in cookie::values(request.headers, name) {
                let token = Cow::Borrowed(token);
                let place = Place::Cookie(name);
                found.push(Found { token, place });
            }
        }
        found
    }
}

// === impl FromHeader ===

impl FromHeader {
    /// What stands behind the prefix. One that ends with a space is an authentication scheme,
    /// which is compared without regard to case (RFC 9110, 11.1).
    fn token<'v>(&self, value: &'v [u8]) -> Option<&'v [u8]> {
        let prefix = self.prefix.as_bytes();
        let (start, token) = value.split_at_checked(prefix.len())?;
        let same = match prefix.last() {
            Some(b' ') => start.eq_ignore_ascii_case(prefix),
            _ => start == prefix,
        };
        same.then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Headers, UNKNOWN_CONNECTION};

    fn header(name: &str, prefix: &str) -> FromHeader {
        let (name, prefix) = (name.to_owned(), prefix.to_owned());
        FromHeader { name, prefix }
    }

    /// The tokens that are found in a request, each with its place.
    fn found(locations: &Locations, path: &str, lines: &[(&str, &str)]) -> Vec<String> {
        let mut headers = Headers::default();
        for (name, value) in [(":method", "GET"), (":authority", "a.com"), (":path", path)] {
            headers.push(name, value.as_bytes());
        }
        for (name, value) in lines {
            headers.push(name, value.as_bytes());
        }
        let request = Request::read(&headers, &UNKNOWN_CONNECTION).unwrap();
        let found = locations.find(&request).into_iter().map(|found| {
            let place = match found.place {
                Place::Cookie(name) => name,
                Place::Header(name) | Place::Parameter(name) => name,
            };
            format!("{place}: {}", String::from_utf8_lossy(&found.token))
        });
        found.collect()
    }

    #[test]
    fn what_stands_behind_the_scheme_is_a_token() {
        let bearer = Locations::new(vec![header("authorization", "Bearer ")], vec![], vec![]);
        for (value, token) in [
            ("Bearer t", Some("t")),
            ("bearer t", Some("t")),
            ("BEARER t", Some("t")),
            ("Bearer  t", Some(" t")),
            ("Bearer t ", Some("t ")),
            ("Bearer t, Bearer u", Some("t, Bearer u")),
            ("Bearer ", Some("")),
            ("Bearer", None),
            ("Bearert", None),
            ("Bearer\tt", None),
            (" Bearer t", None),
            ("Basic t", None),
            ("", None),
        ] {
            let expected: Vec<_> = token
                .map(|it| format!("authorization: {it}"))
                .into_iter()
                .collect();
            assert_eq!(
                found(&bearer, "/", &[("authorization", value)]),
                expected,
                "`{value}`"
            );
        }
    }

    #[test]
    fn a_prefix_that_is_no_scheme_is_compared_as_it_is() {
        for (prefix, value, token) in [
            ("", "t", Some("t")),
            ("", "", Some("")),
            ("jwt=", "jwt=t", Some("t")),
            ("jwt=", "JWT=t", None),
            ("jwt=", "jwt", None),
            ("Token ", "token t", Some("t")),
            ("Token ", "Bearer t", None),
        ] {
            let locations = Locations::new(vec![header("x-jwt", prefix)], vec![], vec![]);
            let expected: Vec<_> = token.map(|it| format!("x-jwt: {it}")).into_iter().collect();
            let name = format!("`{value}` with `{prefix}`");
            assert_eq!(
                found(&locations, "/", &[("x-jwt", value)]),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn every_line_and_every_parameter_is_found_headers_first() {
        let headers = vec![header("x-b", ""), header("x-a", "")];
        let locations = Locations::new(headers, vec!["q".to_owned(), "p".to_owned()], vec![]);
        let lines = [("x-a", "1"), ("X-B", "2"), ("x-b", "3"), ("x-c", "4")];
        assert_eq!(
            found(&locations, "/?p=5&q=6&q=%37&r=8", &lines),
            ["x-b: 2", "x-b: 3", "x-a: 1", "q: 6", "q: 7", "p: 5"]
        );
        assert!(found(&Locations::default(), "/?p=5", &lines).is_empty());
    }
}
