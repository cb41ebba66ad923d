//! Finds the credential in a request: which bytes, and where they stood.
//!
//! What is found here is unverified. [`jwt`] reads and verifies it.

mod cookie;
pub mod jwt;
mod output;
mod query;
pub mod signature;

pub use cookie::without_cookies;
pub use jwt::plain_audience;
pub use output::claim_text;
pub use query::without_parameters;

use crate::config::FromHeader;
use crate::request::Request;
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

    /// Every token at these locations.
    ///
    /// A header value without the prefix carries none (so `Authorization: Basic` is no token);
    /// one with it does, however odd the rest is.
    pub fn find<'r>(&'r self, request: &'r Request<'_>) -> impl Iterator<Item = Found<'r>> {
        let headers = self.headers.iter().flat_map(|location| {
            let values = request.headers.all(&location.name);
            values.filter_map(|value| {
                let token = Cow::Borrowed(location.token(value)?);
                Some(Found {
                    token,
                    place: Place::Header(&location.name),
                })
            })
        });
        let params = self.params.iter().flat_map(|name| {
            query::values(request.path, name).map(|token| Found {
                token,
                place: Place::Parameter(name),
            })
        });
        let cookies = self.cookies.iter().flat_map(|name| {
            cookie::values(request.headers, name).map(|token| Found {
                token: Cow::Borrowed(token),
                place: Place::Cookie(name),
            })
        });
        headers.chain(params).chain(cookies)
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
        (same && !(prefix.is_empty() && token.is_empty())).then_some(token)
    }
}

#[cfg(test)]
mod tests {}
