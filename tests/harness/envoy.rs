//! A running Envoy: its ports, its statistics, its log, and updates of its plugin.
//!
//! It is ready when `start` returns and ends when the value is dropped. It judges nothing but the
//! health of the wasm VMs. Started through [`Envoy::builder`], described in `bootstrap.rs`.

use std::{collections::BTreeMap, error::Error, fmt, fs, process::Command, thread, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    bootstrap::Builder,
    client::Client,
    plugin::Plugin,
    process::Process,
    requirements::{Tool, Version},
    wait,
};

/// A running Envoy; dropping it ends it, and prints the end of its log if a test is failing.
pub struct Envoy {
    process: Process,
    admin: Client,
    ports: BTreeMap<String, u16>,
    discovered: Vec<Plugin>,
    /// Bootstrap, watched files and log; removed after the process has ended.
    folder: TempDir,
}

/// What Envoy did with an update of a plugin's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    Accepted,
    Rejected,
}

/// An Envoy that ended, or did not get ready in time, with all that it logged.
pub struct StartFailure {
    pub why: String,
    pub log: String,
}

/// For compiling a module and opening ports on a busy machine.
const START_PATIENCE: Duration = Duration::from_secs(30);
const UPDATE_PATIENCE: Duration = Duration::from_secs(15);
/// For connections to come upon every worker, which the kernel deals out by chance.
/// V8 reserves more than this behind the memory of a VM, in bytes.
const RESERVED: u64 = 1 << 32;
const SPREAD_PATIENCE: Duration = Duration::from_secs(10);
const TAIL: usize = 60;

/// What Envoy or the module logs when a VM has failed. With `FAIL_CLOSED` no statistic tells of
/// it (measured on 1.36 and 1.40), so the log is what counts.
const FAILURE_LINES: [&str; 3] = ["panicked at", "Uncaught RuntimeError", "Function: proxy_"];
/// What `FAIL_RELOAD` adds for each plugin, under `wasm.NAME.`.
const FAILURE_STATS: [&str; 4] = [
    ".vm_reload",
    ".vm_reload_backoff",
    ".vm_reload_failure",
    ".vm_reload_success",
];

// === impl Envoy ===

impl Envoy {
    pub fn builder(version: Version) -> Builder {
        Builder::new(version)
    }

    pub(super) fn start(builder: Builder) -> Result<Self, StartFailure> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file in a temporary folder");
            path
        };
        for plugin in builder.discovered() {
            plugin
                .publish(folder.path())
                .expect("a file in a temporary folder");
        }
        let bootstrap = write(
            "bootstrap.json",
            format!("{:#}", builder.json(folder.path())),
        );
        let admin_address = folder.path().join("admin-address");
        let program = Tool::Envoy(builder.version).path();
        let mut command = Command::new(&program);
        command.arg("--config-path").arg(bootstrap);
        command.arg("--admin-address-path").arg(&admin_address);
        command.args(["--disable-hot-restart", "--log-level", "info"]);
        // What `main` says at info is its list of extensions, which nobody looks for here.
        let levels = format!("main:warning,{}", builder.component_log_level);
        command.args(["--component-log-level", &levels]);
        command.args(["--concurrency", &builder.concurrency.to_string()]);
        let mut process = Process::start(&mut command, &folder.path().join("envoy.log"))
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));

        let outcome = wait::until(START_PATIENCE, || {
            if let Some(status) = process.ended() {
                return Some(Err(format!("Envoy ended with {status}")));
            }
            let address = fs::read_to_string(&admin_address).ok()?;
            let admin = Client::new(address.trim().rsplit_once(':')?.1.parse().ok()?);
            let ready = admin.get("/ready").send().ok()?.status == 200;
            ready.then_some(Ok(admin))
        });
        let outcome =
            outcome.unwrap_or_else(|| Err(format!("Envoy was not ready in {START_PATIENCE:?}")));
        let admin = outcome.map_err(|why| StartFailure {
            why,
            log: process.log(),
        })?;
        let ports = listener_ports(&admin);
        for name in builder.listeners() {
            assert!(
                ports.contains_key(name),
                "no listener `{name}`; there are {ports:?}\n{}",
                process.log()
            );
        }
        let mut discovered: Vec<Plugin> = builder.discovered().cloned().collect();
        discovered.dedup_by(|one, other| one.name == other.name);
        Ok(Envoy {
            process,
            admin,
            ports,
            discovered,
            folder,
        })
    }

    /// The port of this listener.
    pub fn port(&self, listener: &str) -> u16 {
        *self
            .ports
            .get(listener)
            .unwrap_or_else(|| panic!("no listener `{listener}`"))
    }

    /// A client of this listener.
    pub fn client(&self, listener: &str) -> Client {
        Client::new(self.port(listener))
    }

    /// Clients with a connection each, at least one of them on each of so many workers. Each has
    /// sent a request; the listener must be the only one that has connections.
    pub fn clients_on_every_worker(&self, listener: &str, workers: u32) -> Vec<Client> {
        let mut clients = Vec::new();
        let connected = |stats: &BTreeMap<String, i64>, worker: u32| {
            let end = format!(".worker_{worker}.downstream_cx_active");
            let mut stats = stats.iter();
            stats.any(|(name, value)| {
                name.starts_with("listener.127") && name.ends_with(&end) && *value > 0
            })
        };
        let all = wait::becomes_true(SPREAD_PATIENCE, || {
            let client = self.client(listener);
            client.get("/").send().expect("an answer");
            clients.push(client);
            let stats = self.stats();
            (0..workers).all(|worker| connected(&stats, worker))
        });
        let count = clients.len();
        assert!(
            all,
            "{count} connections are not spread over {workers} workers"
        );
        clients
    }

    /// A client of the admin port.
    pub fn admin(&self) -> &Client {
        &self.admin
    }

    /// The identifier of the process, for measuring it.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The memory of the process that is in use; nothing where the system does not tell.
    pub fn resident_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// The memory of each VM, the largest first; nothing where the system does not tell. That of
    /// WebAssembly is what stands before gigabytes of addresses that V8 has reserved for it.
    pub fn vm_memories_kib(&self) -> Option<Vec<u64>> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid())).ok()?;
        let mapping = |line: &str| {
            let (start, rest) = line.split_once('-')?;
            let (end, rest) = rest.split_once(' ')?;
            let address = |text| u64::from_str_radix(text, 16).ok();
            Some((address(start)?, address(end)?, rest.starts_with("rw-p")))
        };
        let mappings: Vec<_> = maps.lines().filter_map(mapping).collect();
        let memories = mappings.windows(2).filter_map(|two| match two {
            [(start, end, true), (reserved, until, false)]
                if end == reserved && until - reserved > RESERVED =>
            {
                Some((end - start) / 1024)
            }
            _ => None,
        });
        let mut memories: Vec<_> = memories.collect();
        memories.sort_unstable_by(|one, other| other.cmp(one));
        assert!(!memories.is_empty(), "no memory of WebAssembly is found");
        Some(memories)
    }

    /// All counters and gauges; panics if Envoy does not tell them, as one that has ended.
    pub fn stats(&self) -> BTreeMap<String, i64> {
        let answer = self.admin.get("/stats").send();
        let text = answer.expect("an answer of Envoy's admin port").text();
        let pairs = text.lines().filter_map(|line| line.rsplit_once(": "));
        pairs
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// The page that Prometheus reads.
    pub fn prometheus(&self) -> String {
        let answer = self.admin.get("/stats/prometheus").send();
        answer.expect("an answer of Envoy's admin port").text()
    }

    /// One counter or gauge; 0 if Envoy does not have it (yet).
    pub fn stat(&self, name: &str) -> i64 {
        self.stats().get(name).copied().unwrap_or(0)
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until the log holds this text; panics if it does not in time.
    pub fn wait_for_log(&self, text: &str, patience: Duration) {
        let found = wait::becomes_true(patience, || self.log().contains(text));
        assert!(found, "after {patience:?} the log does not hold `{text}`");
    }

    /// Waits until a statistic has such a value and returns it; panics if it has not in time.
    pub fn wait_for_stat(
        &self,
        name: &str,
        wanted: impl Fn(i64) -> bool,
        patience: Duration,
    ) -> i64 {
        let found = wait::until(patience, || {
            Some(self.stat(name)).filter(|value| wanted(*value))
        });
        found.unwrap_or_else(|| panic!("after {patience:?} `{name}` is {}", self.stat(name)))
    }

    /// Gives the discovered plugin another configuration and waits for what Envoy says to it.
    ///
    /// Workers follow within milliseconds of `Accepted`, not before it.
    pub fn update_plugin(&self, configuration: &Value) -> Update {
        self.update_plugin_text(&configuration.to_string())
    }

    /// The same for a text that need not be JSON.
    pub fn update_plugin_text(&self, configuration: &str) -> Update {
        let [plugin] = self.discovered.as_slice() else {
            panic!(
                "one discovered plugin is needed, there are {}",
                self.discovered.len()
            );
        };
        self.update(plugin, configuration)
    }

    /// The same for one of several discovered plugins.
    pub fn update_plugin_named(&self, name: &str, configuration: &Value) -> Update {
        let found = self.discovered.iter().find(|plugin| plugin.name == name);
        let plugin = found.unwrap_or_else(|| panic!("no discovered plugin `{name}`"));
        self.update(plugin, &configuration.to_string())
    }

    fn update(&self, plugin: &Plugin, configuration: &str) -> Update {
        let count = |stats: &BTreeMap<String, i64>, what: &str| {
            let name = format!(
                "extension_config_discovery.http_filter.{}.{what}",
                plugin.name
            );
            stats.get(&name).copied().unwrap_or(0)
        };
        let before = self.stats();
        let plugin_now = plugin.clone().configuration(configuration);
        plugin_now
            .publish(self.folder.path())
            .expect("a file in a temporary folder");
        let update = wait::until(UPDATE_PATIENCE, || {
            let now = self.stats();
            let rose = |what| count(&now, what) > count(&before, what);
            match (rose("update_rejected"), rose("update_success")) {
                (true, _) => Some(Update::Rejected),
                (false, true) => Some(Update::Accepted),
                (false, false) => None,
            }
        });
        update.unwrap_or_else(|| panic!("Envoy took no notice of an update in {UPDATE_PATIENCE:?}"))
    }

    /// What tells that a wasm VM has failed since the start: lines of the log, and counters.
    pub fn wasm_failures(&self) -> Vec<String> {
        let log = self.log();
        let mut found: Vec<String> = log
            .lines()
            .filter(|line| FAILURE_LINES.iter().any(|text| line.contains(text)))
            .map(str::to_owned)
            .collect();
        let counted = self.stats().into_iter().filter(|(name, value)| {
            name.starts_with("wasm.")
                && *value > 0
                && FAILURE_STATS.iter().any(|end| name.ends_with(end))
        });
        found.extend(counted.map(|(name, value)| format!("{name}: {value}")));
        found
    }

    /// Panics if a wasm VM has failed since the start, with what tells so.
    pub fn assert_no_wasm_failures(&self) {
        let found = self.wasm_failures();
        assert!(
            found.is_empty(),
            "a wasm VM has failed:\n{}",
            found.join("\n")
        );
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "--- the end of Envoy's log ---\n{}\n---",
                self.process.log_tail(TAIL)
            );
        }
    }
}

fn listener_ports(admin: &Client) -> BTreeMap<String, u16> {
    let answer = admin
        .get("/listeners?format=json")
        .send()
        .expect("an answer of Envoy's admin port");
    let statuses = answer.json()["listener_statuses"].take();
    let port = |status: &Value| {
        let port = status["local_address"]["socket_address"]["port_value"].as_u64()?;
        Some((status["name"].as_str()?.to_owned(), port.try_into().ok()?))
    };
    statuses
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(port)
        .collect()
}

// === impl StartFailure ===

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; its log:\n{}", self.why, self.log)
    }
}

impl fmt::Debug for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for StartFailure {}
