//! The model of version v1beta1, checked by what is known of Kyma's routes and of Oathkeeper.

use super::super::asking::{asked, status};
use super::super::{ApiRules, JwtHandler};
use super::{ApiRule, Mesh};

fn api(host: &str, rules: &str) -> ApiRule {
    ApiRule {
        name: "api".to_owned(),
        host: host.to_owned(),
        service: "shop".to_owned(),
        rules: serde_saphyr::from_str(rules).unwrap(),
    }
}

fn check(handler: JwtHandler, rules: &str, cases: &[(&str, &[&str], u16)]) {
    for (line, headers, expected) in cases {
        let (method, path) = line.split_once(' ').unwrap();
        let request = asked(&format!("{method} https://a.com{path}"), headers);
        let mesh = Mesh::new(handler, vec![api("a.com", rules)]);
        let got = status(ApiRules::V1beta1(mesh), &request);
        assert_eq!(got, *expected, "{handler:?}: {line} {headers:?}\n{rules}");
    }
}

const READ: &[&str] = &["authorization: bearer <opaque: read>"];

#[test]
fn the_tutorial_on_scopes() {
    let rules = "[{path: /headers, methods: [GET], accessStrategies: [{handler: oauth2_introspection, \
          config: {required_scope: [read]}}]}, \
        {path: /.*, methods: [POST], accessStrategies: [{handler: oauth2_introspection, \
          config: {required_scope: [write]}}]}]";
    check(
        JwtHandler::Ory,
        rules,
        &[
            ("GET /headers", &[], 401),
            ("GET /headers", READ, 200),
            ("POST /headers", READ, 403),
            (
                "POST /anything",
                &["authorization: Bearer <opaque: write>"],
                200,
            ),
            (
                "GET /headers",
                &["authorization: Bearer <opaque: revoked>"],
                401,
            ),
            (
                "GET /headers",
                &["authorization: Bearer <opaque: past>"],
                401,
            ),
            (
                "GET /headers",
                &["authorization: Bearer <opaque: refresh>"],
                403,
            ),
            (
                "GET /headers",
                &["authorization: Bearer <opaque: no-scope>"],
                403,
            ),
            ("GET /headers", &["authorization: Bearer <one: plain>"], 401),
            (
                "GET /headers",
                &["authorization: Basic <opaque: read>"],
                401,
            ),
            ("GET /headers?access_token=<opaque: read>", &[], 401),
            ("GET /anything", READ, 404),
        ],
    );
}

#[test]
fn one_rule_of_oathkeeper_must_be_for_a_request() {
    let rules = "[{path: /a, methods: [GET], accessStrategies: [{handler: noop}]}, \
        {path: /a.*, methods: [GET, POST], accessStrategies: [{handler: noop}]}, \
        {path: /b/, methods: [GET], accessStrategies: [{handler: noop}]}, \
        {path: /c/.*, methods: [GET], accessStrategies: [{handler: noop}]}, \
        {path: /d/, methods: [GET], accessStrategies: [{handler: no_auth}]}, \
        {path: /e, methods: [GET], accessStrategies: [{handler: unauthorized}]}]";
    check(
        JwtHandler::Ory,
        rules,
        &[
            ("GET /a", &[], 500),
            ("POST /a", &[], 200),
            ("GET /ab", &[], 200),
            ("PUT /ab", &[], 404),
            // Oathkeeper sees no trailing slash.
            ("GET /b/", &[], 404),
            ("GET /c/", &[], 404),
            ("GET /c/x/", &[], 200),
            ("GET /c/x%2Fy", &[], 200),
            ("GET /c/x%2", &[], 400),
            ("GET /d/", &[], 200),
            ("POST /d/", &[], 404),
            ("GET /e", &[], 401),
            ("GET /f", &[], 404),
        ],
    );
}

#[test]
fn the_first_rule_of_a_path_string_has_the_route() {
    let rules = "[{path: /a, methods: [GET], accessStrategies: [{handler: no_auth}]}, \
        {path: /a, methods: [POST], accessStrategies: [{handler: noop}]}, \
        {path: /b, methods: [GET], accessStrategies: [{handler: allow}]}, \
        {path: /c, methods: [GET], accessStrategies: [{handler: noop}]}, \
        {path: /c, methods: [POST], accessStrategies: [{handler: noop}]}]";
    let both: &[(&str, &[&str], u16)] = &[
        ("GET /a", &[], 200),
        ("POST /a", &[], 404),
        ("GET /b", &[], 200),
    ];
    check(JwtHandler::Ory, rules, both);
    check(JwtHandler::Istio, rules, both);
    check(
        JwtHandler::Ory,
        rules,
        &[("POST /b", &[], 200), ("POST /c", &[], 200)],
    );
    // Beside `no_auth` there are policies, which have the methods of `allow` as well.
    check(
        JwtHandler::Istio,
        rules,
        &[("POST /b", &[], 403), ("POST /c", &[], 404)],
    );
}

#[test]
fn whatever_oathkeeper_dislikes_of_a_jwt_is_401() {
    let rules = "[{path: /a, methods: [GET], accessStrategies: [{handler: jwt, config: \
          {trusted_issuers: ['https://one.example.org'], jwks_urls: ['https://one.example.org/keys'], \
           required_scope: [orders.all]}}]}, \
        {path: /b, methods: [GET], accessStrategies: [{handler: jwt, config: \
          {trusted_issuers: ['https://one.example.org'], jwks_urls: ['https://one.example.org/keys'], \
           target_audience: [shop], token_from: {header: x-token}}}]}]";
    let orders = r#"authorization: Bearer <one: {"aud":null,"scope":"orders.*"}>"#;
    let orders_of_two = r#"authorization: Bearer <two: {"aud":null,"scope":"orders.*"}>"#;
    check(
        JwtHandler::Ory,
        rules,
        &[
            ("GET /a", &[orders], 200),
            ("GET /a", &[orders_of_two], 401),
            ("GET /a", &["authorization: Bearer <one: plain>"], 401),
            ("GET /a", &["authorization: Bearer <opaque: read>"], 401),
            ("GET /b", &["x-token: <one: split>"], 200),
            ("GET /b", &["authorization: Bearer <one: split>"], 401),
            ("GET /b", &["x-token: <one: plain>"], 401),
            ("GET /b", &["x-token: <one: expired>"], 401),
            ("GET /b", &["x-token: <one: just expired>"], 401),
            ("GET /b", &["x-token: <one: issued in the future>"], 401),
            ("GET /b", &["x-token: <one: no kid>"], 401),
            ("GET /b", &["x-token: <one: ES256>"], 401),
            ("GET /b", &["x-token: <one: no sub>"], 200),
            ("GET /b", &["x-token: <one: no exp>"], 200),
        ],
    );
}

#[test]
fn policies_of_istio_take_a_path_for_a_text() {
    let jwt = "{handler: jwt, config: {authentications: [{issuer: 'https://one.example.org', \
        jwksUri: 'https://one.example.org/keys'}]}}";
    let rules = format!(
        "[{{path: /a/.*, methods: [GET], accessStrategies: [{jwt}]}}, \
          {{path: /b, methods: [GET], accessStrategies: [{jwt}]}}, \
          {{path: /c, methods: [GET], accessStrategies: [{{handler: oauth2_introspection}}]}}]"
    );
    let token: &[&str] = &["authorization: Bearer <one: plain>"];
    check(
        JwtHandler::Istio,
        &rules,
        &[
            ("GET /a/b", token, 403),
            ("GET /a/.b", token, 200),
            ("GET /b", token, 200),
            ("GET /b", &[], 403),
            ("GET /b", &["authorization: Bearer <one: expired>"], 401),
            ("POST /b", token, 404),
            // It is good for Oathkeeper, and malformed for the workload.
            ("GET /c", &["authorization: Bearer <opaque: read>"], 401),
            ("GET /c", READ, 200),
            ("GET /c", &[], 401),
        ],
    );
    let every = format!("[{{path: /.*, methods: [GET], accessStrategies: [{jwt}]}}]");
    check(
        JwtHandler::Istio,
        &every,
        &[("GET /a/b", token, 200), ("GET /a/b", &[], 403)],
    );
    let alone =
        "[{path: /c/.*, methods: [GET], accessStrategies: [{handler: oauth2_introspection}]}]";
    check(
        JwtHandler::Istio,
        alone,
        &[("GET /c/d", READ, 200), ("GET /c/d", &[], 401)],
    );
}
