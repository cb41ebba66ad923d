//! What the benchmarks of the core decide with: an issuer, configurations of any size, requests.
//!
//! Nothing here measures. Used by `core.rs` and `instructions.rs`.

use std::{ops::Range, time::Duration};

use jwt_simple::{
    algorithms::{ECDSAP256KeyPairLike as _, ES256KeyPair},
    claims::Claims,
};
use portcullis::{
    cache::Caches,
    config::Config,
    decide::{Answers, Step, decide},
    keys::Keys,
    policy::Policy,
    request::{Headers, UNKNOWN_CONNECTION},
    token::signature::PureRust,
    verdict::{Decision, Verdict},
};
use serde_json::{Value, json};

/// Rules for each authority.
pub const RULES_EACH: usize = 10;
/// When all of it happens.
pub const NOW: Duration = Duration::from_secs(1_800_000_000);

/// A worker with a policy, its keys, and what it remembers.
pub struct Gateway {
    pub policy: Policy,
    keys: Keys,
    pub caches: Caches,
    answers: Answers,
}

/// Whose tokens are accepted.
pub struct Issuer {
    key: ES256KeyPair,
}

// === impl Gateway ===

impl Gateway {
    /// One that has just got this configuration.
    pub fn new(configuration: &Value) -> Self {
        Self::with(compile(&[configuration.to_string()]))
    }

    /// One with this policy.
    pub fn with(policy: Policy) -> Self {
        let keys = Keys::new(
            &policy.key_sources,
            &policy.limits,
            Box::new(PureRust),
            0,
            &[],
        );
        let caches = Caches::new(&policy.limits, &policy.introspection_providers, &[]);
        Gateway {
            policy,
            keys,
            caches,
            answers: Answers::default(),
        }
    }

    /// Decides on one request, as it comes from the host.
    pub fn decide(&mut self, headers: &Headers) -> Decision {
        let request = self.policy.read(headers, &UNKNOWN_CONNECTION);
        let request = request.expect("a readable request");
        let step = decide(
            &self.policy,
            &mut self.keys,
            &mut self.caches,
            &request,
            &self.answers,
            NOW,
        );
        match step {
            Step::Done(decision) => decision,
            other => panic!("the keys are there: {other:?}"),
        }
    }

    /// The same gateway, which has decided on this request before, and as it should.
    pub fn knowing(mut self, headers: &Headers, is_allowed: bool) -> Self {
        for _ in 0..2 {
            let decision = self.decide(headers);
            let allowed = matches!(decision.verdict, Verdict::Allow(_));
            assert_eq!(allowed, is_allowed, "{decision:?}");
        }
        self
    }
}

/// From the JSON text to the policy. Several texts are one policy, with all their rules: more than
/// one configuration may have.
pub fn compile(texts: &[String]) -> Policy {
    let configs = texts.iter().map(|text| Config::read(text.as_bytes()));
    let configs = configs.map(|config| config.expect("no faults"));
    let all = configs.reduce(|mut all, config| {
        all.authorization_policies
            .extend(config.authorization_policies);
        all
    });
    Policy::compile(all.expect("at least one"))
}

// === impl Issuer ===

impl Issuer {
    pub fn new() -> Self {
        Issuer {
            key: ES256KeyPair::generate(),
        }
    }

    /// Ten rules of a policy for each authority; a single one for the first of them if there are none.
    pub fn configuration(&self, authorities: usize) -> Value {
        match authorities {
            0 => self.one_policy(0..1, 1),
            _ => self.one_policy(0..authorities, RULES_EACH),
        }
    }

    /// A policy with so many rules for each authority.
    pub fn one_policy(&self, authorities: Range<usize>, each: usize) -> Value {
        let rules = authorities.flat_map(|authority| {
            (0..each).map(move |path| {
                json!({
                    "from": [{"source": {"requestPrincipals": ["bench/*"]}}],
                    "to": [{"operation": {
                        "hosts": [name(authority)],
                        "methods": ["GET"],
                        "paths": [format!("/path-{path}")],
                    }}],
                })
            })
        });
        let policy = json!({
            "name": "bench", "namespace": "bench", "rules": rules.collect::<Vec<_>>(),
        });
        json!({
            "version": 1,
            "jwtRules": [self.jwt_rule()],
            "authorizationPolicies": [policy],
        })
    }

    /// What verifies its tokens.
    pub fn jwt_rule(&self) -> Value {
        let jwk: Value = serde_json::from_str(&self.key.public_key().to_jwk()).expect("a JWK");
        json!({"issuer": "bench", "jwks": json!({"keys": [jwk]}).to_string()})
    }

    /// A token of its own for each number.
    pub fn token(&self, number: usize) -> String {
        let scope = json!({"scope": "read write"});
        let lifetime = jwt_simple::prelude::Duration::from_days(3_650);
        let claims = Claims::with_custom_claims(scope, lifetime)
            .with_issuer("bench")
            .with_subject("user")
            .with_jwt_id(format!("{number:08}"));
        self.key.sign(claims).expect("a token")
    }
}

/// A request for the first path of an authority, and these lines beside.
pub fn request(authority: usize, path: &str, line: (&str, &str)) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", &*name(authority)),
        (":path", path),
        ("user-agent", "bench"),
        ("accept", "*/*"),
        line,
        ("x-forwarded-proto", "https"),
        ("x-request-id", "0b8b7d7e-8f0c-4a6f-9a55-000000000000"),
    ] {
        headers.push(name, value.as_bytes());
    }
    headers
}

/// The same, as the host hands them over.
pub fn block(headers: &Headers) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).expect("few").to_le_bytes();
    let mut block = number(headers.iter().count()).to_vec();
    for (name, value) in headers.iter() {
        block.extend([number(name.len()), number(value.len())].concat());
    }
    for (name, value) in headers.iter() {
        block.extend([name, b"\0", value, b"\0"].concat());
    }
    block
}

/// The authority of this number.
pub fn name(authority: usize) -> String {
    format!("s{authority}.test")
}
