//! One source of keys: those that serve now, and what became of the last attempt to fetch others.
//!
//! It asks nobody and knows no other source. Called by `store.rs`, which says when to fetch.

use super::store::Jitter;
use super::unknown::UnknownKeys;
use super::{Endpoint, FetchFailure, KeySet, KeySource, Outcome, Reply};
use crate::config::RemoteKeys;
use crate::token::signature::{Provenance, Verifier};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// What is known of one source.
#[derive(Clone)]
pub(super) struct Source {
    /// Nothing for keys that stand in the configuration.
    pub(super) remote: Option<RemoteKeys>,
    /// Where discovery has found the keys.
    pub(super) discovered: Option<Endpoint>,
    pub(super) current: Option<Current>,
    /// Since when a fetch is under way.
    pub(super) in_flight: Option<Duration>,
    pub(super) failures: u32,
    pub(super) next_attempt: Duration,
    pub(super) unknown: UnknownKeys,
}

/// Keys that serve.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) keys: KeySet,
    pub(super) id: KeySetId,
    /// As it was fetched, to see whether the next one is another.
    text: Rc<[u8]>,
    pub(super) etag: Option<String>,
    pub(super) since: Duration,
}

/// Which key set: in a worker's life no two that differ have the same number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeySetId(pub(super) u64);

/// The numbers of key sets; clones count together.
#[derive(Clone, Default)]
pub(super) struct Numbers(Rc<Cell<u64>>);

const FIRST_RETRY: Duration = Duration::from_secs(1);
/// While tokens are refused for want of keys, the issuer's return must be seen within seconds.
const MAX_RETRY_WITHOUT_KEYS: Duration = Duration::from_secs(4);
/// While others serve, it may take longer.
pub(super) const MAX_RETRY_WITH_KEYS: Duration = Duration::from_secs(60);

// === impl Source ===

impl Source {
    pub(super) fn new(source: &KeySource, numbers: &Numbers) -> Self {
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
    pub(super) fn is_of(&self, source: &KeySource) -> bool {
        match (source, &self.remote, &self.current) {
            (KeySource::Remote(other), Some(remote), _) => remote.origin == other.origin,
            (KeySource::Inline(other), None, Some(current)) => current.keys == **other,
            _ => false,
        }
    }

    /// The same state for another configuration, which fetches for itself.
    pub(super) fn taken_over(&self, source: &KeySource) -> Self {
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
    pub(super) fn serving(&self, max_stale: Duration, now: Duration) -> Option<&Current> {
        let fresh_enough = |current: &&Current| {
            self.remote.is_none() || now.saturating_sub(current.since) < max_stale
        };
        self.current.as_ref().filter(fresh_enough)
    }

    /// Takes a reply that should hold keys. Only keys that differ from those of before have another
    /// number, with which every token has to be verified again.
    pub(super) fn take(
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

    pub(super) fn fail(
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
