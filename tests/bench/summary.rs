//! Medians of all rounds, and what is added to a request without a filter.
//!
//! It knows nothing of how a number was measured. Called by `main.rs`; read by `report.rs`,
//! `checklist.rs` and `plots.rs`.

use serde::Serialize;

use crate::{
    contenders::NO_FILTER,
    rounds::Measured,
    wrk::{Latency, Run},
};

/// What was measured in one Envoy.
#[derive(Serialize)]
pub struct Size {
    pub authorities: u32,
    pub rules: usize,
    pub lines: Vec<Line>,
}

/// One contender. Times are in microseconds.
#[derive(Serialize)]
pub struct Line {
    pub contender: String,
    pub counterpart: Option<&'static str>,
    pub requests_per_second: f64,
    /// From the slowest to the fastest round, as a part of the median.
    pub spread: f64,
    pub added_microseconds: f64,
    pub added_cpu_microseconds: f64,
    /// What the authorizer spends, by request.
    pub authorizer_cpu_microseconds: f64,
    /// At a fixed rate.
    pub rate: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub rounds: Vec<Run>,
    pub rounds_at_a_rate: Vec<Latency>,
}

// === impl Size ===

impl Size {
    pub fn new(authorities: u32, rules: usize, measured: &[Measured]) -> Self {
        let none = measured.iter().find(|one| one.contender.name == NO_FILTER);
        let none = none.expect("the contender that all are compared with");
        Size {
            authorities,
            rules,
            lines: measured.iter().map(|one| Line::new(one, none)).collect(),
        }
    }

    pub fn line(&self, contender: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.contender == contender)
    }

    /// What is added to a request by one contender, as a part of what another one adds.
    pub fn ratio(&self, of: &str, to: &str, what: fn(&Line) -> f64) -> Option<f64> {
        Some(what(self.line(of)?) / what(self.line(to)?))
    }
}

// === impl Line ===

impl Line {
    fn new(one: &Measured, none: &Measured) -> Self {
        let rounds = || one.runs.iter().zip(&none.runs);
        // In the same round, since a machine is a slower one a minute later.
        let added =
            |what: fn(&Run) -> f64| median(rounds().map(|(one, none)| what(one) - what(none)));
        let median_run = |what: fn(&Run) -> f64| median(one.runs.iter().map(what));
        let time = |what: fn(&Latency) -> f64| median(one.latencies.iter().map(what));
        let speeds = || one.runs.iter().map(|run| run.requests_per_second);
        let (least, most) = (
            speeds().fold(f64::MAX, f64::min),
            speeds().fold(0.0, f64::max),
        );
        let rps = median_run(|it| it.requests_per_second);
        Line {
            contender: one.contender.name.clone(),
            counterpart: one.contender.counterpart,
            requests_per_second: rps,
            spread: (most - least) / rps,
            added_microseconds: added(|it| 1e6 / it.requests_per_second),
            added_cpu_microseconds: added(|it| it.cpu_microseconds),
            authorizer_cpu_microseconds: median_run(|it| it.authorizer_cpu_microseconds),
            rate: time(|it| it.requests_per_second),
            p50: time(|it| it.p50),
            p99: time(|it| it.p99),
            p999: time(|it| it.p999),
            rounds: one.runs.clone(),
            rounds_at_a_rate: one.latencies.clone(),
        }
    }

    /// What is added, with what the authorizer spends.
    pub fn cpu_with_authorizer(&self) -> f64 {
        self.added_cpu_microseconds + self.authorizer_cpu_microseconds
    }
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = of.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}
