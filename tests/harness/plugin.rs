//! The wasm filter as Envoy takes it: inline, or discovered in a file that Envoy watches.
//!
//! It has the shape that Istio gives a WasmPlugin: no vm_id, the configuration as JSON text,
//! failing closed. It knows no field of that configuration. Used by `bootstrap.rs`, `envoy.rs`.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{listener::Filter, requirements::Tool};

/// A module with its configuration.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub name: String,
    pub module: PathBuf,
    /// What the module receives, as JSON text.
    pub configuration: String,
    /// `FAIL_CLOSED`, as Istio's default, or `FAIL_RELOAD`.
    pub failure_policy: &'static str,
    /// From where Envoy fetches the module itself, instead of reading it from disk.
    pub fetched: Option<Fetched>,
}

/// Where a module is, and what it must be.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub url: String,
    pub cluster: &'static str,
    /// In hexadecimal digits.
    pub sha256: String,
}

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

// === impl Plugin ===

impl Plugin {
    /// Portcullis from `dist/plugin.wasm` with this configuration.
    pub fn new(configuration: Value) -> Self {
        Plugin {
            name: "portcullis".to_owned(),
            module: Tool::Plugin.path(),
            configuration: configuration.to_string(),
            failure_policy: "FAIL_CLOSED",
            fetched: None,
        }
    }

    /// Another name, to tell several apart in one Envoy.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Another module instead, such as one that traps.
    pub fn module(mut self, module: impl Into<PathBuf>) -> Self {
        self.module = module.into();
        self
    }

    /// Another configuration, not necessarily JSON.
    pub fn configuration(mut self, text: impl Into<String>) -> Self {
        self.configuration = text.into();
        self
    }

    /// From a server instead of from disk.
    pub fn fetched(mut self, fetched: Fetched) -> Self {
        self.fetched = Some(fetched);
        self
    }

    /// After a trap Envoy makes a new VM, and counts that.
    pub fn reload_on_failure(mut self) -> Self {
        self.failure_policy = "FAIL_RELOAD";
        self
    }

    /// As part of the listener: a faulty configuration ends Envoy at start.
    pub fn inline(&self) -> Filter {
        Filter::Json(json!({"name": self.name, "typed_config": self.typed_config()}))
    }

    /// Discovered in a watched file, as Istio's ECDS does: `Envoy::update_plugin` replaces it.
    pub fn discovered(&self) -> Filter {
        Filter::Discovered(self.clone())
    }

    fn typed_config(&self) -> Value {
        json!({
            "@type": WASM,
            "config": {
                "name": self.name,
                "root_id": self.name,
                "failure_policy": self.failure_policy,
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": self.configuration,
                },
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "vm_id": "",
                    "code": self.code(),
                },
            },
        })
    }

    fn code(&self) -> Value {
        match &self.fetched {
            None => json!({"local": {"filename": self.module}}),
            Some(Fetched {
                url,
                cluster,
                sha256,
            }) => json!({"remote": {
                "http_uri": {"uri": url, "cluster": cluster, "timeout": "10s"},
                "sha256": sha256,
            }}),
        }
    }

    /// The filter of a listener that finds its configuration in the file of [`Plugin::publish`].
    pub(super) fn discovery(&self, folder: &Path) -> Value {
        json!({
            "name": self.name,
            "config_discovery": {
                "config_source": {
                    "path_config_source": {"path": self.file(folder)},
                    "resource_api_version": "V3",
                    // As Istio: the listener waits for its filter, however long.
                    "initial_fetch_timeout": "0s",
                },
                "type_urls": [WASM],
            },
        })
    }

    /// Writes a file and moves a link to it into place, which is what Envoy watches for. A file that
    /// is itself moved over another one may be written to the disk first, and on a busy one that was
    /// seen to take minutes.
    pub(super) fn publish(&self, folder: &Path) -> io::Result<()> {
        let resource = json!({
            "resources": [{
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": self.name,
                "typed_config": self.typed_config(),
            }],
        });
        let (mut written, content) = NamedTempFile::new_in(folder)?.keep()?;
        written.write_all(resource.to_string().as_bytes())?;
        let link = content.with_extension("link");
        symlink(content, &link)?;
        fs::rename(link, self.file(folder))
    }

    fn file(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.json", self.name.replace('/', "-")))
    }
}
