//! Tutorial 5: opaque tokens of an authorization server, whose scopes tell who reads and who writes.

use serde_json::json;

use super::{AUTHORIZATION_SERVER, Body, Expected, Row, Tutorial, fetched_token};
use crate::authorization_server::{AuthorizationServer, DEMO_CLIENT, DEMO_SECRET};

const SCOPES: &str = "scopes.example.com";

const LACKING: &str = "The token does not grant what is needed";
const LACKS_READ: &str = r#", error="insufficient_scope", error_description="The token does not grant what is needed", scope="read""#;
const LACKS_WRITE: &str = r#", error="insufficient_scope", error_description="The token does not grant what is needed", scope="write""#;
const INACTIVE: &str = r#", error="invalid_token", error_description="The token is not active""#;

pub fn tutorial(server: &AuthorizationServer) -> Tutorial {
    let issuer = server.issuer("demo");
    let read = fetched_token(server, issuer, "read");
    let write = fetched_token(server, issuer, "write");
    let needs = |scope: &str| json!({"provider": "demo", "requiredScopes": [scope]});
    let get = |expected| Row::get(SCOPES, "/headers", expected);
    let post = |expected| Row::new("POST", SCOPES, "/post", expected).body("test data");
    // The token goes on to httpbin, as in the tutorial.
    let read_by_httpbin = Body::Json(vec![
        ("/headers/Host", SCOPES.into()),
        ("/headers/Authorization", format!("Bearer {read}").into()),
    ]);
    let written_to_httpbin = Body::Json(vec![
        ("/form/test data", "".into()),
        ("/headers/Host", SCOPES.into()),
        ("/headers/Authorization", format!("bearer {write}").into()),
    ]);
    Tutorial {
        number: 5,
        title: "Expose and secure a workload with OAuth2 scopes",
        guards: &[
            "scopes.example.com needs a token with the scope `read` to GET anything,",
            "and one with `write` to POST to /post",
        ],
        config: json!({
            "introspectionProviders": [{
                "name": "demo",
                "introspectionUrl": format!("{}/oauth2/introspect", issuer.url),
                "cluster": AUTHORIZATION_SERVER,
                "clientId": DEMO_CLIENT,
                "clientSecret": DEMO_SECRET,
            }],
            "apiRules": [{
                "name": "scopes",
                "hosts": [SCOPES],
                "rules": [
                    {"path": "/*", "methods": ["GET"], "oauth2Introspection": needs("read")},
                    {"path": "/post", "methods": ["POST"], "oauth2Introspection": needs("write")},
                ],
            }],
        }),
        routes: Vec::new(),
        rows: vec![
            get(refused(401, "A token is required", "")),
            get(Expected::ok(read_by_httpbin)).token("scope read", &read),
            get(refused(403, LACKING, LACKS_READ)).token("scope write", &write),
            post(refused(401, "A token is required", "")),
            post(Expected::ok(written_to_httpbin))
                .token("scope write, as `bearer`", &write)
                .scheme("bearer"),
            post(refused(403, LACKING, LACKS_WRITE)).token("scope read", &read),
            get(refused(401, "The token is not active", INACTIVE))
                .token("unknown token", "no-such-token"),
            Row::new("PUT", SCOPES, "/post", Expected::new(404, Body::Text("")))
                .body("test data")
                .token("scope write", &write),
        ],
        tokens: vec![("READ", read.clone()), ("WRITE", write.clone())],
        tries: &[
            "/headers -H 'Host: scopes.example.com' -H \"Authorization: Bearer $READ\"",
            "/headers -H 'Host: scopes.example.com' -H \"Authorization: Bearer $WRITE\"",
            "/post -d 'test data' -H 'Host: scopes.example.com' -H \"Authorization: bearer $WRITE\"",
        ],
        credentials: None,
    }
}

/// A problem document (RFC 9457) with a challenge (RFC 6750).
fn refused(status: u16, detail: &str, challenge: &'static str) -> Expected {
    let body = Body::Json(vec![("/status", status.into()), ("/detail", detail.into())]);
    Expected::new(status, body).challenge(challenge)
}
