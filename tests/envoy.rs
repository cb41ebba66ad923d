//! Everything that is shown with a real Envoy: one test binary, so that all share one httpbin.
//!
//! Each test runs on every supported Envoy. Without Envoy, httpbin or the module a test is skipped
//! with one line, or fails under `REQUIRE=all`. See `tests/harness` for the tools.

mod authorization_server;
mod authorizer;
mod harness;
#[path = "vectors/rfc.rs"]
mod rfc_examples;
#[path = "demo/tutorials/mod.rs"]
mod tutorials;
#[path = "vectors/sets.rs"]
mod vectors;
#[path = "demo/world.rs"]
mod world;

/// Makes of one function a test per Envoy; `needs` tells, by version, which tools must be there.
macro_rules! on_every_envoy {
    (needs $tools:expr; $($(#[$doc:meta])* fn $name:ident($version:ident) $body:block)+) => {
        $($(#[$doc])* mod $name {
            use super::*;

            fn run($version: Version) {
                let test = format!("{}::{}", module_path!(), $version);
                if crate::harness::requirements::met(&test, &$tools($version)) {
                    $body
                }
            }

            #[test]
            fn envoy_1_40() {
                run(Version::V1_40);
            }

            #[test]
            fn envoy_1_36() {
                run(Version::V1_36);
            }
        })+
    };
}

#[path = "envoy/algorithms.rs"]
mod algorithms;
#[path = "envoy/authorization_server_itself.rs"]
mod authorization_server_itself;
#[path = "envoy/authorizer_itself.rs"]
mod authorizer_itself;
#[path = "envoy/authorizers.rs"]
mod authorizers;
#[path = "envoy/caps.rs"]
mod caps;
#[path = "envoy/client_certificates.rs"]
mod client_certificates;
#[path = "envoy/connection.rs"]
mod connection;
#[path = "envoy/dry_run.rs"]
mod dry_run;
#[path = "envoy/grpc.rs"]
mod grpc;
#[path = "envoy/harness_itself.rs"]
mod harness_itself;
#[path = "envoy/hostile.rs"]
mod hostile;
#[path = "envoy/introspection.rs"]
mod introspection;
#[path = "envoy/key_sets.rs"]
mod key_sets;
#[path = "envoy/live_updates.rs"]
mod live_updates;
#[path = "envoy/log.rs"]
mod log;
#[path = "envoy/many_rules.rs"]
mod many_rules;
#[path = "envoy/memory.rs"]
mod memory;
#[path = "envoy/metrics/mod.rs"]
mod metrics;
#[path = "envoy/path_normalization.rs"]
mod path_normalization;
#[path = "envoy/play.rs"]
mod play;
#[path = "envoy/published_tutorials.rs"]
mod published_tutorials;
#[path = "envoy/reload.rs"]
mod reload;
#[path = "envoy/side_by_side/mod.rs"]
mod side_by_side;
#[path = "envoy/trapping.rs"]
mod trapping;
#[path = "envoy/traps.rs"]
mod traps;
#[path = "envoy/two_configurations.rs"]
mod two_configurations;
#[path = "envoy/updated.rs"]
mod updated;
#[path = "envoy/verify_signature.rs"]
mod verify_signature;
