//! Wasm filters that do nothing, to see what Envoy takes for having one at all.
//!
//! Written in WebAssembly's text format, so that nothing is in them but what stands here: whatever a
//! compiler or a library would add cannot distort the result. Called by `main.rs`.

use std::path::PathBuf;

use crate::{
    harness::{Filter, Plugin},
    output,
};

/// Both modules, as files.
pub struct EmptyFilters {
    /// It has no callback that Envoy could call for a request.
    pub without_callbacks: PathBuf,
    /// Envoy calls it for the headers of each request, and is told to go on.
    pub with_headers: PathBuf,
}

/// What Envoy needs to run a module. It never asks for memory, since it has nothing to hand over.
const MUST: &str = r#"
    (memory (export "memory") 1)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) unreachable)
"#;
/// The answer 0 is Continue.
const ON_REQUEST_HEADERS: &str = r#"
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
"#;

// === impl EmptyFilters ===

impl EmptyFilters {
    /// Translates them, and writes them to the folder of the results.
    pub fn make() -> Self {
        EmptyFilters {
            without_callbacks: module("empty.wasm", ""),
            with_headers: module("empty-with-headers.wasm", ON_REQUEST_HEADERS),
        }
    }
}

/// A module as a filter, without a configuration.
pub fn filter(module: &PathBuf, name: &str) -> Filter {
    let plugin = Plugin::new(serde_json::Value::Null).configuration("");
    plugin.module(module).name(name).inline()
}

fn module(name: &str, callbacks: &str) -> PathBuf {
    let text = format!("(module {MUST} {callbacks})");
    let bytes = wat::parse_str(text).expect("a module in WebAssembly's text format");
    output::write(name, bytes)
}
