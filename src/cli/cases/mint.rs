//! Makes the tokens of a case, good ones and every kind of bad one.
//!
//! It signs whatever it is told to, so nothing in the gateway may ever use it.

use super::format::{KeyFile, TokenSpec};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jwt_simple::algorithms::{ECDSAP256KeyPairLike, ES256KeyPair, RS256KeyPair, RSAKeyPairLike};
use p256::ecdsa::signature::Signer as _;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use superboring::hash::MessageDigest;
use superboring::pkey::PKey;
use superboring::rsa::Padding;
use superboring::sign::Signer;

/// The private keys of a case file.
pub(super) struct Keyring(BTreeMap<String, Key>);

enum Key {
    Rs256(Box<RS256KeyPair>),
    Es256(Box<ES256KeyPair>),
}

// === impl Keyring ===

impl Keyring {
    /// Reads the keys from `folder`; makes and keeps those that are not there.
    pub(super) fn open(folder: &Path, files: &BTreeMap<String, KeyFile>) -> Result<Self, String> {
        let keys = files.iter().map(|(name, key)| {
            let path = folder.join(&key.file);
            let opened = Key::open(&key.alg, &path);
            let opened =
                opened.map_err(|error| format!("key `{name}` ({}): {error}", path.display()));
            Ok((name.clone(), opened?))
        });
        keys.collect::<Result<_, String>>().map(Self)
    }

    /// The public keys of these names as the text of a JWK set; the names are their `kid`s.
    pub(super) fn jwks(&self, names: &str) -> Result<String, String> {
        let names = names.split(',').map(str::trim);
        let keys = names.map(|name| {
            let key = self.0.get(name).ok_or_else(|| format!("no key `{name}`"))?;
            let jwk: Value =
                serde_json::from_str(&key.public_jwk()).map_err(|it| it.to_string())?;
            let mut jwk = jwk.as_object().cloned().unwrap_or_default();
            jwk.insert("kid".to_owned(), name.into());
            Ok(Value::Object(jwk))
        });
        Ok(json!({"keys": keys.collect::<Result<Vec<_>, String>>()?}).to_string())
    }

    /// The text of a token; `now` is the clock of the case, in seconds since the Unix epoch.
    pub(super) fn token(&self, spec: &TokenSpec, now: u64) -> Result<String, String> {
        let (name, header, claims) = match spec {
            TokenSpec::Raw { raw } => return Ok(raw.clone()),
            TokenSpec::Signed {
                key,
                header,
                claims,
            } => (key, header, claims),
        };
        let key = self.0.get(name).ok_or_else(|| format!("no key `{name}`"))?;
        let mut members = Map::new();
        members.insert("alg".to_owned(), key.algorithm().into());
        members.insert("kid".to_owned(), name.as_str().into());
        members.insert("typ".to_owned(), "JWT".into());
        members.extend(header.clone());
        members.retain(|_, value| !value.is_null());
        let claims: Map<_, _> = claims
            .iter()
            .map(|(name, value)| {
                (
                    name.clone(),
                    relative(value, now).unwrap_or_else(|| value.clone()),
                )
            })
            .collect();
        let part = |object: Map<String, Value>| BASE64URL.encode(Value::Object(object).to_string());
        let signed = format!("{}.{}", part(members), part(claims));
        let signature = key.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", BASE64URL.encode(signature)))
    }
}

/// `now`, `now+N` or `now-N` as a number.
fn relative(value: &Value, now: u64) -> Option<Value> {
    let offset = value.as_str()?.strip_prefix("now")?;
    let offset: i64 = if offset.is_empty() {
        0
    } else {
        offset.parse().ok()?
    };
    Some(now.saturating_add_signed(offset).into())
}

// === impl Key ===

impl Key {
    fn open(algorithm: &str, path: &Path) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        if !path.exists() {
            let jwk = match algorithm {
                "RS256" => RS256KeyPair::generate(2048)
                    .map_err(|it| text(&it))?
                    .to_jwk(),
                "ES256" => ES256KeyPair::generate().to_jwk(),
                other => return Err(format!("found alg `{other}`; allowed: `RS256`, `ES256`")),
            };
            std::fs::write(path, format!("{jwk}\n")).map_err(|it| text(&it))?;
        }
        let jwk = std::fs::read_to_string(path).map_err(|it| text(&it))?;
        match algorithm {
            "RS256" => RS256KeyPair::from_jwk(&jwk)
                .map(|key| Self::Rs256(Box::new(key)))
                .map_err(|it| text(&it)),
            "ES256" => ES256KeyPair::from_jwk(&jwk)
                .map(|key| Self::Es256(Box::new(key)))
                .map_err(|it| text(&it)),
            other => Err(format!("found alg `{other}`; allowed: `RS256`, `ES256`")),
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
        }
    }

    fn public_jwk(&self) -> String {
        match self {
            Self::Rs256(key) => key.public_key().to_jwk(),
            Self::Es256(key) => key.public_key().to_jwk(),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Rs256(key) => {
                let key = PKey::from_rsa(key.key_pair().as_ref().clone());
                let key = key.map_err(|error| error.to_string())?;
                Signer::new(MessageDigest::sha256(), &key)
                    .and_then(|mut signer| {
                        signer.set_rsa_padding(Padding::PKCS1)?;
                        signer.update(message)?;
                        signer.sign_to_vec()
                    })
                    .map_err(|error| error.to_string())
            }
            Self::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.key_pair().as_ref().sign(message);
                Ok(signature.to_bytes().to_vec())
            }
        }
    }
}
