//! Opaque tokens in a real Envoy: asked about once, remembered within bounds, and waited for safely.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    authorization_server::{
        AuthorizationServer, Client as OauthClient, Fault, IssuerOptions, Options, now,
    },
    harness::{Envoy, Listener, Plugin, Response, Tool, Update, Version, wait},
};

const WORKERS: u32 = 2;
const HOST: &str = "gateway.example.com";
const INTROSPECT: &str = "/issuers/demo/oauth2/introspect";
const PARKED: &str = "wasmcustom.portcullis.parked_requests";
/// As the test's provider has it.
const TIMEOUT: Duration = Duration::from_millis(1_500);

fn tools(version: Version) -> [Tool; 2] {
    [Tool::Envoy(version), Tool::Plugin]
}

on_every_envoy! {
    needs tools;

    /// However many requests bring a new token at the same time, each worker asks once.
    fn one_call_for_many_requests(version) {
        let gateway = Gateway::start(version, json!({}));
        let token = gateway.token("read");
        gateway.server.fault(INTROSPECT, Fault::Slow { milliseconds: 500 });
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..200).map(|_| scope.spawn(|| gateway.status(&token))).collect();
            for waiting in waiting {
                assert_eq!(waiting.join().expect("no panic"), 200);
            }
        });
        let calls = gateway.server.count(INTROSPECT);
        println!("200 requests with one new token: {calls} calls by {WORKERS} workers");
        assert!((1..=u64::from(WORKERS)).contains(&calls), "{calls} calls");
        assert_eq!(gateway.parked(), 0);
        gateway.envoy.assert_no_wasm_failures();
    }

    /// What a server answers in place of an introspection is its own fault: 503 and a time to try
    /// again, nothing is remembered, and the log says what came.
    fn odd_answers(version) {
        let mut gateway = Gateway::start(version, json!({}));
        for (name, fault, status, told) in [
            ("500", Fault::Status { status: 500 }, 503, "status 500"),
            ("the gateway is not known there", Fault::Status { status: 401 }, 503, "own credential"),
            ("the gateway is not allowed there", Fault::Status { status: 403 }, 503, "own credential"),
            ("too many", Fault::Status { status: 429 }, 429, "status 429"),
            ("a page", Fault::Html, 503, "no JSON object"),
            ("a redirect", Fault::Redirect { location: "http://127.0.0.1:1/".to_owned() }, 503,
                "status 302"),
            ("half a reply", Fault::Reset, 503, "broke off"),
            ("too much", Fault::Huge { bytes: 100_000 }, 503, "more than 64 KiB"),
            ("too late", Fault::Slow { milliseconds: 4_000 }, 503, "no answer in time"),
            ("a text for a truth", Fault::Json { document: json!({"active": "true"}) }, 503,
                "`active` is neither true nor false"),
            ("no truth at all", Fault::Json { document: json!({"scope": "read"}) }, 503,
                "`active` is neither true nor false"),
        ] {
            let token = gateway.token("read");
            gateway.server.fault(INTROSPECT, fault);
            let asked = Instant::now();
            let answer = gateway.ask("/", Some(&token));
            assert_eq!(answer.status, status, "{name}");
            assert!(answer.header("retry-after").is_some(), "{name}");
            assert_eq!(answer.header("www-authenticate"), None, "{name}");
            assert!(asked.elapsed() < TIMEOUT + Duration::from_secs(2), "{name}: {:?}", asked.elapsed());
            gateway.envoy.wait_for_log(told, Duration::from_secs(5));
            gateway.server.fault(INTROSPECT, Fault::None);
            assert_eq!(gateway.status(&token), 200, "{name}: and then it is asked again");
        }
        let known = gateway.token("read");
        for _ in 0..20 {
            assert_eq!(gateway.status(&known), 200);
        }
        gateway.server.stop();
        for _ in 0..20 {
            assert_eq!(gateway.status(&known), 200, "what is remembered serves while nobody answers");
        }
        let unknown = gateway.token("read");
        assert_eq!(gateway.status(&unknown), 503, "nobody is there");
        assert_eq!(gateway.ask("/oathkeeper", Some(&unknown)).status, 500, "as Oathkeeper has it");
        gateway.server.start_again();
        let recovered = wait::becomes_true(Duration::from_secs(10), || gateway.status(&unknown) == 200);
        assert!(recovered, "no recovery; asked: {:?}", gateway.server.counts());
        assert_eq!(gateway.parked(), 0);
        gateway.envoy.assert_no_wasm_failures();
    }

    /// A token is believed for as long as is configured; one that is not active is not asked about
    /// again for a moment.
    fn what_is_remembered(version) {
        let cache = json!({"cache": {"ttl": "2s", "negativeTtl": "2s"}});
        let gateway = Gateway::start(version, cache);
        let issuer = gateway.server.issuer("demo");

        let token = gateway.token("read");
        assert_eq!(gateway.status(&token), 200);
        issuer.revoke(&token);
        let refused = wait::becomes_true(Duration::from_secs(5), || gateway.status(&token) == 401);
        assert!(refused, "a revoked token passes for longer than it may be remembered");

        let before = gateway.server.count(INTROSPECT);
        let since = Instant::now();
        for _ in 0..50 {
            assert_eq!(gateway.status("nobody-knows-this"), 401);
        }
        let calls = gateway.server.count(INTROSPECT) - before;
        let windows = since.elapsed().as_secs() / 2 + 1;
        assert!(calls <= u64::from(WORKERS) * windows, "{calls} calls about one inactive token");
        gateway.envoy.assert_no_wasm_failures();
    }

    /// A token that is remembered for half a minute ends when it ends.
    fn the_end_of_a_token(version) {
        let gateway = Gateway::start(version, json!({}));
        let issuer = gateway.server.issuer("demo");
        let short = issuer.opaque(json!({"scope": "read", "sub": "u", "exp": now() + 3}));
        assert_eq!(gateway.status(&short), 200);
        thread::sleep(Duration::from_millis(3_100));
        assert_eq!(gateway.status(&short), 401, "its end has come before that of the cache entry");
        gateway.envoy.assert_no_wasm_failures();
    }

    /// The scopes of a remembered token are judged anew by each rule.
    fn scopes_are_not_remembered(version) {
        let gateway = Gateway::start(version, json!({}));
        let (read, write) = (gateway.token("read"), gateway.token("write"));
        for _ in 0..4 {
            assert_eq!(gateway.status(&read), 200);
            assert_eq!(gateway.status(&write), 403);
            assert_eq!(gateway.ask("/write", Some(&read)).status, 403);
            assert_eq!(gateway.ask("/write", Some(&write)).status, 200);
        }
        let calls = gateway.server.count(INTROSPECT);
        assert!(calls <= 2 * u64::from(WORKERS), "{calls} calls about two tokens");
        gateway.envoy.assert_no_wasm_failures();
    }

    /// Hundreds of clients leave while they wait: nothing of them is left, and who stays is served.
    fn clients_that_leave(version) {
        let gateway = Gateway::start(version, json!({"timeout": "10s"}));
        gateway.server.fault(INTROSPECT, Fault::Slow { milliseconds: 6_000 });
        let token = gateway.token("read");
        thread::scope(|scope| {
            let staying = scope.spawn(|| gateway.status(&token));
            let leaving: Vec<_> = (0..10)
                .map(|_| scope.spawn(|| {
                    for _ in 0..50 {
                        let client = gateway.envoy.client("gateway").timeout(Duration::from_millis(30));
                        let left = client.get("/").authority(HOST).bearer(&token).send();
                        assert!(left.is_err(), "{left:?}");
                    }
                }))
                .collect();
            for leaving in leaving {
                leaving.join().expect("no panic");
            }
            assert_eq!(staying.join().expect("no panic"), 200, "its answer is nobody's to take away");
        });
        let forgotten = wait::becomes_true(Duration::from_secs(3), || gateway.parked() == 0);
        assert!(forgotten, "{} requests wait for nobody", gateway.parked());
        gateway.envoy.assert_no_wasm_failures();
    }

    /// An update while requests wait: they are answered, under the configuration that they met.
    fn an_update_while_requests_wait(version) {
        let gateway = Gateway::start(version, json!({"timeout": "10s"}));
        gateway.server.fault(INTROSPECT, Fault::Slow { milliseconds: 4_000 });
        let token = gateway.token("read");
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..20).map(|_| scope.spawn(|| gateway.status(&token))).collect();
            assert!(wait::becomes_true(Duration::from_secs(4), || gateway.parked() == 20));
            let mut configuration = gateway.configuration.clone();
            configuration["apiRules"][0]["rules"] = json!([{"path": "/*", "deny": true}]);
            assert_eq!(gateway.envoy.update_plugin(&configuration), Update::Accepted);
            for waiting in waiting {
                assert_eq!(waiting.join().expect("no panic"), 200);
            }
        });
        assert_eq!(gateway.status(&token), 403, "under the new one");
        assert_eq!(gateway.parked(), 0);
        gateway.envoy.assert_no_wasm_failures();
    }
}

/// A gateway that asks one authorization server about tokens.
struct Gateway {
    // Envoy goes first, so that it does not log the loss of the server.
    envoy: Envoy,
    server: AuthorizationServer,
    configuration: Value,
}

// === impl Gateway ===

impl Gateway {
    /// With these members of the provider.
    fn start(version: Version, over: Value) -> Self {
        let client = OauthClient::new("gateway", "s3cret +&").scopes("read write");
        let issuer = IssuerOptions::new("demo").client(client);
        let server = AuthorizationServer::start(Options::default().issuer(issuer));
        let mut provider = json!({
            "name": "demo",
            "introspectionUrl": format!("{}{INTROSPECT}", server.url()),
            "cluster": "idp",
            "clientId": "gateway",
            "clientSecret": "s3cret +&",
            "timeout": format!("{}ms", TIMEOUT.as_millis()),
        });
        for (name, value) in over.as_object().into_iter().flatten() {
            provider[name] = value.clone();
        }
        let needs = |scope: &str| json!({"provider": "demo", "requiredScopes": [scope]});
        let configuration = json!({
            "version": 1,
            "defaultAction": "DENY",
            "introspectionProviders": [provider],
            "apiRules": [{
                "name": "demo",
                "hosts": [HOST],
                "rules": [
                    {"path": "/write", "oauth2Introspection": needs("write")},
                    {"path": "/oathkeeper", "errorStyle": "oathkeeper",
                        "oauth2Introspection": needs("read")},
                    {"path": "/*", "oauth2Introspection": needs("read")},
                ],
            }],
        });
        let plugin = Plugin::new(configuration.clone());
        let gateway = Listener::new("gateway").filter(plugin.discovered());
        let builder = Envoy::builder(version)
            .concurrency(WORKERS)
            .cluster("idp", server.port());
        let envoy = builder.listener(gateway.direct_response(200, "")).start();
        Gateway {
            envoy,
            server,
            configuration,
        }
    }

    /// A new opaque token with this scope.
    fn token(&self, scope: &str) -> String {
        let claims = json!({"scope": scope, "sub": "u", "exp": now() + 600});
        self.server.issuer("demo").opaque(claims)
    }

    fn status(&self, token: &str) -> u16 {
        self.ask("/", Some(token)).status
    }

    fn ask(&self, path: &str, token: Option<&str>) -> Response {
        let client = self.envoy.client("gateway");
        let request = client.get(path).authority(HOST).maybe_bearer(token);
        request.send().expect("an answer")
    }

    fn parked(&self) -> i64 {
        self.envoy.stat(PARKED)
    }
}
