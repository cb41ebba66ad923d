//! Plays every case file under `tests/cases`, as `portcullis test tests/cases` does.

use portcullis::cli::cases;
use std::path::Path;

#[test]
fn every_case_ends_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let files = cases::files(std::slice::from_ref(&folder)).unwrap();
    assert!(!files.is_empty(), "no case file under {}", folder.display());
    let (mut played, mut failures) = (0, Vec::new());
    for file in files {
        let name = file.strip_prefix(&folder).unwrap_or(&file).display();
        match cases::play(&file) {
            Ok(results) if results.cases.is_empty() => {
                failures.push(format!("{name}: no case in it"));
            }
            Ok(results) => {
                played += results.cases.len();
                let failed = results.cases.iter();
                let failed = failed.filter(|it| !it.differences.is_empty());
                failures.extend(failed.map(|it| {
                    let differences = it.differences.iter().map(ToString::to_string);
                    let differences: Vec<_> = differences.collect();
                    format!(
                        "{name}:{}: {}\n{}",
                        it.line,
                        it.name,
                        differences.join("\n")
                    )
                }));
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    let failed = failures.len();
    assert!(
        failures.is_empty(),
        "{failed} failures, {played} cases played\n{}",
        failures.join("\n")
    );
    assert!(played > 0, "no case was played");
    println!("{played} cases");
}
