//! An X.509 certificate (RFC 5280), as far as a policy can ask about it.
//!
//! It is the certificate of a client that Envoy has verified, found by its digest in
//! [`super::xfcc`], so neither its signature nor its dates are looked at, and version 1 does as
//! well. Text that goes to a policy or to a header is what Envoy itself writes for the same
//! certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use superboring::reexports::hmac_sha256::Hash;

use super::der::{BIT_STRING, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE};
use super::{MAX_BYTES, name, push_hex};

/// The lines around a certificate (RFC 7468, section 5).
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// How many characters stand in a line between them.
const LINE: usize = 64;

/// The identifier of subjectAltName: 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Who issued it, as in `%DOWNSTREAM_PEER_ISSUER%`.
    pub issuer: String,
    /// Its number, as in `%DOWNSTREAM_PEER_SERIAL%`.
    pub serial: String,
    /// The URIs among its alternative names.
    pub uris: Vec<Vec<u8>>,
    /// The DNS names among its alternative names.
    pub dns: Vec<Vec<u8>>,
    /// The SHA-256 of its DER.
    pub sha256: [u8; 32],
    /// Itself, as in `%DOWNSTREAM_PEER_CERT%`: PEM, URL-encoded.
    pub pem: String,
}

// === impl Certificate ===

impl Certificate {
    /// Reads the first certificate of a PEM text, plain or URL-encoded, of at most 64 KiB.
    #[must_use]
    pub fn from_pem(text: &[u8]) -> Option<Self> {
        Self::from_der(&der(text)?)
    }

    /// The subject of the first certificate of a PEM text, in the form in which the host tells it.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn subject_of_pem(text: &[u8]) -> Option<String> {
        let der = der(text)?;
        let mut reader = Reader::new(&der);
        let mut certificate = Reader::new(reader.take(SEQUENCE)?);
        let mut signed = Reader::new(certificate.take(SEQUENCE)?);
        let _version = signed.optional(0xa0)?;
        let _serial = signed.take(INTEGER)?;
        let _algorithm = signed.take(SEQUENCE)?;
        let _issuer = signed.take(SEQUENCE)?;
        let _validity = signed.take(SEQUENCE)?;
        name::text(signed.take(SEQUENCE)?)
    }

    /// Reads a certificate in DER.
    pub(super) fn from_der(der: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(der);
        let mut certificate = Reader::new(reader.take(SEQUENCE)?);
        reader.end()?;
        let mut signed = Reader::new(certificate.take(SEQUENCE)?);
        let _algorithm = certificate.take(SEQUENCE)?;
        let _signature = certificate.take(BIT_STRING)?;
        certificate.end()?;

        let _version = signed.optional(0xa0)?;
        let serial = serial(signed.take(INTEGER)?)?;
        let _algorithm = signed.take(SEQUENCE)?;
        let issuer = name::text(signed.take(SEQUENCE)?)?;
        let _validity = signed.take(SEQUENCE)?;
        let _subject = signed.take(SEQUENCE)?;
        let _key = signed.take(SEQUENCE)?;
        let _issuer_id = signed.optional(0x81)?;
        let _subject_id = signed.optional(0x82)?;
        let extensions = signed.optional(0xa3)?;
        signed.end()?;

        let mut certificate = Self {
            issuer,
            serial,
            uris: Vec::new(),
            dns: Vec::new(),
            sha256: sha256(der),
            pem: pem(der),
        };
        if let Some(extensions) = extensions {
            certificate.read_extensions(extensions)?;
        }
        Some(certificate)
    }

    /// Reads the extensions, of which none may stand there twice (RFC 5280, section 4.2): that is
    /// looked at for subjectAltName, and no other is read.
    fn read_extensions(&mut self, extensions: &[u8]) -> Option<()> {
        let mut reader = Reader::new(extensions);
        let mut extensions = Reader::new(reader.take(SEQUENCE)?);
        reader.end()?;
        let mut names = None;
        while !extensions.is_empty() {
            let mut extension = Reader::new(extensions.take(SEQUENCE)?);
            let identifier = extension.take(OBJECT_IDENTIFIER)?;
            let _critical = extension.optional(0x01)?;
            let value = extension.take(OCTET_STRING)?;
            extension.end()?;
            if identifier == SUBJECT_ALT_NAME && names.replace(value).is_some() {
                return None;
            }
        }
        names.map_or(Some(()), |names| self.read_names(names))
    }

    /// Reads a `SubjectAltName` (RFC 5280, section 4.2.1.6); names of other types are skipped.
    fn read_names(&mut self, extension: &[u8]) -> Option<()> {
        let mut reader = Reader::new(extension);
        let mut names = Reader::new(reader.take(SEQUENCE)?);
        reader.end()?;
        while !names.is_empty() {
            let name = names.element()?;
            match name.tag {
                0x82 => self.dns.push(name.value.to_vec()),
                0x86 => self.uris.push(name.value.to_vec()),
                _ => {}
            }
        }
        Some(())
    }
}

/// An INTEGER as BoringSSL's `BN_bn2hex` writes it: whole bytes, but `0` for zero.
fn serial(integer: &[u8]) -> Option<String> {
    let (first, rest) = integer.split_first()?;
    let negative = first & 0x80 != 0;
    // The shortest form is the only one: X.690, section 8.3.2.
    let spare = if negative { 0xff } else { 0 };
    if *first == spare
        && rest
            .first()
            .is_some_and(|next| (next & 0x80 != 0) == negative)
    {
        return None;
    }
    let mut magnitude = integer.to_vec();
    let mut carry = negative;
    for byte in magnitude.iter_mut().rev().filter(|_| negative) {
        (*byte, carry) = (!*byte).overflowing_add(carry.into());
    }
    let mut text = String::from(if negative { "-" } else { "" });
    let digits = magnitude.iter().skip_while(|byte| **byte == 0);
    digits.for_each(|byte| push_hex(&mut text, *byte));
    if text.is_empty() {
        text.push('0');
    }
    Some(text)
}

/// The DER of the first certificate of a PEM text, plain or URL-encoded.
pub(super) fn der(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let text = percent_encoding::percent_decode(text).decode_utf8().ok()?;
    let (_, text) = text.split_once(BEGIN)?;
    let (text, _) = text.split_once(END)?;
    let digits = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    BASE64.decode(digits.collect::<Vec<u8>>()).ok()
}

/// PEM in the URL encoding of Envoy, which is of what stands in PEM alone.
fn pem(der: &[u8]) -> String {
    let digits = BASE64.encode(der);
    let mut text = String::new();
    let mut push = |bytes: &[u8]| {
        for byte in bytes.iter().chain(b"\n") {
            match byte {
                b'\n' => text.push_str("%0A"),
                b' ' => text.push_str("%20"),
                b'+' => text.push_str("%2B"),
                b'/' => text.push_str("%2F"),
                b'=' => text.push_str("%3D"),
                other => text.push((*other).into()),
            }
        }
    };
    push(BEGIN.as_bytes());
    digits.as_bytes().chunks(LINE).for_each(&mut push);
    push(END.as_bytes());
    text
}

/// The SHA-256 by which the host calls a certificate.
pub(super) fn sha256(der: &[u8]) -> [u8; 32] {
    Hash::hash(der)
}

#[cfg(test)]
mod tests;
