//! What an image consists of, layout by layout.

use super::*;
use serde_json::{Value, json};

const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const LAYOUTS: [Layout; 3] = [Layout::Docker, Layout::Oci, Layout::Artifact];

fn built(layout: Layout, from: &Provenance) -> (Image, Value) {
    let image = Image::build(layout, MODULE, from).unwrap();
    let manifest = serde_json::from_slice(&image.manifest.bytes).unwrap();
    (image, manifest)
}

fn config(image: &Image) -> Value {
    serde_json::from_slice(&image.blobs[0].bytes).unwrap()
}

#[test]
fn media_types_are_those_that_istio_asks_for() {
    let cases = [
        (
            Layout::Docker,
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.container.image.v1+json",
            vec!["application/vnd.docker.image.rootfs.diff.tar.gzip"],
        ),
        (
            Layout::Oci,
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.config.v1+json",
            vec!["application/vnd.oci.image.layer.v1.tar+gzip"],
        ),
        (
            Layout::Artifact,
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.module.wasm.config.v1+json",
            vec![
                "application/vnd.module.wasm.content.layer.v1+wasm",
                "application/vnd.module.wasm.config.v1+json",
            ],
        ),
    ];
    for (layout, manifest_type, config_type, layer_types) in cases {
        let (image, manifest) = built(layout, &Provenance::default());
        assert_eq!(manifest["schemaVersion"], 2);
        assert_eq!(manifest["mediaType"], manifest_type);
        assert_eq!(image.manifest.media_type, manifest_type);
        assert_eq!(manifest["config"]["mediaType"], config_type);
        let layers = manifest["layers"].as_array().unwrap();
        let types: Vec<_> = layers.iter().map(|layer| &layer["mediaType"]).collect();
        assert_eq!(types, layer_types);
    }
}

#[test]
fn a_manifest_tells_digest_and_size_of_every_blob() {
    for layout in LAYOUTS {
        let (image, manifest) = built(layout, &Provenance::default());
        let layers = manifest["layers"].as_array().unwrap();
        let told: Vec<_> = [&manifest["config"]].into_iter().chain(layers).collect();
        assert_eq!(told.len(), image.blobs.len(), "{layout:?}");
        for (told, blob) in told.into_iter().zip(&image.blobs) {
            assert_eq!(told["digest"], digest(&blob.bytes), "{layout:?}");
            assert_eq!(told["size"], blob.bytes.len(), "{layout:?}");
        }
        assert_eq!(image.manifest.digest, digest(&image.manifest.bytes));
    }
}

#[test]
fn the_config_tells_the_archive_and_the_platform_of_the_agent() {
    for layout in [Layout::Docker, Layout::Oci] {
        let (image, _) = built(layout, &Provenance::default());
        let tar = archive::pack(MODULE).unwrap().tar;
        let config = config(&image);
        assert_eq!(
            config["rootfs"],
            json!({"type": "layers", "diff_ids": [digest(&tar)]})
        );
        assert_eq!(
            (&config["os"], &config["architecture"]),
            (&json!("linux"), &json!("amd64"))
        );
        assert_eq!(config.get("created"), None);
    }
}

#[test]
fn annotations_tell_what_is_known_and_nothing_else() {
    let known = Provenance {
        source: Some("https://git.example.com/portcullis".to_owned()),
        revision: Some("0a1b2c".to_owned()),
    };
    let told = |layout, from: &Provenance| {
        let (image, manifest) = built(layout, from);
        match layout {
            Layout::Docker => config(&image)["config"]["Labels"].clone(),
            _ => manifest["annotations"].clone(),
        }
    };
    let name = |name: &str| format!("org.opencontainers.image.{name}");
    for layout in LAYOUTS {
        let all = told(layout, &known);
        assert_eq!(all[name("title")], "portcullis");
        assert_eq!(all[name("version")], env!("CARGO_PKG_VERSION"));
        assert_eq!(all[name("licenses")], "Apache-2.0");
        assert_eq!(all[name("source")], "https://git.example.com/portcullis");
        assert_eq!(all[name("revision")], "0a1b2c");
        assert_eq!(all.get(name("created")), None);
        let some = told(layout, &Provenance::default());
        assert_eq!(some[name("title")], "portcullis");
        assert_eq!(some.get(name("source")), None);
        assert_eq!(some.get(name("revision")), None);
    }
}

#[test]
fn the_same_module_gives_the_same_digest_and_another_gives_another() {
    for layout in LAYOUTS {
        let digest = |module: &[u8], revision: &str| {
            let from = Provenance {
                source: None,
                revision: Some(revision.to_owned()),
            };
            Image::build(layout, module, &from).unwrap().manifest.digest
        };
        assert_eq!(digest(MODULE, "a"), digest(MODULE, "a"));
        assert_ne!(digest(MODULE, "a"), digest(b"\0asm\x02\0\0\0", "a"));
        assert_ne!(digest(MODULE, "a"), digest(MODULE, "b"));
    }
}
