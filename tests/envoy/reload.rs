//! Configurations that come and go: faulty ones change nothing and are named in the log.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    harness::{Client, Envoy, Listener, Plugin, Update, Version, wait},
    tutorials,
    world::{GATEWAY, World, tools},
};

const FOLLOW: Duration = Duration::from_secs(10);

/// A configuration with three faults, and for each what the log must hold.
fn faulty() -> (Value, [&'static str; 3]) {
    let configuration = json!({
        "version": 1,
        "defaultAction": "MAYBE",
        "jwtRules": [{"issuer": "x", "jwks": {"keys": []}, "colour": "red"}],
        "authorizationPolicies": [{"name": "p", "namespace": "n", "action": "PERHAPS", "rules": [{}]}],
    });
    (
        configuration,
        ["`MAYBE`", "jwtRules[0].colour", "`PERHAPS`"],
    )
}

on_every_envoy! {
    needs tools;

    /// Inline, a faulty configuration at the start ends Envoy.
    fn faulty_at_the_start_inline(version) {
        let (configuration, named) = faulty();
        let listener = Listener::new(GATEWAY).direct_response(200, "open");
        let listener = listener.filter(Plugin::new(configuration).inline());
        let failure = Envoy::builder(version).listener(listener).try_start().err();
        assert_names_faults(&failure.expect("no start").log, &named);
    }

    /// Discovered, a faulty configuration at the start leaves a gate that answers 500 to everyone.
    fn faulty_at_the_start_discovered(version) {
        let (configuration, named) = faulty();
        let listener = Listener::new(GATEWAY).direct_response(200, "open");
        let listener = listener.filter(Plugin::new(configuration).discovered());
        let envoy = Envoy::builder(version).listener(listener).start();
        let client = envoy.client(GATEWAY);
        assert_eq!(status(&client, None), 500);
        envoy.wait_for_log("Filesystem config update rejected", FOLLOW);
        assert_names_faults(&envoy.log(), &named);
        assert_eq!(status(&client, None), 500);
    }

    /// A faulty update is rejected, the old policy keeps deciding, and the next good one is taken.
    fn faulty_update(version) {
        let world = World::start(version);
        let client = world.client();
        let token = world.server.issuer("demo").token(json!({}));
        let rejected = "extension_config_discovery.http_filter.portcullis.update_rejected";
        assert_eq!(world.envoy.stat(rejected), 0);

        let (configuration, named) = faulty();
        assert_eq!(world.envoy.update_plugin(&configuration), Update::Rejected);
        assert_eq!(world.envoy.stat(rejected), 1);
        assert_names_faults(&world.envoy.log(), &named);
        assert_eq!(world.envoy.update_plugin_text("{\"version\": 1,"), Update::Rejected);
        assert_eq!(world.envoy.update_plugin_text(""), Update::Rejected);
        for _ in 0..20 {
            assert_eq!((status(&client, None), status(&client, Some(&token))), (403, 200));
        }

        let mut open = tutorials::plugin_config(&world.tutorials);
        open["authorizationPolicies"][0]["rules"] = json!([{}]);
        assert_eq!(world.envoy.update_plugin(&open), Update::Accepted);
        assert!(wait::becomes_true(FOLLOW, || status(&client, None) == 200), "no effect in {FOLLOW:?}");
        world.envoy.assert_no_wasm_failures();
    }
}

fn status(client: &Client, token: Option<&str>) -> u16 {
    let request = client
        .get("/status/200")
        .authority("httpbin.example.com")
        .maybe_bearer(token);
    request.send().expect("an answer").status
}

#[track_caller]
fn assert_names_faults(log: &str, named: &[&str]) {
    for text in named {
        assert!(log.contains(text), "the log does not name `{text}`:\n{log}");
    }
}
