//! Signatures verified by the host: Envoy's foreign function `verify_signature`, which is native and
//! thirty times as fast as the same in WebAssembly.
//!
//! It is used for an algorithm only if it accepts a good vector and refuses a bad one, when the
//! plugin is configured; otherwise the pure Rust way serves.

use super::{abi, meter};
use crate::meter::{Family, Metric};
use crate::token::signature::{
    Algorithm, PROBES, Probe, Provenance, PureRust, Verifier, VerifyingKey, envoy,
};

/// Verifies through the host where it can.
pub struct HostVerifier {
    native: Vec<Algorithm>,
}

// === impl HostVerifier ===

impl HostVerifier {
    /// Probes the host.
    pub fn probed() -> Self {
        let serves = |probe: &&Probe| {
            let jwk = serde_json::from_str(probe.jwk).ok();
            let key = jwk.and_then(|jwk| VerifyingKey::from_jwk(&jwk, Provenance::Fetched).ok());
            let by_host = |key: &VerifyingKey, message: &[u8]| {
                by_host(probe.algorithm, key, message, &probe.signature())
            };
            key.is_some_and(|key| {
                by_host(&key, probe.message) == Some(true)
                    && by_host(&key, probe.other_message()) == Some(false)
            })
        };
        let serving = PROBES.iter().filter(serves);
        let native: Vec<_> = serving.map(|probe| probe.algorithm).collect();
        let count = u64::try_from(native.len()).unwrap_or_default();
        meter::gauge(Metric::fixed(Family::HostAlgorithms, ""), count);
        Self { native }
    }

    /// The algorithms that the host serves.
    pub fn native(&self) -> &[Algorithm] {
        &self.native
    }
}

impl Verifier for HostVerifier {
    fn serves(&self, algorithm: Algorithm) -> bool {
        self.native.contains(&algorithm) || PureRust.serves(algorithm)
    }

    fn verify(
        &self,
        algorithm: Algorithm,
        key: &VerifyingKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let native = self.native.contains(&algorithm);
        let answer = native.then(|| by_host(algorithm, key, message, signature));
        let answer = answer.flatten();
        meter::count(Metric::signature(answer.is_some()));
        // Where the host fails although it was probed, the pure way still answers.
        answer.unwrap_or_else(|| PureRust.verify(algorithm, key, message, signature))
    }
}

/// Asks the host; `None` if it did not answer.
fn by_host(
    algorithm: Algorithm,
    key: &VerifyingKey,
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let Some(arguments) = envoy::arguments(algorithm, key, message, signature) else {
        return Some(false);
    };
    let result = abi::call_foreign_function(envoy::FUNCTION, &arguments).ok()?;
    Some(envoy::is_good(&result))
}
