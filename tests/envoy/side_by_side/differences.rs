//! What may differ between Envoy's filters and ours, by name and with the reason. Nothing else may.
//!
//! Each is recognised by what was asked and by both answers, as narrowly as it can be.

use serde_json::Value;

use super::pair::{Answer, Asked};
use crate::harness::Version;

/// A difference that is meant.
pub struct Difference {
    pub name: &'static str,
    /// Why ours is what an operator wants.
    pub why: &'static str,
    applies: fn(&Question<'_>) -> bool,
}

/// All that a difference is recognised by.
struct Question<'a> {
    config: &'a Value,
    asked: &'a Asked,
    theirs: &'a Answer,
    ours: &'a Answer,
    version: Version,
}

pub const DIFFERENCES: [Difference; 15] = [
    Difference {
        name: "authority unreadable",
        why: "servers read it in different ways, so no rule for a host can hold",
        applies: |it| it.ours.status == 400 && is_odd(&it.asked.authority),
    },
    Difference {
        name: "other spelling of Host",
        why: "the same host must not be reachable around a rule that refuses",
        applies: |it| {
            let authority = &it.asked.authority;
            let odd = authority.contains(|it: char| it == ':' || it.is_ascii_uppercase());
            it.is_refused_by_policy() && (odd || authority.ends_with('.'))
        },
    },
    Difference {
        name: "two different tokens",
        why: "one may decide while the other goes on to the upstream unverified",
        applies: |it| {
            let refused = it.ours.status == 401 && it.ours.body == "Found multiple Jwt tokens";
            refused && it.asked.credentials() > 1
        },
    },
    Difference {
        name: "scheme in another case",
        why: "RFC 9110, 11.1: a scheme is compared without regard to case; to Envoy it is no token",
        applies: |it| {
            let other_case = |value: &str, scheme: &str| {
                !value.starts_with(scheme)
                    && value
                        .to_ascii_lowercase()
                        .starts_with(&scheme.to_ascii_lowercase())
            };
            it.asked.has_scheme(|value| other_case(value, "Bearer "))
                || it
                    .asked
                    .values("x-token")
                    .any(|value| other_case(value, "jwt "))
        },
    },
    Difference {
        name: "scheme inside of the value",
        why: "a token stands behind its scheme; one that anything may precede is no token",
        applies: |it| {
            it.asked
                .has_scheme(|value| value.contains("Bearer ") && !value.starts_with("Bearer "))
        },
    },
    Difference {
        name: "text around the token",
        why: "a value with more than a token in it is no token; Envoy takes out what could be one",
        applies: |it| {
            let around = |name: &str, value: &str| {
                let scheme = name == "x-token" && value.contains(" ${");
                scheme
                    || value.contains("  ${")
                    || value.contains("} ")
                    || value.contains("${odd-letters}")
            };
            it.ours.status == 401
                && it
                    .asked
                    .lines
                    .iter()
                    .any(|(name, value)| around(name, value))
        },
    },
    Difference {
        name: "dot segments with parameters",
        why: "before 1.36.10 a normalized path may hold `..;x` (CVE-2026-73551), ours does not",
        applies: |it| it.version == Version::V1_36 && it.asked.target.contains(".;"),
    },
    Difference {
        name: "names of the peer",
        why: "the host tells the first name of each kind; others may match, so they count against",
        applies: |it| it.asked.certificate && it.is_refused_by_policy(),
    },
    Difference {
        name: "metadata that is no text",
        why: "the host does not tell us its type, so a rule that refuses takes it to match",
        applies: |it| it.asked.metadata && it.is_refused_by_policy(),
    },
    Difference {
        name: "cookie taken out",
        why: "a token that is not to be forwarded does not go on in a cookie either",
        applies: |it| {
            let token = it.asked.values("cookie").any(|value| value.contains("${"));
            token && it.agree_but_for(&["cookie"])
        },
    },
    Difference {
        name: "copy of the token",
        why: "the same token at a place where another rule looks for one does not go on either",
        applies: |it| {
            let places = ["authorization", "x-token", "cookie", ":path"];
            let length = |answer: &Answer| -> usize {
                let values = places.iter().filter_map(|place| answer.upstream.get(place));
                values.map(String::len).sum()
            };
            let less = length(it.ours) < length(it.theirs);
            less && it.asked.credentials() > 1 && it.agree_but_for(&places)
        },
    },
    Difference {
        name: "query as it was sent",
        why: "taking a parameter out leaves the others as they were; Envoy writes the query anew",
        applies: |it| it.asked.target.contains("${") && it.agree_but_for(&[":path"]),
    },
    Difference {
        name: "forged claims",
        why: "a header that tells an upstream of claims is never the client's; Envoy takes it out only where it gets to the rule that writes it",
        applies: |it| {
            let forged: Vec<_> = it
                .asked
                .lines
                .iter()
                .filter(|(_, value)| value == "forged")
                .collect();
            let names: Vec<&str> = forged.iter().map(|(name, _)| name.as_str()).collect();
            let removed = names.iter().all(|name| {
                it.ours.upstream.get(name).is_none_or(|it| it != "forged")
                    || it.theirs.upstream.get(name) == it.ours.upstream.get(name)
            });
            !names.is_empty() && removed && it.agree_but_for(&names)
        },
    },
    Difference {
        name: "any issuer but those with rules",
        why: "whoever holds the keys of a rule for any issuer may not speak for one with its own",
        applies: |it| {
            let issuers = || it.config["jwtRules"].as_array().into_iter().flatten();
            let named = |rule: &Value| !rule["issuer"].is_null();
            let mixed = issuers().any(named) && !issuers().all(named);
            // Another rule decides: it may refuse, or tell the upstream other things.
            let other_rule = it.ours.challenge.is_some() || it.ours.status == it.theirs.status;
            mixed && other_rule && it.asked.credentials() > 0
        },
    },
    Difference {
        name: "lines of one header joined",
        why: "before 1.36.5 RBAC compares lines joined by commas (CVE-2026-26308), now each",
        applies: |it| it.version == Version::V1_36 && it.asked.values("x-role").count() > 1,
    },
];

/// The difference that explains why the answers are not the same.
pub fn explained(
    config: &Value,
    asked: &Asked,
    theirs: &Answer,
    ours: &Answer,
    version: Version,
) -> Option<&'static Difference> {
    let question = Question {
        config,
        asked,
        theirs,
        ours,
        version,
    };
    DIFFERENCES
        .iter()
        .find(|difference| (difference.applies)(&question))
}

// === impl Question ===

impl Question<'_> {
    /// Whether the answers are the same, these headers for the upstream aside.
    fn agree_but_for(&self, headers: &[&str]) -> bool {
        let others = |answer: &Answer| {
            let mut others = answer.clone();
            others.upstream.retain(|name, _| !headers.contains(name));
            others
        };
        others(self.theirs) == others(self.ours)
    }

    fn is_refused_by_policy(&self) -> bool {
        self.ours.status == 403 && self.ours.body == "RBAC: access denied"
    }
}

// === impl Asked ===

impl Asked {
    /// How many credentials it carries.
    pub fn credentials(&self) -> usize {
        let lines = self.lines.iter().map(|(_, value)| value);
        lines
            .chain([&self.target])
            .map(|text| text.matches("${").count())
            .sum()
    }

    fn has_scheme(&self, odd: impl Fn(&str) -> bool) -> bool {
        self.values("authorization").any(odd)
    }
}

fn is_odd(authority: &str) -> bool {
    let letter = |it: char| it.is_ascii_alphanumeric() || ".-_".contains(it);
    let (name, port) = authority.split_once(':').unwrap_or((authority, "1"));
    name.is_empty() || !name.chars().all(letter) || port.parse::<u16>().is_err()
}
