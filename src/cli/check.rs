//! `portcullis check`: every fault of a configuration with its place, and what may not be meant.
//!
//! Files are read into trees that know where everything stands; the plugin's own reader finds the
//! faults, [`hints`] says how to mend them, [`wasm_plugin`] and [`lints`] look at what the reader
//! cannot see or does not mind. A secret is never printed, though it stands in the file.

mod documents;
mod hints;
mod lints;
mod wasm_plugin;

use super::Exit;
use super::report::{self, Note, Place, Severity, Sources};
use super::yaml;
use crate::config::Config;
use documents::Document;
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
    message: String,
    help: Option<String>,
}

/// What was found in one file.
struct File {
    name: String,
    source: usize,
    notes: Vec<Note>,
    /// Of every configuration in it: API rules, JWT rules, policies.
    configurations: Vec<[usize; 3]>,
    /// Plugins of others.
    others: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, String> {
    let mut sources = Sources::default();
    let mut files = Vec::new();
    for path in &arguments.files {
        let (name, text) = super::read_text(path)?;
        files.push(File::check(name, text, &mut sources));
    }
    match arguments.format {
        Format::Text => {
            let renderer = report::renderer(true);
            for file in &files {
                for note in &file.notes {
                    anstream::println!("{}\n", sources.render(note, &renderer));
                }
                let closing = file.closing(arguments.strict);
                closing.iter().for_each(|line| println!("{line}"));
            }
        }
        Format::Json => {
            let files = files.iter();
            let files = files.map(|file| file.to_json(&sources, arguments.strict));
            let report = json!({ "files": files.collect::<Vec<_>>() });
            println!("{report:#}");
        }
    }
    let valid = files.iter().all(|file| file.is_valid(arguments.strict));
    Ok(match valid {
        true => Exit::Ok,
        false => Exit::InvalidConfiguration,
    })
}

/// `1 error`, `2 errors`
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

// === impl Finding ===

impl Finding {
    fn error(path: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path: path.into(),
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

// === impl File ===

impl File {
    fn check(name: String, text: String, sources: &mut Sources) -> Self {
        let read = yaml::documents(&text);
        let mut file = Self {
            source: sources.add(name.clone(), text),
            name,
            notes: Vec::new(),
            configurations: Vec::new(),
            others: Vec::new(),
        };
        match read {
            Ok(roots) => {
                let documents: Vec<_> = roots.iter().flat_map(documents::of).collect();
                for document in &documents {
                    file.document(document, sources);
                }
                if !documents.iter().any(Document::is_ours) {
                    file.nothing();
                }
            }
            Err(invalid) => file.notes.push(Note::invalid(file.source, invalid)),
        }
        let place = |note: &Note| note.place.as_ref().map(|place| place.span.start);
        file.notes.sort_by_key(place);
        file
    }

    fn document(&mut self, document: &Document<'_>, sources: &mut Sources) {
        if !document.is_ours() {
            self.others.push(document.title.clone());
            return;
        }
        let mut findings = Vec::new();
        if let Some(plugin) = document.plugin {
            for finding in wasm_plugin::check(plugin) {
                self.note(document, plugin, finding);
            }
        }
        let Some(root) = document.config else { return };
        for secret in lints::secrets::literals(root) {
            sources.mask(&Place {
                source: self.source,
                span: secret.node.span.clone(),
            });
        }
        let warn = |fault: &crate::config::Fault| Finding {
            severity: Severity::Warning,
            path: fault.path.clone(),
            message: fault.message.clone(),
            help: hints::hint(fault),
        };
        match Config::read(root.to_json().to_string().as_bytes()) {
            Ok(mut config) => {
                findings.extend(config.warnings.iter().map(warn));
                findings.extend(lints::lint(&config, root));
                if let Some(plugin) = document.plugin {
                    findings.extend(wasm_plugin::secrets(&mut config, plugin));
                }
                self.configurations.push([
                    config.api_rules.iter().map(|it| it.rules.len()).sum(),
                    config.jwt_rules.len(),
                    config.authorization_policies.len(),
                ]);
            }
            Err(faults) => findings.extend(faults.iter().map(|fault| Finding {
                severity: Severity::Error,
                ..warn(fault)
            })),
        }
        for finding in findings {
            self.note(document, root, finding);
        }
    }

    /// Notes what was found below `root`, a part of the document.
    fn note(&mut self, document: &Document<'_>, root: &yaml::Node, finding: Finding) {
        let Finding {
            severity,
            path,
            message,
            help,
        } = finding;
        self.notes.push(Note {
            severity,
            message,
            place: Some(Place {
                source: self.source,
                span: root.place(&path),
            }),
            subject: document.subject(root, &path),
            help,
        });
    }

    fn nothing(&mut self) {
        self.notes.push(Note {
            severity: Severity::Error,
            message: "nothing to check: no pluginConfig, and no WasmPlugin that carries one"
                .to_owned(),
            place: None,
            subject: String::new(),
            help: Some(
                "a configuration begins with `version: 1`; in a WasmPlugin it is \
                 `spec.pluginConfig`"
                    .to_owned(),
            ),
        });
    }

    fn count(&self, severity: Severity) -> usize {
        let notes = self.notes.iter();
        notes.filter(|note| note.severity == severity).count()
    }

    fn is_valid(&self, strict: bool) -> bool {
        let refused = |note: &Note| strict || note.severity == Severity::Error;
        !self.notes.iter().any(refused)
    }

    /// API rules, JWT rules and policies of all configurations together.
    fn sizes(&self) -> [usize; 3] {
        let sum = |one: [usize; 3], other: &[usize; 3]| {
            let [api, jwt, policies] = one;
            let [more_api, more_jwt, more_policies] = other;
            [
                api.saturating_add(*more_api),
                jwt.saturating_add(*more_jwt),
                policies.saturating_add(*more_policies),
            ]
        };
        self.configurations.iter().fold([0; 3], sum)
    }

    /// The last lines about it.
    fn closing(&self, strict: bool) -> Vec<String> {
        let name = &self.name;
        let mut lines: Vec<_> = self
            .others
            .iter()
            .map(|other| {
                format!(
                    "{name}: passed over: {other} is somebody else's, its pluginConfig has no \
                     `version`"
                )
            })
            .collect();
        let errors = self.count(Severity::Error);
        let warnings = self.count(Severity::Warning);
        let mut line = if self.is_valid(strict) {
            let [api, jwt, policies] = self.sizes();
            format!(
                "{name}: valid: {api} API rules, {jwt} JWT rules, {policies} authorization policies"
            )
        } else if errors == 0 {
            format!("{name}: invalid, since --strict allows no warnings")
        } else {
            format!("{name}: invalid: {}", counted(errors, "error"))
        };
        if warnings > 0 {
            line = format!("{line}; {}", counted(warnings, "warning"));
        }
        lines.push(line);
        lines
    }

    fn to_json(&self, sources: &Sources, strict: bool) -> serde_json::Value {
        let [api, jwt, policies] = self.sizes();
        let notes = self.notes.iter().map(|note| sources.to_json(note));
        json!({
            "file": self.name,
            "valid": self.is_valid(strict),
            "apiRules": api,
            "jwtRules": jwt,
            "authorizationPolicies": policies,
            "passedOver": self.others,
            "notes": notes.collect::<Vec<_>>(),
        })
    }
}
