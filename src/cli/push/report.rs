//! What is printed: what became of the image, and how to pin it; as text or as JSON.

use super::reference::Reference;
use crate::cli::Exit;
use crate::cli::image::build::{self, Image};
use crate::cli::image::fetcher::{Fetched, Refused};
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

/// All that is said of an image.
pub(super) struct Report {
    reference: Reference,
    pub warnings: Vec<String>,
    pub outcome: Outcome,
}

/// What became of it.
pub(super) enum Outcome {
    /// Istio's agent takes it.
    Taken(Taken),
    /// It does not.
    Refused(Refused),
}

pub(super) struct Taken {
    digest: String,
    index: Option<String>,
    module_sha256: String,
    module_size: usize,
    /// The layout and the size of what was pushed.
    pushed: Option<(&'static str, usize)>,
}

// === impl Outcome ===

impl Outcome {
    pub(super) fn of_check(fetched: &Fetched) -> Self {
        Self::Taken(Taken::new(fetched))
    }

    pub(super) fn of_push(fetched: &Fetched, image: &Image) -> Self {
        Self::Taken(Taken {
            pushed: Some((image.layout.name(), image.size())),
            ..Taken::new(fetched)
        })
    }

    /// The image is not the one that was asked for.
    pub(super) fn another(image: &Image, digest: &str) -> Self {
        let found = &image.manifest.digest;
        Self::Refused(Refused {
            reason: format!("the image of this module has the digest `{found}`, not `{digest}`"),
            advice: "nothing was pushed: check that module, version, layout, `--source` and \
                     `--revision` are those of the digest, or leave it out"
                .to_owned(),
        })
    }
}

// === impl Taken ===

impl Taken {
    fn new(fetched: &Fetched) -> Self {
        Self {
            digest: fetched.digest.clone(),
            index: fetched.index.clone(),
            module_sha256: build::digest(&fetched.module),
            module_size: fetched.module.len(),
            pushed: None,
        }
    }

    fn lines(&self, reference: &Reference) -> Vec<String> {
        let pinned = reference.pinned(&self.digest);
        let (green, bold) = (AnsiColor::Green.on_default().bold(), Style::new().bold());
        let headline = match self.pushed {
            Some((layout, size)) => {
                let headline = painted("pushed", green);
                format!("{headline} {reference} (layout {layout}, {size} bytes)")
            }
            None => format!("{} {reference}", painted("valid", green)),
        };
        let bytes = self.module_size;
        vec![
            headline,
            format!(
                "Istio's agent takes it: a module of {bytes} bytes, {}",
                self.module_sha256
            ),
            String::new(),
            painted("pin it in the WasmPlugin", bold),
            format!("  url: {pinned}"),
        ]
    }
}

// === impl Report ===

impl Report {
    pub(super) fn new(reference: &Reference) -> Self {
        let nothing = Refused {
            reason: String::new(),
            advice: String::new(),
        };
        Self {
            reference: reference.clone(),
            warnings: Vec::new(),
            outcome: Outcome::Refused(nothing),
        }
    }

    pub(super) fn exit(&self) -> Exit {
        match self.outcome {
            Outcome::Taken(_) => Exit::Ok,
            Outcome::Refused(_) => Exit::Refused,
        }
    }

    /// Prints the warnings to standard error.
    pub(super) fn warn(&self) {
        let yellow = AnsiColor::Yellow.on_default().bold();
        for warning in self.all_warnings() {
            anstream::eprintln!("{}: {warning}", painted("warning", yellow));
        }
    }

    /// Prints it as text, with colours where it is read by a human.
    pub(super) fn print(&self) {
        self.warn();
        let lines = match &self.outcome {
            Outcome::Taken(taken) => taken.lines(&self.reference),
            Outcome::Refused(refused) => {
                let (red, bold) = (AnsiColor::Red.on_default().bold(), Style::new().bold());
                vec![
                    format!("{} {}", painted("refused", red), self.reference),
                    String::new(),
                    painted("why", bold),
                    format!("  {}", refused.reason.replace('\n', "\n  ")),
                    String::new(),
                    painted("what to do", bold),
                    format!("  {}", refused.advice),
                ]
            }
        };
        anstream::println!("{}", lines.join("\n"));
    }

    /// Prints it for machines.
    pub(super) fn print_json(&self) {
        println!("{:#}", self.json());
    }

    fn json(&self) -> Value {
        let reference = self.reference.to_string();
        let warnings = self.all_warnings();
        match &self.outcome {
            Outcome::Taken(taken) => {
                let mut json = json!({
                    "verdict": "valid",
                    "reference": reference,
                    "digest": taken.digest,
                    "url": self.reference.pinned(&taken.digest).to_string(),
                    "module": {"sha256": taken.module_sha256, "bytes": taken.module_size},
                    "warnings": warnings,
                });
                if let (Some((layout, _)), Some(json)) = (taken.pushed, json.as_object_mut()) {
                    json.insert("pushed".to_owned(), json!({"layout": layout}));
                }
                json
            }
            Outcome::Refused(refused) => json!({
                "verdict": "refused",
                "reference": reference,
                "reason": refused.reason,
                "advice": refused.advice,
                "warnings": warnings,
            }),
        }
    }

    fn all_warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        if let Outcome::Taken(Taken {
            index: Some(index),
            digest,
            ..
        }) = &self.outcome
        {
            warnings.push(format!(
                "`{index}` is an index: Istio takes and compares the manifest for linux/amd64 in it, \
                 `{digest}`; pin that one, or push without an index"
            ));
        }
        warnings
    }
}

fn painted(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}
