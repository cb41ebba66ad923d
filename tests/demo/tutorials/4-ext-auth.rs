//! Tutorial 4: an external authorizer decides, and the same protection without one.

use serde_json::json;

use super::{Body, Expected, Row, Tutorial, compiled, short_token, together};
use crate::authorization_server::{AuthorizationServer, DEMO_CLIENT, now};

const MANIFESTS: [&str; 3] = [
    include_str!("../../../wasmplugin/tutorials/4-ext-auth/original/apirule.yaml"),
    include_str!("../../../wasmplugin/tutorials/4-ext-auth/original/istio.yaml"),
    include_str!("../../../wasmplugin/tutorials/4-ext-auth/original/values.yaml"),
];

const EXT_AUTH: &str = "ext-auth.example.com";
const INLINE: &str = "inline.example.com";

pub fn tutorial(server: &AuthorizationServer) -> Tutorial {
    let issuer = server.issuer("demo");
    let valid = issuer.token(json!({"aud": DEMO_CLIENT}));
    let other = issuer.token(json!({"aud": "another-client"}));
    let expired = issuer.token(json!({
        "aud": DEMO_CLIENT,
        "iat": now() - 7200,
        "exp": now() - 3600,
    }));
    let headers = |authority, expected| Row::get(authority, "/headers", expected);
    // Of the authorizer's answer nothing reaches httpbin, as the tutorial names no header for it.
    let httpbins_view = |authority: &str| {
        Expected::ok(Body::Json(vec![
            ("/headers/Host", authority.into()),
            ("/headers/Authorization", format!("Bearer {valid}").into()),
            ("/headers/X-Auth-Request-User", json!(null)),
        ]))
    };
    Tutorial {
        number: 4,
        title: "Expose and secure a workload with extAuth",
        guards: &[
            "ext-auth.example.com: oauth2-proxy decides, for tokens of `demo` for `demo-client`;",
            "it lets anybody through to /ping, /ready and /robots.txt, its own paths",
            "inline.example.com needs the same tokens, without an authorizer, and has no such hole",
        ],
        config: together(
            [
                compiled(server, &MANIFESTS, &[]),
                compiled(
                    server,
                    &MANIFESTS
                        .map(|it| it.replace(EXT_AUTH, INLINE).replace("httpbin", "inline"))
                        .each_ref()
                        .map(String::as_str),
                    &["--inline", "--allow-unverified-email"],
                ),
            ]
            .iter(),
        ),
        routes: Vec::new(),
        rows: vec![
            headers(EXT_AUTH, unauthorized()),
            headers(EXT_AUTH, httpbins_view(EXT_AUTH)).token("valid token", &valid),
            headers(EXT_AUTH, unauthorized()).token("token for another client", &other),
            headers(EXT_AUTH, unauthorized()).token("expired token", &expired),
            Row::get(EXT_AUTH, "/robots.txt", httpbins_robots())
                .caller("no token, open in oauth2-proxy"),
            headers(INLINE, unauthorized()),
            headers(INLINE, httpbins_view(INLINE)).token("valid token", &valid),
            headers(INLINE, unauthorized()).token("token for another client", &other),
            headers(INLINE, unauthorized()).token("expired token", &expired),
            Row::get(INLINE, "/robots.txt", unauthorized()),
            Row::get(INLINE, "/robots.txt", httpbins_robots()).token("valid token", &valid),
            Row::get(INLINE, "/ping", unauthorized()),
        ],
        tokens: vec![("CLIENT", short_token(issuer, json!({"aud": DEMO_CLIENT})))],
        tries: &[
            "/headers -H 'Host: ext-auth.example.com'",
            "/headers -H 'Host: ext-auth.example.com' -H \"Authorization: Bearer $CLIENT\"",
            "/robots.txt -H 'Host: ext-auth.example.com'",
            "/robots.txt -H 'Host: inline.example.com'",
            "/headers -H 'Host: inline.example.com' -H \"Authorization: Bearer $CLIENT\"",
        ],
        credentials: None,
    }
}

/// Refused as oauth2-proxy refuses.
fn unauthorized() -> Expected {
    Expected::new(401, Body::Text("{}")).header("content-type", "application/json")
}

fn httpbins_robots() -> Expected {
    Expected::ok(Body::Text("User-agent: *\nDisallow: /deny\n"))
}
