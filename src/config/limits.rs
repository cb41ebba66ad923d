//! `limits`: how much is remembered, and for how long one waits, where the defaults do not suit.
//!
//! Every limit has a ceiling of its own: none can be taken away.

use super::reader::At;
use std::ops::RangeInclusive;
use std::time::Duration;

/// `limits`; per worker where a worker counts for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `jwksMaxStale`: how long keys serve since they were last fetched.
    pub jwks_max_stale: Duration,
    /// `unknownKeyCooldown`: how long after a fetch for an unknown key there is no other.
    pub unknown_key_cooldown: Duration,
    /// `verifiedTokens`: how many verified tokens are remembered.
    pub verified_tokens: usize,
    /// `parkedRequests`: how many requests may wait at a time.
    pub parked_requests: usize,
    /// `parkedFor`: how long one may wait.
    pub parked_for: Duration,
}

const STALE: RangeInclusive<Duration> = Duration::from_secs(3600)..=Duration::from_secs(604_800);
const COOLDOWN: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(3600);
const TOKENS: RangeInclusive<usize> = 0..=100_000;
const PARKED: RangeInclusive<usize> = 1..=10_000;
const PARKED_FOR: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

pub(super) fn read(at: Option<At<'_>>) -> Limits {
    at.and_then(limits).unwrap_or_default()
}

fn limits(at: At<'_>) -> Option<Limits> {
    let default = Limits::default();
    let mut fields = at.object()?;
    let mut duration = |name: &'static str, bounds: &RangeInclusive<Duration>| {
        fields.optional(name).and_then(|at| at.duration_in(bounds))
    };
    let stale = duration("jwksMaxStale", &STALE);
    let cooldown = duration("unknownKeyCooldown", &COOLDOWN);
    let parked_for = duration("parkedFor", &PARKED_FOR);
    let mut number = |name: &'static str, bounds: &RangeInclusive<usize>| {
        fields.optional(name).and_then(|at| at.number_in(bounds))
    };
    let tokens = number("verifiedTokens", &TOKENS);
    let parked = number("parkedRequests", &PARKED);
    fields.finish();
    Some(Limits {
        jwks_max_stale: stale.unwrap_or(default.jwks_max_stale),
        unknown_key_cooldown: cooldown.unwrap_or(default.unknown_key_cooldown),
        verified_tokens: tokens.unwrap_or(default.verified_tokens),
        parked_requests: parked.unwrap_or(default.parked_requests),
        parked_for: parked_for.unwrap_or(default.parked_for),
    })
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            jwks_max_stale: Duration::from_secs(24 * 60 * 60),
            unknown_key_cooldown: Duration::from_secs(30),
            verified_tokens: 10_000,
            parked_requests: 1_000,
            parked_for: Duration::from_secs(5),
        }
    }
}
