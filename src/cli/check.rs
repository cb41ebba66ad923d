//! `portcullis check`: every fault of a configuration, with its place.

use super::Exit;
use crate::config::Config;
use serde_json::Value;
use std::path::PathBuf;

/// Check configurations and print every fault in them.
///
/// A file holds a pluginConfig or a WasmPlugin resource, as YAML or JSON.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis check wasmplugin.yaml")]
pub(super) struct Arguments {
    /// The files to check.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, String> {
    let mut exit = Exit::Ok;
    for path in &arguments.files {
        let document: Value = super::read_yaml(path)?;
        let file = path.display();
        let config = super::plugin_config(document).map_err(|error| format!("{file}: {error}"))?;
        match Config::read(config.to_string().as_bytes()) {
            Ok(config) => {
                for warning in &config.warnings {
                    println!("{file}: warning: {warning}");
                }
                println!(
                    "{file}: valid: {} API rules, {} JWT rules, {} authorization policies",
                    config
                        .api_rules
                        .iter()
                        .map(|it| it.rules.len())
                        .sum::<usize>(),
                    config.jwt_rules.len(),
                    config.authorization_policies.len()
                );
            }
            Err(faults) => {
                faults.iter().for_each(|fault| println!("{file}: {fault}"));
                exit = Exit::InvalidConfiguration;
            }
        }
    }
    Ok(exit)
}
