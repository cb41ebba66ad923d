//! What is counted, and under which names: a fixed list, and the names of policies.
//!
//! Nothing that a client sent is in a name. The plugin increments; the command counts nothing.

use crate::keys::Health;
use crate::verdict::{Note, Reason};
use std::time::Duration;
use superboring::reexports::hmac_sha256::Hash;

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter<'a> {
    /// Requests refused for a reason.
    Refused(Reason),
    /// Requests that a policy with `dryRun` would have refused, by its rule; without one, since no
    /// such ALLOW policy matched.
    WouldRefuse(Option<&'a str>),
    /// Signatures that were verified, by the host or in the plugin itself.
    Verified {
        /// Whether the host did it.
        by_host: bool,
    },
    /// Requests about which an `apiRules` entry with `dryRun` would have asked somebody, by its rule.
    WouldAsk(&'a str),
    /// Requests that an `AUDIT` policy matched, by its rule.
    Audited(&'a str),
}

/// A gauge: how many requests wait, on all workers and for all configurations together.
pub const PARKED: &str = "portcullis.parked";

/// Which configuration is in force, under the name of the plugin: of the worker that took one last.
#[must_use]
pub fn configuration_gauges(plugin: &str, digest: u64, now: Duration) -> [(String, u64); 2] {
    let plugin = plain(plugin);
    let gauge = |what: &str, value| (format!("portcullis.configuration.{plugin}.{what}"), value);
    [
        gauge("hash", digest),
        gauge("loaded_at_seconds", now.as_secs()),
    ]
}

/// The first 48 bits of the SHA-256 of a configuration, which a floating-point number holds exactly;
/// in the log they are 12 hexadecimal digits.
#[must_use]
pub fn configuration_digest(text: &[u8]) -> u64 {
    let bytes = Hash::hash(text).into_iter().take(6);
    bytes.fold(0, |digest, byte| (digest << 8) | u64::from(byte))
}

/// A name in the letters that all monitoring systems take.
fn plain(name: &str) -> String {
    let plain = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => letter,
        _ => '_',
    };
    name.chars().map(plain).collect()
}

/// The state of the keys of a rule, under the rule's name: of the worker that told it last.
#[must_use]
pub fn key_gauges(rule: &str, health: &Health) -> [(String, u64); 4] {
    let rule = plain(rule);
    let gauge = |what: &str, value: u64| (format!("portcullis.keys.{rule}.{what}"), value);
    [
        gauge("usable", u64::try_from(health.usable).unwrap_or(u64::MAX)),
        gauge("age_seconds", health.age.as_secs()),
        gauge("failures", u64::from(health.failures)),
        gauge("next_attempt_seconds", health.next_attempt.as_secs()),
    ]
}

// === impl Counter ===

impl<'a> Counter<'a> {
    /// What a note counts as.
    #[must_use]
    pub fn of(note: &'a Note) -> Self {
        match note {
            Note::Audited(rule) => Self::Audited(rule),
            Note::WouldAsk(rule, _) => Self::WouldAsk(rule),
            Note::WouldRefuse(refusal) => Self::WouldRefuse(refusal.rule.as_deref()),
        }
    }

    /// Its name. Envoy puts `wasmcustom.` before it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Refused(reason) => format!("portcullis.refused.{reason}"),
            Self::WouldRefuse(rule) => {
                let policy = rule.map_or_else(|| NOT_ALLOWED.to_owned(), policy);
                format!("portcullis.dry_run.{policy}")
            }
            Self::Verified { by_host: true } => "portcullis.signatures.host".to_owned(),
            Self::Verified { by_host: false } => "portcullis.signatures.wasm".to_owned(),
            Self::Audited(rule) => format!("portcullis.audit.{}", policy(rule)),
            Self::WouldAsk(rule) => format!("portcullis.would_ask.{}", policy(rule)),
        }
    }

    /// Whether its name is one of a fixed list; there are as many others as there are policies.
    #[must_use]
    pub fn is_fixed(self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::Verified { .. } | Self::WouldRefuse(None)
        )
    }

    /// The name for those of a kind that are too many to be told apart.
    #[must_use]
    pub fn other(self) -> &'static str {
        match self {
            Self::Refused(_) => "portcullis.refused.other",
            Self::Verified { .. } => "portcullis.signatures.other",
            Self::WouldRefuse(_) => "portcullis.dry_run.other",
            Self::Audited(_) => "portcullis.audit.other",
            Self::WouldAsk(_) => "portcullis.would_ask.other",
        }
    }
}

/// In place of a policy where it is the lack of one that refuses.
const NOT_ALLOWED: &str = "not_allowed";

/// `NAMESPACE.NAME` of the policy that a rule `ns[…]-policy[…]-rule[…]` belongs to.
fn policy(rule: &str) -> String {
    let policy = rule
        .rsplit_once("]-rule[")
        .map_or(rule, |(policy, _)| policy);
    policy.replacen("ns[", "", 1).replacen("]-policy[", ".", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_named_after_rules_in_plain_letters() {
        let health = Health {
            usable: 2,
            age: std::time::Duration::from_millis(61_500),
            failures: 1,
            next_attempt: std::time::Duration::ZERO,
        };
        let gauges = key_gauges("https://idp.example.com/a", &health);
        let gauges = gauges.map(|(name, value)| format!("{name} {value}"));
        assert_eq!(
            gauges,
            [
                "portcullis.keys.https___idp.example.com_a.usable 2",
                "portcullis.keys.https___idp.example.com_a.age_seconds 61",
                "portcullis.keys.https___idp.example.com_a.failures 1",
                "portcullis.keys.https___idp.example.com_a.next_attempt_seconds 0",
            ]
        );
    }

    #[test]
    fn a_configuration_is_told_by_its_hash() {
        // FIPS 180-4: SHA-256 of `abc`.
        let digest = configuration_digest(b"abc");
        assert_eq!(format!("{digest:012x}"), "ba7816bf8f01");
        let gauges = configuration_gauges("shop.gate/1", digest, Duration::from_millis(1_500));
        let gauges = gauges.map(|(name, value)| format!("{name} {value}"));
        assert_eq!(
            gauges,
            [
                "portcullis.configuration.shop.gate_1.hash 205024940494593",
                "portcullis.configuration.shop.gate_1.loaded_at_seconds 1",
            ]
        );
    }

    #[test]
    fn names() {
        let rule = "ns[shop]-policy[read.ers]-rule[10]";
        for (counter, name) in [
            (
                Counter::Refused(Reason::TokenExpired),
                "portcullis.refused.token_expired",
            ),
            (
                Counter::WouldRefuse(Some(rule)),
                "portcullis.dry_run.shop.read.ers",
            ),
            (Counter::WouldRefuse(None), "portcullis.dry_run.not_allowed"),
            (Counter::Audited(rule), "portcullis.audit.shop.read.ers"),
        ] {
            assert_eq!(counter.name(), name);
        }
    }
}
