//! Removes from the built plugin what a gateway has no use for: `trim IN OUT MAX_BYTES`.
//!
//! The sections that only a debugger reads go, with all code that nothing reaches.
//!
//! It also watches what the module exports. Envoy calls each callback that a module has, whether or
//! not the plugin does anything there: about 0.2 to 1.5 µs for each of them in each request.

use std::process::ExitCode;
use std::{env, fs};

use walrus::{Module, ModuleConfig};

/// What the module exports. Whoever implements another callback in the plugin adds it here.
const EXPORTS: [&str; 9] = [
    // What the host needs to run any module.
    "memory",
    "_initialize",
    "proxy_abi_version_0_2_1",
    // The host hands over headers, bodies and configuration in memory that it asks for here.
    "proxy_on_memory_allocate",
    // One context for the plugin, and one for each request.
    "proxy_on_context_create",
    // The configuration is read.
    "proxy_on_configure",
    // Keys and other documents are fetched again in time.
    "proxy_on_tick",
    // The request is decided.
    "proxy_on_request_headers",
    // A key document or an introspection has arrived.
    "proxy_on_http_call_response",
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let [input, output, max_bytes] = args.as_slice() else {
        eprintln!("usage: trim IN OUT MAX_BYTES");
        return ExitCode::FAILURE;
    };
    match run(input, output, max_bytes) {
        Ok(summary) => {
            println!("{output}: {summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("trim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(input: &str, output: &str, max_bytes: &str) -> Result<String, String> {
    let max: usize = max_bytes
        .parse()
        .map_err(|_| format!("MAX_BYTES is a number of bytes, not `{max_bytes}`"))?;
    let before = fs::read(input).map_err(|error| format!("cannot read {input}: {error}"))?;

    let after = trim(&before).map_err(|error| format!("{input}: {error}"))?;
    if after.len() > max {
        let over = after.len() - max;
        return Err(format!(
            "{output} would be {over} bytes over the limit of {max}"
        ));
    }
    fs::write(output, &after).map_err(|error| format!("cannot write {output}: {error}"))?;
    Ok(format!(
        "{} bytes ({:.1} KiB), {} bytes before",
        after.len(),
        after.len() as f64 / 1024.0,
        before.len(),
    ))
}

fn trim(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let mut module = ModuleConfig::new()
        .generate_name_section(false)
        .generate_producers_section(false)
        .parse(wasm)
        .map_err(|error| format!("not a WebAssembly module: {error:#}"))?;
    check_exports(&module)?;
    let custom: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for id in custom {
        module.customs.delete(id);
    }
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

/// Nothing is exported by accident, and nothing is missing.
fn check_exports(module: &Module) -> Result<(), String> {
    let names: Vec<&str> = module
        .exports
        .iter()
        .map(|export| export.name.as_str())
        .collect();
    if let Some(missing) = EXPORTS.iter().find(|name| !names.contains(name)) {
        return Err(format!("the export `{missing}` is missing"));
    }
    match names.iter().find(|name| !EXPORTS.contains(name)) {
        Some(unknown) => Err(format!("the export `{unknown}` is not expected")),
        None => Ok(()),
    }
}
