//! Tutorial 2: two issuers, each for its own host, one of them for a single path.

use serde_json::json;

use super::{Body, Expected, Row, Tutorial, compiled, short_token};
use crate::authorization_server::AuthorizationServer;

const MANIFESTS: &str =
    include_str!("../../../wasmplugin/tutorials/2-issuers-hosts-paths/original/httpbin.yaml");

const EXAMPLE: &str = "example.com";
const ANOTHER: &str = "another-host.com";

pub fn tutorial(server: &AuthorizationServer) -> Tutorial {
    let with_foo = |authority, path, expected| {
        let token = server.issuer("foo").token(json!({}));
        Row::get(authority, path, expected).token("issuer-foo", token)
    };
    let with_bar = |authority, path, expected| {
        let token = server.issuer("bar").token(json!({}));
        Row::get(authority, path, expected).token("issuer-bar", token)
    };
    let short = |name| short_token(server.issuer(name), json!({}));
    Tutorial {
        number: 2,
        title: "Different issuers for different hosts and paths",
        guards: &[
            "example.com needs a token of `issuer-foo`",
            "another-host.com needs one of `issuer-bar`, and has only /healthz",
        ],
        config: compiled(server, &[MANIFESTS], &[]),
        // httpbin has no /healthz of its own.
        routes: vec![json!({
            "match": {
                "path": "/healthz",
                "headers": [{"name": ":authority", "string_match": {"exact": ANOTHER}}],
            },
            "direct_response": {"status": 200, "body": {"inline_string": "healthy\n"}},
        })],
        rows: vec![
            with_foo(EXAMPLE, "/status/200", Expected::ok(Body::Any)),
            with_foo(
                EXAMPLE,
                "/headers",
                Expected::ok(Body::Json(vec![("/headers/Host", EXAMPLE.into())])),
            ),
            with_foo(ANOTHER, "/healthz", Expected::forbidden()),
            with_foo(ANOTHER, "/status/200", Expected::forbidden()),
            with_bar(ANOTHER, "/healthz", Expected::ok(Body::Text("healthy\n"))),
            with_bar(ANOTHER, "/status/200", Expected::forbidden()),
            with_bar(EXAMPLE, "/status/200", Expected::forbidden()),
            with_bar(EXAMPLE, "/healthz", Expected::forbidden()),
        ],
        tokens: vec![("FOO", short("foo")), ("BAR", short("bar"))],
        tries: &[
            "/headers -H 'Host: example.com' -H \"Authorization: Bearer $FOO\"",
            "/healthz -H 'Host: another-host.com' -H \"Authorization: Bearer $FOO\"",
            "/healthz -H 'Host: another-host.com' -H \"Authorization: Bearer $BAR\"",
        ],
        credentials: None,
    }
}
