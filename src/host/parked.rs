//! Requests that wait for keys: each owns a copy of its headers, has a deadline, and is forgotten when
//! its client leaves.
//!
//! [`super::http`] parks them, [`super::root`] takes them out again. Bounded in number and in bytes.

use super::http::Gathered;
use super::root::SOON;
use super::{abi, meter};
use crate::config::Limits;
use crate::decide::Answers;
use crate::keys::SourceId;
use std::collections::BTreeMap;
use std::time::Duration;

/// The waiting requests of a configuration on one worker, by the context of their stream.
pub struct Parked {
    requests: BTreeMap<u32, Waiting>,
    bytes: usize,
    most: usize,
    /// No request waits longer, whatever happens to what it waits for.
    longest: Duration,
}

/// A request that waits.
pub struct Waiting {
    pub facts: Gathered,
    pub answers: Answers,
    /// Whose keys it waits for.
    pub source: SourceId,
    /// As time since the Unix epoch.
    pub deadline: Duration,
}

const MAX_BYTES: usize = 16 * 1024 * 1024;

// === impl Parked ===

impl Parked {
    pub fn new(limits: &Limits) -> Self {
        Self {
            requests: BTreeMap::new(),
            bytes: 0,
            most: limits.parked_requests,
            longest: limits.parked_for,
        }
    }

    /// Keeps a request until its keys are there. `false` if too many wait already.
    #[must_use]
    pub fn park(
        &mut self,
        id: u32,
        facts: Gathered,
        answers: Answers,
        source: SourceId,
        now: Duration,
    ) -> bool {
        let bytes = self.bytes.saturating_add(facts.headers.bytes());
        if self.requests.len() >= self.most || bytes > MAX_BYTES {
            return false;
        }
        self.bytes = bytes;
        let deadline = now.saturating_add(self.longest);
        self.requests.insert(
            id,
            Waiting {
                facts,
                answers,
                source,
                deadline,
            },
        );
        meter::parked(1);
        // The root fetches on its tick, in its own context.
        abi::set_tick_period(SOON);
        true
    }

    /// Forgets a request whose client has left.
    pub fn forget(&mut self, id: u32) {
        if let Some(waiting) = self.requests.remove(&id) {
            self.bytes = self.bytes.saturating_sub(waiting.facts.headers.bytes());
            meter::parked(-1);
        }
    }

    /// Takes out those that are ready.
    pub fn take(&mut self, ready: impl Fn(&Waiting) -> bool) -> Vec<(u32, Waiting)> {
        let taken: Vec<_> = self
            .requests
            .extract_if(.., |_, waiting| ready(waiting))
            .collect();
        for (_, waiting) in &taken {
            self.bytes = self.bytes.saturating_sub(waiting.facts.headers.bytes());
            meter::parked(-1);
        }
        taken
    }
}
