//! What whoever starts the benchmark chooses, by variables of the environment; see `README.md`.

use std::{env, path::PathBuf};

use crate::harness::environment;

/// How long, how fast, and what.
pub struct Settings {
    pub rounds: u32,
    pub seconds: u32,
    /// Requests each second where latency is measured.
    pub rate: u32,
    /// Contenders whose name contains this, and no filter.
    pub only: String,
    /// How many there are; each is measured in an Envoy of its own.
    pub authorities: Vec<u32>,
    /// Other builds of the plugin.
    pub modules: Vec<PathBuf>,
}

// === impl Settings ===

impl Settings {
    /// Panics at what is no number.
    pub fn from_environment() -> Self {
        let text = |name: &str| env::var(name).unwrap_or_default();
        Settings {
            rounds: environment::number("BENCH_ROUNDS", 5),
            seconds: environment::number("BENCH_SECONDS", 1),
            rate: environment::number("BENCH_RATE", 1_000),
            only: text("BENCH_ONLY"),
            authorities: environment::numbers("BENCH_AUTHORITIES", &[1, 100, 1_000]),
            modules: text("BENCH_MODULES")
                .split_whitespace()
                .map(PathBuf::from)
                .collect(),
        }
    }

    /// Whether the contender of this name takes part.
    pub fn chooses(&self, name: &str) -> bool {
        name.contains(&self.only)
    }
}
