//! Public keys on P-521 (FIPS 186-5, SP 800-186 3.2.1.5), for hosts that verify with them.
//!
//! No arithmetic for signatures: just what tells a key from rubbish.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use superboring::reexports::rsa::BigUint;

/// The length of a coordinate, in bytes.
pub(super) const SIZE: usize = 66;

/// The curve is y² = x³ - 3x + b modulo 2⁵²¹ - 1.
const B: [u8; 65] = [
    0x51, 0x95, 0x3e, 0xb9, 0x61, 0x8e, 0x1c, 0x9a, 0x1f, 0x92, 0x9a, 0x21, 0xa0, 0xb6, 0x85, 0x40,
    0xee, 0xa2, 0xda, 0x72, 0x5b, 0x99, 0xb3, 0x15, 0xf3, 0xb8, 0xb4, 0x89, 0x91, 0x8e, 0xf1, 0x09,
    0xe1, 0x56, 0x19, 0x39, 0x51, 0xec, 0x7e, 0x93, 0x7b, 0x16, 0x52, 0xc0, 0xbd, 0x3b, 0xb1, 0xbf,
    0x07, 0x35, 0x73, 0xdf, 0x88, 0x3d, 0x2c, 0x34, 0xf1, 0xef, 0x45, 0x1f, 0xd4, 0x6b, 0x50, 0x3f,
    0x00,
];

/// SubjectPublicKeyInfo up to the coordinates: id-ecPublicKey, secp521r1, an uncompressed point.
const HEAD: [u8; 26] = [
    0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05,
    0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00, 0x04,
];

/// SubjectPublicKeyInfo of the point with these coordinates in base64url, if it is one of the curve.
pub(super) fn public_key_der(x: Option<&str>, y: Option<&str>) -> Option<Vec<u8>> {
    let coordinate = |text: &str| BASE64URL.decode(text).ok().filter(|it| it.len() == SIZE);
    let (x, y) = (coordinate(x?)?, coordinate(y?)?);
    is_on_curve(&x, &y).then(|| [&HEAD, x.as_slice(), &y].concat())
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "big integers that only grow"
)]
fn is_on_curve(x: &[u8], y: &[u8]) -> bool {
    let mut modulus = [0xff; SIZE];
    if let Some(first) = modulus.first_mut() {
        *first = 1;
    }
    let p = BigUint::from_bytes_be(&modulus);
    let (x, y) = (BigUint::from_bytes_be(x), BigUint::from_bytes_be(y));
    let left = &y * &y + &x + &x + &x;
    let right = &x * &x * &x + BigUint::from_bytes_be(&B);
    x < p && y < p && left % &p == right % &p
}
