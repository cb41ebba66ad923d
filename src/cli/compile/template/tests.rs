//! What becomes of templates, and what is read where they are filled.

use super::*;
use crate::call::HttpReply;
use crate::config::Config;
use crate::identity::Identity;
use crate::introspection::Provider;
use crate::request::{Headers, Request, UNKNOWN_CONNECTION};
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

fn value(template: &str, extra: Extra) -> Result<String, String> {
    Translated::read(template, extra).map(|it| it.value)
}

#[test]
fn templates() {
    for (template, extra, expected) in [
        ("", Extra::Unknown, ""),
        ("text", Extra::Unknown, "text"),
        ("50% off", Extra::Unknown, "50%% off"),
        ("%SUBJECT%", Extra::Unknown, "%%SUBJECT%%"),
        ("a } b { c }}", Extra::Unknown, "a } b { c }}"),
        ("{{ .Subject }}", Extra::Unknown, "%SUBJECT%"),
        ("{{.Subject}}", Extra::Claims, "%SUBJECT%"),
        ("{{ print .Subject }}", Extra::Reply, "%SUBJECT%"),
        ("{{ print (.Subject) }}", Extra::Reply, "%SUBJECT%"),
        ("<{{ .Subject }}>", Extra::Claims, "<%SUBJECT%>"),
        ("a \n {{- \t.Subject -}} \n b", Extra::Claims, "a%SUBJECT%b"),
        ("a {{- .Subject }} b", Extra::Claims, "a%SUBJECT% b"),
        ("a {{ .Subject -}} b", Extra::Claims, "a %SUBJECT%b"),
        (
            "a {{- .Subject -}} {{- .Subject -}} b",
            Extra::Claims,
            "a%SUBJECT%%SUBJECT%b",
        ),
        ("{{ .Extra.email }}", Extra::Claims, "%CLAIM(email)%"),
        ("{{ print .Extra.a.b }}", Extra::Claims, "%CLAIM(a.b)%"),
        ("{{ .Extra.username }}", Extra::Claims, "%CLAIM(username)%"),
        ("{{ index .Extra \"a-b\" }}", Extra::Claims, "%CLAIM(a-b)%"),
        (
            "{{ index .Extra `a` \"b\" }}",
            Extra::Claims,
            "%CLAIM(a.b)%",
        ),
        ("{{ index .Extra.a \"b\" }}", Extra::Claims, "%CLAIM(a.b)%"),
        (
            "{{ print (index .Extra \"a\") }}",
            Extra::Claims,
            "%CLAIM(a)%",
        ),
        (
            "{{ index .Extra \"https://a/b\" }}",
            Extra::Claims,
            "%CLAIM(https://a/b)%",
        ),
        ("{{ .Extra.username }}", Extra::Reply, "%CLAIM(username)%"),
        ("{{ .Extra.client_id }}", Extra::Reply, "%CLAIM(client_id)%"),
        ("{{ .Extra.scope }}", Extra::Reply, "%CLAIM(scope)%"),
        ("{{ .Extra.aud }}", Extra::Reply, "%CLAIM(aud)%"),
        ("{{ .Extra.email }}", Extra::Reply, "%CLAIM(ext.email)%"),
        ("{{ .Extra.scp }}", Extra::Reply, "%CLAIM(ext.scp)%"),
        ("{{ print .Extra.a.b }}", Extra::Reply, "%CLAIM(ext.a.b)%"),
        (
            "{{ index .Extra \"a\" \"b\" }}",
            Extra::Reply,
            "%CLAIM(ext.a.b)%",
        ),
    ] {
        assert_eq!(
            value(template, extra).as_deref(),
            Ok(expected),
            "`{template}`"
        );
    }
    let notes = |template: &str| Translated::read(template, Extra::Reply).unwrap().notes;
    assert_eq!(notes("{{ .Extra.aud }}").len(), 1);
    assert_eq!(notes("{{ .Extra.scope }}").len(), 0);
}

#[test]
fn what_is_not_supported_is_named() {
    for (template, extra, named) in [
        ("{{ .Subject", Extra::Claims, "close it"),
        ("{{-.Subject }}", Extra::Claims, "`{{-.Subject }}`"),
        ("{{ }}", Extra::Claims, "`{{ }}`"),
        ("{{ .Subject.a }}", Extra::Claims, "`{{ .Subject.a }}`"),
        ("{{ .Subject .Subject }}", Extra::Claims, "field path"),
        ("{{ .Extra }}", Extra::Claims, "`.Extra.name`"),
        ("{{ print }}", Extra::Claims, "`{{ print }}`"),
        ("{{ print .Subject \"a\" }}", Extra::Claims, "field path"),
        ("{{ print \"a\" }}", Extra::Claims, "field path"),
        ("{{ \"a\" }}", Extra::Claims, "field path"),
        (
            "{{ upper .Subject }}",
            Extra::Claims,
            "`{{ upper .Subject }}`",
        ),
        ("{{ .Subject | upper }}", Extra::Claims, "field path"),
        (
            "{{ if .Subject }}a{{ end }}",
            Extra::Claims,
            "`{{ if .Subject }}`",
        ),
        (
            "{{ range .Extra.a }}a{{ end }}",
            Extra::Claims,
            "field path",
        ),
        (
            "{{ .Header.Get \"a\" }}",
            Extra::Claims,
            "behind the gateway",
        ),
        ("{{ .Header }}", Extra::Claims, "behind the gateway"),
        (
            "{{ printIndex .MatchContext.RegexpCaptureGroups 0 }}",
            Extra::Claims,
            "field path",
        ),
        (
            "{{ .MatchContext.URL }}",
            Extra::Claims,
            "behind the gateway",
        ),
        ("{{ index .Extra }}", Extra::Claims, "field path"),
        ("{{ index .Extra 0 }}", Extra::Claims, "field path"),
        ("{{ index .Extra \"a.b\" }}", Extra::Claims, "`a.b`"),
        ("{{ index .Extra \"a%\" }}", Extra::Claims, "`a%`"),
        (
            "{{ index .Extra \"\" }}",
            Extra::Claims,
            "cannot be written",
        ),
        ("{{ index .Extra \"\\x61\" }}", Extra::Claims, "field path"),
        ("{{ index .Extra \"a\"\"b\" }}", Extra::Claims, "field path"),
        ("{{ (index .Extra \"a\").b }}", Extra::Claims, "field path"),
        ("{{ .Extra.a-b }}", Extra::Claims, "field path"),
        ("{{ .Extra..a }}", Extra::Claims, "field path"),
        ("{{ . }}", Extra::Claims, "field path"),
        ("{{ $ }}", Extra::Claims, "field path"),
        ("{{ .Extra.scp }}", Extra::Claims, "`scp`"),
        ("{{ index .Extra \"scope\" }}", Extra::Claims, "`scp`"),
        ("{{ .Extra.a }}", Extra::Unknown, "authenticator"),
        ("\u{e9}", Extra::Claims, "printable ASCII"),
        ("a\n{{ .Subject }}", Extra::Claims, "printable ASCII"),
    ] {
        let fault = value(template, extra).unwrap_err();
        assert!(fault.contains(named), "`{template}`: {fault}");
    }
}

/// What a header is for somebody of whom this is known.
fn filled(template: &str, extra: Extra, identity: &Identity) -> Option<String> {
    let mut headers = Headers::default();
    for (name, value) in [(":method", "GET"), (":authority", "a.com"), (":path", "/")] {
        headers.push(name, value.as_bytes());
    }
    let request = Request::read(&headers, &UNKNOWN_CONNECTION).unwrap();
    let format = Format::parse(&value(template, extra).unwrap()).unwrap();
    let value = format.value(&request, Some(identity))?;
    Some(String::from_utf8(value).unwrap())
}

#[test]
fn claims_are_read_where_the_token_or_the_reply_has_them() {
    let provider = json!({
        "name": "p", "introspectionUrl": "https://idp.example.com/introspect",
        "clientId": "a", "clientSecret": "b",
    });
    let config = json!({"version": 1, "introspectionProviders": [provider]}).to_string();
    let mut config = Config::read(config.as_bytes()).unwrap();
    let provider = Provider::new(config.introspection_providers.remove(0));
    let reply = json!({
        "active": true, "sub": "ada", "username": "Ada", "client_id": "c", "scope": "read write",
        "aud": ["x", "y"], "email": "wrong", "ext": {"email": "a@b", "deep": {"n": 1}, "aud": "no"},
    });
    let known = provider.read(Some(HttpReply {
        status: 200,
        headers: Headers::default(),
        body: reply.to_string().into_bytes(),
    }));
    let identity = provider
        .judge(&known.unwrap(), Duration::from_secs(1))
        .unwrap();
    let claims = json!({"sub": "bob", "email": "b@c", "ext": {"email": "wrong"}, "aud": "z"});
    let token = Identity::of(claims);
    for (template, of_reply, of_token) in [
        ("{{ .Subject }}", Some("ada"), Some("bob")),
        ("{{ .Extra.username }}", Some("Ada"), None),
        ("{{ .Extra.client_id }}", Some("c"), None),
        ("{{ .Extra.aud }}", Some("x,y"), Some("z")),
        ("{{ .Extra.email }}", Some("a@b"), Some("b@c")),
        ("{{ .Extra.deep.n }}", Some("1"), None),
        ("{{ .Extra.sub }}", None, Some("bob")),
        (
            "100% {{ print .Subject }}",
            Some("100% ada"),
            Some("100% bob"),
        ),
    ] {
        let found = (
            filled(template, Extra::Reply, &identity),
            filled(template, Extra::Claims, &token),
        );
        let found = (found.0.as_deref(), found.1.as_deref());
        assert_eq!(found, (of_reply, of_token), "`{template}`");
    }
    let scope = filled("{{ .Extra.scope }}", Extra::Reply, &identity);
    assert_eq!(scope.as_deref(), Some("read write"));
}

proptest! {
    #[test]
    fn text_stays_what_it_is(text in "[ -~]*") {
        prop_assume!(!text.contains("{{"));
        let nobody = Identity::of(json!({}));
        let expected = Some(text.clone()).filter(|text| !text.is_empty());
        prop_assert_eq!(filled(&text, Extra::Unknown, &nobody), expected);
    }

    #[test]
    fn what_is_taken_over_can_be_parsed(text in "[{}.%a-zA-Z\"() -]{0,40}") {
        for extra in [Extra::Claims, Extra::Reply, Extra::Unknown] {
            if let Ok(value) = value(&text, extra) {
                prop_assert!(Format::parse(&value).is_ok(), "`{}`", value);
            }
        }
    }
}
