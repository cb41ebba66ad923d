//! The command: its arguments, its verbs, its exit codes. Native only.
//!
//! It runs the plugin's own core on configurations and requests that an operator gives it; nothing
//! that decides anything is written here a second time.

pub mod cases;
mod check;
mod explain;
mod request;
mod test;
mod worker;

use clap::{Parser, Subcommand};
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;

/// How the command ended; scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// It could not do what it was asked to.
    CouldNotRun = 1,
    /// A request is refused.
    Refused = 2,
    /// A configuration has faults.
    InvalidConfiguration = 3,
    /// A case did not end as expected.
    CasesFailed = 4,
}

/// Authentication and authorization for the Istio ingress gateway, as one WasmPlugin.
#[derive(Parser)]
#[command(name = "portcullis", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Check(check::Arguments),
    Explain(Box<explain::Arguments>),
    Test(test::Arguments),
}

const EXIT_CODES: &str = "\
Exit codes: 0 all is well; 1 could not run; 2 a request is refused; 3 a configuration has faults; 4 cases failed.";

/// Runs the command with the arguments of this process.
#[must_use]
pub fn run() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let exit = match error.use_stderr() {
                true => Exit::CouldNotRun,
                false => Exit::Ok,
            };
            // Nothing can be said if nobody can be told.
            let _ = error.print();
            return exit;
        }
    };
    let ended = match arguments.verb {
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::Test(arguments) => test::run(&arguments),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        Exit::CouldNotRun
    })
}

/// Reads a YAML or JSON file.
fn read_yaml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The configuration in a document: itself, or what a WasmPlugin resource carries.
fn plugin_config(document: Value) -> Result<Value, String> {
    if document.get("kind").and_then(Value::as_str) != Some("WasmPlugin") {
        return Ok(document);
    }
    let config = document.pointer("/spec/pluginConfig").cloned();
    config.ok_or_else(|| "the WasmPlugin has no `spec.pluginConfig`".to_owned())
}

// === impl Exit ===

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
