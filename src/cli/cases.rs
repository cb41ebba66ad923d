//! Case files: requests, and what becomes of each under a configuration.
//!
//! The same files serve operators (`portcullis test`) and the project's own tests. `format` is
//! what one writes, `mint` makes the tokens, `outside` answers calls, [`play()`] asks the core.

pub(super) mod format;
pub(super) mod mint;
mod outside;
mod play;

#[cfg(test)]
pub(super) use play::play_watched;
pub use play::{CaseResult, play};

use std::path::{Path, PathBuf};

/// The case files among `paths`: files as they are, and every `*.yaml` in folders, in order.
///
/// # Errors
/// A path cannot be read.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, true, &mut files).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(files)
}

fn collect(path: &Path, named: bool, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        let entries = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
        let mut entries = entries.collect::<std::io::Result<Vec<_>>>()?;
        entries.sort();
        entries
            .iter()
            .try_for_each(|entry| collect(entry, false, files))
    } else {
        if named
            || path
                .extension()
                .is_some_and(|extension| extension == "yaml")
        {
            files.push(path.to_owned());
        }
        Ok(())
    }
}
