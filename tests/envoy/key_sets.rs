//! Key sets that are fetched: the issuer away or odd, keys that change, keys that nobody has.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    authorization_server::{
        AuthorizationServer, Fault, IssuerOptions, Key, Options, now, sign_with,
    },
    harness::{Client, Envoy, Listener, Plugin, Tool, Update, Version, requirements, wait},
};

const RECOVERY: Duration = Duration::from_secs(20);
const WORKERS: u32 = 2;
const JWKS: &str = "/issuers/demo/jwks";

fn tools(version: Version) -> [Tool; 2] {
    [Tool::Envoy(version), Tool::Plugin]
}

on_every_envoy! {
    needs tools;

    /// Without a key set a token is refused with a reason; with its return it is let through,
    /// without a reload. Who has no token is answered at once.
    fn server_down_at_the_start(version) {
        let mut gateway = Gateway::start_with(version, json!({}), AuthorizationServer::stop);
        let token = gateway.token();
        let answer = gateway.ask(Some(&token));
        assert_eq!((answer.status, answer.text().as_str()), (401, "Jwks remote fetch is failed"));
        let asked = Instant::now();
        let answer = gateway.ask(None);
        assert_eq!((answer.status, answer.text().as_str()), (403, "RBAC: access denied"));
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());

        gateway.server.start_again();
        let recovered = wait::becomes_true(RECOVERY, || gateway.status(&token) == 200);
        assert!(recovered, "no recovery in {RECOVERY:?}; asked: {:?}", gateway.server.counts());
        gateway.envoy.assert_no_wasm_failures();
    }

    /// While the first keys are on their way, tokens wait for them, and only they do.
    fn server_slow_at_the_start(version) {
        let gateway = Gateway::start_with(version, json!({}), |server| {
            server.fault(JWKS, Fault::Slow { milliseconds: 2_000 });
        });
        let token = gateway.token();
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..20).map(|_| scope.spawn(|| gateway.status(&token))).collect();
            let asked = Instant::now();
            assert_eq!(gateway.ask(None).status, 403);
            assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
            for waiting in waiting {
                assert_eq!(waiting.join().expect("no panic"), 200);
            }
        });
        gateway.envoy.assert_no_wasm_failures();
    }

    /// Clients that leave while they wait leave nothing behind, and nor does an update of the
    /// configuration while others wait.
    fn clients_that_leave_and_an_update(version) {
        let gateway = Gateway::start_with(version, json!({}), |server| {
            server.fault(JWKS, Fault::Slow { milliseconds: 4_500 });
        });
        let token = gateway.token();
        let parked = || gateway.envoy.stat("wasmcustom.portcullis.parked_requests");
        for _ in 0..50 {
            let client = gateway.envoy.client("gateway").timeout(Duration::from_millis(20));
            let left = client.get("/").bearer(&token).send();
            assert!(left.is_err(), "{left:?}");
        }
        let forgotten = wait::becomes_true(Duration::from_secs(2), || parked() == 0);
        assert!(forgotten, "{} requests wait for nobody", parked());
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..20).map(|_| scope.spawn(|| gateway.status(&token))).collect();
            assert!(wait::becomes_true(Duration::from_secs(2), || parked() == 20), "{}", parked());
            let mut configuration = gateway.configuration.clone();
            configuration["mesh"] = json!({"trustDomain": "other"});
            assert_eq!(gateway.envoy.update_plugin(&configuration), Update::Accepted);
            for waiting in waiting {
                let status = waiting.join().expect("no panic");
                assert_eq!(status, 200, "a request that waited under the old configuration");
            }
        });
        assert_eq!(parked(), 0);
        gateway.envoy.assert_no_wasm_failures();
    }

    /// Who left while they waited do not count as waiting once their configuration is gone, too.
    fn clients_that_leave_with_their_configuration(version) {
        let gateway = Gateway::start_with(version, json!({}), |server| {
            server.fault(JWKS, Fault::Slow { milliseconds: 4_500 });
        });
        let token = gateway.token();
        let parked = || gateway.envoy.stat("wasmcustom.portcullis.parked_requests");
        for _ in 0..20 {
            let client = gateway.envoy.client("gateway").timeout(Duration::from_millis(20));
            let left = client.get("/").bearer(&token).send();
            assert!(left.is_err(), "{left:?}");
        }
        let mut configuration = gateway.configuration.clone();
        configuration["mesh"] = json!({"trustDomain": "other"});
        assert_eq!(gateway.envoy.update_plugin(&configuration), Update::Accepted);
        let forgotten = wait::becomes_true(Duration::from_secs(3), || parked() == 0);
        assert!(forgotten, "{} requests wait for nobody", parked());
        gateway.envoy.assert_no_wasm_failures();
    }

    /// Clients that leave just when the keys arrive that they wait for harm nobody.
    fn clients_that_leave_as_their_keys_come(version) {
        let gateway = Gateway::start_with(version, json!({}), |server| {
            server.fault(JWKS, Fault::Slow { milliseconds: 1_500 });
        });
        let token = gateway.token();
        thread::scope(|scope| {
            for number in 1..=150 {
                let client = gateway.envoy.client("gateway").timeout(Duration::from_millis(10 * number));
                let token = &token;
                scope.spawn(move || {
                    if let Ok(answer) = client.get("/").bearer(token).send() {
                        assert_eq!(answer.status, 200);
                    }
                });
            }
        });
        assert_eq!(gateway.status(&token), 200);
        let parked = || gateway.envoy.stat("wasmcustom.portcullis.parked_requests");
        let forgotten = wait::becomes_true(Duration::from_secs(3), || parked() == 0);
        assert!(forgotten, "{} requests wait for nobody", parked());
        gateway.envoy.assert_no_wasm_failures();
    }

    /// A key set is fetched once for many requests, not once for each.
    fn one_fetch_for_many_requests(version) {
        let gateway = Gateway::start(version, json!({}));
        for _ in 0..50 {
            assert_eq!(gateway.status(&gateway.token()), 200);
        }
        // The workers and Envoy's main thread, each with a fetch of its own.
        let fetches = gateway.server.count(JWKS);
        let most = u64::from(WORKERS) + 1;
        assert!((1..=most).contains(&fetches), "{fetches} fetches of a key set");
        gateway.envoy.assert_no_wasm_failures();
    }

    /// New keys are seen with the first token that they have signed, which nobody refuses; tokens of
    /// the old ones pass for as long as they are published.
    fn keys_are_rotated(version) {
        let gateway = Gateway::start(version, json!({}));
        let old = gateway.token();
        assert_eq!(gateway.status(&old), 200);
        gateway.server.issuer("demo").rotate_keys(true);
        thread::scope(|scope| {
            let asked: Vec<_> = (0..20).map(|_| scope.spawn(|| gateway.status(&gateway.token()))).collect();
            for asked in asked {
                assert_eq!(asked.join().expect("no panic"), 200, "a token of the new key");
            }
        });
        assert_eq!(gateway.status(&old), 200, "a token of the old key");
        gateway.envoy.assert_no_wasm_failures();
    }

    /// The keys of before serve while the server is away, which is told; and its return is seen.
    fn server_away_with_keys_at_hand(version) {
        let mut gateway = Gateway::start(version, json!({"refresh": "5s"}));
        gateway.wait_for_keys();
        gateway.server.stop();
        let away = Duration::from_secs(if requirements::long() { 60 } else { 15 });
        let since = Instant::now();
        while since.elapsed() < away {
            assert_eq!(gateway.status(&gateway.token()), 200, "after {:?}", since.elapsed());
            thread::sleep(Duration::from_millis(50));
        }
        gateway.envoy.wait_for_log("go on serving", RECOVERY);
        let gauge = |name: &str| gateway.envoy.stat(&format!("wasmcustom.portcullis.rule=.=demo;.;keys_{name}"));
        assert_eq!(gauge("usable"), 2);
        assert!(gauge("failures") > 0);
        assert!(gauge("age_seconds") >= away.as_secs() as i64 / 2, "{}", gauge("age_seconds"));
        gateway.server.start_again();
        let recovered = wait::becomes_true(Duration::from_secs(70), || {
            gateway.envoy.stat("wasmcustom.portcullis.rule=.=demo;.;keys_failures") == 0
        });
        assert!(recovered, "no recovery; asked: {:?}", gateway.server.counts());
        gateway.envoy.assert_no_wasm_failures();
    }

    /// Whatever comes instead of keys, those of before serve, and the log says what came.
    fn odd_answers(version) {
        let gateway = Gateway::start(version, json!({"refresh": "5s"}));
        gateway.wait_for_keys();
        for (fault, said) in [
            (Fault::Html, "no key set: not JSON"),
            // Envoy buffers all of it; we look at no more than is allowed, and a byte.
            (Fault::Huge { bytes: 10 * 1024 * 1024 }, "no key set: 262145 bytes"),
            (Fault::Redirect { location: "http://127.0.0.1:1/".to_owned() }, "status 302; 200 is expected"),
            (Fault::Reset, "broke off"),
            (Fault::Status { status: 500 }, "status 500; 200 is expected"),
        ] {
            let told = gateway.envoy.log().matches(said).count();
            gateway.server.fault(JWKS, fault.clone());
            let found = wait::becomes_true(Duration::from_secs(70), || {
                gateway.envoy.log().matches(said).count() > told
            });
            assert!(found, "{fault:?}: no `{said}` in the log");
            assert_eq!(gateway.status(&gateway.token()), 200, "{fault:?}");
            // So that the next fault is met in seconds.
            gateway.server.fault(JWKS, Fault::None);
            let failures = "wasmcustom.portcullis.rule=.=demo;.;keys_failures";
            gateway.envoy.wait_for_stat(failures, |failures| failures == 0, Duration::from_secs(70));
        }
        gateway.envoy.assert_no_wasm_failures();
    }

    /// Thousands of tokens with keys that nobody has cost the issuer one fetch in half a minute.
    fn a_flood_of_unknown_keys(version) {
        let gateway = Gateway::start(version, json!({}));
        gateway.wait_for_keys();
        let good = gateway.token();
        assert_eq!(gateway.status(&good), 200);
        let before = gateway.server.count(JWKS);
        let since = Instant::now();
        let asked = AtomicUsize::new(0);
        let claims = json!({"iss": gateway.server.issuer("demo").iss, "sub": "u", "exp": now() + 60});
        let stranger = Key::stranger("");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let client = gateway.envoy.client("gateway");
                    while since.elapsed() < Duration::from_secs(5) {
                        let number = asked.fetch_add(1, Ordering::Relaxed);
                        let token = sign_with(&stranger, &claims, json!({"kid": format!("kid-{number}")}));
                        let answer = client.get("/").bearer(&token).send().expect("an answer");
                        assert_eq!(answer.status, 401);
                    }
                });
            }
        });
        let asked = asked.into_inner();
        let fetches = gateway.server.count(JWKS) - before;
        println!("{asked} tokens in {:?}, {fetches} fetches", since.elapsed());
        assert!(asked > 1_000, "{asked}");
        let most = u64::from(WORKERS);
        assert!(fetches <= most, "{fetches} fetches by {most} workers in one cool-down");
        assert_eq!(gateway.status(&good), 200);
        gateway.envoy.assert_no_wasm_failures();
    }

    /// Neither `jwks` nor `jwksUri`: the issuer says where its keys are.
    fn keys_are_discovered(version) {
        let rule = json!({"jwksUri": null});
        let gateway = Gateway::start(version, rule.clone());
        assert_eq!(gateway.status(&gateway.token()), 200);
        let document = "/issuers/demo/.well-known/openid-configuration";
        assert!(gateway.server.count(document) >= 1);
        gateway.envoy.assert_no_wasm_failures();

        let gateway = Gateway::start_with(version, rule, |server| {
            server.fault(document, Fault::Html);
        });
        assert_eq!(gateway.status(&gateway.token()), 401);
        gateway.envoy.wait_for_log("no discovery document to be believed: not JSON", RECOVERY);
        gateway.server.fault(document, Fault::None);
        let recovered = wait::becomes_true(RECOVERY, || gateway.status(&gateway.token()) == 200);
        assert!(recovered, "no recovery; asked: {:?}", gateway.server.counts());
        gateway.envoy.assert_no_wasm_failures();
    }
}

/// A gateway that demands a token of one issuer, whose server is at hand.
struct Gateway {
    // Envoy goes first, so that it does not log the loss of the server.
    envoy: Envoy,
    server: AuthorizationServer,
    configuration: Value,
}

// === impl Gateway ===

impl Gateway {
    fn start(version: Version, rule: Value) -> Self {
        Gateway::start_with(version, rule, |_| ())
    }

    /// With these members of the `jwtRule`, and a word to the server before Envoy starts.
    fn start_with(
        version: Version,
        over: Value,
        before: impl FnOnce(&mut AuthorizationServer),
    ) -> Self {
        // The name of an issuer whose keys can be discovered, though it is reached through a cluster.
        let issuer = "https://idp.example.com/issuers/demo";
        let issuer = IssuerOptions::new("demo").iss(issuer);
        let mut server = AuthorizationServer::start(Options::default().issuer(issuer));
        before(&mut server);
        let mut rule = json!({
            "name": "demo",
            "issuer": server.issuer("demo").iss,
            "jwksUri": server.issuer("demo").jwks_uri(),
            "cluster": "idp",
        });
        for (name, value) in over.as_object().into_iter().flatten() {
            rule[name] = value.clone();
        }
        let rule = rule.as_object_mut().expect("an object");
        rule.retain(|_, value| !value.is_null());
        let configuration = json!({
            "version": 1,
            "jwtRules": [rule],
            "authorizationPolicies": [{
                "name": "somebody",
                "namespace": "test",
                "rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}],
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

    /// Until each worker has fetched keys for itself, and Envoy's main thread, too.
    fn wait_for_keys(&self) {
        let fetched = || self.envoy.log().matches("(cluster idp): 2 keys").count();
        let all = wait::becomes_true(RECOVERY, || fetched() > WORKERS as usize);
        assert!(all, "{} of {} have keys", fetched(), WORKERS + 1);
    }

    /// A token that is signed with the keys of now.
    fn token(&self) -> String {
        let issuer = self.server.issuer("demo");
        issuer.sign(issuer.claims(json!({})), json!({"alg": "ES256"}))
    }

    fn status(&self, token: &str) -> u16 {
        self.ask(Some(token)).status
    }

    fn ask(&self, token: Option<&str>) -> crate::harness::Response {
        let client: Client = self.envoy.client("gateway");
        let request = client.get("/").maybe_bearer(token);
        request.send().expect("an answer")
    }
}
