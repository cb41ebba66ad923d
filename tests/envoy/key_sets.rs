//! Key sets by `jwksUri`: the server away at the start, and back again.

use std::time::Duration;

use serde_json::json;

use crate::{
    authorization_server::AuthorizationServer,
    harness::{Client, Response, Version, wait},
    world::{World, tools},
};

const RECOVERY: Duration = Duration::from_secs(20);

on_every_envoy! {
    needs tools;

    /// Without a key set a token is refused with a reason; with its return it is let through,
    /// without a reload.
    fn server_down_at_the_start(version) {
        let mut world = World::start_with(version, AuthorizationServer::stop, |listener| listener);
        let client = world.client();
        let token = world.server.issuer("demo").token(json!({}));

        let refused = ask(&client, Some(&token));
        assert_eq!((refused.status, refused.text().as_str()), (401, "Jwks remote fetch is failed"));
        let without_token = ask(&client, None);
        assert_eq!((without_token.status, without_token.text().as_str()), (403, "RBAC: access denied"));

        world.server.start_again();
        let recovered = wait::becomes_true(RECOVERY, || ask(&client, Some(&token)).status == 200);
        assert!(recovered, "no recovery in {RECOVERY:?}; asked: {:?}", world.server.counts());
        world.envoy.assert_no_wasm_failures();
    }

    /// A key set is fetched once for many requests, not once for each.
    fn one_fetch_for_many_requests(version) {
        let world = World::start(version);
        let client = world.client();
        for _ in 0..50 {
            let token = world.server.issuer("demo").token(json!({}));
            assert_eq!(ask(&client, Some(&token)).status, 200);
        }
        // One worker and Envoy's main thread, each with a fetch of its own.
        let fetches = world.server.count("/issuers/demo/jwks");
        assert!((1..=2).contains(&fetches), "{fetches} fetches of a key set");
        world.envoy.assert_no_wasm_failures();
    }
}

fn ask(client: &Client, token: Option<&str>) -> Response {
    let request = client.get("/status/200").authority("httpbin.example.com");
    let request = match token {
        Some(token) => request.bearer(token),
        None => request,
    };
    request.send().expect("an answer")
}
