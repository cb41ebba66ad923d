//! Signatures that others have thought of: every verdict of Wycheproof, by our own verifier.
//!
//! The same vectors go through a host in `tests/envoy/verify_signature.rs`.

#[path = "vectors/rfc.rs"]
mod rfc;
#[path = "vectors/sets.rs"]
mod sets;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis::token::signature::{Algorithm, Provenance, PureRust, Verifier, VerifyingKey};
use sets::Verdict;
use std::collections::BTreeMap;

#[test]
fn every_verdict_of_wycheproof() {
    let (mut counts, mut wrong) = (BTreeMap::<&str, usize>::new(), Vec::new());
    for set in sets::all() {
        let mut of_set = BTreeMap::<&str, usize>::new();
        for vector in &set.vectors {
            let key = vector.key();
            let accepted = key.as_ref().is_ok_and(|key| {
                PureRust.verify(set.algorithm, key, &vector.message, &vector.signature)
            });
            let unserved = !PureRust.serves(set.algorithm);
            let (kind, right) = match vector.owed {
                Verdict::Good if unserved => {
                    ("good, for a host to accept", key.is_ok() && !accepted)
                }
                Verdict::Good => ("good", accepted),
                Verdict::Bad => ("bad", !accepted),
                Verdict::KeyRefused(_) => ("key refused by policy", key.is_err()),
                Verdict::SignatureRefused(_) => {
                    ("signature refused by policy", key.is_ok() && !accepted)
                }
            };
            *of_set.entry(kind).or_default() += 1;
            if !right {
                let owed = vector.owed;
                wrong.push(format!(
                    "{} {} ({}): {owed:?} is owed; accepted: {accepted}, key: {key:?}",
                    set.name, vector.number, vector.comment
                ));
            }
        }
        println!("{} as {}: {of_set:?}", set.name, set.algorithm);
        assert!(!of_set.is_empty(), "{}: no vectors", set.name);
        for (kind, count) in of_set {
            *counts.entry(kind).or_default() += count;
        }
    }
    println!("together: {counts:?}");
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // A set that shrinks, or a policy that grows, is seen here.
    let expected = [
        ("bad", 5_207),
        ("good", 1_125),
        ("good, for a host to accept", 231),
        ("key refused by policy", 1_051),
        ("signature refused by policy", 2_030),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}

#[test]
fn every_example_of_the_rfcs() {
    for (name, jwk, jws, alg) in rfc::EXAMPLES {
        let jwk = serde_json::from_str(jwk).unwrap();
        let key = VerifyingKey::from_jwk(&jwk, Provenance::Configuration).unwrap();
        let (message, signature) = jws.rsplit_once('.').unwrap();
        let signature = BASE64URL.decode(signature).unwrap();
        for (other, algorithm) in Algorithm::NAMES {
            let good = PureRust.verify(algorithm, &key, message.as_bytes(), &signature);
            let owed = other == alg && PureRust.serves(algorithm);
            assert_eq!(good, owed, "{name} as {other}");
        }
    }
}

/// Every algorithm meets a good signature and a bad one.
#[test]
fn no_algorithm_is_without_vectors() {
    let sets = sets::all();
    for (name, algorithm) in Algorithm::NAMES {
        for verdict in [Verdict::Good, Verdict::Bad] {
            let of_it = sets.iter().filter(|set| set.algorithm == algorithm);
            let mut vectors = of_it.flat_map(|set| &set.vectors);
            assert!(
                vectors.any(|it| it.owed == verdict),
                "{name}: none is {verdict:?}"
            );
        }
    }
}
