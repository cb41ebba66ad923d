//! `portcullis image`: the module as a container image, in the layouts that Istio's agent reads.
//!
//! It builds no container and needs no daemon: an image is a few files, made by [`build`] and
//! [`archive`], and put into a folder by `folder`. The same module gives the same bytes on every
//! machine. [`fetcher`] reads an image as Istio's agent would; `push` uses it, too.

pub mod archive;
pub mod build;
pub mod fetcher;
mod folder;

use super::Exit;
use build::{Image, Layout, Provenance};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Write the module as container images into a folder, for Istio's agent to fetch.
///
/// Each layout becomes a folder in OCI's image layout, which `skopeo`, `oras`, `crane` and others
/// read. The same module and options give the same bytes, and so the same digest.
#[derive(clap::Args)]
#[command(after_help = EXAMPLE, after_long_help = LONG_HELP)]
pub(super) struct Arguments {
    /// The folder to write to: one folder in it for each layout.
    #[arg(long, value_name = "DIR", default_value = "dist/image")]
    output: PathBuf,

    /// The layout; several are given one by one. Without it, all of them.
    #[arg(long, value_enum, value_name = "LAYOUT")]
    layout: Vec<Layout>,

    #[command(flatten)]
    content: Content,

    /// How to print what was written.
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: Format,
}

/// What goes into an image.
#[derive(clap::Args)]
pub(super) struct Content {
    /// The module.
    #[arg(long, value_name = "FILE", default_value = "dist/plugin.wasm")]
    module: PathBuf,

    /// Where its source is, for `org.opencontainers.image.source`.
    #[arg(long, value_name = "URL", help_heading = "Annotations")]
    source: Option<String>,

    /// The commit that it was built from, for `org.opencontainers.image.revision`.
    #[arg(long, value_name = "COMMIT", help_heading = "Annotations")]
    revision: Option<String>,
}

/// `--format`
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

const EXAMPLE: &str = "\
Example:
  portcullis image --output dist/image

`--help` has more of them.";

const LONG_HELP: &str = "\
Examples:
  All layouts, with the commit among the annotations:
    portcullis image --output dist/image --revision \"$(git rev-parse HEAD)\"

  One of them, to be copied to a registry by another tool:
    portcullis image --output dist/image --layout oci
    skopeo copy --preserve-digests oci:dist/image/oci docker://registry.example.com/portcullis:0.1.0

Layouts:
  docker    a Docker image of one layer that holds `plugin.wasm`; read by every Istio and kept by
            every registry
  oci       the same with OCI's media types
  artifact  the module itself as one of two layers, with no archive around it

Exit codes:
  0  the images were written
  1  could not run";

pub(super) fn run(arguments: &Arguments) -> Result<Exit, String> {
    let all = [Layout::Docker, Layout::Oci, Layout::Artifact];
    let layouts = match arguments.layout.as_slice() {
        [] => &all,
        chosen => chosen,
    };
    let mut written = Vec::new();
    for layout in layouts {
        let image = arguments.content.image(*layout)?;
        let folder = arguments.output.join(layout.name());
        folder::write(&image, &folder)?;
        written.push((image, folder));
    }
    match arguments.format {
        Format::Text => written.iter().for_each(|(image, folder)| {
            println!("{} {}", image.manifest.digest, folder.display());
        }),
        Format::Json => {
            let images = written.iter().map(|(image, folder)| {
                json!({
                    "layout": image.layout.name(),
                    "folder": folder,
                    "digest": image.manifest.digest,
                })
            });
            println!("{:#}", json!({"images": images.collect::<Vec<_>>()}));
        }
    }
    Ok(Exit::Ok)
}

// === impl Content ===

impl Content {
    /// The image of the module in a layout, which Istio's agent would take.
    ///
    /// # Errors
    /// The module cannot be read, or is none.
    pub(super) fn image(&self, layout: Layout) -> Result<Image, String> {
        let module = self.module()?;
        let provenance = Provenance {
            source: self.source.clone().or_else(Provenance::known_source),
            revision: self.revision.clone(),
        };
        Image::build(layout, &module, &provenance)
    }

    fn module(&self) -> Result<Vec<u8>, String> {
        let file = self.module.display();
        let read = std::fs::read(&self.module).map_err(|error| {
            let make = match is_missing(&error, &self.module) {
                true => "; `make build` writes it",
                false => "",
            };
            format!("{file}: {error}{make}")
        })?;
        match fetcher::is_wasm(&read) {
            true => Ok(read),
            false => Err(format!(
                "{file}: not a WebAssembly module: it does not begin with `\\0asm`"
            )),
        }
    }
}

/// Whether it is the file of `make build` that is not there.
fn is_missing(error: &std::io::Error, path: &Path) -> bool {
    error.kind() == std::io::ErrorKind::NotFound && path.ends_with("dist/plugin.wasm")
}
