//! Signing keys of an issuer: making them, publishing them, signing raw bytes with them.
//!
//! These keys are made for one process and protect nothing: nobody may trust them outside a test.
//! A key never judges what it signs, so that any token, however wrong, can be made with it.
//! Called by `tokens.rs` to sign and by `endpoints.rs` for the key set.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use jwt_simple::algorithms::ES256KeyPair;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};
use superboring::{
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::{Padding, Rsa},
    sign,
};

use super::tokens::encode;

/// A private key with the `kid` under which its public half is published.
#[derive(Clone)]
pub struct Key {
    kid: String,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Rs256(Arc<Rsa<Private>>),
    Es256(Arc<ES256KeyPair>),
}

/// What an issuer signs with today, and what it still publishes from before.
#[derive(Clone)]
pub struct KeyRing {
    pub rs256: Key,
    pub es256: Key,
    /// Keys of earlier rotations that are still in the key set.
    pub retired: Vec<Key>,
}

// === impl Key ===

impl Key {
    /// The RSA key of 2048 bits that has this place in the process.
    ///
    /// Making one takes up to seconds, so it is made once and shared by whoever asks for the place.
    fn rs256(place: usize, kid: &str) -> Self {
        static MADE: Mutex<BTreeMap<usize, Arc<Rsa<Private>>>> = Mutex::new(BTreeMap::new());
        let mut made = MADE.lock().expect("no panic while held");
        let rsa = made
            .entry(place)
            .or_insert_with(|| Arc::new(Rsa::generate(2048).expect("an RSA key of 2048 bits")));
        Key {
            kid: kid.to_owned(),
            secret: Secret::Rs256(rsa.clone()),
        }
    }

    fn es256(kid: &str) -> Self {
        Key {
            kid: kid.to_owned(),
            secret: Secret::Es256(Arc::new(ES256KeyPair::generate())),
        }
    }

    /// A key that no issuer publishes, under a `kid` of the caller's choice.
    pub fn stranger(kid: &str) -> Self {
        Key::es256(kid)
    }

    /// The `kid` under which this key is published.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The `alg` that belongs to this key.
    pub fn alg(&self) -> &'static str {
        match self.secret {
            Secret::Rs256(_) => "RS256",
            Secret::Es256(_) => "ES256",
        }
    }

    /// The public half as a JWK, with `kid`, `alg` and `use`.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.secret {
            Secret::Rs256(rsa) => json!({
                "kty": "RSA",
                "n": encode(rsa.n().to_vec()),
                "e": encode(rsa.e().to_vec()),
            }),
            Secret::Es256(pair) => {
                let text = pair.public_key().to_jwk();
                serde_json::from_str(&text).expect("a JWK is JSON")
            }
        };
        jwk["kid"] = self.kid().into();
        jwk["alg"] = self.alg().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// The JWS signature of these bytes: PKCS#1 v1.5, or `r` and `s` of 32 bytes each.
    pub fn sign(&self, input: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Rs256(rsa) => {
                let key = PKey::from_rsa((**rsa).clone()).expect("an RSA key");
                let mut signer =
                    sign::Signer::new(MessageDigest::sha256(), &key).expect("a digest");
                signer.set_rsa_padding(Padding::PKCS1).expect("a padding");
                signer.update(input).expect("bytes to sign");
                signer.sign_to_vec().expect("an RSA signature")
            }
            Secret::Es256(pair) => {
                let key =
                    p256::ecdsa::SigningKey::from_slice(&pair.to_bytes()).expect("a P-256 key");
                let signature: p256::ecdsa::Signature = key.sign(input);
                signature.to_bytes().to_vec()
            }
        }
    }
}

// === impl KeyRing ===

impl KeyRing {
    /// Fresh keys for the issuer of this name; `place` tells its RSA key from those of others.
    pub fn new(issuer: &str, place: usize) -> Self {
        KeyRing {
            rs256: Key::rs256(place, &format!("{issuer}-rs-0")),
            es256: Key::es256(&format!("{issuer}-es-0")),
            retired: Vec::new(),
        }
    }

    /// Later keys of this issuer, with `kid`s of their own.
    pub fn rotated(issuer: &str, place: usize) -> Self {
        KeyRing {
            rs256: Key::rs256(place, &format!("{issuer}-rs-{place}")),
            es256: Key::es256(&format!("{issuer}-es-{place}")),
            retired: Vec::new(),
        }
    }

    /// Puts these keys in place of both; the old ones stay published or vanish.
    pub fn replace(&mut self, fresh: KeyRing, keep_old: bool) {
        let old = std::mem::replace(self, fresh);
        if keep_old {
            self.retired = old.retired;
            self.retired.extend([old.rs256, old.es256]);
        }
    }

    /// The public key set, as `jwksUri` answers it.
    pub fn jwks(&self) -> Value {
        let all = [&self.rs256, &self.es256].into_iter().chain(&self.retired);
        json!({ "keys": all.map(Key::jwk).collect::<Vec<_>>() })
    }
}
