//! The command: its arguments, its verbs, its exit codes. Native only.
//!
//! It runs the plugin's own core on configurations and requests that an operator gives it; nothing
//! that decides anything is written here a second time.

pub mod cases;
mod check;
pub mod compile;
mod explain;
pub mod image;
mod likely;
mod manual;
mod output;
mod progress;
mod push;
pub mod report;
mod request;
mod test;
mod worker;
pub mod yaml;

use clap::{ColorChoice, Parser, Subcommand};
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
    /// A case did not end as expected, or no case matched a rule and one should have.
    CasesFailed = 4,
}

/// Authentication and authorization for the Istio ingress gateway, as one WasmPlugin.
#[derive(Parser)]
#[command(name = "portcullis", version, after_help = AFTER_HELP)]
struct Arguments {
    /// When to use colors; `auto` is on a terminal, unless `NO_COLOR` is set.
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto, display_order = 900)]
    color: ColorChoice,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Check(check::Arguments),
    Compile(compile::Arguments),
    Explain(Box<explain::Arguments>),
    Image(image::Arguments),
    Push(push::Arguments),
    Test(test::Arguments),
    Completions(manual::CompletionsArguments),
    Man(manual::ManArguments),
}

const AFTER_HELP: &str = "\
Examples:
  portcullis check wasmplugin.yaml
  portcullis test --coverage cases/

Exit status:
  0  all is well, or the request is allowed
  1  it could not do what it was asked to
  2  the request is refused
  3  a configuration has faults
  4  a case failed, or a rule is not covered that should be";

/// Runs the command with the arguments of this process.
#[must_use]
pub fn run() -> Exit {
    output::color_of(std::env::args_os()).write_global();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Where nobody can be told, nobody is.
            let _ = error.print();
            // The library's own number would mean that a request is refused.
            return match error.use_stderr() {
                true => Exit::CouldNotRun,
                false => Exit::Ok,
            };
        }
    };
    let ended = match arguments.verb {
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Compile(arguments) => compile::run(&arguments),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::Image(arguments) => image::run(&arguments),
        Verb::Push(arguments) => push::run(&arguments),
        Verb::Test(arguments) => test::run(&arguments),
        Verb::Completions(arguments) => manual::completions(&arguments),
        Verb::Man(arguments) => manual::man(&arguments),
    };
    ended.unwrap_or_else(|error| {
        output::error(error);
        Exit::CouldNotRun
    })
}

/// The name and the text of a file; `-` is standard input.
fn read_text(path: &Path) -> Result<(String, String), String> {
    if path.as_os_str() == "-" {
        let name = "standard input".to_owned();
        let text = std::io::read_to_string(std::io::stdin());
        return match text {
            Ok(text) => Ok((name, text)),
            Err(error) => Err(format!("{name}: {error}")),
        };
    }
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// Reads a YAML or JSON file.
fn read_yaml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
    serde_saphyr::from_str(&text).map_err(|error| {
        let (path, error) = (path.display(), error.to_string());
        let error = error.strip_prefix("error: ").unwrap_or(&error);
        let error = error.replacen(" --> <input>:", &format!(" --> {path}:"), 1);
        format!("{path}: {error}")
    })
}

/// The one configuration in a file: a pluginConfig, or what a WasmPlugin carries that stands among
/// other resources there.
fn read_config(path: &Path) -> Result<Value, String> {
    let (name, text) = read_text(path)?;
    let Ok(documents) = yaml::documents(&text) else {
        // Told with the text around the place.
        return read_yaml(path);
    };
    let all = documents.iter().flat_map(check::documents::of);
    let mut ours = all.filter(check::documents::Document::is_ours);
    match (ours.next(), ours.next()) {
        (Some(document), None) => match document.config {
            Some(config) => Ok(config.to_json()),
            None => Err(format!("{name}: the WasmPlugin has no `spec.pluginConfig`")),
        },
        (None, _) => Err(format!(
            "{name}: neither a pluginConfig nor a WasmPlugin of ours"
        )),
        (Some(_), Some(_)) => Err(format!(
            "{name}: several configurations; give a file of its own to each"
        )),
    }
}

// === impl Exit ===

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
