//! The tutorials as data: what each adds to the plugin's configuration, and what it then shows.
//!
//! All of them live in one configuration and one Envoy, under different authorities. The demo
//! prints and plays them; the tests assert them. A new tutorial is one more file and one line in
//! [`all`].
#![allow(
    dead_code,
    reason = "each program that includes this uses its own part of it"
)]

#[path = "2-issuers-hosts-paths.rs"]
mod issuers_hosts_paths;
#[path = "1-jwt.rs"]
mod jwt;

use std::io;

use serde_json::{Value, json};

use crate::{
    authorization_server::AuthorizationServer,
    harness::{Client, Listener, Response},
};

/// One tutorial: its part of the configuration, and its requests.
pub struct Tutorial {
    pub number: u32,
    pub title: &'static str,
    /// What it guards, a line each.
    pub guards: &'static [&'static str],
    pub jwt_rules: Vec<Value>,
    pub authorization_policies: Vec<Value>,
    /// Routes that it needs besides the one to httpbin.
    pub routes: Vec<Value>,
    pub rows: Vec<Row>,
}

/// One request and what must come of it.
pub struct Row {
    pub authority: &'static str,
    pub path: &'static str,
    /// Who asks, in words: `no token`, `expired token`.
    pub caller: &'static str,
    pub token: Option<String>,
    pub expected: Expected,
}

/// What an answer must be.
pub struct Expected {
    pub status: u16,
    pub body: Body,
}

/// What the body of an answer must be.
pub enum Body {
    Any,
    Text(&'static str),
    /// A JSON document with these values at these pointers; `null` also stands for absent.
    Json(Vec<(&'static str, Value)>),
    /// This text, and the challenge that Envoy's jwt_authn sends with it.
    BadToken(&'static str),
}

/// The cluster that reaches the authorization server.
pub const AUTHORIZATION_SERVER: &str = "authorization-server";

/// So many characters of an unexpected text are shown.
const SHOWN: usize = 120;

/// Every tutorial built so far, in order.
pub fn all(server: &AuthorizationServer) -> Vec<Tutorial> {
    vec![jwt::tutorial(server), issuers_hosts_paths::tutorial(server)]
}

/// The one plugin configuration in which they all live.
pub fn plugin_config(tutorials: &[Tutorial]) -> Value {
    let every =
        |part: fn(&Tutorial) -> &[Value]| tutorials.iter().flat_map(part).collect::<Vec<_>>();
    json!({
        "version": 1,
        "defaultAction": "DENY",
        "jwtRules": every(|tutorial| &tutorial.jwt_rules),
        "authorizationPolicies": every(|tutorial| &tutorial.authorization_policies),
    })
}

/// A listener with the routes that they need.
pub fn listener(name: &str, tutorials: &[Tutorial]) -> Listener {
    let routes = tutorials
        .iter()
        .flat_map(|tutorial| tutorial.routes.iter().cloned());
    routes.fold(Listener::new(name), Listener::route)
}

// === impl Row ===

impl Row {
    /// `GET httpbin.example.com/status/200, no token`.
    pub fn request(&self) -> String {
        format!("GET {}{}, {}", self.authority, self.path, self.caller)
    }

    pub fn send(&self, client: &Client) -> io::Result<Response> {
        let request = client.get(self.path).authority(self.authority);
        match &self.token {
            Some(token) => request.bearer(token).send(),
            None => request.send(),
        }
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
            Body::BadToken(text) => {
                compare("body", (*text).to_owned(), answer.text());
                let realm = format!("http://{}{}", self.authority, self.path);
                let challenge = format!("Bearer realm=\"{realm}\", error=\"invalid_token\"");
                compare(
                    "www-authenticate",
                    challenge,
                    answer.header("www-authenticate").unwrap_or_default(),
                );
            }
        }
        found
    }
}

// === impl Expected ===

impl Expected {
    fn ok(body: Body) -> Self {
        Expected { status: 200, body }
    }

    /// Refused by a policy.
    fn forbidden() -> Self {
        Expected {
            status: 403,
            body: Body::Text("RBAC: access denied"),
        }
    }

    /// Refused for a token that does not verify.
    fn bad_token(text: &'static str) -> Self {
        Expected {
            status: 401,
            body: Body::BadToken(text),
        }
    }
}
