//! An image as a folder in OCI's image layout, which other tools read.
//!
//! Such a folder has an `index.json` by its definition; it stays here, and is never pushed.

use super::build::{Blob, Descriptor, Image, json, media_type};
use serde::Serialize;
use std::fs;
use std::path::Path;

/// `index.json`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: [Descriptor<'a>; 1],
}

/// Writes an image. What an earlier call wrote there goes away.
pub(super) fn write(image: &Image, folder: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    clear(folder)?;
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(failed)?;
    for blob in image.blobs.iter().chain([&image.manifest]) {
        fs::write(blobs.join(file_name(blob)), &blob.bytes).map_err(failed)?;
    }
    let version = env!("CARGO_PKG_VERSION");
    let index = json(&Index {
        schema_version: 2,
        media_type: media_type::OCI_INDEX,
        manifests: [image
            .manifest
            .descriptor()
            .annotated("org.opencontainers.image.ref.name", version)],
    })?;
    fs::write(folder.join("index.json"), index).map_err(failed)?;
    // Written last: it makes the folder an image layout.
    fs::write(folder.join(MARK), r#"{"imageLayoutVersion":"1.0.0"}"#).map_err(failed)
}

/// The file by which a folder is known as an image layout.
const MARK: &str = "oci-layout";

/// Removes an image layout, and nothing that is none.
fn clear(folder: &Path) -> Result<(), String> {
    let name = folder.display();
    let failed = |error: std::io::Error| format!("{name}: {error}");
    let is_empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(failed(error)),
    };
    match is_empty || folder.join(MARK).is_file() {
        true if is_empty => Ok(()),
        true => fs::remove_dir_all(folder).map_err(failed),
        false => Err(format!(
            "{name}: there is something else already: remove it, or give another `--output`"
        )),
    }
}

fn file_name(blob: &Blob) -> &str {
    blob.digest.trim_start_matches("sha256:")
}

#[cfg(test)]
mod tests;
