//! A small real OAuth2 authorization server on 127.0.0.1, for the demo and the tests.
//!
//! It has several issuers with keys of their own, gives out JWT and opaque tokens, introspects
//! them, makes any token that a test wants, and misbehaves on demand. It never guards anything:
//! keys live for one process, secrets are compared as plain text.
//!
//! ```ignore
//! let server = AuthorizationServer::start(Options::tutorials());
//! let token = server.issuer("foo").token(json!({"scope": "read"}));
//! server.fault("/issuers/foo/jwks", Fault::Slow { milliseconds: 500 });
//! ```
//!
//! | path, at the root for the first issuer or under `/issuers/NAME` | |
//! |---|---|
//! | `GET /.well-known/openid-configuration`, `GET /jwks` | discovery, key set |
//! | `GET /oauth2/authorize` | RFC 6749 4.1; nobody is asked |
//! | `POST /oauth2/token`, `POST /oauth2/introspect` | RFC 6749 4.1.3 and 4.4, RFC 7662 |
//! | `POST /rotate-keys?keep_old=true` | new keys |
//! | `GET /healthz`, `GET /counts`, `PUT /faults` | at the root only; see `faults.rs` |
#![allow(
    dead_code,
    reason = "each program that includes this uses its own part of it"
)]

mod client_auth;
mod codes;
mod endpoints;
mod faults;
mod keys;
mod options;
mod serving;
mod tokens;

use std::{collections::BTreeMap, sync::Arc};

#[allow(unused_imports, reason = "the face of this module; see above")]
pub use self::{
    faults::{Fault, Order, Switches, misbehave},
    keys::Key,
    options::{Client, DEMO_CLIENT, DEMO_SECRET, Issuer as IssuerOptions, Options, TokenFormat},
    serving::{Serving, bind},
    tokens::{Issuer, encode, now, sign_with, with_broken_signature},
};

/// A running server; dropping it stops it.
pub struct AuthorizationServer {
    issuers: Vec<Arc<Issuer>>,
    switches: Switches,
    serving: Serving,
}

// === impl AuthorizationServer ===

impl AuthorizationServer {
    /// Starts in background threads and answers when this returns.
    pub fn start(options: Options) -> Self {
        let listener = bind(options.port);
        let url = url_on(serving::port_of(&listener));
        let issuers = options.issuers.iter().enumerate().map(|(place, issuer)| {
            Arc::new(Issuer::new(
                issuer,
                place,
                format!("{url}/issuers/{}", issuer.name),
            ))
        });
        let issuers: Vec<_> = issuers.collect();
        let switches = Switches::default();
        let router = endpoints::router(&issuers, switches.clone());
        AuthorizationServer {
            issuers,
            switches,
            serving: Serving::start(listener, router),
        }
    }

    /// Closes the port and every connection; keys, tokens, faults and counts stay.
    pub fn stop(&mut self) {
        self.serving.stop();
    }

    /// Answers again on the same port after [`stop`](Self::stop).
    pub fn start_again(&mut self) {
        self.serving.start_again();
    }

    pub fn port(&self) -> u16 {
        self.serving.port()
    }

    pub fn url(&self) -> String {
        url_on(self.port())
    }

    /// The issuer of this name (its path segment, not its `iss`).
    pub fn issuer(&self, name: &str) -> &Arc<Issuer> {
        let found = self.issuers.iter().find(|issuer| issuer.name == name);
        found.unwrap_or_else(|| panic!("no issuer `{name}`"))
    }

    /// Misbehaves to requests for this path, until told [`Fault::None`].
    pub fn fault(&self, path: &str, fault: Fault) {
        self.switches.set(Order {
            path: Some(path.to_owned()),
            fault,
        });
    }

    /// Misbehaves everywhere, or nowhere with [`Fault::None`]; forgets the faults of single paths.
    pub fn fault_everywhere(&self, fault: Fault) {
        self.switches.set(Order { path: None, fault });
    }

    /// The number of requests so far for this path.
    pub fn count(&self, path: &str) -> u64 {
        self.counts().get(path).copied().unwrap_or(0)
    }

    /// The number of requests so far by path.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.switches.counts()
    }
}

fn url_on(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
