//! How far long work has come: shown on standard error, only on a terminal, and only after a while.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// How far some work has come. Dropped, it leaves no trace.
pub(super) struct Progress {
    bar: ProgressBar,
    since: Instant,
}

/// Work that takes no longer needs no word.
const PATIENCE: Duration = Duration::from_secs(1);

// === impl Progress ===

impl Progress {
    /// Work in so many parts, which are called `parts`.
    pub(super) fn of(count: usize, parts: &str) -> Self {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::hidden());
        bar.set_message(parts.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            since: Instant::now(),
        }
    }

    /// One part more is done.
    pub(super) fn step(&self) {
        if self.bar.is_hidden() && self.since.elapsed() > PATIENCE {
            // Hidden all the same where standard error is no terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
