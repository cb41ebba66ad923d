//! The tokens that requests carry, by name, and the key sets of their issuers.
//!
//! In a configuration `KEYS ONE` and `KEYS TWO` stand for the key sets, in a request `${name}` for a
//! token. All are ES256, since thousands are verified on both sides.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::authorization_server::{Key, encode, now, sign_with, with_broken_signature};

/// Issuers of the two key sets.
pub const ONE: &str = "one";
pub const TWO: &str = "https://two.example.com";

/// Tokens by name, and what stands for the key sets.
pub struct Tokens {
    tokens: BTreeMap<String, String>,
    one: Key,
    key_sets: [(&'static str, String); 2],
}

// === impl Tokens ===

impl Tokens {
    pub fn mint() -> Self {
        let (one, two) = (Key::stranger("k1"), Key::stranger("k2"));
        let key_set = |key: &Key| json!({"keys": [key.jwk()]}).to_string();
        let key_sets = [("KEYS ONE", key_set(&one)), ("KEYS TWO", key_set(&two))];
        let tokens = claims().into_iter().map(|(name, claims)| {
            // Whose key signs is the issuer's affair; a stranger's tokens are signed by the first.
            let key = if claims["iss"] == TWO { &two } else { &one };
            (name.to_owned(), sign_with(key, &claims, json!({})))
        });
        let mut tokens: BTreeMap<_, _> = tokens.collect();
        let good = tokens["one"].clone();
        let (input, _) = good.rsplit_once('.').expect("a token in compact form");
        let (header, payload) = input.split_once('.').expect("a token in compact form");
        let claims = json!({"iss": ONE, "sub": "u", "exp": now() + 3600});
        let signed = |header: Value| sign_with(&one, &claims, header);
        for (name, token) in [
            ("bad-signature", with_broken_signature(&good)),
            ("other-key", sign_with(&two, &claims, json!({}))),
            (
                "other-key-same-kid",
                sign_with(&two, &claims, json!({"kid": "k1"})),
            ),
            ("unknown-kid", signed(json!({"kid": "k9"}))),
            ("no-kid", signed(json!({"kid": null}))),
            ("none", signed(json!({"alg": "none"}))),
            ("unsupported", signed(json!({"alg": "XS256"}))),
            ("no-algorithm", signed(json!({"alg": null}))),
            ("garbage", "garbage".to_owned()),
            ("two-parts", input.to_owned()),
            ("four-parts", format!("{good}.x")),
            ("no-header", format!("AAAAA.{payload}.x")),
            ("odd-letters", format!("*.{payload}.x")),
            ("no-json", format!("{header}.{}.x", encode("no JSON"))),
            ("empty-parts", "..".to_owned()),
        ] {
            tokens.insert(name.to_owned(), token);
        }
        Tokens {
            tokens,
            one,
            key_sets,
        }
    }

    /// Another token of issuer `ONE`, which has no name.
    pub fn another(&self, claims: &Value) -> String {
        sign_with(&self.one, claims, json!({}))
    }

    /// The names of all of them.
    pub fn names(&self) -> Vec<&str> {
        self.tokens.keys().map(String::as_str).collect()
    }

    /// Puts tokens in place of their names.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        while let Some(start) = filled.find("${") {
            let end = start + filled[start..].find('}').expect("a name ends");
            let token = self.tokens.get(&filled[start + 2..end]);
            let token = token.unwrap_or_else(|| panic!("no token `{}`", &filled[start..end]));
            filled.replace_range(start..=end, token);
        }
        filled
    }

    /// Puts key sets in place of their names.
    pub fn configuration(&self, mut config: Value) -> Value {
        let rules = config.get_mut("jwtRules").and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten() {
            for (name, keys) in &self.key_sets {
                if rule["jwks"] == *name {
                    rule["jwks"] = json!(keys);
                }
            }
        }
        config
    }
}

/// What the tokens say that are signed as they should be.
fn claims() -> Vec<(&'static str, Value)> {
    let valid = |over: Value| {
        let mut claims = json!({"iss": ONE, "sub": "u", "exp": now() + 3600});
        for (name, value) in over.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .expect("an object")
            .retain(|_, value| !value.is_null());
        claims
    };
    let rich = json!({
        "aud": ["orders", "https://api.example.com/"], "azp": "app", "scope": "read write",
        "roles": "admin user", "groups": ["staff", 7, "ops team"], "level": 7, "big": 1e12,
        "ratio": 0.5, "admin": true, "nested": {"role": "lead", "list": ["a", "b"], "deep": {"x": "y"}},
        "a.b": "dotted", "empty": "", "permission": "  p1  p2 ", "nothing": {}, "zero": 0,
    });
    vec![
        ("one", valid(json!({}))),
        ("one-rich", valid(rich.clone())),
        (
            "one-orders",
            valid(json!({"aud": "orders", "azp": ["app", "web"], "scope": ["read"]})),
        ),
        ("one-other-audience", valid(json!({"aud": ["x", "y"]}))),
        ("one-api", valid(json!({"aud": "http://api.example.com"}))),
        ("one-no-sub", valid(json!({"sub": null}))),
        ("one-empty-sub", valid(json!({"sub": ""}))),
        ("one-slash", valid(json!({"sub": "u/v"}))),
        ("one-star", valid(json!({"sub": "*v"}))),
        (
            "one-admin",
            valid(json!({"sub": "admin", "groups": "staff"})),
        ),
        ("one-no-exp", valid(json!({"exp": null}))),
        ("one-expired", valid(json!({"exp": now() - 3600}))),
        ("one-just-expired", valid(json!({"exp": now() - 20}))),
        ("one-not-yet", valid(json!({"nbf": now() + 3600}))),
        ("one-almost", valid(json!({"nbf": now() + 20}))),
        ("one-odd-exp", valid(json!({"exp": "tomorrow"}))),
        ("one-negative-exp", valid(json!({"exp": -1}))),
        ("one-list-exp", valid(json!({"exp": [1]}))),
        ("one-true-exp", valid(json!({"exp": true}))),
        ("one-huge-exp", valid(json!({"exp": 1e30}))),
        ("one-half-exp", valid(json!({"exp": 1e10 + 0.5}))),
        ("one-odd-nbf", valid(json!({"nbf": "now"}))),
        ("one-negative-nbf", valid(json!({"nbf": -1}))),
        ("one-odd-iat", valid(json!({"iat": "now"}))),
        ("one-negative-iat", valid(json!({"iat": -0.5}))),
        ("one-odd-jti", valid(json!({"jti": 1}))),
        (
            "one-all-odd",
            valid(json!({"jti": 1, "aud": 1, "sub": 1, "exp": "x", "iat": "x"})),
        ),
        (
            "one-most-odd",
            valid(json!({"jti": 1, "aud": 1, "nbf": -1, "exp": "x"})),
        ),
        ("one-odd-issuer", valid(json!({"iss": [ONE]}))),
        ("one-odd-sub", valid(json!({"sub": 7}))),
        ("one-odd-aud", valid(json!({"aud": [7]}))),
        ("two", valid(json!({"iss": TWO, "sub": "w"}))),
        (
            "two-rich",
            valid({
                let mut rich = rich;
                rich["iss"] = json!(TWO);
                rich
            }),
        ),
        (
            "two-expired",
            valid(json!({"iss": TWO, "exp": now() - 3600})),
        ),
        ("stranger", valid(json!({"iss": "stranger"}))),
        ("no-issuer", valid(json!({"iss": null}))),
    ]
}
