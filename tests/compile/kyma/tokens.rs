//! The tokens that requests carry, and what was put into each.
//!
//! The model knows a token by that and never parses or verifies one; the core gets the text alone and
//! the key sets from the test.

use super::Request;
use crate::authorization_server::{
    AuthorizationServer, IssuerOptions, Key, Options, now, sign_with, with_broken_signature,
};
use serde_json::{Value, json};
use std::collections::HashMap;

pub struct Token {
    pub name: String,
    pub text: String,
    pub kind: Kind,
}

pub enum Kind {
    Jwt(Jwt),
    /// What the authorization server says of it.
    Opaque(Value),
    /// No token at all.
    Malformed,
}

/// What was put into a JSON Web Token.
pub struct Jwt {
    /// In whose key set the key is that signed it; nobody's, if the signature is bad.
    pub signed_by: Option<&'static str>,
    pub algorithm: &'static str,
    pub has_key_id: bool,
    pub claims: Value,
}

pub struct Tokens {
    pub list: Vec<Token>,
    by_text: HashMap<String, usize>,
    /// The texts of the key sets, by issuer.
    key_sets: HashMap<&'static str, String>,
    /// Seconds since the Unix epoch.
    pub now: u64,
}

pub const ONE: &str = "https://one.example.org";
pub const TWO: &str = "https://two.example.org";
const STRANGER: &str = "https://stranger.example.org";

/// Where the keys of an issuer are.
pub fn keys_of(issuer: &str) -> String {
    format!("{issuer}/keys")
}

// === impl Tokens ===

impl Tokens {
    pub fn mint() -> Self {
        let issuers = [("one", ONE), ("two", TWO), ("stranger", STRANGER)];
        let options = issuers.map(|(name, iss)| IssuerOptions {
            name: name.to_owned(),
            iss: Some(iss.to_owned()),
            clients: Vec::new(),
        });
        let server = AuthorizationServer::start(Options {
            issuers: options.to_vec(),
            ..Options::tutorials()
        });
        let mut tokens = Self {
            list: Vec::new(),
            by_text: HashMap::new(),
            key_sets: HashMap::new(),
            now: now().unsigned_abs(),
        };
        for (name, iss) in issuers {
            let keys = server.issuer(name).keys();
            tokens.key_sets.insert(iss, keys.jwks().to_string());
            tokens.mint_for(name, iss, &keys.rs256, &keys.es256);
        }
        tokens.add_opaque();
        tokens
    }

    fn mint_for(&mut self, name: &str, iss: &'static str, rs256: &Key, es256: &Key) {
        let now = self.now;
        let good = json!({"iss": iss, "sub": "u", "exp": now + 3600});
        let with = |over: Value| {
            let mut claims = good.as_object().unwrap().clone();
            claims.extend(over.as_object().unwrap().clone());
            claims.retain(|_, value| !value.is_null());
            Value::Object(claims)
        };
        let mut add = |what: &str, key: &Key, signed_by, header: Value, claims: Value| {
            let has_key_id = header.get("kid").is_none();
            let text = sign_with(key, &claims, header);
            let jwt = Jwt {
                signed_by,
                algorithm: key.alg(),
                has_key_id,
                claims,
            };
            self.add(format!("{name}: {what}"), text, Kind::Jwt(jwt));
        };
        for (what, over) in claims_of_good_tokens() {
            add(&what, rs256, Some(iss), json!({}), with(over));
        }
        let rich = json!({"scope": "read write admin", "aud": ["shop", "till"]});
        add("ES256", es256, Some(iss), json!({}), with(rich.clone()));
        add(
            "no kid",
            rs256,
            Some(iss),
            json!({"kid": null}),
            with(rich.clone()),
        );
        add(
            "a stranger's key",
            &Key::stranger(rs256.kid()),
            None,
            json!({}),
            with(rich.clone()),
        );
        for (what, over) in [
            ("expired", json!({"exp": now - 3600})),
            ("just expired", json!({"exp": now - 30})),
            ("no exp", json!({"exp": null})),
            ("not yet valid", json!({"nbf": now + 1800})),
            ("issued in the future", json!({"iat": now + 30})),
            ("no sub", json!({"sub": null})),
            ("empty sub", json!({"sub": ""})),
            ("no iss", json!({"iss": null})),
        ] {
            let mut members = rich.as_object().unwrap().clone();
            members.extend(over.as_object().unwrap().clone());
            add(
                what,
                rs256,
                Some(iss),
                json!({}),
                with(Value::Object(members)),
            );
        }
        let whole = sign_with(rs256, &with(json!({"jti": "broken"})), json!({}));
        let broken = Jwt {
            signed_by: None,
            algorithm: "RS256",
            has_key_id: true,
            claims: with(json!({"jti": "broken"})),
        };
        let text = with_broken_signature(&whole);
        self.add(format!("{name}: bad signature"), text, Kind::Jwt(broken));
    }

    fn add_opaque(&mut self) {
        let live = self.now + 3600;
        for (name, reply) in [
            ("read", json!({"active": true, "scope": "read", "sub": "u"})),
            (
                "write",
                json!({"active": true, "scope": "read write", "sub": "u", "exp": live}),
            ),
            (
                "rich",
                json!({"active": true, "scope": "read write admin", "sub": "u", "aud": ["shop", "till"],
                       "iss": ONE, "exp": live}),
            ),
            ("no-scope", json!({"active": true, "sub": "u"})),
            (
                "shop",
                json!({"active": true, "scope": "read", "aud": "shop", "iss": TWO}),
            ),
            (
                "past",
                json!({"active": true, "scope": "read write", "exp": self.now - 5}),
            ),
            (
                "refresh",
                json!({"active": true, "scope": "read write", "token_use": "refresh_token"}),
            ),
            ("revoked", json!({"active": false})),
        ] {
            self.add(
                format!("opaque: {name}"),
                format!("opaque-{name}"),
                Kind::Opaque(reply),
            );
        }
        for text in ["x.y.z", "not~a~token"] {
            self.add(
                format!("malformed: {text}"),
                text.to_owned(),
                Kind::Malformed,
            );
        }
    }

    fn add(&mut self, name: String, text: String, kind: Kind) {
        self.by_text.insert(text.clone(), self.list.len());
        self.list.push(Token { name, text, kind });
    }

    /// The text of a token.
    pub fn named(&self, name: &str) -> &str {
        let found = self.list.iter().find(|token| token.name == name);
        &found.unwrap_or_else(|| panic!("no token `{name}`")).text
    }

    /// The places in the list of those that fit.
    pub fn indices(&self, fits: impl Fn(&Token) -> bool) -> Vec<usize> {
        let all = self.list.iter().enumerate();
        let fitting = all.filter(|(_, token)| fits(token));
        fitting.map(|(index, _)| index).collect()
    }

    pub fn find(&self, text: &str) -> Option<&Token> {
        Some(&self.list[*self.by_text.get(text)?])
    }

    pub fn jwt(&self, text: &str) -> Option<&Jwt> {
        match &self.find(text)?.kind {
            Kind::Jwt(jwt) => Some(jwt),
            Kind::Opaque(_) | Kind::Malformed => None,
        }
    }

    /// What the authorization server says of a token; it knows only its own.
    pub fn introspect(&self, text: &str) -> Value {
        match self.find(text).map(|token| &token.kind) {
            Some(Kind::Opaque(reply)) => reply.clone(),
            _ => json!({"active": false}),
        }
    }

    /// The text of a key set, by where it is.
    pub fn key_set(&self, uri: &str) -> Option<&str> {
        let found = self
            .key_sets
            .iter()
            .find(|(issuer, _)| keys_of(issuer) == uri);
        found.map(|(_, keys)| keys.as_str())
    }

    /// A request as one can read it: the names of tokens in place of their texts.
    pub fn told(&self, request: &Request) -> String {
        let lines = request
            .headers
            .iter()
            .map(|(name, value)| format!("\n  {name}: {value}"));
        let refused = &request.refused_by;
        let refused = match refused.is_empty() {
            true => String::new(),
            false => format!("\n  (authorizers that refuse: {refused:?})"),
        };
        let Request {
            method,
            authority,
            path,
            ..
        } = request;
        let mut told = format!(
            "{method} https://{authority}{path}{}{refused}",
            lines.collect::<String>()
        );
        for token in &self.list {
            if told.contains(&token.text) && !matches!(token.kind, Kind::Malformed) {
                let what = match &token.kind {
                    Kind::Jwt(jwt) => jwt.claims.to_string(),
                    Kind::Opaque(reply) => reply.to_string(),
                    Kind::Malformed => String::new(),
                };
                told = told.replace(&token.text, &format!("<{}>", token.name));
                told = format!("{told}\n  <{}> is {what}", token.name);
            }
        }
        told
    }
}

/// Every way to say scopes, with several sets of them and of audiences.
fn claims_of_good_tokens() -> Vec<(String, Value)> {
    let scopes: [&[&str]; 4] = [&["read"], &["read", "write"], &["admin"], &["orders.*"]];
    let audiences = [json!(null), json!("shop"), json!(["shop", "till"])];
    let mut all = vec![("plain".to_owned(), json!({}))];
    for claim in ["scope", "scp", "scopes"] {
        for (index, set) in scopes.iter().enumerate() {
            for (is_list, value) in [(false, json!(set.join(" "))), (true, json!(set))] {
                let audience = &audiences[(index + usize::from(is_list)) % audiences.len()];
                let claims = json!({claim: value, "aud": audience});
                all.push((claims.to_string(), claims));
            }
        }
    }
    // Another claim comes first, and does not have it.
    all.push((
        "split".to_owned(),
        json!({"scp": ["read"], "scope": "write", "aud": "shop"}),
    ));
    all
}
