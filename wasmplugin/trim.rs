//! Removes from the built plugin what a gateway has no use for: `trim IN OUT MAX_BYTES`.
//!
//! The SDK exports every callback of proxy-wasm, and Envoy calls each one that a module exports,
//! whether or not the plugin does anything there: about 0.2 to 1.5 µs for each of them in each
//! request. So the callbacks that the plugin does not implement go, with all code that only they
//! reached, and so do the sections that only a debugger reads.

use std::process::ExitCode;
use std::{env, fs};

use walrus::{Module, ModuleConfig};

/// What stays. Whoever implements another callback in the plugin adds it here.
const KEEP: [&str; 9] = [
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

    let (after, removed) = trim(&before).map_err(|error| format!("{input}: {error}"))?;
    if after.len() > max {
        let over = after.len() - max;
        return Err(format!(
            "{output} would be {over} bytes over the limit of {max}"
        ));
    }
    fs::write(output, &after).map_err(|error| format!("cannot write {output}: {error}"))?;
    Ok(format!(
        "{} bytes ({:.1} KiB), {} bytes before, {removed} exports removed",
        after.len(),
        after.len() as f64 / 1024.0,
        before.len(),
    ))
}

/// The trimmed module, and how many exports it lost.
fn trim(wasm: &[u8]) -> Result<(Vec<u8>, usize), String> {
    let mut module = ModuleConfig::new()
        .generate_name_section(false)
        .generate_producers_section(false)
        .parse(wasm)
        .map_err(|error| format!("not a WebAssembly module: {error:#}"))?;

    let unused = unused_exports(&module)?;
    for name in &unused {
        module
            .exports
            .remove(name)
            .map_err(|error| format!("cannot remove the export `{name}`: {error:#}"))?;
    }
    let custom: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for id in custom {
        module.customs.delete(id);
    }
    walrus::passes::gc::run(&mut module);
    Ok((module.emit_wasm(), unused.len()))
}

/// The callbacks that are not kept. Any other surprise is an error, so that nothing goes silently.
fn unused_exports(module: &Module) -> Result<Vec<String>, String> {
    let names: Vec<&str> = module
        .exports
        .iter()
        .map(|export| export.name.as_str())
        .collect();

    if let Some(missing) = KEEP.iter().find(|name| !names.contains(name)) {
        return Err(format!("the export `{missing}` is missing"));
    }
    let unused: Vec<&str> = names
        .into_iter()
        .filter(|name| !KEEP.contains(name))
        .collect();
    if let Some(unknown) = unused.iter().find(|name| !name.starts_with("proxy_on_")) {
        return Err(format!(
            "the export `{unknown}` is neither kept nor a callback"
        ));
    }
    Ok(unused.into_iter().map(str::to_owned).collect())
}
