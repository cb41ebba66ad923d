//! The keys at hand: one state for each source, and when to fetch the next ones.
//!
//! It performs nothing: the shell asks [`Keys::due`] on its tick, fetches, and tells the result to
//! [`Keys::fetched`]. Keys that were fetched once keep serving while later fetches fail, for a day.
//! One failing source touches no other.

use super::{KeySet, KeySetError, KeySource, Skipped};
use crate::config::RemoteKeys;
use crate::token::signature::Verifier;
use std::fmt;
use std::time::Duration;

/// Which source, as an index into [`crate::policy::Policy::key_sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub usize);

/// The keys of every source, and what verifies signatures with them.
pub struct Keys {
    sources: Vec<Source>,
    verifier: Box<dyn Verifier>,
    jitter: Jitter,
}

/// What can be said about the keys of a source right now.
pub enum Availability<'k> {
    /// Here they are, with the number of the fetch that brought them.
    Ready(&'k KeySet, u64),
    /// None yet; a fetch is under way or about to be.
    Pending,
    /// None, and the last fetch failed.
    Failing,
}

/// Why a fetch brought no keys.
#[derive(Debug)]
pub enum FetchFailure {
    /// The cluster does not exist in this proxy, or has no healthy host.
    NotSent,
    /// Something else than 200.
    Status(u16),
    /// The reply broke off, or was larger than the host buffers.
    Reset,
    /// Not a key set.
    Unreadable(KeySetError),
    /// A key set of which no key can be used.
    NoUsableKey(Vec<Skipped>),
}

/// What a fetch changed, for one log line.
#[derive(Debug)]
pub enum Outcome {
    /// Keys are there: how many, which were skipped, whether the last fetch had failed.
    Fetched {
        /// How many can be used.
        usable: usize,
        /// Which cannot.
        skipped: Vec<Skipped>,
    },
    /// No new keys.
    Failed {
        /// Why.
        failure: FetchFailure,
        /// How long until the next attempt.
        retry_in: Duration,
        /// How old the keys are that go on serving, if there are any.
        serving: Option<Duration>,
    },
}

struct Source {
    /// Nothing for keys that stand in the configuration.
    remote: Option<RemoteKeys>,
    current: Option<Current>,
    generation: u64,
    /// Since when a fetch is under way.
    in_flight: Option<Duration>,
    failures: u32,
    next_attempt: Duration,
}

struct Current {
    keys: KeySet,
    since: Duration,
}

/// Spreads attempts, so that workers and gateways do not ask all at once. Needs no good randomness.
struct Jitter(u64);

const MAX_STALE: Duration = Duration::from_secs(24 * 60 * 60);
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// While tokens are refused for want of keys, the issuer's return must be seen within seconds.
const MAX_RETRY_WITHOUT_KEYS: Duration = Duration::from_secs(4);
const MAX_RETRY_WITH_KEYS: Duration = Duration::from_secs(60);

// === impl Keys ===

impl Keys {
    /// The state of each source before any fetch. `seed` should differ between workers.
    #[must_use]
    pub fn new(sources: &[KeySource], verifier: Box<dyn Verifier>, seed: u64) -> Self {
        let state = |source: &KeySource| {
            let (remote, inline) = match source {
                KeySource::Inline(keys) => (None, Some(KeySet::clone(keys))),
                KeySource::Remote(remote) => (Some(remote.clone()), None),
            };
            Source {
                remote,
                current: inline.map(|keys| Current {
                    keys,
                    since: Duration::ZERO,
                }),
                generation: 0,
                in_flight: None,
                failures: 0,
                next_attempt: Duration::ZERO,
            }
        };
        Self {
            sources: sources.iter().map(state).collect(),
            verifier,
            jitter: Jitter(seed),
        }
    }

    /// What verifies signatures.
    #[must_use]
    pub fn verifier(&self) -> &dyn Verifier {
        self.verifier.as_ref()
    }

    /// The keys of a source.
    #[must_use]
    pub fn of(&self, id: SourceId, now: Duration) -> Availability<'_> {
        let Some(source) = self.sources.get(id.0) else {
            return Availability::Failing;
        };
        match source.serving(now) {
            Some(current) => Availability::Ready(&current.keys, source.generation),
            None if source.failures == 0 => Availability::Pending,
            None => Availability::Failing,
        }
    }

    /// The sources to fetch now; they count as under way until [`Keys::fetched`] is told.
    pub fn due(&mut self, now: Duration) -> Vec<(SourceId, RemoteKeys)> {
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
            if source
                .in_flight
                .is_none_or(|since| now.abs_diff(since) > lost)
            {
                source.in_flight = Some(now);
                due.push((SourceId(index), remote.clone()));
            }
        }
        due
    }

    /// Takes the result of a fetch: the body of a reply with status 200, or why there is none.
    pub fn fetched(
        &mut self,
        id: SourceId,
        result: Result<&[u8], FetchFailure>,
        now: Duration,
    ) -> Option<Outcome> {
        let source = self.sources.get_mut(id.0)?;
        source.in_flight = None;
        let read = result.and_then(|body| {
            let (keys, skipped) = KeySet::read(body).map_err(FetchFailure::Unreadable)?;
            match keys.is_empty() {
                true => Err(FetchFailure::NoUsableKey(skipped)),
                false => Ok((keys, skipped)),
            }
        });
        Some(match read {
            Ok((keys, skipped)) => {
                let usable = keys.len();
                source.current = Some(Current { keys, since: now });
                source.generation = source.generation.saturating_add(1);
                source.failures = 0;
                let refresh = source.remote.as_ref().map_or(MAX_STALE, |it| it.refresh);
                source.next_attempt = now.saturating_add(self.jitter.around(refresh));
                Outcome::Fetched { usable, skipped }
            }
            Err(failure) => {
                let serving = source.serving(now);
                let serving = serving.map(|current| now.saturating_sub(current.since));
                let cap = match serving {
                    Some(_) => MAX_RETRY_WITH_KEYS,
                    None => MAX_RETRY_WITHOUT_KEYS,
                };
                let doubled = 2_u32.saturating_pow(source.failures.min(16));
                let retry_in = self
                    .jitter
                    .around(FIRST_RETRY.saturating_mul(doubled).min(cap));
                source.failures = source.failures.saturating_add(1);
                source.next_attempt = now.saturating_add(retry_in);
                Outcome::Failed {
                    failure,
                    retry_in,
                    serving,
                }
            }
        })
    }
}

// === impl Source ===

impl Source {
    /// The keys that may be used: fetched ones for a day.
    fn serving(&self, now: Duration) -> Option<&Current> {
        let fresh_enough = |current: &&Current| {
            self.remote.is_none() || now.saturating_sub(current.since) < MAX_STALE
        };
        self.current.as_ref().filter(fresh_enough)
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

// === impl FetchFailure, Outcome ===

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent => f.write_str("the cluster is unknown or has no healthy host"),
            Self::Status(504) => f.write_str("status 504, or no answer in time"),
            Self::Status(503) => f.write_str("status 503, or no connection"),
            Self::Status(status) => write!(f, "status {status}; 200 is expected"),
            Self::Reset => f.write_str("the reply broke off or was too large to buffer"),
            Self::Unreadable(error) => write!(f, "no key set: {error}"),
            Self::NoUsableKey(skipped) => write!(f, "no usable key: {}", Listed(skipped)),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetched { usable, skipped } if skipped.is_empty() => write!(f, "{usable} keys"),
            Self::Fetched { usable, skipped } => write!(f, "{usable} keys; {}", Listed(skipped)),
            Self::Failed {
                failure,
                retry_in,
                serving,
            } => {
                write!(
                    f,
                    "{failure}; next attempt in {:.1} s; ",
                    retry_in.as_secs_f32()
                )?;
                match serving {
                    Some(age) => write!(f, "the keys of {} s ago go on serving", age.as_secs()),
                    None => f.write_str("tokens of this issuer are refused until then"),
                }
            }
        }
    }
}

struct Listed<'a>(&'a [Skipped]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LISTED: usize = 5;
        for (index, skipped) in self.0.iter().take(LISTED).enumerate() {
            write!(f, "{}{skipped}", if index == 0 { "" } else { "; " })?;
        }
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "; {more} more skipped"),
        }
    }
}

#[cfg(test)]
mod tests;
