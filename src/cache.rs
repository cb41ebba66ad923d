//! Tokens that were seen before, so that the next request with the same bytes is cheap.
//!
//! Bounded in entries and in bytes, least recently used out. An entry says only whether a signature
//! was good under certain keys: times, issuer, audience and every rule are judged again on each
//! request. The whole token is the key; no hash stands in for it.

use crate::config;
use crate::introspection::{Introspection, Provider};
use crate::keys::SourceId;
use crate::token::jwt::Claims;
use lru::LruCache;
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
}

/// Tokens, each with what is known of it.
pub struct Tokens<V> {
    known: LruCache<Box<[u8]>, V>,
    bytes: usize,
    limits: Limits,
}

/// A token whose signature was good.
#[derive(Clone)]
pub struct Verified {
    /// What it says.
    pub claims: Rc<Claims>,
    /// Whose keys it was verified with.
    pub source: SourceId,
    /// Which of these keys: they change.
    pub generation: u64,
}

/// A token whose signature was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whose keys it was verified with.
    pub source: SourceId,
    /// Which of these keys: they change.
    pub generation: u64,
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
    /// How often its text is kept, in one form or another.
    copies: usize,
}

const VERIFIED: Limits = Limits {
    // As configured.
    entries: 0,
    bytes: 32 * 1024 * 1024,
    overhead: 512,
    // The parsed claims take a few times the payload.
    copies: 4,
};

const REFUSED: Limits = Limits {
    entries: 1_000,
    bytes: 4 * 1024 * 1024,
    overhead: 128,
    copies: 1,
};

const INTROSPECTED: Limits = Limits {
    // As configured.
    entries: 0,
    bytes: 16 * 1024 * 1024,
    overhead: 512,
    copies: 1,
};

/// So long a wrong signature is remembered.
pub const REFUSED_FOR: Duration = Duration::from_secs(60);

// === impl Caches ===

impl Caches {
    /// Nothing remembered yet.
    #[must_use]
    pub fn new(limits: &config::Limits, providers: &[Provider]) -> Self {
        let introspected = providers.iter().map(|provider| {
            Tokens::new(Limits {
                entries: provider.max_entries,
                ..INTROSPECTED
            })
        });
        Self {
            verified: Tokens::new(Limits {
                entries: limits.verified_tokens,
                ..VERIFIED
            }),
            refused: Tokens::new(REFUSED),
            introspected: introspected.collect(),
        }
    }
}

// === impl Tokens ===

impl<V: Weight> Tokens<V> {
    fn new(limits: Limits) -> Self {
        Self {
            known: LruCache::unbounded(),
            bytes: 0,
            limits,
        }
    }

    /// Finds a token by its bytes.
    pub fn get(&mut self, token: &[u8]) -> Option<&V> {
        self.known.get(token)
    }

    /// Remembers a token, in place of what was known about it.
    pub fn insert(&mut self, token: &[u8], what: V) {
        self.bytes = self.bytes.saturating_add(self.limits.cost(token, &what));
        if let Some(before) = self.known.put(token.into(), what) {
            self.bytes = self.bytes.saturating_sub(self.limits.cost(token, &before));
        }
        while self.known.len() > self.limits.entries || self.bytes > self.limits.bytes {
            let Some((token, what)) = self.known.pop_lru() else {
                return;
            };
            self.bytes = self.bytes.saturating_sub(self.limits.cost(&token, &what));
        }
    }
}

impl Weight for Verified {}

impl Weight for Refused {}

impl Weight for Introspected {
    /// Parsed JSON takes a few times its text.
    fn weight(&self) -> usize {
        self.known.size.saturating_mul(4)
    }
}

// === impl Limits ===

impl Limits {
    fn cost(&self, token: &[u8], what: &impl Weight) -> usize {
        let text = token.len().saturating_mul(self.copies);
        text.saturating_add(self.overhead)
            .saturating_add(what.weight())
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
            source: SourceId(0),
            generation: 0,
        }
    }

    #[test]
    fn is_bounded_in_entries_and_the_least_recently_used_goes() {
        let mut tokens = Caches::new(&config::Limits::default(), &[]).verified;
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
        assert_eq!(tokens.known.len(), MAX);
    }

    #[test]
    fn is_bounded_in_bytes() {
        let mut tokens = Caches::new(&config::Limits::default(), &[]).verified;
        for token in 0..2_000_u32 {
            let token = [&token.to_le_bytes()[..], &[0; jwt::MAX_BYTES - 4]].concat();
            tokens.insert(&token, verified());
            tokens.insert(&token, verified());
            assert!(tokens.bytes <= VERIFIED.bytes);
        }
        assert!(tokens.known.len() > 400, "{}", tokens.known.len());
    }
}
