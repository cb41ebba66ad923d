//! The authorizer asked directly: what later tests rely on, without Envoy.

use serde_json::json;

use crate::{
    authorization_server::{
        AuthorizationServer, Fault, Key, Options, sign_with, with_broken_signature,
    },
    authorizer::{Authorizer, CLEARED_COOKIE},
    harness::Client,
};

fn authorizer() -> (AuthorizationServer, Authorizer, Client) {
    let server = AuthorizationServer::start(Options::tutorials());
    let authorizer = Authorizer::start(server.issuer("demo").clone(), "demo-client");
    let client = Client::new(authorizer.port());
    (server, authorizer, client)
}

#[test]
fn only_tokens_of_the_issuer_for_the_client_count() {
    let (server, _authorizer, client) = authorizer();
    let issuer = server.issuer("demo");
    let claims = |over| issuer.claims(over);
    let ours = json!({"aud": ["another", "demo-client"], "email": "a@example.com"});
    let good = issuer.token(ours.clone());
    let stranger = Key::stranger("demo-es-0");
    let status = |authorization: &str| {
        let request = client
            .get("/headers")
            .header("authorization", authorization);
        request.send().expect("an answer").status
    };
    for token in [
        good.clone(),
        issuer.sign(claims(ours.clone()), json!({"alg": "ES256"})),
    ] {
        assert_eq!(status(&format!("Bearer {token}")), 200, "{token}");
    }
    for (what, token) in [
        ("no token at all", String::new()),
        ("opaque", "opaque".to_owned()),
        ("a broken signature", with_broken_signature(&good)),
        (
            "a stranger's",
            sign_with(&stranger, &claims(ours.clone()), json!({})),
        ),
        (
            "unsigned",
            issuer.sign(claims(ours), json!({"alg": "none"})),
        ),
        ("another audience", issuer.token(json!({"aud": "another"}))),
        ("no audience", issuer.token(json!({}))),
        (
            "another issuer",
            server.issuer("foo").token(json!({"aud": "demo-client"})),
        ),
        (
            "expired",
            issuer.token(json!({"aud": "demo-client", "exp": 1})),
        ),
        (
            "without an end",
            issuer.token(json!({"aud": "demo-client", "exp": null})),
        ),
        (
            "an email that is not verified",
            issuer.token(json!({"aud": "demo-client", "email_verified": false})),
        ),
    ] {
        assert_eq!(status(&format!("Bearer {token}")), 401, "{what}");
    }
    assert_eq!(status(&format!("bearer {good}")), 401);
}

#[test]
fn answers_as_oauth2_proxy() {
    let (server, authorizer, client) = authorizer();
    let token = server
        .issuer("demo")
        .token(json!({"aud": "demo-client", "email": "a@example.com"}));
    let allowed = client
        .get("/any?q=1")
        .bearer(&token)
        .send()
        .expect("an answer");
    assert_eq!(
        (allowed.status, allowed.text().as_str()),
        (200, "Authenticated")
    );
    for (name, value) in [
        ("x-auth-request-user", "demo-user"),
        ("x-auth-request-email", "a@example.com"),
        ("gap-auth", "a@example.com"),
    ] {
        assert_eq!(allowed.header(name).as_deref(), Some(value));
    }
    let refused = client.get("/any").send().expect("an answer");
    assert_eq!((refused.status, refused.text().as_str()), (401, "{}"));
    assert_eq!(refused.header("set-cookie"), None);
    let stale = client
        .get("/any")
        .header("cookie", "a=b; _oauth2_proxy=stale");
    let stale = stale.send().expect("an answer");
    assert_eq!((stale.status, stale.text().as_str()), (401, "{}"));
    assert_eq!(stale.header("set-cookie").as_deref(), Some(CLEARED_COOKIE));
    assert_eq!(refused.header("www-authenticate"), None);

    let own = |path| client.get(path).send().expect("an answer").status;
    assert_eq!(["/ping", "/ready", "/robots.txt"].map(own), [200, 200, 200]);
    assert_eq!(own("/oauth2/auth"), 401);
    let auth = client.get("/oauth2/auth").bearer(&token).send();
    assert_eq!(auth.expect("an answer").status, 202);

    let seen = authorizer.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].target.as_str()),
        ("GET", "/any?q=1")
    );
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {token}"));
    assert_eq!(seen.len(), 8);
}

#[test]
fn misbehaves_on_demand_and_comes_back() {
    let (_server, mut authorizer, client) = authorizer();
    let ping = || client.get("/ping").send();
    authorizer.fault(Fault::Status { status: 500 });
    assert_eq!(ping().expect("an answer").status, 500);
    let location = "https://idp.example.com/login".to_owned();
    authorizer.fault(Fault::Redirect {
        location: location.clone(),
    });
    let redirect = ping().expect("an answer");
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (302, Some(location))
    );
    authorizer.fault(Fault::Reset);
    assert!(ping().is_err());
    authorizer.fault(Fault::None);
    assert_eq!(ping().expect("an answer").status, 200);
    authorizer.stop();
    assert!(ping().is_err());
    authorizer.start_again();
    assert_eq!(ping().expect("an answer").status, 200);
    assert_eq!(authorizer.seen().len(), 5);
}
