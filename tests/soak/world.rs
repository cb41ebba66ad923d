//! What is soaked: one Envoy with the plugin, two issuers, an introspection endpoint and an
//! authorizer, and the configuration of which every update is a variant.
//!
//! It changes nothing by itself; `events.rs` does.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::{
    answers::{Answer, UPSTREAM},
    authorization_server::{
        AuthorizationServer, Client as OauthClient, DEMO_CLIENT, Issuer, IssuerOptions, Options,
    },
    authorizer::Authorizer,
    harness::{Envoy, Listener, Plugin, Tool, Version, wait},
    issuers::{FOLLOWS, Keys},
    switch::Switch,
};

/// Everything that runs; dropping it ends it.
pub struct World {
    // Envoy goes first, so that it does not log the loss of the others.
    pub envoy: Envoy,
    pub idp: AuthorizationServer,
    pub introspector: AuthorizationServer,
    pub authorizer: Authorizer,
}

/// What is true of the world, for who has to know what an answer must be.
pub struct Truth {
    /// Publishes a key some time before it signs, as it should be; and is asked for keys that it has not.
    pub north: Keys,
    /// Signs with a key at once.
    pub south: Keys,
    /// What whoever needs an introspection is answered, while there is none.
    pub introspection: Switch<Option<Answer>>,
    /// The same of the authorizer.
    pub authorization: Switch<Option<Answer>>,
    /// What the one path is answered of which the rule changes.
    pub changing: Switch<Answer>,
    /// Who knows opaque tokens.
    pub opaque: Arc<Issuer>,
}

/// What the configurations have in common that follow each other.
pub struct Configurations(Value);

pub const WORKERS: u32 = 2;
/// The host of the policies, and that of the API rules.
pub const SHOP: &str = "shop.example.com";
pub const API: &str = "api.example.com";
pub const LISTENER: &str = "gateway";

const IDP: &str = "idp";
const INTROSPECTOR: &str = "introspector";
const AUTHORIZER: &str = "authorizer";
const SECRET: &str = "s3cret";
/// Policies that no request is for, and which every update changes.
const OTHERS: usize = 200;
const START: Duration = Duration::from_secs(20);

/// What has to be there.
pub fn tools() -> [Tool; 2] {
    [Tool::Envoy(Version::V1_40), Tool::Plugin]
}

// === impl World ===

impl World {
    /// Everything, each worker with the keys of both issuers.
    pub fn start() -> (World, Truth, Configurations) {
        let issuers = ["north", "south"].map(IssuerOptions::new);
        let issuers = issuers
            .into_iter()
            .fold(Options::default(), Options::issuer);
        let idp = AuthorizationServer::start(issuers);
        let asked = IssuerOptions::new("opaque").client(OauthClient::new("gateway", SECRET));
        let introspector = AuthorizationServer::start(Options::default().issuer(asked));
        let authorizer = Authorizer::start(idp.issuer("north").clone(), DEMO_CLIENT);
        let truth = Truth {
            north: Keys::new(idp.issuer("north"), FOLLOWS),
            south: Keys::new(idp.issuer("south"), Duration::ZERO),
            introspection: Switch::new(None),
            authorization: Switch::new(None),
            changing: Switch::new(changing(0)),
            opaque: Arc::clone(introspector.issuer("opaque")),
        };
        let configurations = Configurations::new(&idp, &introspector);
        let plugin = Plugin::new(configurations.number(0));
        let gateway = Listener::new(LISTENER).filter(plugin.discovered());
        let envoy = Envoy::builder(Version::V1_40)
            .concurrency(WORKERS)
            .cluster(IDP, idp.port())
            .cluster(INTROSPECTOR, introspector.port())
            .cluster(AUTHORIZER, authorizer.port())
            .listener(gateway.direct_response(200, UPSTREAM))
            .start();
        // Of two issuers, the workers and Envoy's main thread, each for itself.
        let fetched = || envoy.log().matches("(cluster idp): 2 keys").count();
        let all = wait::becomes_true(START, || fetched() >= 2 * (WORKERS as usize + 1));
        assert!(all, "{} key sets are there", fetched());
        let world = World {
            envoy,
            idp,
            introspector,
            authorizer,
        };
        (world, truth, configurations)
    }
}

/// What `/changing` is answered under the configuration of this number.
pub fn changing(number: usize) -> Answer {
    match number % 2 {
        0 => Answer::Passed,
        _ => Answer::Denied,
    }
}

// === impl Configurations ===

impl Configurations {
    fn new(idp: &AuthorizationServer, introspector: &AuthorizationServer) -> Self {
        Configurations(common(idp, introspector))
    }

    /// The one with this number. No two are alike; what differs changes no answer but those of
    /// [`changing`].
    pub fn number(&self, number: usize) -> Value {
        let mut configuration = self.0.clone();
        let policies = configuration["authorizationPolicies"].as_array_mut();
        policies.expect("a list").extend((0..OTHERS).map(|other| {
            let host = json!([{"hosts": [format!("other-{other}.example.com")]}]);
            let rule = json!([{"to": [{"operation": {"paths": [format!("/{number}/*")]}}]}]);
            policy(&format!("other-{other}"), &host, rule)
        }));
        let rules = configuration["apiRules"][0]["rules"].as_array_mut();
        rules.expect("a list").push(match changing(number) {
            Answer::Passed => json!({"path": "/changing", "noAuth": true}),
            _ => json!({"path": "/changing", "deny": true}),
        });
        configuration
    }
}

fn policy(name: &str, applies_to: &Value, rules: Value) -> Value {
    json!({"name": name, "namespace": "soak", "appliesTo": applies_to, "rules": rules})
}

fn common(idp: &AuthorizationServer, introspector: &AuthorizationServer) -> Value {
    let shop = json!([{"hosts": [SHOP]}]);
    let issuer = |name: &str| {
        let issuer = idp.issuer(name);
        json!({
            "name": name,
            "issuer": issuer.iss,
            "jwksUri": issuer.jwks_uri(),
            "cluster": IDP,
            "refresh": "5s",
            "timeout": "1s",
            "clockSkew": "0s",
            "appliesTo": shop,
        })
    };
    let reads = json!([{"key": "request.auth.claims[scope]", "values": ["read"]}]);
    let north = format!("{}/*", idp.issuer("north").iss);
    let policies = [
        policy(
            "readers",
            &shop,
            json!([{
                "from": [{"source": {"requestPrincipals": ["*"]}}],
                "to": [{"operation": {"paths": ["/items/*"]}}],
                "when": reads,
            }]),
        ),
        policy(
            "north-alone",
            &shop,
            json!([{
                "from": [{"source": {"requestPrincipals": [north]}}],
                "to": [{"operation": {"paths": ["/north"]}}],
            }]),
        ),
    ];
    json!({
        "version": 1,
        "defaultAction": "DENY",
        "limits": {"unknownKeyCooldown": "5s"},
        "jwtRules": [issuer("north"), issuer("south")],
        "authorizationPolicies": policies,
        "introspectionProviders": [{
            "name": INTROSPECTOR,
            "introspectionUrl": format!("{}/oauth2/introspect", introspector.url()),
            "cluster": INTROSPECTOR,
            "clientId": "gateway",
            "clientSecret": SECRET,
            "timeout": "1s",
            // Fewer than come in a minute, so that they are full soon.
            "cache": {"ttl": "60s", "maxEntries": 2_000},
        }],
        "extensionProviders": [{
            "name": AUTHORIZER,
            "cluster": AUTHORIZER,
            "envoyExtAuthzHttp": {"service": "authorizer.example.com", "port": 80, "timeout": "1s"},
        }],
        "apiRules": [{
            "name": "api",
            "hosts": [API],
            "errorStyle": "istio",
            "rules": [
                {"path": "/open", "noAuth": true},
                {"path": "/closed", "deny": true},
                {"path": "/opaque",
                    "oauth2Introspection": {"provider": INTROSPECTOR, "requiredScopes": ["read"]}},
                {"path": "/asked", "extAuth": {"authorizers": [AUTHORIZER]}},
            ],
        }],
    })
}
