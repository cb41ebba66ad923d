//! Something that changes while requests are under way, and what it may have been for one of them.
//!
//! A change takes time: from its begin until it has settled, either value may count. That is the whole
//! of what a soak does not know; nowhere else is an answer given the benefit of the doubt.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// A value, and all its changes so far.
pub struct Switch<T>(Mutex<Vec<Change<T>>>);

struct Change<T> {
    value: T,
    begun: Instant,
    /// Since when no earlier value counts; not yet, while the change is under way.
    settled: Option<Instant>,
}

// === impl Switch ===

impl<T: Copy + PartialEq> Switch<T> {
    pub fn new(value: T) -> Self {
        let now = Instant::now();
        Switch(Mutex::new(vec![Change {
            value,
            begun: now,
            settled: Some(now),
        }]))
    }

    /// Makes the value another by this act; it has settled so long after the act has ended.
    pub fn change<R>(&self, value: T, settles_in: Duration, act: impl FnOnce() -> R) -> R {
        self.changes().push(Change {
            value,
            begun: Instant::now(),
            settled: None,
        });
        let result = act();
        if let Some(change) = self.changes().last_mut() {
            change.settled = Some(Instant::now() + settles_in);
        }
        result
    }

    /// Every value that may have counted at some time between these.
    pub fn between(&self, from: Instant, to: Instant) -> Vec<T> {
        let changes = self.changes();
        let mut values = Vec::new();
        // From the last, until one had settled before.
        for change in changes.iter().rev().filter(|change| change.begun <= to) {
            if !values.contains(&change.value) {
                values.push(change.value);
            }
            if change.settled.is_some_and(|settled| settled <= from) {
                break;
            }
        }
        values
    }

    /// Whether this is the value, and has been since so long ago.
    pub fn is(&self, value: T) -> bool {
        let now = Instant::now();
        self.between(now, now) == [value]
    }

    /// When the last change had settled.
    pub fn settled(&self) -> Option<Instant> {
        self.changes().last()?.settled
    }

    fn changes(&self) -> MutexGuard<'_, Vec<Change<T>>> {
        self.0.lock().expect("no panic while held")
    }
}
