//! Drives wrk against one listener, as fast as it answers or at a rate, and counts CPU time meanwhile.
//!
//! Envoy has one core to itself and wrk another, so that neither takes time from the other. A run
//! with a single request that failed is no measurement: it panics. Called by `rounds.rs`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};

use crate::{harness::Envoy, usage};

/// What one run at full speed measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Run {
    pub requests: usize,
    pub requests_per_second: f64,
    /// CPU time of all of Envoy's threads by request, in microseconds.
    pub cpu_microseconds: f64,
    /// The same of the authorizer's.
    pub authorizer_cpu_microseconds: f64,
}

/// What one run at a rate measured, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    pub requests: usize,
    /// What the rate was in truth.
    pub requests_per_second: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

/// Where and what to send.
pub struct Target<'a> {
    pub envoy: &'a Envoy,
    pub authorizer: &'a Envoy,
    pub listener: &'a str,
    pub authority: &'a str,
    pub path: &'a str,
    /// A token on each line.
    pub tokens: PathBuf,
    /// The line to begin with; it may be beyond the last.
    pub start: usize,
}

/// What `rotate.lua` prints.
#[derive(Deserialize)]
struct Summary {
    requests: usize,
    microseconds: f64,
    non_2xx: usize,
    socket_errors: usize,
    p50: f64,
    p99: f64,
    p999: f64,
}

const CONNECTIONS: u32 = 16;
/// So many that one that waits for an answer hardly changes the rate.
const CONNECTIONS_AT_A_RATE: u32 = 64;

/// Sends as many requests as Envoy answers for so many seconds.
pub fn at_full_speed(target: &Target<'_>, seconds: u32) -> Run {
    let spent = |envoy: &Envoy| usage::cpu_nanoseconds(envoy.pid());
    let before = [target.envoy, target.authorizer].map(spent);
    let summary = run(target, seconds, None);
    let after = [target.envoy, target.authorizer].map(spent);
    let requests = summary.requests as f64;
    let cpu = |which: usize| (after[which] - before[which]) as f64 / 1e3 / requests;
    Run {
        requests: summary.requests,
        requests_per_second: summary.requests_per_second(),
        cpu_microseconds: cpu(0),
        authorizer_cpu_microseconds: cpu(1),
    }
}

/// Sends so many requests each second, whose times do not depend on when others are answered.
pub fn at_rate(target: &Target<'_>, seconds: u32, rate: u32) -> Latency {
    let summary = run(target, seconds, Some(rate));
    Latency {
        requests: summary.requests,
        requests_per_second: summary.requests_per_second(),
        p50: summary.p50,
        p99: summary.p99,
        p999: summary.p999,
    }
}

fn run(target: &Target<'_>, seconds: u32, rate: Option<u32>) -> Summary {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/rotate.lua");
    let port = target.envoy.port(target.listener);
    let connections = rate.map_or(CONNECTIONS, |_| CONNECTIONS_AT_A_RATE);
    let mut command = Command::new("taskset");
    command.env_remove("MEAN_PAUSE");
    if let Some(rate) = rate {
        let pause = f64::from(connections) * 1e3 / f64::from(rate);
        command.env("MEAN_PAUSE", pause.to_string());
    }
    let output = command
        .args(["-c", usage::LOADS_CORE, "wrk", "-t1"])
        .args(["-c", &connections.to_string()])
        .args(["-d", &format!("{seconds}s"), "-s"])
        .arg(script)
        .arg(format!("http://127.0.0.1:{port}{}", target.path))
        .arg("--")
        .arg(&target.tokens)
        .arg(target.start.to_string())
        .arg(target.authority)
        .output()
        .expect("wrk can be started");

    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("bench "));
    let summary = line.and_then(|line| serde_json::from_str::<Summary>(line).ok());
    let Some(summary) = summary else {
        let errors = String::from_utf8_lossy(&output.stderr);
        panic!("wrk ended with {}:\n{text}{errors}", output.status);
    };
    assert!(
        summary.requests > 0 && summary.non_2xx == 0 && summary.socket_errors == 0,
        "{}: nothing is measured by requests that fail:\n{text}",
        target.listener
    );
    summary
}

// === impl Summary ===

impl Summary {
    fn requests_per_second(&self) -> f64 {
        self.requests as f64 / (self.microseconds / 1e6)
    }
}
