//! Who gives out the tokens of a registry, as at Docker Hub and GitHub: for name and password, and for
//! the repository and the actions that are asked for.
//!
//! `docker-registry` verifies the tokens itself, by the certificate of the authority here.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jwt_simple::prelude::ES256KeyPair;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde::Deserialize;
use serde_json::json;

use crate::authorization_server::{Serving, bind, encode, now};
use crate::harness::{
    registry::{Guard, LOGIN, Registry},
    tls::{Authority, Contents},
};

/// A running server; dropping it ends it.
pub struct TokenServer {
    authority: Authority,
    scopes: Arc<Mutex<Vec<String>>>,
    serving: Serving,
}

struct Giver {
    key: SigningKey,
    /// The certificate of the key, as the header of a token has it.
    certificate: String,
    scopes: Arc<Mutex<Vec<String>>>,
}

#[derive(Deserialize)]
struct Asked {
    scope: String,
    service: String,
}

// === impl TokenServer ===

impl TokenServer {
    /// Answers when this returns.
    pub fn start() -> Self {
        let authority = Authority::new();
        let identity = authority.client_with(&Contents::subject(&[("CN", "tokens")]));
        let key = ES256KeyPair::from_pem(&identity.key_pem()).expect("a P-256 key");
        let pem = identity.pem();
        let certificate = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let scopes = Arc::default();
        let giver = Arc::new(Giver {
            key: SigningKey::from_slice(&key.to_bytes()).expect("a P-256 key"),
            certificate,
            scopes: Arc::clone(&scopes),
        });
        let router = Router::new().route("/token", get(token)).with_state(giver);
        TokenServer {
            authority,
            scopes,
            serving: Serving::start(bind(0), router),
        }
    }

    /// A registry that sends whoever comes here for a token.
    pub fn registry(&self, guard: Guard) -> Registry {
        let auth = json!({
            "realm": format!("http://127.0.0.1:{}/token", self.serving.port()),
            "service": "registry of a test",
            "issuer": "tokens of a test",
        });
        Registry::start_with_tokens(guard, auth, &self.authority.pem())
    }

    /// What was asked for with the right password.
    pub fn scopes(&self) -> Vec<String> {
        self.scopes.lock().expect("no panic while held").clone()
    }
}

async fn token(
    State(giver): State<Arc<Giver>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<String, (StatusCode, &'static str)> {
    let login = STANDARD.encode(format!("{}:{}", LOGIN.0, LOGIN.1));
    let sent = headers.get(header::AUTHORIZATION);
    if sent.is_none_or(|sent| sent.as_bytes() != format!("Basic {login}").as_bytes()) {
        return Err((StatusCode::UNAUTHORIZED, "who are you?"));
    }
    let token = giver
        .token(&asked)
        .ok_or((StatusCode::BAD_REQUEST, "what?"))?;
    Ok(json!({"token": token}).to_string())
}

// === impl Giver ===

impl Giver {
    /// A token for the scope, `repository:NAME:ACTIONS`.
    fn token(&self, asked: &Asked) -> Option<String> {
        let (kind, rest) = asked.scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let actions: Vec<_> = actions.split(',').collect();
        let scope = asked.scope.clone();
        self.scopes.lock().expect("no panic while held").push(scope);
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [self.certificate]});
        let claims = json!({
            "iss": "tokens of a test",
            "sub": LOGIN.0,
            "aud": asked.service,
            "nbf": now() - 10,
            "exp": now() + 60,
            "iat": now(),
            "jti": "1",
            "access": [{"type": kind, "name": name, "actions": actions}],
        });
        let input = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let signature: Signature = self.key.sign(input.as_bytes());
        Some(format!("{input}.{}", encode(signature.to_bytes())))
    }
}
