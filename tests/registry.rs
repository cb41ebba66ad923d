//! Images in a real registry: what `portcullis push` puts there, and what `--check` says of others.
//!
//! The registry is Debian's `docker-registry`; without it a test is skipped with one line, or fails
//! under `REQUIRE=all`. Wrong images are put there by hand.

mod authorization_server;
mod harness;
#[path = "registry/token_server.rs"]
mod token_server;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use harness::{
    Tool,
    registry::{self, Guard, LOGIN, Registry},
    requirements::met,
};
use portcullis::cli::image::{
    archive,
    build::{digest, media_type},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use token_server::TokenServer;

/// The command, away from what the machine says of registries.
struct Portcullis {
    home: TempDir,
    /// Further variables of the environment.
    env: Vec<(&'static str, String)>,
    stdin: String,
}

/// How it ended.
struct Ended {
    exit: i32,
    out: String,
    err: String,
}

/// Not a module that runs, but one for Istio's agent.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

const LAYOUTS: [&str; 3] = ["docker", "oci", "artifact"];

/// Makes of a function a test that needs a registry.
macro_rules! with_registry {
    ($($(#[$doc:meta])* fn $name:ident($registry:ident: $guard:expr) $body:block)+) => {
        $($(#[$doc])* #[test]
        fn $name() {
            if met(stringify!($name), &[registry::TOOL]) {
                let $registry = Registry::start($guard);
                $body
            }
        })+
    };
}

with_registry! {
    fn every_layout_is_pushed_and_read_back(registry: Guard::Open) {
        let portcullis = Portcullis::new();
        for layout in LAYOUTS {
            let name = format!("oci://{}/{layout}/portcullis:1", registry.host());
            let pushed = portcullis.push(&["--insecure-http", "--layout", layout, &name]);
            let said = pushed.json();
            assert_eq!(said["verdict"], "valid", "{layout}");
            assert_eq!(said["pushed"]["layout"], layout);
            assert_eq!(said["module"]["sha256"], digest(MODULE), "{layout}");
            // One manifest, no index, and its digest is the one to pin.
            let manifest = registry.manifest(&format!("{layout}/portcullis"), "1");
            assert_eq!(said["digest"], digest(&manifest.body), "{layout}");
            let expected = match layout {
                "docker" => media_type::DOCKER_MANIFEST,
                _ => media_type::OCI_MANIFEST,
            };
            assert_eq!(manifest.header("content-type").as_deref(), Some(expected));
            let url = said["url"].as_str().unwrap();
            let pinned = format!("{}@{}", name.trim_end_matches(":1"), digest(&manifest.body));
            assert_eq!(url, pinned);
            for name in [&name, url] {
                let checked = portcullis.check(&["--insecure-http", name]).json();
                assert_eq!(checked["digest"], said["digest"], "{layout}");
            }
        }
    }

    /// Another process, another file, another day: the same bytes.
    fn a_second_build_has_the_same_digest(registry: Guard::Open) {
        for layout in LAYOUTS {
            let push = |module: &[u8], tag: &str| {
                let portcullis = Portcullis::with_module(module);
                let name = format!("{}/portcullis:{tag}", registry.host());
                let arguments = ["--insecure-http", "--layout", layout, &name];
                portcullis.push(&arguments).json()["digest"].clone()
            };
            let digest = push(MODULE, "1");
            assert_eq!(push(MODULE, "2"), digest, "{layout}");
            assert_ne!(push(b"\0asm\x02\0\0\0", "3"), digest, "{layout}");
            let portcullis = Portcullis::new();
            let folder = portcullis.home.path().join("image");
            let written = portcullis.run(&["image", "--output", folder.to_str().unwrap()]);
            assert_eq!(written.exit, 0, "{}", written.err);
            let line = format!("{} {}\n", digest.as_str().unwrap(), folder.join(layout).display());
            assert!(written.out.contains(&line), "{}", written.out);
            let index = fs::read(folder.join(layout).join("index.json")).unwrap();
            let index: Value = serde_json::from_slice(&index).unwrap();
            assert_eq!(index["manifests"][0]["digest"], digest, "{layout}");
        }
    }

    fn pushing_again_changes_nothing(registry: Guard::Open) {
        let portcullis = Portcullis::new();
        let name = format!("{}/portcullis:1", registry.host());
        let first = portcullis.push(&["--insecure-http", &name]).json();
        let uploads = registry.log().matches("\"PATCH ").count();
        assert_eq!(portcullis.push(&["--insecure-http", &name]).json(), first);
        assert_eq!(registry.log().matches("\"PATCH ").count(), uploads);
    }

    fn wrong_layouts_are_refused_in_istios_words(registry: Guard::Open) {
        let portcullis = Portcullis::new();
        let packed = archive::pack(MODULE).unwrap().compressed;
        let renamed = gzip(&tar("filter.wasm", MODULE));
        let script = gzip(&tar("plugin.wasm", b"#!/bin/sh"));
        let zstd: &[u8] = b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00\x99\xe9\xd8\x51";
        let (oci, docker) = (media_type::OCI_LAYER, media_type::DOCKER_LAYER);
        let (wasm, config) = (media_type::WASM_MODULE, media_type::WASM_CONFIG);
        let one_layer = "could not parse as oci variant: number of layers must be 2 but got 1";
        type Layers<'a> = &'a [(&'a str, &'a [u8])];
        let cases: &[(&str, &str, Layers, &[&str])] = &[
            (
                "an artifact of one layer",
                media_type::OCI_MANIFEST,
                &[(wasm, MODULE)],
                &["invalid media type application/vnd.module.wasm.content.layer.v1+wasm", one_layer],
            ),
            (
                "two layers without a module",
                media_type::OCI_MANIFEST,
                &[("application/octet-stream", MODULE), (config, b"{}")],
                &["could not find the layer of type application/vnd.module.wasm.content.layer.v1+wasm"],
            ),
            (
                "zstd",
                media_type::OCI_MANIFEST,
                &[("application/vnd.oci.image.layer.v1.tar+zstd", zstd)],
                &["invalid media type application/vnd.oci.image.layer.v1.tar+zstd", one_layer],
            ),
            (
                "another file name",
                media_type::OCI_MANIFEST,
                &[(oci, &renamed)],
                &["plugin.wasm not found in the archive", one_layer],
            ),
            (
                "another file name in a Docker image",
                media_type::DOCKER_MANIFEST,
                &[(docker, &renamed)],
                &["as Docker container could not extract wasm binary: plugin.wasm not found in the archive"],
            ),
            (
                "not a module",
                media_type::DOCKER_MANIFEST,
                &[(docker, &script)],
                &["fetched Wasm binary from oci://", "is invalid"],
            ),
        ];
        for (name, media_type, layers, expected) in cases {
            put(&registry, "1", media_type, layers);
            let image = format!("oci://{}/portcullis:1", registry.host());
            let refused = portcullis.check(&["--insecure-http", &image]);
            assert_eq!(refused.exit, 2, "{name}: {}", refused.err);
            let said: Value = serde_json::from_str(&refused.out).unwrap();
            assert_eq!(said["verdict"], "refused", "{name}");
            let reason = said["reason"].as_str().unwrap();
            for part in *expected {
                assert!(reason.contains(part), "{name}: {reason}");
            }
            // The same by hand, in a layout that Istio takes.
            put(&registry, "1", media_type::OCI_MANIFEST, &[(oci, &packed)]);
            assert_eq!(portcullis.check(&["--insecure-http", &image]).exit, 0, "{name}");
        }
    }

    fn an_index_is_no_digest_to_pin(registry: Guard::Open) {
        let portcullis = Portcullis::new();
        let packed = archive::pack(MODULE).unwrap().compressed;
        let image = put(&registry, "image", media_type::OCI_MANIFEST, &[(media_type::OCI_LAYER, &packed)]);
        let index = |tag: &str, architecture: &str| {
            let index = json!({
                "schemaVersion": 2,
                "mediaType": media_type::OCI_INDEX,
                "manifests": [{
                    "mediaType": media_type::OCI_MANIFEST,
                    "digest": image,
                    "size": registry.manifest("portcullis", "image").body.len(),
                    "platform": {"os": "linux", "architecture": architecture},
                }],
            });
            registry.put_manifest("portcullis", tag, &index);
            digest(&registry.manifest("portcullis", tag).body)
        };
        let pinned = index("amd64", "amd64");
        index("arm64", "arm64");
        let name = format!("oci://{}/portcullis", registry.host());
        let check = |arguments: &[&str]| {
            portcullis.check(&[&["--insecure-http"], arguments].concat())
        };

        // Istio takes it by tag, and compares the image behind it.
        let by_tag = check(&[&format!("{name}:amd64")]).json();
        assert_eq!(by_tag["digest"], image);
        let warning = by_tag["warnings"][0].as_str().unwrap();
        assert!(warning.contains(&pinned) && warning.contains("is an index"), "{warning}");

        let hex = pinned.trim_start_matches("sha256:");
        let by_digest = format!("{name}@{pinned}");
        let by_tag = format!("{name}:amd64");
        for arguments in [&[by_digest.as_str()][..], &["--sha256", hex, &by_tag]] {
            let refused = check(arguments);
            assert_eq!(refused.exit, 2, "{}", refused.err);
            assert!(refused.out.contains("which does not match: "), "{}", refused.out);
            assert!(refused.out.contains("not the index"), "{}", refused.out);
        }

        let refused = check(&[&format!("{name}:arm64")]);
        assert_eq!(refused.exit, 2, "{}", refused.err);
        assert!(refused.out.contains("no child with platform linux/amd64 in index"), "{}", refused.out);
    }

    fn a_wrong_digest_is_refused(registry: Guard::Open) {
        let portcullis = Portcullis::new();
        let name = format!("oci://{}/portcullis:1", registry.host());
        let zeros = "0".repeat(64);
        let wrong = format!("{name}@sha256:{zeros}");

        // Nothing is pushed that is not what was asked for.
        let refused = portcullis.push(&["--insecure-http", &wrong]);
        assert_eq!(refused.exit, 2, "{}", refused.err);
        assert!(refused.out.contains("nothing was pushed"), "{}", refused.out);
        assert_eq!(registry.manifest("portcullis", "1").status, 404);

        let pushed = portcullis.push(&["--insecure-http", &name]).json();
        let digest = pushed["digest"].as_str().unwrap();
        let right = format!("{name}@{digest}");
        assert_eq!(portcullis.push(&["--insecure-http", &right]).exit, 0);

        let hex = digest.trim_start_matches("sha256:");
        let check = |sha256| portcullis.check(&["--insecure-http", "--sha256", sha256, &name]);
        assert_eq!(check(hex).exit, 0);
        let refused = check(&zeros);
        assert_eq!(refused.exit, 2, "{}", refused.err);
        let said = format!("has checksum {hex}, which does not match: {zeros}");
        assert!(refused.out.contains(&said), "{}", refused.out);

        let missing = portcullis.check(&["--insecure-http", &wrong]);
        assert_eq!(missing.exit, 1);
        assert!(missing.err.contains("has no oci://"), "{}", missing.err);
    }

    fn a_registry_that_is_down_is_named(registry: Guard::Open) {
        let host = registry.stop();
        let name = format!("{host}/portcullis:1");
        let portcullis = Portcullis::new();
        for ended in [
            portcullis.push(&["--insecure-http", &name]),
            portcullis.push(&[&name]),
            portcullis.check(&["--insecure-http", &name]),
        ] {
            assert_eq!(ended.exit, 1);
            let said = format!("`{host}` cannot be reached: ");
            assert!(ended.err.contains(&said), "{}", ended.err);
            assert!(ended.err.contains("is it running"), "{}", ended.err);
        }
    }

    fn plain_http_is_spoken_only_when_asked(registry: Guard::Open) {
        let portcullis = Portcullis::new();
        let name = format!("{}/portcullis:1", registry.host());
        for ended in [portcullis.push(&[&name]), portcullis.check(&[&name])] {
            assert_eq!(ended.exit, 1);
            assert!(ended.err.contains("does not answer with TLS"), "{}", ended.err);
            assert!(ended.err.contains("`--insecure-http`"), "{}", ended.err);
        }
        assert_eq!(registry.manifest("portcullis", "1").status, 404);
        assert_eq!(portcullis.push(&["--insecure-http", &name]).exit, 0);
    }

    fn tls_is_verified(registry: Guard::Tls) {
        let mut portcullis = Portcullis::new();
        let name = format!("{}/portcullis:1", registry.host());
        let stranger = portcullis.push(&[&name]);
        assert_eq!(stranger.exit, 1);
        assert!(stranger.err.contains("invalid peer certificate"), "{}", stranger.err);
        assert_eq!(registry.manifest("portcullis", "1").status, 404);

        let authority = registry.authority().display().to_string();
        portcullis.env.push(("SSL_CERT_FILE", authority));
        let pushed = portcullis.push(&[&name]);
        assert_eq!(pushed.exit, 0, "{}", pushed.err);
        assert_eq!(registry.manifest("portcullis", "1").status, 200);
    }

    fn a_registry_that_demands_credentials_gets_them(registry: Guard::Password) {
        let name = format!("{}/portcullis:1", registry.host());
        let docker = |password: &str| {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            let auth = STANDARD.encode(format!("{}:{password}", LOGIN.0));
            json!({"auths": {registry.host(): {"auth": auth}}})
        };
        type Give<'a> = &'a dyn Fn(&mut Portcullis, &str) -> Vec<&'static str>;
        let ways: &[(&str, Give)] = &[
            ("standard input", &|portcullis, password| {
                portcullis.stdin = format!("{password}\n");
                vec!["--username", LOGIN.0, "--password-stdin"]
            }),
            ("the environment", &|portcullis, password| {
                portcullis.env = vec![
                    ("PORTCULLIS_REGISTRY_USERNAME", LOGIN.0.to_owned()),
                    ("PORTCULLIS_REGISTRY_PASSWORD", password.to_owned()),
                ];
                vec![]
            }),
            ("~/.docker", &|portcullis, password| {
                portcullis.docker(".docker", &docker(password));
                vec![]
            }),
            ("DOCKER_CONFIG", &|portcullis, password| {
                let folder = portcullis.docker("elsewhere", &docker(password));
                portcullis.env = vec![("DOCKER_CONFIG", folder)];
                vec![]
            }),
        ];
        let run = |give: Give, password: &str, check: bool| {
            let mut portcullis = Portcullis::new();
            let mut arguments = give(&mut portcullis, password);
            arguments.extend(["--insecure-http", &name]);
            let ended = match check {
                true => portcullis.check(&arguments),
                false => portcullis.push(&arguments),
            };
            let said = format!("{}{}", ended.out, ended.err);
            assert!(!said.contains(password), "{said}");
            ended
        };
        for (way, give) in ways {
            let wrong = run(give, "not-the-password", false);
            assert_eq!(wrong.exit, 1, "{way}");
            assert!(wrong.err.contains("refuses the credentials from"), "{way}: {}", wrong.err);
            let right = run(give, LOGIN.1, false);
            let warnings = right.json()["warnings"].to_string();
            assert!(warnings.contains("without encryption"), "{way}: {warnings}");
            assert_eq!(run(give, LOGIN.1, true).exit, 0, "{way}");
        }
        let portcullis = Portcullis::new();
        for stranger in [
            portcullis.push(&["--insecure-http", &name]),
            portcullis.check(&["--insecure-http", &name]),
        ] {
            assert_eq!(stranger.exit, 1);
            assert!(stranger.err.contains("demands credentials"), "{}", stranger.err);
            assert!(stranger.err.contains("docker login"), "{}", stranger.err);
        }
    }
}

/// The module that goes to a gateway, not a stand-in.
#[test]
fn the_plugin_itself_is_pushed() {
    if !met(
        "the_plugin_itself_is_pushed",
        &[registry::TOOL, Tool::Plugin],
    ) {
        return;
    }
    let registry = Registry::start(Guard::Open);
    let module = fs::read(Tool::Plugin.path()).unwrap();
    let portcullis = Portcullis::with_module(&module);
    for layout in LAYOUTS {
        let name = format!("{}/{layout}:1", registry.host());
        let pushed = portcullis.push(&["--insecure-http", "--layout", layout, &name]);
        assert_eq!(
            pushed.json()["module"]["sha256"],
            digest(&module),
            "{layout}"
        );
    }
}

/// As at Docker Hub and GitHub: the registry sends us elsewhere for a token.
#[test]
fn a_registry_that_demands_a_token_gets_one() {
    if !met(
        "a_registry_that_demands_a_token_gets_one",
        &[registry::TOOL],
    ) {
        return;
    }
    let tokens = TokenServer::start();
    let registry = tokens.registry(Guard::Open);
    let name = format!("{}/portcullis:1", registry.host());
    let mut portcullis = Portcullis::new();
    let stranger = portcullis.push(&["--insecure-http", &name]);
    assert_eq!(stranger.exit, 1);
    assert!(
        stranger.err.contains("demands credentials"),
        "{}",
        stranger.err
    );

    let arguments = [
        "--insecure-http",
        "--username",
        LOGIN.0,
        "--password-stdin",
        &name,
    ];
    portcullis.stdin = "not-the-password".to_owned();
    let wrong = portcullis.push(&arguments);
    assert_eq!(wrong.exit, 1);
    assert!(
        wrong
            .err
            .contains("refuses the credentials from `--password-stdin`"),
        "{}",
        wrong.err
    );
    assert_eq!(tokens.scopes(), Vec::<String>::new());

    portcullis.stdin = LOGIN.1.to_owned();
    portcullis.push(&arguments).json();
    let scopes = tokens.scopes();
    assert!(
        scopes
            .iter()
            .any(|it| it == "repository:portcullis:pull,push"),
        "{scopes:?}"
    );
    // Who only looks does not ask for more.
    portcullis.check(&arguments).json();
    let asked = &tokens.scopes()[scopes.len()..];
    assert!(
        asked.iter().all(|it| it == "repository:portcullis:pull"),
        "{asked:?}"
    );
    assert!(!asked.is_empty());
}

/// The password would go over the wire for all to read.
#[test]
fn no_password_goes_where_a_registry_leads_without_tls() {
    let test = "no_password_goes_where_a_registry_leads_without_tls";
    if !met(test, &[registry::TOOL]) {
        return;
    }
    let tokens = TokenServer::start();
    let registry = tokens.registry(Guard::Tls);
    let name = format!("{}/portcullis:1", registry.host());
    let mut portcullis = Portcullis::new();
    let authority = registry.authority().display().to_string();
    portcullis.env.push(("SSL_CERT_FILE", authority));
    portcullis.stdin = LOGIN.1.to_owned();
    let pushed = portcullis.push(&["--username", LOGIN.0, "--password-stdin", &name]);
    assert_eq!(pushed.exit, 1);
    assert!(
        pushed.err.contains("leads to `http://127.0.0.1`"),
        "{}",
        pushed.err
    );
    assert_eq!(tokens.scopes(), Vec::<String>::new());
}

/// Puts an image of these layers there by hand, and tells its digest.
fn put(registry: &Registry, tag: &str, media_type: &str, layers: &[(&str, &[u8])]) -> String {
    let config = match media_type == media_type::DOCKER_MANIFEST {
        true => media_type::DOCKER_CONFIG,
        false => media_type::OCI_CONFIG,
    };
    let layers = layers.iter();
    let layers =
        layers.map(|(media_type, bytes)| registry.put_blob("portcullis", media_type, bytes));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": registry.put_blob("portcullis", config, b"{}"),
        "layers": layers.collect::<Vec<_>>(),
    });
    registry.put_manifest("portcullis", tag, &manifest);
    digest(&registry.manifest("portcullis", tag).body)
}

fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, content).unwrap();
    archive.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

// === impl Portcullis ===

impl Portcullis {
    fn new() -> Self {
        Self::with_module(MODULE)
    }

    fn with_module(module: &[u8]) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("plugin.wasm"), module).unwrap();
        Self {
            home,
            env: Vec::new(),
            stdin: String::new(),
        }
    }

    /// Writes a Docker configuration into a folder, and tells which.
    fn docker(&self, folder: &str, config: &Value) -> String {
        let folder = self.home.path().join(folder);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
        folder.display().to_string()
    }

    fn push(&self, arguments: &[&str]) -> Ended {
        self.run(&[&["push", "--format", "json"], arguments].concat())
    }

    fn check(&self, arguments: &[&str]) -> Ended {
        self.run(&[&["push", "--check", "--format", "json"], arguments].concat())
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_portcullis")));
        command.args(arguments).env_clear();
        command
            .env("HOME", self.home.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        if !arguments.contains(&"--check") {
            command
                .arg("--module")
                .arg(self.home.path().join("plugin.wasm"));
        }
        let pipes = [Stdio::piped(), Stdio::piped(), Stdio::piped()];
        let [stdin, stdout, stderr] = pipes;
        let mut child = command
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        // It does not read what it does not need.
        let _ = child.stdin.take().unwrap().write_all(self.stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ended {
            exit: output.status.code().expect("no signal"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

// === impl Ended ===

impl Ended {
    /// What it printed when all was well.
    fn json(&self) -> Value {
        assert_eq!(self.exit, 0, "{}{}", self.out, self.err);
        serde_json::from_str(&self.out).unwrap()
    }
}
