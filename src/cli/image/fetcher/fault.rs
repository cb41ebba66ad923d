//! Why Istio's agent does not take an image: its own words, and what to do.
//!
//! The words are those that stand in the log of `istio-proxy`, so that one finds the other.

use crate::cli::image::build::media_type;

/// An image that the agent does not take.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the agent says.
    pub reason: String,
    /// What to do about it.
    pub advice: String,
}

/// What is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no JSON, or lacks what a manifest must have.
    NotAManifest(String),
    /// An index has nothing for the agent.
    NoPlatform,
    /// It is not the one that is pinned.
    Checksum {
        /// The digest of the manifest.
        found: String,
        /// The one that is pinned.
        expected: String,
        /// Whether that is the index which led to the manifest.
        of_index: bool,
    },
    /// It was read as a Docker image, without success.
    Docker(Box<Fault>),
    /// It was read as an OCI image and then as an artifact, without success.
    Oci {
        /// What is wrong with it as an image.
        archived: Box<Fault>,
        /// What is wrong with it as an artifact.
        artifact: Box<Fault>,
    },
    /// It has no layers.
    NoLayers,
    /// The last layer is something else.
    LayerType {
        /// What it is.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The layer is no archive that holds a module.
    Archive(String),
    /// An artifact has two layers, and this one has that many.
    LayerCount(usize),
    /// None of the two is a module.
    NoWasmLayer,
    /// What was found is no module.
    NotWasm,
}

// === impl Refused ===

impl Refused {
    pub(super) fn new(url: &str, fault: Fault) -> Self {
        Self {
            reason: fault.reason(url),
            advice: fault.advice(),
        }
    }
}

// === impl Fault ===

impl Fault {
    fn reason(&self, url: &str) -> String {
        match self {
            Fault::NotAManifest(error) => {
                format!("could not fetch Wasm binary: could not retrieve manifest: {error}")
            }
            Fault::NoPlatform => {
                let image = url.trim_start_matches("oci://");
                format!(
                    "could not fetch Wasm OCI image: could not fetch image: no child with platform \
                     linux/amd64 in index {image}"
                )
            }
            Fault::Checksum {
                found, expected, ..
            } => {
                let [found, expected] =
                    [found, expected].map(|it| it.trim_start_matches("sha256:"));
                format!(
                    "module downloaded from {url} has checksum {found}, which does not match: \
                     {expected}"
                )
            }
            Fault::Docker(fault) => format!(
                "could not fetch Wasm binary: could not extract Wasm file from the image as Docker \
                 container {}",
                fault.part()
            ),
            Fault::Oci { archived, artifact } => format!(
                "could not fetch Wasm binary: the given image is in invalid format as an OCI \
                 image: 2 errors occurred:\n\t* could not parse as compat variant: {}\n\t* could \
                 not parse as oci variant: {}",
                archived.part(),
                artifact.part()
            ),
            Fault::NotWasm => format!("fetched Wasm binary from {url} is invalid"),
            part => part.part(),
        }
    }

    /// What the agent says of one attempt.
    fn part(&self) -> String {
        match self {
            Fault::NoLayers => "number of layers must be greater than zero".to_owned(),
            Fault::LayerType { found, expected } => {
                format!("invalid media type {found} (expect {expected})")
            }
            Fault::Archive(error) => format!("could not extract wasm binary: {error}"),
            Fault::LayerCount(count) => format!("number of layers must be 2 but got {count}"),
            Fault::NoWasmLayer => format!(
                "could not find the layer of type {}",
                media_type::WASM_MODULE
            ),
            whole => whole.reason(""),
        }
    }

    fn advice(&self) -> String {
        const AGAIN: &str = "push the module by `portcullis push`, which writes what Istio takes";
        let advice = match self {
            Fault::NoPlatform => {
                "push one manifest and no index (`docker buildx build --provenance=false`)"
            }
            Fault::Checksum {
                found, of_index, ..
            } => {
                let what = match of_index {
                    true => "Istio compares the image that the index leads to, not the index",
                    false => "the tag was moved, or the digest is of another image",
                };
                return format!("{what}: pin `{found}`, if that is the image you mean");
            }
            Fault::Docker(fault) => return fault.advice(),
            Fault::Oci { archived, artifact } => match (&**archived, &**artifact) {
                (Fault::LayerType { found, .. }, Fault::LayerCount(count)) => {
                    return of_layer(found, *count);
                }
                (Fault::LayerType { found, .. }, _) if found != media_type::WASM_CONFIG => {
                    return of_layer(found, 2);
                }
                (Fault::LayerType { .. }, _) => {
                    "give the module's layer the type \
                     `application/vnd.module.wasm.content.layer.v1+wasm`"
                }
                (archived, _) => return archived.advice(),
            },
            Fault::LayerType { found, .. } => return of_layer(found, 1),
            Fault::Archive(error) if error.contains("not found") => {
                "name the file `plugin.wasm`, in any folder of the last layer"
            }
            Fault::NotWasm => {
                "`plugin.wasm` must be the module itself, as `make build` writes it, not packed or \
                 translated"
            }
            _ => return AGAIN.to_owned(),
        };
        format!("{advice}; or {AGAIN}")
    }
}

/// What to do about a last layer that is not of the type that is needed.
fn of_layer(found: &str, count: usize) -> String {
    match found {
        media_type::DOCKER_LAYER | media_type::OCI_LAYER => {
            "layers and manifest must both be Docker's or both OCI's; push the module by `portcullis \
             push`, which takes care of it"
        }
        media_type::WASM_MODULE if count == 1 => {
            "an artifact needs two layers, the second of the type \
             `application/vnd.module.wasm.config.v1+json`: push it by `portcullis push --layout \
             artifact`"
        }
        "application/wasm" => {
            "Istio does not know artifacts of `application/wasm`: push the module by `portcullis \
             push`"
        }
        other if other.contains(".tar") => {
            "compress the layer by gzip (`docker buildx build --output \
             type=registry,compression=gzip,force-compression=true`), or push the module by \
             `portcullis push`"
        }
        _ => "push the module by `portcullis push`, which writes what Istio takes",
    }
    .to_owned()
}
