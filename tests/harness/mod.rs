//! The one harness for everything that needs a real Envoy: tests, demo and benchmark.
//!
//! Configuration goes in, a client comes out. Ports are free ones that the kernel chose, files are
//! in a folder of their own, and every process dies with its value, also when a test panics; then
//! the end of Envoy's log is printed. Every wait has an end. Nothing here knows what Portcullis
//! decides.
//!
//! ```ignore
//! if !requirements::met("my_test", &[Tool::Envoy(version), Tool::Httpbin, Tool::Plugin]) {
//!     return; // one line on standard error says what was missing
//! }
//! let envoy = Envoy::builder(version)
//!     .cluster("httpbin", httpbin::shared().port())
//!     .listener(Listener::new("gateway").filter(Plugin::new(json!({"version": 1})).discovered()))
//!     .start();
//!
//! let client = envoy.client("gateway");
//! let answer = client.get("/status/200").authority("example.com").header("x", b"\xff").send();
//! assert_eq!(answer.expect("an answer").status, 403);
//!
//! assert_eq!(envoy.update_plugin(&json!({"version": 2})), Update::Rejected);
//! envoy.wait_for_log("update rejected", Duration::from_secs(5));
//! envoy.assert_no_wasm_failures();
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `envoy.rs` | a running Envoy: its ports, statistics, log, plugin updates |
//! | `bootstrap.rs`, `listener.rs` | what an Envoy is started with, as JSON |
//! | `plugin.rs` | the wasm filter, inline or discovered in a watched file |
//! | `httpbin.rs` | a running httpbin |
//! | `module_server.rs` | a web server from which Envoy fetches the module |
//! | `client.rs`, `exchange.rs` | an HTTP/1.1 client that sends exactly the bytes it is given |
//! | `tls.rs`, `certificate.rs` | certificates for one test, and both ends of TLS |
//! | `registry.rs` | a running container registry |
//! | `environment.rs` | numbers that a program is given |
//! | `requirements.rs` | the outside tools, and what happens when one is missing |
//! | `process.rs`, `wait.rs` | a child process with its log; bounded waiting |
//!
//! Tokens come from the authorization server next door, `tests/authorization_server`.
#![allow(
    dead_code,
    reason = "each program that includes this uses its own part of it"
)]

pub mod bootstrap;
mod certificate;
pub mod client;
pub mod environment;
pub mod envoy;
mod exchange;
pub mod httpbin;
pub mod listener;
pub mod module_server;
pub mod plugin;
pub mod process;
pub mod registry;
pub mod requirements;
pub mod tls;
pub mod wait;

#[allow(unused_imports, reason = "the face of this module; see above")]
pub use self::{
    bootstrap::{Builder, ControlPlane},
    client::{Client, Response},
    envoy::{Envoy, StartFailure, Update},
    httpbin::Httpbin,
    listener::{Filter, Listener},
    plugin::Plugin,
    requirements::{Tool, Version},
};
