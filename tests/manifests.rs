//! The manifests that a cluster gets: what kustomize makes of `wasmplugin/kustomize`, and what
//! `portcullis compile` writes.
//!
//! Each object is held against the schemas of Istio's resources; a WasmPlugin must have a
//! configuration that `portcullis check` accepts, and what is shipped must be closed: pinned by
//! digest, put at a gateway, before Istio's own filters, and refusing when it fails.

mod harness;
#[path = "manifests/schema.rs"]
mod schema;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use harness::{Tool, requirements::met};
use portcullis::config::Config;
use schema::Schemas;
use serde_json::Value;
use tempfile::TempDir;

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(Schemas::read);

/// A copy of `wasmplugin/kustomize`, to build and to break.
struct Tree(TempDir);

#[test]
fn overlays_are_valid_and_closed() {
    if !met("overlays_are_valid_and_closed", &[Tool::Kubectl]) {
        return;
    }
    let tree = Tree::new();
    let overlays = tree.overlays();
    assert!(overlays.len() >= 3, "{overlays:?}");
    for overlay in overlays {
        let objects = tree.build(&overlay).unwrap();
        assert_eq!(kinds(&objects), ["WasmPlugin"], "{overlay}");
        assert_eq!(faults(&objects), [""; 0], "{overlay}");
        assert_eq!(openings(&objects), [""; 0], "{overlay}");
    }
}

/// Each component does its part in each overlay, and spoils nothing.
#[test]
fn components_fit_every_overlay() {
    if !met("components_fit_every_overlay", &[Tool::Kubectl]) {
        return;
    }
    let tree = Tree::new();
    for overlay in tree.overlays() {
        let namespace = tree.build(&overlay).unwrap()[0]["metadata"]["namespace"].clone();
        tree.write(
            "gateway/kustomization.yaml",
            &format!(
                "{{namespace: {namespace}, resources: [../portcullis/{overlay}], components: \
                 [../portcullis/wasmplugin/kustomize/components/fail-reload, \
                 ../portcullis/wasmplugin/kustomize/components/server]}}"
            ),
        );
        let objects = tree.build("../gateway").unwrap();
        let all = ["DestinationRule", "ServiceEntry", "WasmPlugin"];
        assert_eq!(kinds(&objects), all, "{overlay}");
        assert_eq!(faults(&objects), [""; 0], "{overlay}");
        assert_eq!(openings(&objects), [""; 0], "{overlay}");
        let plugin = objects.iter().find(|it| it["kind"] == "WasmPlugin");
        assert_eq!(plugin.unwrap()["spec"]["failStrategy"], "FAIL_RELOAD");
        for object in &objects {
            assert_eq!(object["metadata"]["namespace"], namespace, "{overlay}");
        }
    }
}

/// What an operator may get wrong, one thing at a time.
#[test]
fn broken_manifests_are_told() {
    if !met("broken_manifests_are_told", &[Tool::Kubectl]) {
        return;
    }
    let base = "base/wasmplugin.yaml";
    let module = "components/module/kustomization.yaml";
    let server = "components/server/server.yaml";
    let gateway_api = "overlays/gateway-api/kustomization.yaml";
    for (name, file, from, to, told) in [
        (
            "misspelt field",
            base,
            "failStrategy:",
            "failStratgy:",
            "'failStratgy' was unexpected",
        ),
        (
            "no such value",
            base,
            "FAIL_CLOSE\n",
            "FAIL_CLOSED\n",
            "/spec/failStrategy: \"FAIL_CLOSED\"",
        ),
        (
            "opens when it fails",
            base,
            "FAIL_CLOSE\n",
            "FAIL_OPEN\n",
            "failStrategy: \"FAIL_OPEN\"",
        ),
        (
            "after Istio's own filters",
            base,
            "phase: AUTHN",
            "phase: STATS",
            "phase: \"STATS\"",
        ),
        (
            "in every sidecar",
            base,
            "matchLabels:\n      istio: ingressgateway",
            "{}",
            "attached to no gateway",
        ),
        (
            "wildcard label",
            base,
            "istio: ingressgateway",
            "istio: \"*\"",
            "wildcard not allowed",
        ),
        (
            "label that is no text",
            base,
            "istio: ingressgateway",
            "istio: 7",
            "/spec/selector/matchLabels/istio: 7",
        ),
        (
            "version of later",
            base,
            "version: 1",
            "version: 2",
            "$.version",
        ),
        (
            "misspelt key",
            base,
            "defaultAction:",
            "defaultActions:",
            "defaultActions",
        ),
        ("tag", module, DIGEST, ":0.1.0", "url: not pinned by digest"),
        (
            "newest tag",
            module,
            DIGEST,
            ":latest",
            "url: not pinned by digest",
        ),
        (
            "tag beside the digest",
            module,
            DIGEST,
            &format!(":0.1.0{DIGEST}"),
            "url: not pinned by digest",
        ),
        (
            "digest cut short",
            module,
            DIGEST,
            &DIGEST[..DIGEST.len() - 1],
            "url: not pinned by digest",
        ),
        (
            "no scheme",
            module,
            "oci://",
            "",
            "url: not pinned by digest",
        ),
        (
            "unknown scheme",
            module,
            "oci://",
            "ftp://",
            "url must have schema one of",
        ),
        (
            "priority in quotes",
            module,
            "value: 1000",
            "value: \"1000\"",
            "/spec/priority: \"1000\"",
        ),
        (
            "another plugin's module",
            base,
            "name: portcullis",
            "name: coraza",
            "/metadata/name failed",
        ),
        (
            "selector and target",
            gateway_api,
            "    - op: remove\n      path: /spec/selector\n",
            "",
            "only one of targetRefs or selector",
        ),
        (
            "target elsewhere",
            gateway_api,
            "kind: Gateway\n",
            "kind: Gateway\n        namespace: shop\n",
            "cross namespace",
        ),
        (
            "target without a name",
            gateway_api,
            "        name: gateway\n",
            "",
            "\"name\" is a required property",
        ),
        (
            "no such mode",
            server,
            "mode: SIMPLE",
            "mode: SIMPEL",
            "/spec/trafficPolicy/tls/mode: \"SIMPEL\"",
        ),
        (
            "in clear",
            server,
            "mode: SIMPLE",
            "mode: DISABLE",
            "tls: not verified",
        ),
        (
            "any certificate",
            server,
            "subjectAltNames: [idp.example.com]",
            "subjectAltNames: []",
            "tls: not verified",
        ),
        (
            "certificate of another",
            server,
            "sni: idp.example.com",
            "sni: example.com",
            "tls: not verified",
        ),
        (
            "rule for another host",
            server,
            "host: idp.example.com",
            "host: example.com",
            "ServiceEntry: no DestinationRule",
        ),
        (
            "for the whole mesh",
            server,
            "exportTo: [\".\"]\n  ports",
            "ports",
            "exportTo",
        ),
        (
            "no such port",
            server,
            "number: 443",
            "number: 70000",
            "port must be between 1-65535",
        ),
        (
            "wildcard host",
            server,
            "hosts: [idp.example.com]",
            "hosts: [\"*\"]",
            "hostname cannot be wildcard",
        ),
    ] {
        let tree = Tree::new();
        tree.edit(file, from, to);
        tree.write(
            "gateway/kustomization.yaml",
            "{namespace: gateways, resources: [../portcullis/wasmplugin/kustomize/overlays/gateway-api], \
             components: [../portcullis/wasmplugin/kustomize/components/server]}",
        );
        // The labels of the base are in this one alone.
        tree.build("../gateway")
            .and_then(|mut objects| {
                objects.extend(tree.build("wasmplugin/kustomize/overlays/istio")?);
                Ok(objects)
            })
            .map_or_else(
                |error| assert!(error.contains(told), "{name}: {error}"),
                |objects| {
                    let found = [faults(&objects), openings(&objects)].concat();
                    let found = found.join("\n");
                    assert!(found.contains(told), "{name}: not told, but: {found}");
                },
            );
    }
}

/// A kustomization that is shown in a page does what the page says.
#[test]
fn pages_show_what_works() {
    if !met("pages_show_what_works", &[Tool::Kubectl]) {
        return;
    }
    let folder = here("wasmplugin");
    let mut built = 0;
    for page in ["README.md", "MIGRATION.md"] {
        let text = fs::read_to_string(folder.join(page)).unwrap();
        let tree = Tree::new();
        let compiled = compile(&here("wasmplugin/tutorials/1-jwt/original"), &[]);
        let compiled = compiled.expect("the first tutorial compiles");
        for block in text.split("```yaml\n# ").skip(1) {
            let (file, rest) = block.split_once('\n').unwrap();
            let (yaml, _) = rest.split_once("```").unwrap();
            tree.write(file, yaml);
            let Some(folder) = file.strip_suffix("/kustomization.yaml") else {
                continue;
            };
            tree.write(&format!("{folder}/wasmplugin.yaml"), &compiled);
        }
        for kustomization in text.split("```yaml\n# ").skip(1) {
            let (file, _) = kustomization.split_once('\n').unwrap();
            let Some(folder) = file.strip_suffix("/kustomization.yaml") else {
                continue;
            };
            let objects = tree.build(&format!("../{folder}")).unwrap();
            let kinds = kinds(&objects);
            assert!(kinds.contains(&"WasmPlugin"), "{page}, {file}: {kinds:?}");
            assert_eq!(faults(&objects), [""; 0], "{page}, {file}");
            let plugins = objects.iter().filter(|it| it["kind"] == "WasmPlugin");
            let plugins: Vec<_> = plugins.cloned().collect();
            assert_eq!(openings(&plugins), [""; 0], "{page}, {file}");
            let rules = &plugins[0]["spec"]["pluginConfig"]["authorizationPolicies"];
            assert!(rules.is_array(), "{page}, {file}: judges nothing");
            built += 1;
        }
    }
    assert!(built >= 2, "{built}");
}

/// What `portcullis compile` writes is taken by the cluster as it is.
#[test]
fn compiled_manifests_are_valid() {
    let tutorials = folders(&here("wasmplugin/tutorials"));
    let mut inputs: Vec<_> = tutorials.iter().map(|it| it.join("original")).collect();
    let first = inputs.len();
    files(&here("tests/cmd/compile"), &mut inputs);
    let mut seen = BTreeSet::new();
    let mut of_tutorials = 0;
    for (index, input) in inputs.iter().enumerate() {
        for gateway in [
            &[][..],
            &["--gateway-name", "gateway", "--namespace", "gateways"],
        ] {
            // Many inputs are there for their faults.
            let Some(text) = compile(input, gateway) else {
                continue;
            };
            let objects = documents(&text);
            assert_eq!(faults(&objects), [""; 0], "{} {gateway:?}", input.display());
            seen.extend(kinds(&objects).into_iter().map(str::to_owned));
            of_tutorials += usize::from(index < first);
        }
    }
    assert!(of_tutorials >= 6, "{of_tutorials}");
    let all = ["DestinationRule", "ServiceEntry", "WasmPlugin"];
    assert_eq!(Vec::from_iter(seen), all);
}

/// The tutorials' manifests as they are shipped, and each is accepted by the command itself.
#[test]
fn the_tutorials_are_valid() {
    let mut plugins = 0;
    for folder in folders(&here("wasmplugin/tutorials")) {
        let shipped = fs::read_to_string(folder.join("wasmplugin.yaml")).ok();
        let Some(text) = shipped.or_else(|| compile(&folder.join("original"), &[])) else {
            continue;
        };
        let objects = documents(&text);
        assert_eq!(faults(&objects), [""; 0], "{}", folder.display());
        for plugin in objects.iter().filter(|it| it["kind"] == "WasmPlugin") {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), plugin.to_string()).unwrap();
            let (ok, told) = portcullis(&["check".as_ref(), file.path()]);
            assert!(ok, "{}: {told}", folder.display());
            plugins += 1;
        }
    }
    assert!(plugins >= 3, "{plugins}");
}

// === what is wrong with objects ===

/// What the cluster, or the plugin, would not take.
fn faults(objects: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    for object in objects {
        let of_object = |it: String| format!("{}: {it}", object["kind"]);
        faults.extend(SCHEMAS.faults(object).into_iter().map(of_object));
        if object["kind"] == "WasmPlugin" {
            let config = object["spec"]["pluginConfig"].to_string();
            let read = Config::read(config.as_bytes()).err().unwrap_or_default();
            faults.extend(read.iter().map(|it| of_object(it.to_string())));
        }
    }
    faults
}

/// What they would leave open.
fn openings(objects: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for object in objects {
        let spec = &object["spec"];
        let mut expect = |holds: bool, told: String| {
            if !holds {
                found.push(format!("{}: {told}", object["kind"].as_str().unwrap()));
            }
        };
        let for_its_namespace = spec["exportTo"] == serde_json::json!(["."]);
        match object["kind"].as_str().unwrap() {
            "WasmPlugin" => {
                let url = spec["url"].as_str().unwrap_or_default();
                let selects = spec["selector"]["matchLabels"].as_object();
                let selects = selects.is_some_and(|labels| !labels.is_empty());
                let targets = spec["targetRefs"].as_array();
                let targets = targets.is_some_and(|refs| !refs.is_empty());
                expect(is_pinned(url), format!("url: not pinned by digest: {url}"));
                expect(selects || targets, "attached to no gateway".to_owned());
                expect(
                    spec["phase"] == "AUTHN",
                    format!("phase: {}", spec["phase"]),
                );
                expect(spec["priority"].is_i64(), "no priority".to_owned());
                let fails = &spec["failStrategy"];
                let closed = fails == "FAIL_CLOSE" || fails == "FAIL_RELOAD";
                expect(closed, format!("failStrategy: {fails}"));
            }
            "ServiceEntry" => {
                let host = &spec["hosts"][0];
                let mut rules = objects.iter().filter(|it| it["kind"] == "DestinationRule");
                let has_rule = rules.any(|it| it["spec"]["host"] == *host);
                expect(has_rule, format!("no DestinationRule for {host}"));
                expect(for_its_namespace, "exportTo".to_owned());
            }
            "DestinationRule" => {
                let tls = &spec["trafficPolicy"]["tls"];
                let named = tls["sni"] == spec["host"] && tls["subjectAltNames"][0] == spec["host"];
                let verified = tls["mode"] == "SIMPLE" && named;
                expect(verified, format!("tls: not verified: {tls}"));
                expect(for_its_namespace, "exportTo".to_owned());
            }
            kind => expect(false, format!("what is {kind} for?")),
        }
    }
    found
}

/// As it is written before it is replaced.
const DIGEST: &str = "@sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn is_pinned(url: &str) -> bool {
    let image = url.strip_prefix("oci://").unwrap_or_default();
    let Some((repository, digest)) = image.split_once("@sha256:") else {
        return false;
    };
    let (_, name) = repository.split_once('/').unwrap_or_default();
    let is_hex = |it: char| matches!(it, '0'..='9' | 'a'..='f');
    !name.is_empty() && !name.contains(':') && digest.len() == 64 && digest.chars().all(is_hex)
}

fn kinds(objects: &[Value]) -> Vec<&str> {
    let kinds = objects.iter().filter_map(|it| it["kind"].as_str());
    Vec::from_iter(BTreeSet::from_iter(kinds))
}

// === where they come from ===

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|it| it.is_dir()).collect();
    folders.sort();
    folders
}

/// Adds every file of YAML in a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|it| it == "yaml") {
            found.push(path);
        }
    }
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// Runs the command; whether it ended well, and what it printed.
fn portcullis(arguments: &[&Path]) -> (bool, String) {
    run(Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments))
        .map_or_else(|error| (false, error), |text| (true, text))
}

/// What `portcullis compile` writes; nothing, if the input has faults.
fn compile(input: &Path, options: &[&str]) -> Option<String> {
    let mut arguments = vec![Path::new("compile"), input];
    arguments.extend(options.iter().map(Path::new));
    let (ok, text) = portcullis(&arguments);
    ok.then_some(text)
}

/// Standard output, or all that was printed if it failed.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    match output.status.success() {
        true => Ok(text),
        false => Err(text + &String::from_utf8_lossy(&output.stderr)),
    }
}

// === impl Tree ===

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        let root = here("wasmplugin/kustomize");
        let mut found = Vec::new();
        files(&root, &mut found);
        for path in found {
            let to = Path::new("portcullis").join(path.strip_prefix(here("")).unwrap());
            tree.write(to.to_str().unwrap(), &fs::read_to_string(&path).unwrap());
        }
        tree
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces what must be there, wherever it is in a file.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = format!("portcullis/wasmplugin/kustomize/{file}");
        let text = fs::read_to_string(self.0.path().join(&path)).unwrap();
        assert!(text.contains(from), "{file} has no `{from}`");
        self.write(&path, &text.replace(from, to));
    }

    /// The base and the overlays, as folders of the project.
    fn overlays(&self) -> Vec<String> {
        let root = self.0.path().join("portcullis");
        let overlays = folders(&root.join("wasmplugin/kustomize/overlays"));
        let overlays = overlays.iter().map(|it| it.strip_prefix(&root).unwrap());
        let overlays = overlays.map(|it| it.to_str().unwrap().to_owned());
        let base = "wasmplugin/kustomize/base".to_owned();
        [base].into_iter().chain(overlays).collect()
    }

    /// What kustomize makes of a folder, which is named from the project's.
    fn build(&self, folder: &str) -> Result<Vec<Value>, String> {
        let folder = self.0.path().join("portcullis").join(folder);
        let mut kubectl = Command::new(Tool::Kubectl.path());
        let text = run(kubectl
            .arg("kustomize")
            .arg(folder)
            .env("HOME", self.0.path()))?;
        Ok(documents(&text))
    }
}
