//! What is written to a folder, and what is left alone there.

use super::*;
use crate::cli::image::build::{Layout, Provenance, digest};
use serde_json::Value;

fn image(module: &[u8]) -> Image {
    Image::build(Layout::Oci, module, &Provenance::default()).unwrap()
}

#[test]
fn every_blob_stands_under_its_digest_and_the_index_leads_to_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(b"\0asm\x01\0\0\0");
    write(&image, folder.path()).unwrap();
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let json = |name: &str| serde_json::from_slice::<Value>(&read(name)).unwrap();
    assert_eq!(json("oci-layout")["imageLayoutVersion"], "1.0.0");
    let index = json("index.json");
    let manifests = index["manifests"].as_array().unwrap();
    assert_eq!(manifests.len(), 1);
    assert_eq!(manifests[0]["digest"], image.manifest.digest.as_str());
    assert_eq!(manifests[0]["size"], image.manifest.bytes.len());
    let mut files = fs::read_dir(folder.path().join("blobs/sha256")).unwrap();
    assert!(files.all(|file| {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        digest(&fs::read(file.path()).unwrap()) == format!("sha256:{name}")
    }));
    let manifest = json(&format!("blobs/sha256/{}", file_name(&image.manifest)));
    assert_eq!(
        read(&format!("blobs/sha256/{}", file_name(&image.blobs[1]))),
        image.blobs[1].bytes
    );
    assert_eq!(
        manifest["layers"][0]["digest"],
        image.blobs[1].digest.as_str()
    );
}

#[test]
fn an_image_that_was_there_goes_away_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = || {
        fs::read_dir(folder.path().join("blobs/sha256"))
            .unwrap()
            .count()
    };
    write(&image(b"\0asm\x01\0\0\0"), folder.path()).unwrap();
    write(&image(b"\0asm\x02\0\0\0"), folder.path()).unwrap();
    assert_eq!(blobs(), 3);

    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("thesis.txt"), "years").unwrap();
    let error = write(&image(b"\0asm\x01\0\0\0"), other.path()).unwrap_err();
    assert!(error.contains("there is something else already"), "{error}");
    assert_eq!(fs::read(other.path().join("thesis.txt")).unwrap(), b"years");
}
