//! What a process uses of the machine: which core, how much CPU time and memory; as Linux tells it.

use std::{fs, process::Command};

use crate::harness::Envoy;

/// What is measured has a core to itself; what causes it, and what it asks, has the other.
pub const MEASURED_CORE: &str = "0";
pub const LOADS_CORE: &str = "1";

/// Gives an Envoy one core for all its threads.
pub fn pin(envoy: &Envoy, core: &str) {
    let pid = envoy.pid().to_string();
    let output = Command::new("taskset")
        .args(["-a", "-c", "-p", core, &pid])
        .output()
        .expect("taskset can be started");
    assert!(
        output.status.success(),
        "taskset: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The CPU time of every thread of a process so far.
pub fn cpu_nanoseconds(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a running process on Linux");
    let times = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    times.sum()
}

/// The CPU time that other guests of the same host have taken from all cores so far, in seconds.
pub fn stolen_seconds() -> f64 {
    /// What `/proc/stat` counts in: USER_HZ, which is 100 wherever Linux runs.
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let total = text
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(8));
    total
        .and_then(|ticks| ticks.parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        / TICKS
}

/// The memory that an Envoy holds, in MiB.
pub fn resident_mebibytes(envoy: &Envoy) -> f64 {
    envoy
        .resident_kib()
        .map_or(f64::NAN, |kib| kib as f64 / 1024.0)
}
