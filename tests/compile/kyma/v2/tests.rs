//! The model of version v2, checked by what Kyma's documentation and end-to-end tests and Istio's own
//! tests say.

use super::super::asking::{asked, status};
use super::super::{ApiRules, Request};
use super::{ApiRule, Mesh, not_paths};

fn api(host: &str, rules: &str) -> ApiRule {
    ApiRule {
        name: "api".to_owned(),
        version: "v2",
        host: host.to_owned(),
        service: "shop".to_owned(),
        rules: serde_saphyr::from_str(rules).unwrap(),
    }
}

fn answer(rules: &str, request: &Request) -> u16 {
    status(ApiRules::V2(Mesh::new(vec![api("a.com", rules)])), request)
}

fn check(rules: &str, cases: &[(&str, &[&str], u16)]) {
    for (line, headers, expected) in cases {
        let (method, path) = line.split_once(' ').unwrap();
        let request = asked(&format!("{method} https://a.com{path}"), headers);
        assert_eq!(
            answer(rules, &request),
            *expected,
            "{line} {headers:?}\n{rules}"
        );
    }
}

#[test]
fn a_path_is_what_its_route_and_its_policy_say() {
    for (template, path, expected) in [
        ("/foo", "/foo", 200),
        ("/foo", "/foo?x", 200),
        ("/foo", "/foo/", 404),
        ("/foo", "/Foo", 404),
        ("/foo/{**}", "/foo/", 200),
        ("/foo/{**}", "/foo/a/b", 200),
        ("/foo/{**}", "/foo", 404),
        ("/foo/{*}", "/foo/a", 200),
        ("/foo/{*}", "/foo/", 404),
        ("/foo/{*}", "/foo/a/", 404),
        ("/foo/{*}", "/foo/a+b%20*", 200),
        ("/foo/{*}", "/foo/%2", 404),
        ("/store/{**}/cart", "/store/cart", 404),
        ("/store/{**}/cart", "/store/foo/cart", 200),
        ("/store/{**}/cart", "/store//cart", 200),
        ("/*", "/", 200),
        ("/*", "/a/b", 200),
        ("/*", "/[", 403),
        ("/*", "/<", 403),
        ("/*", "/é", 403),
        ("/{**}", "/", 200),
        ("/{**}", "/[", 404),
        ("/{**}", "/\"", 404),
        ("/a.b", "/a.b", 200),
        ("/a.b", "/axb", 403),
        ("/a+b", "/a+b", 404),
        ("/a+b", "/aab", 403),
        ("/a(b)", "/a(b)", 404),
    ] {
        let rules = format!("[{{path: '{template}', methods: [GET], noAuth: true}}]");
        let request = asked(&format!("GET https://a.com{path}"), &[]);
        assert_eq!(answer(&rules, &request), expected, "{template} {path}");
    }
}

const JWT: &str = "jwt: {authentications: [{issuer: 'https://one.example.org', \
    jwksUri: 'https://one.example.org/keys'}]}";
const TOKEN: &[&str] = &["authorization: Bearer <one: plain>"];

#[test]
fn a_path_of_an_earlier_rule_that_shares_a_method_is_left_out_for_every_method() {
    let joined = format!(
        "[{{path: '/anything/{{*}}/one', methods: [POST], {JWT}}}, \
          {{path: '/anything/{{**}}', methods: [GET, POST], noAuth: true}}]"
    );
    check(
        &joined,
        &[
            ("POST /anything/x/one", &[], 403),
            ("POST /anything/x/one", TOKEN, 200),
            ("GET /anything/x/one", &[], 403),
            ("GET /anything/x/one", TOKEN, 403),
            ("GET /anything/x/two", &[], 200),
            ("POST /anything/x/two", &[], 200),
            ("PUT /anything/x/two", &[], 404),
        ],
    );
    let apart = format!(
        "[{{path: '/anything/{{*}}/one', methods: [POST], {JWT}}}, \
          {{path: '/anything/{{**}}', methods: [GET], noAuth: true}}, \
          {{path: '/anything/{{**}}', methods: [POST], noAuth: true}}]"
    );
    check(
        &apart,
        &[
            ("POST /anything/x/one", TOKEN, 200),
            ("GET /anything/x/one", &[], 200),
            ("GET /anything/x/two", &[], 200),
            ("POST /anything/x/two", &[], 200),
        ],
    );
    // Each looks only at what stands before the first rule of its path string.
    let rules: Vec<super::Rule> = serde_saphyr::from_str(&apart).unwrap();
    assert_eq!(not_paths(&rules, &rules[1]), Vec::<&str>::new());
    assert_eq!(not_paths(&rules, &rules[2]), ["/anything/{*}/one"]);
}

#[test]
fn the_root_is_never_left_out() {
    let rules = format!(
        "[{{path: /, methods: [GET], {JWT}}}, {{path: '/{{**}}', methods: [GET], noAuth: true}}]"
    );
    check(
        &rules,
        &[
            ("GET /", &[], 200),
            ("GET /", TOKEN, 200),
            ("GET /a", &[], 200),
        ],
    );
}

#[test]
fn a_path_string_that_came_before_leaves_nothing_out() {
    let rules = |first: &str| {
        format!(
            "[{first} {{path: /x/admin, methods: [GET], {JWT}}}, \
              {{path: '/x/{{**}}', methods: [GET], noAuth: true}}]"
        )
    };
    let open = rules("{path: '/x/{**}', methods: [POST], noAuth: true},");
    check(&open, &[("GET /x/admin", &[], 200), ("GET /x/a", &[], 200)]);
    check(
        &rules(""),
        &[("GET /x/admin", &[], 403), ("GET /x/a", &[], 200)],
    );
}

#[test]
fn rules_of_a_wildcard_host_hold_for_the_workload_of_another_host_too() {
    let wildcard = || api("*.a.com", "[{path: '/*', methods: [GET], noAuth: true}]");
    let own = || {
        let rules = format!("[{{path: /x, methods: [GET], {JWT}}}]");
        api("b.a.com", &rules)
    };
    let ask = |apis, line: &str| status(ApiRules::V2(Mesh::new(apis)), &asked(line, &[]));
    for (line, expected) in [
        ("GET https://b.a.com/x", 200),
        ("GET https://b.a.com/y", 404),
        ("GET https://c.a.com/y", 200),
        ("GET https://b.a.com:443/y", 404),
        ("GET https://c.a.com:443/y", 403),
        ("GET https://C.A.COM/y", 200),
        ("GET https://c.a.com./y", 404),
        ("GET https://a.com/y", 404),
    ] {
        assert_eq!(ask(vec![wildcard(), own()], line), expected, "{line}");
    }
    assert_eq!(ask(vec![own()], "GET https://b.a.com/x"), 403, "alone");
}

#[test]
fn a_token_is_judged_by_istio() {
    let one = "issuer: 'https://one.example.org', jwksUri: 'https://one.example.org/keys'";
    let rules = format!(
        "[{{path: /any, methods: [GET], {JWT}}}, \
          {{path: /open, methods: [GET], noAuth: true}}, \
          {{path: /read, methods: [GET], jwt: {{authentications: [{{{one}}}], \
            authorizations: [{{requiredScopes: [read]}}]}}}}, \
          {{path: /write, methods: [GET], jwt: {{authentications: [{{{one}}}], \
            authorizations: [{{requiredScopes: [read, write]}}]}}}}, \
          {{path: /till, methods: [GET], jwt: {{authentications: [{{{one}}}], \
            authorizations: [{{audiences: [shop, till]}}, {{requiredScopes: ['adm*']}}]}}}}]"
    );
    check(
        &rules,
        &[
            ("GET /any", TOKEN, 200),
            ("GET /any?access_token=<one: plain>", &[], 200),
            ("GET /any", &[], 403),
            ("GET /any", &["authorization: bearer <one: plain>"], 403),
            ("GET /any", &["authorization: x Bearer <one: plain>"], 200),
            ("GET /any", &["authorization: Basic <one: plain>"], 403),
            (
                "GET /any",
                &["authorization: Bearer <malformed: x.y.z>"],
                401,
            ),
            ("GET /any", &["authorization: Bearer <one: expired>"], 401),
            (
                "GET /any",
                &["authorization: Bearer <one: just expired>"],
                200,
            ),
            ("GET /any", &["authorization: Bearer <one: no exp>"], 200),
            (
                "GET /any",
                &["authorization: Bearer <one: not yet valid>"],
                401,
            ),
            (
                "GET /any",
                &["authorization: Bearer <one: bad signature>"],
                401,
            ),
            (
                "GET /any",
                &["authorization: Bearer <one: a stranger's key>"],
                401,
            ),
            ("GET /any", &["authorization: Bearer <two: plain>"], 401),
            ("GET /any", &["authorization: Bearer <one: no sub>"], 403),
            ("GET /any", &["authorization: Bearer <one: empty sub>"], 403),
            ("GET /any", &["authorization: Bearer <one: ES256>"], 200),
            // The workload takes tokens, so a bad one is refused although none is needed.
            ("GET /open", &[], 200),
            (
                "GET /open",
                &["authorization: Bearer <malformed: x.y.z>"],
                401,
            ),
            ("GET /open", &["authorization: Bearer <two: plain>"], 401),
            ("GET /read", TOKEN, 403),
            ("GET /read", &["authorization: Bearer <one: ES256>"], 200),
            ("GET /read", &["authorization: Bearer <one: split>"], 200),
            // Both scopes must be in one claim.
            ("GET /write", &["authorization: Bearer <one: split>"], 403),
            ("GET /write", &["authorization: Bearer <one: ES256>"], 200),
            ("GET /till", &["authorization: Bearer <one: ES256>"], 200),
            ("GET /till", &["authorization: Bearer <one: split>"], 403),
            ("GET /till", TOKEN, 403),
        ],
    );
    for (claims, path, expected) in [
        (
            r#"{"aud":["shop","till"],"scope":["read","write"]}"#,
            "/write",
            200,
        ),
        (r#"{"aud":"shop","scope":"read write"}"#, "/write", 200),
        (r#"{"aud":"shop","scp":"read write"}"#, "/write", 403),
        (
            r#"{"aud":["shop","till"],"scp":["read","write"]}"#,
            "/write",
            200,
        ),
        (r#"{"aud":"shop","scopes":"read write"}"#, "/write", 403),
        (
            r#"{"aud":["shop","till"],"scopes":["read","write"]}"#,
            "/write",
            200,
        ),
        (r#"{"aud":["shop","till"],"scope":"admin"}"#, "/till", 200),
        (r#"{"aud":null,"scope":["admin"]}"#, "/till", 200),
    ] {
        let header = format!("authorization: Bearer <one: {claims}>");
        check(&rules, &[(&format!("GET {path}"), &[&header], expected)]);
    }
}

#[test]
fn where_a_rule_says_where_its_tokens_are_they_are_nowhere_else() {
    let rules = "[{path: /x, methods: [GET], jwt: {authentications: [{issuer: 'https://one.example.org', \
        jwksUri: 'https://one.example.org/keys', fromHeaders: [{name: x-token, prefix: 'JWT '}]}]}}]";
    check(
        rules,
        &[
            ("GET /x", &["x-token: JWT <one: plain>"], 200),
            ("GET /x", &["x-token: <one: plain>"], 403),
            ("GET /x", TOKEN, 403),
            ("GET /x?access_token=<one: plain>", &[], 403),
        ],
    );
}

#[test]
fn authorizers_come_before_tokens_and_tokens_before_policies() {
    let rules = format!(
        "[{{path: /x, methods: [GET], extAuth: {{authorizers: [kind], restrictions: {}}}}}, \
          {{path: /y, methods: [GET], extAuth: {{authorizers: [kind, strict]}}}}]",
        JWT.strip_prefix("jwt: ").unwrap()
    );
    let bad: &[&str] = &["authorization: Bearer <one: expired>"];
    for (path, refused_by, headers, expected) in [
        ("/x", "kind", TOKEN, 403),
        ("/x", "kind", bad, 403),
        ("/x", "strict", &[], 403),
        ("/x", "strict", bad, 401),
        ("/x", "strict", TOKEN, 200),
        ("/y", "strict", &[], 403),
        ("/y", "kind", &[], 403),
        ("/y", "nobody", &[], 200),
    ] {
        let mut request = asked(&format!("GET https://a.com{path}"), headers);
        request.refused_by.insert(refused_by.to_owned());
        assert_eq!(
            answer(&rules, &request),
            expected,
            "{path} {refused_by} {headers:?}"
        );
    }
}
