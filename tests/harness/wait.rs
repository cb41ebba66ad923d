//! Bounded waiting: ask often, give up in time.
//!
//! Never sleeps longer than the step between two questions. Used wherever something is about to
//! happen in another process.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How often to ask.
const STEP: Duration = Duration::from_millis(15);

/// The first answer that is there, or `None` when patience ends; asks at least once.
pub fn until<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        match ask() {
            Some(answer) => return Some(answer),
            None if Instant::now() >= deadline => return None,
            None => thread::sleep(STEP),
        }
    }
}

/// Whether something becomes true before patience ends; asks at least once.
pub fn becomes_true(patience: Duration, mut ask: impl FnMut() -> bool) -> bool {
    until(patience, || ask().then_some(())).is_some()
}
