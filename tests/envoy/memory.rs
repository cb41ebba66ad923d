//! What a gateway remembers is bounded: any number of distinct tokens leaves its memory flat.
//!
//! `LONG=1` sends a million of them, as many as a busy gateway sees in hours; otherwise enough to fill
//! the caches.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    authorization_server::{Key, now, sign_with},
    harness::{Envoy, Listener, Plugin, Tool, Version, requirements},
};

fn tools(version: Version) -> [Tool; 2] {
    [Tool::Envoy(version), Tool::Plugin]
}

/// More than a worker remembers (10,000).
const FILL: usize = 12_000;
const MORE: usize = 6_000;
const MORE_LONG: usize = 988_000;
/// What is counted is told every second.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest payload of a token that Envoy takes in a header, in bytes, more or less.
pub const LARGEST: usize = 11_000;
/// What a worker remembers at most of verified tokens, and as much again for all else.
const MOST_REMEMBERED_MIB: u64 = 64;
/// What may come on top of full caches.
const MOST_GROWTH_MIB: u64 = 8;

on_every_envoy! {
    needs tools;

    fn distinct_tokens(version) {
        let key = Key::stranger("k");
        let envoy = guarded(version, &key);
        let Some(before) = resident_mib(&envoy) else {
            return; // Not Linux.
        };
        let resident_mib = || resident_mib(&envoy).expect("Linux");
        let sent = AtomicUsize::new(0);
        send(&envoy, &key, &sent, FILL);
        let full = resident_mib();
        let more = if requirements::long() { MORE_LONG } else { MORE };
        send(&envoy, &key, &sent, FILL + more);
        let after = resident_mib();
        println!(
            "resident: {before} MiB, {full} MiB after {FILL} distinct tokens, {after} MiB after {}",
            FILL + more
        );
        let verified = "wasmcustom.portcullis.verifier=.=host;.;signatures_total";
        let all = |verified| verified == (FILL + more) as i64; // Each is new.
        envoy.wait_for_stat(verified, all, PATIENCE);
        assert!(after <= full + MOST_GROWTH_MIB, "{full} MiB, then {after} MiB");
        envoy.assert_no_wasm_failures();
    }

    /// Text takes many times its length once it is read, if it is made for that.
    fn tokens_of_many_small_values(version) {
        let key = Key::stranger("k");
        let envoy = guarded(version, &key);
        let Some(before) = resident_mib(&envoy) else {
            return; // Not Linux.
        };
        let small = small_values(LARGEST);
        let client = envoy.client("gateway");
        for number in 0..1_000 {
            let claims = json!({
                "iss": "i", "sub": number.to_string(), "exp": now() + 3600, "small": small,
            });
            let token = sign_with(&key, &claims, json!({}));
            let answer = client.get("/").bearer(&token).send().expect("an answer");
            assert_eq!(answer.status, 200, "{number}");
        }
        let after = resident_mib(&envoy).expect("Linux");
        println!("resident: {before} MiB, {after} MiB after 1,000 tokens of many small values");
        assert!(after <= before + MOST_REMEMBERED_MIB, "{before} MiB, then {after} MiB");
        envoy.assert_no_wasm_failures();
    }
}

pub fn resident_mib(envoy: &Envoy) -> Option<u64> {
    envoy.resident_kib().map(|kib| kib / 1024)
}

/// What takes most memory of all JSON texts of so many bytes.
pub fn small_values(bytes: usize) -> Value {
    (0..bytes / 8).map(|_| json!({"": 0})).collect()
}

/// Whoever has a token of this key is let in.
fn guarded(version: Version, key: &Key) -> Envoy {
    let jwks = json!({"keys": [key.jwk()]}).to_string();
    let plugin = Plugin::new(json!({
        "version": 1,
        "jwtRules": [{"issuer": "i", "jwks": jwks}],
        "authorizationPolicies": [{"name": "somebody", "namespace": "test",
            "rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}]}],
    }));
    let gateway = Listener::new("gateway").filter(plugin.inline());
    let gateway = gateway.direct_response(200, "");
    Envoy::builder(version).listener(gateway).start()
}

/// Sends tokens with numbers up to `end`, each of them valid.
fn send(envoy: &Envoy, key: &Key, sent: &AtomicUsize, end: usize) {
    let expires = now() + 24 * 3600;
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let client = envoy.client("gateway");
                loop {
                    let number = sent.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        break;
                    }
                    let jti = format!("{number:08}");
                    let claims = json!({"iss": "i", "sub": "u", "exp": expires, "jti": jti});
                    let token = sign_with(key, &claims, json!({}));
                    let answer = client.get("/").bearer(&token).send().expect("an answer");
                    assert_eq!(answer.status, 200, "{number}");
                }
            });
        }
    });
    sent.store(end, Ordering::Relaxed);
}
