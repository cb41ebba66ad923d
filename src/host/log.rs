//! Log lines through the host, and the last words of a module that fails.
//!
//! What is logged is the business of whoever logs: names of rules, reasons, never a token.

use super::abi::{self, LogLevel};
use log::{Level, LevelFilter, Log, Metadata, Record};

struct HostLog;

/// Has every log line, and every panic, told to the host.
pub fn start() {
    // There is no other logger in this module.
    let _ = log::set_logger(&HostLog);
    log::set_max_level(LevelFilter::Debug);
    std::panic::set_hook(Box::new(|info| {
        abi::log(LogLevel::Critical, &info.to_string());
    }));
}

/// Follows the level at which the host logs, so that what nobody reads is not even thought of.
pub fn follow_host() {
    log::set_max_level(match abi::logs_debug() {
        true => LevelFilter::Debug,
        false => LevelFilter::Info,
    });
}

// === impl HostLog ===

impl Log for HostLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let level = match record.level() {
                Level::Error => LogLevel::Error,
                Level::Warn => LogLevel::Warn,
                Level::Info => LogLevel::Info,
                Level::Debug | Level::Trace => LogLevel::Debug,
            };
            abi::log(level, &record.args().to_string());
        }
    }

    fn flush(&self) {}
}
