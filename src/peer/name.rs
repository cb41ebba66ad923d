//! Distinguished names: read from the text that Envoy writes, and written as Envoy writes them.
//!
//! Envoy writes a name by BoringSSL's `X509_NAME_print_ex` with `XN_FLAG_RFC2253`, which is a strict
//! form of RFC 4514; no other is read. A name is never searched as text: a value can hold anything,
//! so `O=x\,CN=admin` has no CN.

use super::der::{OBJECT_IDENTIFIER, Reader, SEQUENCE, SET};
use super::{MAX_BYTES, byte, push_hex};

/// The most attributes of a name.
const MAX_ATTRIBUTES: usize = 100;

/// BoringSSL writes an identifier to a buffer of 80 bytes.
const MAX_IDENTIFIER: usize = 79;

/// A name that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DistinguishedName(Vec<Attribute>);

/// One attribute of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attribute {
    kind: Vec<u8>,
    /// None if it is no text but `#` and the digits of its DER.
    value: Option<Vec<u8>>,
}

// === impl DistinguishedName ===

impl DistinguishedName {
    /// Reads a name in the form of RFC 4514, as Envoy writes it; the empty text is the empty name.
    ///
    /// The whole name is `None` if any of it is not of that form. What RFC 2253 takes from older
    /// forms is not: values in quotes, `;` for `,`, blanks around the signs.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut attributes = Vec::new();
        let mut rest = (!text.is_empty()).then_some(text);
        if text.len() > MAX_BYTES {
            return None;
        }
        while let Some(text) = rest {
            if attributes.len() == MAX_ATTRIBUTES {
                return None;
            }
            let (attribute, after) = Attribute::parse(text)?;
            attributes.push(attribute);
            rest = after;
        }
        Some(Self(attributes))
    }

    /// The values of an attribute, such as `CN`, in the order of the text; upper and lower case
    /// are one.
    ///
    /// A value that is not text, but written as `#` and hex digits, is none of them.
    pub fn values(&self, attribute: &str) -> impl Iterator<Item = &[u8]> {
        let named = self.0.iter().filter(move |one| {
            let kind = one.kind.as_slice();
            kind.eq_ignore_ascii_case(attribute.as_bytes())
        });
        named.filter_map(|one| one.value.as_deref())
    }
}

// === impl Attribute ===

impl Attribute {
    /// The first attribute of a text, and what stands behind the sign that ends it.
    fn parse(text: &[u8]) -> Option<(Self, Option<&[u8]>)> {
        let equals = text.iter().position(|byte| *byte == b'=')?;
        let (kind, rest) = text.split_at_checked(equals)?;
        let of_kind = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if kind.is_empty() || !kind.iter().all(of_kind) {
            return None;
        }
        let kind = kind.to_vec();
        let (value, rest) = match rest.get(1..)? {
            [b'#', digits @ ..] => (None, dumped(digits)?),
            rest => {
                let (value, rest) = unescaped(rest)?;
                (Some(value), rest)
            }
        };
        Some((Self { kind, value }, rest))
    }
}

/// What stands behind a value of hex digits.
fn dumped(text: &[u8]) -> Option<Option<&[u8]>> {
    let ends = |byte: &u8| matches!(byte, b',' | b'+');
    let end = text.iter().position(ends).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let (pairs, odd) = digits.as_chunks::<2>();
    let good = !pairs.is_empty() && odd.is_empty() && pairs.iter().all(|one| byte(*one).is_some());
    good.then(|| rest.get(1..))
}

/// A value without its escapes, and what stands behind it.
fn unescaped(text: &[u8]) -> Option<(Vec<u8>, Option<&[u8]>)> {
    let mut value = Vec::new();
    let mut rest = text;
    // Whether the last byte is a blank without an escape, which can stand at neither end.
    let mut blank = false;
    if text.first() == Some(&b' ') {
        return None;
    }
    loop {
        let (first, after) = match rest {
            [] => break,
            [b'\\', high, low, after @ ..] if byte([*high, *low]).is_some() => {
                blank = false;
                value.extend(byte([*high, *low]));
                rest = after;
                continue;
            }
            [b'\\', sign, after @ ..] if br##" "#+,;<=>\"##.contains(sign) => {
                blank = false;
                value.push(*sign);
                rest = after;
                continue;
            }
            [first, after @ ..] => (*first, after),
        };
        match first {
            b',' | b'+' if blank => return None,
            b',' | b'+' => return Some((value, Some(after))),
            b'\\' | b'"' | b';' | b'<' | b'>' | b'\0' => return None,
            _ => {
                blank = first == b' ';
                value.push(first);
                rest = after;
            }
        }
    }
    (!blank).then_some((value, None))
}

// === how Envoy writes a name ===

/// Writes a `Name` (RFC 5280, section 4.1.2.4), given what its SEQUENCE holds.
///
/// The last attribute comes first, in a relative name of several too.
pub(super) fn text(name: &[u8]) -> Option<String> {
    let mut relatives = Vec::new();
    let mut reader = Reader::new(name);
    while !reader.is_empty() {
        relatives.push(reader.take(SET)?);
    }
    let mut text = String::new();
    for relative in relatives.into_iter().rev() {
        let mut attributes = Vec::new();
        let mut reader = Reader::new(relative);
        while !reader.is_empty() || attributes.is_empty() {
            attributes.push(reader.take(SEQUENCE)?);
        }
        let mut separator = ',';
        for attribute in attributes.into_iter().rev() {
            if !text.is_empty() {
                text.push(separator);
            }
            separator = '+';
            push_attribute(&mut text, attribute)?;
        }
    }
    Some(text)
}

/// Writes one attribute: `CN=value`, or `1.2.3=#` and the DER of the value.
fn push_attribute(text: &mut String, attribute: &[u8]) -> Option<()> {
    let mut reader = Reader::new(attribute);
    let identifier = reader.take(OBJECT_IDENTIFIER)?;
    let value = reader.element()?;
    reader.end()?;
    let short = short_name(identifier);
    match short {
        Some(name) => text.push_str(name),
        None => text.push_str(&dotted(identifier)?),
    }
    text.push('=');
    let bytes = value.value;
    let string = match value.tag {
        _ if short.is_none() => None,
        // UTF8String.
        0x0c => Some(std::str::from_utf8(bytes).ok()?.to_owned()),
        // NumericString, PrintableString, TeletexString, IA5String, the times and VisibleString:
        // each is Latin-1 to BoringSSL.
        0x12 | 0x13 | 0x14 | 0x16 | 0x17 | 0x18 | 0x1a => {
            Some(bytes.iter().copied().map(char::from).collect())
        }
        // UniversalString.
        0x1c => match bytes.as_chunks::<4>() {
            (chunks, []) => {
                let characters = chunks.iter().map(|one| u32::from_be_bytes(*one));
                Some(characters.map(char::from_u32).collect::<Option<_>>()?)
            }
            _ => return None,
        },
        // BMPString.
        0x1e => match bytes.as_chunks::<2>() {
            (chunks, []) => {
                let characters = chunks.iter().map(|one| u16::from_be_bytes(*one).into());
                Some(characters.map(char::from_u32).collect::<Option<_>>()?)
            }
            _ => return None,
        },
        _ => None,
    };
    match string {
        Some(string) => push_escaped(text, &string),
        None => {
            text.push('#');
            push_upper(text, value.whole);
        }
    }
    Some(())
}

/// Writes a value with the escapes of RFC 2253, and all that is not printable ASCII in hex.
fn push_escaped(text: &mut String, value: &str) {
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        let edge = at == 0 || at == last;
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => text.push('\\'),
            b'#' if at == 0 => text.push('\\'),
            b' ' if edge => text.push('\\'),
            ..0x20 | 0x7f.. => {
                text.push('\\');
                push_upper(text, &[byte]);
                continue;
            }
            _ => {}
        }
        text.push(byte.into());
    }
}

/// Writes bytes as hex digits, upper case.
fn push_upper(text: &mut String, bytes: &[u8]) {
    let mut digits = String::new();
    bytes.iter().for_each(|byte| push_hex(&mut digits, *byte));
    digits.make_ascii_uppercase();
    text.push_str(&digits);
}

/// An identifier in the form `1.2.3`.
fn dotted(identifier: &[u8]) -> Option<String> {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut number = 0_u64;
    let mut starts = true;
    for byte in identifier {
        if starts && *byte == 0x80 {
            return None;
        }
        number = number.checked_mul(0x80)? | u64::from(byte & 0x7f);
        starts = byte & 0x80 == 0;
        if !starts {
            continue;
        }
        // The first two numbers are one: X.690, section 8.19.4.
        match text.is_empty() {
            true => {
                let first = (number / 40).min(2);
                let second = number.checked_sub(first.checked_mul(40)?)?;
                write!(text, "{first}.{second}").ok()?;
            }
            false => write!(text, ".{number}").ok()?,
        }
        number = 0;
        if text.len() > MAX_IDENTIFIER {
            return None;
        }
    }
    (starts && !text.is_empty()).then_some(text)
}

/// The short name that BoringSSL has for an attribute that names are made of.
fn short_name(identifier: &[u8]) -> Option<&'static str> {
    // Identifiers of X.520, of PKCS #9 and of RFC 4524.
    Some(match identifier {
        [0x55, 4, last] => match last {
            3 => "CN",
            4 => "SN",
            5 => "serialNumber",
            6 => "C",
            7 => "L",
            8 => "ST",
            9 => "street",
            10 => "O",
            11 => "OU",
            12 => "title",
            13 => "description",
            15 => "businessCategory",
            16 => "postalAddress",
            17 => "postalCode",
            18 => "postOfficeBox",
            19 => "physicalDeliveryOfficeName",
            20 => "telephoneNumber",
            31 => "member",
            32 => "owner",
            41 => "name",
            42 => "GN",
            43 => "initials",
            44 => "generationQualifier",
            45 => "x500UniqueIdentifier",
            46 => "dnQualifier",
            49 => "distinguishedName",
            51 => "houseIdentifier",
            54 => "dmdName",
            65 => "pseudonym",
            72 => "role",
            _ => return None,
        },
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01" => "emailAddress",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02" => "unstructuredName",
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x08" => "unstructuredAddress",
        b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01" => "UID",
        b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x03" => "mail",
        b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19" => "DC",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
