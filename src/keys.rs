//! Keys of issuers: JSON Web Key Sets (RFC 7517), read leniently key by key and strictly within.
//!
//! A key that cannot be used is skipped and named, the others serve. There is never a stand-in key:
//! without a usable one, tokens are refused.

mod discovery;
mod endpoint;
mod fetch;
mod source;
mod store;
mod unknown;

pub use discovery::Discovery;
pub use endpoint::Endpoint;
pub use fetch::{Fetch, FetchFailure, Outcome, Reply};
pub use source::KeySetId;
pub use store::{Availability, Health, Keys, SourceId};

use crate::config::RemoteKeys;
use crate::json::{self, JsonError};
use crate::token::signature::{Algorithm, Provenance, Verifier, VerifyingKey};
use serde_json::Value;
use std::fmt;
use std::rc::Rc;

/// The longest key set, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// The most keys in a set.
pub const MAX_KEYS: usize = 100;

/// Where the keys of a rule come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// From the configuration.
    Inline(Rc<KeySet>),
    /// Fetched.
    Remote(RemoteKeys),
}

/// The usable keys of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    keys: Rc<[Key]>,
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    index: usize,
    key: VerifyingKey,
}

/// A key that was skipped, and why.
#[derive(Clone, Debug)]
pub struct Skipped {
    id: Option<String>,
    index: usize,
    why: String,
}

/// Why a text is no key set.
#[derive(Debug)]
pub enum KeySetError {
    /// Longer than [`MAX_BYTES`].
    TooLong(usize),
    /// Not JSON.
    Json(JsonError),
    /// Not an object with a list `keys`.
    Shape,
    /// More than [`MAX_KEYS`].
    TooMany(usize),
}

// === impl KeySet ===

impl KeySet {
    /// Reads the text of a key set: the usable keys, and those that were skipped.
    ///
    /// # Errors
    /// The text is no key set, or beyond the limits.
    pub fn read(text: &[u8], provenance: Provenance) -> Result<(Self, Vec<Skipped>), KeySetError> {
        if text.len() > MAX_BYTES {
            return Err(KeySetError::TooLong(text.len()));
        }
        let set = json::parse(text, json::MAX_DEPTH).map_err(KeySetError::Json)?;
        let jwks = set
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(KeySetError::Shape)?;
        if jwks.len() > MAX_KEYS {
            return Err(KeySetError::TooMany(jwks.len()));
        }
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for (index, jwk) in jwks.iter().enumerate() {
            let id = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
            match VerifyingKey::from_jwk(jwk, provenance) {
                Ok(key) => keys.push(Key { id, index, key }),
                Err(why) => skipped.push(Skipped { id, index, why }),
            }
        }
        Ok((Self { keys: keys.into() }, skipped))
    }

    /// The keys that may have signed a token: a `kid` on both sides must be the same.
    pub fn fitting(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &VerifyingKey> {
        let fits = move |key: &&Key| {
            let same_id = match (key_id, &key.id) {
                (Some(wanted), Some(id)) => wanted == id,
                _ => true,
            };
            same_id && key.key.fits(algorithm)
        };
        self.keys.iter().filter(fits).map(|key| &key.key)
    }

    /// The keys with which `verifier` verifies nothing.
    pub(crate) fn unserved(&self, verifier: &dyn Verifier) -> Vec<Skipped> {
        let unserved = |key: &&Key| !key.key.algorithms().any(|it| verifier.serves(it));
        let unserved = self.keys.iter().filter(unserved);
        let skipped = unserved.map(|key| {
            let algorithms = key.key.algorithms().map(Algorithm::name);
            let algorithms = algorithms.collect::<Vec<_>>().join(", ");
            Skipped {
                id: key.id.clone(),
                index: key.index,
                why: format!("no {algorithms} on this host"),
            }
        });
        skipped.collect()
    }

    /// How many keys there are with which `verifier` verifies something.
    pub(crate) fn served(&self, verifier: &dyn Verifier) -> usize {
        self.len().saturating_sub(self.unserved(verifier).len())
    }

    /// How many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no token can be verified with it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.index)?;
        if let Some(id) = &self.id {
            let id: String = id.chars().take(64).collect();
            write!(f, " (kid `{}`)", id.escape_default())?;
        }
        write!(f, " skipped: {}", self.why)
    }
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "{bytes} bytes; at most {MAX_BYTES} are allowed"),
            Self::Json(error) => write!(f, "not JSON: {error}"),
            Self::Shape => f.write_str("not an object with a list `keys`"),
            Self::TooMany(keys) => write!(f, "{keys} keys; at most {MAX_KEYS} are allowed"),
        }
    }
}

impl std::error::Error for KeySetError {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// RFC 7515, A.2.1 and A.3.1.
    const RSA: &str = r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
    const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

    /// The key with these members set, or taken out where they are null.
    fn with(jwk: &str, members: Value) -> Value {
        let mut jwk: Value = serde_json::from_str(jwk).unwrap();
        for (name, value) in members.as_object().unwrap() {
            match value {
                Value::Null => jwk.as_object_mut().unwrap().remove(name),
                _ => jwk
                    .as_object_mut()
                    .unwrap()
                    .insert(name.clone(), value.clone()),
            };
        }
        jwk
    }

    fn read(keys: Value) -> (KeySet, Vec<Skipped>) {
        KeySet::read(
            json!({"keys": keys}).to_string().as_bytes(),
            Provenance::Fetched,
        )
        .unwrap()
    }

    #[test]
    fn keys_as_issuers_publish_them_are_usable() {
        let certificate = "M".repeat(1_600);
        for (name, jwk) in [
            ("bare RSA", with(RSA, json!({}))),
            ("bare EC", with(EC, json!({}))),
            (
                "Google",
                with(RSA, json!({"use": "sig", "alg": "RS256", "kid": "6a9"})),
            ),
            (
                "Keycloak",
                with(
                    RSA,
                    json!({"use": "sig", "alg": "RS256", "kid": "k",
                "x5c": [certificate], "x5t": "AA", "x5t#S256": "AA"}),
                ),
            ),
            (
                "Entra ID",
                with(
                    RSA,
                    json!({"use": "sig", "kid": "k", "x5t": "k", "x5c": [certificate],
                "cloud_instance_name": "x", "issuer": "https://login.example.com/{tenantid}/v2.0"}),
                ),
            ),
            (
                "a chain of eight certificates",
                with(RSA, json!({"x5c": vec![&certificate; 8]})),
            ),
            (
                "for verifying",
                with(EC, json!({"key_ops": ["verify"], "alg": "ES256"})),
            ),
        ] {
            let (keys, skipped) = read(json!([jwk]));
            assert_eq!(keys.len(), 1, "{name}: {skipped:?}");
        }
    }

    #[test]
    fn keys_that_are_not_for_signatures_of_ours_are_skipped_and_the_others_serve() {
        for (name, jwk) in [
            ("no object", json!("x")),
            ("empty", json!({})),
            ("symmetric", json!({"kty": "oct", "k": "c2VjcmV0"})),
            ("for encryption", with(RSA, json!({"use": "enc"}))),
            ("for wrapping keys", with(RSA, json!({"alg": "RSA-OAEP"}))),
            ("for another algorithm", with(RSA, json!({"alg": "RS1"}))),
            ("for signing", with(EC, json!({"key_ops": ["sign"]}))),
            (
                "for encryption by its operations",
                with(RSA, json!({"key_ops": ["encrypt"]})),
            ),
            ("alg of another kind", with(EC, json!({"alg": "RS256"}))),
            ("alg that is no string", with(RSA, json!({"alg": 256}))),
            ("kid that is no string", with(RSA, json!({"kid": 1}))),
            ("kty in another case", with(RSA, json!({"kty": "rsa"}))),
            ("kty of the other", with(RSA, json!({"kty": "EC"}))),
            ("members of the other", with(RSA, json!({"crv": "P-256"}))),
            ("no modulus", with(RSA, json!({"n": null}))),
            ("1024 bits", with(RSA, json!({"n": "w".repeat(171)}))),
            ("8192 bits", with(RSA, json!({"n": "w".repeat(1_366)}))),
            ("e = 1", with(RSA, json!({"e": "AQ"}))),
            ("e = 3", with(RSA, json!({"e": "Aw"}))),
            ("private RSA", with(RSA, json!({"d": "AQAB"}))),
            (
                "private EC",
                with(
                    EC,
                    json!({"d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}),
                ),
            ),
            ("another curve", with(EC, json!({"crv": "P-384"}))),
            ("secp256k1", with(EC, json!({"crv": "secp256k1"}))),
            ("no curve", with(EC, json!({"crv": null}))),
            ("not on the curve", with(EC, json!({"x": "A".repeat(43)}))),
            ("no y", with(EC, json!({"y": null}))),
            (
                "padded",
                with(
                    EC,
                    json!({"y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0="}),
                ),
            ),
        ] {
            let (keys, skipped) = read(json!([jwk, with(EC, json!({}))]));
            assert_eq!((keys.len(), skipped.len()), (1, 1), "{name}");
            assert!(
                skipped[0].to_string().starts_with("key 0"),
                "{name}: {}",
                skipped[0]
            );
            let (keys, _) = read(json!([jwk]));
            assert!(keys.is_empty(), "{name}");
        }
    }

    #[test]
    fn what_is_no_key_set_is_refused() {
        let many = |count: usize| json!({"keys": vec![json!({}); count]}).to_string();
        let long = |length: usize| format!("{}{}", " ".repeat(length - 11), r#"{"keys":[]}"#);
        for (name, text, expected) in [
            ("no keys", r#"{"keys":[]}"#, None),
            ("100 keys", &many(100), None),
            (
                "101 keys",
                &many(101),
                Some("101 keys; at most 100 are allowed"),
            ),
            ("256 KiB", &long(MAX_BYTES), None),
            (
                "one byte more",
                &long(MAX_BYTES + 1),
                Some("262145 bytes; at most 262144 are allowed"),
            ),
            ("empty", "", Some("not JSON")),
            ("HTML", "<!doctype html>", Some("not JSON")),
            (
                "two documents",
                r#"{"keys":[]}{"keys":[]}"#,
                Some("not JSON"),
            ),
            ("keys twice", r#"{"keys":[],"keys":[]}"#, Some("not JSON")),
            (
                "a member twice",
                r#"{"keys":[{"kty":"RSA","kty":"EC"}]}"#,
                Some("not JSON"),
            ),
            (
                "too deep",
                &format!("{}{}", "[".repeat(33), "]".repeat(33)),
                Some("not JSON"),
            ),
            ("a list", "[]", Some("not an object with a list `keys`")),
            (
                "a key by itself",
                EC,
                Some("not an object with a list `keys`"),
            ),
            (
                "keys that are no list",
                r#"{"keys":{}}"#,
                Some("not an object with a list `keys`"),
            ),
        ] {
            let found = KeySet::read(text.as_bytes(), Provenance::Fetched)
                .map_err(|error| error.to_string());
            match (found, expected) {
                (Ok(_), None) => {}
                (Err(found), Some(expected)) => {
                    assert!(found.starts_with(expected), "{name}: {found}")
                }
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_token_meets_the_keys_of_its_kid_and_algorithm() {
        let (keys, _) = read(json!([
            with(RSA, json!({"kid": "a"})),
            with(EC, json!({"kid": "a"})),
            with(EC, json!({"kid": "b"})),
            with(EC, json!({"kid": "b"})),
            with(EC, json!({})),
        ]));
        for (key_id, algorithm, fitting) in [
            (Some("a"), Algorithm::Rs256, 1),
            (Some("a"), Algorithm::Es256, 2),
            (Some("b"), Algorithm::Es256, 3),
            (Some("b"), Algorithm::Rs256, 0),
            (Some("c"), Algorithm::Es256, 1),
            (Some("c"), Algorithm::Rs256, 0),
            (None, Algorithm::Es256, 4),
            (None, Algorithm::Rs256, 1),
        ] {
            let found = keys.fitting(key_id, algorithm).count();
            assert_eq!(found, fitting, "{key_id:?} with {algorithm:?}");
        }
    }
}
