//! Tokens byte by byte: what is accepted, and what never is.

use super::*;
use crate::token::signature::{Provenance, PureRust};
use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike, ECDSAP384KeyPairLike, ES256KeyPair, ES384KeyPair, Ed25519KeyPair,
    EdDSAKeyPairLike, RS256KeyPair, RSAKeyPairLike,
};
use p256::ecdsa::signature::Signer as _;
use proptest::prelude::*;
use serde_json::json;
use superboring::hash::MessageDigest;
use superboring::pkey::PKey;
use superboring::reexports::{hmac_sha256, hmac_sha512};
use superboring::rsa::Padding;
use superboring::sign::{RsaPssSaltlen, Signer as RsaSigner};

const NOW: u64 = 1_767_225_600;

/// RFC 7515, A.2 and A.3: the payload of both.
const RFC_PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

const RFC_KEYS: &str = r#"{"keys":[
  {"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"},
  {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

const RFC_A2: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const RFC_A3: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

fn rfc_token(algorithm: &str, signature: &str) -> String {
    format!(
        "{}.{RFC_PAYLOAD}.{signature}",
        part(json!({"alg": algorithm}).to_string())
    )
}

fn rfc_keys() -> KeySet {
    let (keys, skipped) = KeySet::read(RFC_KEYS.as_bytes(), Provenance::Fetched).unwrap();
    assert!(skipped.is_empty(), "{skipped:?}");
    keys
}

fn part(text: impl AsRef<[u8]>) -> String {
    BASE64URL.encode(text)
}

/// A token as it is read: header and payload in JSON, and some signature.
fn unsigned(header: &str, payload: &str) -> String {
    format!("{}.{}.AAAA", part(header), part(payload))
}

fn judged(token: &[u8], keys: &KeySet) -> Result<(), Reason> {
    verify(&parse(token)?, keys, &PureRust)
}

fn key_set(jwk: String) -> KeySet {
    KeySet::read(
        format!(r#"{{"keys":[{jwk}]}}"#).as_bytes(),
        Provenance::Configuration,
    )
    .unwrap()
    .0
}

fn rs256(key: &RS256KeyPair, signed: &str) -> Vec<u8> {
    by_rsa(key, MessageDigest::sha256(), Padding::PKCS1, signed)
}

fn by_rsa(key: &RS256KeyPair, hash: MessageDigest, padding: Padding, signed: &str) -> Vec<u8> {
    let key = PKey::from_rsa(key.key_pair().as_ref().clone()).unwrap();
    let mut signer = RsaSigner::new(hash, &key).unwrap();
    signer.set_rsa_padding(padding).unwrap();
    signer.update(signed.as_bytes()).unwrap();
    signer.sign_to_vec().unwrap()
}

fn es256(key: &ES256KeyPair, signed: &str) -> p256::ecdsa::Signature {
    key.key_pair().as_ref().sign(signed.as_bytes())
}

// === reading ===

#[test]
fn only_three_parts_of_plain_base64url_are_a_token() {
    let (header, payload) = (part(r#"{"alg":"RS256"}"#), part(r#"{"iss":"x"}"#));
    let good = format!("{header}.{payload}.AAAA");
    assert!(parse(good.as_bytes()).is_ok());
    for (name, token, reason) in [
        ("nothing", String::new(), Reason::TokenMalformed),
        ("one part", header.clone(), Reason::TokenMalformed),
        (
            "two parts",
            format!("{header}.{payload}"),
            Reason::TokenMalformed,
        ),
        ("four parts", format!("{good}.AAAA"), Reason::TokenMalformed),
        (
            "five parts, as JWE has",
            format!("{good}.AAAA.AAAA"),
            Reason::TokenMalformed,
        ),
        ("a dot before", format!(".{good}"), Reason::TokenMalformed),
        ("a dot behind", format!("{good}."), Reason::TokenMalformed),
        (
            "no header",
            format!(".{payload}.AAAA"),
            Reason::TokenMalformed,
        ),
        (
            "no payload",
            format!("{header}..AAAA"),
            Reason::TokenMalformed,
        ),
        (
            "no signature",
            format!("{header}.{payload}."),
            Reason::TokenMalformed,
        ),
        (
            "JSON serialisation",
            r#"{"payload":"e30"}"#.to_owned(),
            Reason::TokenMalformed,
        ),
        (
            "space before",
            format!(" {good}"),
            Reason::TokenHeaderBase64,
        ),
        (
            "padded header",
            format!("{header}=.{payload}.AAAA"),
            Reason::TokenHeaderBase64,
        ),
        (
            "padded payload",
            format!("{header}.{payload}=.AAAA"),
            Reason::TokenPayloadBase64,
        ),
        (
            "padded signature",
            format!("{header}.{payload}.AAA="),
            Reason::TokenSignatureBase64,
        ),
        (
            "letters of base64",
            format!("{header}.{payload}.AA+/"),
            Reason::TokenSignatureBase64,
        ),
        (
            "new line behind",
            format!("{good}\n"),
            Reason::TokenSignatureBase64,
        ),
        (
            "NUL behind",
            format!("{good}\0"),
            Reason::TokenSignatureBase64,
        ),
        (
            "tab inside",
            format!("{header}.{payload}.AA\tAA"),
            Reason::TokenSignatureBase64,
        ),
        (
            "two tokens",
            format!("{good}, {good}"),
            Reason::TokenMalformed,
        ),
        (
            "stray bits at the end",
            format!("{header}.{payload}.AB"),
            Reason::TokenSignatureBase64,
        ),
    ] {
        assert_eq!(parse(token.as_bytes()).unwrap_err(), reason, "{name}");
    }
    assert_eq!(parse(&[0xff; 9]).unwrap_err(), Reason::TokenMalformed);
}

#[test]
fn a_token_of_16_kib_is_read_and_a_longer_one_is_not() {
    let header = part(r#"{"alg":"RS256"}"#);
    let token = |length: usize| {
        let payload = part(format!(r#"{{"x":"{}"}}"#, "x".repeat(3_003)));
        let rest = length - header.len() - payload.len() - 2;
        format!("{header}.{payload}.{}", "A".repeat(rest))
    };
    assert!(parse(token(MAX_BYTES).as_bytes()).is_ok());
    assert_eq!(
        parse(token(MAX_BYTES + 1).as_bytes()).unwrap_err(),
        Reason::TokenTooLong
    );
}

#[test]
fn headers() {
    let long = |length: usize| format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(length));
    for (header, expected) in [
        (r#"{"alg":"RS256"}"#, None),
        (
            r#"{"alg":"ES256","kid":"a","typ":"at+jwt","b64":true}"#,
            None,
        ),
        (
            r#"{"alg":"ES256","jku":"https://x/","x5u":"https://x/","jwk":{"kty":"EC"}}"#,
            None,
        ),
        (r#"{"alg":"ES256","kid":"../../dev/null"}"#, None),
        (r#"{"alg":"ES256","kid":"' OR 1=1 --"}"#, None),
        (&long(256), None),
        (&long(257), Some(Reason::TokenKeyIdInvalid)),
        (
            r#"{"alg":"ES256","kid":1}"#,
            Some(Reason::TokenKeyIdInvalid),
        ),
        (
            r#"{"alg":"ES256","kid":["a"]}"#,
            Some(Reason::TokenKeyIdInvalid),
        ),
        (
            r#"{"alg":"ES256","kid":null}"#,
            Some(Reason::TokenKeyIdInvalid),
        ),
        (r#"{"typ":"JWT"}"#, Some(Reason::TokenAlgorithmMissing)),
        (r#"{"alg":256}"#, Some(Reason::TokenAlgorithmMissing)),
        (r#"{"alg":["RS256"]}"#, Some(Reason::TokenAlgorithmMissing)),
        (r#"{"alg":""}"#, Some(Reason::TokenAlgorithmUnsupported)),
        (r#"{"alg":"none"}"#, Some(Reason::TokenAlgorithmUnsupported)),
        (r#"{"alg":"nOnE"}"#, Some(Reason::TokenAlgorithmUnsupported)),
        (r#"{"alg":"HS256"}"#, None),
        (r#"{"alg":"EdDSA"}"#, None),
        (
            r#"{"alg":"Ed25519"}"#,
            Some(Reason::TokenAlgorithmUnsupported),
        ),
        (r#"{"alg":"HS1"}"#, Some(Reason::TokenAlgorithmUnsupported)),
        (
            r#"{"alg":"rs256"}"#,
            Some(Reason::TokenAlgorithmUnsupported),
        ),
        (
            r#"{"alg":"RS256 "}"#,
            Some(Reason::TokenAlgorithmUnsupported),
        ),
        (
            r#"{"alg":"RS256","crit":["exp"]}"#,
            Some(Reason::TokenHeaderCritical),
        ),
        (
            r#"{"alg":"RS256","crit":[]}"#,
            Some(Reason::TokenHeaderCritical),
        ),
        (
            r#"{"alg":"RS256","crit":"x"}"#,
            Some(Reason::TokenHeaderCritical),
        ),
        (
            r#"{"alg":"RS256","b64":false}"#,
            Some(Reason::TokenHeaderCritical),
        ),
        (
            r#"{"alg":"RS256","b64":"true"}"#,
            Some(Reason::TokenHeaderCritical),
        ),
        (
            r#"{"alg":"RS256","alg":"RS256"}"#,
            Some(Reason::TokenHeaderJson),
        ),
        (
            r#"{"alg":"RS256","kid":"a","k\u0069d":"b"}"#,
            Some(Reason::TokenHeaderJson),
        ),
        (
            r#"{"alg":"RS256","x":{"y":1,"y":2}}"#,
            Some(Reason::TokenHeaderJson),
        ),
        (r#"["RS256"]"#, Some(Reason::TokenHeaderJson)),
        ("null", Some(Reason::TokenHeaderJson)),
        (r#"{"alg":"RS256"} x"#, Some(Reason::TokenHeaderJson)),
        ("\u{feff}{\"alg\":\"RS256\"}", Some(Reason::TokenHeaderJson)),
    ] {
        let found = parse(unsigned(header, "{}").as_bytes()).err();
        assert_eq!(found, expected, "`{header}`");
    }
}

#[test]
fn claims() {
    let deep = |depth: usize| format!(r#"{{"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    for (payload, expected) in [
        ("{}", None),
        (
            r#"{"iss":"i","sub":"s","jti":"j","exp":1,"nbf":1,"iat":1,"aud":"a"}"#,
            None,
        ),
        (r#"{"aud":["a","b"]}"#, None),
        (r#"{"aud":[]}"#, None),
        (r#"{"exp":1.5}"#, None),
        (r#"{"exp":9007199254740991}"#, None),
        (r#"{"exp":0}"#, None),
        (&deep(31), None),
        (&deep(32), Some(Reason::TokenPayloadJson)),
        (&deep(10_000 / 4), Some(Reason::TokenPayloadJson)),
        (r#"{"iss":["i"]}"#, Some(Reason::TokenIssuerType)),
        (r#"{"iss":null}"#, Some(Reason::TokenIssuerType)),
        (r#"{"sub":1}"#, Some(Reason::TokenSubjectType)),
        (r#"{"jti":true}"#, Some(Reason::TokenIdType)),
        (r#"{"aud":1}"#, Some(Reason::TokenAudienceType)),
        (r#"{"aud":["a",1]}"#, Some(Reason::TokenAudienceType)),
        (r#"{"aud":null}"#, Some(Reason::TokenAudienceType)),
        (r#"{"exp":-1}"#, Some(Reason::TokenExpirationRange)),
        (r#"{"exp":-0.5}"#, Some(Reason::TokenExpirationRange)),
        (r#"{"exp":"123"}"#, Some(Reason::TokenExpirationType)),
        (r#"{"exp":true}"#, Some(Reason::TokenExpirationType)),
        (r#"{"exp":null}"#, Some(Reason::TokenExpirationType)),
        (r#"{"exp":1e30}"#, Some(Reason::TokenExpirationRange)),
        (
            r#"{"exp":9007199254740992}"#,
            Some(Reason::TokenExpirationRange),
        ),
        (
            r#"{"exp":9007199254740993}"#,
            Some(Reason::TokenExpirationRange),
        ),
        (
            r#"{"exp":18446744073709551615}"#,
            Some(Reason::TokenExpirationRange),
        ),
        (r#"{"nbf":"1"}"#, Some(Reason::TokenNotBeforeType)),
        (r#"{"iat":-1}"#, Some(Reason::TokenIssuedAtRange)),
        (r#"{"exp":1e400}"#, Some(Reason::TokenPayloadJson)),
        (r#"{"iss":"a","iss":"b"}"#, Some(Reason::TokenPayloadJson)),
        (r#"{"x":1,"x":2}"#, Some(Reason::TokenPayloadJson)),
        (r#""text""#, Some(Reason::TokenPayloadJson)),
        ("[]", Some(Reason::TokenPayloadJson)),
        ("{}{}", Some(Reason::TokenPayloadJson)),
        (r#"{"x":"\ud800"}"#, Some(Reason::TokenPayloadJson)),
    ] {
        let found = parse(unsigned(r#"{"alg":"RS256"}"#, payload).as_bytes()).err();
        let payload: String = payload.chars().take(80).collect();
        assert_eq!(found, expected, "`{payload}`");
    }
}

// === judging ===

fn read(claims: &Value) -> Claims {
    Claims::read(claims.as_object().cloned().unwrap(), Algorithm::Es256).unwrap()
}

#[test]
fn times_hold_to_the_second_with_a_minute_of_skew() {
    let whole = |seconds: u64| json!(seconds);
    for (name, claims, expected) in [
        ("no times", json!({}), Ok(())),
        (
            "expires in the future",
            json!({"exp": whole(NOW + 1)}),
            Ok(()),
        ),
        ("the last second", json!({"exp": whole(NOW - 60)}), Ok(())),
        (
            "a second later",
            json!({"exp": whole(NOW - 61)}),
            Err(Reason::TokenExpired),
        ),
        (
            "expired in 1970",
            json!({"exp": 0}),
            Err(Reason::TokenExpired),
        ),
        (
            "a fraction is dropped",
            json!({"exp": 1.9}),
            Err(Reason::TokenExpired),
        ),
        ("valid since now", json!({"nbf": whole(NOW)}), Ok(())),
        ("the first second", json!({"nbf": whole(NOW + 60)}), Ok(())),
        (
            "a second earlier",
            json!({"nbf": whole(NOW + 61)}),
            Err(Reason::TokenNotYetValid),
        ),
        (
            "issued in the future",
            json!({"iat": whole(NOW + 9_999)}),
            Ok(()),
        ),
    ] {
        assert_eq!(
            read(&claims).check(&Demands::default(), Duration::from_secs(NOW)),
            expected,
            "{name}"
        );
    }
    let part_of_a_second = Duration::from_millis(NOW * 1000 + 999);
    assert_eq!(
        read(&json!({"exp": NOW - 60})).check(&Demands::default(), part_of_a_second),
        Ok(())
    );
    assert_eq!(
        read(&json!({"exp": 1})).check(&Demands::default(), Duration::MAX),
        Err(Reason::TokenExpired)
    );
}

#[test]
fn one_audience_of_the_token_must_be_demanded() {
    let refused = Err(Reason::TokenAudience);
    for (aud, demanded, expected) in [
        (json!(null), vec![], Ok(())),
        (json!("a"), vec![], Ok(())),
        (json!("a"), vec!["a"], Ok(())),
        (json!(["x", "b"]), vec!["a", "b"], Ok(())),
        (json!(null), vec!["a"], refused),
        (json!([]), vec!["a"], refused),
        (json!(""), vec!["a"], refused),
        (json!("A"), vec!["a"], refused),
        (json!("ab"), vec!["a"], refused),
        (json!("a"), vec!["ab"], refused),
        (json!("a,b"), vec!["a"], refused),
        (json!("a b"), vec!["a"], refused),
        (json!("https://a/"), vec!["a"], Ok(())),
        (json!("http://a"), vec!["a"], Ok(())),
        (json!("https://a//"), vec!["a"], refused),
        (json!("https://http://a"), vec!["a"], refused),
        (json!("HTTPS://a"), vec!["a"], refused),
    ] {
        let claims = if aud.is_null() {
            json!({})
        } else {
            json!({"aud": aud})
        };
        let demanded: Vec<_> = demanded.into_iter().map(str::to_owned).collect();
        let found = read(&claims).check_audience(&demanded);
        assert_eq!(found, expected, "{claims} for {demanded:?}");
    }
}

#[test]
fn audiences_lose_scheme_and_one_slash() {
    for (audience, plain) in [
        ("https://a.com/", "a.com"),
        ("http://a.com", "a.com"),
        ("a.com/b/", "a.com/b"),
        ("a.com//", "a.com/"),
        ("ftp://a.com", "ftp://a.com"),
        ("https://", ""),
        ("", ""),
    ] {
        assert_eq!(plain_audience(audience), plain, "`{audience}`");
    }
}

// === verifying ===

#[test]
fn rfc_7515_appendix_a() {
    for (name, token, expected) in [
        (
            "A.1, HS256, without its key",
            rfc_token("HS256", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            Err(Reason::KeyUnknown),
        ),
        ("A.2, RS256", rfc_token("RS256", RFC_A2), Ok(())),
        ("A.3, ES256", rfc_token("ES256", RFC_A3), Ok(())),
        (
            "A.2 with the signature of A.3",
            rfc_token("RS256", RFC_A3),
            Err(Reason::TokenSignature),
        ),
        (
            "A.3 with the signature of A.2",
            rfc_token("ES256", RFC_A2),
            Err(Reason::TokenSignature),
        ),
        (
            "ES512 with a key of ES256",
            rfc_token("ES512", RFC_A3),
            Err(Reason::KeyUnknown),
        ),
        (
            "A.5, none",
            rfc_token("none", ""),
            Err(Reason::TokenMalformed),
        ),
        (
            "A.5 with some signature",
            rfc_token("none", "AAAA"),
            Err(Reason::TokenAlgorithmUnsupported),
        ),
        (
            "A.6, JSON",
            format!(r#"{{"payload":"{RFC_PAYLOAD}","signatures":[]}}"#),
            Err(Reason::TokenMalformed),
        ),
    ] {
        assert_eq!(judged(token.as_bytes(), &rfc_keys()), expected, "{name}");
    }
    let token = rfc_token("RS256", RFC_A2);
    let claims = parse(token.as_bytes()).unwrap().claims;
    assert_eq!(claims.issuer(), Some("joe"));
    assert_eq!(
        claims.check(&Demands::default(), Duration::from_secs(1_300_819_380 + 60)),
        Ok(())
    );
    assert_eq!(
        claims.check(&Demands::default(), Duration::from_secs(1_300_819_380 + 61)),
        Err(Reason::TokenExpired)
    );
}

#[test]
fn an_ecdsa_signature_is_64_bytes_of_two_numbers_in_range() {
    let key = ES256KeyPair::generate();
    let keys = key_set(key.public_key().to_jwk());
    let signed = format!("{}.{}", part(r#"{"alg":"ES256"}"#), part("{}"));
    let good = es256(&key, &signed);
    let (r, s) = good.split_bytes();
    let negated = (-*good.s()).to_bytes();
    // The order of P-256 (FIPS 186-4, D.1.2.3).
    let order: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let bytes = good.to_bytes().to_vec();
    for (name, signature, accepted) in [
        ("as made", bytes.clone(), true),
        (
            "with n - s in place of s, as valid",
            [&r[..], &negated[..]].concat(),
            true,
        ),
        ("DER", good.to_der().as_bytes().to_vec(), false),
        ("a byte less", bytes[..63].to_vec(), false),
        ("a byte more", [&bytes[..], &[0]].concat(), false),
        (
            "a zero before each half",
            [&[0], &r[..], &[0], &s[..]].concat(),
            false,
        ),
        ("twice", [&bytes[..], &bytes[..]].concat(), false),
        ("all zero", vec![0; 64], false),
        ("r = 0", [&[0; 32], &s[..]].concat(), false),
        ("s = 0", [&r[..], &[0; 32]].concat(), false),
        ("r = n", [&order[..], &s[..]].concat(), false),
        ("s = n", [&r[..], &order[..]].concat(), false),
        ("all ones", vec![0xff; 64], false),
        ("halves exchanged", [&s[..], &r[..]].concat(), false),
        ("one byte", vec![1], false),
    ] {
        let token = format!("{signed}.{}", part(signature));
        assert_eq!(judged(token.as_bytes(), &keys).is_ok(), accepted, "{name}");
    }
}

#[test]
fn an_rsa_signature_is_as_long_as_the_modulus() {
    let key = RS256KeyPair::generate(2048).unwrap();
    let keys = key_set(key.public_key().to_jwk());
    let signed = format!("{}.{}", part(r#"{"alg":"RS256"}"#), part("{}"));
    let good = rs256(&key, &signed);
    assert_eq!(good.len(), 256);
    for (name, signature, accepted) in [
        ("as made", good.clone(), true),
        ("a byte less", good[..255].to_vec(), false),
        ("a byte more", [&good[..], &[0]].concat(), false),
        ("a zero before", [&[0], &good[..]].concat(), false),
        ("one byte", vec![1], false),
        ("zero", vec![0; 256], false),
        ("one", [vec![0; 255], vec![1]].concat(), false),
        ("beyond the modulus", vec![0xff; 256], false),
        ("of 4096 bits", vec![0x7f; 512], false),
    ] {
        let token = format!("{signed}.{}", part(signature));
        assert_eq!(judged(token.as_bytes(), &keys).is_ok(), accepted, "{name}");
    }
}

#[test]
fn a_key_of_another_kind_or_name_does_not_fit() {
    let key = ES256KeyPair::generate();
    let mut jwk: Value = serde_json::from_str(&key.public_key().to_jwk()).unwrap();
    jwk["kid"] = json!("a");
    let keys = key_set(jwk.to_string());
    let stranger = key_set(ES256KeyPair::generate().public_key().to_jwk());
    let token = |header: &str| {
        let signed = format!("{}.{}", part(header), part("{}"));
        let signature = es256(&key, &signed).to_bytes();
        format!("{signed}.{}", part(signature))
    };
    for (name, header, keys, expected) in [
        ("its kid", r#"{"alg":"ES256","kid":"a"}"#, &keys, Ok(())),
        ("no kid", r#"{"alg":"ES256"}"#, &keys, Ok(())),
        (
            "another kid",
            r#"{"alg":"ES256","kid":"b"}"#,
            &keys,
            Err(Reason::KeyUnknown),
        ),
        (
            "kid in another case",
            r#"{"alg":"ES256","kid":"A"}"#,
            &keys,
            Err(Reason::KeyUnknown),
        ),
        (
            "another algorithm",
            r#"{"alg":"RS256","kid":"a"}"#,
            &keys,
            Err(Reason::KeyUnknown),
        ),
        (
            "a key without kid",
            r#"{"alg":"ES256","kid":"a"}"#,
            &stranger,
            Err(Reason::TokenSignature),
        ),
    ] {
        assert_eq!(judged(token(header).as_bytes(), keys), expected, "{name}");
    }
}

/// A token by each algorithm that is verified here, with the keys for it.
fn good_tokens() -> Vec<(&'static str, String, KeySet)> {
    let rsa = RS256KeyPair::generate(2048).unwrap();
    let (p256, p384) = (ES256KeyPair::generate(), ES384KeyPair::generate());
    let ed25519 = Ed25519KeyPair::generate();
    let without_alg = |jwk: String| {
        let mut jwk: Value = serde_json::from_str(&jwk).unwrap();
        jwk.as_object_mut().unwrap().remove("alg");
        key_set(jwk.to_string())
    };
    let secret = [7; 64];
    let token = |algorithm: &'static str, keys: &KeySet, sign: &dyn Fn(&str) -> Vec<u8>| {
        let header = json!({"alg": algorithm, "kid": "k"}).to_string();
        let payload = part(r#"{"iss":"i","exp":9999999999}"#);
        let signed = format!("{}.{payload}", part(header));
        let token = format!("{signed}.{}", part(sign(&signed)));
        (algorithm, token, keys.clone())
    };
    let rsa_keys = without_alg(rsa.public_key().to_jwk());
    let by_rsa = |hash: fn() -> MessageDigest, padding| {
        let rsa = &rsa;
        move |signed: &str| by_rsa(rsa, hash(), padding, signed)
    };
    let secrets = key_set(json!({"kty": "oct", "k": part(secret)}).to_string());
    vec![
        token(
            "RS256",
            &rsa_keys,
            &by_rsa(MessageDigest::sha256, Padding::PKCS1),
        ),
        token(
            "RS384",
            &rsa_keys,
            &by_rsa(MessageDigest::sha384, Padding::PKCS1),
        ),
        token(
            "RS512",
            &rsa_keys,
            &by_rsa(MessageDigest::sha512, Padding::PKCS1),
        ),
        token(
            "PS256",
            &rsa_keys,
            &by_rsa(MessageDigest::sha256, Padding::PKCS1_PSS),
        ),
        token(
            "PS384",
            &rsa_keys,
            &by_rsa(MessageDigest::sha384, Padding::PKCS1_PSS),
        ),
        token(
            "PS512",
            &rsa_keys,
            &by_rsa(MessageDigest::sha512, Padding::PKCS1_PSS),
        ),
        token(
            "ES256",
            &without_alg(p256.public_key().to_jwk()),
            &|signed| es256(&p256, signed).to_bytes().to_vec(),
        ),
        token(
            "ES384",
            &without_alg(p384.public_key().to_jwk()),
            &|signed| {
                let key = p384.key_pair().as_ref();
                let signature: p384::ecdsa::Signature = key.sign(signed.as_bytes());
                signature.to_bytes().to_vec()
            },
        ),
        token(
            "EdDSA",
            &without_alg(ed25519.public_key().to_jwk()),
            &|signed| {
                let key: &ed25519_compact::KeyPair = ed25519.key_pair().as_ref();
                key.sk.sign(signed, None).to_vec()
            },
        ),
        token("HS256", &secrets, &|signed| {
            hmac_sha256::HMAC::mac(signed, secret).to_vec()
        }),
        token("HS384", &secrets, &|signed| {
            hmac_sha512::sha384::HMAC::mac(signed, secret).to_vec()
        }),
        token("HS512", &secrets, &|signed| {
            hmac_sha512::HMAC::mac(signed, secret).to_vec()
        }),
    ]
}

#[test]
fn no_byte_of_a_good_token_can_be_changed() {
    let tokens = good_tokens();
    let served = Algorithm::NAMES.iter();
    let served = served.filter(|(_, algorithm)| PureRust.serves(*algorithm));
    assert_eq!(tokens.len(), served.count());
    for (algorithm, token, keys) in tokens {
        assert_eq!(judged(token.as_bytes(), &keys), Ok(()), "{algorithm}");
        let mut changed = token.clone().into_bytes();
        for at in 0..changed.len() {
            let byte = changed[at];
            let others = [byte ^ 1, byte ^ 0x20, byte.wrapping_add(4)];
            for other in others.into_iter().chain(*b"A.=\0\xff") {
                changed[at] = other;
                let refused = other == byte || judged(&changed, &keys).is_err();
                assert!(refused, "{algorithm}: byte {other:#x} at {at}");
            }
            changed[at] = byte;
            let cut = judged(&changed[..at], &keys);
            assert!(cut.is_err(), "{algorithm}: cut at {at}");
        }
    }
}

/// Every signature, under every other algorithm that its key is for, and with every other key.
#[test]
fn no_signature_passes_for_one_of_another_algorithm_or_key() {
    let tokens = good_tokens();
    for (algorithm, token, _) in &tokens {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (_, payload) = signed.split_once('.').unwrap();
        for (other, _, keys) in &tokens {
            let header = part(json!({"alg": other}).to_string());
            let renamed = format!("{header}.{payload}.{signature}");
            assert!(
                judged(renamed.as_bytes(), keys).is_err(),
                "{algorithm} as {other}"
            );
            // The header alone is covered by the signature; here the very message is.
            let jwt = parse(token.as_bytes()).unwrap();
            let fitting = Algorithm::by_name(other).unwrap();
            for key in keys.fitting(None, fitting) {
                let good = PureRust.verify(fitting, key, jwt.signed, &jwt.signature);
                assert_eq!(good, algorithm == other, "{algorithm} as {other}");
            }
        }
    }
}

/// What a client can know is never the secret of an HMAC (RFC 8725, 2.1).
#[test]
fn no_public_key_is_a_secret() {
    let rsa = RS256KeyPair::generate(2048).unwrap();
    let jwk = rsa.public_key().to_jwk();
    let both = format!(
        r#"{{"keys":[{jwk},{{"kty":"oct","k":"{}"}}]}}"#,
        part([7; 64])
    );
    let (both, _) = KeySet::read(both.as_bytes(), Provenance::Configuration).unwrap();
    for secret in [
        rsa.public_key().to_pem().unwrap().into_bytes(),
        rsa.public_key().to_der().unwrap(),
        jwk.clone().into_bytes(),
        vec![],
    ] {
        let signed = format!("{}.{}", part(r#"{"alg":"HS256"}"#), part("{}"));
        let signature = hmac_sha256::HMAC::mac(&signed, &secret);
        let token = format!("{signed}.{}", part(signature));
        let alone = judged(token.as_bytes(), &key_set(jwk.clone()));
        assert_eq!(alone, Err(Reason::KeyUnknown));
        assert_eq!(judged(token.as_bytes(), &both), Err(Reason::TokenSignature));
    }
}

/// RFC 7518, 3.5: the salt is as long as the hash.
#[test]
fn the_salt_of_pss_has_one_length() {
    let rsa = RS256KeyPair::generate(2048).unwrap();
    let key = PKey::from_rsa(rsa.key_pair().as_ref().clone()).unwrap();
    let mut jwk: Value = serde_json::from_str(&rsa.public_key().to_jwk()).unwrap();
    jwk["alg"] = json!("PS256");
    let keys = key_set(jwk.to_string());
    for length in [0, 20, 31, 32, 33, 64, 222] {
        let signed = format!("{}.{}", part(r#"{"alg":"PS256"}"#), part("{}"));
        let mut signer = RsaSigner::new(MessageDigest::sha256(), &key).unwrap();
        signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        let salt = RsaPssSaltlen::custom(length);
        signer.set_rsa_pss_saltlen(salt).unwrap();
        signer.update(signed.as_bytes()).unwrap();
        let token = format!("{signed}.{}", part(signer.sign_to_vec().unwrap()));
        let accepted = judged(token.as_bytes(), &keys).is_ok();
        assert_eq!(accepted, length == 32, "a salt of {length} bytes");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        token in proptest::collection::vec(
            prop_oneof![Just(b'.'), Just(b'e'), Just(b'3'), Just(b'0'), any::<u8>()], 0..80)
    ) {
        prop_assert!(judged(&token, &rfc_keys()).is_err());
    }

    #[test]
    fn any_header_and_claims_are_read_or_refused(header: String, payload: String) {
        prop_assert!(judged(unsigned(&header, &payload).as_bytes(), &rfc_keys()).is_err());
    }
}
