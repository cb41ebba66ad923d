//! Makes the tokens of a case, good ones and every kind of bad one.
//!
//! It signs whatever it is told to, so nothing in the gateway may ever use it.

use super::format::{KeyFile, TokenSpec};
use crate::token::signature::Algorithm::{
    self, EdDsa, Es256, Es384, Es512, Hs256, Hs384, Hs512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike, ECDSAP384KeyPairLike, ES256KeyPair, ES384KeyPair, Ed25519KeyPair,
    EdDSAKeyPairLike, RS256KeyPair, RSAKeyPairLike,
};
use p256::ecdsa::signature::Signer as _;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use superboring::hash::MessageDigest;
use superboring::pkey::{PKey, Private};
use superboring::reexports::{hmac_sha256, hmac_sha512, rand};
use superboring::rsa::Padding;
use superboring::sign::Signer;

/// The keys of a case file that tokens are signed with.
pub(in crate::cli) struct Keyring(BTreeMap<String, Key>);

struct Key {
    algorithm: Algorithm,
    material: Material,
    /// As the issuer publishes it, without `kid`.
    public: Map<String, Value>,
}

enum Material {
    Rsa(Box<PKey<Private>>),
    P256(Box<ES256KeyPair>),
    P384(Box<ES384KeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
    Secret(Vec<u8>),
}

// === impl Keyring ===

impl Keyring {
    /// Reads the keys from `folder`; makes and keeps those that are not there.
    pub(super) fn open(folder: &Path, files: &BTreeMap<String, KeyFile>) -> Result<Self, String> {
        let keys = files.iter().map(|(name, key)| {
            let path = folder.join(&key.file);
            let opened = Key::open(&key.alg, &path, &key.jwk);
            let opened =
                opened.map_err(|error| format!("key `{name}` ({}): {error}", path.display()));
            Ok((name.clone(), opened?))
        });
        keys.collect::<Result<_, String>>().map(Self)
    }

    /// One key, made now.
    pub(in crate::cli) fn fresh(name: &str, algorithm: Algorithm) -> Result<Self, String> {
        let jwk: Map<String, Value> = serde_json::from_str(&generate(algorithm)?).map_err(text)?;
        let key = Key::of(algorithm, jwk, &Map::new())?;
        Ok(Self(BTreeMap::from([(name.to_owned(), key)])))
    }

    /// The public keys of these names as the text of a JWK set; the names are their `kid`s.
    pub(super) fn jwks(&self, names: &str) -> Result<String, String> {
        let names = names.split(',').map(str::trim);
        let keys = names.map(|name| {
            let key = self.0.get(name).ok_or_else(|| format!("no key `{name}`"))?;
            Ok(key.published(name))
        });
        Ok(json!({"keys": keys.collect::<Result<Vec<_>, String>>()?}).to_string())
    }

    /// Every public key as the text of a JWK set.
    pub(in crate::cli) fn all(&self) -> String {
        let keys = self.0.iter().map(|(name, key)| key.published(name));
        json!({"keys": keys.collect::<Vec<_>>()}).to_string()
    }

    /// The text of a token; `now` is the clock of the case, in seconds since the Unix epoch.
    pub(in crate::cli) fn token(&self, spec: &TokenSpec, now: u64) -> Result<String, String> {
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
        members.insert("alg".to_owned(), key.algorithm.name().into());
        members.insert("kid".to_owned(), name.as_str().into());
        members.insert("typ".to_owned(), "JWT".into());
        members.extend(header.clone());
        members.retain(|_, value| !value.is_null());
        let claims = at(claims, now);
        let part = |object: Map<String, Value>| BASE64URL.encode(Value::Object(object).to_string());
        self.signed(name, &format!("{}.{}", part(members), part(claims)))
    }

    /// Header and payload of a token, with the signature of a key behind them.
    pub(in crate::cli) fn signed(&self, name: &str, message: &str) -> Result<String, String> {
        let key = self.0.get(name).ok_or_else(|| format!("no key `{name}`"))?;
        let signature = key.sign(message.as_bytes())?;
        Ok(format!("{message}.{}", BASE64URL.encode(signature)))
    }
}

/// Claims with the clock in place of `now`, `now+N` and `now-N`.
fn at(claims: &Map<String, Value>, now: u64) -> Map<String, Value> {
    let claims = claims.iter().map(|(name, value)| {
        let value = relative(value, now).unwrap_or_else(|| value.clone());
        (name.clone(), value)
    });
    claims.collect()
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
    fn open(algorithm: &str, path: &Path, differing: &Map<String, Value>) -> Result<Self, String> {
        let known = Algorithm::by_name(algorithm).filter(|it| *it != Algorithm::Es512);
        let known = known.ok_or_else(|| {
            let names = Algorithm::NAMES.map(|(name, _)| format!("`{name}`"));
            format!(
                "found alg `{algorithm}`; allowed: {} except ES512",
                names.join(", ")
            )
        })?;
        if !path.exists() {
            let jwk = generate(known)?;
            std::fs::write(path, format!("{jwk}\n")).map_err(text)?;
        }
        let jwk = std::fs::read_to_string(path).map_err(text)?;
        let jwk: Map<String, Value> = serde_json::from_str(&jwk).map_err(text)?;
        Self::of(known, jwk, differing)
    }

    fn of(
        known: Algorithm,
        mut jwk: Map<String, Value>,
        differing: &Map<String, Value>,
    ) -> Result<Self, String> {
        // What it signs by is said by the case file.
        jwk.remove("alg");
        let secret = match jwk.get("k") {
            Some(Value::String(k)) => BASE64URL.decode(k).map_err(text)?,
            _ => Vec::new(),
        };
        let private = Value::Object(jwk).to_string();
        let (material, public) = match known {
            Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => {
                let key = RS256KeyPair::from_jwk(&private).map_err(text)?;
                let public = key.public_key().to_jwk();
                let key = PKey::from_rsa(key.key_pair().as_ref().clone()).map_err(text)?;
                (Material::Rsa(Box::new(key)), public)
            }
            Es256 => {
                let key = ES256KeyPair::from_jwk(&private).map_err(text)?;
                let public = key.public_key().to_jwk();
                (Material::P256(Box::new(key)), public)
            }
            Es384 => {
                let key = ES384KeyPair::from_jwk(&private).map_err(text)?;
                let public = key.public_key().to_jwk();
                (Material::P384(Box::new(key)), public)
            }
            EdDsa => {
                let key = Ed25519KeyPair::from_jwk(&private).map_err(text)?;
                let public = key.public_key().to_jwk();
                (Material::Ed25519(Box::new(key)), public)
            }
            Hs256 | Hs384 | Hs512 => (Material::Secret(secret), private),
            Es512 => return Err("no ES512".to_owned()),
        };
        let mut public: Map<String, Value> = serde_json::from_str(&public).map_err(text)?;
        public.insert("alg".to_owned(), known.name().into());
        public.extend(differing.clone());
        public.retain(|_, value| !value.is_null());
        Ok(Self {
            algorithm: known,
            material,
            public,
        })
    }

    /// As its issuer publishes it.
    fn published(&self, name: &str) -> Value {
        let mut jwk = self.public.clone();
        jwk.entry("kid").or_insert_with(|| name.into());
        Value::Object(jwk)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        Ok(match &self.material {
            Material::Rsa(key) => {
                let hash = match self.algorithm {
                    Rs256 | Ps256 => MessageDigest::sha256(),
                    Rs384 | Ps384 => MessageDigest::sha384(),
                    _ => MessageDigest::sha512(),
                };
                let padding = match self.algorithm {
                    Rs256 | Rs384 | Rs512 => Padding::PKCS1,
                    _ => Padding::PKCS1_PSS,
                };
                let signed = Signer::new(hash, key).and_then(|mut signer| {
                    signer.set_rsa_padding(padding)?;
                    signer.update(message)?;
                    signer.sign_to_vec()
                });
                signed.map_err(text)?
            }
            Material::P256(key) => {
                let signature: p256::ecdsa::Signature = key.key_pair().as_ref().sign(message);
                signature.to_bytes().to_vec()
            }
            Material::P384(key) => {
                let signature: p384::ecdsa::Signature = key.key_pair().as_ref().sign(message);
                signature.to_bytes().to_vec()
            }
            Material::Ed25519(key) => {
                let key: &ed25519_compact::KeyPair = key.key_pair().as_ref();
                key.sk.sign(message, None).to_vec()
            }
            Material::Secret(secret) => match self.algorithm {
                Hs256 => hmac_sha256::HMAC::mac(message, secret).to_vec(),
                Hs384 => hmac_sha512::sha384::HMAC::mac(message, secret).to_vec(),
                _ => hmac_sha512::HMAC::mac(message, secret).to_vec(),
            },
        })
    }
}

/// A new key for an algorithm, as a JWK.
fn generate(algorithm: Algorithm) -> Result<String, String> {
    Ok(match algorithm {
        Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => {
            RS256KeyPair::generate(2048).map_err(text)?.to_jwk()
        }
        Es256 => ES256KeyPair::generate().to_jwk(),
        Es384 => ES384KeyPair::generate().to_jwk(),
        EdDsa => Ed25519KeyPair::generate().to_jwk(),
        Hs256 | Hs384 | Hs512 => {
            let secret = [rand::random::<[u8; 32]>(), rand::random::<[u8; 32]>()].concat();
            json!({"kty": "oct", "k": BASE64URL.encode(secret)}).to_string()
        }
        Es512 => return Err("no ES512".to_owned()),
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
