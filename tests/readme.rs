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
    let case_files = blocks()
        .into_iter()
        .filter(|block| block.contains("\ncases:\n"));
    let played: Vec<_> = case_files.map(play).collect();
    assert!(
        played.len() == 2 && played.iter().all(|cases| *cases >= 2),
        "{played:?}"
    );
}

/// "What comes of it", row by row.
#[test]
fn the_answers_are_those_of_the_table() {
    let played = play(
        r#"
configFile: wasmplugin.yaml
keys: {idp: {alg: ES256, file: idp.jwk}}
cases:
- name: with a valid token
  tokens: &tokens
    valid: {key: idp, claims: {iss: https://idp.example.com, sub: ada, exp: now+60}}
    expired: {key: idp, claims: {iss: https://idp.example.com, sub: ada, exp: now-3600}}
  calls: &calls
  - {to: "outbound|443||idp.example.com", answer: {status: 200, body: "${jwks:idp}"}}
  request: {url: https://api.example.com/orders/7, headers: [[authorization, "Bearer ${valid}"]]}
  expect: {status: 200, upstream: {removed: [authorization]}}
- name: the same without a token
  request: {url: https://api.example.com/orders/7}
  expect: {status: 403, body: "RBAC: access denied"}
- name: with an expired token
  tokens: *tokens
  request: {url: https://api.example.com/orders/7, headers: [[authorization, "Bearer ${expired}"]]}
  expect: {status: 401, body: Jwt is expired}
- name: with a second, different one
  tokens: *tokens
  request:
    url: https://api.example.com/orders/7?access_token=${expired}
    headers: [[authorization, "Bearer ${valid}"]]
  expect: {status: 401, body: Found multiple Jwt tokens}
- name: a path that some servers read as another
  tokens: *tokens
  calls: *calls
  request:
    url: https://api.example.com/orders/%2e%2e/admin
    headers: [[authorization, "Bearer ${valid}"]]
  expect: {status: 403, body: "RBAC: access denied"}
- name: a host that nothing names
  request: {url: https://other.example.com/}
  expect: {status: 404}
"#,
    );
    let rows = include_str!("../README.md")
        .split("What comes of it:")
        .nth(1);
    let rows = rows
        .and_then(|rest| rest.trim_start().split("\n\n").next())
        .unwrap();
    // Two lines are the head of the table.
    assert_eq!(rows.lines().count(), played + 2, "{rows}");
}

/// Plays a case file beside the WasmPlugin that the README shows; how many cases it has.
fn play(case_file: &str) -> usize {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wasmplugin.yaml"), wasm_plugin()).unwrap();
    let cases = folder.path().join("cases.yaml");
    std::fs::write(&cases, case_file).unwrap();
    let results = cases::play(&cases).unwrap().cases;
    for result in &results {
        assert!(
            result.differences.is_empty(),
            "{}: {:?}",
            result.name,
            result.differences
        );
    }
    results.len()
}
