//! The keys at hand: one state for each source, and when to fetch the next ones.
//!
//! It performs nothing: the shell asks [`Keys::due`] on its tick, fetches, and tells the result to
//! [`Keys::fetched`]. Keys that were fetched once keep serving while later fetches fail, for a limited time.
//! One failing source touches no other.

use super::unknown::UnknownKeys;
use super::{Endpoint, Fetch, FetchFailure, KeySet, KeySource, Outcome, Reply, Skipped};
use crate::config::{Limits, Origin, RemoteKeys};
use crate::token::signature::{Algorithm, Provenance, Verifier};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Which source, as an index into [`crate::policy::Policy::key_sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub usize);

/// Which key set: in a worker's life no two that differ have the same number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeySetId(u64);

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

/// The numbers of key sets; clones count together.
#[derive(Clone, Default)]
struct Numbers(Rc<Cell<u64>>);

#[derive(Clone)]
struct Source {
    /// Nothing for keys that stand in the configuration.
    remote: Option<RemoteKeys>,
    /// Where discovery has found the keys.
    discovered: Option<Endpoint>,
    current: Option<Current>,
    /// Since when a fetch is under way.
    in_flight: Option<Duration>,
    failures: u32,
    next_attempt: Duration,
    unknown: UnknownKeys,
}

#[derive(Clone)]
struct Current {
    keys: KeySet,
    id: KeySetId,
    /// As it was fetched, to see whether the next one is another.
    text: Rc<[u8]>,
    etag: Option<String>,
    since: Duration,
}

/// Spreads attempts, so that workers and gateways do not ask all at once. Needs no good randomness.
struct Jitter(u64);

/// However short a server says that its keys are fresh, they are not fetched more often.
const MIN_REFRESH: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// While tokens are refused for want of keys, the issuer's return must be seen within seconds.
const MAX_RETRY_WITHOUT_KEYS: Duration = Duration::from_secs(4);
const MAX_RETRY_WITH_KEYS: Duration = Duration::from_secs(60);

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

// === impl Source ===

impl Source {
    fn new(source: &KeySource, numbers: &Numbers) -> Self {
        let (remote, inline) = match source {
            KeySource::Inline(keys) => (None, Some(KeySet::clone(keys))),
            KeySource::Remote(remote) => (Some(remote.clone()), None),
        };
        Self {
            remote,
            discovered: None,
            current: inline.map(|keys| Current {
                keys,
                id: numbers.next(),
                text: Rc::default(),
                etag: None,
                since: Duration::ZERO,
            }),
            in_flight: None,
            failures: 0,
            next_attempt: Duration::ZERO,
            unknown: UnknownKeys::default(),
        }
    }

    /// Whether its keys are those of a source, wherever they are configured.
    fn is_of(&self, source: &KeySource) -> bool {
        match (source, &self.remote, &self.current) {
            (KeySource::Remote(other), Some(remote), _) => remote.origin == other.origin,
            (KeySource::Inline(other), None, Some(current)) => current.keys == **other,
            _ => false,
        }
    }

    /// The same state for another configuration, which fetches for itself.
    fn taken_over(&self, source: &KeySource) -> Self {
        let remote = match source {
            KeySource::Inline(_) => None,
            KeySource::Remote(remote) => Some(remote.clone()),
        };
        Self {
            remote,
            in_flight: None,
            ..self.clone()
        }
    }

    /// The keys that may be used: fetched ones until they are too old.
    fn serving(&self, max_stale: Duration, now: Duration) -> Option<&Current> {
        let fresh_enough = |current: &&Current| {
            self.remote.is_none() || now.saturating_sub(current.since) < max_stale
        };
        self.current.as_ref().filter(fresh_enough)
    }

    /// Takes a reply that should hold keys. Only keys that differ from those of before have another
    /// number, with which every token has to be verified again.
    fn take(
        &mut self,
        reply: &Reply<'_>,
        verifier: &dyn Verifier,
        numbers: &Numbers,
        now: Duration,
    ) -> Result<Outcome, FetchFailure> {
        let recovered = self.failures > 0;
        let same = match (&mut self.current, reply.status) {
            (Some(current), 304) => Some(current),
            (Some(current), 200) if *current.text == *reply.body => Some(current),
            _ => None,
        };
        let outcome = match same {
            Some(current) => {
                current.since = now;
                Outcome::Unchanged { recovered }
            }
            None => {
                let body = reply.expect_ok()?;
                let read = KeySet::read(body, Provenance::Fetched);
                let (keys, mut skipped) = read.map_err(FetchFailure::Unreadable)?;
                skipped.extend(keys.unserved(verifier));
                let usable = keys.served(verifier);
                if usable == 0 {
                    return Err(FetchFailure::NoUsableKey(skipped));
                }
                self.current = Some(Current {
                    keys,
                    id: numbers.next(),
                    text: body.into(),
                    etag: None,
                    since: now,
                });
                self.unknown.clear();
                Outcome::Fetched { usable, skipped }
            }
        };
        if let (Some(current), Some(etag)) = (&mut self.current, reply.etag()) {
            current.etag = Some(etag);
        }
        self.failures = 0;
        Ok(outcome)
    }

    fn fail(
        &mut self,
        failure: FetchFailure,
        max_stale: Duration,
        jitter: &mut Jitter,
        now: Duration,
    ) -> Outcome {
        let serving = self.serving(max_stale, now);
        let serving = serving.map(|current| now.saturating_sub(current.since));
        let cap = match serving {
            Some(_) => MAX_RETRY_WITH_KEYS,
            None => MAX_RETRY_WITHOUT_KEYS,
        };
        let doubled = 2_u32.saturating_pow(self.failures.min(16));
        let retry_in = jitter.around(FIRST_RETRY.saturating_mul(doubled).min(cap));
        self.failures = self.failures.saturating_add(1);
        self.next_attempt = now.saturating_add(retry_in);
        // The issuer may have moved its keys.
        self.discovered = None;
        Outcome::Failed {
            failure,
            retry_in,
            serving,
        }
    }
}

// === impl Numbers ===

impl Numbers {
    fn next(&self) -> KeySetId {
        self.0.set(self.0.get().saturating_add(1));
        KeySetId(self.0.get())
    }
}

// === impl Jitter ===

impl Jitter {
    /// A time between nine and eleven tenths of `mean`.
    fn around(&mut self, mean: Duration) -> Duration {
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
