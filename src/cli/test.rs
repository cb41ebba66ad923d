//! `portcullis test`: plays case files against their configurations.

use super::{Exit, cases};
use std::path::PathBuf;

/// Play case files: requests, and what becomes of each under a configuration.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis test tests/cases")]
pub(super) struct Arguments {
    /// Case files, or folders of them (every `*.yaml` below).
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, String> {
    let (mut played, mut failed) = (0_usize, 0_usize);
    for file in cases::files(&arguments.paths)? {
        let results = cases::play(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        for result in results {
            played = played.saturating_add(1);
            if !result.differences.is_empty() {
                failed = failed.saturating_add(1);
                println!("FAILED {}: {}", file.display(), result.name);
                result
                    .differences
                    .iter()
                    .for_each(|it| println!("    {it}"));
            }
        }
    }
    if played == 0 {
        return Err("no cases found".to_owned());
    }
    println!("{} passed, {failed} failed", played.saturating_sub(failed));
    Ok(if failed == 0 {
        Exit::Ok
    } else {
        Exit::CasesFailed
    })
}
