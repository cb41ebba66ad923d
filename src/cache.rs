//! Tokens that were seen before, so that the next request with the same bytes is cheap.
//!
//! Bounded in entries and in bytes, least recently used out. An entry says only whether a signature
//! was good under certain keys: times, issuer, audience and every rule are judged again on each
//! request. A hash finds a token, and every byte of it is compared then; no hash stands in for it.
//!
//! A configuration that comes after another one on the same worker goes on with what was remembered:
//! a key set has its number in a worker's life, and a server is asked anew if it is asked in another
//! way.

use crate::bytes::is_same;
use crate::config;
use crate::introspection::{Introspection, Provider};
use crate::keys::KeySetId;
use crate::token::jwt::Claims;
use hashbrown::DefaultHashBuilder;
use lru::LruCache;
use std::cell::RefCell;
use std::hash::BuildHasher as _;
use std::rc::Rc;
use std::time::Duration;

/// What one worker remembers.
pub struct Caches {
    /// Tokens whose signature was good.
    pub verified: Tokens<Verified>,
    /// Tokens whose signature was wrong, so that a flood of one costs a look-up each.
    pub refused: Tokens<Refused>,
    /// Tokens that a provider was asked about, by the index of the provider.
    pub introspected: Vec<Tokens<Introspected>>,
    /// Tokens of which it was looked up whether their signature is known.
    pub verified_lookups: Lookups,
    /// Tokens of which it was looked up what a provider has said, by the index of the provider.
    pub introspected_lookups: Vec<Lookups>,
}

/// How often something was looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// It was known.
    pub hits: u64,
    /// It was not.
    pub misses: u64,
}

/// Tokens, each with what is known of it; clones are one and the same.
pub struct Tokens<V>(Rc<RefCell<Known<V>>>);

struct Known<V> {
    /// By the hash of the token. Of two tokens with the same one, the later is remembered: whoever
    /// contrives such tokens has them verified each time.
    tokens: LruCache<u64, Entry<V>>,
    hasher: DefaultHashBuilder,
    bytes: usize,
    limits: Limits,
}

/// A token, what is known of it, and what both take in memory.
struct Entry<V> {
    token: Box<[u8]>,
    what: V,
    bytes: usize,
}

/// A token whose signature was good.
#[derive(Clone)]
pub struct Verified {
    /// What it says.
    pub claims: Rc<Claims>,
    /// The keys that it was verified with.
    pub keys: KeySetId,
}

/// A token whose signature was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The keys that it was verified with.
    pub keys: KeySetId,
    /// How long that is remembered, as time since the Unix epoch.
    pub until: Duration,
}

/// A token that a provider was asked about.
#[derive(Clone)]
pub struct Introspected {
    /// What it said.
    pub known: Introspection,
    /// How long that is believed, as time since the Unix epoch.
    pub until: Duration,
}

/// What is remembered of a token.
pub trait Weight {
    /// What it takes in memory beside the token, in bytes.
    fn weight(&self) -> usize {
        0
    }
}

/// How much is remembered, and what an entry takes.
#[derive(Clone, Copy)]
struct Limits {
    entries: usize,
    bytes: usize,
    /// What an entry takes beside its text.
    overhead: usize,
}

const VERIFIED: Limits = Limits {
    // As configured.
    entries: 0,
    bytes: 32 * 1024 * 1024,
    overhead: 512,
};

const REFUSED: Limits = Limits {
    entries: 1_000,
    bytes: 4 * 1024 * 1024,
    overhead: 128,
};

const INTROSPECTED: Limits = Limits {
    // As configured.
    entries: 0,
    bytes: 16 * 1024 * 1024,
    overhead: 512,
};

/// Tokens up to this length, in bytes, are hashed whole: opaque ones, mostly.
const SHORT: usize = 128;

/// So long a wrong signature is remembered.
pub const REFUSED_FOR: Duration = Duration::from_secs(60);

// === impl Caches ===

impl Caches {
    /// What those remember that decided before on this worker, with their providers; without any,
    /// nothing.
    #[must_use]
    pub fn new(
        limits: &config::Limits,
        providers: &[Provider],
        before: &[(&Self, &[Provider])],
    ) -> Self {
        let introspected = providers.iter().map(|provider| {
            let known = before.iter().flat_map(|(caches, providers)| {
                let tokens = caches.introspected.iter();
                providers.iter().zip(tokens)
            });
            let mut alike = known.filter(|(other, _)| other.is_asked_like(provider));
            let known = alike.next().map(|(_, tokens)| tokens);
            Tokens::new(provider.max_entries, INTROSPECTED, known)
        });
        let last = before.first().map(|(caches, _)| caches);
        Self {
            verified: Tokens::new(
                limits.verified_tokens,
                VERIFIED,
                last.map(|it| &it.verified),
            ),
            refused: Tokens::new(REFUSED.entries, REFUSED, last.map(|it| &it.refused)),
            introspected: introspected.collect(),
            verified_lookups: Lookups::default(),
            introspected_lookups: vec![Lookups::default(); providers.len()],
        }
    }
}

// === impl Lookups ===

impl Lookups {
    /// Notes one.
    pub fn note(&mut self, is_known: bool) {
        let count = match is_known {
            true => &mut self.hits,
            false => &mut self.misses,
        };
        *count = count.saturating_add(1);
    }
}

// === impl Tokens ===

impl<V: Weight + Clone> Tokens<V> {
    /// The same as `known` with another limit, or nothing yet.
    fn new(entries: usize, limits: Limits, known: Option<&Self>) -> Self {
        let limits = Limits { entries, ..limits };
        let tokens = known.cloned().unwrap_or_else(|| {
            Self(Rc::new(RefCell::new(Known {
                tokens: LruCache::unbounded(),
                hasher: DefaultHashBuilder::default(),
                bytes: 0,
                limits,
            })))
        });
        tokens.with(|known| known.limits = limits);
        tokens
    }

    /// What is known of a token, by its bytes.
    #[must_use]
    pub fn get(&self, token: &[u8]) -> Option<V> {
        self.with(|known| known.get(token).cloned()).flatten()
    }

    /// Remembers a token, in place of what was known about it.
    pub fn insert(&self, token: &[u8], what: V) {
        self.with(|known| known.insert(token, what));
    }

    /// Never held while anybody else is called, so that it is always free.
    fn with<T>(&self, use_it: impl FnOnce(&mut Known<V>) -> T) -> Option<T> {
        Some(use_it(&mut *self.0.try_borrow_mut().ok()?))
    }
}

impl<V> Clone for Tokens<V> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

// === impl Known ===

impl<V: Weight> Known<V> {
    fn get(&mut self, token: &[u8]) -> Option<&V> {
        let known = self.tokens.get(&self.hash(token))?;
        is_same(&known.token, token).then_some(&known.what)
    }

    fn insert(&mut self, token: &[u8], what: V) {
        let overhead = self.limits.overhead.saturating_add(token.len());
        let bytes = overhead.saturating_add(what.weight());
        self.bytes = self.bytes.saturating_add(bytes);
        let (hash, token) = (self.hash(token), token.into());
        let known = Entry { token, what, bytes };
        if let Some(before) = self.tokens.put(hash, known) {
            self.bytes = self.bytes.saturating_sub(before.bytes);
        }
        while self.tokens.len() > self.limits.entries || self.bytes > self.limits.bytes {
            let Some((_, oldest)) = self.tokens.pop_lru() else {
                return;
            };
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
        }
    }

    /// Of a long token, the parts by which tokens differ: the middle, and the end with the signature.
    /// The others are alike in most tokens of an issuer, and would cost more than all the rest of a
    /// look-up. A short one may differ from others anywhere.
    fn hash(&self, token: &[u8]) -> u64 {
        if token.len() <= SHORT {
            return self.hasher.hash_one(token);
        }
        let halves = token.split_at_checked(token.len() / 2);
        let (first, second) = halves.unwrap_or((token, token));
        match (first.last_chunk(), second.last_chunk()) {
            (Some(middle), Some(end)) => {
                let sample = [*middle, *end].map(u128::from_ne_bytes);
                self.hasher.hash_one((sample, token.len()))
            }
            _ => self.hasher.hash_one(token),
        }
    }
}

impl Weight for Verified {
    fn weight(&self) -> usize {
        self.claims.weight()
    }
}

impl Weight for Refused {}

impl Weight for Introspected {
    fn weight(&self) -> usize {
        self.known.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::jwt;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

    const MAX: usize = 10_000;

    fn verified() -> Verified {
        let part = |text: &str| BASE64URL.encode(text);
        let token = format!("{}.{}.AA", part(r#"{"alg":"RS256"}"#), part("{}"));
        let claims = jwt::parse(token.as_bytes()).unwrap().claims;
        Verified {
            claims,
            keys: KeySetId::default(),
        }
    }

    #[test]
    fn is_bounded_in_entries_and_the_least_recently_used_goes() {
        let tokens = Caches::new(&config::Limits::default(), &[], &[]).verified;
        for token in 0..MAX as u64 {
            tokens.insert(&token.to_le_bytes(), verified());
        }
        assert!(tokens.get(&0_u64.to_le_bytes()).is_some());
        tokens.insert(b"one more", verified());
        assert!(tokens.get(&0_u64.to_le_bytes()).is_some(), "it was used");
        assert!(
            tokens.get(&1_u64.to_le_bytes()).is_none(),
            "it was the oldest"
        );
        assert_eq!(length(&tokens), MAX);
    }

    #[test]
    fn is_bounded_in_bytes() {
        let tokens = Caches::new(&config::Limits::default(), &[], &[]).verified;
        for token in 0..2_000_u32 {
            let token = [&[0; jwt::MAX_BYTES - 4][..], &token.to_le_bytes()].concat();
            tokens.insert(&token, verified());
            tokens.insert(&token, verified());
            let bytes = tokens.with(|known| known.bytes).unwrap();
            assert!(bytes <= VERIFIED.bytes);
        }
        assert!(length(&tokens) > 400, "{}", length(&tokens));
    }

    #[test]
    fn a_later_configuration_goes_on_with_what_is_remembered() {
        let limits = config::Limits::default();
        let before = Caches::new(&limits, &[], &[]);
        before.verified.insert(b"token", verified());
        let fewer = config::Limits {
            verified_tokens: 1,
            ..limits
        };
        let after = Caches::new(&fewer, &[], &[(&before, &[])]);
        assert!(after.verified.get(b"token").is_some());
        after.verified.insert(b"another", verified());
        assert_eq!(length(&after.verified), 1, "its own limit counts");
        assert!(before.verified.get(b"token").is_none(), "they are one");
        let strange = Caches::new(&limits, &[], &[]);
        assert!(strange.verified.get(b"another").is_none());
    }

    #[test]
    fn short_tokens_that_differ_anywhere_are_remembered_side_by_side() {
        for length in [1, 33, SHORT] {
            let tokens = Caches::new(&config::Limits::default(), &[], &[]).verified;
            let token = |at: usize| {
                let mut token = vec![b'a'; length];
                token[at] = b'b';
                token
            };
            (0..length).for_each(|at| tokens.insert(&token(at), verified()));
            let known = |at: &usize| tokens.get(&token(*at)).is_some();
            assert_eq!((0..length).filter(known).count(), length, "{length} bytes");
        }
    }

    #[test]
    fn two_tokens_with_one_hash_are_not_one() {
        let tokens = Caches::new(&config::Limits::default(), &[], &[]).verified;
        let token = |first: u8| [&[first][..], &[0; 200]].concat();
        let hash = |token: &[u8]| tokens.with(|known| known.hash(token));
        assert_eq!(hash(&token(1)), hash(&token(2)), "else nothing is shown");
        tokens.insert(&token(1), verified());
        assert!(tokens.get(&token(1)).is_some());
        assert!(tokens.get(&token(2)).is_none());
        tokens.insert(&token(2), verified());
        assert!(tokens.get(&token(1)).is_none(), "the later is remembered");
        assert!(tokens.get(&token(2)).is_some());
    }

    fn length<V: Weight + Clone>(tokens: &Tokens<V>) -> usize {
        tokens.with(|known| known.tokens.len()).unwrap()
    }
}
