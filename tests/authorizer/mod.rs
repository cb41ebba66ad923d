//! A stand-in for oauth2-proxy on 127.0.0.1, for the demo and the tests.
//!
//! It answers as oauth2-proxy does with the flags of the tutorial (`skip-jwt-bearer-tokens`,
//! `force-json-errors`, `upstream: static://200`), and verifies tokens with the keys that the issuer
//! publishes. It remembers every request, and misbehaves on demand. It has no login, and clears the
//! cookie of whoever comes with one.
//!
//! ```ignore
//! let authorizer = Authorizer::start(server.issuer("demo").clone(), "demo-client");
//! authorizer.fault(Fault::Slow { milliseconds: 500 });
//! assert_eq!(authorizer.seen()[0].target, "/headers?a=b");
//! ```
//!
//! | path | with a token of the issuer for the client | otherwise |
//! |---|---|---|
//! | `/ping`, `/ready`, `/robots.txt` | 200 | 200, as oauth2-proxy answers these before it asks who |
//! | `/oauth2/auth` | 202 with headers | 401 |
//! | any other | 200 `Authenticated` with headers | 401 `{}` |
#![allow(
    dead_code,
    reason = "each program that includes this uses its own part of it"
)]

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::any,
};
use jwt_simple::prelude::{
    ECDSAP256PublicKeyLike as _, ES256PublicKey, JWTClaims, RS256PublicKey, RSAPublicKeyLike as _,
    VerificationOptions,
};
use serde_json::Value;

use crate::authorization_server::{Fault, Issuer, Order, Serving, Switches, bind, misbehave};

/// A running authorizer; dropping it stops it.
pub struct Authorizer {
    switches: Switches,
    seen: Log,
    serving: Serving,
}

/// One request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// Whose tokens count, and for whom.
struct Verifier {
    issuer: Arc<Issuer>,
    client_id: String,
}

/// Who sent a request, as headers.
type Session = [(HeaderName, String); 5];

/// The cookie of its sessions.
pub const COOKIE: &str = "_oauth2_proxy";

/// What it sends with a 401 to whoever comes with a session, of which it knows none.
pub const CLEARED_COOKIE: &str =
    "_oauth2_proxy=; Path=/; Domain=example.com; Max-Age=0; HttpOnly; SameSite=Lax";

// === impl Authorizer ===

impl Authorizer {
    /// Starts on a free port and answers when this returns.
    pub fn start(issuer: Arc<Issuer>, client_id: &str) -> Self {
        let (switches, seen) = (Switches::default(), Log::default());
        let verifier = Verifier {
            issuer,
            client_id: client_id.to_owned(),
        };
        let router = Router::new()
            .route("/ping", any(|| async { "OK" }))
            .route("/ready", any(|| async { "OK" }))
            .route(
                "/robots.txt",
                any(|| async { "User-agent: *\nDisallow: /\n" }),
            )
            .route("/oauth2/auth", any(auth_only))
            .fallback(authenticated)
            .with_state(Arc::new(verifier))
            .layer(middleware::from_fn_with_state(switches.clone(), misbehave))
            .layer(middleware::from_fn_with_state(seen.clone(), remember));
        Authorizer {
            switches,
            seen,
            serving: Serving::start(bind(0), router),
        }
    }

    pub fn port(&self) -> u16 {
        self.serving.port()
    }

    /// Every request so far, those answered with a fault included.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic while held").clone()
    }

    /// Misbehaves to every request, until told [`Fault::None`].
    pub fn fault(&self, fault: Fault) {
        self.switches.set(Order { path: None, fault });
    }

    /// Closes the port and every connection.
    pub fn stop(&mut self) {
        self.serving.stop();
    }

    /// Answers again on the same port after [`stop`](Self::stop).
    pub fn start_again(&mut self) {
        self.serving.start_again();
    }
}

async fn remember(State(seen): State<Log>, request: Request, next: Next) -> Response {
    seen.lock().expect("no panic while held").push(Seen {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        headers: request.headers().clone(),
    });
    next.run(request).await
}

async fn authenticated(State(verifier): State<Arc<Verifier>>, headers: HeaderMap) -> Response {
    match verifier.session(&headers) {
        Some(session) => (session, "Authenticated").into_response(),
        None => {
            let json = [(header::CONTENT_TYPE, "application/json")];
            let mut answer = (StatusCode::UNAUTHORIZED, json, "{}").into_response();
            let mut cookies = headers.get_all(header::COOKIE).iter();
            if cookies.any(|line| contains(line.as_bytes(), COOKIE.as_bytes())) {
                let cleared = HeaderValue::from_static(CLEARED_COOKIE);
                answer.headers_mut().insert(header::SET_COOKIE, cleared);
            }
            answer
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

async fn auth_only(State(verifier): State<Arc<Verifier>>, headers: HeaderMap) -> Response {
    match verifier.session(&headers) {
        Some(session) => (StatusCode::ACCEPTED, session).into_response(),
        None => (StatusCode::UNAUTHORIZED, "Unauthorized\n").into_response(),
    }
}

// === impl Verifier ===

impl Verifier {
    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let credential = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let token = credential.strip_prefix("Bearer ")?;
        let jwks = self.issuer.jwks();
        let mut keys = jwks["keys"].as_array()?.iter();
        let claims = keys.find_map(|jwk| self.claims(jwk, token))?;
        if claims.expires_at.is_none() || claims.custom["email_verified"] == false {
            return None;
        }
        let user = claims.subject.unwrap_or_default();
        let email = claims.custom["email"].as_str().unwrap_or(&user).to_owned();
        Some([
            (HeaderName::from_static("x-auth-request-user"), user),
            (
                HeaderName::from_static("x-auth-request-email"),
                email.clone(),
            ),
            (
                HeaderName::from_static("x-auth-request-access-token"),
                token.to_owned(),
            ),
            (header::AUTHORIZATION, credential.to_owned()),
            (HeaderName::from_static("gap-auth"), email),
        ])
    }

    /// The claims, if this key signed them, and they are the issuer's, for the client, and in time.
    fn claims(&self, jwk: &Value, token: &str) -> Option<JWTClaims<Value>> {
        let options = VerificationOptions {
            allowed_issuers: Some(HashSet::from([self.issuer.iss.clone()])),
            allowed_audiences: Some(HashSet::from([self.client_id.clone()])),
            time_tolerance: None,
            ..VerificationOptions::default()
        };
        let text = jwk.to_string();
        match jwk["alg"].as_str()? {
            "RS256" => {
                let key = RS256PublicKey::from_jwk(&text).ok()?;
                key.verify_token(token, Some(options)).ok()
            }
            "ES256" => {
                let key = ES256PublicKey::from_jwk(&text).ok()?;
                key.verify_token(token, Some(options)).ok()
            }
            _ => None,
        }
    }
}
