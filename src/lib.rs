//! Portcullis authenticates and authorizes requests inside the Istio ingress gateway, before any
//! route or sidecar is reached.
//!
//! The way of a request is the way through these modules: [`config`] is what an operator writes,
//! [`policy`] what it was compiled into (it cannot be wrong any more), [`request`] the hostile bytes
//! that arrive and [`peer`] the certificate that they come with, [`token`] and [`keys`] turn a
//! credential into an [`identity`], [`introspection`] and [`authorizer`] ask others by a [`call`],
//! [`decide`] judges, [`verdict`] says what and why, [`reply`] says it to the caller, [`trail`] and
//! [`meter`] to the operator.
//!
//! That core knows no clock, no network, no log and no proxy: `host` (wasm only) and `cli` (native
//! only) are thin shells around it, so the plugin, the command and the tests run the same code.

#![deny(
    missing_docs,
    unsafe_code,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]

pub mod authorizer;
mod bytes;
pub mod cache;
pub mod call;
pub mod config;
pub mod decide;
pub mod format;
pub mod identity;
pub mod introspection;
pub mod json;
pub mod keys;
pub mod meter;
pub mod peer;
pub mod policy;
pub mod reply;
pub mod request;
pub mod token;
pub mod trail;
pub mod verdict;

#[cfg(not(target_arch = "wasm32"))]
pub mod cli;

#[cfg(target_arch = "wasm32")]
mod host;
