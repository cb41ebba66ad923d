//! Ory Hydra, the real one, as the authorization server of tutorial 5: opaque tokens by introspection,
//! and the same with tokens that are signed.
//!
//! It keeps what it knows in memory. Clients are registered by its administration, as the tutorial does.

use std::{fs, process::Command, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis::cli::compile::compile_text;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    authorization_server::bind,
    harness::{
        Client, Envoy, Listener, Plugin, Version, httpbin, process::Process, requirements::HYDRA,
        wait,
    },
    table::Line,
};

/// A running Hydra with the tutorial's client; dropping it ends it.
struct Hydra {
    public: u16,
    admin: u16,
    _process: Process,
    /// Holds the configuration and the log; removed after the process has ended.
    _folder: TempDir,
}

const MANIFESTS: [&str; 2] = [
    include_str!("../../wasmplugin/tutorials/5-oauth2-scopes/original/apirule.yaml"),
    include_str!("../../wasmplugin/tutorials/5-oauth2-scopes/original/oathkeeper.yaml"),
];
/// Where those introspect tokens.
const INTROSPECTION: &str = "https://idp.example.com/issuers/demo/oauth2/introspect";

const AUTHORITY: &str = "scopes.example.com";
const CLIENT: (&str, &str) = ("demo-client", "demo-secret");
const GATEWAY: &str = "gateway";
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays it all.
pub fn play() -> Vec<Line> {
    let mut lines = Vec::new();
    let _httpbin = httpbin::shared();
    for strategy in ["opaque", "jwt"] {
        let hydra = Hydra::start(strategy);
        let (read, write) = (hydra.token("read"), hydra.token("write"));
        // An opaque token of Hydra's has no third part.
        let kind = match read.split('.').count() {
            3 => "jwt",
            _ => "opaque",
        };
        lines.push(Line::new("a token with this strategy", strategy, kind));
        let introspecting = hydra.gateway(introspecting(&hydra));
        lines.extend(rows(
            &format!("{strategy}, introspected"),
            &introspecting,
            "401",
            (&read, &write),
        ));
        hydra.revoke(&read);
        let client = introspecting.client(GATEWAY);
        let refused = wait::until(PATIENCE, || {
            let status = ask(&client, "GET", "/headers", Some(&read));
            (status == "401").then_some(status)
        });
        lines.push(Line::new(
            format!("{strategy}, introspected: GET, scope read, revoked"),
            "401",
            refused.unwrap_or_else(|| "no refusal".to_owned()),
        ));
        introspecting.assert_no_wasm_failures();
        if strategy == "jwt" {
            let verifying = hydra.gateway(verifying(&hydra));
            let tokens = (hydra.token("read"), write);
            lines.extend(rows(
                "jwt, verified with its keys",
                &verifying,
                "403",
                (&tokens.0, &tokens.1),
            ));
            verifying.assert_no_wasm_failures();
        }
    }
    lines
}

/// The tutorial's requests. Without a token Oathkeeper answers 401 and Istio 403; each is followed.
fn rows(how: &str, gateway: &Envoy, no_token: &str, (read, write): (&str, &str)) -> Vec<Line> {
    let client = gateway.client(GATEWAY);
    let rows = [
        ("GET", "/headers", "no token", None, no_token),
        ("GET", "/headers", "scope read", Some(read), "200"),
        ("GET", "/headers", "scope write", Some(write), "403"),
        ("POST", "/post", "no token", None, no_token),
        ("POST", "/post", "scope write", Some(write), "200"),
        ("POST", "/post", "scope read", Some(read), "403"),
        (
            "GET",
            "/headers",
            "unknown token",
            Some("ory_at_no.such"),
            "401",
        ),
    ];
    let lines = rows.map(|(method, path, what, token, expected)| {
        let got = ask(&client, method, path, token);
        Line::new(format!("{how}: {method} {path}, {what}"), expected, got)
    });
    lines.into()
}

fn ask(client: &Client, method: &str, path: &str, token: Option<&str>) -> String {
    let request = client.request(method, path).authority(AUTHORITY);
    let answer = request.maybe_bearer(token).send();
    answer.map_or_else(|error| error.to_string(), |it| it.status.to_string())
}

/// The tutorial's APIRule, as `portcullis compile` makes it.
fn introspecting(hydra: &Hydra) -> Value {
    let url = format!("http://127.0.0.1:{}/admin/oauth2/introspect", hydra.admin);
    let manifests = MANIFESTS.join("\n---\n").replace(INTROSPECTION, &url);
    let options = ["--output=config", "--format=json"];
    let compiled = compile_text("manifests.yaml", &manifests, &options).expect("options");
    let text = compiled.text;
    let text = text.unwrap_or_else(|| panic!("{:#?}", compiled.notes));
    serde_json::from_str(&text).expect("JSON")
}

/// The same for whoever has a token that Hydra signed; it lists scopes in `scp`.
fn verifying(hydra: &Hydra) -> Value {
    let rule = |method: &str, path: &str, scope: &str| {
        json!({"path": path, "methods": [method], "jwt": {
            "authentications": [{
                "issuer": hydra.issuer(),
                "jwksUri": format!("{}/.well-known/jwks.json", hydra.issuer()),
            }],
            "authorizations": [{"requiredScopes": [scope]}],
        }})
    };
    json!({
        "version": 1,
        "defaultAction": "DENY",
        "apiRules": [{
            "name": "httpbin", "hosts": [AUTHORITY],
            "rules": [rule("GET", "/headers", "read"), rule("POST", "/post", "write")],
        }],
    })
}

// === impl Hydra ===

impl Hydra {
    /// Starts it with one of its strategies for access tokens; its client is registered.
    fn start(strategy: &str) -> Self {
        let port = || bind(0).local_addr().expect("a bound socket").port();
        let (public, admin) = (port(), port());
        let listen = |port: u16| json!({"host": "127.0.0.1", "port": port});
        let issuer = format!("http://127.0.0.1:{public}");
        let configuration = json!({
            "dsn": "memory",
            "serve": {"public": listen(public), "admin": listen(admin)},
            "urls": {"self": {"issuer": issuer}},
            "strategies": {"access_token": strategy},
            "secrets": {"system": ["not-a-secret-of-anybody"]},
            "sqa": {"opt_out": true},
        });
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("hydra.json");
        fs::write(&file, configuration.to_string()).expect("a file in a temporary folder");
        let mut command = Command::new(HYDRA.path());
        command
            .args(["serve", "all", "--dev", "--config"])
            .arg(file);
        let mut process = Process::start(&mut command, &folder.path().join("hydra.log"))
            .unwrap_or_else(|error| panic!("cannot start Hydra: {error}"));
        let client = Client::new(admin);
        let ready = wait::until(PATIENCE, || {
            let ended = process.ended().is_some();
            assert!(!ended, "Hydra ended:\n{}", process.log_tail(20));
            let answer = client.get("/health/ready").send().ok()?;
            (answer.status == 200).then_some(())
        });
        assert!(ready.is_some(), "{}", process.log_tail(20));
        let hydra = Hydra {
            public,
            admin,
            _process: process,
            _folder: folder,
        };
        hydra.register();
        hydra
    }

    fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.public)
    }

    fn register(&self) {
        let client = json!({
            "client_id": CLIENT.0, "client_secret": CLIENT.1,
            "grant_types": ["client_credentials"], "scope": "read write",
            "token_endpoint_auth_method": "client_secret_basic",
        });
        let admin = Client::new(self.admin);
        let request = admin.post("/admin/clients", client.to_string());
        let answer = request.header("content-type", "application/json").send();
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// A token with this scope, by the client's credentials.
    fn token(&self, scope: &str) -> String {
        let form = format!("grant_type=client_credentials&scope={scope}");
        let answer = self.form("/oauth2/token", &form);
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    fn revoke(&self, token: &str) {
        self.form("/oauth2/revoke", &format!("token={token}"));
    }

    fn form(&self, path: &str, form: &str) -> Value {
        let basic = STANDARD.encode(format!("{}:{}", CLIENT.0, CLIENT.1));
        let public = Client::new(self.public);
        let request = public
            .post(path, form)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", format!("Basic {basic}"));
        let answer = request.send().expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// An Envoy with this configuration, which reaches both of its ports.
    fn gateway(&self, configuration: Value) -> Envoy {
        let cluster = |port: u16| format!("outbound|{port}||127.0.0.1");
        Envoy::builder(Version::V1_40)
            .cluster("httpbin", httpbin::shared().port())
            .cluster(&cluster(self.public), self.public)
            .cluster(&cluster(self.admin), self.admin)
            .listener(Listener::new(GATEWAY).filter(Plugin::new(configuration).discovered()))
            .start()
    }
}
