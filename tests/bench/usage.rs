//! What a process uses of the machine: which core, how much CPU time and memory; as Linux tells it.

use std::{fs, process::Command};

use crate::harness::Envoy;

/// CPU time that has gone by so far, of all cores, in seconds.
#[derive(Clone, Copy)]
pub struct Elsewhere {
    /// What other guests of the same host have taken.
    pub other_guests: f64,
    /// What other programs of this machine have, so what neither this one nor its children have.
    pub other_programs: f64,
}

/// What is measured has a core to itself; what causes it, and what it asks, has the other.
pub const MEASURED_CORE: &str = "0";
pub const LOADS_CORE: &str = "1";

// === impl Elsewhere ===

impl Elsewhere {
    /// Until now; `child` is one that is still running.
    pub fn so_far(child: &Envoy) -> Self {
        // cpu user nice system idle iowait irq softirq steal
        let all = ticks("/proc/stat", "cpu ");
        // Of /proc/self/stat behind the name, from the third field on: time of this process and of
        // its children that have ended, in user mode and in the kernel.
        let own = ticks("/proc/self/stat", ") ");
        let busy: f64 = [0, 1, 2, 5, 6].iter().map(|field| all[*field]).sum();
        let own: f64 = own[11..15].iter().sum();
        Elsewhere {
            other_guests: all[7],
            other_programs: busy - own - cpu_nanoseconds(child.pid()) as f64 / 1e9,
        }
    }
}

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

/// The memory that an Envoy holds, in MiB.
pub fn resident_mebibytes(envoy: &Envoy) -> f64 {
    envoy
        .resident_kib()
        .map_or(f64::NAN, |kib| kib as f64 / 1024.0)
}

/// The numbers behind a text in the first line of a file, in seconds if they are ticks of a clock.
fn ticks(file: &str, behind: &str) -> Vec<f64> {
    /// USER_HZ, which is 100 wherever Linux runs.
    const EACH_SECOND: f64 = 100.0;
    let text = fs::read_to_string(file).expect("a file that Linux has");
    let line = text.lines().next().unwrap_or_default();
    let (_, numbers) = line.split_once(behind).expect("the format of proc(5)");
    let numbers = numbers.split_whitespace();
    numbers
        .map(|number| number.parse::<f64>().unwrap_or(f64::NAN) / EACH_SECOND)
        .collect()
}
