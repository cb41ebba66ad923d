//! The authorization server asked directly: what later tests rely on, without Envoy.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    authorization_server::{
        AuthorizationServer, Client as OAuthClient, Fault, IssuerOptions, Options,
    },
    harness::{Client, Response},
};

const TOKEN: &str = "/oauth2/token";

/// One issuer with two clients; an id and a secret that need escaping in Basic.
fn server() -> (AuthorizationServer, Client) {
    let issuer = IssuerOptions::new("main")
        .client(OAuthClient::new("a:b", "p+q %").scopes("read write"))
        .client(OAuthClient::new("plain", "secret").scopes("read").opaque());
    let server = AuthorizationServer::start(Options::default().issuer(issuer));
    let client = Client::new(server.port());
    (server, client)
}

fn post(client: &Client, path: &str, basic: Option<&str>, form: &str) -> Response {
    let request = client.post(path, form);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = match basic {
        Some(pair) => request.header("authorization", format!("Basic {}", STANDARD.encode(pair))),
        None => request,
    };
    request.send().expect("an answer")
}

#[test]
fn tokens_for_every_client_authentication() {
    let (server, client) = server();
    let grant = "grant_type=client_credentials";
    let by_basic = post(&client, TOKEN, Some("a%3Ab:p%2Bq+%25"), grant).json();
    assert_eq!(by_basic["scope"], "read write");
    assert_eq!(
        by_basic["access_token"]
            .as_str()
            .map(|token| token.split('.').count()),
        Some(3)
    );
    let body = format!("{grant}&client_id=plain&client_secret=secret");
    let by_body = post(&client, TOKEN, None, &body).json();
    assert!(
        !by_body["access_token"]
            .as_str()
            .expect("a token")
            .contains('.'),
        "{by_body}"
    );

    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let form = [
        part("grant_type", "client_credentials"),
        part("token_format", "jwt"),
    ]
    .concat();
    let multipart = client
        .post(TOKEN, format!("{form}--b--\r\n"))
        .header("content-type", "multipart/form-data; boundary=b")
        .header(
            "authorization",
            format!("Basic {}", STANDARD.encode("plain:secret")),
        );
    let multipart = multipart.send().expect("an answer").json();
    assert_eq!(multipart["token_type"], "Bearer", "{multipart}");

    let asked = |token: &Value| {
        let form = format!("token={}", token.as_str().expect("a token"));
        post(
            &client,
            "/issuers/main/oauth2/introspect",
            Some("plain:secret"),
            &form,
        )
        .json()
    };
    for token in [&by_basic, &by_body, &multipart].map(|answer| &answer["access_token"]) {
        assert_eq!(asked(token)["active"], true, "{token}");
    }
    server
        .issuer("main")
        .revoke(by_body["access_token"].as_str().expect("a token"));
    assert_eq!(asked(&by_body["access_token"]), json!({"active": false}));
    assert_eq!(
        post(&client, "/oauth2/introspect", None, "token=x").status,
        401
    );
}

#[test]
fn refusals_of_rfc_6749() {
    let (_server, client) = server();
    let refused = |basic, form: &str| {
        let answer = post(&client, TOKEN, basic, form);
        (
            answer.status,
            answer.json()["error"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let plain = Some("plain:secret");
    for (basic, form, status, error) in [
        (None, "grant_type=client_credentials", 401, "invalid_client"),
        (
            Some("plain:wrong"),
            "grant_type=client_credentials",
            401,
            "invalid_client",
        ),
        (plain, "grant_type=password", 400, "unsupported_grant_type"),
        (plain, "scope=read", 400, "invalid_request"),
        (
            plain,
            "grant_type=client_credentials&grant_type=x",
            400,
            "invalid_request",
        ),
        (
            plain,
            "grant_type=client_credentials&client_secret=x",
            400,
            "invalid_request",
        ),
        (
            plain,
            "grant_type=client_credentials&scope=write",
            400,
            "invalid_scope",
        ),
    ] {
        assert_eq!(
            refused(basic, form),
            (status, error.to_owned()),
            "{basic:?} {form}"
        );
    }
}

#[test]
fn faults_and_rotation() {
    let (server, client) = server();
    let get = |path: &str| client.get(path).send();
    let order = json!({"path": "/jwks", "fault": "huge", "bytes": 100_000}).to_string();
    let put = client
        .request("PUT", "/faults")
        .header("content-type", "application/json");
    assert_eq!(put.body(order).send().expect("an answer").status, 204);
    assert_eq!(get("/jwks").expect("an answer").body.len(), 100_000);
    server.fault("/jwks", Fault::Html);
    let page = get("/jwks").expect("an answer");
    assert_eq!(
        (page.status, page.header("content-type").as_deref()),
        (200, Some("text/html; charset=utf-8"))
    );
    server.fault_everywhere(Fault::Redirect {
        location: "/elsewhere".to_owned(),
    });
    let redirect = get("/jwks").expect("an answer");
    assert_eq!(
        (redirect.status, redirect.header("location").as_deref()),
        (302, Some("/elsewhere"))
    );
    assert_eq!(get("/healthz").expect("an answer").status, 200);
    server.fault_everywhere(Fault::None);

    let kids = || {
        server.issuer("main").jwks()["keys"]
            .as_array()
            .map_or(0, Vec::len)
    };
    assert_eq!(kids(), 2);
    server.issuer("main").rotate_keys(true);
    assert_eq!(
        (kids(), get("/jwks").expect("an answer").json()),
        (4, server.issuer("main").jwks())
    );
    server.issuer("main").rotate_keys(false);
    assert_eq!((kids(), server.count("/jwks")), (2, 4));
}
