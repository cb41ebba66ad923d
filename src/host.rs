//! The plugin: the one place that knows proxy-wasm and the proxy that hosts us.
//!
//! [`entry`] is called by the host and [`abi`] calls it; [`root`] holds what a configuration decides
//! by, [`http`] leads one request through the core. Several configurations may live in one VM, so
//! nothing here is global but the ids of contexts and metrics.

mod abi;
mod calls;
mod connection;
mod entry;
mod fetches;
mod http;
mod log;
mod meter;
mod parked;
mod root;
mod signature;
