//! Tutorial 1: a workload that only callers with a JWT of one issuer reach.

use serde_json::json;

use super::{Body, Expected, Row, Tutorial, compiled, short_token};
use crate::authorization_server::{AuthorizationServer, now, with_broken_signature};

const MANIFESTS: &str = include_str!("../../../wasmplugin/tutorials/1-jwt/original/httpbin.yaml");

const HTTPBIN: &str = "httpbin.example.com";

pub fn tutorial(server: &AuthorizationServer) -> Tutorial {
    let issuer = server.issuer("demo");
    let row = |path, expected| Row::get(HTTPBIN, path, expected);
    let valid = || issuer.token(json!({}));
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
        config: compiled(server, &[MANIFESTS], &[]),
        routes: Vec::new(),
        rows: vec![
            row("/status/200", Expected::forbidden()),
            row("/status/200", Expected::ok(Body::Text(""))).token("valid token", valid()),
            row("/headers", Expected::forbidden()),
            row("/headers", Expected::ok(httpbins_view)).token("valid token", valid()),
            row("/headers", Expected::bad_token("Jwt is expired")).token("expired token", expired),
            row("/headers", Expected::bad_token("Jwt verification fails"))
                .token("wrongly signed", with_broken_signature(&valid())),
            row(
                "/headers",
                Expected::bad_token("Jwt issuer is not configured"),
            )
            .token("wrong issuer", foreign),
        ],
        tokens: vec![("DEMO", short_token(issuer, json!({})))],
        tries: &[
            "/status/200 -H 'Host: httpbin.example.com'",
            "/headers -H 'Host: httpbin.example.com' -H \"Authorization: Bearer $DEMO\"",
        ],
        credentials: None,
    }
}
