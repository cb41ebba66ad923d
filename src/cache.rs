//! Tokens that were verified before, so that the next request with the same bytes is cheap.
//!
//! Bounded in entries and in bytes, least recently used out. An entry says only that a signature
//! was good under the keys of one fetch: times, issuer, audience and every rule are judged again on
//! each request. The whole token is the key; no hash stands in for it.

use crate::keys::SourceId;
use crate::token::jwt::Claims;
use lru::LruCache;
use std::rc::Rc;

/// What one worker remembers.
#[derive(Default)]
pub struct Caches {
    /// Tokens whose signature was good.
    pub verified: VerifiedTokens,
}

/// Tokens whose signature was good.
pub struct VerifiedTokens {
    tokens: LruCache<Box<[u8]>, Verified>,
    bytes: usize,
}

/// A token whose signature was good.
#[derive(Clone)]
pub struct Verified {
    /// What it says.
    pub claims: Rc<Claims>,
    /// Whose keys it was verified with.
    pub source: SourceId,
    /// Which fetch had brought them.
    pub generation: u64,
}

const MAX_TOKENS: usize = 10_000;
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// What an entry takes beside its text; the parsed claims take a few times the payload.
const OVERHEAD: usize = 512;
const CLAIMS_FACTOR: usize = 4;

// === impl VerifiedTokens ===

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self {
            tokens: LruCache::unbounded(),
            bytes: 0,
        }
    }
}

impl VerifiedTokens {
    /// Finds a token by its bytes.
    pub fn get(&mut self, token: &[u8]) -> Option<&Verified> {
        self.tokens.get(token)
    }

    /// Remembers a token, in place of what was known about it.
    pub fn insert(&mut self, token: &[u8], verified: Verified) {
        if self.tokens.put(token.into(), verified).is_none() {
            self.bytes = self.bytes.saturating_add(cost(token));
        }
        while self.tokens.len() > MAX_TOKENS || self.bytes > MAX_BYTES {
            let Some((token, _)) = self.tokens.pop_lru() else {
                return;
            };
            self.bytes = self.bytes.saturating_sub(cost(&token));
        }
    }
}

fn cost(token: &[u8]) -> usize {
    token
        .len()
        .saturating_mul(CLAIMS_FACTOR)
        .saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::jwt;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

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
        let mut tokens = VerifiedTokens::default();
        for token in 0..MAX_TOKENS as u64 {
            tokens.insert(&token.to_le_bytes(), verified());
        }
        assert!(tokens.get(&0_u64.to_le_bytes()).is_some());
        tokens.insert(b"one more", verified());
        assert!(tokens.get(&0_u64.to_le_bytes()).is_some(), "it was used");
        assert!(
            tokens.get(&1_u64.to_le_bytes()).is_none(),
            "it was the oldest"
        );
        assert_eq!(tokens.tokens.len(), MAX_TOKENS);
    }

    #[test]
    fn is_bounded_in_bytes() {
        let mut tokens = VerifiedTokens::default();
        for token in 0..2_000_u32 {
            let token = [&token.to_le_bytes()[..], &[0; jwt::MAX_BYTES - 4]].concat();
            tokens.insert(&token, verified());
            tokens.insert(&token, verified());
            assert!(tokens.bytes <= MAX_BYTES);
        }
        assert!(tokens.tokens.len() > 400, "{}", tokens.tokens.len());
    }
}
