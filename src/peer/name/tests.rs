//! How a name is written and read, letter by letter; and that nothing in a value becomes an attribute.

use super::*;
use proptest::prelude::*;

/// An element of DER.
fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap();
    assert!(length < 0x80);
    [&[tag, length], value].concat()
}

/// A relative name of some attributes: the identifier, the tag and the bytes of the value.
fn relative(attributes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
    let attributes = attributes.iter().map(|(identifier, tag, value)| {
        let inner = [element(OBJECT_IDENTIFIER, identifier), element(*tag, value)].concat();
        element(SEQUENCE, &inner)
    });
    element(SET, &attributes.collect::<Vec<_>>().concat())
}

const CN: &[u8] = &[0x55, 4, 3];
const O: &[u8] = &[0x55, 4, 10];
const UTF8: u8 = 0x0c;

#[test]
fn writes_values_as_envoy_does() {
    let cases: [(u8, &[u8], &str); 30] = [
        (UTF8, b"", ""),
        (UTF8, b"client.example.com", "client.example.com"),
        (0x13, b"example Inc.", "example Inc."),
        (UTF8, b"a,b", r"a\,b"),
        (UTF8, br#"+"\<>;"#, r#"\+\"\\\<\>\;"#),
        (UTF8, b"a=b/c", "a=b/c"),
        (UTF8, b"#a#", r"\#a#"),
        (UTF8, b" a b ", r"\ a b\ "),
        (UTF8, b"  a  ", r"\  a \ "),
        (UTF8, b" ", r"\ "),
        (UTF8, b"a\0b\n\x1f\x7f", r"a\00b\0A\1F\7F"),
        (UTF8, "é".as_bytes(), r"\C3\A9"),
        (UTF8, "\u{10ffff}".as_bytes(), r"\F4\8F\BF\BF"),
        // Latin-1.
        (0x14, b"\xe9", r"\C3\A9"),
        (0x16, b"a\xff", r"a\C3\BF"),
        (0x12, b"12", "12"),
        (0x1a, b"v", "v"),
        // UTF-32 and UCS-2.
        (0x1c, b"\0\0\0a\0\x01\xf6\x00", r"a\F0\9F\98\80"),
        (0x1e, b"\0a\x20\xac", r"a\E2\82\AC"),
        (0x1e, b"\0,\0 ", r"\,\ "),
        // No strings.
        (0x02, b"\x01", "#020101"),
        (0x03, b"\0\xab", "#030200AB"),
        (0x04, b"a", "#040161"),
        (0x30, b"", "#3000"),
        (0x1b, b"g", "#1B0167"),
        (0x15, b"g", "#150167"),
        (0x05, b"", "#0500"),
        (0x80, b"g", "#800167"),
        (0x2c, b"", "#2C00"),
        (0x01, b"\xff", "#0101FF"),
    ];
    for (tag, value, expected) in cases {
        let written = text(&relative(&[(CN, tag, value)]));
        assert_eq!(written, Some(format!("CN={expected}")), "{tag} {value:?}");
    }
}

#[test]
fn refuses_values_that_are_not_of_their_type() {
    let cases: [(u8, &[u8]); 6] = [
        (UTF8, b"\xff"),
        (0x1c, b"\0\0\0"),
        (0x1c, b"\0\x11\0\0"),
        (0x1c, b"\0\0\xd8\0"),
        (0x1e, b"\0"),
        (0x1e, b"\xd8\x3d\xde\0"),
    ];
    for (tag, value) in cases {
        assert_eq!(text(&relative(&[(CN, tag, value)])), None, "{value:?}");
    }
}

#[test]
fn writes_identifiers_as_envoy_does() {
    let cases: [(&[u8], Option<&str>); 20] = [
        (CN, Some("CN=a")),
        (&[0x55, 4, 4], Some("SN=a")),
        (&[0x55, 4, 5], Some("serialNumber=a")),
        (&[0x55, 4, 9], Some("street=a")),
        (&[0x55, 4, 42], Some("GN=a")),
        (
            b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01",
            Some("emailAddress=a"),
        ),
        (b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", Some("UID=a")),
        (b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", Some("DC=a")),
        (&[0x55, 4, 97], Some("2.5.4.97=#0C0161")),
        (&[0], Some("0.0=#0C0161")),
        (&[0x27], Some("0.39=#0C0161")),
        (&[0x28], Some("1.0=#0C0161")),
        (&[0x4f], Some("1.39=#0C0161")),
        (&[0x50], Some("2.0=#0C0161")),
        (&[0x88, 0x37, 0x83, 0x7f], Some("2.999.511=#0C0161")),
        (&[], None),
        (&[0x55, 0x80, 1], None),
        (&[0x55, 0x81], None),
        (
            &[
                0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
            ],
            None,
        ),
        (&[0x7f; 30], None),
    ];
    for (identifier, expected) in cases {
        let written = text(&relative(&[(identifier, UTF8, b"a")]));
        assert_eq!(written.as_deref(), expected, "{identifier:x?}");
    }
}

#[test]
fn writes_the_last_attribute_first() {
    let name = [
        relative(&[(O, UTF8, b"1")]),
        relative(&[(CN, UTF8, b"2"), (O, UTF8, b"3")]),
        relative(&[(CN, UTF8, b"4")]),
    ];
    assert_eq!(text(&name.concat()).as_deref(), Some("CN=4,O=3+CN=2,O=1"));
    assert_eq!(text(&[]).as_deref(), Some(""));
    let cases: [&[u8]; 6] = [
        &element(SET, b""),
        &element(SEQUENCE, b""),
        &element(SET, &element(SEQUENCE, b"")),
        &element(SET, &element(SEQUENCE, &element(OBJECT_IDENTIFIER, CN))),
        &name.concat()[1..],
        &[name.concat(), vec![0]].concat(),
    ];
    for name in cases {
        assert_eq!(text(name), None, "{name:x?}");
    }
}

#[test]
fn reads_values() {
    let cases: [(&str, &str, &[&[u8]]); 22] = [
        ("", "CN", &[]),
        (
            "O=example,CN=client2.example.com",
            "CN",
            &[b"client2.example.com"],
        ),
        ("O=example,CN=a", "o", &[b"example"]),
        ("cn=a", "CN", &[b"a"]),
        ("CN=a,CN=b+OU=c+CN=d", "CN", &[b"a", b"b", b"d"]),
        ("CN=", "CN", &[b""]),
        ("CN=,O=", "CN", &[b""]),
        (r"O=x\,CN=admin", "CN", &[]),
        (r"O=x\,CN=admin", "O", &[b"x,CN=admin"]),
        (r"O=x\+CN=admin", "CN", &[]),
        (r"O=x\2CCN=admin", "CN", &[]),
        (r"O=x\5C,CN=admin", "CN", &[b"admin"]),
        (r"O=x\\,CN=admin", "CN", &[b"admin"]),
        (r"O=x\\\,CN=admin", "CN", &[]),
        ("O=CN=admin", "CN", &[]),
        (r"CN=\C3\A9\20", "CN", &["é ".as_bytes()]),
        (r"CN=\ a b\ ", "CN", &[b" a b "]),
        (r"CN=\#a#", "CN", &[b"#a#"]),
        (r#"CN=\"\<\>\;\=\00"#, "CN", &[b"\"<>;=\0"]),
        ("CN=#0C0161,CN=b", "CN", &[b"b"]),
        ("2.5.4.97=#0C0161+CN=b", "2.5.4.97", &[]),
        ("CN=é", "CN", &["é".as_bytes()]),
    ];
    for (text, attribute, expected) in cases {
        let name = DistinguishedName::parse(text.as_bytes()).expect(text);
        assert_eq!(
            name.values(attribute).collect::<Vec<_>>(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn refuses_what_envoy_does_not_write() {
    for text in [
        "CN",
        "=a",
        "CN=a,",
        "CN=a+",
        ",CN=a",
        "CN=a,,O=b",
        "CN=a,O",
        "CN =a",
        "CN= a",
        "CN=a ",
        "CN=a ,O=b",
        "CN=a, O=b",
        " CN=a",
        r"CN=a\",
        r"CN=a\x",
        r"CN=a\4",
        r"CN=a\4g",
        r"CN=\é",
        r#"CN="a""#,
        r#"CN=a"b"#,
        "CN=a;O=b",
        "CN=a<",
        "CN=a>",
        "CN=a\0",
        "CN=#",
        "CN=#0",
        "CN=#0g",
        "CN=#00 ",
        "CN=#,O=a",
        "C_N=a",
        "é=a",
        r"C\4E=a",
    ] {
        assert_eq!(DistinguishedName::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn bounds_what_it_reads() {
    let name = |attributes: usize| vec!["CN=a"; attributes].join(",");
    assert!(DistinguishedName::parse(name(100).as_bytes()).is_some());
    assert!(DistinguishedName::parse(name(101).as_bytes()).is_none());
    let name = |bytes: usize| [&b"CN="[..], &vec![b'a'; bytes - 3]].concat();
    assert!(DistinguishedName::parse(&name(MAX_BYTES)).is_some());
    assert!(DistinguishedName::parse(&name(MAX_BYTES + 1)).is_none());
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>) {
        let _ = text(&bytes);
        let _ = DistinguishedName::parse(&bytes);
    }

    #[test]
    fn never_panics_on_what_is_like_a_name(bytes in "([A-Z.]{0,2}|=|,|[+]|\\\\|#|\"| |é|[0-9a-f]{1,2}){0,12}") {
        let _ = DistinguishedName::parse(bytes.as_bytes());
    }

    #[test]
    fn never_panics_on_what_is_like_der(value: [u8; 8], tag: u8, identifier: [u8; 5]) {
        let _ = text(&relative(&[(&identifier, tag, &value), (CN, tag, &value)]));
    }

    #[test]
    fn reads_the_values_that_were_written(values in proptest::collection::vec(".{0,12}", 0..4), second: bool) {
        let relatives = values.iter().map(|value| match second {
            true => relative(&[(O, UTF8, b"x"), (CN, UTF8, value.as_bytes())]),
            false => relative(&[(CN, UTF8, value.as_bytes())]),
        });
        let written = text(&relatives.collect::<Vec<_>>().concat()).unwrap();
        let name = DistinguishedName::parse(written.as_bytes()).unwrap();
        let values: Vec<_> = values.iter().rev().map(|value| value.as_bytes()).collect();
        prop_assert_eq!(name.values("cn").collect::<Vec<_>>(), values);
    }

    #[test]
    fn a_value_never_becomes_an_attribute(
        value in "(CN=admin|,|[+]|\\\\|\"|;|#| |é|=|\u{0}|a){0,12}",
        tag in prop_oneof![Just(UTF8), Just(0x13), Just(0x16), Just(0x1b)],
    ) {
        let written = text(&relative(&[(O, tag, value.as_bytes())])).unwrap();
        let name = DistinguishedName::parse(written.as_bytes()).unwrap();
        prop_assert_eq!(name.values("CN").count(), 0);
        prop_assert_eq!(name.0.len(), 1);
    }
}
