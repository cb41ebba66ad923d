//! Case files: requests, and what becomes of each under a configuration.
//!
//! The same files serve operators (`portcullis test`) and the project's own tests. `format` is
//! what one writes, `mint` makes the tokens, `outside` answers calls, [`play()`] asks the core, and
//! [`Difference`] tells what came of it.

mod coverage;
mod difference;
pub(super) mod format;
pub(super) mod mint;
mod outcome;
mod outside;
mod play;

pub use coverage::Coverage;
pub use difference::{Difference, Line};
#[cfg(test)]
pub(super) use play::play_watched;
pub use play::{CaseResult, Played, Unplayable, play};

use std::path::{Path, PathBuf};

/// The case files among `paths`: files as they are, and every `*.yaml` in folders, in order, but for
/// configurations and other resources that lie there.
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
        let yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml");
        if named || (yaml && !is_something_else(&std::fs::read_to_string(path)?)) {
            files.push(path.to_owned());
        }
        Ok(())
    }
}

/// Whether a text says of itself that it is a configuration or a resource, and names no cases.
fn is_something_else(text: &str) -> bool {
    let says = |names: &[&str]| {
        let begins = |line: &str| names.iter().any(|name| line.starts_with(name));
        text.lines().any(begins)
    };
    says(&["kind:", "apiVersion:", "version:"]) && !says(&["cases:"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_folder_case_files_are_told_from_what_lies_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for (name, text) in [
            ("b.yaml", "configFile: plugin.yaml\ncases: []\n"),
            ("a/c.yaml", "config: {version: 1}\ncases: []\n"),
            (
                "plugin.yaml",
                "apiVersion: v1\nkind: WasmPlugin\nspec: {}\n",
            ),
            ("config.yaml", "version: 1\n"),
            // To be found faulty, not to be passed over.
            ("typo.yaml", "config: {version: 1}\ncase: []\n"),
            ("notes.txt", "cases: []\n"),
        ] {
            write(name, text);
        }
        let found = |path: PathBuf| {
            let found = files(&[path]).unwrap().into_iter();
            let found = found.map(|it| it.strip_prefix(folder.path()).unwrap().to_owned());
            found.collect::<Vec<_>>()
        };
        let all = ["a/c.yaml", "b.yaml", "typo.yaml"].map(PathBuf::from);
        assert_eq!(found(folder.path().to_owned()), all);
        let named = folder.path().join("plugin.yaml");
        assert_eq!(found(named), [PathBuf::from("plugin.yaml")]);
    }
}
