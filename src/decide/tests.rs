//! Decisions as a whole: waiting, caches, several rules, what is taken out.

use super::*;
use crate::config::Config;
use crate::keys::{FetchFailure, Reply};
use crate::request::{Headers, UNKNOWN_CONNECTION};
use crate::token::signature::{Algorithm, PureRust, Verifier, VerifyingKey};
use crate::verdict::Matched;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jwt_simple::algorithms::{ECDSAP256KeyPairLike, ES256KeyPair};
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};
use std::cell::Cell;
use std::rc::Rc;

mod laws;

const NOW: u64 = 1_767_225_600;
const A: SourceId = SourceId(0);

/// A configuration in force, and a clock.
struct World {
    policy: Policy,
    keys: Keys,
    caches: Caches,
    verified: Rc<Cell<usize>>,
    now: Duration,
}

/// Counts how often a signature is verified.
struct Counting(Rc<Cell<usize>>);

impl Verifier for Counting {
    fn serves(&self, algorithm: Algorithm) -> bool {
        PureRust.serves(algorithm)
    }

    fn verify(
        &self,
        algorithm: Algorithm,
        key: &VerifyingKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        self.0.set(self.0.get().saturating_add(1));
        PureRust.verify(algorithm, key, message, signature)
    }
}

impl World {
    fn new(mut config: Value) -> Self {
        config["version"] = json!(1);
        let policy = Policy::compile(Config::read(config.to_string().as_bytes()).unwrap());
        let verified = Rc::new(Cell::new(0));
        let verifier = Box::new(Counting(Rc::clone(&verified)));
        let keys = Keys::new(&policy.key_sources, &policy.limits, verifier, 0, &[]);
        let (caches, now) = (
            Caches::new(&policy.limits, &[], &[]),
            Duration::from_secs(NOW),
        );
        Self {
            policy,
            keys,
            caches,
            verified,
            now,
        }
    }

    /// What one look at a request says: `allow`, `wait` and the source, or the reason.
    fn look(&mut self, headers: &Headers, waited: &[SourceId]) -> String {
        match self.step(headers, waited) {
            Step::Done(decision) => match decision.verdict {
                Verdict::Allow(_) => "allow".to_owned(),
                Verdict::Refuse(refusal) => refusal.reason.code().to_owned(),
                Verdict::Preflight(_) => "preflight".to_owned(),
            },
            Step::Call(call) => format!("call {}", call.http.cluster),
            Step::Peer => "peer".to_owned(),
            Step::Wait(source) => format!("wait {}", source.0),
        }
    }

    fn step(&mut self, headers: &Headers, waited: &[SourceId]) -> Step {
        let request = match self.policy.read(headers, &UNKNOWN_CONNECTION) {
            Ok(request) => request,
            Err(reason) => {
                let verdict = Verdict::Refuse(reason.into());
                return Step::Done(Decision {
                    verdict,
                    notes: Vec::new(),
                    matched: Matched::default(),
                });
            }
        };
        let answers = Answers {
            waited: waited.to_vec(),
            ..Answers::default()
        };
        decide(
            &self.policy,
            &mut self.keys,
            &mut self.caches,
            &request,
            &answers,
            self.now,
        )
    }

    fn asks(&mut self, headers: &Headers) -> String {
        self.look(headers, &[])
    }

    fn changes(&mut self, headers: &Headers) -> Vec<Change> {
        match self.step(headers, &[]) {
            Step::Done(Decision {
                verdict: Verdict::Allow(allow),
                ..
            }) => allow.changes,
            other => panic!("{other:?}"),
        }
    }

    fn fetched(&mut self, source: SourceId, jwks: &str) {
        self.keys.due(self.now);
        self.keys
            .fetched(source, Ok(Reply::ok(jwks.as_bytes())), self.now);
    }

    fn verifications(&self) -> usize {
        self.verified.take()
    }
}

fn request(method: &str, authority: &str, path: &str, lines: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in [
        (":method", method),
        (":authority", authority),
        (":path", path),
    ] {
        headers.push(name, value.as_bytes());
    }
    for (name, value) in lines {
        headers.push(name, value.as_bytes());
    }
    headers
}

/// `GET http://a.com<path>` with a bearer token.
fn bearing(path: &str, token: &str) -> Headers {
    request(
        "GET",
        "a.com",
        path,
        &[("authorization", &format!("Bearer {token}"))],
    )
}

fn token(key: &ES256KeyPair, claims: &Value) -> String {
    let part = |text: &str| BASE64URL.encode(text);
    let signed = format!(
        "{}.{}",
        part(r#"{"alg":"ES256"}"#),
        part(&claims.to_string())
    );
    let signature: p256::ecdsa::Signature = key.key_pair().as_ref().sign(signed.as_bytes());
    format!("{signed}.{}", BASE64URL.encode(signature.to_bytes()))
}

fn jwks(key: &ES256KeyPair) -> String {
    format!(r#"{{"keys":[{}]}}"#, key.public_key().to_jwk())
}

// === keys that are not there yet ===

#[test]
fn keys_are_waited_for_once_and_then_the_token_is_refused() {
    let key = ES256KeyPair::generate();
    let mut world = World::new(json!({"jwtRules": [{"issuer": "i", "jwksUri": "https://k/"}]}));
    let headers = bearing("/", &token(&key, &json!({"iss": "i"})));
    assert_eq!(world.look(&headers, &[]), "wait 0");
    assert_eq!(world.look(&headers, &[A]), "keys_unavailable", "still none");
    world.fetched(A, &jwks(&key));
    assert_eq!(world.look(&headers, &[A]), "allow");
    assert_eq!(
        world.look(&headers, &[]),
        "allow",
        "and nobody waits any more"
    );
}

#[test]
fn nobody_waits_for_a_source_that_failed() {
    let key = ES256KeyPair::generate();
    let mut world = World::new(json!({"jwtRules": [{"issuer": "i", "jwksUri": "https://k/"}]}));
    let headers = bearing("/", &token(&key, &json!({"iss": "i"})));
    world.keys.due(world.now);
    world.keys.fetched(A, Err(FetchFailure::Reset), world.now);
    assert_eq!(world.look(&headers, &[]), "keys_unavailable");
    world.now += Duration::from_secs(5);
    world.fetched(A, &jwks(&key));
    assert_eq!(world.look(&headers, &[]), "allow");
}

#[test]
fn keys_are_waited_for_only_if_they_decide() {
    let key = ES256KeyPair::generate();
    let mut world = World::new(json!({"jwtRules": [
        {"issuer": "i", "audiences": ["a"], "jwksUri": "https://k/"},
    ]}));
    for (name, claims, expected) in [
        ("they do", json!({"iss": "i", "aud": "a"}), "wait 0"),
        (
            "another issuer",
            json!({"iss": "j", "aud": "a"}),
            "token_issuer_unknown",
        ),
        (
            "another audience",
            json!({"iss": "i", "aud": "b"}),
            "token_audience",
        ),
        (
            "expired",
            json!({"iss": "i", "aud": "a", "exp": 1}),
            "token_expired",
        ),
    ] {
        assert_eq!(
            world.asks(&bearing("/", &token(&key, &claims))),
            expected,
            "{name}"
        );
    }
    assert_eq!(
        world.asks(&request("GET", "a.com", "/", &[])),
        "allow",
        "no token"
    );
}

#[test]
fn of_two_sources_each_is_waited_for_unless_another_accepts() {
    let (key, other) = (ES256KeyPair::generate(), ES256KeyPair::generate());
    let rule = |uri: &str| json!({"issuer": "i", "jwksUri": uri});
    let config = json!({"jwtRules": [rule("https://a/"), rule("https://b/")]});
    let headers = bearing("/", &token(&key, &json!({"iss": "i"})));
    let b = SourceId(1);

    let mut world = World::new(config.clone());
    assert_eq!(world.look(&headers, &[]), "wait 0");
    assert_eq!(world.look(&headers, &[A]), "wait 1");
    assert_eq!(world.look(&headers, &[A, b]), "keys_unavailable");
    world.fetched(A, &jwks(&other));
    assert_eq!(
        world.look(&headers, &[A]),
        "wait 1",
        "the first refuses, the second may accept"
    );
    world.fetched(b, &jwks(&key));
    assert_eq!(world.look(&headers, &[A, b]), "allow");

    let mut world = World::new(config);
    world.fetched(b, &jwks(&key));
    assert_eq!(
        world.look(&headers, &[]),
        "allow",
        "the second accepts without the first"
    );
}

// === several rules ===

#[test]
fn the_same_issuer_in_two_rules_is_either_of_them() {
    let (key, other, stranger) = (
        ES256KeyPair::generate(),
        ES256KeyPair::generate(),
        ES256KeyPair::generate(),
    );
    let mut world = World::new(json!({"jwtRules": [
        {"issuer": "i", "jwks": jwks(&key), "audiences": ["a"]},
        {"issuer": "i", "jwks": jwks(&other), "audiences": ["b"]},
    ]}));
    for (name, key, aud, expected) in [
        ("the first", &key, "a", "allow"),
        ("the second", &other, "b", "allow"),
        ("the audience of the other", &key, "b", "token_audience"),
        ("the key of the other", &other, "a", "token_signature"),
        ("no key of either", &stranger, "a", "token_signature"),
    ] {
        let token = token(key, &json!({"iss": "i", "aud": aud}));
        assert_eq!(world.asks(&bearing("/", &token)), expected, "{name}");
    }
}

#[test]
fn the_reported_reason_is_the_first_rules_unless_it_does_not_know_the_issuer() {
    use Reason::{KeyUnknown, TokenAudience, TokenExpired, TokenIssuerUnknown, TokenSignature};
    for (reasons, expected) in [
        (vec![], TokenIssuerUnknown),
        (
            vec![TokenIssuerUnknown, TokenIssuerUnknown],
            TokenIssuerUnknown,
        ),
        (vec![TokenExpired, TokenAudience], TokenExpired),
        (vec![TokenExpired, TokenIssuerUnknown], TokenExpired),
        (
            vec![TokenIssuerUnknown, TokenSignature, TokenIssuerUnknown],
            TokenSignature,
        ),
        (
            vec![TokenIssuerUnknown, TokenAudience, KeyUnknown],
            KeyUnknown,
        ),
    ] {
        let found = super::authenticate::reported(&reasons);
        assert_eq!(found, expected, "{reasons:?}");
    }
}

#[test]
fn different_tokens_are_refused_and_copies_are_one() {
    let key = ES256KeyPair::generate();
    let good = token(&key, &json!({"iss": "i", "sub": "a"}));
    let better = token(&key, &json!({"iss": "i", "sub": "b"}));
    let (bearer, other) = (format!("Bearer {good}"), format!("Bearer {better}"));
    let query = |token: &str| format!("/?access_token={token}");
    let location = json!([{"name": "x-jwt"}]);
    let mut world = World::new(json!({"jwtRules": [
        {"issuer": "i", "jwks": jwks(&key)},
        {"issuer": "j", "jwks": jwks(&key), "fromHeaders": location},
    ]}));
    let authorization = |value| ("authorization", value);
    for (name, path, lines, expected) in [
        (
            "one",
            "/".to_owned(),
            vec![authorization(&*bearer)],
            "allow",
        ),
        (
            "twice",
            "/".into(),
            vec![authorization(&bearer), authorization(&bearer)],
            "allow",
        ),
        (
            "header and query",
            query(&good),
            vec![authorization(&bearer)],
            "allow",
        ),
        (
            "two good ones",
            "/".into(),
            vec![authorization(&bearer), authorization(&other)],
            "tokens_differ",
        ),
        (
            "another one in the query",
            query(&better),
            vec![authorization(&bearer)],
            "tokens_differ",
        ),
        (
            "rubbish in the query",
            query("x"),
            vec![authorization(&bearer)],
            "tokens_differ",
        ),
        (
            "twice in the query",
            format!("{}&access_token=x", query(&good)),
            vec![],
            "tokens_differ",
        ),
        (
            "rubbish where another rule looks",
            "/".into(),
            vec![authorization(&bearer), ("x-jwt", "x")],
            "tokens_differ",
        ),
        (
            "a copy where another rule looks",
            "/".into(),
            vec![authorization(&bearer), ("x-jwt", &good)],
            "allow",
        ),
        (
            "another scheme beside",
            "/".into(),
            vec![authorization(&bearer), authorization("Basic dTpw")],
            "allow",
        ),
    ] {
        let headers = request("GET", "a.com", &path, &lines);
        assert_eq!(world.asks(&headers), expected, "{name}");
    }
}

#[test]
fn every_copy_of_a_token_is_taken_out_whatever_reading_found_it() {
    let key = ES256KeyPair::generate();
    let good = token(&key, &json!({"iss": "i"}));
    let rule = |path: &str, param: &str| {
        json!({"issuer": "i", "jwks": jwks(&key), "fromParams": [param],
            "appliesTo": [{"paths": [path]}]})
    };
    let mut world = World::new(json!({"jwtRules": [rule("/a*", "t"), rule("/b", "u")]}));
    // One server reads `/a;/../b`, another `/b`.
    let path = format!("/a/..;/b?t={good}&x=1&u={good}");
    let changes = world.changes(&request("GET", "a.com", &path, &[]));
    assert_eq!(
        changes,
        [Change::Set(b":path"[..].into(), b"/a/..;/b?x=1".to_vec())]
    );
}

// === tokens that were verified before ===

#[test]
fn a_good_signature_is_verified_once() {
    let key = ES256KeyPair::generate();
    let mut world = World::new(json!({"jwtRules": [{"issuer": "i", "jwks": jwks(&key)}]}));
    let headers = bearing("/", &token(&key, &json!({"iss": "i"})));
    assert_eq!(
        (world.asks(&headers), world.verifications()),
        ("allow".to_owned(), 1)
    );
    assert_eq!(
        (world.asks(&headers), world.verifications()),
        ("allow".to_owned(), 0)
    );
}

#[test]
fn a_bad_signature_is_never_remembered_as_good() {
    let (key, stranger) = (ES256KeyPair::generate(), ES256KeyPair::generate());
    let mut world = World::new(json!({"jwtRules": [{"issuer": "i", "jwks": jwks(&key)}]}));
    let claims = json!({"iss": "i"});
    assert_eq!(world.asks(&bearing("/", &token(&key, &claims))), "allow");
    let forged = token(&stranger, &claims);
    for _ in 0..2 {
        assert_eq!(
            world.asks(&bearing("/", &forged)),
            "token_signature",
            "other signature"
        );
    }
}

#[test]
fn the_time_of_a_remembered_token_is_judged_again() {
    let key = ES256KeyPair::generate();
    let mut world = World::new(json!({"jwtRules": [{"issuer": "i", "jwks": jwks(&key)}]}));
    let headers = bearing(
        "/",
        &token(&key, &json!({"iss": "i", "nbf": NOW, "exp": NOW + 100})),
    );
    for (now, expected) in [
        (NOW, "allow"),
        (NOW + 160, "allow"),
        (NOW + 161, "token_expired"),
        (NOW - 61, "token_not_yet_valid"),
        (NOW - 60, "allow"),
    ] {
        world.now = Duration::from_secs(now);
        assert_eq!(world.asks(&headers), expected, "{now}");
    }
    assert_eq!(world.verifications(), 1);
}

#[test]
fn every_demand_of_a_rule_is_judged_again_for_a_remembered_token() {
    let key = ES256KeyPair::generate();
    let uri = "https://k/";
    let rule = |path: &str, issuer: &str, audience: &str| {
        json!({"issuer": issuer, "jwksUri": uri, "audiences": [audience],
            "appliesTo": [{"paths": [path]}]})
    };
    let mut world = World::new(json!({
        "jwtRules": [rule("/a", "i", "a"), rule("/b", "i", "b"), rule("/c", "j", "a")],
        "authorizationPolicies": [{
            "name": "p", "namespace": "n", "action": "DENY",
            "appliesTo": [{"paths": ["/a"]}],
            "rules": [{"to": [{"operation": {"methods": ["PUT"]}}]}],
        }],
    }));
    world.fetched(A, &jwks(&key));
    let good = token(&key, &json!({"iss": "i", "aud": "a"}));
    assert_eq!(world.asks(&bearing("/a", &good)), "allow");
    assert_eq!(world.asks(&bearing("/b", &good)), "token_audience");
    assert_eq!(world.asks(&bearing("/c", &good)), "token_issuer_unknown");
    let bearer = format!("Bearer {good}");
    let put = request("PUT", "a.com", "/a", &[("authorization", &bearer)]);
    assert_eq!(world.asks(&put), "policy_denied");
    assert_eq!(world.verifications(), 1);
}

#[test]
fn a_remembered_token_does_not_outlive_its_key() {
    let (key, next) = (ES256KeyPair::generate(), ES256KeyPair::generate());
    let mut world = World::new(json!({"jwtRules": [{"issuer": "i", "jwksUri": "https://k/"}]}));
    let headers = bearing("/", &token(&key, &json!({"iss": "i"})));
    world.fetched(A, &jwks(&key));
    assert_eq!(
        (world.asks(&headers), world.verifications()),
        ("allow".to_owned(), 1)
    );
    world.fetched(A, &jwks(&key));
    assert_eq!(
        (world.asks(&headers), world.verifications()),
        ("allow".to_owned(), 0),
        "the same keys"
    );
    world.fetched(A, "<html>");
    assert_eq!(
        (world.asks(&headers), world.verifications()),
        ("allow".to_owned(), 0),
        "kept"
    );
    world.fetched(A, &jwks(&next));
    assert_eq!(world.asks(&headers), "token_signature");
}

#[test]
fn a_wrong_signature_is_found_out_once() {
    let (key, other) = (ES256KeyPair::generate(), ES256KeyPair::generate());
    let mut world = World::new(json!({"jwtRules": [{"issuer": "i", "jwksUri": "https://k/"}]}));
    world.fetched(A, &jwks(&other));
    let headers = bearing("/", &token(&key, &json!({"iss": "i"})));
    let refused = |count| ("token_signature".to_owned(), count);
    assert_eq!((world.asks(&headers), world.verifications()), refused(1));
    for _ in 0..3 {
        assert_eq!((world.asks(&headers), world.verifications()), refused(0));
    }
    world.now += Duration::from_secs(60);
    assert_eq!(
        (world.asks(&headers), world.verifications()),
        refused(1),
        "a minute later"
    );
    world.fetched(A, &jwks(&key));
    assert_eq!(
        world.asks(&headers),
        "allow",
        "by other keys it may be good"
    );
}

#[test]
fn a_token_with_an_unknown_key_waits_for_the_next_keys() {
    let key = ES256KeyPair::generate();
    let mut world = World::new(json!({"jwtRules": [{"issuer": "i", "jwksUri": "https://k/"}]}));
    let with_kid = |kid: &str| {
        let key = key.public_key().with_key_id(kid).to_jwk();
        format!(r#"{{"keys":[{key}]}}"#)
    };
    let by = |alg: &str, kid: &str| {
        let signed = [json!({"alg": alg, "kid": kid}), json!({"iss": "i"})];
        let signed = signed
            .map(|part| BASE64URL.encode(part.to_string()))
            .join(".");
        let signature: p256::ecdsa::Signature = key.key_pair().as_ref().sign(signed.as_bytes());
        let token = format!("{signed}.{}", BASE64URL.encode(signature.to_bytes()));
        bearing("/", &token)
    };
    let named = |kid: &str| by("ES256", kid);
    world.fetched(A, &with_kid("old"));
    assert_eq!(world.look(&named("old"), &[]), "allow");
    for algorithm in ["HS256", "HS384", "HS512", "ES512"] {
        let found = world.look(&by(algorithm, "new"), &[]);
        assert_eq!(
            found, "key_unknown",
            "no fetch brings a key for {algorithm}"
        );
    }
    assert_eq!(world.look(&named("new"), &[]), "wait 0");
    world.fetched(A, &with_kid("new"));
    assert_eq!(world.look(&named("new"), &[A]), "allow", "rotated");
    world.now += Duration::from_secs(31);
    assert_eq!(world.look(&named("none"), &[]), "wait 0");
    world.fetched(A, &with_kid("new"));
    assert_eq!(
        world.look(&named("none"), &[A]),
        "key_unknown",
        "once waited for"
    );
    world.now += Duration::from_secs(31);
    assert_eq!(
        world.look(&named("none"), &[]),
        "key_unknown",
        "and never again"
    );
    assert_eq!(
        world.verifications(),
        2,
        "no signature was looked at without a key"
    );
}

#[test]
fn a_remembered_token_is_good_under_its_own_keys_only() {
    let (key, other) = (ES256KeyPair::generate(), ES256KeyPair::generate());
    let rule = |path: &str, key: &ES256KeyPair| json!({"issuer": "i", "jwks": jwks(key), "appliesTo": [{"paths": [path]}]});
    let mut world = World::new(json!({"jwtRules": [rule("/a", &key), rule("/b", &other)]}));
    let good = token(&key, &json!({"iss": "i"}));
    for _ in 0..2 {
        assert_eq!(world.asks(&bearing("/a", &good)), "allow");
        assert_eq!(world.asks(&bearing("/b", &good)), "token_signature");
    }
}

// === preflights ===

#[test]
fn tokens_of_a_preflight_are_not_judged_and_give_no_identity() {
    let key = ES256KeyPair::generate();
    let mut world = World::new(json!({
        "jwtRules": [{"issuer": "i", "jwks": jwks(&key)}],
        "authorizationPolicies": [{
            "name": "p", "namespace": "n", "appliesTo": [{"paths": ["/private"]}],
            "rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}],
        }],
    }));
    let good = format!("Bearer {}", token(&key, &json!({"iss": "i", "sub": "s"})));
    let (origin, asked) = (
        ("origin", "https://b.com"),
        ("access-control-request-method", "PUT"),
    );
    let bearer = |value| ("authorization", value);
    for (name, method, path, lines, expected) in [
        (
            "preflight",
            "OPTIONS",
            "/",
            vec![bearer("Bearer x"), origin, asked],
            "allow",
        ),
        (
            "no origin",
            "OPTIONS",
            "/",
            vec![bearer("Bearer x"), asked],
            "token_malformed",
        ),
        (
            "not asked for",
            "OPTIONS",
            "/",
            vec![bearer("Bearer x"), origin],
            "token_malformed",
        ),
        (
            "GET",
            "GET",
            "/",
            vec![bearer("Bearer x"), origin, asked],
            "token_malformed",
        ),
        (
            "policies hold",
            "OPTIONS",
            "/private",
            vec![origin, asked],
            "policy_not_allowed",
        ),
        (
            "a good token gives no identity",
            "OPTIONS",
            "/private",
            vec![bearer(&*good), origin, asked],
            "policy_not_allowed",
        ),
        (
            "but does with GET",
            "GET",
            "/private",
            vec![bearer(&good), origin, asked],
            "allow",
        ),
    ] {
        assert_eq!(
            world.asks(&request(method, "a.com", path, &lines)),
            expected,
            "{name}"
        );
    }
}
