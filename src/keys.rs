//! Keys of issuers: JSON Web Key Sets (RFC 7517), read leniently key by key and strictly within.
//!
//! A key that cannot be used is skipped and named, the others serve. There is never a stand-in key:
//! without a usable one, tokens are refused.

mod store;

pub use store::{Availability, FetchFailure, Keys, Outcome, SourceId};

use crate::config::RemoteKeys;
use crate::json::{self, JsonError};
use crate::token::signature::{Algorithm, PublicKey};
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
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Rc<[Key]>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    key: PublicKey,
}

/// A key that was skipped, and why.
#[derive(Debug)]
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
    pub fn read(text: &[u8]) -> Result<(Self, Vec<Skipped>), KeySetError> {
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
            match PublicKey::from_jwk(jwk) {
                Ok(key) => keys.push(Key { id, key }),
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
    ) -> impl Iterator<Item = &PublicKey> {
        let fits = move |key: &&Key| {
            let same_id = match (key_id, &key.id) {
                (Some(wanted), Some(id)) => wanted == id,
                _ => true,
            };
            same_id && key.key.algorithm() == algorithm
        };
        self.keys.iter().filter(fits).map(|key| &key.key)
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
            write!(f, " (kid `{}`)", id.escape_debug())?;
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
mod tests {}
