//! Tutorial 1: a workload that only callers with a JWT of one issuer reach.

use serde_json::json;

use super::{AUTHORIZATION_SERVER, Body, Expected, Row, Tutorial};
use crate::authorization_server::{AuthorizationServer, now, with_broken_signature};

const HTTPBIN: &str = "httpbin.example.com";

pub fn tutorial(server: &AuthorizationServer) -> Tutorial {
    let issuer = server.issuer("demo");
    let row = |path, caller, token, expected| Row {
        authority: HTTPBIN,
        path,
        caller,
        token,
        expected,
    };
    let valid = || Some(issuer.token(json!({})));
    let expired = issuer.token(json!({"iat": now() - 7200, "exp": now() - 3600}));
    let foreign = server.issuer("foo").token(json!({}));
    // The token stays at the gateway: forwardOriginalToken is false.
    let httpbins_view = Body::Json(vec![
        ("/headers/Host", HTTPBIN.into()),
        ("/headers/Authorization", json!(null)),
    ]);
    Tutorial {
        number: 1,
        title: "Expose and secure a workload with a JWT",
        guards: &["httpbin.example.com needs a token of the issuer `demo`"],
        jwt_rules: vec![json!({
            "name": "demo",
            "issuer": issuer.iss,
            "jwksUri": issuer.jwks_uri(),
            "cluster": AUTHORIZATION_SERVER,
            "appliesTo": [{"hosts": [HTTPBIN]}],
        })],
        authorization_policies: vec![json!({
            "name": "httpbin",
            "namespace": "default",
            "action": "ALLOW",
            "appliesTo": [{"hosts": [HTTPBIN]}],
            "rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}],
        })],
        routes: Vec::new(),
        rows: vec![
            row("/status/200", "no token", None, Expected::forbidden()),
            row(
                "/status/200",
                "valid token",
                valid(),
                Expected::ok(Body::Text("")),
            ),
            row("/headers", "no token", None, Expected::forbidden()),
            row(
                "/headers",
                "valid token",
                valid(),
                Expected::ok(httpbins_view),
            ),
            row(
                "/headers",
                "expired token",
                Some(expired),
                Expected::bad_token("Jwt is expired"),
            ),
            row(
                "/headers",
                "wrongly signed",
                valid().as_deref().map(with_broken_signature),
                Expected::bad_token("Jwt verification fails"),
            ),
            row(
                "/headers",
                "wrong issuer",
                Some(foreign),
                Expected::bad_token("Jwt issuer is not configured"),
            ),
        ],
    }
}
