//! A running web server, Python's own, that has the module for whoever fetches it.
//!
//! What it was asked for is in its log. Used where Envoy fetches the module instead of reading it.

use std::{fs, process::Command, time::Duration};

use superboring::reexports::hmac_sha256::Hash;
use tempfile::TempDir;

use super::{plugin::Fetched, process::Process, requirements::Tool, wait};

/// A running server; dropping it ends it.
pub struct ModuleServer {
    port: u16,
    process: Process,
    /// Holds the log; removed after the process has ended.
    _folder: TempDir,
}

/// The cluster by which Envoy reaches it.
pub const MODULES: &str = "modules";

const PATIENCE: Duration = Duration::from_secs(30);

// === impl ModuleServer ===

impl ModuleServer {
    /// Starts it on a free port, with the folder of the built module; it answers when this returns.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let module = Tool::Plugin.path();
        let mut command = Command::new("python3");
        command
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
            .arg("--directory")
            .args(module.parent());
        let mut process = Process::start(&mut command, &folder.path().join("modules.log"))
            .unwrap_or_else(|error| panic!("cannot start python3: {error}"));
        // The line comes after the socket listens.
        let port = wait::until(PATIENCE, || {
            let ended = process.ended();
            assert!(ended.is_none(), "ended:\n{}", process.log_tail(20));
            let log = process.log();
            let (_, rest) = log.split_once("Serving HTTP on 127.0.0.1 port ")?;
            rest.split_once(' ')?.0.parse().ok()
        });
        ModuleServer {
            port: port.expect("a web server that starts"),
            process,
            _folder: folder,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The built module, with its checksum.
    pub fn module(&self) -> Fetched {
        let module = Tool::Plugin.path();
        let bytes = fs::read(&module).expect("the built module");
        let sha256 = Hash::hash(&bytes).into_iter();
        let sha256 = sha256.map(|byte| format!("{byte:02x}")).collect();
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        Fetched {
            url: format!("http://127.0.0.1:{}/{name}", self.port),
            cluster: MODULES,
            sha256,
        }
    }

    /// What it was asked for, and what it answered, line by line.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
