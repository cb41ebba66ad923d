//! The issuers, whose keys change: tokens of every age and kind, and what a gateway must say to each.
//!
//! A key is published, signs, is replaced and still published, and then dropped; a gateway has to
//! follow within [`FOLLOWS`]. Who is asked about opaque tokens is not in here.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{
    answers::Answer,
    authorization_server::{Issuer, Key, now, sign_with, with_broken_signature},
    switch::Switch,
};

/// An issuer with all its keys so far.
pub struct Keys {
    pub issuer: Arc<Issuer>,
    /// How long a key is published before it signs.
    head_start: Duration,
    generations: Mutex<Vec<Arc<Generation>>>,
}

/// A key.
struct Generation {
    key: Key,
    signs_from: Instant,
    dropped: Switch<bool>,
}

/// A signed token, and what there is to know about it.
#[derive(Clone)]
pub struct Token {
    pub text: String,
    generation: Arc<Generation>,
    /// In seconds since 1970.
    expires: i64,
}

/// When a request was under way.
#[derive(Clone, Copy)]
pub struct Span {
    pub sent: Instant,
    pub answered: Instant,
}

/// Within this time a gateway knows which keys an issuer has: the refresh of 5 s with its jitter, a
/// tick, the fetch, and some patience.
pub const FOLLOWS: Duration = Duration::from_secs(8);
/// For so long tokens of a dropped key are still sent. Each makes a gateway look for the key, at most
/// once in the cooldown of 5 s; a new key must not come in that time.
const REMEMBERED: Duration = Duration::from_secs(10);
/// A gateway may look at the clock so long before a request comes.
const CLOCK: Duration = Duration::from_millis(100);
/// For longer than any run.
const LONG: i64 = 24 * 3600;

// === impl Keys ===

impl Keys {
    pub fn new(issuer: &Arc<Issuer>, head_start: Duration) -> Self {
        let first = Generation::new(issuer, Instant::now());
        Keys {
            issuer: Arc::clone(issuer),
            head_start,
            generations: Mutex::new(vec![first]),
        }
    }

    /// Publishes new keys beside the old ones.
    pub fn rotate(&self) {
        self.issuer.rotate_keys(true);
        let next = Generation::new(&self.issuer, Instant::now() + self.head_start);
        self.generations().push(next);
    }

    /// Publishes no keys but the newest.
    pub fn drop_old(&self) {
        let old = self.generations().iter().rev().nth(1).cloned();
        let act = || self.issuer.keys().retired.clear();
        match old {
            Some(old) => old.dropped.change(true, FOLLOWS, act),
            None => act(),
        }
    }

    /// A valid token with the scope, which no other token is like.
    pub fn token(&self) -> Token {
        self.token_until(now() + LONG)
    }

    /// The same with another end.
    pub fn token_until(&self, expires: i64) -> Token {
        self.signed("read", expires)
    }

    /// A valid token without the scope.
    pub fn without_scope(&self) -> Token {
        self.signed("write", now() + LONG)
    }

    /// One of a key that was dropped not long ago or is being dropped, if there is such a key.
    pub fn of_dropped_key(&self) -> Option<Token> {
        let generation = self.generations().iter().rev().nth(1).cloned()?;
        let since = generation.dropped.settled()?.checked_add(REMEMBERED)?;
        let recent = !generation.dropped.is(false) && Instant::now() < since;
        recent.then(|| self.signed_by(generation, "read", now() + LONG))
    }

    /// A token whose key nobody has published, with these claims laid over.
    pub fn of_stranger(&self, over: Value) -> String {
        let key = Key::stranger(&format!("stranger-{:016x}", fastrand::u64(..)));
        sign_with(&key, &self.issuer.claims(over), json!({}))
    }

    fn signed(&self, scope: &str, expires: i64) -> Token {
        let now = Instant::now();
        let generations = self.generations();
        let signing = generations.iter().rev().find(|it| it.signs_from <= now);
        let signing = Arc::clone(signing.expect("the first one always signs"));
        drop(generations);
        self.signed_by(signing, scope, expires)
    }

    fn signed_by(&self, generation: Arc<Generation>, scope: &str, expires: i64) -> Token {
        let jti = format!("{:016x}", fastrand::u64(..));
        let claims = json!({"scope": scope, "exp": expires, "jti": jti});
        Token {
            text: sign_with(&generation.key, &self.issuer.claims(claims), json!({})),
            generation,
            expires,
        }
    }

    fn generations(&self) -> MutexGuard<'_, Vec<Arc<Generation>>> {
        self.generations.lock().expect("no panic while held")
    }
}

// === impl Generation ===

impl Generation {
    fn new(issuer: &Issuer, signs_from: Instant) -> Arc<Self> {
        Arc::new(Generation {
            key: issuer.keys().es256.clone(),
            signs_from,
            dropped: Switch::new(false),
        })
    }
}

// === impl Token ===

impl Token {
    /// The answers that a gateway may give, if it gives this one to a good token.
    pub fn answers(&self, good: Answer, during: &Span) -> Vec<Answer> {
        let mut answers = Vec::new();
        // As Envoy's filter, the gateway counts whole seconds, and `exp` is the last that is good.
        let expires = UNIX_EPOCH + Duration::from_secs(self.expires.unsigned_abs() + 1);
        if wall_clock(during.sent) <= expires + CLOCK {
            let dropped = &self.generation.dropped;
            let dropped = dropped.between(during.sent, during.answered);
            answers.extend(dropped.into_iter().map(|dropped| match dropped {
                true => Answer::KeyUnknown,
                false => good,
            }));
        }
        if wall_clock(during.answered) >= expires {
            answers.push(Answer::TokenExpired);
        }
        answers
    }

    /// Whether its key is still published, as far as is known.
    pub fn is_kept(&self) -> bool {
        self.generation.dropped.is(false)
    }

    /// In seconds since 1970.
    pub fn expires(&self) -> i64 {
        self.expires
    }

    /// The same with one bit of the signature flipped.
    pub fn broken(&self) -> Self {
        Token {
            text: with_broken_signature(&self.text),
            ..self.clone()
        }
    }
}

fn wall_clock(at: Instant) -> SystemTime {
    SystemTime::now() - at.elapsed()
}
