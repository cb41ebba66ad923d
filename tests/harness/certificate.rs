//! Certificates as DER, written by hand: names of any shape, and X.509 v1, which no crate here makes.
//!
//! It writes what it is told, also what nobody should sign. Keys and signatures are `tls.rs`'s.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// What a certificate says; the default is an empty subject without any other name.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Relative names in the order of the encoding, each of one attribute or more.
    pub subject: Vec<Vec<Attribute>>,
    pub names: Vec<Name>,
    /// A positive number, most significant byte first; empty stands for 1.
    pub serial: Vec<u8>,
    /// X.509 v1: nothing but the subject.
    pub version_1: bool,
    pub authority: bool,
}

/// One attribute of a distinguished name.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// `CN` and its like, or numbers with dots.
    pub kind: &'static str,
    /// Which kind of string of ASN.1 holds it.
    pub tag: u8,
    pub value: Vec<u8>,
}

/// A subject alternative name.
#[derive(Clone, Debug)]
pub enum Name {
    Uri(String),
    Dns(String),
    Email(String),
    Address([u8; 4]),
}

pub const UTF8_STRING: u8 = 0x0c;
pub const PRINTABLE_STRING: u8 = 0x13;
pub const TELETEX_STRING: u8 = 0x14;
pub const BMP_STRING: u8 = 0x1e;

const KINDS: [(&str, &str); 14] = [
    ("CN", "2.5.4.3"),
    ("SN", "2.5.4.4"),
    ("serialNumber", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("street", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("title", "2.5.4.12"),
    ("GN", "2.5.4.42"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("emailAddress", "1.2.840.113549.1.9.1"),
];

const ECDSA_WITH_SHA256: &str = "1.2.840.10045.4.3.2";

// === impl Attribute ===

impl Attribute {
    pub fn new(kind: &'static str, value: &str) -> Self {
        Attribute::of(kind, UTF8_STRING, value.as_bytes())
    }

    pub fn of(kind: &'static str, tag: u8, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref().to_vec();
        Attribute { kind, tag, value }
    }

    fn der(&self) -> Vec<u8> {
        let known = KINDS.iter().find(|(name, _)| *name == self.kind);
        let numbers = known.map_or(self.kind, |(_, numbers)| numbers);
        sequence(&[identifier(numbers), element(self.tag, &self.value)])
    }
}

// === impl Contents ===

impl Contents {
    /// A subject of attributes that each stand alone.
    pub fn subject(attributes: &[(&'static str, &str)]) -> Self {
        let alone = |(kind, value): &(&'static str, &str)| vec![Attribute::new(kind, value)];
        Contents {
            subject: attributes.iter().map(alone).collect(),
            ..Contents::default()
        }
    }

    pub fn uris(mut self, uris: &[&str]) -> Self {
        let uris = uris.iter().map(|uri| Name::Uri((*uri).to_owned()));
        self.names.extend(uris);
        self
    }

    pub fn dns(mut self, names: &[&str]) -> Self {
        let names = names.iter().map(|name| Name::Dns((*name).to_owned()));
        self.names.extend(names);
        self
    }

    /// The subject as it stands in the certificate.
    pub(super) fn subject_der(&self) -> Vec<u8> {
        let set = |attributes: &Vec<Attribute>| {
            let mut elements: Vec<_> = attributes.iter().map(Attribute::der).collect();
            // DER wants the members of a set in order.
            elements.sort();
            element(0x31, elements.concat())
        };
        let sets: Vec<_> = self.subject.iter().map(set).collect();
        sequence(&sets)
    }

    /// The certificate; `public_key` is a `SubjectPublicKeyInfo`.
    pub(super) fn der(
        &self,
        issuer: &[u8],
        public_key: &[u8],
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Vec<u8> {
        let algorithm = sequence(&[identifier(ECDSA_WITH_SHA256)]);
        let mut serial = self.serial.clone();
        if serial.is_empty() {
            serial.push(1);
        }
        if serial[0] >= 0x80 {
            serial.insert(0, 0);
        }
        let validity = ["200101000000Z", "491231235959Z"].map(|time| element(0x17, time));
        let mut parts = vec![
            element(0x02, serial),
            algorithm.clone(),
            issuer.to_vec(),
            sequence(&validity),
            self.subject_der(),
            public_key.to_vec(),
        ];
        if !self.version_1 {
            parts.insert(0, element(0xa0, element(0x02, [2])));
            let extensions = self.extensions();
            if !extensions.is_empty() {
                parts.push(element(0xa3, sequence(&extensions)));
            }
        }
        let signed = sequence(&parts);
        let signature = [vec![0], sign(&signed)].concat();
        sequence(&[signed, algorithm, element(0x03, signature)])
    }

    fn extensions(&self) -> Vec<Vec<u8>> {
        let mut extensions = Vec::new();
        if self.authority {
            let constraints = sequence(&[element(0x01, [0xff])]);
            let critical = element(0x01, [0xff]);
            extensions.push(sequence(&[
                identifier("2.5.29.19"),
                critical,
                element(0x04, constraints),
            ]));
        }
        if !self.names.is_empty() {
            let names: Vec<_> = self.names.iter().map(Name::der).collect();
            let names = element(0x04, sequence(&names));
            extensions.push(sequence(&[identifier("2.5.29.17"), names]));
        }
        extensions
    }
}

// === impl Name ===

impl Name {
    fn der(&self) -> Vec<u8> {
        match self {
            Name::Email(text) => element(0x81, text),
            Name::Dns(text) => element(0x82, text),
            Name::Uri(text) => element(0x86, text),
            Name::Address(bytes) => element(0x87, bytes),
        }
    }
}

/// As OpenSSL writes it: 64 letters a line.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for (index, letter) in STANDARD.encode(der).chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text + &format!("\n-----END {label}-----\n")
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, parts.concat())
}

fn element(tag: u8, contents: impl AsRef<[u8]>) -> Vec<u8> {
    let contents = contents.as_ref();
    let length = contents.len();
    let mut der = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => der.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            der.push(0x80 | u8::try_from(bytes.len() - zeros).expect("at most 8"));
            der.extend_from_slice(&bytes[zeros..]);
        }
    }
    der.extend_from_slice(contents);
    der
}

/// An object identifier from its numbers with dots.
fn identifier(numbers: &str) -> Vec<u8> {
    let numbers = numbers.split('.').map(|number| number.parse::<u32>());
    let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().expect("numbers");
    let mut contents = Vec::new();
    for number in [&[numbers[0] * 40 + numbers[1]], &numbers[2..]].concat() {
        let mut groups = vec![u8::try_from(number & 0x7f).expect("7 bits")];
        let mut rest = number >> 7;
        while rest > 0 {
            groups.push(0x80 | u8::try_from(rest & 0x7f).expect("7 bits"));
            rest >>= 7;
        }
        contents.extend(groups.iter().rev());
    }
    element(0x06, contents)
}
