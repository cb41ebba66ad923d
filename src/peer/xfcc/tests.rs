//! Which certificate is found in the header, whatever else stands there.

use super::*;
use crate::peer::digest;
use proptest::prelude::*;

/// A header as Envoy wrote it, and the digest of the connection.
const V1: &str = include_str!("v1.txt");
const V1_SHA256: &[u8] = b"269d8c80411226e3d867699542b860d030da826aa5172a402572b486d04e31e8";

fn found(lines: &[&[u8]]) -> bool {
    let sha256 = digest(V1_SHA256).unwrap();
    let found = certificate(lines.iter().copied(), &sha256);
    assert!(found.iter().all(|found| found.sha256 == sha256));
    found.is_some()
}

#[test]
fn finds_the_certificate_wherever_it_stands() {
    let pem = V1.split('"').nth(1).unwrap();
    let own = format!("Hash=0;Cert=\"{pem}\";Subject=\"\";URI=");
    let other = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
    let other = Certificate::from_pem(other.cert.pem().as_bytes())
        .unwrap()
        .pem;
    let cases = [
        (V1.trim_end().to_owned(), true),
        (own.clone(), true),
        (format!("cERT=\"{pem}\""), true),
        (format!("Cert={pem};By=a"), true),
        (format!("Cert={pem},By=a"), true),
        (format!("Cert={pem}"), true),
        (format!("Cert=\"{other}\";Hash=0,{own}"), true),
        (format!("{own},Cert=\"{other}\""), true),
        (format!("Cert=\"{other}\";Cert=\"{pem}\""), true),
        // What a client sends before it does not hide it.
        (format!("By=\",{own}"), true),
        (format!("By=\"\\\",{own}"), true),
        (format!("Cert=\"{other},{own}"), true),
        (format!("{},{own}", "Cert=\"\",".repeat(7000)), true),
        (format!("{},{own}", "a".repeat(MAX_BYTES)), true),
        (format!("{own};URI=a;Cert=\"b,Cert=c;\"d"), true),
        // Another, none, or one that cannot be read.
        (format!("Cert=\"{other}\""), false),
        (
            format!("Hash={};Subject=\"\"", String::from_utf8_lossy(V1_SHA256)),
            false,
        ),
        (format!("Chain=\"{pem}\""), false),
        (format!("Cert=\"{pem}"), false),
        (format!("Cert=\"{}\"", pem.replacen("MII", "MIJ", 1)), false),
        (format!("{own}{}", "a".repeat(MAX_BYTES)), false),
        ("Cert=".to_owned(), false),
        ("Cert=\"".to_owned(), false),
        (String::new(), false),
    ];
    for (line, expected) in &cases {
        assert_eq!(found(&[line.as_bytes()]), *expected, "{line:.200}");
    }
}

#[test]
fn reads_all_lines_from_the_last() {
    let own = V1.trim_end().as_bytes();
    let long = vec![b'a'; MAX_BYTES];
    assert!(found(&[b"Cert=a", own]));
    assert!(found(&[own, b"Cert=a"]));
    assert!(found(&[&long, own]));
    assert!(found(&[own, &long[own.len()..]]));
    assert!(!found(&[own, &long]));
    assert!(!found(&[]));
}

#[test]
fn tells_who_issued_it() {
    let sha256 = digest(V1_SHA256).unwrap();
    let found = certificate([V1.as_bytes()].into_iter(), &sha256).unwrap();
    assert_eq!(found.issuer, "CN=ClientRootCA,O=example Inc.");
    assert_eq!(certificate([V1.as_bytes()].into_iter(), &[0; 32]), None);
}

proptest! {
    #[test]
    fn never_panics(lines: Vec<Vec<u8>>, sha256: [u8; 32]) {
        let _ = certificate(lines.iter().map(Vec::as_slice), &sha256);
    }

    #[test]
    fn nothing_before_it_hides_it(before in "(Cert=|\"|\\\\|,|;|a|=|%|-----BEGIN%20CERTIFICATE-----){0,12}") {
        let line = [&before, ",", V1].concat();
        prop_assert!(found(&[line.as_bytes()]));
    }
}
