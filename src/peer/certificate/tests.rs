//! What a certificate says, against certificates made here and one that Envoy forwarded; and that no
//! bytes make the reader panic.

use super::*;
use crate::peer::digest;
use proptest::prelude::*;
use rcgen::string::{BmpString, TeletexString, UniversalString};
use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType, SerialNumber};

/// A certificate of version 1, RSA with SHA-1, of which Envoy wrote the header and the names.
const V1: &str = include_str!("../xfcc/v1.txt");
const V1_SHA256: &str = "269d8c80411226e3d867699542b860d030da826aa5172a402572b486d04e31e8";

/// A certificate that is its own issuer.
fn made(change: impl Fn(&mut CertificateParams)) -> (String, Vec<u8>) {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    change(&mut parameters);
    let key = KeyPair::generate().unwrap();
    let made = parameters.self_signed(&key).unwrap();
    (made.pem(), made.der().to_vec())
}

/// An element of DER.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = u16::try_from(value.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let head = match length {
        ..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        0x100.. => vec![tag, 0x82, high, low],
    };
    [head, value].concat()
}

/// A certificate by hand: its number and what stands behind its key.
fn by_hand(serial: &[u8], extensions: &[u8]) -> Vec<u8> {
    let empty = element(SEQUENCE, &[]);
    let serial = element(INTEGER, &[serial]);
    let signed: [&[u8]; 7] = [&serial, &empty, &empty, &empty, &empty, &empty, extensions];
    let signed = element(SEQUENCE, &signed);
    element(SEQUENCE, &[&signed, &empty, &element(BIT_STRING, &[b"\0"])])
}

/// An extension: its identifier and value.
fn extension(identifier: &[u8], value: &[u8]) -> Vec<u8> {
    let identifier = element(OBJECT_IDENTIFIER, &[identifier]);
    element(SEQUENCE, &[&identifier, &element(OCTET_STRING, &[value])])
}

fn extensions(parts: &[&[u8]]) -> Vec<u8> {
    element(0xa3, &[&element(SEQUENCE, parts)])
}

#[test]
fn reads_version_1() {
    let encoded = V1.split('"').nth(1).unwrap();
    let plain = percent_encoding::percent_decode_str(encoded);
    let plain: Vec<u8> = plain.collect();
    for text in [encoded.as_bytes(), &plain] {
        let certificate = Certificate::from_pem(text).unwrap();
        assert_eq!(certificate.issuer, "CN=ClientRootCA,O=example Inc.");
        assert_eq!(certificate.serial, "0");
        assert_eq!(certificate.uris.len(), 0);
        assert_eq!(certificate.dns.len(), 0);
        assert_eq!(Some(certificate.sha256), digest(V1_SHA256.as_bytes()));
        assert_eq!(certificate.pem, encoded);
    }
}

#[test]
fn reads_alternative_names() {
    let ia5 = |text: &str| text.try_into().unwrap();
    let (pem, der) = made(|parameters| {
        parameters.subject_alt_names = vec![
            SanType::URI(ia5("spiffe://cluster.local/ns/a/sa/b")),
            SanType::DnsName(ia5("*.example.com")),
            SanType::Rfc822Name(ia5("a@example.com")),
            SanType::IpAddress([127, 0, 0, 1].into()),
            SanType::URI(ia5("https://example.com/;URI=x,By=y")),
            SanType::DnsName(ia5("b")),
        ];
        parameters.serial_number = Some(SerialNumber::from_slice(&[0x0a, 0xbc]));
    });
    let certificate = Certificate::from_pem(pem.as_bytes()).unwrap();
    let uris: [&[u8]; 2] = [
        b"spiffe://cluster.local/ns/a/sa/b",
        b"https://example.com/;URI=x,By=y",
    ];
    assert_eq!(certificate.uris, uris);
    let dns: [&[u8]; 2] = [b"*.example.com", b"b"];
    assert_eq!(certificate.dns, dns);
    assert_eq!(certificate.serial, "0abc");
    assert_eq!(certificate.issuer, "");
    assert_eq!(certificate.sha256, sha256(&der));
    assert_eq!(
        Certificate::from_pem(certificate.pem.as_bytes()),
        Some(certificate)
    );
}

#[test]
fn reads_an_issuer_of_all_kinds_of_text() {
    let (_, der) = made(|parameters| {
        let name = &mut parameters.distinguished_name;
        name.push(
            DnType::CountryName,
            DnValue::PrintableString("DE".try_into().unwrap()),
        );
        name.push(DnType::OrganizationName, "Ex, \"Ample\" é");
        name.push(
            DnType::OrganizationalUnitName,
            DnValue::BmpString(BmpString::try_from("€ ").unwrap()),
        );
        name.push(
            DnType::LocalityName,
            DnValue::UniversalString(UniversalString::try_from("#1").unwrap()),
        );
        name.push(
            DnType::StateOrProvinceName,
            DnValue::TeletexString(TeletexString::try_from("a+b").unwrap()),
        );
        name.push(DnType::CustomDnType(vec![1, 2, 999]), "x");
        name.push(DnType::CommonName, "ca");
    });
    let certificate = Certificate::from_der(&der).unwrap();
    assert_eq!(
        certificate.issuer,
        r#"CN=ca,1.2.999=#0C0178,ST=a\+b,L=\#1,OU=\E2\82\AC\ ,O=Ex\, \"Ample\" \C3\A9,C=DE"#
    );
    let issuer = name::DistinguishedName::parse(certificate.issuer.as_bytes()).unwrap();
    let organization: Vec<_> = issuer.values("O").collect();
    assert_eq!(organization, ["Ex, \"Ample\" é".as_bytes()]);
}

#[test]
fn writes_numbers_as_envoy_does() {
    let cases: [(&[u8], Option<&str>); 14] = [
        (&[0], Some("0")),
        (&[1], Some("01")),
        (&[0x7f], Some("7f")),
        (&[0, 0x80], Some("80")),
        (&[0, 0xff, 0], Some("ff00")),
        (&[0x0a, 0xbc], Some("0abc")),
        (&[0xff], Some("-01")),
        (&[0x80], Some("-80")),
        (&[0xff, 0], Some("-0100")),
        (&[0xff, 0x7f], Some("-81")),
        (&[], None),
        (&[0, 0], None),
        (&[0, 0x7f], None),
        (&[0xff, 0x80], None),
    ];
    for (number, expected) in cases {
        assert_eq!(serial(number).as_deref(), expected, "{number:x?}");
        let certificate = Certificate::from_der(&by_hand(number, b""));
        let read = certificate.map(|certificate| certificate.serial);
        assert_eq!(read.as_deref(), expected, "{number:x?}");
    }
}

#[test]
fn refuses_extensions_that_are_not_of_the_form() {
    let names = extension(SUBJECT_ALT_NAME, &element(SEQUENCE, &[b"\x82\x01a"]));
    let broken = |value: &[u8]| extension(SUBJECT_ALT_NAME, value);
    let other = extension(&[0x55, 0x1d, 0x12], b"\xff");
    let critical = element(
        SEQUENCE,
        &[
            &element(OBJECT_IDENTIFIER, &[SUBJECT_ALT_NAME]),
            b"\x01\x01\xff\x04\x05\x30\x03\x82\x01a",
        ],
    );
    let cases = [
        (extensions(&[]), Some(0)),
        (extensions(&[&names]), Some(1)),
        (extensions(&[&critical]), Some(1)),
        (extensions(&[&other, &names, &other]), Some(1)),
        (extensions(&[&broken(b"\x30\x00")]), Some(0)),
        (extensions(&[&broken(b"\x30\x02\x82\x00")]), Some(1)),
        (
            [&b"\x81\x01\0\x82\x01\0"[..], &extensions(&[&names])].concat(),
            Some(1),
        ),
        // Twice.
        (extensions(&[&names, &names]), None),
        (extensions(&[&names, &other, &broken(b"\x30\x00")]), None),
        ([extensions(&[&names]), extensions(&[])].concat(), None),
        // Not to be read.
        (extensions(&[&broken(b"")]), None),
        (extensions(&[&broken(b"\x30\x01\x82")]), None),
        (extensions(&[&broken(b"\x30\x02\x82\x01")]), None),
        (extensions(&[&broken(b"\x30\x00\x00")]), None),
        (extensions(&[&broken(b"\x31\x00")]), None),
        (extensions(&[b"\x30\x00"]), None),
        (element(0xa3, &[]), None),
        (element(0xa4, &[&element(SEQUENCE, &[])]), None),
    ];
    for (extensions, expected) in cases {
        let certificate = Certificate::from_der(&by_hand(&[1], &extensions));
        assert_eq!(
            certificate.map(|read| read.dns.len()),
            expected,
            "{extensions:x?}"
        );
    }
}

#[test]
fn reads_the_first_certificate_of_a_text() {
    let pem = |der: &[u8]| format!("{BEGIN}\n{}\n{END}\n", BASE64.encode(der));
    let (first, second) = (by_hand(&[1], b""), by_hand(&[2], b""));
    let (one, two) = (pem(&first), pem(&second));
    let cases = [
        (one.clone(), Some("01")),
        (format!("{one}{two}"), Some("01")),
        (format!("{two}{one}"), Some("02")),
        (format!("Subject: a\n{one}"), Some("01")),
        (one.replace('\n', "\r\n"), Some("01")),
        (
            one.replace('\n', "%0A")
                .replace(' ', "%20")
                .replace('=', "%3d"),
            Some("01"),
        ),
        (one.replace("MA", "M\nA"), Some("01")),
        (format!("{BEGIN}\n{END}\n{one}"), None),
        (format!("{BEGIN}\n{one}"), None),
        (one.replace("END", "BEGIN"), None),
        (one.replace("CERTIFICATE", "PUBLIC KEY"), None),
        (one.replacen('M', "!", 1), None),
        (one.replacen('\n', "%", 1), None),
        (one.replace('=', ""), None),
        (pem(&first[1..]), None),
        (pem(&[&first[..], b"\0"].concat()), None),
        (BASE64.encode(&first), None),
        (String::new(), None),
    ];
    for (text, expected) in cases {
        let read = Certificate::from_pem(text.as_bytes());
        assert_eq!(read.map(|read| read.serial).as_deref(), expected, "{text}");
    }
}

#[test]
fn bounds_what_it_reads() {
    let (pem, _) = made(|_| {});
    let padded = |bytes: usize| [pem.as_bytes(), &vec![b' '; bytes - pem.len()]].concat();
    assert!(Certificate::from_pem(&padded(MAX_BYTES)).is_some());
    assert!(Certificate::from_pem(&padded(MAX_BYTES + 1)).is_none());
}

#[test]
fn refuses_a_certificate_cut_anywhere() {
    let (_, der) = made(|parameters| {
        parameters.distinguished_name.push(DnType::CommonName, "ca");
        let name = SanType::DnsName("a".try_into().unwrap());
        parameters.subject_alt_names = vec![name];
    });
    assert!(Certificate::from_der(&der).is_some());
    for end in 0..der.len() {
        assert_eq!(Certificate::from_der(&der[..end]), None);
    }
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>) {
        let _ = Certificate::from_pem(&bytes);
        let _ = Certificate::from_der(&bytes);
        let _ = Certificate::from_der(&by_hand(&bytes, b""));
        let _ = Certificate::from_der(&by_hand(&[1], &bytes));
        let _ = Certificate::from_der(&by_hand(&[1], &extensions(&[&bytes])));
        let _ = Certificate::from_pem(format!("{BEGIN}{}{END}", BASE64.encode(&bytes)).as_bytes());
    }

    #[test]
    fn never_panics_on_a_certificate_with_one_byte_changed(at in 0_usize..726, byte: u8) {
        let mut der = der(V1.split('"').nth(1).unwrap().as_bytes()).unwrap();
        der[at] = byte;
        let _ = Certificate::from_der(&der);
    }

    #[test]
    fn reads_the_numbers_that_were_written(number: i128) {
        let bytes = number.to_be_bytes();
        let spare = bytes.windows(2).take_while(|pair| match pair[0] {
            0 => pair[1] < 0x80,
            0xff => pair[1] >= 0x80,
            _ => false,
        });
        let read = serial(&bytes[spare.count()..]).unwrap();
        prop_assert_eq!(i128::from_str_radix(&read, 16).unwrap(), number);
        prop_assert!(number == 0 || read.trim_start_matches('-').len().is_multiple_of(2));
    }
}
