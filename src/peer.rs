//! What a gateway is told of the certificate of a client.
//!
//! The host says who is connected in the properties of the connection: the subject and the SHA-256
//! of the certificate, but neither its issuer nor all of its names. Those stand in the certificate,
//! which Envoy adds to `x-forwarded-client-cert`; there [`xfcc`] finds the one with that digest.
//! [`certificate`] reads it, [`name`] reads and writes the names in it.
//!
//! Nothing here verifies a signature, a date or a chain: Envoy did before it told us the digest.
//! What cannot be read is nobody's: each failure is `None`.

pub mod certificate;
mod der;
pub mod name;
pub mod xfcc;

pub use certificate::Certificate;
pub use name::DistinguishedName;

/// The most that is read of a certificate, a name or a header.
const MAX_BYTES: usize = 64 * 1024;

/// Reads a SHA-256 as the host writes it: 64 hex digits.
#[must_use]
pub fn digest(hex: &[u8]) -> Option<[u8; 32]> {
    let (pairs, odd) = hex.as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|pair| byte(*pair)).collect();
    odd.is_empty().then_some(bytes?)?.try_into().ok()
}

/// The byte that two hex digits stand for.
fn byte(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? << 4 | low?).ok()
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    bytes.iter().for_each(|byte| push_hex(&mut text, *byte));
    text
}

/// Writes the two digits of a byte.
fn push_hex(text: &mut String, byte: u8) {
    for half in [byte >> 4, byte & 0xf] {
        text.extend(char::from_digit(half.into(), 16));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_digests() {
        let good = "00ff".repeat(16);
        let bytes: [u8; 32] = std::array::from_fn(|at| [0, 0xff][at & 1]);
        for (hex, expected) in [
            (good.clone(), Some(bytes)),
            (good.to_ascii_uppercase(), Some(bytes)),
            (good.replace("ff", "fg"), None),
            (good.replacen("00", "+0", 1), None),
            (format!("{good}0"), None),
            (format!("{good}00"), None),
            (good.replacen("00", "", 1), None),
            (good.replacen("00", "0", 1), None),
            (String::new(), None),
        ] {
            assert_eq!(digest(hex.as_bytes()), expected, "{hex}");
        }
    }

    proptest! {
        #[test]
        fn reads_the_digest_that_was_written(bytes: [u8; 32]) {
            prop_assert_eq!(digest(hex(&bytes).as_bytes()), Some(bytes));
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = digest(&bytes);
        }
    }
}
