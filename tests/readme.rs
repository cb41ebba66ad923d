//! The README's examples, as they stand there: configurations are valid, cases end as they say.

use portcullis::cli::cases;
use portcullis::config::Config;
use serde_json::Value;

/// The text of every block of YAML.
fn blocks() -> Vec<&'static str> {
    let fences = include_str!("../README.md").split("```yaml\n").skip(1);
    let blocks: Vec<_> = fences.filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty(), "the README shows no YAML");
    blocks
}

fn kind(block: &str) -> Option<String> {
    let document: Value = serde_saphyr::from_str(block).ok()?;
    document["kind"].as_str().map(str::to_owned)
}

fn wasm_plugin() -> &'static str {
    let mut blocks = blocks().into_iter();
    let block = blocks.find(|block| kind(block).as_deref() == Some("WasmPlugin"));
    block.expect("the README shows a WasmPlugin")
}

#[test]
fn the_configuration_is_valid() {
    let document: Value = serde_saphyr::from_str(wasm_plugin()).unwrap();
    let config = document["spec"]["pluginConfig"].to_string();
    let config = Config::read(config.as_bytes()).unwrap();
    assert_eq!(config.jwt_rules.len(), 1);
    assert_eq!(config.authorization_policies.len(), 1);
}

#[test]
fn the_cases_end_as_they_say() {
    let case_file = blocks()
        .into_iter()
        .find(|block| block.contains("\ncases:\n"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wasmplugin.yaml"), wasm_plugin()).unwrap();
    let cases = folder.path().join("cases.yaml");
    std::fs::write(&cases, case_file.expect("the README shows cases")).unwrap();
    let results = cases::play(&cases).unwrap();
    assert!(results.len() >= 2);
    for result in results {
        assert!(
            result.differences.is_empty(),
            "{}: {:?}",
            result.name,
            result.differences
        );
    }
}
