//! One file: what is found in its documents, and the last line about it.
//!
//! [`super::run`] prints it. It covers every secret before anything of the file is shown.

use super::documents::{self, Document};
use super::{Finding, hints, lints, wasm_plugin};
use crate::cli::report::{Note, Place, Severity, Sources};
use crate::cli::yaml;
use crate::config::{self, Config};
use serde_json::json;

/// What was found in one file.
pub(super) struct File {
    /// Its path, as it was given.
    name: String,
    source: usize,
    /// What is to be said about it.
    pub notes: Vec<Note>,
    /// Of every configuration in it: API rules, JWT rules, policies.
    configurations: Vec<[usize; 3]>,
    /// Plugins of others.
    others: Vec<String>,
}

// === impl File ===

impl File {
    /// Checks what a file holds.
    pub(super) fn check(name: String, text: String, sources: &mut Sources) -> Self {
        let read = yaml::documents(&text);
        let mut file = Self {
            source: sources.add(name.clone(), text.clone()),
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
            Err(invalid) => {
                for span in lints::secrets::likely(&text) {
                    let source = file.source;
                    sources.mask(&Place { source, span });
                }
                file.notes.push(Note::invalid(file.source, invalid));
            }
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
        let warn = |fault: &config::Fault| Finding {
            severity: Severity::Warning,
            place: Some(hints::place(fault)),
            ..Finding::error(
                &fault.path,
                &fault.message,
                hints::hint(fault).unwrap_or_default(),
            )
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
            place,
            message,
            help,
        } = finding;
        self.notes.push(Note {
            severity,
            message,
            place: Some(Place {
                source: self.source,
                span: root.place(place.as_ref().unwrap_or(&path)),
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

    /// Whether nothing in it is refused.
    pub(super) fn is_valid(&self, strict: bool) -> bool {
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
    pub(super) fn closing(&self, strict: bool) -> Vec<String> {
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

    /// The same for machines.
    pub(super) fn to_json(&self, sources: &Sources, strict: bool) -> serde_json::Value {
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

/// `1 error`, `2 errors`
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
