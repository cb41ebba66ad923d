//! Signatures: which algorithms there are, and whether a signature is good. Nothing else.
//!
//! The header, the claims and the times of a token are judged in [`super::jwt`], the same for every
//! back end; so a back end cannot make a token good that the other refuses, or the reverse.

use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike, ES256PublicKey, RS256PublicKey, RSAPublicKeyLike,
};
use p256::ecdsa::signature::Verifier as _;
use superboring::hash::MessageDigest;
use superboring::pkey::{PKey, Public};
use superboring::rsa::Padding;
use superboring::sign::Verifier as RsaVerifier;

/// A signature algorithm (RFC 7518, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
}

/// A key that signatures of one algorithm are verified with.
pub struct PublicKey {
    algorithm: Algorithm,
    /// SubjectPublicKeyInfo (RFC 5280, 4.1), as Envoy takes it.
    der: Vec<u8>,
    material: Material,
}

enum Material {
    Rsa(Box<PKey<Public>>),
    P256(p256::ecdsa::VerifyingKey),
}

/// Answers whether a signature is good.
pub trait Verifier {
    /// Whether `signature` (as a JWS carries it, decoded) is that of `message` under `key`.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool;
}

/// Verifies in Rust, with the primitives that jwt-simple stands on.
///
/// Its own `verify_token` is not used: it also judges `typ`, `iat` and the shape of header members,
/// which Envoy's `verify_signature` does not, and the two would give different answers.
pub struct PureRust;

// === impl Algorithm ===

impl Algorithm {
    /// Every one, with its name in `alg`.
    pub const NAMES: [(&str, Self); 2] = [("RS256", Self::Rs256), ("ES256", Self::Es256)];

    /// By its name in `alg`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, algorithm)| *algorithm)
    }
}

// === impl PublicKey ===

impl PublicKey {
    /// Reads a JSON Web Key (RFC 7517) that is known to be JSON without duplicate names.
    ///
    /// RSA keys have 2048 to 4096 bits and the exponent 65537. jwt-simple compares `use`, `key_ops`
    /// and `alg` with the purpose, and refuses private and foreign members.
    ///
    /// # Errors
    /// Why the key cannot be used; no part of the key is in it.
    pub fn from_jwk(jwk: &serde_json::Value) -> Result<Self, String> {
        let member = |name: &str| jwk.get(name).and_then(serde_json::Value::as_str);
        // jwt-simple does not read long texts, and certificates make a key long.
        let is_read = |(name, _): &(&String, &serde_json::Value)| name.as_str() != "x5c";
        let members = jwk.as_object().into_iter().flatten().filter(is_read);
        let members = members.map(|(name, value)| (name.clone(), value.clone()));
        let text = serde_json::Value::Object(members.collect()).to_string();
        let unusable = |error: jwt_simple::Error| error.to_string().to_lowercase();
        match (member("kty"), member("crv"), member("alg")) {
            (Some("RSA"), None, None | Some("RS256")) => {
                let key = RS256PublicKey::from_jwk(&text).map_err(unusable)?;
                let rsa = PKey::from_rsa(key.public_key().as_ref().clone());
                let rsa = rsa.map_err(|_| "not an RSA key")?;
                Ok(Self {
                    algorithm: Algorithm::Rs256,
                    der: key.to_der().map_err(unusable)?,
                    material: Material::Rsa(Box::new(rsa)),
                })
            }
            (Some("EC"), Some("P-256"), None | Some("ES256")) => {
                let key = ES256PublicKey::from_jwk(&text).map_err(unusable)?;
                Ok(Self {
                    algorithm: Algorithm::Es256,
                    der: key.to_der().map_err(unusable)?,
                    material: Material::P256(*key.public_key().as_ref()),
                })
            }
            (kty, crv, alg) => {
                let of = |name: &str, value: Option<&str>| match value {
                    Some(value) => format!(
                        " {name} `{}`",
                        value.escape_debug().take(40).collect::<String>()
                    ),
                    None => String::new(),
                };
                let found = [of("kty", kty), of("crv", crv), of("alg", alg)].concat();
                Err(format!("not supported:{found}"))
            }
        }
    }

    /// What it verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// SubjectPublicKeyInfo, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm)
    }
}

// === impl PureRust ===

impl Verifier for PureRust {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        match &key.material {
            Material::Rsa(key) => RsaVerifier::new(MessageDigest::sha256(), key)
                .and_then(|mut verifier| {
                    // Without it, verifying panics.
                    verifier.set_rsa_padding(Padding::PKCS1)?;
                    verifier.update(message)?;
                    verifier.verify(signature)
                })
                .unwrap_or(false),
            Material::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}
