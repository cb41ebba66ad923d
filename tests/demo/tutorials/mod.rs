//! The tutorials as data: what each adds to the plugin's configuration, and what it then shows.
//!
//! All of them live in one configuration and one Envoy, under different authorities. The demo
//! prints and plays them; the tests assert them. A new tutorial is one more file and one line in
//! [`all`].
#![allow(
    dead_code,
    reason = "each program that includes this uses its own part of it"
)]

#[path = "3-client-certificate.rs"]
pub mod client_certificate;
#[path = "4-ext-auth.rs"]
mod ext_auth;
#[path = "2-issuers-hosts-paths.rs"]
mod issuers_hosts_paths;
#[path = "1-jwt.rs"]
mod jwt;
#[path = "5-oauth2-scopes.rs"]
mod oauth2_scopes;

use std::{io, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis::cli::compile::compile_text;
use rustls::ClientConfig;
use serde_json::{Map, Value, json};

use crate::{
    authorization_server::{AuthorizationServer, DEMO_CLIENT, DEMO_SECRET, Issuer},
    harness::{Client, Listener, Response, tls::Authority},
};

/// One tutorial: its part of the configuration, and its requests.
pub struct Tutorial {
    pub number: u32,
    pub title: &'static str,
    /// What it guards, a line each.
    pub guards: &'static [&'static str],
    /// The plugin's configuration for it, as `portcullis compile` writes it.
    pub config: Value,
    /// Routes that it needs besides the one to httpbin.
    pub routes: Vec<Value>,
    pub rows: Vec<Row>,
    /// Tokens to try by hand, by the names of shell variables.
    pub tokens: Vec<(&'static str, String)>,
    /// What to try by hand: what `curl -i GATEWAY` takes further.
    pub tries: &'static [&'static str],
    /// What to try by hand over TLS.
    pub credentials: Option<Credentials>,
}

/// Certificates as files, for who asks by hand.
pub struct Credentials {
    pub authority: &'static str,
    pub path: &'static str,
    /// Files in PEM by name; `ca.crt` vouches for the gateway.
    pub files: Vec<(&'static str, String)>,
    /// Which clients there are; each has a `.crt` and a `.key`.
    pub clients: &'static [&'static str],
}

/// One request and what must come of it.
pub struct Row {
    pub method: &'static str,
    pub authority: &'static str,
    pub path: &'static str,
    /// Sent as `curl -d` does; empty is none.
    pub body: &'static str,
    /// Who asks, in words: `no token`, `expired token`.
    pub caller: &'static str,
    /// Before the token in `Authorization`.
    pub scheme: &'static str,
    pub token: Option<String>,
    /// Further header lines.
    pub headers: Vec<(&'static str, String)>,
    /// Asks the listener with TLS, and shows this certificate or none.
    pub tls: Option<Arc<ClientConfig>>,
    pub expected: Expected,
}

/// What an answer must be.
pub struct Expected {
    pub status: u16,
    pub body: Body,
    /// Headers with these values.
    pub headers: Vec<(&'static str, &'static str)>,
    /// `www-authenticate` for the URL of the request, with this behind the realm.
    pub challenge: Option<&'static str>,
}

/// What the body of an answer must be.
pub enum Body {
    Any,
    Text(&'static str),
    /// A JSON document with these values at these pointers; `null` also stands for absent.
    Json(Vec<(&'static str, Value)>),
}

/// The cluster that reaches the authorization server, for configurations that name one.
pub const AUTHORIZATION_SERVER: &str = "authorization-server";

/// The cluster that Istio has for the external authorizer.
pub const AUTHORIZER: &str = "outbound|80||oauth2-proxy.oauth2-proxy.svc.cluster.local";

/// So many characters of an unexpected text are shown.
const SHOWN: usize = 120;

/// Every tutorial built so far, in order.
pub fn all(server: &AuthorizationServer, authority: &Authority) -> Vec<Tutorial> {
    vec![
        jwt::tutorial(server),
        issuers_hosts_paths::tutorial(server),
        client_certificate::tutorial(server, authority),
        ext_auth::tutorial(server),
        oauth2_scopes::tutorial(server),
    ]
}

/// The one plugin configuration in which they all live.
pub fn plugin_config(tutorials: &[Tutorial]) -> Value {
    together(tutorials.iter().map(|tutorial| &tutorial.config))
}

/// What `portcullis compile` makes of manifests, with this authorization server in place of the one
/// that they name.
pub fn compiled(server: &AuthorizationServer, manifests: &[&str], options: &[&str]) -> Value {
    let manifests = manifests.join("\n---\n");
    let manifests = manifests.replace("https://idp.example.com", &server.url());
    let options = [&["--output=config", "--format=json"], options].concat();
    let compiled = compile_text("manifests.yaml", &manifests, &options);
    let compiled = compiled.expect("options of the command");
    let text = compiled
        .text
        .unwrap_or_else(|| panic!("{:#?}", compiled.notes));
    serde_json::from_str(&text).expect("JSON")
}

/// Several configurations as one: lists behind each other, objects with the members of all.
fn together<'c>(parts: impl Iterator<Item = &'c Value>) -> Value {
    let mut whole = Map::new();
    for (name, part) in parts.flat_map(|part| part.as_object().expect("parts by name")) {
        match (whole.entry(name.as_str()).or_insert(Value::Null), part) {
            (Value::Array(whole), Value::Array(part)) => whole.extend(part.iter().cloned()),
            (Value::Object(whole), Value::Object(part)) => whole.extend(part.clone()),
            (whole @ Value::Null, part) => *whole = part.clone(),
            (whole, part) => assert_eq!(whole, part, "`{name}`"),
        }
    }
    Value::Object(whole)
}

/// A listener with the routes that they need.
pub fn listener(name: &str, tutorials: &[Tutorial]) -> Listener {
    let routes = tutorials
        .iter()
        .flat_map(|tutorial| tutorial.routes.iter().cloned());
    routes.fold(Listener::new(name), Listener::route)
}

/// A valid token to paste: ES256 signatures are short.
fn short_token(issuer: &Issuer, claims: Value) -> String {
    issuer.sign(issuer.claims(claims), json!({"alg": "ES256"}))
}

/// An opaque token with this scope, as the demo's client gets it from the token endpoint.
pub fn fetched_token(server: &AuthorizationServer, issuer: &Issuer, scope: &str) -> String {
    let endpoint = format!("{}/oauth2/token", issuer.url);
    let path = endpoint.strip_prefix(&server.url()).expect("a URL of it");
    let form = format!("grant_type=client_credentials&scope={scope}&token_format=opaque");
    let credentials = STANDARD.encode(format!("{DEMO_CLIENT}:{DEMO_SECRET}"));
    let answer = Client::new(server.port())
        .post(path, form)
        .header("content-type", FORM)
        .header("authorization", format!("Basic {credentials}"))
        .send()
        .expect("an answer of the token endpoint");
    let answer = answer.json();
    let token = answer["access_token"].as_str();
    token
        .unwrap_or_else(|| panic!("no token in {answer}"))
        .to_owned()
}

const FORM: &str = "application/x-www-form-urlencoded";

// === impl Row ===

impl Row {
    /// Without a body, and without a token.
    fn new(
        method: &'static str,
        authority: &'static str,
        path: &'static str,
        expected: Expected,
    ) -> Self {
        Row {
            method,
            authority,
            path,
            body: "",
            caller: "no token",
            scheme: "Bearer",
            token: None,
            headers: Vec::new(),
            tls: None,
            expected,
        }
    }

    fn get(authority: &'static str, path: &'static str, expected: Expected) -> Self {
        Row::new("GET", authority, path, expected)
    }

    fn body(mut self, body: &'static str) -> Self {
        self.body = body;
        self
    }

    fn scheme(mut self, scheme: &'static str) -> Self {
        self.scheme = scheme;
        self
    }

    fn caller(mut self, caller: &'static str) -> Self {
        self.caller = caller;
        self
    }

    fn token(mut self, caller: &'static str, token: impl Into<String>) -> Self {
        self.caller = caller;
        self.token = Some(token.into());
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// `GET httpbin.example.com/status/200, no token`.
    pub fn request(&self) -> String {
        format!(
            "{} {}{}, {}",
            self.method, self.authority, self.path, self.caller
        )
    }

    pub fn send(&self, client: &Client) -> io::Result<Response> {
        let mut request = client
            .request(self.method, self.path)
            .authority(self.authority);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("{} {token}", self.scheme));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.body.is_empty() {
            request = request.header("content-type", FORM).body(self.body);
        }
        request.send()
    }

    /// Everything in which the answer differs from what is expected, a line each.
    pub fn differences(&self, answer: &Response) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |what: &str, expected: String, got: String| {
            if expected != got {
                let got: String = got.chars().take(SHOWN).collect();
                found.push(format!("{what}: expected `{expected}`, got `{got}`"));
            }
        };
        compare(
            "status",
            self.expected.status.to_string(),
            answer.status.to_string(),
        );
        match &self.expected.body {
            Body::Any => {}
            Body::Text(text) => compare("body", (*text).to_owned(), answer.text()),
            Body::Json(values) => {
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                for (pointer, value) in values {
                    let got = body.pointer(pointer).unwrap_or(&Value::Null);
                    compare(
                        &format!("body at {pointer}"),
                        value.to_string(),
                        got.to_string(),
                    );
                }
            }
        }
        let challenge = self.expected.challenge.map(|rest| {
            let realm = format!("http://{}{}", self.authority, self.path);
            (
                "www-authenticate",
                format!("Bearer realm=\"{realm}\"{rest}"),
            )
        });
        let headers = self.expected.headers.iter();
        let headers = headers.map(|(name, value)| (*name, (*value).to_owned()));
        for (name, value) in headers.chain(challenge) {
            compare(name, value, answer.header(name).unwrap_or_default());
        }
        found
    }
}

// === impl Expected ===

impl Expected {
    fn new(status: u16, body: Body) -> Self {
        Expected {
            status,
            body,
            headers: Vec::new(),
            challenge: None,
        }
    }

    fn ok(body: Body) -> Self {
        Expected::new(200, body)
    }

    /// Refused by a policy.
    fn forbidden() -> Self {
        Expected::new(403, Body::Text("RBAC: access denied"))
    }

    /// Refused for a token that does not verify.
    fn bad_token(text: &'static str) -> Self {
        Expected::new(401, Body::Text(text)).challenge(r#", error="invalid_token""#)
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn challenge(mut self, rest: &'static str) -> Self {
        self.challenge = Some(rest);
        self
    }
}
