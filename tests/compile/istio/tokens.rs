//! Tokens that the generated requests carry: of two issuers that are known, of one that is not, and
//! some that nobody accepts. All are signed by secrets, which costs nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};
use superboring::reexports::hmac_sha256::HMAC;

pub const ONE: &str = "https://one.example.org";
pub const TWO: &str = "https://two.example.org";
pub const STRANGER: &str = "https://stranger.example.org";

/// The clock of the test.
pub const NOW: u64 = 1_800_000_000;

/// A token, and what is to be known of it.
#[derive(Debug)]
pub struct Token {
    pub name: String,
    pub text: String,
    pub claims: Value,
    /// Whether it is signed by the issuer that it names, and not expired.
    pub good: bool,
}

/// Every token.
pub struct Tokens(pub Vec<Token>);

fn secret(issuer: &str) -> [u8; 32] {
    HMAC::mac(issuer.as_bytes(), [7_u8; 32])
}

/// The key set of an issuer.
pub fn jwks(issuer: &str) -> String {
    let key = BASE64URL.encode(secret(issuer));
    json!({"keys": [{"kty": "oct", "alg": "HS256", "kid": "k", "k": key}]}).to_string()
}

fn signed(claims: &Value, secret: &[u8]) -> String {
    let header = json!({"alg": "HS256", "kid": "k", "typ": "JWT"});
    let part = |value: &Value| BASE64URL.encode(value.to_string());
    let text = format!("{}.{}", part(&header), part(claims));
    let signature = BASE64URL.encode(HMAC::mac(text.as_bytes(), secret));
    format!("{text}.{signature}")
}

// === impl Tokens ===

impl Tokens {
    pub fn mint() -> Self {
        let mut tokens = Vec::new();
        for (short, issuer) in [("one", ONE), ("two", TWO), ("stranger", STRANGER)] {
            for (what, over) in [
                (
                    "ada, admin",
                    json!({"sub": "ada", "group": "admin", "aud": "shop"}),
                ),
                (
                    "bob, user",
                    json!({"sub": "bob", "group": ["user", "guest"], "aud": ["till", "shop"]}),
                ),
                ("ada, without more", json!({"sub": "ada"})),
                ("nobody", json!({"group": "admin", "aud": "till"})),
            ] {
                let mut claims = json!({"iss": issuer, "exp": NOW + 3600});
                claims
                    .as_object_mut()
                    .unwrap()
                    .extend(over.as_object().unwrap().clone());
                let text = signed(&claims, &secret(issuer));
                tokens.push(Token {
                    name: format!("{short}: {what}"),
                    text,
                    claims,
                    good: true,
                });
            }
            let claims = json!({"iss": issuer, "exp": NOW + 3600, "sub": "eve", "group": "admin"});
            let text = signed(&claims, &[1; 32]);
            tokens.push(Token {
                name: format!("{short}: forged"),
                text,
                claims,
                good: false,
            });
            let claims = json!({"iss": issuer, "exp": NOW - 3600, "sub": "ada", "group": "admin"});
            let text = signed(&claims, &secret(issuer));
            tokens.push(Token {
                name: format!("{short}: expired"),
                text,
                claims,
                good: false,
            });
        }
        Self(tokens)
    }

    pub fn find(&self, text: &str) -> Option<&Token> {
        self.0.iter().find(|token| token.text == text)
    }
}
