//! A key that signatures are verified with, read from a JSON Web Key (RFC 7517).
//!
//! Its kind is part of its type: no RSA key is ever the secret of an HMAC, whatever a token says.
//! What is read here comes from an issuer; no part of a key is ever in an error.

use super::{Algorithm, p521};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::Value;
use std::ops::RangeInclusive;
use superboring::bn::BigNum;
use superboring::pkey::{PKey, Public};
use superboring::rsa::Rsa;

/// A key that signatures are verified with.
pub struct VerifyingKey {
    /// The one algorithm that its `alg` names; every one that fits it otherwise.
    only: Option<Algorithm>,
    /// SubjectPublicKeyInfo (RFC 5280, 4.1), as Envoy takes it; empty for a secret.
    der: Vec<u8>,
    material: Material,
}

/// What a key is made of.
pub(super) enum Material {
    Rsa(Box<PKey<Public>>),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    /// Only as DER, for a host that verifies.
    P521,
    Ed25519(ed25519_compact::PublicKey),
    /// Shared with the issuer (RFC 7518, 6.4).
    Secret(Vec<u8>),
}

/// Where a key stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// In the configuration itself.
    Configuration,
    /// In a set that was fetched. It holds public keys alone: what everyone can read is no secret.
    Fetched,
}

/// Members that are part of a key, of any kind (RFC 7518, 6; RFC 8037; RFC 9964).
const MATERIAL: [&str; 15] = [
    "crv", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi", "oth", "k", "pub", "priv",
];

/// The length of an RSA modulus, in bits.
const RSA_BITS: RangeInclusive<usize> = 2_048..=4_096;

/// The one exponent of RSA keys (FIPS 186-5, A.1.1, allows others, which nobody uses).
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

/// SubjectPublicKeyInfo (RFC 5480, 2; RFC 8410, 4) up to the point or its coordinates.
const P256_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
const P384_HEAD: [u8; 24] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04,
];
const ED25519_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

const INVALID: &str = "invalid public key";

// === impl VerifyingKey ===

impl VerifyingKey {
    /// Reads a JSON Web Key that is known to be JSON without duplicate names.
    ///
    /// RSA keys have 2048 to 4096 bits and the exponent 65537. Private keys, keys for other purposes
    /// by `use` or `key_ops`, and members of another kind of key are refused.
    ///
    /// # Errors
    /// Why the key cannot be used; no part of the key is in it.
    pub fn from_jwk(jwk: &Value, provenance: Provenance) -> Result<Self, String> {
        let member = |name: &str| jwk.get(name).and_then(Value::as_str);
        let (kty, crv, alg) = (member("kty"), member("crv"), member("alg"));
        let not_supported = || {
            let found = [("kty", kty), ("crv", crv), ("alg", alg)].map(|(name, value)| {
                value.map_or(String::new(), |value| {
                    let value: String = value.escape_default().take(40).collect();
                    format!(" {name} `{value}`")
                })
            });
            format!("not supported:{}", found.concat())
        };
        let only = match jwk.get("alg") {
            None => None,
            Some(_) => Some(alg.and_then(Algorithm::by_name).ok_or_else(not_supported)?),
        };
        let (material, der) = match (kty, crv, provenance) {
            (Some("RSA"), None, _) => {
                is_plain(jwk, &["n", "e"], &["verify"])?;
                rsa(jwk)?
            }
            (Some("EC"), Some(curve @ ("P-256" | "P-384" | "P-521")), _) => {
                is_plain(jwk, &["crv", "x", "y"], &["verify"])?;
                match curve {
                    "P-256" => p256(jwk).ok_or(INVALID)?,
                    "P-384" => p384(jwk).ok_or(INVALID)?,
                    _ => {
                        let der = p521::public_key_der(member("x"), member("y"));
                        (Material::P521, der.ok_or(INVALID)?)
                    }
                }
            }
            (Some("OKP"), Some("Ed25519"), _) => {
                is_plain(jwk, &["crv", "x"], &["verify"])?;
                ed25519(jwk).ok_or(INVALID)?
            }
            (Some("oct"), None, Provenance::Configuration) => {
                is_plain(jwk, &["k"], &["verify", "sign"])?;
                let secret = member("k").and_then(|k| BASE64URL.decode(k).ok());
                let secret = secret.ok_or("`k` is not base64url")?;
                (Material::Secret(secret), Vec::new())
            }
            (Some("oct"), None, Provenance::Fetched) => {
                return Err("a symmetric key (kty `oct`), which only `jwks` may hold".to_owned());
            }
            _ => return Err(not_supported()),
        };
        let mut allowed = Algorithm::NAMES.iter().map(|(_, algorithm)| *algorithm);
        if !allowed.any(|it| only.is_none_or(|only| only == it) && material.fits(it)) {
            return Err(match &material {
                Material::Secret(secret) => format!(
                    "{} bytes are too few for {}; a secret is as long as the hash at least",
                    secret.len(),
                    only.unwrap_or(Algorithm::Hs256)
                ),
                _ => not_supported(),
            });
        }
        Ok(Self {
            only,
            der,
            material,
        })
    }

    /// Whether it is a key for this algorithm.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.only.is_none_or(|only| only == algorithm) && self.material.fits(algorithm)
    }

    /// The algorithms that it is a key for.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        let all = Algorithm::NAMES.iter().map(|(_, algorithm)| *algorithm);
        all.filter(|algorithm| self.fits(*algorithm))
    }

    /// SubjectPublicKeyInfo, DER; empty for a secret.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(super) fn material(&self) -> &Material {
        &self.material
    }
}

/// Keys of the configuration are compared, of which nobody is told.
impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        let secret = |it: &Self| match &it.material {
            Material::Secret(secret) => Some(secret.clone()),
            _ => None,
        };
        self.only == other.only && self.der == other.der && secret(self) == secret(other)
    }
}

impl Eq for VerifyingKey {}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VerifyingKey")?;
        f.debug_list().entries(self.algorithms()).finish()
    }
}

// === impl Material ===

impl Material {
    fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            Self::Rsa(_) => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
            Self::P256(_) => algorithm == Es256,
            Self::P384(_) => algorithm == Es384,
            Self::P521 => algorithm == Es512,
            Self::Ed25519(_) => algorithm == EdDsa,
            // RFC 7518, 3.2.
            Self::Secret(secret) => {
                algorithm.is_symmetric() && secret.len() >= algorithm.hash_size()
            }
        }
    }
}

/// Whether a key is one for verifying and nothing more than that.
fn is_plain(jwk: &Value, material: &[&str], operations: &[&str]) -> Result<(), String> {
    let members = jwk.as_object().ok_or("not an object")?;
    let foreign = members.keys().map(String::as_str);
    let mut foreign = foreign.filter(|it| MATERIAL.contains(it) && !material.contains(it));
    if let Some(name) = foreign.next() {
        return Err(format!("not a plain public key: it has `{name}`"));
    }
    if members.get("use").is_some_and(|it| it != "sig") {
        return Err("`use` is not `sig`".to_owned());
    }
    if members.get("kid").is_some_and(|it| !it.is_string()) {
        return Err("`kid` is not a string".to_owned());
    }
    if let Some(ops) = members.get("key_ops") {
        let known = |op: &Value| op.as_str().is_some_and(|op| operations.contains(&op));
        let fine = |ops: &Vec<Value>| {
            ops.len() <= operations.len()
                && ops.iter().all(known)
                && (ops.is_empty() || ops.iter().any(|op| op == "verify"))
        };
        if !ops.as_array().is_some_and(fine) {
            return Err("`key_ops` is not for verifying".to_owned());
        }
    }
    Ok(())
}

/// The bytes of a member in base64url, which must be so many.
fn decoded(jwk: &Value, name: &str, size: usize) -> Option<Vec<u8>> {
    let text = jwk.get(name)?.as_str()?;
    BASE64URL.decode(text).ok().filter(|it| it.len() == size)
}

fn rsa(jwk: &Value) -> Result<(Material, Vec<u8>), String> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    // Some put a zero before the modulus, so that it is no negative number in their language.
    let longest = RSA_BITS.end().div_ceil(8).saturating_add(1);
    let modulus = text("n").filter(|n| n.len() <= longest.div_ceil(3).saturating_mul(4));
    let modulus = BASE64URL.decode(modulus.unwrap_or_default());
    let modulus = modulus.map_err(|_| INVALID)?;
    let modulus = match modulus.as_slice() {
        [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => rest,
        modulus => modulus,
    };
    let exponent = text("e").and_then(|e| BASE64URL.decode(e).ok());
    let first = modulus.first().copied().unwrap_or_default();
    let odd = modulus.last().is_some_and(|last| last % 2 == 1);
    if first == 0 || !odd || exponent.is_none_or(|it| it != RSA_EXPONENT) {
        return Err(INVALID.to_owned());
    }
    let unused = usize::try_from(first.leading_zeros()).unwrap_or_default();
    let bits = modulus.len().saturating_mul(8).saturating_sub(unused);
    if !RSA_BITS.contains(&bits) {
        return Err(format!(
            "an RSA key of {bits} bits; {} to {} are allowed",
            RSA_BITS.start(),
            RSA_BITS.end()
        ));
    }
    let of_superboring = || {
        let number = BigNum::from_slice;
        let key = Rsa::from_public_components(number(modulus)?, number(&RSA_EXPONENT)?)?;
        let der = key.public_key_to_der()?;
        Ok((Material::Rsa(Box::new(PKey::from_rsa(key)?)), der))
    };
    let key: Result<_, superboring::error::ErrorStack> = of_superboring();
    key.map_err(|_| INVALID.to_owned())
}

fn p256(jwk: &Value) -> Option<(Material, Vec<u8>)> {
    let point = [decoded(jwk, "x", 32)?, decoded(jwk, "y", 32)?].concat();
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&[&[4], &*point].concat()).ok()?;
    Some((Material::P256(key), [&P256_HEAD, &*point].concat()))
}

fn p384(jwk: &Value) -> Option<(Material, Vec<u8>)> {
    let point = [decoded(jwk, "x", 48)?, decoded(jwk, "y", 48)?].concat();
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&[&[4], &*point].concat()).ok()?;
    Some((Material::P384(key), [&P384_HEAD, &*point].concat()))
}

fn ed25519(jwk: &Value) -> Option<(Material, Vec<u8>)> {
    let point = decoded(jwk, "x", ed25519_compact::PublicKey::BYTES)?;
    let key = ed25519_compact::PublicKey::from_slice(&point).ok()?;
    // A point of small order would verify nearly anything.
    key.validate().ok()?;
    Some((Material::Ed25519(key), [&ED25519_HEAD, &*point].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::signature::PROBES;
    use serde_json::json;

    /// A key of these members, laid over one that a host is tried with.
    fn with(algorithm: Algorithm, members: Value) -> Value {
        let probe = PROBES.iter().find(|probe| probe.algorithm == algorithm);
        laid_over(serde_json::from_str(probe.unwrap().jwk).unwrap(), members)
    }

    /// RFC 8037, A.2.
    fn ed25519(members: Value) -> Value {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        laid_over(json!({"kty": "OKP", "crv": "Ed25519", "x": x}), members)
    }

    fn secret(bytes: usize, members: Value) -> Value {
        let k = BASE64URL.encode(vec![7; bytes]);
        laid_over(json!({"kty": "oct", "k": k}), members)
    }

    fn laid_over(mut jwk: Value, members: Value) -> Value {
        let jwk_members = jwk.as_object_mut().unwrap();
        jwk_members.extend(members.as_object().unwrap().clone());
        jwk_members.retain(|_, value| *value != "leave out");
        jwk
    }

    fn read(jwk: &Value, provenance: Provenance) -> Result<String, String> {
        let key = VerifyingKey::from_jwk(jwk, provenance)?;
        let names: Vec<_> = key.algorithms().map(Algorithm::name).collect();
        let shown = names.join(" ");
        assert_eq!(
            format!("{key:?}").split(',').count(),
            names.len(),
            "{key:?}"
        );
        Ok(shown)
    }

    #[test]
    fn a_key_is_for_the_algorithms_of_its_kind_or_the_one_it_names() {
        use Algorithm::{Es256, Es384, Es512, Rs256};
        let rsa = |members| with(Rs256, members);
        for (jwk, algorithms) in [
            (rsa(json!({})), "RS256 RS384 RS512 PS256 PS384 PS512"),
            (rsa(json!({"alg": "RS256"})), "RS256"),
            (rsa(json!({"alg": "RS512"})), "RS512"),
            (rsa(json!({"alg": "PS384"})), "PS384"),
            (with(Es256, json!({})), "ES256"),
            (with(Es256, json!({"alg": "ES256"})), "ES256"),
            (with(Es384, json!({})), "ES384"),
            (with(Es384, json!({"alg": "ES384", "use": "sig"})), "ES384"),
            (with(Es512, json!({})), "ES512"),
            (
                with(Es512, json!({"alg": "ES512", "key_ops": ["verify"]})),
                "ES512",
            ),
            (ed25519(json!({})), "EdDSA"),
            (ed25519(json!({"alg": "EdDSA", "key_ops": []})), "EdDSA"),
        ] {
            for origin in [Provenance::Configuration, Provenance::Fetched] {
                assert_eq!(read(&jwk, origin).as_deref(), Ok(algorithms), "{jwk}");
            }
        }
    }

    #[test]
    fn a_secret_is_for_hashes_that_are_not_longer_and_only_from_the_configuration() {
        let few = |bytes, name| {
            Err(format!(
                "{bytes} bytes are too few for {name}; a secret is as long as the hash at least"
            ))
        };
        for (bytes, members, expected) in [
            (0, json!({}), few(0, "HS256")),
            (31, json!({}), few(31, "HS256")),
            (32, json!({}), Ok("HS256")),
            (47, json!({}), Ok("HS256")),
            (48, json!({}), Ok("HS256 HS384")),
            (63, json!({}), Ok("HS256 HS384")),
            (64, json!({}), Ok("HS256 HS384 HS512")),
            (1000, json!({}), Ok("HS256 HS384 HS512")),
            (64, json!({"alg": "HS256"}), Ok("HS256")),
            (
                64,
                json!({"key_ops": ["sign", "verify"]}),
                Ok("HS256 HS384 HS512"),
            ),
            (31, json!({"alg": "HS256"}), few(31, "HS256")),
            (47, json!({"alg": "HS384"}), few(47, "HS384")),
            (63, json!({"alg": "HS512"}), few(63, "HS512")),
        ] {
            let jwk = secret(bytes, members);
            let found = read(&jwk, Provenance::Configuration);
            assert_eq!(found, expected.map(str::to_owned), "{bytes}: {jwk}");
            let fetched = read(&jwk, Provenance::Fetched).unwrap_err();
            assert_eq!(
                fetched,
                "a symmetric key (kty `oct`), which only `jwks` may hold"
            );
        }
    }

    #[test]
    fn what_is_no_key_of_ours_is_refused_with_a_reason_and_without_the_key() {
        use Algorithm::{Es256, Es384, Es512, Rs256};
        let secret = |members| secret(64, members);
        let private = "not a plain public key: it has `d`";
        for (jwk, expected) in [
            (json!("x"), "not supported:"),
            (json!({}), "not supported:"),
            (secret(json!({"kty": "OCT"})), "not supported: kty `OCT`"),
            (
                secret(json!({"crv": "P-256"})),
                "not supported: kty `oct` crv `P-256`",
            ),
            (
                secret(json!({"alg": "RS256"})),
                "64 bytes are too few for RS256",
            ),
            (
                secret(json!({"alg": "none"})),
                "not supported: kty `oct` alg `none`",
            ),
            (secret(json!({"k": "AA=="})), "`k` is not base64url"),
            (secret(json!({"k": "A"})), "`k` is not base64url"),
            (secret(json!({"k": 7})), "`k` is not base64url"),
            (secret(json!({"k": "leave out"})), "`k` is not base64url"),
            (
                secret(json!({"x": "AA"})),
                "not a plain public key: it has `x`",
            ),
            (secret(json!({"use": "enc"})), "`use` is not `sig`"),
            (
                secret(json!({"key_ops": ["sign"]})),
                "`key_ops` is not for verifying",
            ),
            (
                secret(json!({"key_ops": "verify"})),
                "`key_ops` is not for verifying",
            ),
            (secret(json!({"kid": 1})), "`kid` is not a string"),
            (
                with(Rs256, json!({"alg": "HS256"})),
                "not supported: kty `RSA` alg `HS256`",
            ),
            (
                with(Rs256, json!({"alg": "ES256"})),
                "not supported: kty `RSA` alg `ES256`",
            ),
            (
                with(Rs256, json!({"alg": "RSA-OAEP"})),
                "not supported: kty `RSA` alg `RSA-OAEP`",
            ),
            (
                with(Rs256, json!({"alg": null})),
                "not supported: kty `RSA`",
            ),
            (
                with(Rs256, json!({"k": "AA"})),
                "not a plain public key: it has `k`",
            ),
            (with(Rs256, json!({"d": "AA"})), private),
            (
                with(Es256, json!({"alg": "ES384"})),
                "not supported: kty `EC` crv `P-256` alg `ES384`",
            ),
            (
                with(Es256, json!({"crv": "secp256k1"})),
                "not supported: kty `EC` crv `secp256k1`",
            ),
            (with(Es256, json!({"crv": "P-384"})), "invalid public key"),
            (with(Es384, json!({"crv": "P-256"})), "invalid public key"),
            (with(Es384, json!({"crv": "P-521"})), "invalid public key"),
            (
                with(Es384, json!({"x": "A".repeat(64)})),
                "invalid public key",
            ),
            (with(Es384, json!({"d": "AA"})), private),
            (
                with(Es512, json!({"x": "A".repeat(88)})),
                "invalid public key",
            ),
            (with(Es512, json!({"y": "leave out"})), "invalid public key"),
            (with(Es512, json!({"crv": "P-384"})), "invalid public key"),
            (
                with(Es512, json!({"alg": "ES384"})),
                "not supported: kty `EC` crv `P-521` alg `ES384`",
            ),
            (with(Es512, json!({"d": "AA"})), private),
            (
                with(Es512, json!({"key_ops": ["verify", "verify"]})),
                "`key_ops` is not for verifying",
            ),
            (
                ed25519(json!({"alg": "Ed448"})),
                "not supported: kty `OKP` crv `Ed25519` alg `Ed448`",
            ),
            (
                ed25519(json!({"alg": "ES256"})),
                "not supported: kty `OKP` crv `Ed25519` alg `ES256`",
            ),
            (
                ed25519(json!({"crv": "Ed448"})),
                "not supported: kty `OKP` crv `Ed448`",
            ),
            (
                ed25519(json!({"crv": "X25519"})),
                "not supported: kty `OKP` crv `X25519`",
            ),
            (ed25519(json!({"d": "AA"})), private),
            // Of small order: it would verify nearly anything.
            (
                ed25519(json!({"x": format!("AQ{}", "A".repeat(41))})),
                "invalid public key",
            ),
            (ed25519(json!({"x": "A".repeat(43)})), "invalid public key"),
            (ed25519(json!({"x": "A".repeat(42)})), "invalid public key"),
        ] {
            let found = read(&jwk, Provenance::Configuration).unwrap_err();
            assert!(found.starts_with(expected), "{jwk}: {found}");
        }
    }

    #[test]
    fn the_key_for_a_host_is_what_others_make_of_it() {
        use jwt_simple::algorithms::{
            ES256PublicKey, ES384PublicKey, Ed25519PublicKey, RS256PublicKey,
        };
        let with_zero = |jwk: &Value| {
            let n = BASE64URL.decode(jwk["n"].as_str().unwrap()).unwrap();
            laid_over(
                jwk.clone(),
                json!({"n": BASE64URL.encode([&[0], &*n].concat())}),
            )
        };
        let rsa = with(Algorithm::Rs256, json!({}));
        let p256 = with(Algorithm::Es256, json!({}));
        let p384 = with(Algorithm::Es384, json!({}));
        let ed25519 = ed25519(json!({}));
        let theirs = |jwk: &Value| {
            let text = jwk.to_string();
            match (jwk["kty"].as_str().unwrap(), jwk["crv"].as_str()) {
                ("RSA", _) => RS256PublicKey::from_jwk(&text).unwrap().to_der().unwrap(),
                (_, Some("P-256")) => ES256PublicKey::from_jwk(&text).unwrap().to_der().unwrap(),
                (_, Some("P-384")) => ES384PublicKey::from_jwk(&text).unwrap().to_der().unwrap(),
                _ => Ed25519PublicKey::from_jwk(&text).unwrap().to_der(),
            }
        };
        for jwk in [&rsa, &with_zero(&rsa), &p256, &p384, &ed25519] {
            let key = VerifyingKey::from_jwk(jwk, Provenance::Fetched).unwrap();
            assert_eq!(key.der(), theirs(jwk), "{jwk}");
        }
    }

    #[test]
    fn rsa_keys_have_a_size_and_one_exponent() {
        let of_bits = |bits: usize| {
            let mut n = vec![0xff; bits.div_ceil(8)];
            n[0] >>= (8 - bits % 8) % 8;
            with(Algorithm::Rs256, json!({"n": BASE64URL.encode(n)}))
        };
        for (jwk, expected) in [
            (of_bits(2048), ""),
            (of_bits(4096), ""),
            (
                of_bits(2047),
                "an RSA key of 2047 bits; 2048 to 4096 are allowed",
            ),
            (
                of_bits(4097),
                "an RSA key of 4097 bits; 2048 to 4096 are allowed",
            ),
            (of_bits(100_000), INVALID),
            (with(Algorithm::Rs256, json!({"e": "Aw"})), INVALID),
            (with(Algorithm::Rs256, json!({"e": "AAEAAQ"})), INVALID),
            (with(Algorithm::Rs256, json!({"n": "leave out"})), INVALID),
            (with(Algorithm::Rs256, json!({"n": ""})), INVALID),
        ] {
            let found = VerifyingKey::from_jwk(&jwk, Provenance::Fetched);
            let found = found.err().unwrap_or_default();
            assert_eq!(found, expected, "{jwk}");
        }
    }

    #[test]
    fn a_point_beside_the_curve_is_no_key() {
        // A coordinate of P-521 that is one more than the point's.
        let jwk = with(Algorithm::Es512, json!({}));
        let key = VerifyingKey::from_jwk(&jwk, Provenance::Fetched).unwrap();
        assert_eq!(key.der().len(), 158);
        let x = jwk["x"].as_str().unwrap();
        let changed = format!("{}J", x.strip_suffix('I').unwrap());
        let jwk = laid_over(jwk, json!({"x": changed}));
        assert!(VerifyingKey::from_jwk(&jwk, Provenance::Fetched).is_err());
    }
}
