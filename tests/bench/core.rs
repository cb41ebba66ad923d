//! The core alone, natively: what a configuration costs once, and what a decision costs each time,
//! by the number of rules.
//!
//! `make bench` runs it before the measurements in Envoy. What counts are the ratios between lines
//! of one run: the machine is another one a minute later.

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use jwt_simple::algorithms::{ECDSAP256KeyPairLike as _, ES256KeyPair};
use portcullis::{
    cache::Caches,
    config::Config,
    decide::{Answers, Step, decide},
    keys::Keys,
    policy::Policy,
    request::{Headers, UNKNOWN_CONNECTION},
    token::signature::PureRust,
    verdict::Verdict,
};
use serde_json::{Value, json};

/// Authorities, with ten rules each; the first is a single rule for one of them.
const AUTHORITIES: [usize; 4] = [0, 1, 100, 1_000];
const RULES_EACH: usize = 10;
const NOW: Duration = Duration::from_secs(1_800_000_000);

criterion_group! {
    name = core;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = configure, decide_for_a_known_authority
}
criterion_main!(core);

/// From the JSON text to the policy.
fn configure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("configure");
    group.sample_size(20);
    let issuer = Issuer::new();
    for authorities in AUTHORITIES {
        let text = issuer.configuration(authorities).to_string();
        group.bench_function(rules(authorities), |bencher| {
            bencher.iter(|| compile(black_box(&text)));
        });
    }
}

/// A request with a token seen before, to an authority in the middle of the others.
fn decide_for_a_known_authority(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    let issuer = Issuer::new();
    for authorities in AUTHORITIES {
        let policy = compile(&issuer.configuration(authorities).to_string());
        let mut keys = Keys::new(
            &policy.key_sources,
            &policy.limits,
            Box::new(PureRust),
            0,
            &[],
        );
        let (mut caches, answers) = (
            Caches::new(&policy.limits, &policy.introspection_providers, &[]),
            Answers::default(),
        );
        let headers = issuer.request(authorities / 2);
        let mut ask = || {
            let request = policy
                .read(&headers, &UNKNOWN_CONNECTION)
                .expect("readable");
            decide(&policy, &mut keys, &mut caches, &request, &answers, NOW)
        };
        let Step::Done(decision) = ask() else {
            panic!("the keys are there");
        };
        assert!(
            matches!(decision.verdict, Verdict::Allow(_)),
            "{decision:?}"
        );
        group.bench_function(rules(authorities), |bencher| {
            bencher.iter(|| black_box(ask()));
        });
    }
}

fn rules(authorities: usize) -> BenchmarkId {
    let rules = (authorities * RULES_EACH).max(1);
    BenchmarkId::from_parameter(format!("{rules} rules"))
}

fn compile(text: &str) -> Policy {
    Policy::compile(Config::read(text.as_bytes()).expect("no faults"))
}

/// Whose tokens are accepted.
struct Issuer {
    key: ES256KeyPair,
}

// === impl Issuer ===

impl Issuer {
    fn new() -> Self {
        Issuer {
            key: ES256KeyPair::generate(),
        }
    }

    /// Ten rules for each authority; a single one for the first of them if there are none.
    fn configuration(&self, authorities: usize) -> Value {
        let rules = (0..authorities.max(1)).flat_map(|authority| {
            let each = if authorities == 0 { 1 } else { RULES_EACH };
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
        let jwk: Value = serde_json::from_str(&self.key.public_key().to_jwk()).expect("a JWK");
        json!({
            "version": 1,
            "jwtRules": [{"issuer": "bench", "jwks": json!({"keys": [jwk]}).to_string()}],
            "authorizationPolicies": [policy],
        })
    }

    fn request(&self, authority: usize) -> Headers {
        let claims =
            jwt_simple::claims::Claims::create(jwt_simple::prelude::Duration::from_days(3_650))
                .with_issuer("bench")
                .with_subject("user");
        let token = self.key.sign(claims).expect("a token");
        let mut headers = Headers::default();
        for (header, value) in [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", &name(authority)),
            (":path", "/path-0?query=1"),
            ("user-agent", "bench"),
            ("accept", "*/*"),
            ("authorization", &format!("Bearer {token}")),
            ("x-request-id", "0b8b7d7e-8f0c-4a6f-9a55-000000000000"),
        ] {
            headers.push(header, value.as_bytes());
        }
        headers
    }
}

fn name(authority: usize) -> String {
    format!("service-{authority}.example.com")
}
