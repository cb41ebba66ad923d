//! Signatures: which algorithms there are, and whether a signature is good. Nothing else.
//!
//! The header, the claims and the times of a token are judged in [`super::jwt`], the same for every
//! back end; so a back end cannot make a token good that the other refuses, or the reverse. Which
//! algorithm is taken is decided by the key: a token only names one of those that fit it.

mod der;
pub mod envoy;
mod key;
mod p521;
mod probe;

pub use key::{Provenance, VerifyingKey};
pub use probe::{PROBES, Probe};

use key::Material;
use p256::ecdsa::signature::Verifier as _;
use superboring::hash::MessageDigest;
use superboring::pkey::{PKey, Public};
use superboring::reexports::{hmac_sha256, hmac_sha512};
use superboring::rsa::Padding;
use superboring::sign::{RsaPssSaltlen, Verifier as RsaVerifier};

/// A signature algorithm (RFC 7518, 3.1; RFC 8037, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256, its mask and its salt as long as the hash (RFC 7518, 3.5).
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// ECDSA with P-384 and SHA-384.
    Es384,
    /// ECDSA with P-521 and SHA-512.
    Es512,
    /// EdDSA, and of its curves Ed25519.
    EdDsa,
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

/// Answers whether a signature is good.
pub trait Verifier {
    /// Whether it knows the algorithm at all.
    fn serves(&self, algorithm: Algorithm) -> bool;

    /// Whether `signature` (as a JWS carries it, decoded) is that of `message` under `key`, by
    /// `algorithm`. Never so where the algorithm does not fit the key.
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &VerifyingKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool;
}

/// Verifies in Rust, with the primitives that jwt-simple stands on. ES512 is not among them.
///
/// Its own `verify_token` is not used: it also judges `typ`, `iat` and the shape of header members,
/// which Envoy's `verify_signature` does not, and the two would give different answers.
pub struct PureRust;

// === impl Algorithm ===

impl Algorithm {
    /// Every one, with its name in `alg`.
    pub const NAMES: [(&str, Self); 13] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("ES512", Self::Es512),
        ("EdDSA", Self::EdDsa),
        ("HS256", Self::Hs256),
        ("HS384", Self::Hs384),
        ("HS512", Self::Hs512),
    ];

    /// By its name in `alg`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, algorithm)| *algorithm)
    }

    /// Its name in `alg`.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, known)| *known == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether it verifies with the secret that it signs with.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    /// The length of its hash, in bytes.
    fn hash_size(self) -> usize {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 | Self::Hs256 => 32,
            Self::Rs384 | Self::Ps384 | Self::Es384 | Self::Hs384 => 48,
            Self::Rs512
            | Self::Ps512
            | Self::Es512
            | Self::Hs512
            // Within it (RFC 8032, 5.1).
            | Self::EdDsa => 64,
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

// === impl PureRust ===

impl Verifier for PureRust {
    fn serves(&self, algorithm: Algorithm) -> bool {
        algorithm != Algorithm::Es512
    }

    fn verify(
        &self,
        algorithm: Algorithm,
        key: &VerifyingKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        if !key.fits(algorithm) {
            return false;
        }
        // From here on the key's own kind says what is computed, not the token.
        match key.material() {
            Material::Rsa(key) => rsa(algorithm, key, message, signature).unwrap_or(false),
            Material::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Material::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Material::P521 => false,
            Material::Ed25519(key) => ed25519_compact::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Material::Secret(key) => hmac(algorithm, key, message, signature),
        }
    }
}

fn rsa(
    algorithm: Algorithm,
    key: &PKey<Public>,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, superboring::error::ErrorStack> {
    use Algorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    let (hash, padding) = match algorithm {
        Rs256 => (MessageDigest::sha256(), Padding::PKCS1),
        Rs384 => (MessageDigest::sha384(), Padding::PKCS1),
        Rs512 => (MessageDigest::sha512(), Padding::PKCS1),
        Ps256 => (MessageDigest::sha256(), Padding::PKCS1_PSS),
        Ps384 => (MessageDigest::sha384(), Padding::PKCS1_PSS),
        Ps512 => (MessageDigest::sha512(), Padding::PKCS1_PSS),
        _ => return Ok(false),
    };
    let mut verifier = RsaVerifier::new(hash, key)?;
    // Without it, verifying panics.
    verifier.set_rsa_padding(padding)?;
    verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    verifier.update(message)?;
    verifier.verify(signature)
}

/// In constant time, since here the right signature must not be found out byte by byte.
fn hmac(algorithm: Algorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    match algorithm {
        Algorithm::Hs256 => <&[u8; 32]>::try_from(signature)
            .is_ok_and(|tag| hmac_sha256::HMAC::verify(message, key, tag)),
        Algorithm::Hs384 => <&[u8; 48]>::try_from(signature)
            .is_ok_and(|tag| hmac_sha512::sha384::HMAC::verify(message, key, tag)),
        Algorithm::Hs512 => <&[u8; 64]>::try_from(signature)
            .is_ok_and(|tag| hmac_sha512::HMAC::verify(message, key, tag)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_registry_and_lead_back() {
        for (name, algorithm) in Algorithm::NAMES {
            assert_eq!(Algorithm::by_name(name), Some(algorithm));
            assert_eq!(algorithm.to_string(), name);
        }
        for name in [
            "", "none", "rs256", "RS256 ", "ES256K", "HS1", "eddsa", "Ed25519",
        ] {
            assert_eq!(Algorithm::by_name(name), None, "`{name}`");
        }
    }
}
