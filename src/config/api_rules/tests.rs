//! `apiRules`, and the providers that they name: what is a fault, and what is only a warning.

use crate::config::Config;
use serde_json::{Value, json};

/// A configuration with one entry of these rules, and with one provider of each kind.
fn configuration(rules: &Value, members: &Value) -> Value {
    let mut entry = json!({"name": "shop", "hosts": ["shop.example.com"], "rules": rules});
    overlay(&mut entry, members);
    json!({
        "version": 1,
        "defaultAction": "DENY",
        "introspectionProviders": [{"name": "hydra", "introspectionUrl": "http://hydra/introspect"}],
        "extensionProviders": [{"name": "proxy", "envoyExtAuthzHttp": {"service": "p", "port": 80}}],
        "apiRules": [entry],
    })
}

fn overlay(object: &mut Value, members: &Value) {
    for (name, value) in members.as_object().unwrap() {
        object[name] = value.clone();
    }
}

fn faults(config: &Value) -> Vec<String> {
    match Config::read(config.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

fn warnings(config: &Value) -> Vec<String> {
    let config = Config::read(config.to_string().as_bytes()).unwrap();
    config.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn rules() {
    let at = "$.apiRules[0].rules[0]";
    for (rule, expected) in [
        (
            json!({"noAuth": true}),
            format!("{at}: give one of `path` and `pathRegex`"),
        ),
        (
            json!({"path": "/", "pathRegex": "/", "noAuth": true}),
            format!("{at}: give one of `path` and `pathRegex`"),
        ),
        (
            json!({"pathRegex": "/(?!admin).*", "noAuth": true}),
            format!(
                "{at}.pathRegex: found `/(?!admin).*`; allowed: a regular expression without \
                 look-around and back references, which are not supported"
            ),
        ),
        (
            json!({"path": "/"}),
            format!(
                "{at}: 0 strategies; give exactly one of `noAuth`, `deny`, `jwt`, \
                 `oauth2Introspection`, `extAuth`"
            ),
        ),
        (
            json!({"path": "/", "noAuth": true, "deny": true}),
            format!(
                "{at}: 2 strategies; give exactly one of `noAuth`, `deny`, `jwt`, \
                 `oauth2Introspection`, `extAuth`"
            ),
        ),
        (
            json!({"path": "/", "noAuth": false}),
            format!("{at}.noAuth: found `false`; allowed: `true`; leave it out otherwise"),
        ),
        (
            json!({"path": "/", "methods": ["get"], "noAuth": true}),
            format!(
                "{at}.methods[0]: found `get`; allowed: `GET`, `HEAD`, `POST`, `PUT`, `DELETE`, \
                 `CONNECT`, `OPTIONS`, `TRACE`, `PATCH`"
            ),
        ),
        (
            json!({"path": "/", "jwt": {}}),
            format!("{at}.jwt: `authentications` is missing"),
        ),
        (
            json!({"path": "/", "jwt": {"authentications": []}}),
            format!(
                "{at}.jwt.authentications: an empty list; leave the field out or give at least one \
                 item"
            ),
        ),
        (
            json!({"path": "/", "jwt": {"authentications": [{"issuer": "https://i", "appliesTo": []}]}}),
            format!("{at}.jwt.authentications[0].appliesTo: it belongs to its rule; leave it out"),
        ),
        (
            json!({"path": "/", "oauth2Introspection": {"provider": "other"}}),
            format!(
                "{at}.oauth2Introspection.provider: `other` is not among `introspectionProviders`; \
                 define it there"
            ),
        ),
        (
            json!({"path": "/", "extAuth": {"authorizers": ["other"]}}),
            format!(
                "{at}.extAuth.authorizers[0]: `other` is not among `extensionProviders`; define it \
                 there"
            ),
        ),
        (
            json!({"path": "/", "noAuth": true, "request": {"headers": {"Host": "x"}}}),
            format!(
                "{at}.request.headers.Host: `host` may not be set: it frames the request or routes \
                 it"
            ),
        ),
        (
            json!({"path": "/", "noAuth": true, "request": {"headers": {":path": "x"}}}),
            format!(
                "{at}.request.headers.:path: the name is not allowed: it must be a header name \
                 (RFC 9110, 5.1)"
            ),
        ),
        (
            json!({"path": "/", "noAuth": true, "request": {"keepCookies": true}}),
            format!(
                "{at}.request.keepCookies: without `cookies`, all cookies go on; give `cookies`, or \
                 leave this out"
            ),
        ),
        (
            json!({"path": "/", "noAuth": true, "request": {"cookies": {"a": "x"}, "keepCookies": "a"}}),
            format!("{at}.request.keepCookies: found `a`; allowed: `true` or `false`"),
        ),
        (
            json!({"path": "/", "noAuth": true, "request": {"cookies": {"a;b": "x"}}}),
            format!(
                "{at}.request.cookies.a;b: the name is not allowed: it must be a cookie name (RFC \
                 6265, 4.1.1)"
            ),
        ),
    ] {
        assert_eq!(
            faults(&configuration(&json!([rule]), &json!({}))),
            [expected],
            "{rule}"
        );
    }
}

#[test]
fn entries() {
    let rule = json!([{"path": "/", "noAuth": true}]);
    for (members, expected) in [
        (
            json!({"hosts": ["shop.example.com", "shop.example.com"]}),
            "$.apiRules[0]: host `shop.example.com` is given twice; a host belongs to one entry alone",
        ),
        (
            json!({"hosts": ["shop.example.com:443"]}),
            "$.apiRules[0].hosts[0]: found `shop.example.com:443`; allowed: ",
        ),
        (
            json!({"corsPolicy": {"allowMethods": ["GET"]}}),
            "$.apiRules[0].corsPolicy: `allowOrigins` is missing",
        ),
        (
            json!({"corsPolicy": {"allowOrigins": [{"suffix": "x"}]}}),
            "$.apiRules[0].corsPolicy.allowOrigins[0].suffix: unknown field; allowed here: `exact`, \
             `prefix`, `regex`",
        ),
        (
            json!({"errorStyle": "html"}),
            "$.apiRules[0].errorStyle: found `html`; allowed: `istio`, `oathkeeper`, \
             `oauth2-proxy`, `rfc6750`",
        ),
    ] {
        let found = faults(&configuration(&rule, &members));
        let first = found.first().map(String::as_str).unwrap_or_default();
        assert!(first.starts_with(expected), "{members}: {found:?}");
    }
}

#[test]
fn a_rule_that_is_never_reached_is_a_fault() {
    let rule = |methods: &[&str], path: &str, open: bool| match open {
        true => json!({"path": path, "methods": methods, "noAuth": true}),
        false => json!({"path": path, "methods": methods, "deny": true}),
    };
    for (rules, never) in [
        (
            json!([rule(&["GET"], "/a", true), rule(&["GET"], "/a", false)]),
            true,
        ),
        (
            json!([rule(&["GET"], "/{**}", true), rule(&["GET"], "/a", false)]),
            true,
        ),
        (
            json!([rule(&["GET"], "/*", true), rule(&["GET"], "/a/{*}", false)]),
            true,
        ),
        (
            json!([
                rule(&["GET", "PUT"], "/a", true),
                rule(&["PUT"], "/a", false)
            ]),
            true,
        ),
        (
            json!([
                rule(&["GET"], "/a", true),
                rule(&["PUT"], "/{*}", true),
                rule(&["GET", "PUT"], "/a", false),
            ]),
            true,
        ),
        (
            json!([rule(&["GET"], "/a", false), rule(&["GET"], "/{**}", true)]),
            false,
        ),
        (
            json!([rule(&["GET"], "/a", true), rule(&["PUT"], "/a", false)]),
            false,
        ),
        (
            json!([rule(&["GET"], "/a/{*}", true), rule(&["GET"], "/a", false)]),
            false,
        ),
    ] {
        let found = faults(&configuration(&rules, &json!({})));
        let told = found.iter().any(|fault| fault.contains("can never match"));
        assert_eq!(told, never, "{rules}: {found:?}");
        assert_eq!(found.len(), usize::from(never), "{rules}: {found:?}");
    }
}

#[test]
fn an_overlap_that_opens_something_is_a_warning() {
    let open =
        |methods: &[&str], path: &str| json!({"path": path, "methods": methods, "noAuth": true});
    let guarded = |methods: &[&str], path: &str| {
        let demand = json!({"provider": "hydra"});
        json!({"path": path, "methods": methods, "oauth2Introspection": demand})
    };
    for (rules, expected) in [
        // A path that is guarded for one method is open for another.
        (
            json!([
                guarded(&["POST"], "/a/{*}/one"),
                open(&["GET", "POST"], "/a/{**}")
            ]),
            Some("rule 0 guards its path only for its own methods: GET there is for rule 1"),
        ),
        // Unless another rule has it.
        (
            json!([
                guarded(&["POST"], "/a/{*}/one"),
                json!({"path": "/a/{*}/one", "methods": ["GET"], "deny": true}),
                open(&["GET", "POST"], "/a/{**}")
            ]),
            None,
        ),
        // An open rule takes a part of what a later one guards.
        (
            json!([
                open(&["GET"], "/{*}/public"),
                guarded(&["GET"], "/admin/{*}")
            ]),
            Some("rule 0 is open to all and stands before rule 1"),
        ),
        // The narrower one first, as it should be.
        (
            json!([open(&["GET"], "/public/{**}"), guarded(&["GET"], "/{**}")]),
            None,
        ),
        (
            json!([guarded(&["GET"], "/admin"), open(&["GET"], "/{**}")]),
            None,
        ),
        (
            json!([open(&["GET"], "/a/{*}"), guarded(&["GET"], "/b/{*}")]),
            None,
        ),
        (
            json!([open(&["GET"], "/{*}/x"), guarded(&["PUT"], "/a/{*}")]),
            None,
        ),
    ] {
        let found = warnings(&configuration(&rules, &json!({})));
        match expected {
            Some(expected) => {
                let told = found.iter().any(|warning| warning.contains(expected));
                assert!(told && found.len() == 1, "{rules}: {found:?}");
            }
            None => assert!(found.is_empty(), "{rules}: {found:?}"),
        }
    }
}

#[test]
fn introspection_providers() {
    let at = "$.introspectionProviders[0]";
    for (members, expected) in [
        (json!({"clientId": "a", "clientSecret": "b"}), None),
        (
            json!({"clientId": "a", "clientSecret": {"env": "SECRET"}}),
            None,
        ),
        (json!({"authMethod": "bearer", "clientSecret": "b"}), None),
        (json!({"requestHeaders": {"x-key": {"env": "KEY"}}}), None),
        (
            json!({"authMethod": "basic", "clientId": "a"}),
            Some(": `authMethod: basic` needs `clientId` and `clientSecret`"),
        ),
        (
            json!({"clientId": "a"}),
            Some(": `clientId` without `clientSecret`; give both"),
        ),
        (
            json!({"authMethod": "header", "clientSecret": "b"}),
            Some(": `clientId` and `clientSecret` are not used with `authMethod: header`"),
        ),
        (
            json!({"timeout": "10ms"}),
            Some(".timeout: found `10ms`; allowed: a duration from"),
        ),
        (
            json!({"onOutage": 200}),
            Some(".onOutage: found `200`; allowed: `503`, `500`"),
        ),
        (
            json!({"tokenFrom": {"header": "x-token", "cookie": "t"}}),
            Some(".tokenFrom: give one of `header`, `queryParameter` and `cookie`"),
        ),
        (
            json!({"tokenFrom": {"cookie": "t", "prefix": "x"}}),
            Some(".tokenFrom.prefix: only beside `header`"),
        ),
        (
            json!({"introspectionUrl": "hydra"}),
            Some(".introspectionUrl: found `hydra`; allowed: an `http://` or `https://` URI"),
        ),
    ] {
        let mut provider = json!({"name": "hydra", "introspectionUrl": "http://hydra/introspect"});
        overlay(&mut provider, &members);
        let found = faults(&json!({"version": 1, "introspectionProviders": [provider]}));
        match expected {
            Some(expected) => {
                let expected = format!("{at}{expected}");
                assert!(
                    found.len() == 1 && found[0].starts_with(&expected),
                    "{members}: {found:?}"
                );
            }
            None => assert!(found.is_empty(), "{members}: {found:?}"),
        }
    }
}

#[test]
fn extension_providers() {
    let at = "$.extensionProviders[0]";
    for (members, expected) in [
        (json!({"statusOnError": "503"}), None),
        (json!({"service": "ns/host", "failOpen": true}), None),
        (
            json!({"includeRequestHeadersInCheck": ["x-*", "*-id", "cookie"]}),
            None,
        ),
        (
            json!({"includeRequestHeadersInCheck": ["*"]}),
            Some(".includeRequestHeadersInCheck[0]: found `*`; allowed: a header name"),
        ),
        (
            json!({"includeRequestBodyInCheck": {"maxRequestBytes": 1}}),
            Some(".includeRequestBodyInCheck: not supported: a request is decided before its body"),
        ),
        (
            json!({"headersToDownstreamOnAllow": ["x"]}),
            Some(".headersToDownstreamOnAllow: not supported: it would cost every response"),
        ),
        (
            json!({"pathPrefix": "verify"}),
            Some(".pathPrefix: found `verify`; allowed: a path that begins with `/`"),
        ),
        (
            json!({"statusOnError": "200"}),
            Some(".statusOnError: found `200`; allowed: a status from `400` to `599`"),
        ),
        (
            json!({"timeout": "600s"}),
            Some(".timeout: found `600s`; allowed: a duration from"),
        ),
    ] {
        let mut http = json!({"service": "p", "port": 80});
        overlay(&mut http, &members);
        let provider = json!({"name": "proxy", "envoyExtAuthzHttp": http});
        let found = faults(&json!({"version": 1, "extensionProviders": [provider]}));
        match expected {
            Some(expected) => {
                let expected = format!("{at}.envoyExtAuthzHttp{expected}");
                assert!(
                    found.len() == 1 && found[0].starts_with(&expected),
                    "{members}: {found:?}"
                );
            }
            None => assert!(found.is_empty(), "{members}: {found:?}"),
        }
    }
    let http = json!({"service": "p", "port": 80});
    let twice = json!({"name": "proxy", "envoyExtAuthzHttp": http});
    assert_eq!(
        faults(&json!({"version": 1, "extensionProviders": [twice, twice]})),
        ["$.extensionProviders[1]: another one has the same `name`; give it a name of its own"]
    );
    let grpc = json!({"name": "g", "envoyExtAuthzGrpc": {}});
    let found = faults(&json!({"version": 1, "extensionProviders": [grpc]}));
    assert!(
        found[0].starts_with("$.extensionProviders[0].envoyExtAuthzGrpc: not supported"),
        "{found:?}"
    );
}

#[test]
fn a_secret_is_in_no_fault_and_in_no_dump() {
    let provider = json!({
        "name": "hydra", "introspectionUrl": "http://hydra/", "clientId": "id",
        "clientSecret": "hunter2", "requestHeaders": {"x-key": "hunter3", "host": "hunter4"},
        "oops": 1,
    });
    let found = faults(&json!({"version": 1, "introspectionProviders": [provider]})).join("\n");
    assert!(
        found.contains("oops") && !found.contains("hunter"),
        "{found}"
    );

    let provider = json!({
        "name": "hydra", "introspectionUrl": "http://hydra/", "clientId": "id",
        "clientSecret": {"env": "SECRET"}, "requestHeaders": {"x-key": "hunter3"},
    });
    let config = json!({"version": 1, "introspectionProviders": [provider]}).to_string();
    let read = || Config::read(config.as_bytes()).unwrap();
    let missing = read().resolve_secrets(|_| None).unwrap_err();
    assert_eq!(
        missing[0].to_string(),
        "$.introspectionProviders[0]: `SECRET` is not in the environment of the module; set it in \
         `vmConfig.env`"
    );
    let mut resolved = read();
    resolved
        .resolve_secrets(|name| (name == "SECRET").then(|| "hunter2".to_owned()))
        .unwrap();
    let dump = format!("{resolved:?}");
    assert!(!dump.contains("hunter"), "{dump}");
}
