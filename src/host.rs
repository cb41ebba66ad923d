//! The plugin: the one place that knows proxy-wasm and the proxy that hosts us.
//!
//! [`root`] holds what a configuration decides by, [`http`] leads one request through the core,
//! [`abi`] calls the host. Several configurations may live in one VM, so nothing here is global.

mod abi;
mod connection;
mod http;
mod meter;
mod parked;
mod root;
mod signature;

use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

// Exports `_initialize`, without which the host does not start the module.
proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Debug);
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(root::Root::new(id)) });
}}
