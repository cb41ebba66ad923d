//! The question that Envoy's foreign function `verify_signature` takes, and its answer, in bytes.
//!
//! Whether there is such a host is the business of `host/`; here nobody is asked.

use super::key::Material;
use super::{Algorithm, VerifyingKey, der, p521};

/// The name of the function.
pub const FUNCTION: &str = "verify_signature";

/// `VerifySignatureArguments` of `envoy.source.extensions.common.wasm`. `None` where the answer is
/// known to be no, and for what this function cannot verify: it sets no padding, and knows neither
/// Ed25519 nor secrets.
#[must_use]
pub fn arguments(
    algorithm: Algorithm,
    key: &VerifyingKey,
    message: &[u8],
    signature: &[u8],
) -> Option<Vec<u8>> {
    use Algorithm::{Es256, Es384, Es512, Rs256, Rs384, Rs512};
    if !key.fits(algorithm) {
        return None;
    }
    let hash: &[u8] = match algorithm {
        Rs256 | Es256 => b"sha256",
        Rs384 | Es384 => b"sha384",
        Rs512 | Es512 => b"sha512",
        _ => return None,
    };
    let der;
    let signature = match key.material() {
        Material::Rsa(_) => signature,
        Material::P256(_) => {
            der = der::ecdsa_signature(signature, 32)?;
            &der
        }
        Material::P384(_) => {
            der = der::ecdsa_signature(signature, 48)?;
            &der
        }
        Material::P521 => {
            der = der::ecdsa_signature(signature, p521::SIZE)?;
            &der
        }
        Material::Ed25519(_) | Material::Secret(_) => return None,
    };
    let fields = [(1, hash), (2, key.der()), (3, signature), (4, message)];
    let mut arguments = Vec::with_capacity(message.len().saturating_add(1536));
    for (number, value) in fields {
        push_field(&mut arguments, number, value);
    }
    Some(arguments)
}

/// Whether a `VerifySignatureResult` says that the signature is good: field 1 is `true`. A false one
/// is left out, with an error or without.
#[must_use]
pub fn is_good(result: &[u8]) -> bool {
    result.starts_with(&[0x08, 0x01])
}

/// A length-delimited field of protobuf.
fn push_field(message: &mut Vec<u8>, number: u8, value: &[u8]) {
    message.push(number << 3 | 2);
    let mut length = value.len();
    while length >= 0x80 {
        message.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend_from_slice(value);
}
