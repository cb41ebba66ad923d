//! Drives wrk against one listener, and counts the CPU time that Envoy spends meanwhile.
//!
//! Envoy has one core to itself and wrk another, so that neither takes time from the other. A run
//! with a single request that failed is no measurement: it panics. Called by `main.rs`.

use std::{path::Path, process::Command};

use serde::Deserialize;

use crate::{harness::Envoy, usage};

/// What one run measured.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub requests_per_second: f64,
    /// CPU time of all of Envoy's threads, in microseconds.
    pub cpu_per_request: f64,
    pub requests: usize,
}

/// Where and what to send.
pub struct Target<'a> {
    pub envoy: &'a Envoy,
    pub listener: &'a str,
    pub authority: &'a str,
    pub path: &'a str,
    /// A token on each line.
    pub tokens: &'a Path,
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
}

const WRKS_CORE: &str = "1";
const CONNECTIONS: &str = "-c16";

/// Sends as many requests as Envoy answers for so many seconds.
pub fn run(target: &Target<'_>, seconds: u32) -> Run {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/rotate.lua");
    let port = target.envoy.port(target.listener);
    let before = usage::cpu_nanoseconds(target.envoy.pid());
    let output = Command::new("taskset")
        .args(["-c", WRKS_CORE, "wrk", "-t1", CONNECTIONS])
        .args(["-d", &format!("{seconds}s"), "-s"])
        .arg(script)
        .arg(format!("http://127.0.0.1:{port}{}", target.path))
        .arg("--")
        .arg(target.tokens)
        .arg(target.start.to_string())
        .arg(target.authority)
        .output()
        .expect("wrk can be started");
    let cpu = usage::cpu_nanoseconds(target.envoy.pid()) - before;

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
    let requests = summary.requests as f64;
    Run {
        requests_per_second: requests / (summary.microseconds / 1e6),
        cpu_per_request: cpu as f64 / 1e3 / requests,
        requests: summary.requests,
    }
}
