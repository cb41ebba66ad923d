//! Images that Istio's agent takes, and those that it refuses, each with its words.

use super::*;
use crate::cli::image::archive::pack;
use crate::cli::image::build::{Image, Layout, Provenance, digest};
use serde_json::{Value, json};
use std::collections::HashMap;

const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const URL: &str = "oci://registry.example.com/portcullis:1";

/// A registry of one repository.
#[derive(Default)]
struct Store {
    manifests: HashMap<String, Vec<u8>>,
    blobs: HashMap<String, Vec<u8>>,
}

impl Source for Store {
    fn manifest(&self, identifier: &str) -> Result<Vec<u8>, String> {
        let found = self.manifests.get(identifier).cloned();
        found.ok_or_else(|| format!("no manifest {identifier}"))
    }

    fn blob(&self, layer: &Descriptor) -> Result<Vec<u8>, String> {
        let found = self.blobs.get(&layer.digest).cloned();
        found.ok_or_else(|| format!("no blob {}", layer.digest))
    }
}

impl Store {
    /// Keeps a manifest under its digest and a tag.
    fn tag(&mut self, tag: &str, manifest: &Value) -> String {
        let bytes = manifest.to_string().into_bytes();
        let digest = digest(&bytes);
        self.manifests.insert(tag.to_owned(), bytes.clone());
        self.manifests.insert(digest.clone(), bytes);
        digest
    }

    fn layer(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        self.blobs.insert(digest.clone(), bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }
}

/// A registry with one image, tagged `1`, of layers with their types.
fn store(media_type: &str, layers: &[(&str, &[u8])]) -> Store {
    let mut store = Store::default();
    let layers = layers.iter().map(|(kind, bytes)| store.layer(kind, bytes));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "layers": layers.collect::<Vec<_>>(),
    });
    store.tag("1", &manifest);
    store
}

fn fetched(store: &Store, identifier: &str, sha256: Option<&str>) -> Result<Fetched, Failure> {
    fetch(
        store,
        &Wanted {
            url: URL,
            identifier,
            sha256,
        },
    )
}

fn refused(store: &Store, identifier: &str, sha256: Option<&str>) -> Refused {
    match fetched(store, identifier, sha256) {
        Err(Failure::Refused(refused)) => *refused,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn what_is_built_is_taken() {
    for layout in [Layout::Docker, Layout::Oci, Layout::Artifact] {
        let image = Image::build(layout, MODULE, &Provenance::default()).unwrap();
        let mut store = Store::default();
        for blob in &image.blobs {
            store.blobs.insert(blob.digest.clone(), blob.bytes.clone());
        }
        let digest = &image.manifest.digest;
        for name in ["1", digest] {
            let bytes = image.manifest.bytes.clone();
            store.manifests.insert(name.to_owned(), bytes);
        }
        let sha256 = digest.strip_prefix("sha256:");
        for (identifier, sha256) in [("1", None), ("1", sha256), (digest, None), (digest, sha256)] {
            let fetched = fetched(&store, identifier, sha256).unwrap();
            assert_eq!(fetched.module, MODULE, "{layout:?}");
            assert_eq!(fetched.digest, *digest, "{layout:?}");
        }
    }
}

#[test]
fn others_images_are_taken() {
    let layer = pack(MODULE).unwrap().compressed;
    let (oci, docker) = (media_type::OCI_LAYER, media_type::DOCKER_LAYER);
    let (wasm, config) = (media_type::WASM_MODULE, media_type::WASM_CONFIG);
    type Layers<'a> = &'a [(&'a str, &'a [u8])];
    let cases: &[(&str, &str, Layers)] = &[
        ("no media type", "", &[(oci, &layer)]),
        ("an unknown one", "application/json", &[(oci, &layer)]),
        (
            "layers before the last",
            media_type::OCI_MANIFEST,
            &[("x", b"x"), (oci, &layer)],
        ),
        (
            "Docker's, too",
            media_type::DOCKER_MANIFEST,
            &[(docker, b"x"), (docker, &layer)],
        ),
        (
            "the module first",
            media_type::OCI_MANIFEST,
            &[(wasm, MODULE), (config, b"{}")],
        ),
        (
            "the module last",
            media_type::OCI_MANIFEST,
            &[("any", b""), (wasm, MODULE)],
        ),
        // The archive has no module, the layer before it is one.
        (
            "both attempts",
            media_type::OCI_MANIFEST,
            &[(wasm, MODULE), (oci, b"x")],
        ),
    ];
    for (name, media_type, layers) in cases {
        let fetched = fetched(&store(media_type, layers), "1", None);
        assert_eq!(
            fetched.map(|it| it.module).ok().as_deref(),
            Some(MODULE),
            "{name}"
        );
    }
}

#[test]
fn wrong_layouts_are_refused_in_istios_words() {
    let layer = pack(MODULE).unwrap().compressed;
    let text = pack(b"#!/bin/sh").unwrap().compressed;
    let empty = pack(b"").unwrap().compressed;
    let (oci, docker) = (media_type::OCI_LAYER, media_type::DOCKER_LAYER);
    let (wasm, config) = (media_type::WASM_MODULE, media_type::WASM_CONFIG);
    let both = |compat: &str, oci: &str| {
        format!(
            "could not fetch Wasm binary: the given image is in invalid format as an OCI image: 2 \
             errors occurred:\n\t* could not parse as compat variant: {compat}\n\t* could not \
             parse as oci variant: {oci}"
        )
    };
    let as_docker = |what: &str| {
        format!(
            "could not fetch Wasm binary: could not extract Wasm file from the image as Docker \
             container {what}"
        )
    };
    let expect_oci = |found: &str| format!("invalid media type {found} (expect {oci})");
    let one = "number of layers must be 2 but got 1";
    let invalid = format!("fetched Wasm binary from {URL} is invalid");
    let gzip =
        "could not extract wasm binary: failed to parse layer as tar.gz: gzip: invalid header";
    type Layers<'a> = &'a [(&'a str, &'a [u8])];
    let cases: &[(&str, &str, Layers, String, &str)] = &[
        (
            "an artifact of one layer",
            media_type::OCI_MANIFEST,
            &[(wasm, MODULE)],
            both(&expect_oci(wasm), one),
            "two layers",
        ),
        (
            "the layout `application/wasm`",
            media_type::OCI_MANIFEST,
            &[("application/wasm", MODULE)],
            both(&expect_oci("application/wasm"), one),
            "does not know artifacts of `application/wasm`",
        ),
        (
            "an artifact without a module",
            media_type::OCI_MANIFEST,
            &[("application/octet-stream", MODULE), (config, b"{}")],
            both(
                &expect_oci(config),
                "could not find the layer of type application/vnd.module.wasm.content.layer.v1+wasm",
            ),
            "give the module's layer the type",
        ),
        (
            "an artifact of three layers",
            media_type::OCI_MANIFEST,
            &[(wasm, MODULE), (config, b"{}"), (config, b"{ }")],
            both(&expect_oci(config), "number of layers must be 2 but got 3"),
            "portcullis push",
        ),
        (
            "zstd",
            media_type::OCI_MANIFEST,
            &[("application/vnd.oci.image.layer.v1.tar+zstd", &layer)],
            both(
                &expect_oci("application/vnd.oci.image.layer.v1.tar+zstd"),
                one,
            ),
            "compression=gzip",
        ),
        (
            "not compressed",
            media_type::OCI_MANIFEST,
            &[("application/vnd.oci.image.layer.v1.tar", &layer)],
            both(&expect_oci("application/vnd.oci.image.layer.v1.tar"), one),
            "compression=gzip",
        ),
        (
            "no gzip, whatever the type says",
            media_type::OCI_MANIFEST,
            &[(oci, b"\x28\xb5\x2f\xfd")],
            both(gzip, one),
            "portcullis push",
        ),
        (
            "an archive that ends early",
            media_type::DOCKER_MANIFEST,
            &[(docker, &layer[..layer.len() / 2])],
            as_docker("could not extract wasm binary: unexpected EOF"),
            "portcullis push",
        ),
        (
            "an OCI layer under a Docker manifest",
            media_type::DOCKER_MANIFEST,
            &[(oci, &layer)],
            as_docker(&format!("invalid media type {oci} (expect {docker})")),
            "must both be Docker's or both OCI's",
        ),
        (
            "a Docker layer under an OCI manifest",
            media_type::OCI_MANIFEST,
            &[(docker, &layer)],
            both(&expect_oci(docker), one),
            "must both be Docker's or both OCI's",
        ),
        (
            "an artifact under a Docker manifest",
            media_type::DOCKER_MANIFEST,
            &[(config, b"{}"), (wasm, MODULE)],
            as_docker(&format!("invalid media type {wasm} (expect {docker})")),
            "portcullis push",
        ),
        (
            "no layers",
            media_type::DOCKER_MANIFEST,
            &[],
            as_docker("number of layers must be greater than zero"),
            "portcullis push",
        ),
        (
            "something else than a module",
            media_type::OCI_MANIFEST,
            &[(oci, &text)],
            invalid.clone(),
            "must be the module itself",
        ),
        (
            "an empty file",
            media_type::DOCKER_MANIFEST,
            &[(docker, &empty)],
            invalid.clone(),
            "must be the module itself",
        ),
        (
            "a module that is cut",
            media_type::OCI_MANIFEST,
            &[(wasm, b"\0asm"), (config, b"{}")],
            invalid,
            "must be the module itself",
        ),
    ];
    for (name, media_type, layers, reason, advice) in cases {
        let refused = refused(&store(media_type, layers), "1", None);
        assert_eq!(refused.reason, *reason, "{name}");
        assert!(
            refused.advice.contains(advice),
            "{name}: {}",
            refused.advice
        );
    }
}

#[test]
fn a_manifest_that_is_none_is_refused() {
    for manifest in ["", "{", "\"sha256\"", "{\"layers\": [{}]}"] {
        let mut store = Store::default();
        store.manifests.insert("1".to_owned(), manifest.into());
        let refused = refused(&store, "1", None);
        let expected = "could not fetch Wasm binary: could not retrieve manifest: ";
        assert!(refused.reason.starts_with(expected), "{}", refused.reason);
    }
}

/// An image, and an index that leads to it for a platform.
fn indexed(platform: Option<Value>) -> (Store, String, String) {
    let layer = pack(MODULE).unwrap().compressed;
    let mut store = store(media_type::OCI_MANIFEST, &[(media_type::OCI_LAYER, &layer)]);
    let image = digest(&store.manifests["1"]);
    let mut child = json!({"mediaType": media_type::OCI_MANIFEST, "digest": image, "size": 1});
    if let Some(platform) = platform {
        child["platform"] = platform;
    }
    let other = json!({
        "mediaType": media_type::OCI_MANIFEST,
        "digest": digest(b"other"),
        "size": 1,
        "platform": {"os": "linux", "architecture": "arm64"},
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": [other, child],
    });
    let index = store.tag("1", &index);
    (store, image, index)
}

#[test]
fn an_index_leads_to_the_image_for_linux_on_amd64() {
    let amd64 = json!({"os": "linux", "architecture": "amd64"});
    for platform in [Some(amd64), None] {
        let (store, image, index) = indexed(platform);
        let fetched = fetched(&store, "1", None).unwrap();
        assert_eq!((fetched.digest, fetched.index), (image, Some(index)));
        assert_eq!(fetched.module, MODULE);
    }
    let wasm = json!({"os": "wasip1", "architecture": "wasm"});
    let refused = refused(&indexed(Some(wasm)).0, "1", None);
    assert_eq!(
        refused.reason,
        "could not fetch Wasm OCI image: could not fetch image: no child with platform linux/amd64 \
         in index registry.example.com/portcullis:1"
    );
}

#[test]
fn the_digest_is_that_of_the_image_and_never_that_of_the_index() {
    let (store, image, index) = indexed(None);
    let [image_hex, index_hex] = [&image, &index].map(|it| it.trim_start_matches("sha256:"));
    assert!(fetched(&store, "1", Some(image_hex)).is_ok());
    for (identifier, sha256) in [("1", Some(index_hex)), (index.as_str(), None)] {
        let refused = refused(&store, identifier, sha256);
        assert_eq!(
            refused.reason,
            format!(
                "module downloaded from {URL} has checksum {image_hex}, which does not match: \
                 {index_hex}"
            )
        );
        assert!(
            refused.advice.contains("not the index"),
            "{}",
            refused.advice
        );
        assert!(refused.advice.contains(&image), "{}", refused.advice);
    }
    // With both, the checksum of the WasmPlugin is the one that counts.
    assert!(fetched(&store, &index, Some(image_hex)).is_ok());
    let zeros = "0".repeat(64);
    let refused = refused(&store, "1", Some(&zeros));
    assert!(!refused.advice.contains("index"), "{}", refused.advice);
}

#[test]
fn blobs_that_are_not_what_the_manifest_says_are_no_verdict() {
    let layer = pack(MODULE).unwrap().compressed;
    let with_size = |size: u64| {
        let mut store = store(media_type::OCI_MANIFEST, &[(media_type::OCI_LAYER, &layer)]);
        let mut manifest: Value = serde_json::from_slice(&store.manifests["1"]).unwrap();
        manifest["layers"][0]["size"] = json!(size);
        store.tag("1", &manifest);
        store
    };
    let real = layer.len() as u64;
    assert!(fetched(&with_size(real), "1", None).is_ok());
    for size in [real - 1, real + 1, MAX_BYTES + 1] {
        match fetched(&with_size(size), "1", None) {
            Err(Failure::Source(error)) => assert!(error.contains("bytes"), "{error}"),
            other => panic!("{size}: {other:?}"),
        }
    }
    let mut store = with_size(real);
    store.blobs.clear();
    assert!(matches!(
        fetched(&store, "1", None),
        Err(Failure::Source(_))
    ));
}
