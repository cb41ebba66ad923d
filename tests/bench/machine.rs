//! Where, with what and when a benchmark ran, so that its numbers can be told from others.

use std::{env, fs, process::Command, time::SystemTime};

use crate::harness::Envoy;

/// The processor, its cores, and the kernel.
pub fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut models = text.lines().filter(|line| line.starts_with("model name"));
    let model = models.next().and_then(|line| line.split_once(": "));
    let model = model.map_or(env::consts::ARCH, |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.split('-').next().unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}

/// The exact version of a running Envoy.
pub fn envoys_version(envoy: &Envoy) -> String {
    let info = envoy.admin().get("/server_info").send();
    let json = info.expect("an answer of Envoy's admin port").json();
    // COMMIT/VERSION/STATE/BUILD/TLS
    let version = json["version"].as_str().unwrap_or_default();
    version.split('/').nth(1).unwrap_or(version).to_owned()
}

/// The version of wrk.
pub fn wrks_version() -> String {
    let text = output("wrk", &["--version"]);
    text.split_whitespace()
        .nth(1)
        .unwrap_or("unknown")
        .to_owned()
}

/// The commit that lies here; the module in `dist` may be older.
pub fn commit() -> String {
    let commit = output("git", &["describe", "--always", "--dirty"]);
    match commit.trim() {
        "" => "unknown".to_owned(),
        commit => commit.to_owned(),
    }
}

pub fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.chars().take_while(|letter| *letter != 'T').collect()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).into_owned()
    })
}
