//! What a reply says, how long it is believed, and what is sent for it.

use super::*;
use crate::config::Config;
use crate::request::Headers;
use serde_json::json;

const NOW: u64 = 1_000_000;

/// A provider with these members beside the least that it needs.
fn provider(members: &Value) -> Provider {
    let mut provider = json!({
        "name": "p", "introspectionUrl": "https://idp.example.com/introspect",
        "clientId": "a b", "clientSecret": "c:d+\u{e9}",
    });
    for (name, value) in members.as_object().unwrap() {
        provider[name] = value.clone();
    }
    let config = json!({"version": 1, "introspectionProviders": [provider]}).to_string();
    let mut config = Config::read(config.as_bytes()).unwrap();
    Provider::new(config.introspection_providers.remove(0))
}

fn reply(status: u16, body: &str) -> Option<HttpReply> {
    Some(HttpReply {
        status,
        headers: Headers::default(),
        body: body.as_bytes().to_vec(),
    })
}

#[test]
fn what_is_sent_is_a_form_and_the_credential_of_rfc_6749() {
    let call = provider(&json!({})).ask(b"a+b/c=d e&f", Some("read write"));
    let header = |name: &str| {
        let found = call.headers.iter().find(|(known, _)| &**known == name);
        found.map(|(_, value)| String::from_utf8(value.clone()).unwrap())
    };
    assert_eq!(
        String::from_utf8(call.body.clone()).unwrap(),
        "token=a%2Bb%2Fc%3Dd+e%26f&token_type_hint=access_token&scope=read+write"
    );
    let basic = BASE64.encode("a+b:c%3Ad%2B%C3%A9");
    assert_eq!(header("authorization"), Some(format!("Basic {basic}")));
    assert_eq!(
        header("content-type").as_deref(),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(header(":path").as_deref(), Some("/introspect"));
    assert_eq!(header(":authority").as_deref(), Some("idp.example.com"));
    assert_eq!(header("content-length"), Some(call.body.len().to_string()));
    assert_eq!(&*call.cluster, "outbound|443||idp.example.com");
}

#[test]
fn only_what_rfc_7662_says_is_an_answer() {
    for (name, status, body, accepted) in [
        ("active", 200, r#"{"active":true}"#, true),
        ("inactive", 200, r#"{"active":false}"#, true),
        ("a text", 200, r#"{"active":"true"}"#, false),
        ("a number", 200, r#"{"active":1}"#, false),
        ("null", 200, r#"{"active":null}"#, false),
        ("not there", 200, "{}", false),
        ("twice", 200, r#"{"active":false,"active":true}"#, false),
        ("a list", 200, r#"[{"active":true}]"#, false),
        ("more behind it", 200, r#"{"active":true}{}"#, false),
        ("nothing", 200, "", false),
        ("another status", 201, r#"{"active":true}"#, false),
        ("no content", 204, "", false),
        (
            "an end as a text",
            200,
            r#"{"active":true,"exp":"never"}"#,
            false,
        ),
        ("a negative end", 200, r#"{"active":true,"exp":-1}"#, false),
        ("an end of zero", 200, r#"{"active":true,"exp":0}"#, true),
        ("an odd use", 200, r#"{"active":true,"token_use":1}"#, false),
    ] {
        let read = provider(&json!({})).read(reply(status, body));
        assert_eq!(read.is_ok(), accepted, "{name}: {read:?}");
    }
    assert!(provider(&json!({})).read(None).is_err());
}

#[test]
fn an_answer_is_believed_for_its_time_and_not_beyond_the_end_of_the_token() {
    let cache = json!({"cache": {"ttl": "30s", "negativeTtl": "5s"}});
    for (body, seconds) in [
        (json!({"active": true}), Some(30)),
        (json!({"active": true, "exp": NOW + 10}), Some(10)),
        (json!({"active": true, "exp": NOW + 100}), Some(30)),
        (json!({"active": true, "exp": NOW}), None),
        (json!({"active": true, "exp": NOW - 10}), None),
        (json!({"active": true, "exp": 0}), Some(30)),
        (
            json!({"active": true, "token_use": "access_token"}),
            Some(30),
        ),
        (json!({"active": true, "token_use": "refresh_token"}), None),
        (json!({"active": false}), Some(5)),
        (json!({"active": false, "exp": NOW - 10}), Some(5)),
    ] {
        let provider = provider(&cache);
        let known = provider.read(reply(200, &body.to_string())).unwrap();
        let now = Duration::from_secs(NOW);
        let until = provider.believed_until(&known, now);
        let found = until.map(|until| until.checked_sub(now).unwrap().as_secs());
        assert_eq!(found, seconds, "{body}");
    }
    let none = provider(&json!({"cache": {"ttl": "0s", "negativeTtl": "0s"}}));
    for body in [r#"{"active":true}"#, r#"{"active":false}"#] {
        let known = none.read(reply(200, body)).unwrap();
        assert_eq!(
            none.believed_until(&known, Duration::from_secs(NOW)),
            None,
            "{body}"
        );
    }
}

#[test]
fn an_issuer_that_nobody_trusts_makes_no_principal() {
    let body = json!({"active": true, "iss": "https://idp", "sub": "ada"}).to_string();
    for (trusted, expected) in [
        (json!({}), Ok(None)),
        (
            json!({"trustedIssuers": ["https://idp"]}),
            Ok(Some("https://idp")),
        ),
        (
            json!({"trustedIssuers": ["https://other"]}),
            Err(Reason::IssuerUntrusted),
        ),
    ] {
        let provider = provider(&trusted);
        let known = provider.read(reply(200, &body)).unwrap();
        let judged = provider.judge(&known, Duration::from_secs(NOW));
        let issuer = judged
            .as_ref()
            .map(Identity::issuer)
            .map_err(|reason| *reason);
        assert_eq!(issuer, expected, "{trusted}");
    }
}

#[test]
fn what_can_be_a_token() {
    for (text, expected) in [
        ("abc", true),
        ("a.b-c_d~e+f/g=", true),
        ("", false),
        ("a b", false),
        ("a,b", false),
        ("a\r\nb", false),
        ("\u{e9}", false),
    ] {
        assert_eq!(is_token(text.as_bytes()), expected, "`{text}`");
    }
    assert!(!is_token(&[b'a'; crate::token::jwt::MAX_BYTES + 1]));
}

#[test]
fn a_time_to_try_again_is_repeated_only_if_it_is_seconds() {
    for (value, expected) in [
        ("7", "7"),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "5"),
        ("1\r\nx: y", "5"),
        ("", "5"),
    ] {
        let mut reply = reply(429, "").unwrap();
        reply.headers.push("retry-after", value.as_bytes());
        let provider = provider(&json!({}));
        let outage = provider.read(Some(reply)).unwrap_err();
        let refusal = provider.refusal(&outage);
        assert_eq!(
            refusal.headers,
            [("retry-after", expected.to_owned())],
            "`{value}`"
        );
        assert_eq!(refusal.status, Some(429));
    }
}
