//! What `portcullis compile` makes of somebody's resources, held against a model of what their own
//! system does with a request: nothing is allowed that it refuses.
//!
//! `SEED=7 cargo test --test compile` plays other resources and requests.

mod authorization_server;

#[path = "compile/api_rules.rs"]
mod api_rules;
#[path = "compile/istio/mod.rs"]
mod istio;
#[path = "compile/kyma/mod.rs"]
mod kyma;
#[path = "compile/ours.rs"]
mod ours;

use portcullis::cli::compile::compile_text;
use portcullis::cli::report::Severity;
use portcullis::config::Config;
use portcullis::policy::Policy;

/// What the plugin makes of what `portcullis compile` writes; its errors, if it writes nothing.
fn compiled(manifests: &str) -> Result<Policy, String> {
    let compiled = compile_text(
        "manifests.yaml",
        manifests,
        &["--output=config", "--format=json"],
    );
    let compiled = compiled?;
    let Some(text) = compiled.text else {
        let errors = compiled.notes.iter();
        let errors = errors.filter(|note| note.severity == Severity::Error);
        let errors: Vec<_> = errors.map(|note| note.message.as_str()).collect();
        return Err(errors.join("; "));
    };
    let config = Config::read(text.as_bytes()).map_err(|faults| format!("{faults:?}"))?;
    Ok(Policy::compile(config))
}
