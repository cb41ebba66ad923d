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
//! | `POST /oauth2/token`, `POST /oauth2/introspect` | RFC 6749 4.4, RFC 7662 |
//! | `POST /rotate-keys?keep_old=true` | new keys |
//! | `GET /healthz`, `GET /counts`, `PUT /faults` | at the root only; see `faults.rs` |
#![allow(
    dead_code,
    reason = "each program that includes this uses its own part of it"
)]

mod client_auth;
mod endpoints;
mod faults;
mod keys;
mod options;
mod tokens;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpListener},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

#[allow(unused_imports, reason = "the face of this module; see above")]
pub use self::{
    faults::{Fault, Order, Switches},
    keys::Key,
    options::{Client, Issuer as IssuerOptions, Options, TokenFormat},
    tokens::{Issuer, encode, now, sign_with, with_broken_signature},
};

/// A running server; dropping it stops it.
pub struct AuthorizationServer {
    port: u16,
    issuers: Vec<Arc<Issuer>>,
    switches: Switches,
    /// Gone while the server is stopped.
    runtime: Option<Runtime>,
}

/// How long to try for a port that someone else holds.
const BIND_PATIENCE: Duration = Duration::from_secs(5);

// === impl AuthorizationServer ===

impl AuthorizationServer {
    /// Starts in background threads and answers when this returns.
    pub fn start(options: Options) -> Self {
        let listener = bind(options.port);
        let port = listener.local_addr().expect("a bound socket").port();
        let url = format!("http://127.0.0.1:{port}");
        let issuers = options.issuers.iter().enumerate().map(|(place, issuer)| {
            Arc::new(Issuer::new(
                issuer,
                place,
                format!("{url}/issuers/{}", issuer.name),
            ))
        });
        let issuers = issuers.collect();
        let mut server = AuthorizationServer {
            port,
            issuers,
            switches: Switches::default(),
            runtime: None,
        };
        server.serve(listener);
        server
    }

    /// Closes the port and every connection; keys, tokens, faults and counts stay.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }

    /// Answers again on the same port after [`stop`](Self::stop).
    pub fn start_again(&mut self) {
        if self.runtime.is_none() {
            self.serve(bind(self.port));
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The issuer of this name (its path segment, not its `iss`).
    pub fn issuer(&self, name: &str) -> &Issuer {
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

    fn serve(&mut self, listener: TcpListener) {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let router = endpoints::router(&self.issuers, self.switches.clone());
        let guard = runtime.enter();
        listener
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket for tokio");
        runtime.spawn(async move { axum::serve(listener, router).await });
        drop(guard);
        self.runtime = Some(runtime);
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn bind(port: u16) -> TcpListener {
    let deadline = Instant::now() + BIND_PATIENCE;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return listener,
            Err(error) if Instant::now() > deadline => {
                panic!("cannot listen on port {port}: {error}")
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}
