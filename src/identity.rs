//! Who a request comes from: the claims of a credential that was verified.
//!
//! Conditions see nothing else of a credential, so a rule means the same for every kind of it.
//! Only [`crate::token`] makes one from a request; what it holds is signed, but its text was
//! chosen by an issuer and, in parts, by users: escape it wherever it is written.

use crate::json;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Map, Value};
use std::rc::Rc;

/// The verified claims of a token (RFC 7519, 4).
#[derive(Clone, Debug)]
pub struct Identity {
    claims: Rc<ClaimsSet>,
    /// Claims at the top level whose text is a list, as the rule that verified the token says.
    space_delimited: Rc<[String]>,
}

/// The claims of a token, verified or not, with those read out that nearly every rule asks for.
#[derive(Debug)]
pub struct ClaimsSet {
    all: Value,
    issuer: Option<Box<str>>,
    subject: Option<Box<str>>,
    confirmation: Confirmation,
}

/// What a token is bound to (`cnf`; RFC 7800, 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Nothing.
    None,
    /// The client certificate with this SHA-256 (`x5t#S256`; RFC 8705, 3.1).
    Certificate([u8; 32]),
    /// A key of another kind, or something that cannot be read.
    Other,
}

/// Members of `cnf` by which a token is bound to a key that its holder must prove to have.
const KEYS: [&str; 5] = ["jwk", "jwe", "kid", "jku", "jkt"];

/// Claims whose text is always a list separated by spaces (RFC 8693, 4.2; Istio).
const SPACE_DELIMITED: [&str; 2] = ["scope", "permission"];

// === impl Identity ===

impl Identity {
    /// From claims that somebody has verified.
    #[must_use]
    pub(crate) fn new(claims: Rc<ClaimsSet>, space_delimited: Rc<[String]>) -> Self {
        Self {
            claims,
            space_delimited,
        }
    }

    /// `iss`
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.claims.issuer()
    }

    /// `sub`
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.claims.subject()
    }

    /// What the token is bound to.
    #[must_use]
    pub fn confirmation(&self) -> &Confirmation {
        &self.claims.confirmation
    }

    /// A claim, by the names on the way to it.
    #[must_use]
    pub fn claim(&self, path: &[String]) -> Option<&Value> {
        path.iter()
            .try_fold(&self.claims.all, |value, name| value.get(name.as_str()))
    }

    /// The words of a claim at the top level: the parts of a text between spaces, or the texts in a
    /// list.
    pub fn words<'a>(&'a self, claim: &str) -> impl Iterator<Item = &'a str> {
        texts(self.claims.all.get(claim), true)
    }

    /// The texts of a claim: itself, its parts if it is separated by spaces, or those in a list.
    /// A number, a boolean or an object has none.
    pub fn claim_texts<'a>(&'a self, path: &[String]) -> impl Iterator<Item = &'a str> {
        let claim = self.claim(path);
        let splits = path.len() == 1
            && path.iter().any(|name| {
                SPACE_DELIMITED.contains(&name.as_str()) || self.space_delimited.contains(name)
            });
        texts(claim, splits)
    }
}

// === impl ClaimsSet ===

impl ClaimsSet {
    /// What they take in memory, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let read_out = [&self.issuer, &self.subject].into_iter().flatten();
        let read_out = read_out.map(|text| text.len());
        read_out.fold(json::weight(&self.all), usize::saturating_add)
    }

    /// Reads out what is asked for most.
    pub(crate) fn new(claims: Map<String, Value>) -> Self {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(Into::into);
        Self {
            issuer: text("iss"),
            subject: text("sub"),
            confirmation: Confirmation::read(claims.get("cnf")),
            all: Value::Object(claims),
        }
    }

    /// `iss`
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// `sub`
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
}

// === impl Confirmation ===

impl Confirmation {
    fn read(claim: Option<&Value>) -> Self {
        let members = match claim {
            None => return Self::None,
            Some(Value::Object(members)) => members,
            Some(_) => return Self::Other,
        };
        if KEYS.iter().any(|name| members.contains_key(*name)) {
            return Self::Other;
        }
        let Some(thumbprint) = members.get("x5t#S256") else {
            return Self::None;
        };
        let digest = thumbprint
            .as_str()
            .and_then(|text| BASE64URL.decode(text).ok());
        let digest = digest.and_then(|bytes| bytes.try_into().ok());
        digest.map_or(Self::Other, Self::Certificate)
    }
}

/// A text, or its parts between spaces, or the texts in a list.
fn texts(claim: Option<&Value>, splits: bool) -> impl Iterator<Item = &str> {
    let text = claim.and_then(Value::as_str);
    let whole = text.filter(|_| !splits);
    let parts = text.filter(|_| splits).into_iter();
    let parts = parts
        .flat_map(|text| text.split(' '))
        .filter(|it| !it.is_empty());
    let list = claim.and_then(Value::as_array).into_iter().flatten();
    whole
        .into_iter()
        .chain(parts)
        .chain(list.filter_map(Value::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    impl Identity {
        /// Whoever these claims are of, none of which is a list separated by spaces but those that
        /// always are.
        pub(crate) fn of(claims: Value) -> Self {
            let Value::Object(claims) = claims else {
                panic!("no claims: {claims}");
            };
            Self::new(Rc::new(ClaimsSet::new(claims)), Rc::from([]))
        }
    }

    #[test]
    fn what_is_read_out_weighs_once_more() {
        let long = || "x".repeat(5_000);
        for (name, claims, least) in [
            ("none", json!({}), 0),
            ("another claim", json!({"aud": long()}), 5_000),
            ("an issuer", json!({"iss": long()}), 10_000),
            ("both", json!({"iss": long(), "sub": long()}), 20_000),
        ] {
            let weight = Identity::of(claims).claims.weight();
            assert!((least..least + 1_000).contains(&weight), "{name}: {weight}");
        }
    }

    #[test]
    fn texts_of_claims() {
        let claims = json!({
            "text": "a b", "scope": "a  b", "groups": "c d", "list": ["e", 1, "f g"],
            "nested": {"scope": "a b", "deeper": {"x": "y"}}, "a.b": "dot", "number": 1, "empty": "",
        });
        let identity = Identity {
            space_delimited: Rc::from(["groups".to_owned()]),
            ..Identity::of(claims)
        };
        for (path, expected) in [
            (&["text"][..], &["a b"][..]),
            (&["scope"], &["a", "b"]),
            (&["groups"], &["c", "d"]),
            (&["list"], &["e", "f g"]),
            (&["nested", "scope"], &["a b"]),
            (&["nested", "deeper", "x"], &["y"]),
            (&["nested"], &[]),
            (&["a.b"], &["dot"]),
            (&["number"], &[]),
            (&["empty"], &[""]),
            (&["absent"], &[]),
            (&["list", "0"], &[]),
        ] {
            let path: Vec<_> = path.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(
                identity.claim_texts(&path).collect::<Vec<_>>(),
                expected,
                "{path:?}"
            );
        }
    }
}
