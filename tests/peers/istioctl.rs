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

/// The folders in a folder, in order.
fn folders(path: &str) -> Vec<PathBuf> {
    let folders = fs::read_dir(here(path)).expect("a folder");
    let mut folders: Vec<_> = folders.map(|it| it.expect("a folder").path()).collect();
    folders.sort();
    folders
}

/// What kustomize makes of each overlay, with every component that goes with all of them.
fn overlays() -> Vec<(String, String)> {
    let work = tempfile::tempdir().expect("a temporary folder");
    let overlays = folders("wasmplugin/kustomize/overlays");
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

/// What `portcullis compile` makes of each tutorial.
fn tutorials() -> Vec<(String, String)> {
    let manifests = folders("wasmplugin/tutorials").into_iter().map(|folder| {
        let name = folder.file_name().expect("a name").to_string_lossy();
        let mut originals = String::new();
        let original = format!("wasmplugin/tutorials/{name}/original");
        for file in folders(&original) {
            originals += "---\n";
            originals += &fs::read_to_string(file).expect("a file");
        }
        let compiled = compile_text("original.yaml", &originals, &[]).expect("options");
        let notes = compiled.notes;
        let text = compiled.text.unwrap_or_else(|| panic!("{notes:#?}"));
        (format!("{name}, compiled"), text)
    });
    manifests.collect()
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
