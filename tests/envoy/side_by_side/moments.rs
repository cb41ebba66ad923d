//! The second at which a token begins or ends to be valid, a minute of skew included.
//!
//! Both sides are asked all the time around it, with a token that they know and with one that they do
//! not; each answer must be that of the second in which it was given.

use serde_json::{Value, json};

use super::{
    pair::{Asked, PEER, Pair, Setting, listeners},
    tokens::{ONE, Tokens},
};
use crate::{
    authorization_server::now,
    harness::{Envoy, Tool, Version},
};

/// What a clock may be wrong by, in seconds: Envoy's `clock_skew_seconds` and our `clockSkew`, unless
/// something else is said.
const SKEW: i64 = 60;

fn tools(version: Version) -> [Tool; 3] {
    [Tool::Envoy(version), Tool::Plugin, Tool::Address(PEER)]
}

/// A token that is judged in another way from one second on.
struct Case {
    name: &'static str,
    claims: Value,
    /// A token of these claims, which is sent again and again.
    known: String,
    /// The answers until then, and from then on.
    status: [u16; 2],
    /// How many answers there were of each kind.
    seen: [usize; 2],
}

on_every_envoy! {
    needs tools;

    fn tokens_begin_and_end(version) {
        let tokens = Tokens::mint();
        let config = json!({"jwtRules": [{"issuer": ONE, "jwks": "KEYS ONE"}]});
        let pair = listeners("moments", &config, &Setting::default(), &tokens);
        let envoy = pair.into_iter().fold(Envoy::builder(version), |it, listener| it.listener(listener));
        let envoy = envoy.start();
        let pair = Pair::of(&envoy, "moments");

        let change = now() + 4;
        let mut cases = [
            ("the last second of exp is over", json!({"exp": change - 1 - SKEW}), [200, 401]),
            ("the second of nbf has come", json!({"nbf": change + SKEW, "exp": change + 600}), [401, 200]),
        ]
        .map(|(name, mut claims, status)| {
            claims["iss"] = json!(ONE);
            claims["sub"] = json!("u");
            let known = tokens.another(&claims);
            Case { name, claims, known, status, seen: [0, 0] }
        });
        for number in 0.. {
            for case in &mut cases {
                case.claims["jti"] = json!(number.to_string());
                for token in [tokens.another(&case.claims), case.known.clone()] {
                    case.ask(&token, change, &pair, &tokens);
                }
            }
            if now() > change + 2 {
                break;
            }
        }
        for Case { name, seen, .. } in &cases {
            assert!(seen.iter().all(|seen| *seen > 10), "{name}: asked too seldom: {seen:?}");
        }
        envoy.assert_no_wasm_failures();
    }
}

// === impl Case ===

impl Case {
    /// Asks both sides with this token; answers during which the second came may be either.
    fn ask(&mut self, token: &str, change: i64, pair: &Pair, tokens: &Tokens) {
        let question = Asked::new("GET", "gateway.test", "/");
        let question = question.line("authorization", &format!("Bearer {token}"));
        let before = now();
        let (theirs, ours) = pair.ask(&question, tokens);
        let after = now();
        let at = if after < change {
            0
        } else if before >= change {
            1
        } else {
            return;
        };
        let expected = self.status[at];
        assert_eq!(
            (theirs.status, ours.status),
            (expected, expected),
            "{}: {} s from the change\n  theirs: {theirs:?}\n  ours:   {ours:?}",
            self.name,
            before - change,
        );
        self.seen[at] += 1;
    }
}
