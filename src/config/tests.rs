//! The configuration reader: every fault with its place, and what valid texts become.

use super::*;
use serde_json::{Value, json};

/// RFC 7515, A.3.1.
const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// Every fault of a text, as it is told.
fn faults(text: &str) -> Vec<String> {
    match Config::read(text.as_bytes()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// A configuration with these members beside `version`.
fn version_1(members: &Value) -> String {
    let mut config = json!({"version": 1});
    for (name, value) in members.as_object().unwrap() {
        config[name] = value.clone();
    }
    config.to_string()
}

/// One JWT rule with these members in place of its own.
fn jwt_rule(members: &Value) -> String {
    let mut rule = json!({"issuer": "i", "jwks": JWKS});
    for (name, value) in members.as_object().unwrap() {
        match value {
            Value::Null => rule.as_object_mut().unwrap().remove(name),
            value => rule
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    version_1(&json!({"defaultAction": "DENY", "jwtRules": [rule]}))
}

/// One policy with these members in place of its own.
fn policy(members: &Value) -> String {
    let mut policy = json!({"name": "p", "namespace": "n", "rules": [{}]});
    for (name, value) in members.as_object().unwrap() {
        match value {
            Value::Null => policy.as_object_mut().unwrap().remove(name),
            value => policy
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    version_1(&json!({"defaultAction": "DENY", "authorizationPolicies": [policy]}))
}

#[test]
fn everything_that_can_be_said_is_read() {
    let config = json!({
        "version": 1,
        "defaultAction": "DENY",
        "pathMatching": "ISTIO",
        "accessLog": "ALL",
        "jwtRules": [
            {
                "name": "inline",
                "issuer": "https://a.example.com/",
                "audiences": ["a", "https://b.example.com/"],
                "jwks": JWKS,
                "fromHeaders": [{"name": "X-Jwt", "prefix": ""}, {"name": "authorization", "prefix": "Token "}],
                "fromParams": ["jwt", "t"],
                "forwardOriginalToken": true,
                "appliesTo": [{"hosts": ["a.example.com", "*.B.example.com"], "paths": ["/a*"],
                    "exceptPaths": ["/a/{*}/b", "/ab"]}],
            },
            {"issuer": "b", "jwksUri": "https://b.example.com/jwks?x=1"},
            {"issuer": "c", "jwksUri": "http://c.example.com:8080", "cluster": "c"},
        ],
        "authorizationPolicies": [
            {
                "name": "p",
                "namespace": "n",
                "action": "DENY",
                "appliesTo": [{"paths": ["/a"]}],
                "rules": [{
                    "from": [{"source": {"requestPrincipals": ["*", "a/b"]}}],
                    "to": [{"operation": {"hosts": ["a.com"], "methods": ["GET"], "paths": ["*"]}}],
                }, {}],
            },
            {"name": "p", "namespace": "m"},
            {"name": "q", "namespace": "m", "rules": []},
        ],
    });
    let config = Config::read(config.to_string().as_bytes()).unwrap();
    assert_eq!(config.default_action, DefaultAction::Deny);
    assert_eq!(config.path_matching, PathMatching::Istio);

    let [inline, derived, given] = &config.jwt_rules[..] else {
        panic!()
    };
    assert_eq!(
        (inline.name.as_str(), inline.issuer.as_deref().unwrap()),
        ("inline", "https://a.example.com/")
    );
    assert_eq!(inline.audiences, ["a", "https://b.example.com/"]);
    assert!(matches!(&inline.keys, KeySource::Inline(keys) if keys.len() == 1));
    let headers = inline
        .from_headers
        .iter()
        .map(|it| (it.name.as_str(), it.prefix.as_str()));
    assert_eq!(
        headers.collect::<Vec<_>>(),
        [("x-jwt", ""), ("authorization", "Token ")]
    );
    assert_eq!(inline.from_params, ["jwt", "t"]);
    assert!(inline.forward_original_token);
    let [attached] = &inline.applies_to[..] else {
        panic!()
    };
    let within = &attached.within;
    let lengths = (
        attached.hosts.len(),
        within.paths.len(),
        within.except.len(),
    );
    assert_eq!(lengths, (2, 1, 2));

    assert_eq!(
        (derived.name.as_str(), derived.forward_original_token),
        ("b", false)
    );
    let [bearer] = &derived.from_headers[..] else {
        panic!()
    };
    assert_eq!(
        (bearer.name.as_str(), bearer.prefix.as_str()),
        ("authorization", "Bearer ")
    );
    assert_eq!(derived.from_params, ["access_token"]);
    for (rule, authority, path, cluster) in [
        (
            derived,
            "b.example.com",
            "/jwks?x=1",
            "outbound|443||b.example.com",
        ),
        (given, "c.example.com:8080", "/", "c"),
    ] {
        let KeySource::Remote(RemoteKeys {
            origin: Origin::Uri(keys),
            ..
        }) = &rule.keys
        else {
            panic!()
        };
        let found = (
            keys.authority.as_str(),
            keys.path.as_str(),
            keys.cluster.as_str(),
        );
        assert_eq!(found, (authority, path, cluster));
    }

    let [deny, absent, empty] = &config.authorization_policies[..] else {
        panic!()
    };
    assert_eq!(
        (deny.action, deny.rules.len(), deny.applies_to.len()),
        (Action::Deny, 2, 1)
    );
    assert_eq!((absent.action, absent.rules.len()), (Action::Allow, 0));
    assert_eq!((empty.action, empty.rules.len()), (Action::Allow, 0));
}

#[test]
fn the_least_that_can_be_said_allows_everything() {
    let config = Config::read(br#"{"version":1}"#).unwrap();
    assert_eq!(config.default_action, DefaultAction::Allow);
    assert_eq!(config.path_matching, PathMatching::Strict);
    assert!(config.jwt_rules.is_empty() && config.authorization_policies.is_empty());
}

#[test]
fn one_location_turns_the_other_default_off() {
    for (members, headers, params) in [
        (json!({}), 1, 1),
        (json!({"fromHeaders": [{"name": "x"}]}), 1, 0),
        (json!({"fromParams": ["x"]}), 0, 1),
    ] {
        let config = Config::read(jwt_rule(&members).as_bytes()).unwrap();
        let rule = &config.jwt_rules[0];
        assert_eq!(
            (rule.from_headers.len(), rule.from_params.len()),
            (headers, params),
            "{members}"
        );
    }
}

#[test]
fn the_top_level() {
    for (name, text, expected) in [
        (
            "empty",
            String::new(),
            "$: empty; pluginConfig must be a JSON object with at least `version: 1`",
        ),
        (
            "no object",
            "[]".into(),
            "$: found a list; allowed: an object",
        ),
        ("null", "null".into(), "$: found `null`; allowed: an object"),
        ("no version", "{}".into(), "$: `version` is missing"),
        (
            "another version",
            r#"{"version":2}"#.into(),
            "$.version: found `2`; allowed: 1",
        ),
        (
            "version as text",
            r#"{"version":"1"}"#.into(),
            "$.version: found `1`; allowed: 1",
        ),
        (
            "defaultAction in another case",
            version_1(&json!({"defaultAction": "deny"})),
            "$.defaultAction: found `deny`; allowed: `ALLOW`, `DENY`",
        ),
        (
            "pathMatching",
            version_1(&json!({"pathMatching": true})),
            "$.pathMatching: found `true`; allowed: `STRICT`, `ISTIO`",
        ),
        (
            "accessLog",
            version_1(&json!({"accessLog": "NONE"})),
            "$.accessLog: found `NONE`; allowed: `REFUSED`, `ALL`",
        ),
        (
            "unknown",
            version_1(&json!({"rules": []})),
            "$.rules: unknown field; allowed here: `version`, `defaultAction`, `pathMatching`, \
             `accessLog`, `jwtRules`, `introspectionProviders`, `extensionProviders`, `apiRules`, \
             `mesh`, `clientCertificate`, `authorizationPolicies`, `limits`",
        ),
        (
            "no list",
            version_1(&json!({"jwtRules": {}})),
            "$.jwtRules: found an object; allowed: a list, in brackets or with a dash before each item",
        ),
        (
            "no list of policies",
            version_1(&json!({"authorizationPolicies": "x"})),
            "$.authorizationPolicies: found `x`; allowed: a list, in brackets or with a dash before each item",
        ),
    ] {
        assert_eq!(faults(&text), [expected], "{name}");
    }
}

#[test]
fn jwt_rules() {
    const URI: &str = "an `http://` or `https://` URI with a host and without user";
    let uri = |uri: &str| json!({"jwks": null, "jwksUri": uri});
    for (members, expected) in [
        (json!({"issuer": null}),
            "$.jwtRules[0]: neither `issuer` nor `name`; a rule for any issuer needs a name".to_owned()),
        (json!({"outputClaimToHeaders": [{"header": "Host", "claim": "sub"}]}),
            "$.jwtRules[0].outputClaimToHeaders[0].header: `host` may not be set: it frames the \
             request or routes it".to_owned()),
        (json!({"timeout": "0s"}),
            "$.jwtRules[0].timeout: found `0s`; allowed: a duration of at least `1ms`, such as `5s` \
             or `1m30s`".to_owned()),
        (json!({"refresh": "1m"}),
            "$.jwtRules[0].refresh: not used with `jwks`; leave it out".to_owned()),
        (json!({"jwks": null, "jwksUri": "https://b/", "refresh": "4s"}),
            "$.jwtRules[0].refresh: found `4s`; allowed: a duration from `5s` to `43200s`, such as \
             `500ms` or `5s`".to_owned()),
        (json!({"clockSkew": "2h"}),
            "$.jwtRules[0].clockSkew: found `2h`; allowed: a duration from `0s` to `3600s`, such as \
             `500ms` or `5s`".to_owned()),
        (json!({"algorithms": ["RS256", "none"]}),
            "$.jwtRules[0].algorithms[1]: found `none`; allowed: `RS256`, `RS384`, `RS512`, \
             `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `ES512`, `EdDSA`, `HS256`, `HS384`, `HS512`"
                .to_owned()),
        (json!({"algorithms": []}),
            "$.jwtRules[0].algorithms: an empty list; leave the field out or give at least one item"
                .to_owned()),
        (json!({"requireSubject": "yes"}),
            "$.jwtRules[0].requireSubject: found `yes`; allowed: `true` or `false`".to_owned()),
        (json!({"presence": "ALWAYS"}),
            "$.jwtRules[0].presence: found `ALWAYS`; allowed: `OPTIONAL`, `REQUIRED`".to_owned()),
        (json!({"issuer": ""}),
            "$.jwtRules[0].issuer: found ``; allowed: a string that is not empty".to_owned()),
        (json!({"issuer": ["i"]}),
            "$.jwtRules[0].issuer: found a list; allowed: a string that is not empty".to_owned()),
        (json!({"name": "A b"}),
            "$.jwtRules[0].name: found `A b`; allowed: a name of at most 253 lower-case letters, \
             digits, `-` and `.`, with a letter or digit at both ends".to_owned()),
        (json!({"audiences": []}),
            "$.jwtRules[0].audiences: an empty list; leave the field out or give at least one item"
                .to_owned()),
        (json!({"audiences": ["a", 1]}),
            "$.jwtRules[0].audiences[1]: found `1`; allowed: a string that is not empty".to_owned()),
        (json!({"jwks": null}),
            "$.jwtRules[0]: no keys; give `jwks` or `jwksUri`, or an `issuer` that is an `https://` \
             URL whose keys can be discovered".to_owned()),
        (json!({"jwks": null, "issuer": null, "name": "any"}),
            "$.jwtRules[0]: no keys; give `jwks` or `jwksUri`".to_owned()),
        (json!({"jwks": null, "issuer": "http://idp.example.com"}),
            "$.jwtRules[0]: no keys; give `jwks` or `jwksUri`, or an `issuer` that is an `https://` \
             URL whose keys can be discovered".to_owned()),
        (json!({"jwksUri": "https://a/"}),
            "$.jwtRules[0].jwksUri: given beside `jwks`; one of the two is allowed".to_owned()),
        (json!({"cluster": "c"}),
            "$.jwtRules[0].cluster: not used with `jwks`; leave it out".to_owned()),
        (json!({"jwks": {"keys": []}}),
            "$.jwtRules[0].jwks: found an object; allowed: a string that is not empty".to_owned()),
        (json!({"jwks": "[]"}),
            "$.jwtRules[0].jwks: not the text of a JSON Web Key Set: not an object with a list \
             `keys`".to_owned()),
        (json!({"jwks": r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}"#}),
            "$.jwtRules[0].jwks: not the text of a JSON Web Key Set: not JSON: EOF while parsing a \
             list at line 1 column 37".to_owned()),
        (json!({"jwks": r#"{"keys":[]}"#}), "$.jwtRules[0].jwks: no key in the set".to_owned()),
        (json!({"jwks": r#"{"keys":[{"kty":"oct","kid":"a","k":"c2VjcmV0"}]}"#}),
            "$.jwtRules[0].jwks: no usable key: key 0 (kid `a`) skipped: 6 bytes are too few \
             for HS256; a secret is as long as the hash at least".to_owned()),
        (uri("b.example.com/jwks"),
            format!("$.jwtRules[0].jwksUri: found `b.example.com/jwks`; allowed: {URI}")),
        (uri("ftp://b/"), format!("$.jwtRules[0].jwksUri: found `ftp://b/`; allowed: {URI}")),
        (uri("/jwks"), format!("$.jwtRules[0].jwksUri: found `/jwks`; allowed: {URI}")),
        (uri("https://u@b/"), format!("$.jwtRules[0].jwksUri: found `https://u@b/`; allowed: {URI}")),
        (uri("https:///x"), format!("$.jwtRules[0].jwksUri: found `https:///x`; allowed: {URI}")),
        (json!({"fromHeaders": []}),
            "$.jwtRules[0].fromHeaders: an empty list; leave the field out or give at least one item"
                .to_owned()),
        (json!({"fromHeaders": [{"prefix": "x"}]}),
            "$.jwtRules[0].fromHeaders[0]: `name` is missing".to_owned()),
        (json!({"fromHeaders": [{"name": "a b"}]}),
            "$.jwtRules[0].fromHeaders[0].name: found `a b`; allowed: a header name (RFC 9110, 5.1)"
                .to_owned()),
        (json!({"fromHeaders": [{"name": ":path"}]}),
            "$.jwtRules[0].fromHeaders[0].name: found `:path`; allowed: a header name (RFC 9110, \
             5.1)".to_owned()),
        (json!({"fromHeaders": [{"name": "a", "value": "b"}]}),
            "$.jwtRules[0].fromHeaders[0].value: unknown field; allowed here: `name`, `prefix`"
                .to_owned()),
        (json!({"fromParams": [""]}),
            "$.jwtRules[0].fromParams[0]: found ``; allowed: a string that is not empty".to_owned()),
        (json!({"forwardOriginalToken": "true"}),
            "$.jwtRules[0].forwardOriginalToken: found `true`; allowed: `true` or `false`".to_owned()),
        (json!({"jwks_uri": "x"}),
            "$.jwtRules[0].jwks_uri: unknown field; allowed here: `appliesTo`, `presence`, `name`, `issuer`, \
             `audiences`, `jwks`, `jwksUri`, `cluster`, `timeout`, `refresh`, `algorithms`, `clockSkew`, `requireExpiration`, `requireSubject`, `fromHeaders`, `fromParams`, \
             `fromCookies`, `forwardOriginalToken`, `spaceDelimitedClaims`, \
             `outputPayloadToHeader`, `outputClaimToHeaders`".to_owned()),
    ] {
        assert_eq!(faults(&jwt_rule(&members)), [expected], "{members}");
    }
}

#[test]
fn limits() {
    let of = |limits: Value| {
        Config::read(
            json!({"version": 1, "limits": limits})
                .to_string()
                .as_bytes(),
        )
    };
    let read = of(json!({
        "jwksMaxStale": "12h", "unknownKeyCooldown": "10s", "verifiedTokens": 0,
        "parkedRequests": 10, "parkedFor": "2s",
    }));
    let second = std::time::Duration::from_secs;
    assert_eq!(
        read.unwrap().limits,
        Limits {
            jwks_max_stale: second(43_200),
            unknown_key_cooldown: second(10),
            verified_tokens: 0,
            parked_requests: 10,
            parked_for: second(2),
        }
    );
    assert_eq!(of(json!({})).unwrap().limits, Limits::default());
    for (limits, expected) in [
        (
            json!({"jwksMaxStale": "1m"}),
            "$.limits.jwksMaxStale: found `1m`; allowed: a duration from `3600s` to `604800s`, such as \
             `500ms` or `5s`",
        ),
        (
            json!({"verifiedTokens": 100_001}),
            "$.limits.verifiedTokens: found `100001`; allowed: a whole number from 0 to 100000",
        ),
        (
            json!({"parkedRequests": 0}),
            "$.limits.parkedRequests: found `0`; allowed: a whole number from 1 to 10000",
        ),
        (
            json!({"parkedRequests": 1.5}),
            "$.limits.parkedRequests: found `1.5`; allowed: a whole number from 1 to 10000",
        ),
        (
            json!({"parked": 1}),
            "$.limits.parked: unknown field; allowed here: `jwksMaxStale`, `unknownKeyCooldown`, \
             `parkedFor`, `verifiedTokens`, `parkedRequests`",
        ),
    ] {
        let faults = of(limits).unwrap_err();
        assert_eq!(
            faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [expected]
        );
    }
}

#[test]
fn authorization_policies() {
    let to = |operation: Value| json!({"rules": [{"to": [{"operation": operation}]}]});
    let from = |source: Value| json!({"rules": [{"from": [{"source": source}]}]});
    let custom =
        |rule: Value| json!({"action": "CUSTOM", "provider": {"name": "p"}, "rules": [rule]});
    const RULE: &str = "$.authorizationPolicies[0].rules[0]";
    const WHO: &str = "not allowed in a `CUSTOM` policy, which is judged before anybody knows who \
                       is asking";
    const EMPTY: &str = "an empty list; leave the field out or give at least one item";
    for (members, expected) in [
        (
            json!({"name": null}),
            "$.authorizationPolicies[0]: `name` is missing".to_owned(),
        ),
        (
            json!({"namespace": null}),
            "$.authorizationPolicies[0]: `namespace` is missing".to_owned(),
        ),
        (
            json!({"action": "LOG"}),
            "$.authorizationPolicies[0].action: found `LOG`; allowed: `ALLOW`, `DENY`, `AUDIT`, \
             `CUSTOM`"
                .to_owned(),
        ),
        (
            json!({"action": "CUSTOM"}),
            "$.authorizationPolicies[0]: `provider` is missing; a `CUSTOM` policy needs one"
                .to_owned(),
        ),
        (
            json!({"action": "CUSTOM", "provider": {}}),
            "$.authorizationPolicies[0].provider: `name` is missing".to_owned(),
        ),
        (
            json!({"provider": {"name": "p"}}),
            "$.authorizationPolicies[0].provider: only for `CUSTOM`; leave it out".to_owned(),
        ),
        (
            custom(json!({"from": [{"source": {"notNamespaces": ["a"]}}]})),
            format!("{RULE}.from[0].source.notNamespaces: {WHO}"),
        ),
        (
            custom(json!({"from": [{"source": {"requestPrincipals": ["*"]}}]})),
            format!("{RULE}.from[0].source.requestPrincipals: {WHO}"),
        ),
        (
            custom(json!({"when": [{"key": "source.principal", "values": ["*"]}]})),
            format!("{RULE}.when[0].values: {WHO}"),
        ),
        (
            custom(json!({"when": [{"key": "request.auth.claims[a]", "notValues": ["*"]}]})),
            format!("{RULE}.when[0].notValues: {WHO}"),
        ),
        (
            json!({"action": "CUSTOM", "provider": {"name": "p"}, "dryRun": true}),
            "$.authorizationPolicies[0].dryRun: not for a `CUSTOM` policy; leave it out".to_owned(),
        ),
        (
            json!({"rules": [{"when": [{"key": "experimental.envoy.http[a]", "values": ["x"]}]}]}),
            format!(
                "{RULE}.when[0].key: found `experimental.envoy.http[a]`; allowed: \
                 `experimental.envoy.filters.FILTER[KEY]`"
            ),
        ),
        (
            json!({"action": "DENY", "rules": null}),
            "$.authorizationPolicies[0]: a policy without `rules` never matches; give it rules or \
             leave it out"
                .to_owned(),
        ),
        (
            json!({"action": "DENY", "rules": []}),
            "$.authorizationPolicies[0]: a policy without `rules` never matches; give it rules or \
             leave it out"
                .to_owned(),
        ),
        (
            json!({"selector": {}}),
            "$.authorizationPolicies[0].selector: unknown field; allowed here: `name`, \
             `namespace`, `action`, `provider`, `appliesTo`, `rules`, `dryRun`"
                .to_owned(),
        ),
        (
            json!({"rules": [{"when": []}]}),
            format!("{RULE}.when: {EMPTY}"),
        ),
        (
            json!({"rules": [{"unless": []}]}),
            format!("{RULE}.unless: unknown field; allowed here: `from`, `to`, `when`"),
        ),
        (
            json!({"rules": [{"when": [{"key": "connection.sni"}]}]}),
            format!("{RULE}.when[0]: no values; give `values`, `notValues` or both"),
        ),
        (
            json!({"rules": [{"when": [{"key": "request.headers[]", "values": ["x"]}]}]}),
            format!(
                "{RULE}.when[0].key: found `request.headers[]`; allowed: `request.headers[NAME]`"
            ),
        ),
        (
            json!({"rules": [{"when": [{"key": "destination.port", "values": ["http"]}]}]}),
            format!(
                "{RULE}.when[0].values[0]: found `http`; allowed: a port from 0 to 65535, in quotes"
            ),
        ),
        (
            json!({"rules": [[]]}),
            format!("{RULE}: found a list; allowed: an object"),
        ),
        (
            json!({"rules": [{"from": []}]}),
            format!("{RULE}.from: {EMPTY}"),
        ),
        (
            json!({"rules": [{"to": []}]}),
            format!("{RULE}.to: {EMPTY}"),
        ),
        (
            json!({"rules": [{"from": [{}]}]}),
            format!("{RULE}.from[0]: `source` is missing"),
        ),
        (
            json!({"rules": [{"to": [{"operation": {}}]}]}),
            format!("{RULE}.to[0].operation: empty; give at least one field"),
        ),
        (
            from(json!({})),
            format!("{RULE}.from[0].source: empty; give at least one field"),
        ),
        (
            from(json!({"requestPrincipals": []})),
            format!("{RULE}.from[0].source.requestPrincipals: {EMPTY}"),
        ),
        (
            from(json!({"requestPrincipals": ["https://issuer.example.com"]})),
            format!(
                "{RULE}.from[0].source.requestPrincipals[0]: found `https://issuer.example.com`; \
                allowed: `ISSUER/SUBJECT`, split at the last `/`; did you mean \
                `https://issuer.example.com/*`?"
            ),
        ),
        (
            from(json!({"principals": ["spiffe://a"]})),
            format!(
                "{RULE}.from[0].source.principals[0]: found `spiffe://a`; allowed: an identity \
                without `spiffe://`"
            ),
        ),
        (
            from(json!({"serviceAccounts": ["a/b"], "namespaces": ["a"]})),
            format!(
                "{RULE}.from[0].source: `serviceAccounts` beside `namespaces`; one of the two is \
                allowed"
            ),
        ),
        (
            from(json!({"ipBlocks": ["192.0.2.0/24"]})),
            format!(
                "{RULE}.from[0].source.ipBlocks[0]: found `192.0.2.0/24`; allowed: nothing, unless \
                `mesh.useRemoteAddress` is true: only then does Envoy tell who is connected"
            ),
        ),
        (
            from(json!({"remoteIpBlocks": ["192.0.2.0/33"]})),
            format!(
                "{RULE}.from[0].source.remoteIpBlocks[0]: found `192.0.2.0/33`; allowed: an IP \
                address or a CIDR block such as `192.0.2.0/24`"
            ),
        ),
        (
            to(json!({"methods": [""]})),
            format!(
                "{RULE}.to[0].operation.methods[0]: found ``; allowed: a string that is not \
                empty"
            ),
        ),
        (
            to(json!({"path": ["/a"]})),
            format!(
                "{RULE}.to[0].operation.path: unknown field; allowed here: `hosts`, `notHosts`, \
                `ports`, `notPorts`, `methods`, `notMethods`, `paths`, `notPaths`"
            ),
        ),
        (
            to(json!({"notPaths": ["/a{*}"]})),
            format!(
                "{RULE}.to[0].operation.notPaths[0]: found `/a{{*}}`; allowed: a path whose segments \
                are literal, or exactly `{{*}}` or `{{**}}`"
            ),
        ),
        (
            json!({"appliesTo": []}),
            format!("$.authorizationPolicies[0].appliesTo: {EMPTY}"),
        ),
        (
            json!({"appliesTo": [{}]}),
            "$.authorizationPolicies[0].appliesTo[0]: empty; give one of `hosts`, `paths` and \
             `exceptPaths`, or several"
                .to_owned(),
        ),
        (
            json!({"appliesTo": [{"exceptPaths": []}]}),
            format!("$.authorizationPolicies[0].appliesTo[0].exceptPaths: {EMPTY}"),
        ),
        (
            json!({"appliesTo": [{"exceptPaths": ["/a{*}"]}]}),
            "$.authorizationPolicies[0].appliesTo[0].exceptPaths[0]: found `/a{*}`; allowed: a path \
             whose segments are literal, or exactly `{*}` or `{**}`"
                .to_owned(),
        ),
        (
            json!({"appliesTo": [{"hosts": []}]}),
            format!("$.authorizationPolicies[0].appliesTo[0].hosts: {EMPTY}"),
        ),
        (
            json!({"appliesTo": [{"hosts": ["a.com:80"]}]}),
            "$.authorizationPolicies[0].appliesTo[0].hosts[0]: found `a.com:80`; allowed: a host \
             name or `*.` and one, without port"
                .to_owned(),
        ),
        (
            json!({"appliesTo": [{"hosts": ["*"]}]}),
            "$.authorizationPolicies[0].appliesTo[0].hosts[0]: found `*`; allowed: a host name or \
             `*.` and one, without port"
                .to_owned(),
        ),
    ] {
        assert_eq!(faults(&policy(&members)), [expected], "{members}");
    }
}

#[test]
fn two_policies_of_one_namespace_have_two_names() {
    let named = |namespace: &str, name: &str| json!({"namespace": namespace, "name": name});
    let policies = json!([
        named("n", "p"),
        named("n", "q"),
        named("m", "p"),
        named("n", "p")
    ]);
    assert_eq!(
        faults(&version_1(&json!({"authorizationPolicies": policies}))),
        [
            "$.authorizationPolicies[3]: another policy has the same `namespace` and `name`; give it \
          a name of its own"
        ]
    );
}

#[test]
fn the_default_action_is_required_as_soon_as_an_authority_is_named() {
    let named = json!([{"hosts": ["a.com"]}]);
    let paths = json!([{"paths": ["/a"]}]);
    let except = json!([{"exceptPaths": ["/a"]}]);
    let rule = |applies_to: &Value| json!({"jwtRules": [{"issuer": "i", "jwks": JWKS, "appliesTo": applies_to}]});
    let policy = |applies_to: &Value| {
        let policy = json!({"name": "p", "namespace": "n", "appliesTo": applies_to});
        json!({"authorizationPolicies": [policy]})
    };
    let missing = "$: `defaultAction` is missing; it is required as soon as a host is named: \
                   `DENY` answers 404 for every other authority, `ALLOW` lets it through";
    for (name, members, expected) in [
        ("a JWT rule", rule(&named), vec![missing]),
        ("a policy", policy(&named), vec![missing]),
        ("paths alone", rule(&paths), vec![]),
        ("paths alone in a policy", policy(&paths), vec![]),
        ("all but some paths", policy(&except), vec![]),
    ] {
        assert_eq!(faults(&version_1(&members)), expected, "{name}");
    }
    let mut given = rule(&named);
    given["defaultAction"] = json!("ALLOW");
    assert!(faults(&version_1(&given)).is_empty());
}

#[test]
fn every_fault_is_told_at_once() {
    let text = json!({
        "defaultAction": "MAYBE",
        "extra": 1,
        "jwtRules": [
            {"audiences": [1]},
            {"issuer": "i", "jwks": "x", "cluster": "c"},
        ],
        "authorizationPolicies": [
            {"name": "_", "rules": [{"to": [{"operation": {"path": ["/"]}}]}]},
            {"name": "p", "namespace": "n", "action": "DENY"},
        ],
    });
    let faults = faults(&text.to_string());
    let places: Vec<_> = faults
        .iter()
        .map(|it| it.split_once(": ").unwrap().0)
        .collect();
    assert_eq!(
        places,
        [
            "$",
            "$.jwtRules[0].audiences[0]",
            "$.jwtRules[0]",
            "$.jwtRules[0]",
            "$.jwtRules[1].cluster",
            "$.jwtRules[1].jwks",
            "$.authorizationPolicies[0].name",
            "$.authorizationPolicies[0]",
            "$.authorizationPolicies[0].rules[0].to[0].operation.path",
            "$.authorizationPolicies[1]",
            "$.extra",
            "$.defaultAction",
        ],
        "{faults:#?}"
    );
}

#[test]
fn a_hundred_faults_are_listed_and_the_others_counted() {
    let policies = vec![json!({"name": "p"}); 150];
    let faults = faults(&version_1(&json!({"authorizationPolicies": policies})));
    assert_eq!(faults.len(), 101);
    assert_eq!(faults[100], "$: 50 more faults");
}

#[test]
fn what_was_found_is_cut_and_on_one_line() {
    let long = format!("a\n\u{1b}{}", "x".repeat(1_000));
    let faults = faults(&version_1(&json!({"defaultAction": long})));
    let cut = "x".repeat(60 - r"a\n\u{1b}".len());
    assert_eq!(
        faults,
        [format!(
            r"$.defaultAction: found `a\n\u{{1b}}{cut}…`; allowed: `ALLOW`, `DENY`"
        )]
    );
}

#[test]
fn a_text_that_is_no_json_has_one_fault() {
    for (name, text) in [
        ("cut", r#"{"version":1"#),
        ("a name twice", r#"{"version":1,"version":1}"#),
        (
            "a name twice, deeper down",
            r#"{"version":1,"jwtRules":[{"issuer":"a","issuer":"b"}]}"#,
        ),
        ("text behind", r#"{"version":1} x"#),
        ("byte order mark", "\u{feff}{\"version\":1}"),
        ("YAML", "version: 1"),
    ] {
        let faults = faults(text);
        assert_eq!(faults.len(), 1, "{name}: {faults:?}");
        assert!(
            faults[0].starts_with("$: not valid JSON: "),
            "{name}: {faults:?}"
        );
    }
    assert_eq!(Config::read(b"\"\xff\"").unwrap_err().len(), 1);
}

#[test]
fn limits_of_the_text() {
    let long = |length: usize| format!("{}{}", " ".repeat(length - 13), r#"{"version":1}"#);
    assert!(faults(&long(MAX_BYTES)).is_empty());
    assert_eq!(
        faults(&long(MAX_BYTES + 1)),
        ["$: 4194305 bytes; at most 4194304 are allowed"]
    );
    let deep = |depth: usize| {
        format!(
            r#"{{"version":1,"x":{}{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert!(faults(&deep(63))[0].starts_with("$.x: unknown field"));
    assert!(faults(&deep(64))[0].starts_with("$: not valid JSON: nested too deep"));
    assert!(faults(&deep(100_000))[0].starts_with("$: not valid JSON: "));
}

#[test]
fn limits_of_the_rules() {
    let rules = |count: usize| {
        let rules = vec![json!({}); count];
        json!({
            "authorizationPolicies": [{"name": "p", "namespace": "n", "rules": rules}],
            "jwtRules": [{"issuer": "i", "jwks": JWKS}],
        })
    };
    assert!(faults(&version_1(&rules(MAX_RULES - 1))).is_empty());
    assert_eq!(
        faults(&version_1(&rules(MAX_RULES))),
        ["$: 50001 rules in all; at most 50000 are allowed"]
    );
}
