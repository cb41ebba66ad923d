//! An image of the module: its manifest, its config and its layers, as bytes.
//!
//! It reads no file, no clock and no network. Field order is that of the types here, so that the same
//! module gives the same bytes.

use super::archive;
use crate::peer::hex;
use serde::Serialize;
use std::collections::BTreeMap;
use superboring::reexports::hmac_sha256;

/// How an image is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// A Docker image of one layer.
    Docker,
    /// An OCI image of one layer.
    Oci,
    /// An OCI artifact of two layers, one of which is the module itself.
    Artifact,
}

/// What is told about where the module comes from.
#[derive(Debug, Default)]
pub struct Provenance {
    /// The URL of its source.
    pub source: Option<String>,
    /// The commit that it was built from.
    pub revision: Option<String>,
}

/// An image, ready to be pushed.
pub struct Image {
    /// How it is laid out.
    pub layout: Layout,
    /// Its manifest, whose digest is the image's.
    pub manifest: Blob,
    /// Its config and its layers, in this order.
    pub blobs: Vec<Blob>,
    /// The digest of the module in it.
    pub module: String,
}

/// Bytes that a registry keeps under their digest.
pub struct Blob {
    /// What they are.
    pub media_type: &'static str,
    /// `sha256:` and the digest.
    pub digest: String,
    /// The bytes themselves.
    pub bytes: Vec<u8>,
}

/// Media types, as Docker and OCI name them.
pub mod media_type {
    /// The manifest of a Docker image.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// The index of Docker images.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// The config of a Docker image.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// The layer of a Docker image.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// The manifest of an OCI image.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// The index of OCI images.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// The config of an OCI image.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// The layer of an OCI image.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// What a wasm artifact says of its module.
    pub const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
    /// The module of a wasm artifact.
    pub const WASM_MODULE: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
}

/// A manifest, with the fields in the order of OCI's specification.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Descriptor<'a>,
    layers: Vec<Descriptor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<&'a str, String>>,
}

/// What a manifest says of a blob.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor<'a> {
    media_type: &'a str,
    digest: &'a str,
    size: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, String>,
}

/// The config of a Docker or OCI image.
#[derive(Serialize)]
struct ImageConfig<'a> {
    architecture: &'a str,
    os: &'a str,
    config: ContainerConfig<'a>,
    rootfs: RootFs<'a>,
}

#[derive(Serialize)]
struct ContainerConfig<'a> {
    #[serde(rename = "Labels", skip_serializing_if = "Option::is_none")]
    labels: Option<&'a BTreeMap<&'a str, String>>,
}

#[derive(Serialize)]
struct RootFs<'a> {
    r#type: &'a str,
    diff_ids: [String; 1],
}

/// What the wasm artifact says of its module.
#[derive(Serialize)]
struct RuntimeConfig<'a> {
    r#type: &'a str,
    #[serde(rename = "abiVersions")]
    abi_versions: [&'a str; 1],
    config: serde_json::Map<String, serde_json::Value>,
}

/// The name of an image and of a file in an artifact.
const TITLE: &str = "org.opencontainers.image.title";

/// `sha256:` and the digest of some bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&hmac_sha256::Hash::hash(bytes)))
}

// === impl Layout ===

impl Layout {
    /// As it is given on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Layout::Docker => "docker",
            Layout::Oci => "oci",
            Layout::Artifact => "artifact",
        }
    }
}

// === impl Provenance ===

impl Provenance {
    /// The `repository` of Cargo.toml, if it names one.
    #[must_use]
    pub fn known_source() -> Option<String> {
        let known = env!("CARGO_PKG_REPOSITORY");
        (!known.is_empty()).then(|| known.to_owned())
    }

    /// OCI's annotations. There is no `created`, which would make every build another.
    fn annotations(&self) -> BTreeMap<&'static str, String> {
        let known = [
            (TITLE, Some(env!("CARGO_PKG_NAME").to_owned())),
            (
                "org.opencontainers.image.description",
                Some(env!("CARGO_PKG_DESCRIPTION").to_owned()),
            ),
            (
                "org.opencontainers.image.version",
                Some(env!("CARGO_PKG_VERSION").to_owned()),
            ),
            (
                "org.opencontainers.image.licenses",
                Some(env!("CARGO_PKG_LICENSE").to_owned()),
            ),
            ("org.opencontainers.image.source", self.source.clone()),
            ("org.opencontainers.image.revision", self.revision.clone()),
        ];
        let known = known.into_iter();
        known
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

// === impl Image ===

impl Image {
    /// Makes the image of a module.
    ///
    /// # Errors
    /// The module is too large.
    pub fn build(layout: Layout, module: &[u8], from: &Provenance) -> Result<Self, String> {
        let annotations = from.annotations();
        match layout {
            Layout::Docker => {
                let types = [media_type::DOCKER_CONFIG, media_type::DOCKER_LAYER];
                // Docker's manifests have no annotations: its images have labels.
                let blobs = packed(module, types, Some(&annotations))?;
                Self::of(layout, module, blobs, None)
            }
            Layout::Oci => {
                let types = [media_type::OCI_CONFIG, media_type::OCI_LAYER];
                let blobs = packed(module, types, None)?;
                Self::of(layout, module, blobs, Some(&annotations))
            }
            Layout::Artifact => {
                let runtime = json(&RuntimeConfig {
                    r#type: "envoy_proxy",
                    abi_versions: ["0.2.1"],
                    config: serde_json::Map::new(),
                })?;
                // The same bytes are the artifact's config, which registries ask for, and the second
                // layer, without which Istio does not take it.
                let blobs = vec![
                    Blob::new(media_type::WASM_CONFIG, runtime.clone()),
                    Blob::new(media_type::WASM_MODULE, module.to_owned()),
                    Blob::new(media_type::WASM_CONFIG, runtime),
                ];
                Self::of(layout, module, blobs, Some(&annotations))
            }
        }
    }

    fn of(
        layout: Layout,
        module: &[u8],
        blobs: Vec<Blob>,
        annotations: Option<&BTreeMap<&str, String>>,
    ) -> Result<Self, String> {
        let media_type = match layout {
            Layout::Docker => media_type::DOCKER_MANIFEST,
            Layout::Oci | Layout::Artifact => media_type::OCI_MANIFEST,
        };
        let Some((config, layers)) = blobs.split_first() else {
            return Err("an image without blobs".to_owned());
        };
        let manifest = json(&Manifest {
            schema_version: 2,
            media_type,
            config: config.descriptor(),
            layers: layers.iter().map(Blob::layer).collect(),
            annotations,
        })?;
        Ok(Self {
            layout,
            manifest: Blob::new(media_type, manifest),
            blobs,
            module: digest(module),
        })
    }

    /// The bytes of all of it that a registry keeps.
    #[must_use]
    pub fn size(&self) -> usize {
        let sizes = self.blobs.iter().map(|blob| blob.bytes.len());
        sizes.fold(self.manifest.bytes.len(), usize::saturating_add)
    }
}

/// Config and layer of an image that holds the module in an archive.
fn packed(
    module: &[u8],
    [config_type, layer_type]: [&'static str; 2],
    labels: Option<&BTreeMap<&str, String>>,
) -> Result<Vec<Blob>, String> {
    let packed = archive::pack(module).map_err(|error| error.to_string())?;
    let config = json(&ImageConfig {
        // The module runs on any, but this is the one that Istio's agent takes from an index,
        // should anybody make one.
        architecture: "amd64",
        os: "linux",
        config: ContainerConfig { labels },
        rootfs: RootFs {
            r#type: "layers",
            diff_ids: [digest(&packed.tar)],
        },
    })?;
    Ok(vec![
        Blob::new(config_type, config),
        Blob::new(layer_type, packed.compressed),
    ])
}

/// JSON as bytes.
pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec(value).map_err(|error| error.to_string())
}

// === impl Blob ===

impl Blob {
    /// Names bytes by their digest.
    #[must_use]
    pub fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            media_type,
            digest: digest(&bytes),
            bytes,
        }
    }

    pub(super) fn descriptor(&self) -> Descriptor<'_> {
        Descriptor {
            media_type: self.media_type,
            digest: &self.digest,
            size: self.bytes.len(),
            annotations: BTreeMap::new(),
        }
    }

    /// As a layer: those of an artifact are files, and have names.
    fn layer(&self) -> Descriptor<'_> {
        let name = match self.media_type {
            media_type::WASM_MODULE => Some(archive::FILE_NAME),
            media_type::WASM_CONFIG => Some("runtime-config.json"),
            _ => None,
        };
        let named = name.map(|name| (TITLE, name.to_owned()));
        Descriptor {
            annotations: named.into_iter().collect(),
            ..self.descriptor()
        }
    }
}

// === impl Descriptor ===

impl<'a> Descriptor<'a> {
    pub(super) fn annotated(mut self, name: &'a str, value: &str) -> Self {
        self.annotations.insert(name, value.to_owned());
        self
    }
}

#[cfg(test)]
mod tests;
