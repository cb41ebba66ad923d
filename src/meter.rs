//! What is counted and measured, and under which names: one list of families, with their labels.
//!
//! A label tells the name of something in the configuration, or a word of a fixed list; nothing that
//! a client sent is in a name. The plugin counts; the command counts nothing.

use crate::authorizer::Ruling;
use crate::cache::{Caches, Lookups};
use crate::call::Answer;
use crate::introspection::Outage;
use crate::keys::{Health, Outcome};
use crate::policy::Policy;
use crate::verdict::{Note, Reason};
use std::time::Duration;
use superboring::reexports::hmac_sha256::Hash;

/// Metrics of one name, which differ in their labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Requests decided.
    Decisions,
    /// Requests refused, by the reason.
    Refusals,
    /// Requests that a policy with `dryRun` would have refused.
    DryRunRefusals,
    /// Requests about which an `apiRules` entry with `dryRun` would have asked somebody.
    DryRunCalls,
    /// Requests that an `AUDIT` policy matched.
    Audits,
    /// Signatures verified.
    Signatures,
    /// Tokens that were looked up among those whose signature is known.
    VerifiedTokenLookups,
    /// Tokens that were looked up among those that a provider was asked about.
    IntrospectedTokenLookups,
    /// Fetches of keys, or of the document that says where they are.
    KeyFetches,
    /// Questions about a token to an introspection provider.
    Introspections,
    /// Questions about a request to an external authorizer.
    Authorizations,
    /// Seconds for which each instance of the module has been alive, all together.
    AliveSeconds,
    /// How many requests wait, on all workers and for all configurations together.
    ParkedRequests,
    /// How many may wait on each worker.
    ParkedRequestsLimit,
    /// How many algorithms the host verifies.
    HostAlgorithms,
    /// How many keys of a rule serve.
    KeysUsable,
    /// How long ago the keys of a rule were last known to be the issuer's.
    KeysAgeSeconds,
    /// How many fetches of them have failed since the last that did not.
    KeysFailures,
    /// How long until the next fetch.
    KeysNextAttemptSeconds,
    /// Which configuration is in force: see [`configuration_digest`].
    ConfigurationHash,
    /// Since when.
    ConfigurationLoadedAtSeconds,
}

/// A counter or a gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric<'a> {
    /// Its family.
    pub family: Family,
    /// The name of something in the configuration, where the family has a label for one.
    pub of: Option<&'a str>,
    /// A word of a fixed list, where the family has a label for one.
    pub word: &'static str,
}

/// In place of a name: there is none.
pub const NONE: &str = "none";
/// In place of the names of those that are too many to be told apart.
pub const OTHER: &str = "other";

/// The word for a request that goes on.
pub const ALLOWED: &str = "allowed";
/// The word for a preflight that is answered.
pub const PREFLIGHT: &str = "preflight";

/// The first 48 bits of the SHA-256 of a configuration, which a floating-point number holds exactly;
/// in the log they are 12 hexadecimal digits.
#[must_use]
pub fn configuration_digest(text: &[u8]) -> u64 {
    let bytes = Hash::hash(text).into_iter().take(6);
    bytes.fold(0, |digest, byte| (digest << 8) | u64::from(byte))
}

/// Which configuration is in force, by the name of the plugin: of the worker that took one last.
#[must_use]
pub fn configuration_gauges(plugin: &str, digest: u64, now: Duration) -> [(Metric<'_>, u64); 2] {
    let gauge = |family| Metric::of(family, plugin, "");
    [
        (gauge(Family::ConfigurationHash), digest),
        (gauge(Family::ConfigurationLoadedAtSeconds), now.as_secs()),
    ]
}

/// The state of the keys of a rule: of the worker that told it last.
#[must_use]
pub fn key_gauges<'a>(rule: &'a str, health: &Health) -> [(Metric<'a>, u64); 4] {
    let gauge = |family| Metric::of(family, rule, "");
    let usable = u64::try_from(health.usable).unwrap_or(u64::MAX);
    [
        (gauge(Family::KeysUsable), usable),
        (gauge(Family::KeysAgeSeconds), health.age.as_secs()),
        (gauge(Family::KeysFailures), u64::from(health.failures)),
        (
            gauge(Family::KeysNextAttemptSeconds),
            health.next_attempt.as_secs(),
        ),
    ]
}

/// What was looked up since this was asked last.
pub fn take_lookups<'a>(
    policy: &'a Policy,
    caches: &mut Caches,
) -> impl Iterator<Item = (Metric<'a>, u64)> {
    let verified = Metric::fixed(Family::VerifiedTokenLookups, "");
    let verified = (verified, std::mem::take(&mut caches.verified_lookups));
    let providers = policy.introspection_providers.iter();
    let introspected = caches.introspected_lookups.iter_mut();
    let introspected = providers.zip(introspected).map(|(provider, lookups)| {
        let metric = Metric::of(Family::IntrospectedTokenLookups, &provider.name, "");
        (metric, std::mem::take(lookups))
    });
    let introspected: Vec<_> = introspected.collect();
    let all = introspected.into_iter().chain([verified]);
    all.flat_map(|(metric, Lookups { hits, misses })| {
        let word = |word| Metric { word, ..metric };
        [(word("hit"), hits), (word("miss"), misses)]
    })
}

// === impl Family ===

impl Family {
    /// Its name, its label for a name of the configuration, and its label for a word.
    #[must_use]
    pub fn about(self) -> (&'static str, Option<&'static str>, Option<&'static str>) {
        let (rule, provider, plugin) = (Some("rule"), Some("provider"), Some("plugin"));
        let outcome = Some("outcome");
        match self {
            Self::Decisions => ("decisions_total", rule, outcome),
            Self::Refusals => ("refusals_total", None, Some("reason")),
            Self::DryRunRefusals => ("dry_run_refusals_total", rule, outcome),
            Self::DryRunCalls => ("dry_run_calls_total", rule, None),
            Self::Audits => ("audits_total", rule, None),
            Self::Signatures => ("signatures_total", None, Some("verifier")),
            Self::VerifiedTokenLookups => ("verified_token_lookups_total", None, outcome),
            Self::IntrospectedTokenLookups => {
                ("introspected_token_lookups_total", provider, outcome)
            }
            Self::KeyFetches => ("key_fetches_total", rule, outcome),
            Self::Introspections => ("introspections_total", provider, outcome),
            Self::Authorizations => ("authorizations_total", provider, outcome),
            Self::AliveSeconds => ("alive_seconds_total", None, None),
            Self::ParkedRequests => ("parked_requests", None, None),
            Self::ParkedRequestsLimit => ("parked_requests_limit", None, None),
            Self::HostAlgorithms => ("host_algorithms", None, None),
            Self::KeysUsable => ("keys_usable", rule, None),
            Self::KeysAgeSeconds => ("keys_age_seconds", rule, None),
            Self::KeysFailures => ("keys_failures", rule, None),
            Self::KeysNextAttemptSeconds => ("keys_next_attempt_seconds", rule, None),
            Self::ConfigurationHash => ("configuration_hash", plugin, None),
            Self::ConfigurationLoadedAtSeconds => ("configuration_loaded_at_seconds", plugin, None),
        }
    }
}

// === impl Metric ===

impl<'a> Metric<'a> {
    /// One that no name of the configuration tells from others.
    #[must_use]
    pub const fn fixed(family: Family, word: &'static str) -> Self {
        Self {
            family,
            of: None,
            word,
        }
    }

    /// One of something in the configuration.
    #[must_use]
    pub const fn of(family: Family, name: &'a str, word: &'static str) -> Self {
        Self {
            family,
            of: Some(name),
            word,
        }
    }

    /// One of the policy or the entry that a rule belongs to.
    fn of_rule(family: Family, rule: Option<&'a str>, word: &'static str) -> Self {
        Self {
            family,
            of: rule.map(owner),
            word,
        }
    }

    /// A decision by a rule.
    #[must_use]
    pub fn decision(rule: Option<&'a str>, outcome: &'static str) -> Self {
        Self::of_rule(Family::Decisions, rule, outcome)
    }

    /// A refusal.
    #[must_use]
    pub fn refusal(reason: Reason) -> Self {
        Self::fixed(Family::Refusals, reason.code())
    }

    /// A signature, which the host verified, or the module itself.
    #[must_use]
    pub fn signature(by_host: bool) -> Self {
        let verifier = if by_host { "host" } else { "wasm" };
        Self::fixed(Family::Signatures, verifier)
    }

    /// What a note counts as.
    #[must_use]
    pub fn note(note: &'a Note) -> Self {
        match note {
            Note::Audited(rule) => Self::of_rule(Family::Audits, Some(rule), ""),
            Note::WouldAsk(rule, _) => Self::of_rule(Family::DryRunCalls, Some(rule), ""),
            Note::WouldRefuse(refusal) => {
                let class = refusal.reason.class().name();
                Self::of_rule(Family::DryRunRefusals, refusal.rule.as_deref(), class)
            }
        }
    }

    /// A fetch for the keys of a rule.
    #[must_use]
    pub fn fetch(rule: &'a str, outcome: &Outcome) -> Self {
        let word = match outcome {
            Outcome::Discovered(_) => "discovered",
            Outcome::Fetched { .. } => "fetched",
            Outcome::Unchanged { .. } => "unchanged",
            Outcome::Failed { .. } => "failed",
        };
        Self::of(Family::KeyFetches, rule, word)
    }

    /// What came of a question to somebody.
    #[must_use]
    pub fn answer(answer: &Answer, policy: &'a Policy) -> Option<Self> {
        match answer {
            Answer::Introspected(provider, _, outcome) => {
                let provider = policy.introspection_providers.get(*provider)?;
                let word = match outcome {
                    Ok(known) if known.is_active() => "active",
                    Ok(_) => "inactive",
                    Err(Outage::Failed(_)) => "failed",
                    Err(Outage::Unauthorized) => "unauthorized",
                    Err(Outage::Throttled(_)) => "throttled",
                };
                Some(Self::of(Family::Introspections, &provider.name, word))
            }
            Answer::Ruled(authorizer, ruling) => {
                let authorizer = policy.authorizers.get(*authorizer)?;
                let word = match ruling.as_ref() {
                    Ruling::Allowed(_) => ALLOWED,
                    Ruling::Denied(_) => "denied",
                    Ruling::Failed(_) => "failed",
                };
                Some(Self::of(Family::Authorizations, authorizer.name(), word))
            }
        }
    }

    /// Its name for the host, with its labels between the delimiters of Istio's `extraStatTags`.
    /// Envoy puts `wasmcustom.` before it.
    #[must_use]
    pub fn name(&self) -> String {
        let (name, named, worded) = self.family.about();
        let mut text = "portcullis.".to_owned();
        let mut add = |label: &str, value: &str| {
            for part in [label, "=.=", value, ";.;"] {
                text.push_str(part);
            }
        };
        if let Some(label) = named {
            add(label, &self.of.map_or_else(|| NONE.to_owned(), plain));
        }
        if let Some(label) = worded {
            add(label, self.word);
        }
        text.push_str(name);
        text
    }
}

/// What all rules of a policy, or of an entry of `apiRules`, have in common in their names.
fn owner(rule: &str) -> &str {
    let number = |letter: char| letter.is_ascii_digit();
    let numbered = || {
        rule.strip_suffix(']')?
            .trim_end_matches(number)
            .strip_suffix("]-rule[")
    };
    // Most names end so, which is found much faster than the last occurrence of a text.
    let of_rule = numbered().or_else(|| Some(rule.rsplit_once("]-rule[")?.0));
    of_rule.unwrap_or_else(|| rule.strip_suffix(']').unwrap_or(rule))
}

/// `NAMESPACE/NAME` for the [`owner`] of a policy's rules, `NAME` for that of an entry's, any other
/// name as it is: without whatever a host could take for a delimiter. Istio also takes a dot for one.
fn plain(name: &str) -> String {
    let (namespace, name) = match name.rsplit_once("]-policy[") {
        Some((before, name)) => (before.rsplit_once("ns[").map(|(_, it)| it), name),
        None => (None, name.strip_prefix("api[").unwrap_or(name)),
    };
    let namespace = namespace.into_iter().flat_map(|it| it.chars().chain(['/']));
    let plain = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '/' | ':' => letter,
        _ => '_',
    };
    namespace.chain(name.chars()).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_labels_as_istio_cuts_them_out() {
        let denied = |rule| Metric::decision(Some(rule), "policy").name();
        let named =
            |name: &str| format!("portcullis.rule=.={name};.;outcome=.=policy;.;decisions_total");
        for (rule, name) in [
            ("ns[shop]-policy[readers]-rule[10]", "shop/readers"),
            ("ns[shop]-policy[read.ers]-rule[0]", "shop/read_ers"),
            ("istio-ext-authz-x-ns[shop]-policy[p]-rule[0]", "shop/p"),
            (
                "istio-ext-authz-x-ns[shop]-policy[p]-rule[0]-deny-due-to-bad-CUSTOM-action",
                "shop/p",
            ),
            ("api[shop]-rule[1]", "shop"),
            ("api[shop]", "shop"),
        ] {
            assert_eq!(denied(rule), named(name), "{rule}");
        }
        for (metric, name) in [
            (
                Metric::decision(None, ALLOWED),
                "rule=.=none;.;outcome=.=allowed;.;decisions_total",
            ),
            (
                Metric::refusal(Reason::TokenExpired),
                "reason=.=token_expired;.;refusals_total",
            ),
            (
                Metric::of(Family::KeysUsable, "https://idp.example.com/a;.;b=", ""),
                "rule=.=https://idp_example_com/a___b_;.;keys_usable",
            ),
            (
                Metric::signature(false),
                "verifier=.=wasm;.;signatures_total",
            ),
            (Metric::fixed(Family::ParkedRequests, ""), "parked_requests"),
        ] {
            assert_eq!(metric.name(), format!("portcullis.{name}"));
        }
    }

    #[test]
    fn all_rules_of_a_policy_or_an_entry_count_together() {
        for (one, other, same) in [
            ("ns[a]-policy[p]-rule[0]", "ns[a]-policy[p]-rule[12]", true),
            ("ns[a]-policy[p]-rule[0]", "ns[a]-policy[q]-rule[0]", false),
            ("ns[a]-policy[p]-rule[0]", "ns[b]-policy[p]-rule[0]", false),
            ("api[shop]", "api[shop]-rule[3]", true),
            ("api[shop]-rule[3]", "api[shop2]-rule[3]", false),
        ] {
            assert_eq!(owner(one) == owner(other), same, "{one} and {other}");
        }
    }

    #[test]
    fn a_configuration_is_told_by_its_hash() {
        // FIPS 180-4: SHA-256 of `abc`.
        let digest = configuration_digest(b"abc");
        assert_eq!(format!("{digest:012x}"), "ba7816bf8f01");
        let gauges = configuration_gauges("shop.gate/1", digest, Duration::from_millis(1_500));
        let gauges = gauges.map(|(metric, value)| format!("{} {value}", metric.name()));
        assert_eq!(
            gauges,
            [
                "portcullis.plugin=.=shop_gate/1;.;configuration_hash 205024940494593",
                "portcullis.plugin=.=shop_gate/1;.;configuration_loaded_at_seconds 1",
            ]
        );
    }

    #[test]
    fn keys_are_told_by_rule() {
        let health = Health {
            usable: 2,
            age: Duration::from_millis(61_500),
            failures: 1,
            next_attempt: Duration::ZERO,
        };
        let gauges = key_gauges("demo", &health);
        let gauges = gauges.map(|(metric, value)| format!("{} {value}", metric.name()));
        assert_eq!(
            gauges,
            [
                "portcullis.rule=.=demo;.;keys_usable 2",
                "portcullis.rule=.=demo;.;keys_age_seconds 61",
                "portcullis.rule=.=demo;.;keys_failures 1",
                "portcullis.rule=.=demo;.;keys_next_attempt_seconds 0",
            ]
        );
    }
}
