//! The header `x-forwarded-client-cert`, in which Envoy hands over the certificate of a client.
//!
//! Nothing in it is believed. By the mode of the gateway a client may have sent all of it, and Envoy
//! does not escape what it writes there of the names in a certificate. A certificate is taken from
//! it only if it is the one with the digest that the host gives for the connection.
//!
//! So it does not matter where that certificate stands, and no quote or comma that a client sends
//! can move it into another value: each `Cert=` is looked at, the last one first, which is Envoy's
//! own if Envoy appends one.

use super::MAX_BYTES;
use super::certificate::{self, Certificate};

/// The key of a certificate.
const KEY: &[u8] = b"cert=";

/// The certificate with this SHA-256 among those in the lines of the header.
///
/// Of lines that are longer than 64 KiB in all, only the last 64 KiB are read: a client's own come
/// before those of Envoy.
pub fn certificate<'a>(
    header_lines: impl Iterator<Item = &'a [u8]>,
    sha256: &[u8; 32],
) -> Option<Certificate> {
    let lines: Vec<&[u8]> = header_lines.collect();
    let mut left = MAX_BYTES;
    for line in lines.into_iter().rev() {
        let from = line.len().saturating_sub(left);
        let mut rest = line.get(from..)?;
        left = left.saturating_sub(rest.len());
        // Each byte is part of one value at most, so this costs what one certificate may cost.
        while let Some(at) = rest
            .windows(KEY.len())
            .rposition(|part| part.eq_ignore_ascii_case(KEY))
        {
            let (before, found) = rest.split_at_checked(at)?;
            let der = value(found).and_then(certificate::der);
            if let Some(der) = der.filter(|der| certificate::sha256(der) == *sha256) {
                return Certificate::from_der(&der);
            }
            rest = before;
        }
    }
    None
}

/// The value of a pair: in quotes, or up to the end of the pair.
///
/// A certificate in the URL encoding holds no quote, so there is no escape to be undone.
fn value(pair: &[u8]) -> Option<&[u8]> {
    match pair.get(KEY.len()..)? {
        [b'"', value @ ..] => {
            let end = value.iter().position(|byte| *byte == b'"')?;
            value.get(..end)
        }
        value => value.split(|byte| matches!(byte, b',' | b';')).next(),
    }
}

#[cfg(test)]
mod tests;
