//! Istio's own fetcher of modules, which its agent runs at each gateway, at images that
//! `portcullis push` put into a registry: in each layout, by tag and by digest.
//!
//! Wrong images are put there by hand: the fetcher must refuse them, in the words that
//! `portcullis push --check` foretells.

use std::{
    env, fs,
    process::{Command, Output},
};

use portcullis::cli::image::{
    archive,
    build::{digest, media_type},
};
use serde_json::{Value, json};

use crate::{
    COMMAND,
    harness::{
        Tool,
        registry::{Guard, Registry},
        requirements::FETCH_IMAGE,
    },
    table::Line,
};

/// An image of these layers: a name, the type of its manifest, and each layer's type and content.
type Image<'a> = (&'static str, &'static str, &'a [(&'static str, &'a [u8])]);

/// Plays it all.
pub fn play() -> Vec<Line> {
    let registry = Registry::start(Guard::Open);
    let module = fs::read(Tool::Plugin.path()).expect("the module");
    let whole = format!("{} {}", digest(&module), module.len());
    let mut lines = Vec::new();
    for layout in ["docker", "oci", "artifact"] {
        let tag = format!("oci://{}/{layout}/portcullis:1", registry.host());
        let pushed = push(&["--layout", layout, &tag]);
        let text = |name: &str| pushed[name].as_str().unwrap_or_default().to_owned();
        let (url, digest) = (text("url"), text("digest"));
        let pinned = digest.trim_start_matches("sha256:");
        for (how, url, sha256) in [
            ("by tag", &tag, None),
            ("by digest", &url, None),
            ("by tag, with `sha256`", &tag, Some(pinned)),
        ] {
            let what = format!("pushed as {layout}, fetched {how}");
            lines.push(Line::new(what, &whole, fetch(url, sha256)));
        }
        // The digest of the module is not the digest of the image.
        let wrong = whole.get(7..71);
        lines.push(refused(
            &format!("pushed as {layout}, fetched with another `sha256`"),
            &tag,
            wrong,
        ));
    }
    lines.extend(wrong_images(&registry, &module));
    lines
}

fn wrong_images(registry: &Registry, module: &[u8]) -> Vec<Line> {
    let (oci, docker) = (media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST);
    let packed = archive::pack(module).expect("an archive").compressed;
    let images: [Image<'_>; 5] = [
        (
            "an artifact of one layer",
            oci,
            &[(media_type::WASM_MODULE, module)],
        ),
        (
            "an artifact of three layers",
            oci,
            &[
                (media_type::WASM_MODULE, module),
                (media_type::WASM_CONFIG, b"{ }"),
                (media_type::WASM_CONFIG, b"{ }"),
            ],
        ),
        (
            "a layer in zstd",
            oci,
            &[("application/vnd.oci.image.layer.v1.tar+zstd", &packed)],
        ),
        (
            "a Docker image with a layer of OCI",
            docker,
            &[(media_type::OCI_LAYER, &packed)],
        ),
        (
            "a layer that is no archive",
            docker,
            &[(media_type::DOCKER_LAYER, module)],
        ),
    ];
    let lines = images.iter().map(|(name, media_type, layers)| {
        let layers = layers.iter();
        let layers = layers.map(|(kind, bytes)| registry.put_blob("portcullis", kind, bytes));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": registry.put_blob("portcullis", media_type::OCI_CONFIG, b"{}"),
            "layers": layers.collect::<Vec<_>>(),
        });
        registry.put_manifest("portcullis", "1", &manifest);
        let url = format!("oci://{}/portcullis:1", registry.host());
        refused(&format!("refused: {name}"), &url, None)
    });
    lines.collect()
}

/// What the fetcher says, beside what `portcullis push --check` says that it would.
fn refused(what: &str, url: &str, sha256: Option<&str>) -> Line {
    let sha256 = sha256.map(|it| format!("--sha256={it}"));
    let check: Vec<&str> = ["--check", url]
        .into_iter()
        .chain(sha256.as_deref())
        .collect();
    let said = push(&check)["reason"].take();
    let got = fetch(
        url,
        sha256
            .as_deref()
            .and_then(|it| it.strip_prefix("--sha256=")),
    );
    Line::new(
        what,
        one_line(said.as_str().unwrap_or("accepted")),
        one_line(&got),
    )
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `portcullis push`; what it prints for machines.
fn push(arguments: &[&str]) -> Value {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.env(COMMAND, "1");
    command
        .args(["push", "--insecure-http", "--format=json"])
        .args(arguments);
    let Output { stdout, stderr, .. } = command.output().expect("the command");
    serde_json::from_slice(&stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&stderr)))
}

/// The digest and size of what Envoy would get, or why it gets nothing.
fn fetch(url: &str, sha256: Option<&str>) -> String {
    let mut command = Command::new(FETCH_IMAGE.path());
    let Output {
        status,
        stdout,
        stderr,
    } = command.arg(url).args(sha256).output().expect("the fetcher");
    let said = if status.success() { stdout } else { stderr };
    String::from_utf8_lossy(&said).trim().to_owned()
}
