//! Two configurations of the same module in one Envoy, which runs both in the same VMs: each judges by
//! its own keys, credentials and rules, and remembers for itself, whatever they have in common.

use std::thread;

use serde_json::{Value, json};

use super::updated::{FOLLOW, HOST, INTROSPECT, TOLD, outcome, telling_upstream};
use crate::{
    authorization_server::{
        AuthorizationServer, Client as OauthClient, IssuerOptions, Key, Options, now, sign_with,
    },
    harness::{Client, Envoy, Listener, Plugin, Tool, Update, Version, wait},
};

const VERIFIED: &str = "wasmcustom.portcullis.verifier=.=host;.;signatures_total";

const NAMES: [&str; 2] = ["first", "second"];

fn tools(version: Version) -> [Tool; 2] {
    [Tool::Envoy(version), Tool::Plugin]
}

on_every_envoy! {
    needs tools;

    /// The same issuer and key id, other keys: a token that is good for one is refused by the other,
    /// before and after each knows its own.
    fn keys_are_their_own(version) {
        let gateways = Gateways::start(version);
        let tokens = gateways.keys.each_ref().map(|key| {
            sign_with(key, &json!({"iss": "i", "sub": "u", "exp": now() + 3600}), json!({}))
        });
        for round in 0..4 {
            for (listener, name) in NAMES.iter().enumerate() {
                for (good_for, token) in tokens.iter().enumerate() {
                    let expected = if listener == good_for {
                        (200, (*name).to_owned())
                    } else {
                        (401, String::new())
                    };
                    for client in gateways.clients(listener) {
                        assert_eq!(seen(client, "/jwt", token), expected, "round {round}, {name}, token for {}", NAMES[good_for]);
                    }
                }
            }
        }
        // Each of two tokens once good and once wrong on the only worker, and never again.
        thread::sleep(TOLD);
        assert_eq!(gateways.envoy.stat(VERIFIED), 4);
        gateways.envoy.assert_no_wasm_failures();
    }

    /// The same introspection URL and provider name: who has no credential of its own there learns
    /// nothing from what the other was told, and who has one asks for itself.
    fn credentials_are_their_own(version) {
        let gateways = Gateways::start(version);
        let claims = json!({"scope": "read", "sub": "u", "exp": now() + 600});
        let token = gateways.server.issuer("demo").opaque(claims);
        let all = |listener: usize| {
            let clients = gateways.clients(listener).iter();
            let mut all: Vec<_> = clients.map(|client| seen(client, "/opaque", &token)).collect();
            all.dedup();
            all
        };
        let refused = (503, String::new());
        assert_eq!(all(1), std::slice::from_ref(&refused), "its secret is wrong");
        assert_eq!(all(0), [(200, "first".to_owned())]);
        assert_eq!(all(1), [refused], "though the other knows the token");

        let asked = gateways.server.count(INTROSPECT);
        let own = gateways.configuration(1, "second's");
        assert_eq!(gateways.envoy.update_plugin_named("second", &own), Update::Accepted);
        let followed = wait::becomes_true(FOLLOW, || all(1) == [(200, "second".to_owned())]);
        assert!(followed, "{:?}", all(1));
        assert!(gateways.server.count(INTROSPECT) > asked, "it has asked for itself");
        let asked = gateways.server.count(INTROSPECT);
        assert_eq!((all(0), all(1)), (vec![(200, "first".to_owned())], vec![(200, "second".to_owned())]));
        assert_eq!(gateways.server.count(INTROSPECT), asked, "and both know");
        gateways.envoy.assert_no_wasm_failures();
    }

    /// An update of one, good or faulty, changes nothing for the other: neither what it decides nor
    /// what it knows.
    fn updates_are_their_own(version) {
        let gateways = Gateways::start(version);
        let tokens = gateways.keys.each_ref().map(|key| {
            [0, 1, 2].map(|number| {
                let claims = json!({"iss": "i", "sub": number.to_string(), "exp": now() + 3600});
                sign_with(key, &claims, json!({}))
            })
        });
        let hash = |name: &str| gateways.envoy.stat(&format!("wasmcustom.portcullis.plugin=.={name};.;configuration_hash"));
        let rejected = |name: &str| gateways.envoy.stat(&format!("extension_config_discovery.http_filter.{name}.update_rejected"));
        let first_passes = || {
            for client in gateways.clients(0) {
                for token in &tokens[0] {
                    assert_eq!(seen(client, "/jwt", token), (200, "first".to_owned()));
                }
            }
        };
        first_passes();
        let of_first = || (hash("first"), rejected("first"));
        let before = of_first();
        assert_ne!(before.0, hash("second"));

        let mut other = gateways.configuration(1, "wrong");
        other["apiRules"][0]["rules"][1] = json!({"path": "/opaque", "deny": true});
        // What one may remember is nothing that the other has to live with.
        other["limits"] = json!({"verifiedTokens": 1});
        let before_it = hash("second");
        assert_eq!(gateways.envoy.update_plugin_named("second", &other), Update::Accepted);
        let followed = || gateways.clients(1).iter().all(|client| seen(client, "/opaque", "t").0 == 403);
        assert!(wait::becomes_true(FOLLOW, followed));
        assert_ne!(hash("second"), before_it);
        for token in &tokens[1] {
            assert_eq!(seen(&gateways.clients(1)[0], "/jwt", token), (200, "second".to_owned()));
        }
        let verified = || {
            thread::sleep(TOLD);
            gateways.envoy.stat(VERIFIED)
        };
        let verified_before = verified();
        first_passes();
        assert_eq!(verified(), verified_before, "the first knows its tokens");
        assert_eq!(of_first(), before);

        let faulty = json!({"version": 1, "colour": "red"});
        assert_eq!(gateways.envoy.update_plugin_named("second", &faulty), Update::Rejected);
        assert_eq!(rejected("second"), 1);
        assert!(followed());
        first_passes();
        assert_eq!(verified(), verified_before);
        assert_eq!(of_first(), before);
        gateways.envoy.assert_no_wasm_failures();
    }
}

/// Two listeners, each with a plugin of its own name, and some connections to each.
struct Gateways {
    // Envoy goes first, so that it does not log the loss of the server.
    envoy: Envoy,
    server: AuthorizationServer,
    keys: [Key; 2],
    clients: [[Client; 2]; 2],
}

// === impl Gateways ===

impl Gateways {
    /// On one worker, so that both are always in the same VM.
    fn start(version: Version) -> Self {
        let clients = ["first", "second"]
            .map(|name| OauthClient::new(name, &format!("{name}'s")).scopes("read"));
        let issuer = clients
            .into_iter()
            .fold(IssuerOptions::new("demo"), IssuerOptions::client);
        let server = AuthorizationServer::start(Options::default().issuer(issuer));
        let keys = [(); 2].map(|()| Key::stranger("k"));
        let secrets = ["first's", "wrong"];
        let builder = Envoy::builder(version).cluster("idp", server.port());
        let builder = (0..2).fold(builder, |builder, at| {
            let plugin =
                Plugin::new(configuration(at, &keys[at], &server, secrets[at])).name(NAMES[at]);
            builder.listener(
                Listener::new(NAMES[at])
                    .filter(plugin.discovered())
                    .route(telling_upstream()),
            )
        });
        let envoy = builder.start();
        let clients = NAMES.map(|name| [(); 2].map(|()| envoy.client(name)));
        Gateways {
            envoy,
            server,
            keys,
            clients,
        }
    }

    fn clients(&self, listener: usize) -> &[Client] {
        &self.clients[listener]
    }

    fn configuration(&self, at: usize, secret: &str) -> Value {
        configuration(at, &self.keys[at], &self.server, secret)
    }
}

/// All names are the same in both, but for what the upstream is told.
fn configuration(at: usize, key: &Key, server: &AuthorizationServer, secret: &str) -> Value {
    let jwks = json!({"keys": [key.jwk()]}).to_string();
    let request = json!({"headers": {"x-policy": NAMES[at]}});
    json!({
        "version": 1,
        "defaultAction": "DENY",
        "introspectionProviders": [{
            "name": "demo",
            "introspectionUrl": format!("{}{INTROSPECT}", server.url()),
            "cluster": "idp",
            "clientId": NAMES[at],
            "clientSecret": secret,
        }],
        "apiRules": [{
            "name": "shop",
            "hosts": [HOST],
            "rules": [
                {"path": "/jwt", "request": request,
                    "jwt": {"authentications": [{"name": "demo", "issuer": "i", "jwks": jwks}]}},
                {"path": "/opaque", "request": request,
                    "oauth2Introspection": {"provider": "demo", "requiredScopes": ["read"]}},
            ],
        }],
    })
}

/// The status, and what the upstream has seen.
fn seen(client: &Client, path: &str, token: &str) -> (u16, String) {
    let request = client.get(path).authority(HOST).bearer(token);
    outcome(&request.send().expect("an answer"))
}
