//! External authorizers in a real Envoy: what they see, what reaches the client and the upstream, and
//! what comes of one that fails.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    authorization_server::{AuthorizationServer, DEMO_CLIENT, Fault, Options},
    authorizer::{Authorizer, CLEARED_COOKIE},
    harness::{Envoy, Httpbin, Listener, Plugin, Response, Tool, Update, Version, httpbin, wait},
};
use std::sync::Arc;

const HOST: &str = "gateway.example.com";
const PARKED: &str = "wasmcustom.portcullis.parked_requests";

fn tools(version: Version) -> [Tool; 3] {
    [Tool::Envoy(version), Tool::Httpbin, Tool::Plugin]
}

on_every_envoy! {
    needs tools;

    /// The authorizer sees the request as it came, query and odd bytes and all; the upstream sees
    /// what the authorizer says, and nothing under such a name from the client.
    fn what_each_side_sees(version) {
        let gateway = Gateway::start(version, json!({}));
        let token = gateway.token();
        let client = gateway.envoy.client("gateway");
        let answer = client
            .get("/headers?a=%2F&b")
            .authority(HOST)
            .bearer(&token)
            .header("cookie", "c=1")
            .header("x-forwarded-for", "192.0.2.9")
            .header("x-odd", b"\xff\x80")
            .header("x-private", "p")
            .header("x-auth-request-user", "root")
            .header("x_auth_request_email", "root@example.com")
            .send()
            .expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let upstream = &answer.json()["headers"];
        assert_eq!(upstream["X-Auth-Request-User"], gateway.subject(), "{upstream}");
        assert!(!upstream.to_string().contains("root"), "{upstream}");
        assert_eq!(upstream["X-Private"], "p", "{upstream}");

        let seen = gateway.authorizer.seen().pop().expect("a question");
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/headers?a=%2F&b"));
        let header = |name: &str| seen.headers.get(name).map(|value| value.as_bytes().to_vec());
        let text = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(header("host"), text(HOST));
        assert_eq!(header("authorization"), text(&format!("Bearer {token}")));
        assert_eq!(header("cookie"), text("c=1"));
        assert_eq!(header("x-odd"), Some(b"\xff\x80".to_vec()), "bytes are bytes");
        assert_eq!(header("x-auth-request-user"), text("root"), "as it was received");
        assert_eq!(header("x-private"), None, "not asked for");
        assert_eq!(header("x-origin"), text("http://gateway.example.com/headers?a=%2F&b"));
        assert_eq!(header("content-length"), text("0"));
        gateway.envoy.assert_no_wasm_failures();
    }

    /// A refusal is the authorizer's own: status, headers, cookies and body.
    fn a_refusal_is_passed_on(version) {
        let gateway = Gateway::start(version, json!({}));
        let client = gateway.envoy.client("gateway");
        let stale = client.get("/headers").authority(HOST).header("cookie", "_oauth2_proxy=stale");
        let answer = stale.send().expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (401, "{}"));
        assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
        assert_eq!(answer.header("set-cookie").as_deref(), Some(CLEARED_COOKIE));
        let location = "https://idp.example.com/login?a=b";
        gateway.authorizer.fault(Fault::Redirect { location: location.to_owned() });
        let answer = gateway.ask("/headers", None);
        assert_eq!((answer.status, answer.header("location").as_deref()), (302, Some(location)));
        for status in [201, 202, 204, 403, 404] {
            gateway.authorizer.fault(Fault::Status { status });
            assert_eq!(gateway.ask("/headers", Some(&gateway.token())).status, status);
        }
        // Some headers of a refusal are kept back where only others are named.
        let names = json!({"headersToDownstreamOnDeny": ["x-none"]});
        gateway.authorizer.fault(Fault::None);
        assert_eq!(gateway.update(names), Update::Accepted);
        let closed = wait::becomes_true(Duration::from_secs(5), || {
            gateway.ask("/headers", None).header("set-cookie").is_none()
        });
        assert!(closed, "a header that is not named reaches the client");
        gateway.envoy.assert_no_wasm_failures();
    }

    /// Whatever keeps an authorizer from answering refuses, unless it is to fail open.
    fn one_that_fails(version) {
        let mut gateway = Gateway::start(version, json!({"timeout": "500ms", "statusOnError": "503"}));
        let token = gateway.token();
        for (name, fault, told) in [
            ("500", Fault::Status { status: 500 }, "status 500"),
            ("503", Fault::Status { status: 503 }, "status 503, or no connection"),
            ("too late", Fault::Slow { milliseconds: 3_000 }, "status 504, or no answer in time"),
            ("half a reply", Fault::Reset, "no connection, or the reply broke off"),
        ] {
            gateway.authorizer.fault(fault);
            let asked = Instant::now();
            let answer = gateway.ask("/headers", Some(&token));
            assert_eq!((answer.status, answer.text().as_str()), (503, ""), "{name}");
            assert!(asked.elapsed() < Duration::from_secs(2), "{name}: {:?}", asked.elapsed());
            let told = format!("authorizer `proxy` (cluster proxy): {told}");
            gateway.envoy.wait_for_log(&told, Duration::from_secs(5));
        }
        gateway.authorizer.fault(Fault::None);
        assert_eq!(gateway.ask("/headers", Some(&token)).status, 200);
        gateway.authorizer.stop();
        assert_eq!(gateway.ask("/headers", Some(&token)).status, 503, "nobody is there");
        assert_eq!(gateway.update(json!({"failOpen": true})), Update::Accepted);
        let open = wait::becomes_true(Duration::from_secs(5), || {
            gateway.ask("/headers", Some(&token)).status == 200
        });
        assert!(open, "`failOpen` does not let requests through");
        assert_eq!(gateway.envoy.stat(PARKED), 0);
        gateway.envoy.assert_no_wasm_failures();
    }

    /// An authorizer is asked about each request, also when the same client asks again; many at a
    /// time do not get in each other's way, and those who leave are forgotten.
    fn many_at_a_time(version) {
        let gateway = Gateway::start(version, json!({}));
        let token = gateway.token();
        gateway.authorizer.fault(Fault::Slow { milliseconds: 300 });
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..100)
                .map(|number| {
                    let (gateway, token) = (&gateway, &token);
                    let may = number % 2 == 0;
                    scope.spawn(move || (may, gateway.ask("/status/200", may.then_some(token)).status))
                })
                .collect();
            for waiting in waiting {
                let (may, status) = waiting.join().expect("no panic");
                assert_eq!(status, if may { 200 } else { 401 });
            }
            for _ in 0..100 {
                let client = gateway.envoy.client("gateway").timeout(Duration::from_millis(20));
                let left = client.get("/status/200").authority(HOST).send();
                assert!(left.is_err(), "{left:?}");
            }
        });
        assert!(gateway.authorizer.seen().len() >= 100);
        let forgotten = wait::becomes_true(Duration::from_secs(3), || gateway.envoy.stat(PARKED) == 0);
        assert!(forgotten, "{} requests wait for nobody", gateway.envoy.stat(PARKED));
        gateway.envoy.assert_no_wasm_failures();
    }

    /// Clients that leave do not have an authorizer asked without end: what is on its way counts, though
    /// nobody waits for it any more.
    fn clients_that_leave_before_a_slow_authorizer(version) {
        let gateway = Gateway::start(version, json!({}));
        let mut configuration = gateway.configuration.clone();
        configuration["limits"] = json!({"parkedRequests": 5});
        assert_eq!(gateway.envoy.update_plugin(&configuration), Update::Accepted);
        gateway.authorizer.fault(Fault::Slow { milliseconds: 4_000 });
        let since = Instant::now();
        for _ in 0..60 {
            let client = gateway.envoy.client("gateway").timeout(Duration::from_millis(40));
            // Whether it left or was refused, it got nothing.
            let answer = client.get("/status/200").authority(HOST).send();
            assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 503));
        }
        assert!(since.elapsed() < Duration::from_secs(4), "too slow a machine: {:?}", since.elapsed());
        let asked = gateway.authorizer.seen().len();
        assert!(asked <= 5, "an authorizer that does not answer was asked {asked} times");
        gateway.envoy.assert_no_wasm_failures();
    }

    /// A CUSTOM policy asks about what it matches, and about nothing else.
    fn a_custom_policy(version) {
        let gateway = Gateway::start(version, json!({}));
        let policies = json!([{
            "name": "ask", "namespace": "test", "action": "CUSTOM",
            "provider": {"name": "proxy"},
            "rules": [{"to": [{"operation": {"paths": ["/status/*"]}}]}],
        }]);
        let mut configuration = gateway.configuration.clone();
        configuration["apiRules"] = json!([]);
        configuration["defaultAction"] = json!("ALLOW");
        configuration["authorizationPolicies"] = policies;
        assert_eq!(gateway.envoy.update_plugin(&configuration), Update::Accepted);
        let token = gateway.token();
        for (path, token, status) in [
            ("/status/200", None, 401),
            ("/status/200", Some(&token), 200),
            ("/headers", None, 200),
            ("/%73tatus/200", None, 401),
        ] {
            let got = wait::becomes_true(Duration::from_secs(2), || {
                gateway.ask(path, token.map(String::as_str)).status == status
            });
            assert!(got, "{path}: {}", gateway.ask(path, token.map(String::as_str)).status);
        }
        gateway.envoy.assert_no_wasm_failures();
    }
}

/// A gateway before httpbin that asks one authorizer about every request.
struct Gateway {
    // Envoy goes first, so that it does not log the loss of the others.
    envoy: Envoy,
    authorizer: Authorizer,
    server: AuthorizationServer,
    configuration: Value,
    _httpbin: Arc<Httpbin>,
}

// === impl Gateway ===

impl Gateway {
    /// With these members of `envoyExtAuthzHttp`.
    fn start(version: Version, over: Value) -> Self {
        let server = AuthorizationServer::start(Options::tutorials());
        let authorizer = Authorizer::start(server.issuer("demo").clone(), DEMO_CLIENT);
        let configuration = configuration(&over);
        let httpbin = httpbin::shared();
        let plugin = Plugin::new(configuration.clone());
        let envoy = Envoy::builder(version)
            .cluster("httpbin", httpbin.port())
            .cluster("proxy", authorizer.port())
            .listener(Listener::new("gateway").filter(plugin.discovered()))
            .start();
        Gateway {
            envoy,
            authorizer,
            server,
            configuration,
            _httpbin: httpbin,
        }
    }

    fn update(&self, over: Value) -> Update {
        self.envoy.update_plugin(&configuration(&over))
    }

    /// A token that the authorizer accepts.
    fn token(&self) -> String {
        let claims = json!({"aud": DEMO_CLIENT, "email": "ada@example.com"});
        self.server.issuer("demo").token(claims)
    }

    /// Whom it is about.
    fn subject(&self) -> Value {
        self.server.issuer("demo").claims(json!({}))["sub"].clone()
    }

    fn ask(&self, path: &str, token: Option<&str>) -> Response {
        let client = self.envoy.client("gateway");
        let request = client.get(path).authority(HOST).maybe_bearer(token);
        request.send().expect("an answer")
    }
}

fn configuration(over: &Value) -> Value {
    let mut http = json!({
        "service": "proxy.example.com",
        "port": 80,
        "includeRequestHeadersInCheck": ["cookie", "x-odd", "x-auth-request-*"],
        "includeAdditionalHeadersInCheck": {"x-origin": "http://%REQ(:authority)%%REQ(:path)%"},
        "headersToUpstreamOnAllow": ["x-auth-request-*"],
    });
    for (name, value) in over.as_object().into_iter().flatten() {
        http[name] = value.clone();
    }
    json!({
        "version": 1,
        "defaultAction": "DENY",
        "extensionProviders": [{"name": "proxy", "cluster": "proxy", "envoyExtAuthzHttp": http}],
        "apiRules": [{
            "name": "all",
            "hosts": [HOST],
            "rules": [{"path": "/*", "extAuth": {"authorizers": ["proxy"]}}],
        }],
    })
}
