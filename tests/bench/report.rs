//! All that was found, as tables in Markdown and as JSON.
//!
//! It knows nothing of how a number was measured. Called by `main.rs`.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    checklist::Check,
    contenders::ASKING,
    memory::Memory,
    summary::{Line, Size},
};

/// The whole result.
#[derive(Serialize)]
pub struct Report {
    pub about: Vec<(&'static str, String)>,
    pub sizes: Vec<Size>,
    pub memory: Vec<Memory>,
    pub checklist: Vec<Check>,
}

const HEAD: &str = "\
    | contender | requests/s | spread | added µs (1/rps) | added µs (CPU) \
    | of Envoy's own (1/rps) | (CPU) | p50 µs | p99 µs | p99.9 µs |\n\
    |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n";

const MEMORY_HEAD: &str = "\
    | memory, MiB | authorities | one worker | another worker | 9,000 tokens in a worker |\n\
    |---|---:|---:|---:|---:|\n";

const CHECKLIST_HEAD: &str = "| to reach | target | measured | |\n|---|---|---:|---|\n";

// === impl Report ===

impl Report {
    pub fn json(&self) -> String {
        let json = serde_json::to_string_pretty(self).expect("numbers and texts");
        json + "\n"
    }

    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for size in &self.sizes {
            text.push_str(&size.markdown());
        }
        if !self.memory.is_empty() {
            text.push_str(MEMORY_HEAD);
            text.extend(self.memory.iter().map(Memory::markdown));
            text.push('\n');
        }
        text.push_str(CHECKLIST_HEAD);
        text.extend(self.checklist.iter().map(Check::markdown));
        text.push('\n');
        for (what, value) in &self.about {
            let _ = writeln!(text, "{what}: {value}  ");
        }
        text
    }
}

// === impl Size ===

impl Size {
    fn markdown(&self) -> String {
        let rules = match self.authorities {
            1 => "One authority with one rule".to_owned(),
            many => format!("{many} authorities, {} rules", self.rules),
        };
        let rates = || self.lines.iter().map(|line| line.rate);
        let (least, most) = (
            rates().fold(f64::MAX, f64::min),
            rates().fold(0.0, f64::max),
        );
        let mut text = format!("{rules}; latency at {least:.0} to {most:.0} requests/s:\n\n{HEAD}");
        for line in &self.lines {
            text.push_str(&self.row(line));
        }
        text.push('\n');
        if let Some(asking) = self.line(ASKING) {
            let (envoys, authorizers) = (
                asking.added_cpu_microseconds,
                asking.authorizer_cpu_microseconds,
            );
            let both = asking.cpu_with_authorizer();
            let _ = writeln!(
                text,
                "{ASKING}: {envoys:.1} µs of Envoy's CPU time and {authorizers:.1} µs of the \
                 authorizer's, {both:.1} µs together.\n",
            );
        }
        text
    }

    fn row(&self, line: &Line) -> String {
        let ratio = |what: fn(&Line) -> f64| {
            let counterpart = line.counterpart?;
            let ratio = self.ratio(&line.contender, counterpart, what)?;
            Some(rounded(ratio))
        };
        let by_time = ratio(|it| it.added_microseconds).unwrap_or_default();
        let by_cpu = ratio(|it| it.added_cpu_microseconds).unwrap_or_default();
        let Line {
            contender,
            requests_per_second,
            added_microseconds: time,
            added_cpu_microseconds: cpu,
            p50,
            p99,
            p999,
            ..
        } = line;
        let spread = line.spread * 100.0;
        format!(
            "| {contender} | {requests_per_second:.0} | {spread:.0} % | {time:.1} | {cpu:.1} \
             | {by_time} | {by_cpu} | {p50:.0} | {p99:.0} | {p999:.0} |\n"
        )
    }
}

// === impl Memory ===

impl Memory {
    fn markdown(&self) -> String {
        let Memory {
            contender,
            authorities,
            first_worker_mebibytes: first,
            further_worker_mebibytes: further,
            tokens_mebibytes: tokens,
        } = self;
        format!("| {contender} | {authorities} | {first:.1} | {further:.1} | {tokens:.1} |\n")
    }
}

// === impl Check ===

impl Check {
    fn markdown(&self) -> String {
        let Check {
            what, target, unit, ..
        } = self;
        let measured = match self.measured {
            Some(measured) => rounded(measured) + unit,
            None => String::new(),
        };
        let verdict = self.verdict();
        format!("| {what} | {target}{unit} | {measured} | {verdict} |\n")
    }
}

/// With two digits behind the point, or with as many as leave two that are not 0.
fn rounded(number: f64) -> String {
    if number.abs() < 0.1 {
        format!("{number:.4}")
    } else {
        format!("{number:.2}")
    }
}
