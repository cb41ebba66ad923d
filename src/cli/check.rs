//! `portcullis check`: every fault of a configuration with its place, and what may not be meant.
//!
//! Files are read into trees that know where everything stands; the plugin's own reader finds the
//! faults, [`hints`] says how to mend them, [`wasm_plugin`] and [`lints`] look at what the reader
//! cannot see or does not mind. A secret is never printed, though it stands in the file.

pub(super) mod documents;
mod file;
mod hints;
mod lints;
mod wasm_plugin;

use super::Exit;
use super::output::Output;
use super::report::{self, Severity, Sources};
use file::File;
use serde_json::json;
use std::path::PathBuf;

/// Check configurations: print every fault, and what is allowed but may not be meant.
///
/// A file holds pluginConfigs or WasmPlugin resources, as YAML or JSON; other resources in it are
/// passed over.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The files to check, or `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Treat warnings as errors.
    #[arg(long)]
    strict: bool,
    /// How to print what was found.
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  portcullis check wasmplugin.yaml
  kubectl get wasmplugins -A -o yaml | portcullis check --strict -";

/// `--format`
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// One thing that was found, by its JSON path in a document.
struct Finding {
    severity: Severity,
    path: String,
    /// Where to show it, if not at the path.
    place: Option<String>,
    message: String,
    help: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, String> {
    let mut sources = Sources::default();
    let mut files = Vec::new();
    for path in &arguments.files {
        let (name, text) = super::read_text(path)?;
        files.push(File::check(name, text, &mut sources));
    }
    let report = match arguments.format {
        Format::Text => {
            let renderer = report::renderer();
            let mut lines = Vec::new();
            for file in &files {
                let notes = file.notes.iter();
                lines.extend(notes.map(|note| sources.render(note, &renderer) + "\n"));
                lines.extend(file.closing(arguments.strict));
            }
            lines.join("\n")
        }
        Format::Json => {
            let files = files.iter();
            let files = files.map(|file| file.to_json(&sources, arguments.strict));
            format!("{:#}", json!({ "files": files.collect::<Vec<_>>() }))
        }
    };
    let mut output = Output::new();
    writeln!(output, "{report}");
    output.finish()?;
    let valid = files.iter().all(|file| file.is_valid(arguments.strict));
    Ok(match valid {
        true => Exit::Ok,
        false => Exit::InvalidConfiguration,
    })
}

// === impl Finding ===

impl Finding {
    fn error(path: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path: path.into(),
            place: None,
            message: message.into(),
            help: Some(help.into()).filter(|help| !help.is_empty()),
        }
    }

    fn warning(
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(path, message, help)
        }
    }
}
