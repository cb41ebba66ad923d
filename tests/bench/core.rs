//! The core alone, natively: what a configuration costs once, and what a request costs each time.
//!
//! `make bench` runs it before the measurements in Envoy. What counts are the ratios between lines
//! of one run: the machine is another one a minute later. `instructions.rs` counts what does not
//! change with the machine's mood.

#[path = "core/gateway.rs"]
mod gateway;

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gateway::{Gateway, Issuer, RULES_EACH, block, compile, request};
use portcullis::{
    cache::Verified,
    config::Limits,
    keys::KeySetId,
    request::{Headers, path_readings},
    token::jwt,
};

/// Authorities, with ten rules each; the first is a single rule for one of them. The last are more than
/// one configuration may have, and come from ten.
const AUTHORITIES: [usize; 5] = [0, 1, 100, 1_000, 10_000];
/// Of several texts.
const AUTHORITIES_EACH: usize = 1_000;

criterion_group! {
    name = core;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = configure, decide_by_number_of_rules, look_up_a_token, parse_a_token, read_headers,
        read_a_path
}
criterion_main!(core);

/// From the JSON text to the policy.
fn configure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("configure");
    group.sample_size(10);
    let issuer = Issuer::new();
    for authorities in AUTHORITIES {
        let texts = texts(&issuer, authorities);
        group.bench_function(rules(authorities), |bencher| {
            bencher.iter(|| compile(black_box(&texts)));
        });
    }
}

/// A request with a token seen before, to an authority in the middle of the others.
fn decide_by_number_of_rules(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    let issuer = Issuer::new();
    let bearer = format!("Bearer {}", issuer.token(0));
    for authorities in AUTHORITIES {
        let headers = request(
            authorities / 2,
            "/path-0?query=1",
            ("authorization", &bearer),
        );
        let gateway = Gateway::with(compile(&texts(&issuer, authorities)));
        let mut gateway = gateway.knowing(&headers, true);
        group.bench_function(rules(authorities), |bencher| {
            bencher.iter(|| black_box(gateway.decide(&headers)));
        });
    }
}

/// A token among as many others as a worker remembers, and one that is not among them.
fn look_up_a_token(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("token look-up");
    let issuer = Issuer::new();
    let caches = Gateway::new(&issuer.configuration(0)).caches;
    let token = issuer.token(0);
    let claims = jwt::parse(token.as_bytes()).expect("a token").claims;
    let max = Limits::default().verified_tokens;
    // Signatures would take minutes; what is looked up are bytes.
    let other = |number: usize| format!("{}{number:08}", &token[..token.len() - 8]);
    for number in 0..max {
        let known = Verified {
            claims: claims.clone(),
            keys: KeySetId::default(),
        };
        caches.verified.insert(other(number).as_bytes(), known);
    }
    for (name, token, is_known) in [
        ("known", other(max / 2), true),
        ("unknown", other(max), false),
    ] {
        assert_eq!(caches.verified.get(token.as_bytes()).is_some(), is_known);
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(caches.verified.get(black_box(token.as_bytes()))));
        });
    }
}

/// A token that was never seen before, without its signature.
fn parse_a_token(criterion: &mut Criterion) {
    let token = Issuer::new().token(0);
    criterion.bench_function("parse a token", |bencher| {
        bencher.iter(|| jwt::parse(black_box(token.as_bytes())).expect("a token"));
    });
}

/// A header block of the host, and the readings of a path.
fn read_a_path(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("path readings");
    let long = format!("/{}", "segment/".repeat(1_000));
    for (name, path) in [
        ("plain", "/path-0"),
        ("plain, 8 KiB", &*long),
        ("escapes", "/path%2D0/caf%C3%A9"),
        ("everything at once", "/a//b/..;x=1/%61/./c\\d"),
    ] {
        assert!(path_readings(path.as_bytes()).is_ok(), "{path}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| path_readings(black_box(path.as_bytes())).expect("readings"));
        });
    }
}

/// A header block, as the host hands it over.
fn read_headers(criterion: &mut Criterion) {
    let bearer = format!("Bearer {}", Issuer::new().token(0));
    let block = block(&request(0, "/path-0", ("authorization", &bearer)));
    criterion.bench_function("header block", |bencher| {
        bencher.iter(|| Headers::from_abi(black_box(block.clone())).expect("headers"));
    });
}

/// The configuration, in texts of a thousand authorities at most.
fn texts(issuer: &Issuer, authorities: usize) -> Vec<String> {
    if authorities <= AUTHORITIES_EACH {
        return vec![issuer.configuration(authorities).to_string()];
    }
    let starts = (0..authorities).step_by(AUTHORITIES_EACH);
    let texts = starts.map(|start| {
        let end = authorities.min(start + AUTHORITIES_EACH);
        issuer.one_policy(start..end, RULES_EACH).to_string()
    });
    texts.collect()
}

fn rules(authorities: usize) -> BenchmarkId {
    let rules = (authorities * RULES_EACH).max(1);
    BenchmarkId::from_parameter(format!("{rules} rules"))
}
