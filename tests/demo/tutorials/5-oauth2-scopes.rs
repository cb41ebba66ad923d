//! Tutorial 5: opaque tokens of an authorization server, whose scopes tell who reads and who writes.

use super::{Body, Expected, Row, Tutorial, compiled, fetched_token};
use crate::authorization_server::AuthorizationServer;

const MANIFESTS: [&str; 2] = [
    include_str!("../../../wasmplugin/tutorials/5-oauth2-scopes/original/apirule.yaml"),
    include_str!("../../../wasmplugin/tutorials/5-oauth2-scopes/original/oathkeeper.yaml"),
];

const SCOPES: &str = "scopes.example.com";

const UNAUTHORIZED: &str = "The request could not be authorized";
const FORBIDDEN: &str = "The requested action was forbidden";

pub fn tutorial(server: &AuthorizationServer) -> Tutorial {
    let issuer = server.issuer("demo");
    let read = fetched_token(server, issuer, "read");
    let write = fetched_token(server, issuer, "write");
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
        config: compiled(server, &MANIFESTS, &[]),
        routes: Vec::new(),
        rows: vec![
            get(refused(401, UNAUTHORIZED)),
            get(Expected::ok(read_by_httpbin)).token("scope read", &read),
            get(refused(403, FORBIDDEN)).token("scope write", &write),
            post(refused(401, UNAUTHORIZED)),
            post(Expected::ok(written_to_httpbin))
                .token("scope write, as `bearer`", &write)
                .scheme("bearer"),
            post(refused(403, FORBIDDEN)).token("scope read", &read),
            get(refused(401, UNAUTHORIZED)).token("unknown token", "no-such-token"),
            Row::new(
                "PUT",
                SCOPES,
                "/post",
                refused(404, "The requested resource could not be found"),
            )
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

/// Refused as Oathkeeper refuses.
fn refused(status: u16, message: &str) -> Expected {
    Expected::new(
        status,
        Body::Json(vec![
            ("/error/code", status.into()),
            ("/error/message", message.into()),
        ]),
    )
}
