//! A running httpbin, the real one, as the workload behind the gateway.
//!
//! It keeps nothing between requests, so all tests of a process share one.

use std::{
    process::Command,
    sync::Arc,
    sync::{Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tempfile::TempDir;

use super::{process::Process, requirements::Tool, wait};

/// A running httpbin; dropping it ends it.
pub struct Httpbin {
    port: u16,
    process: Process,
    /// Holds the log; removed after the process has ended.
    _folder: TempDir,
}

/// How long a Python server may take to come up on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The httpbin that is running in this process already, or a new one.
///
/// It ends with its last user: a `static` would never be dropped and leave the process behind.
pub fn shared() -> Arc<Httpbin> {
    static RUNNING: Mutex<Weak<Httpbin>> = Mutex::new(Weak::new());
    let mut running: MutexGuard<'_, Weak<Httpbin>> =
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.upgrade().unwrap_or_else(|| {
        let httpbin = Arc::new(Httpbin::start());
        *running = Arc::downgrade(&httpbin);
        httpbin
    })
}

// === impl Httpbin ===

impl Httpbin {
    /// Starts it on a free port; it answers when this returns.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = Tool::Httpbin.path();
        let mut command = Command::new(&program);
        command.args(["--listen=127.0.0.1:0", "httpbin:app"]);
        let mut process = Process::start(&mut command, &folder.path().join("httpbin.log"))
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        // The line comes after the socket listens.
        let port = wait::until(PATIENCE, || {
            assert!(
                process.ended().is_none(),
                "httpbin ended:\n{}",
                process.log_tail(20)
            );
            let log = process.log();
            let (_, rest) = log.split_once("Serving on http://127.0.0.1:")?;
            rest.split_once('\n')?.0.trim().parse().ok()
        });
        let Some(port) = port else {
            panic!(
                "httpbin did not say its port in {PATIENCE:?}:\n{}",
                process.log_tail(20)
            );
        };
        Httpbin {
            port,
            process,
            _folder: folder,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
