//! Medians, differences and ratios, as a table in Markdown and as JSON.
//!
//! It knows nothing of how a number was measured. Called by `main.rs`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    contenders::{Contender, NO_FILTER},
    wrk::Run,
};

/// A contender with its runs, one for each round.
pub struct Measured {
    pub contender: Contender,
    pub runs: Vec<Run>,
    /// Requests so far, with those that were not counted.
    pub sent: usize,
}

/// One line of the table. Times are in microseconds.
struct Line<'a> {
    name: &'a str,
    requests_per_second: f64,
    /// From the slowest to the fastest round, as a part of the median.
    spread: f64,
    added_time: f64,
    added_cpu: f64,
    counterpart: Option<&'static str>,
}

// === impl Measured ===

impl Measured {
    pub fn new(contender: Contender) -> Self {
        Measured {
            contender,
            runs: Vec::new(),
            sent: 0,
        }
    }
}

/// The table, and the same as JSON.
pub fn report(measured: &[Measured], about: &[(&str, String)]) -> (String, Value) {
    let none = measured.iter().find(|one| one.contender.name == NO_FILTER);
    let none = none.expect("the contender that all are compared with");
    let lines: Vec<_> = measured.iter().map(|one| line(one, none)).collect();
    let of_counterpart = |line: &Line<'_>, what: fn(&Line<'_>) -> f64| {
        let counterpart = lines.iter().find(|it| Some(it.name) == line.counterpart)?;
        Some(what(line) / what(counterpart))
    };

    let mut table = String::from(
        "| contender | requests/s | spread | added µs (1/rps) | added µs (CPU) | of Envoy's own (1/rps) | (CPU) |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut rows = Vec::new();
    for (line, one) in lines.iter().zip(measured) {
        let by_time = of_counterpart(line, |it| it.added_time);
        let by_cpu = of_counterpart(line, |it| it.added_cpu);
        let ratio = |ratio: Option<f64>| ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let (name, rps, spread) = (line.name, line.requests_per_second, line.spread * 100.0);
        let (time, cpu) = (line.added_time, line.added_cpu);
        let (by_time_text, by_cpu_text) = (ratio(by_time), ratio(by_cpu));
        let _ = writeln!(
            table,
            "| {name} | {rps:.0} | {spread:.0} % | {time:.1} | {cpu:.1} | {by_time_text} | {by_cpu_text} |"
        );
        rows.push(json!({
            "contender": name,
            "requests_per_second": rps,
            "spread": line.spread,
            "added_microseconds": time,
            "added_cpu_microseconds": cpu,
            "counterpart": line.counterpart,
            "ratio": by_time,
            "cpu_ratio": by_cpu,
            "rounds": one.runs.iter().map(|run| json!({
                "requests_per_second": run.requests_per_second,
                "cpu_microseconds": run.cpu_per_request,
            })).collect::<Vec<_>>(),
        }));
    }
    table.push('\n');
    for (what, value) in about {
        let _ = writeln!(table, "{what}: {value}  ");
    }
    let about: serde_json::Map<_, _> = about
        .iter()
        .map(|(what, value)| ((*what).to_owned(), json!(value)))
        .collect();
    (table, json!({"about": about, "results": rows}))
}

fn line<'a>(one: &'a Measured, none: &Measured) -> Line<'a> {
    let rps = |it: &Measured| median(&it.runs, |run| run.requests_per_second);
    let cpu = |it: &Measured| median(&it.runs, |run| run.cpu_per_request);
    let speeds = || one.runs.iter().map(|run| run.requests_per_second);
    let (least, most) = (
        speeds().fold(f64::MAX, f64::min),
        speeds().fold(0.0, f64::max),
    );
    Line {
        name: &one.contender.name,
        requests_per_second: rps(one),
        spread: (most - least) / rps(one),
        added_time: 1e6 / rps(one) - 1e6 / rps(none),
        added_cpu: cpu(one) - cpu(none),
        counterpart: one.contender.counterpart,
    }
}

fn median(runs: &[Run], what: fn(&Run) -> f64) -> f64 {
    let mut values: Vec<_> = runs.iter().map(what).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}
