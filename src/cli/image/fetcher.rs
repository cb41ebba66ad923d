//! Reads an image as Istio's agent does, and refuses what it refuses, in its words.
//!
//! Where manifests and blobs come from is behind [`Source`]: a registry for `push`, a map in tests.
//! The order of the steps is that of the agent, since it decides which reason is told.

mod fault;

use super::archive::{self, MAX_BYTES};
use super::build::media_type;
pub use fault::{Fault, Refused};
use serde::Deserialize;

/// Where images are.
pub trait Source {
    /// The bytes of a manifest, by tag or digest.
    ///
    /// # Errors
    /// It cannot be had; in words for whoever called.
    fn manifest(&self, identifier: &str) -> Result<Vec<u8>, String>;

    /// The bytes of a blob.
    ///
    /// # Errors
    /// It cannot be had; in words for whoever called.
    fn blob(&self, layer: &Descriptor) -> Result<Vec<u8>, String>;
}

/// What is asked for, as a WasmPlugin does.
pub struct Wanted<'a> {
    /// `spec.url`
    pub url: &'a str,
    /// Its digest, or else its tag.
    pub identifier: &'a str,
    /// `spec.sha256`, without `sha256:`.
    pub sha256: Option<&'a str>,
}

/// What the agent hands to Envoy.
#[derive(Debug)]
pub struct Fetched {
    /// The digest of the image's manifest.
    pub digest: String,
    /// The digest of the index that led to it, if one did.
    pub index: Option<String>,
    /// The module.
    pub module: Vec<u8>,
}

/// Why there is no module.
#[derive(Debug)]
pub enum Failure {
    /// Somebody could not be asked.
    Source(String),
    /// The agent would not take it.
    Refused(Box<Refused>),
}

/// What a manifest or an index says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    layers: Vec<Descriptor>,
    /// Of an index.
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
}

/// What it says of a blob, or of the manifest of a platform.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// `sha256:` and the digest.
    pub digest: String,
    /// How many bytes it has.
    pub size: u64,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

/// Whether Istio's agent takes that for a module.
#[must_use]
pub fn is_wasm(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes.starts_with(b"\0asm")
}

/// Fetches a module as Istio's agent would.
///
/// # Errors
/// It would not take it, or could not be asked for it.
pub fn fetch(source: &impl Source, wanted: &Wanted) -> Result<Fetched, Failure> {
    let refuse = |fault| Failure::Refused(Box::new(Refused::new(wanted.url, fault)));
    let manifest = source.manifest(wanted.identifier)?;
    let mut digest = super::build::digest(&manifest);
    let mut manifest = Manifest::read(&manifest).map_err(refuse)?;
    let mut index = None;
    if let Some(children) = manifest.children() {
        let child = children.iter().find(|it| it.is_for_the_agent());
        let child = child.ok_or_else(|| refuse(Fault::NoPlatform))?;
        let read = source.manifest(&child.digest)?;
        index = Some(std::mem::replace(&mut digest, super::build::digest(&read)));
        manifest = Manifest::read(&read).map_err(refuse)?;
    }
    // The digest in the URL counts where there is no other.
    let pinned = wanted.identifier.strip_prefix("sha256:");
    let expected = wanted.sha256.or(pinned).map(|hex| format!("sha256:{hex}"));
    if let Some(expected) = expected.filter(|expected| *expected != digest) {
        return Err(refuse(Fault::Checksum {
            found: digest,
            of_index: index.as_ref() == Some(&expected),
            expected,
        }));
    }
    let module = match manifest.media_type == media_type::DOCKER_MANIFEST {
        true => {
            let unpacked = manifest.archived(source, media_type::DOCKER_LAYER)?;
            unpacked.map_err(|fault| refuse(Fault::Docker(Box::new(fault))))?
        }
        false => match manifest.archived(source, media_type::OCI_LAYER)? {
            Ok(module) => module,
            Err(archived) => manifest.artifact(source)?.map_err(|artifact| {
                refuse(Fault::Oci {
                    archived: Box::new(archived),
                    artifact: Box::new(artifact),
                })
            })?,
        },
    };
    match is_wasm(&module) {
        true => Ok(Fetched {
            digest,
            index,
            module,
        }),
        false => Err(refuse(Fault::NotWasm)),
    }
}

// === impl Failure ===

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self::Source(error)
    }
}

// === impl Manifest ===

impl Manifest {
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(bytes).map_err(|error| Fault::NotAManifest(error.to_string()))
    }

    /// The manifests of an index.
    fn children(&self) -> Option<&[Descriptor]> {
        let is_index = match self.media_type.as_str() {
            media_type::OCI_INDEX | media_type::DOCKER_INDEX => true,
            // OCI lets both do without.
            "" => self.manifests.is_some(),
            _ => false,
        };
        is_index.then_some(self.manifests.as_deref().unwrap_or_default())
    }

    /// The module in an archive, which is the last layer.
    fn archived(
        &self,
        source: &impl Source,
        expected: &'static str,
    ) -> Result<Result<Vec<u8>, Fault>, String> {
        let Some(layer) = self.layers.last() else {
            return Ok(Err(Fault::NoLayers));
        };
        if layer.media_type != expected {
            return Ok(Err(Fault::LayerType {
                found: layer.media_type.clone(),
                expected,
            }));
        }
        let layer = layer.bytes(source)?;
        Ok(archive::unpack(&layer).map_err(Fault::Archive))
    }

    /// The module that is one of two layers.
    fn artifact(&self, source: &impl Source) -> Result<Result<Vec<u8>, Fault>, String> {
        if self.layers.len() != 2 {
            return Ok(Err(Fault::LayerCount(self.layers.len())));
        }
        let mut layers = self.layers.iter();
        match layers.find(|layer| layer.media_type == media_type::WASM_MODULE) {
            Some(layer) => layer.bytes(source).map(Ok),
            None => Ok(Err(Fault::NoWasmLayer)),
        }
    }
}

// === impl Descriptor ===

impl Descriptor {
    /// Whether the agent takes that manifest from an index: it asks for linux/amd64, and takes that
    /// for the platform where none is told.
    fn is_for_the_agent(&self) -> bool {
        self.platform
            .as_ref()
            .is_none_or(|it| it.architecture == "amd64" && it.os == "linux")
    }

    fn bytes(&self, source: &impl Source) -> Result<Vec<u8>, String> {
        if self.size > MAX_BYTES {
            return Err(format!(
                "the layer `{}` has {} bytes, and Istio's agent reads at most {MAX_BYTES}",
                self.digest, self.size
            ));
        }
        let bytes = source.blob(self)?;
        match u64::try_from(bytes.len()) == Ok(self.size) {
            true => Ok(bytes),
            false => Err(format!(
                "the layer `{}` has {} bytes, and its manifest says {}",
                self.digest,
                bytes.len(),
                self.size
            )),
        }
    }
}

#[cfg(test)]
mod tests;
