//! Requests that wait for keys or for somebody's answer: each owns a copy of its headers, has a
//! deadline, and is forgotten soon after its client has left.
//!
//! [`super::http`] parks them, [`super::root`] takes them out again. Bounded in number and in bytes.

use super::http::Gathered;
use super::root::SOON;
use super::{abi, meter};
use crate::config::Limits;
use crate::decide::Answers;
use crate::keys::SourceId;
use crate::meter::{Family, Metric};
use hashbrown::HashMap;
use std::time::Duration;

/// The waiting requests of a configuration on one worker, by the context of their stream.
pub struct Parked {
    requests: HashMap<u32, Waiting>,
    bytes: usize,
    most: usize,
    /// No request waits longer, whatever happens to what it waits for.
    longest: Duration,
    /// When it was last looked who has left.
    swept: Duration,
}

/// A request that waits.
pub struct Waiting {
    pub facts: Gathered,
    pub answers: Answers,
    /// What it waits for.
    pub on: Awaited,
    /// As time since the Unix epoch.
    pub deadline: Duration,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The keys of a source.
    Keys(SourceId),
    /// The answer to a call.
    Call(u64),
}

/// While there is no room, it is looked so often who has left.
const SWEEP: Duration = Duration::from_millis(20);

const MAX_BYTES: usize = 16 * 1024 * 1024;

// === impl Parked ===

impl Parked {
    pub fn new(limits: &Limits) -> Self {
        let most = u64::try_from(limits.parked_requests).unwrap_or(u64::MAX);
        meter::gauge(Metric::fixed(Family::ParkedRequestsLimit, ""), most);
        Self {
            requests: HashMap::new(),
            bytes: 0,
            most: limits.parked_requests,
            longest: limits.parked_for,
            swept: Duration::ZERO,
        }
    }

    /// Whether one more request may wait; those whose clients have left do not count.
    #[must_use]
    pub fn has_room(&mut self, facts: &Gathered, (id, now): (u32, Duration)) -> bool {
        let fits = |parked: &Self| {
            let bytes = parked.bytes.saturating_add(facts.headers.bytes());
            parked.requests.len() < parked.most && bytes <= MAX_BYTES
        };
        if !fits(self) && now >= self.swept.saturating_add(SWEEP) {
            self.forget_gone(id, now);
        }
        fits(self)
    }

    /// Keeps a request until what it waits for is there; `longest`, if that is more than for keys.
    pub fn park(
        &mut self,
        id: u32,
        facts: Gathered,
        answers: Answers,
        on: Awaited,
        (now, longest): (Duration, Duration),
    ) {
        self.bytes = self.bytes.saturating_add(facts.headers.bytes());
        let deadline = now.saturating_add(longest.max(self.longest));
        self.requests.insert(
            id,
            Waiting {
                facts,
                answers,
                on,
                deadline,
            },
        );
        meter::parked(1);
        if let Awaited::Keys(_) = on {
            // The root fetches on its tick, in its own context.
            abi::set_tick_period(SOON);
        }
    }

    /// Forgets the requests whose clients have left, of whom nobody tells; `current` is the context
    /// that the host is calling.
    pub fn forget_gone(&mut self, current: u32, now: Duration) {
        self.swept = now;
        let ids: Vec<u32> = self.requests.keys().copied().collect();
        let is_gone = |id: &u32| abi::set_effective_context(*id).is_err();
        for id in ids.into_iter().filter(is_gone) {
            if let Some(waiting) = self.requests.remove(&id) {
                self.bytes = self.bytes.saturating_sub(waiting.facts.headers.bytes());
                meter::parked(-1);
            }
        }
        // The host knows its own context, so this does not fail.
        let _ = abi::set_effective_context(current);
    }

    /// The calls that some of them wait for.
    pub fn calls(&self, which: impl Fn(&Waiting) -> bool) -> impl Iterator<Item = u64> {
        let waiting = self.requests.values().filter(move |it| which(it));
        waiting.filter_map(|waiting| match waiting.on {
            Awaited::Call(call) => Some(call),
            Awaited::Keys(_) => None,
        })
    }

    /// Takes out those that are ready.
    pub fn take(&mut self, ready: impl Fn(&Waiting) -> bool) -> Vec<(u32, Waiting)> {
        let taken: Vec<_> = self
            .requests
            .extract_if(|_, waiting| ready(waiting))
            .collect();
        for (_, waiting) in &taken {
            self.bytes = self.bytes.saturating_sub(waiting.facts.headers.bytes());
            meter::parked(-1);
        }
        taken
    }
}

impl Drop for Parked {
    /// Whoever still waits in a configuration that is gone has left.
    fn drop(&mut self) {
        if let Ok(left @ 1..) = i64::try_from(self.requests.len()) {
            meter::parked(left.saturating_neg());
        }
    }
}
