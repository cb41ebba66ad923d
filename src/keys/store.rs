//! The keys at hand: one state for each source, and when to fetch the next ones.
//!
//! It performs nothing: the shell asks [`Keys::due`] on its tick, fetches, and tells the result to
//! [`Keys::fetched`]. Keys that were fetched once keep serving while later fetches fail, for a limited time.
//! One failing source touches no other.

use super::source::{KeySetId, MAX_RETRY_WITH_KEYS, Numbers, Source};
use super::{Fetch, FetchFailure, KeySet, KeySource, Outcome, Reply, Skipped};
use crate::config::{Limits, Origin, RemoteKeys};
use crate::token::signature::{Algorithm, Verifier};
use std::time::Duration;

/// Which source, as an index into [`crate::policy::Policy::key_sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub usize);

/// The keys of every source, and what verifies signatures with them.
pub struct Keys {
    sources: Vec<Source>,
    limits: Limits,
    verifier: Box<dyn Verifier>,
    jitter: Jitter,
    numbers: Numbers,
}

/// What can be said about the keys of a source right now.
pub enum Availability<'k> {
    /// Here they are.
    Ready(&'k KeySet, KeySetId),
    /// None yet; a fetch is under way or about to be.
    Pending,
    /// None, and the last fetch failed.
    Failing,
}

/// The state of a source as an operator sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// How many keys serve.
    pub usable: usize,
    /// How long ago they were last known to be the issuer's.
    pub age: Duration,
    /// How many fetches have failed since the last that did not.
    pub failures: u32,
    /// How long until the next fetch.
    pub next_attempt: Duration,
}

/// Spreads attempts, so that workers and gateways do not ask all at once. Needs no good randomness.
pub(super) struct Jitter(u64);

/// However short a server says that its keys are fresh, they are not fetched more often.
const MIN_REFRESH: Duration = Duration::from_secs(30);
// === impl Keys ===

impl Keys {
    /// The state of each source before any fetch, or as those know it who decided before on this
    /// worker. `seed` should differ between workers.
    #[must_use]
    pub fn new(
        sources: &[KeySource],
        limits: &Limits,
        verifier: Box<dyn Verifier>,
        seed: u64,
        before: &[&Self],
    ) -> Self {
        let numbers = before.first().map(|it| it.numbers.clone());
        let numbers = numbers.unwrap_or_default();
        let state = |source: &KeySource| {
            let mut known = before.iter().flat_map(|it| &it.sources);
            match known.find(|known| known.is_of(source)) {
                Some(known) => known.taken_over(source),
                None => Source::new(source, &numbers),
            }
        };
        Self {
            sources: sources.iter().map(state).collect(),
            limits: *limits,
            verifier,
            jitter: Jitter(seed),
            numbers,
        }
    }

    /// What verifies signatures.
    #[must_use]
    pub fn verifier(&self) -> &dyn Verifier {
        self.verifier.as_ref()
    }

    /// The keys of the configuration with which no signature can be verified here, for the log.
    /// Those that are fetched are told of by [`Outcome`].
    pub fn unserved(&self) -> impl Iterator<Item = (SourceId, Skipped)> {
        let inline = self.sources.iter().enumerate();
        let inline = inline.filter(|(_, source)| source.remote.is_none());
        inline.flat_map(|(index, source)| {
            let current = source.current.iter();
            let skipped = current.flat_map(|it| it.keys.unserved(self.verifier.as_ref()));
            skipped.map(move |skipped| (SourceId(index), skipped))
        })
    }

    /// The keys of a source.
    #[must_use]
    pub fn of(&self, id: SourceId, now: Duration) -> Availability<'_> {
        let Some(source) = self.sources.get(id.0) else {
            return Availability::Failing;
        };
        match source.serving(self.limits.jwks_max_stale, now) {
            Some(current) => Availability::Ready(&current.keys, current.id),
            None if source.failures == 0 => Availability::Pending,
            None => Availability::Failing,
        }
    }

    /// Whether a key for this algorithm may come with a fetch, and be of use.
    #[must_use]
    pub fn may_bring(&self, algorithm: Algorithm) -> bool {
        !algorithm.is_symmetric() && self.verifier.serves(algorithm)
    }

    /// Whether a token that no key of the source fits is worth waiting for: for the fetch that is
    /// due or under way, or for one that is made due by this, which happens once in a while.
    pub fn wait_for(&mut self, id: SourceId, key_id: Option<&str>, now: Duration) -> bool {
        let source = self.sources.get_mut(id.0);
        let Some(source) = source.filter(|source| source.remote.is_some()) else {
            return false;
        };
        if source.unknown.contains(key_id.unwrap_or_default(), now) {
            return false;
        }
        if source.in_flight.is_some() {
            return true;
        }
        // An issuer that does not answer is asked at its own pace.
        if source.failures > 0 {
            return false;
        }
        // A fetch that is due begins with the next tick.
        if source.next_attempt <= now {
            return true;
        }
        if !source.unknown.ask(self.limits.unknown_key_cooldown, now) {
            return false;
        }
        source.next_attempt = now;
        true
    }

    /// Remembers that a token was waited for in vain, if keys have come since.
    pub fn waited_in_vain(&mut self, id: SourceId, key_id: Option<&str>, now: Duration) {
        let source = self.sources.get_mut(id.0);
        let fetched = |source: &&mut Source| source.in_flight.is_none() && source.failures == 0;
        if let Some(source) = source.filter(fetched) {
            source.unknown.insert(key_id.unwrap_or_default(), now);
        }
    }

    /// What to fetch now; it counts as under way until [`Keys::fetched`] is told.
    pub fn due(&mut self, now: Duration) -> Vec<Fetch> {
        let mut due = Vec::new();
        for (index, source) in self.sources.iter_mut().enumerate() {
            // A clock that was set back must not put an attempt off for long.
            let waits = source.next_attempt.saturating_sub(now);
            let is_due = |remote: &&RemoteKeys| {
                let longest = remote.refresh.max(MAX_RETRY_WITH_KEYS).saturating_mul(2);
                waits.is_zero() || waits > longest
            };
            let Some(remote) = source.remote.as_ref().filter(is_due) else {
                continue;
            };
            // The host answers every fetch in time; should it not, we do not wait for ever.
            let lost = remote.timeout.saturating_mul(3);
            let under_way = |since: Duration| now.abs_diff(since) <= lost;
            if source.in_flight.is_some_and(under_way) {
                continue;
            }
            let (from, etag) = match (&remote.origin, &source.discovered) {
                (Origin::Discovery(discovery), None) => (&discovery.document, None),
                (Origin::Uri(keys), _) | (Origin::Discovery(_), Some(keys)) => {
                    let current = source.current.as_ref();
                    (keys, current.and_then(|current| current.etag.clone()))
                }
            };
            due.push(Fetch {
                source: SourceId(index),
                from: from.clone(),
                timeout: remote.timeout,
                etag,
            });
            source.in_flight = Some(now);
        }
        due
    }

    /// Takes the result of a fetch.
    pub fn fetched(
        &mut self,
        id: SourceId,
        result: Result<Reply<'_>, FetchFailure>,
        now: Duration,
    ) -> Option<Outcome> {
        let source = self.sources.get_mut(id.0)?;
        let remote = source.remote.clone()?;
        source.in_flight = None;
        let taken = result.and_then(|reply| match (&remote.origin, &source.discovered) {
            (Origin::Discovery(discovery), None) => {
                let read = discovery.read(reply.expect_ok()?);
                let keys = read.map_err(FetchFailure::Discovery)?;
                source.discovered = Some(keys.clone());
                source.next_attempt = now;
                Ok(Outcome::Discovered(keys))
            }
            _ => {
                let verifier = self.verifier.as_ref();
                let outcome = source.take(&reply, verifier, &self.numbers, now)?;
                let fresh = reply.max_age().unwrap_or(remote.refresh);
                let refresh = fresh.max(MIN_REFRESH).min(remote.refresh);
                source.next_attempt = now.saturating_add(self.jitter.around(refresh));
                Ok(outcome)
            }
        });
        Some(match taken {
            Ok(outcome) => outcome,
            Err(failure) => {
                let stale = self.limits.jwks_max_stale;
                source.fail(failure, stale, &mut self.jitter, now)
            }
        })
    }

    /// The state of a source that is fetched.
    #[must_use]
    pub fn health(&self, id: SourceId, now: Duration) -> Option<Health> {
        let source = self.sources.get(id.0)?;
        source.remote.as_ref()?;
        let serving = source.serving(self.limits.jwks_max_stale, now);
        Some(Health {
            usable: serving.map_or(0, |it| it.keys.served(self.verifier.as_ref())),
            age: serving.map_or(Duration::ZERO, |it| now.saturating_sub(it.since)),
            failures: source.failures,
            next_attempt: source.next_attempt.saturating_sub(now),
        })
    }
}

// === impl Jitter ===

impl Jitter {
    /// A time between nine and eleven tenths of `mean`.
    pub(super) fn around(&mut self, mean: Duration) -> Duration {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let percent = u32::try_from((mixed >> 33) % 21).unwrap_or_default();
        mean.saturating_mul(percent.saturating_add(90))
            .checked_div(100)
            .unwrap_or(mean)
    }
}

#[cfg(test)]
mod tests;
