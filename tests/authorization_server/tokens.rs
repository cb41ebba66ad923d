//! Makes tokens, good and bad, and remembers those that introspection shall know.
//!
//! Nothing here judges a claim or a header member: a test gets exactly the token it asks for.
//! Called by the token and introspection endpoints, and by tests through `server.issuer(NAME)`.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, atomic::AtomicUsize, atomic::Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jwt_simple::algorithms::HS256Key;
use serde_json::{Map, Value, json};

use super::{
    codes::Login,
    keys::{Key, KeyRing},
    options::Client,
};

/// One running issuer: what it calls itself, its keys, and the tokens it has given out.
pub struct Issuer {
    pub name: String,
    /// The text of `iss`.
    pub iss: String,
    /// Where it answers, without a trailing slash: `http://127.0.0.1:PORT/issuers/NAME`.
    pub url: String,
    pub(super) clients: Vec<Client>,
    keys: Mutex<KeyRing>,
    issued: Mutex<HashMap<String, Value>>,
    /// By the code.
    logins: Mutex<HashMap<String, Login>>,
}

/// RSA keys have places in the process (see `keys.rs`); rotated ones start behind the issuers' own.
static NEXT_ROTATED: AtomicUsize = AtomicUsize::new(16);

// === impl Issuer ===

impl Issuer {
    pub(super) fn new(options: &super::options::Issuer, place: usize, url: String) -> Self {
        Issuer {
            name: options.name.clone(),
            iss: options.iss.clone().unwrap_or_else(|| url.clone()),
            url,
            clients: options.clients.clone(),
            keys: Mutex::new(KeyRing::new(&options.name, place)),
            issued: Mutex::default(),
            logins: Mutex::default(),
        }
    }

    /// Where the key set is: what `jwksUri` takes.
    pub fn jwks_uri(&self) -> String {
        format!("{}/jwks", self.url)
    }

    /// The public key set itself: what `jwks` takes.
    pub fn jwks(&self) -> Value {
        self.keys().jwks()
    }

    pub fn keys(&self) -> MutexGuard<'_, KeyRing> {
        self.keys.lock().expect("no panic while held")
    }

    /// Logins whose code was not redeemed.
    pub(super) fn logins(&self) -> MutexGuard<'_, HashMap<String, Login>> {
        self.logins.lock().expect("no panic while held")
    }

    /// New keys with new `kid`s; the old ones stay in the key set or vanish from it.
    pub fn rotate_keys(&self, keep_old: bool) {
        let place = NEXT_ROTATED.fetch_add(1, Ordering::Relaxed);
        // Before the lock: making an RSA key is slow, and others ask for the key set meanwhile.
        let fresh = KeyRing::rotated(&self.name, place);
        self.keys().replace(fresh, keep_old);
    }

    /// A valid RS256 token for the subject `demo-user`, with these claims laid over it.
    ///
    /// `null` takes a claim out: `token(json!({"sub": null}))` has no subject.
    pub fn token(&self, claims: Value) -> String {
        self.sign(self.claims(claims), json!({}))
    }

    /// The claims of a valid token: `iss`, `sub`, `iat`, `exp` in an hour, with these laid over.
    pub fn claims(&self, over: Value) -> Value {
        let claims =
            json!({"iss": self.iss, "sub": "demo-user", "iat": now(), "exp": now() + 3600});
        laid_over(claims, over)
    }

    /// Signs exactly these claims. The header is `{"alg":"RS256","typ":"JWT","kid":...}` with
    /// `header` laid over; `"alg":"ES256"` takes that key, `"alg":"none"` signs with nothing, and
    /// any other name is written as told over an RS256 signature.
    pub fn sign(&self, claims: Value, header: Value) -> String {
        let keys = self.keys();
        let key = if header["alg"] == "ES256" {
            &keys.es256
        } else {
            &keys.rs256
        };
        sign_with(key, &claims, header)
    }

    /// An opaque token whose introspection answers these claims.
    pub fn opaque(&self, claims: Value) -> String {
        let token = random();
        self.remember(&token, claims);
        token
    }

    /// Makes introspection know a token and answer these claims for it.
    pub fn remember(&self, token: &str, claims: Value) {
        self.issued().insert(token.to_owned(), claims);
    }

    /// Makes introspection call this token inactive from now on.
    pub fn revoke(&self, token: &str) {
        self.issued().remove(token);
    }

    /// The claims of a token that is known and has not expired.
    pub fn active(&self, token: &str) -> Option<Value> {
        let claims = self.issued().get(token).cloned()?;
        let expired = claims["exp"].as_i64().is_some_and(|exp| exp <= now());
        (!expired).then_some(claims)
    }

    fn issued(&self) -> MutexGuard<'_, HashMap<String, Value>> {
        self.issued.lock().expect("no panic while held")
    }
}

/// Signs exactly these claims with any key, be it an issuer's or a stranger's; the header as in
/// [`Issuer::sign`].
pub fn sign_with(key: &Key, claims: &Value, header: Value) -> String {
    let header = laid_over(
        json!({"alg": key.alg(), "typ": "JWT", "kid": key.kid()}),
        header,
    );
    let input = format!(
        "{}.{}",
        encode(header.to_string()),
        encode(claims.to_string())
    );
    let signature = if header["alg"] == "none" {
        Vec::new()
    } else {
        key.sign(input.as_bytes())
    };
    format!("{input}.{}", encode(signature))
}

/// The same token with one bit of its signature flipped.
pub fn with_broken_signature(token: &str) -> String {
    let (input, signature) = token.rsplit_once('.').expect("a token in compact form");
    let mut signature = URL_SAFE_NO_PAD
        .decode(signature)
        .expect("a signature in base64url");
    signature[0] ^= 1;
    format!("{input}.{}", encode(signature))
}

/// base64url without padding, as every part of a token is written.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970, as `exp` and `iat` count them.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    since
        .as_secs()
        .try_into()
        .expect("a clock before the year 292 billion")
}

/// 256 random bits as text.
pub(super) fn random() -> String {
    encode(HS256Key::generate().to_bytes())
}

fn laid_over(under: Value, over: Value) -> Value {
    let (Value::Object(mut under), Value::Object(over)) = (under, over) else {
        panic!("claims and headers are JSON objects");
    };
    under.extend(over);
    Value::Object(
        under
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect::<Map<_, _>>(),
    )
}
