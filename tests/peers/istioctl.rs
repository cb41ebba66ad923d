//! Istio's own command at our manifests, without a cluster: `istioctl validate`, which says what
//! Istio's admission webhook would, and `istioctl analyze`.
//!
//! What kustomize makes of the overlays, and what `portcullis compile` makes of the tutorials; and near
//! misses, which must be refused.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use portcullis::cli::compile::compile_text;

use crate::{
    harness::{Tool, requirements::ISTIOCTL},
    table::Line,
};

/// A mistake, and what Istio says to it.
const FAULTS: [(&str, &str, &str); 3] = [
    (
        "priority: 1000",
        "priority: high",
        "cannot parse proto message",
    ),
    (
        "phase: AUTHN",
        "phase: FIRST",
        "for enum istio.extensions.v1alpha1.PluginPhase",
    ),
    (
        "number: 443",
        "number: 70000",
        "port number 70000 must be in the range",
    ),
];

/// Plays it all.
pub fn play() -> Vec<Line> {
    let mut manifests = overlays();
    manifests.push(keys_at_an_address());
    manifests.extend(tutorials());
    let mut lines = Vec::new();
    for (name, text) in &manifests {
        lines.push(Line::new(
            format!("{name}: validate"),
            VALID,
            validate(text),
        ));
        lines.push(Line::new(format!("{name}: analyze"), CLEAN, analyze(text)));
    }
    let (_, first) = manifests.last().expect("a tutorial");
    for (right, wrong, expected) in FAULTS {
        let text = first.replace(right, wrong);
        assert_ne!(text, *first, "no `{right}`");
        let said = validate(&text);
        let got = if said.contains(expected) {
            expected
        } else {
            &said
        };
        lines.push(Line::new(format!("`{wrong}`: validate"), expected, got));
    }
    lines
}

const VALID: &str = "valid";
const CLEAN: &str = "No validation issues found";

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What is in a folder, in order.
fn entries(path: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(here(path)).expect("a folder");
    let mut entries: Vec<_> = entries.map(|it| it.expect("an entry").path()).collect();
    entries.sort();
    entries
}

/// What kustomize makes of each overlay, with every component that goes with all of them.
fn overlays() -> Vec<(String, String)> {
    let work = tempfile::tempdir().expect("a temporary folder");
    let overlays = entries("wasmplugin/kustomize/overlays");
    let manifests = overlays.iter().map(|overlay| {
        let name = overlay.file_name().expect("a name").to_string_lossy();
        // kustomize takes no path that is absolute.
        let up = "../".repeat(work.path().components().count() - 1);
        let [overlay, components] = [overlay.clone(), here("wasmplugin/kustomize/components")]
            .map(|path| format!("{up}{}", path.strip_prefix("/").expect("a path").display()));
        let kustomization = format!(
            "resources: [{overlay}]\ncomponents: [{components}/fail-reload, {components}/server]\n\
             namespace: istio-system\n"
        );
        fs::write(work.path().join("kustomization.yaml"), kustomization).expect("a file");
        let mut kubectl = Command::new(Tool::Kubectl.path());
        let output = kubectl.arg("kustomize").arg(work.path()).output();
        let output = output.expect("kubectl");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (format!("overlays/{name} with components"), text)
    });
    manifests.collect()
}

/// Istio takes no address as the host of a ServiceEntry.
fn keys_at_an_address() -> (String, String) {
    let original = here("wasmplugin/tutorials/1-jwt/original/httpbin.yaml");
    let original = fs::read_to_string(original).expect("a file");
    let text = compiled(&original.replace("idp.example.com", "10.0.0.1"));
    ("keys at an address, compiled".to_owned(), text)
}

/// What `portcullis compile` makes of each tutorial.
fn tutorials() -> Vec<(String, String)> {
    let manifests = entries("wasmplugin/tutorials").into_iter().map(|folder| {
        let name = folder.file_name().expect("a name").to_string_lossy();
        let files = entries(&format!("wasmplugin/tutorials/{name}/original")).into_iter();
        let originals: Vec<_> = files
            .map(|file| fs::read_to_string(file).expect("a file"))
            .collect();
        (
            format!("{name}, compiled"),
            compiled(&originals.join("\n---\n")),
        )
    });
    manifests.collect()
}

fn compiled(manifests: &str) -> String {
    let compiled = compile_text("manifests.yaml", manifests, &[]).expect("no options");
    let notes = compiled.notes;
    compiled.text.unwrap_or_else(|| panic!("{notes:#?}"))
}

fn validate(manifests: &str) -> String {
    let said = istioctl(&["validate", "-f"], manifests);
    match said.ends_with("is valid") {
        true => VALID.to_owned(),
        false => said,
    }
}

fn analyze(manifests: &str) -> String {
    let said = istioctl(&["analyze", "--use-kube=false"], manifests);
    match said.contains(CLEAN) {
        true => CLEAN.to_owned(),
        false => said,
    }
}

/// What it says of a file, on one line.
fn istioctl(arguments: &[&str], manifests: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("manifests.yaml");
    fs::write(&file, manifests).expect("a file");
    let mut command = Command::new(ISTIOCTL.path());
    let output = command
        .args(arguments)
        .arg(file)
        .output()
        .expect("istioctl");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).replace('"', "");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}
