//! What the gateway's logs say of a request: why it was refused, and never what it carried.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::json;

use crate::{
    authorization_server::{DEMO_CLIENT, DEMO_SECRET, Fault, now},
    harness::{Response, Version},
    world::{World, tools},
};

const HTTPBIN: &str = "httpbin.example.com";
const SCOPES: &str = "scopes.example.com";
const PATIENCE: Duration = Duration::from_secs(10);

on_every_envoy! {
    needs tools;

    /// Every refusal tells its cause in `%RESPONSE_CODE_DETAILS%`, as Envoy's own filters do.
    fn details_of_refusals(version) {
        let world = world(version);
        let client = world.client();
        let issuer = world.server.issuer("demo");
        let get = |path: &str| client.get(path).authority(HTTPBIN);
        let expired = issuer.token(json!({"exp": now() - 3600}));
        for (answer, details) in [
            (get("/no-token").send(), "rbac_access_denied_matched_policy[none]"),
            (get("/expired").bearer(&expired).send(), "jwt_authn_access_denied{Jwt_is_expired}"),
            (get("/twice?access_token=a").bearer("b").send(), "jwt_authn_access_denied{Found_multiple_Jwt_tokens}"),
            (get("/%2500").send(), "portcullis{path_unreadable}"),
            (client.get("/unknown").authority("unknown.example.com").send(), "portcullis{authority_unknown}"),
        ] {
            let Response { status, .. } = answer.expect("an answer");
            let line = format!("details={details} status={status} ");
            assert!(status >= 400, "{line}");
            world.envoy.wait_for_log(&line, PATIENCE);
        }
        world.envoy.assert_no_wasm_failures();
    }

    /// Neither a token nor anything else that a client sent is in the log, however much is logged.
    fn nothing_that_a_client_sent(version) {
        let world = world(version);
        let client = world.client();
        let issuer = world.server.issuer("demo");
        let valid = issuer.token(json!({"sub": "somebody-in-particular"}));
        let expired = issuer.token(json!({"exp": now() - 3600}));
        for token in [&valid, &expired, "not-a-token-at-all"] {
            let request = client.get("/status/200").authority(HTTPBIN).bearer(token);
            request.header("x-note", "a-word-of-the-client").send().expect("an answer");
        }
        world.envoy.wait_for_log("details=jwt_authn_access_denied{Jwt_is_not_in_the_form", PATIENCE);
        // Opaque tokens, and the secret by which they are asked about: let in, refused, and of no use.
        let opaque = issuer.opaque(json!({"scope": "read", "sub": "somebody-opaque", "exp": now() + 60}));
        let scopes = || client.get("/status/200").authority(SCOPES);
        let status = |token: &str| scopes().bearer(token).send().expect("an answer").status;
        assert_eq!((status(&opaque), status("an-unknown-token")), (200, 401));
        world.server.fault("/issuers/demo/oauth2/introspect", Fault::Html);
        assert_eq!(status("a-token-in-an-outage"), 500, "as Oathkeeper");
        world.envoy.wait_for_log("a reply that is no JSON object", PATIENCE);
        let credential = BASE64.encode(format!("{DEMO_CLIENT}:{DEMO_SECRET}"));
        let log = world.envoy.log();
        assert!(log.contains("portcullis"), "the plugin's own lines are there");
        for secret in [
            &valid[..],
            &expired,
            "not-a-token-at-all",
            "somebody-in-particular",
            "a-word-of-the-client",
            &opaque,
            "somebody-opaque",
            "an-unknown-token",
            "a-token-in-an-outage",
            &credential,
            DEMO_SECRET,
        ] {
            let part = secret.get(..40).unwrap_or(secret);
            assert!(!log.contains(part), "`{part}` is in the log");
        }
    }
}

/// A world with an access log that holds nothing of the request but what was decided.
fn world(version: Version) -> World {
    World::start_with(
        version,
        |_| (),
        |listener| {
            listener.access_log(
                "details=%RESPONSE_CODE_DETAILS% status=%RESPONSE_CODE% path=%PATH(NQ)%",
            )
        },
    )
}
