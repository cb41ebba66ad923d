//! Who a request comes from: the claims of a credential that was verified.
//!
//! Conditions see nothing else of a credential, so a rule means the same for every kind of it.
//! Only [`crate::token`] makes one from a request; what it holds is signed, but its text was
//! chosen by an issuer and, in parts, by users: escape it wherever it is written.

use serde_json::Value;

/// The verified claims of a token (RFC 7519, 4).
#[derive(Debug)]
pub struct Identity {
    claims: Value,
}

impl Identity {
    /// From claims that somebody has verified.
    #[must_use]
    pub(crate) fn new(claims: Value) -> Self {
        Self { claims }
    }

    /// A claim, by its name at the top level.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// `iss`
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.claim("iss")?.as_str()
    }

    /// `sub`
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.claim("sub")?.as_str()
    }
}
