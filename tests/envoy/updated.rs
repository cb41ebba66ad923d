//! A gateway whose policy is about to change: two policies that can be told apart by every answer, tokens
//! that either lets through, and the issuer who vouches for them.
//!
//! It judges nothing but that nothing has failed. Used by `live_updates.rs`, and in part by
//! `two_configurations.rs`.

use std::{thread, time::Duration};

use serde_json::{Value, json};
use superboring::reexports::hmac_sha256::Hash;

use crate::{
    authorization_server::{
        AuthorizationServer, Client as OauthClient, IssuerOptions, Options, now,
        with_broken_signature,
    },
    harness::{Client, Envoy, Listener, Plugin, Response, Version, wait},
};

pub const HOST: &str = "shop.example.com";
pub const WORKERS: u32 = 2;
/// Until workers follow, on a busy machine.
pub const FOLLOW: Duration = Duration::from_secs(10);
pub const JWKS: &str = "/issuers/demo/jwks";
pub const INTROSPECT: &str = "/issuers/demo/oauth2/introspect";
pub const REJECTED: &str = "extension_config_discovery.http_filter.portcullis.update_rejected";
pub const HASH: &str = "wasmcustom.portcullis.plugin=.=portcullis;.;configuration_hash";
/// Within this time the plugin has told what it counts.
pub const TOLD: Duration = Duration::from_millis(1_500);
pub const PARKED: &str = "wasmcustom.portcullis.parked_requests";

/// Two workers, an issuer, and an upstream that tells which policy a request has come by.
pub struct Gateway {
    // Envoy goes first, so that it does not log the loss of the server.
    pub envoy: Envoy,
    pub server: AuthorizationServer,
    /// A token of the issuer, and one that it knows by introspection alone.
    pub jwt: String,
    pub opaque: String,
}

/// A request, and what either policy answers to it: the status and what the upstream sees.
pub struct Ask {
    pub name: &'static str,
    path: &'static str,
    token: Option<String>,
    pub alone: [(u16, &'static str); 2],
}

// === impl Gateway ===

impl Gateway {
    /// With policy A.
    pub fn start(version: Version) -> Self {
        let gateway = Gateway::start_with(version, |_| ());
        let fetched = || gateway.envoy.log().matches("(cluster idp): 2 keys").count();
        // The workers and Envoy's main thread, each for itself.
        let all = wait::becomes_true(FOLLOW, || fetched() > WORKERS as usize);
        assert!(all, "{} of {} have keys", fetched(), WORKERS + 1);
        gateway
    }

    /// The same after a word to the server, and before the keys have come.
    pub fn start_with(version: Version, before: impl FnOnce(&AuthorizationServer)) -> Self {
        let client = OauthClient::new("gateway", "s3cret").scopes("read");
        let issuer = IssuerOptions::new("demo").client(client);
        let server = AuthorizationServer::start(Options::default().issuer(issuer));
        before(&server);
        let plugin = Plugin::new(policy("A", &server, &json!({}), &json!({})));
        let envoy = Envoy::builder(version)
            .concurrency(WORKERS)
            .cluster("idp", server.port())
            .cluster("other", server.port())
            .listener(
                Listener::new("gateway")
                    .filter(plugin.discovered())
                    .route(telling_upstream()),
            )
            .start();
        let issuer = server.issuer("demo");
        let jwt = issuer.claims(json!({"sub": "ada", "aud": "shop"}));
        let jwt = issuer.sign(jwt, json!({"alg": "ES256"}));
        let opaque = json!({"scope": "read", "sub": "ada", "exp": now() + 3600});
        let opaque = issuer.opaque(opaque);
        Gateway {
            envoy,
            server,
            jwt,
            opaque,
        }
    }

    pub fn policy(&self, name: &str) -> Value {
        self.policy_with(name, &json!({}), &json!({}))
    }

    /// With other fields of the issuer's keys and of the provider.
    pub fn policy_with(&self, name: &str, source: &Value, provider: &Value) -> Value {
        policy(name, &self.server, source, provider)
    }

    pub fn asks(&self) -> Vec<Ask> {
        let issuer = self.server.issuer("demo");
        let broken = with_broken_signature(&self.jwt);
        let stranger = issuer.opaque(json!({"scope": "write", "sub": "eve", "exp": now() + 3600}));
        let ask = |name, path, token: Option<&str>, alone| {
            let token = token.map(str::to_owned);
            Ask {
                name,
                path,
                token,
                alone,
            }
        };
        let (jwt, opaque) = (Some(&*self.jwt), Some(&*self.opaque));
        vec![
            ask(
                "a token, allowed in both",
                "/jwt",
                jwt,
                [(200, "A ada"), (200, "B ada")],
            ),
            ask(
                "an opaque one, allowed in both",
                "/opaque",
                opaque,
                [(200, "A ada"), (200, "B ada")],
            ),
            ask(
                "no token, refused in both",
                "/jwt",
                None,
                [(403, ""), (401, "")],
            ),
            ask(
                "a broken one, refused in both",
                "/jwt",
                Some(&*broken),
                [(401, ""), (401, "")],
            ),
            ask(
                "another scope, refused in both",
                "/opaque",
                Some(&*stranger),
                [(403, ""), (403, "")],
            ),
            ask(
                "a token, denied in both",
                "/neither",
                jwt,
                [(403, ""), (403, "")],
            ),
            ask(
                "allowed in A alone",
                "/only-A",
                None,
                [(200, "A"), (403, "")],
            ),
            ask(
                "allowed in B alone",
                "/only-B",
                None,
                [(403, ""), (200, "B")],
            ),
        ]
    }

    /// Until the answers of every worker are those of this policy.
    pub fn wait_for_policy(&self, name: &str, clients: &[Client]) {
        let path = format!("/only-{name}");
        let followed = |client: &Client| {
            let answer = client.get(&path).authority(HOST).send();
            outcome(&answer.expect("an answer")) == (200, name.to_owned())
        };
        let all = wait::becomes_true(FOLLOW, || clients.iter().all(followed));
        assert!(all, "policy {name} is not followed");
    }

    /// Until both tokens pass on every worker, which then knows them.
    pub fn let_all_know(&self, clients: &[Client]) {
        for client in clients {
            for (path, token) in [("/jwt", &self.jwt), ("/opaque", &self.opaque)] {
                let known = wait::becomes_true(FOLLOW, || self.seen(client, path, token).0 == 200);
                assert!(known, "{path} is not let through");
            }
        }
    }

    /// The status, and what the upstream has seen.
    pub fn seen(&self, client: &Client, path: &str, token: &str) -> (u16, String) {
        let request = client.get(path).authority(HOST).bearer(token);
        outcome(&request.send().expect("an answer"))
    }

    /// Signatures verified in either way, and what was sent or tried to be sent to the server.
    pub fn work(&self) -> [i64; 4] {
        thread::sleep(TOLD);
        let stats = self.envoy.stats();
        [
            "wasmcustom.portcullis.verifier=.=host;.;signatures_total",
            "wasmcustom.portcullis.verifier=.=wasm;.;signatures_total",
            "cluster.idp.upstream_rq_total",
            "cluster.idp.upstream_cx_total",
        ]
        .map(|name| stats.get(name).copied().unwrap_or(0))
    }

    #[track_caller]
    pub fn assert_nothing_failed(&self) {
        thread::sleep(TOLD);
        let stats = self.envoy.stats();
        for name in [REJECTED, PARKED] {
            assert_eq!(stats.get(name).copied().unwrap_or(0), 0, "{name}");
        }
        for reason in ["internal", "overloaded"] {
            let name = format!("wasmcustom.portcullis.reason=.={reason};.;refusals_total");
            assert_eq!(stats.get(&name).copied().unwrap_or(0), 0, "{name}");
        }
        let failures = stats.iter().find(|(name, value)| {
            name.starts_with("wasmcustom.portcullis.")
                && name.ends_with(";keys_failures")
                && **value > 0
        });
        assert_eq!(failures, None);
        self.envoy.assert_no_wasm_failures();
    }
}

// === impl Ask ===

impl Ask {
    /// The answer without its time.
    #[track_caller]
    pub fn send(&self, client: &Client) -> Response {
        let request = client
            .get(self.path)
            .authority(HOST)
            .maybe_bearer(self.token.as_deref());
        let mut answer = request
            .send()
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        answer.headers.retain(|(name, _)| name != "date");
        answer
    }
}

/// A or B, which differ in every answer: by the header for the upstream, and by the style of errors.
fn policy(name: &str, server: &AuthorizationServer, source: &Value, provider: &Value) -> Value {
    let style = if name == "A" { "istio" } else { "rfc6750" };
    let mut issuer = json!({
        "name": "demo",
        "issuer": server.issuer("demo").iss,
        "jwksUri": server.issuer("demo").jwks_uri(),
        "cluster": "idp",
    });
    let mut asked = json!({
        "name": "demo",
        "introspectionUrl": format!("{}{INTROSPECT}", server.url()),
        "cluster": "idp",
        "clientId": "gateway",
        "clientSecret": "s3cret",
        "timeout": "10s",
        "cache": {"ttl": "10m"},
    });
    for (fields, over) in [(&mut issuer, source), (&mut asked, provider)] {
        for (name, value) in over.as_object().into_iter().flatten() {
            fields[name] = value.clone();
        }
    }
    let tells = |what: &str| json!({"headers": {"x-policy": format!("{name}{what}")}});
    json!({
        "version": 1,
        "defaultAction": "DENY",
        "introspectionProviders": [asked],
        "apiRules": [{
            "name": "shop",
            "hosts": [HOST],
            "errorStyle": style,
            "rules": [
                {"path": "/jwt", "jwt": {"authentications": [issuer]}, "request": tells(" %SUBJECT%")},
                {"path": "/opaque", "request": tells(" %SUBJECT%"),
                    "oauth2Introspection": {"provider": "demo", "requiredScopes": ["read"]}},
                {"path": format!("/only-{name}"), "noAuth": true, "request": tells("")},
                {"path": "/*", "deny": true},
            ],
        }],
    })
}

/// A route whose answer tells in `x-seen` which `x-policy` has reached it.
pub fn telling_upstream() -> Value {
    json!({
        "match": {"prefix": "/"},
        "direct_response": {"status": 200},
        "response_headers_to_add": [{"header": {"key": "x-seen", "value": "%REQ(x-policy)%"}}],
    })
}

/// The status, and what such an upstream has seen; nothing if it was not reached.
pub fn outcome(answer: &Response) -> (u16, String) {
    (answer.status, answer.header("x-seen").unwrap_or_default())
}

/// What the gauge must be: the first 48 bits of the SHA-256 of the text.
pub fn hash(configuration: &Value) -> i64 {
    let bytes = Hash::hash(configuration.to_string().as_bytes());
    bytes[..6]
        .iter()
        .fold(0, |hash, byte| (hash << 8) | i64::from(*byte))
}
