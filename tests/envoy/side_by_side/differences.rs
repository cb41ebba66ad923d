//! What may differ between Envoy's filters and ours, by name and with the reason. Nothing else may.
//!
//! Each is recognised by what was asked and by both answers, as narrowly as it can be.

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
    asked: &'a Asked,
    theirs: &'a Answer,
    ours: &'a Answer,
    version: Version,
}

pub const DIFFERENCES: [Difference; 11] = [
    Difference {
        name: "authority unreadable",
        why: "servers read it in different ways, so no rule for a host can hold",
        applies: |it| it.ours.status == 400 && is_odd(&it.asked.authority),
    },
    Difference {
        name: "port or dot in Host",
        why: "the same host must not be reachable around a rule that refuses",
        applies: |it| {
            let authority = &it.asked.authority;
            it.is_refused_by_policy() && (authority.contains(':') || authority.ends_with('.'))
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
            it.asked.has_scheme(|value| {
                !value.starts_with("Bearer ") && value.to_ascii_lowercase().starts_with("bearer ")
            })
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
            let around = |value: &str| {
                value.contains("  ${") || value.contains("} ") || value.contains("${odd-letters}")
            };
            it.ours.status == 401 && it.asked.lines.iter().any(|(_, value)| around(value))
        },
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
            let others = |answer: &Answer| {
                let mut others = answer.clone();
                others.upstream.remove("cookie");
                others
            };
            others(it.theirs) == others(it.ours)
                && it.asked.values("cookie").any(|value| value.contains("${"))
        },
    },
    Difference {
        name: "query as it was sent",
        why: "taking a parameter out leaves the others as they were; Envoy writes the query anew",
        applies: |it| {
            let others = |answer: &Answer| {
                let mut others = answer.clone();
                others.upstream.remove(":path");
                others
            };
            others(it.theirs) == others(it.ours) && it.asked.target.contains("${")
        },
    },
    Difference {
        name: "any issuer but those with rules",
        why: "whoever holds the keys of a rule for any issuer may not speak for one with its own",
        applies: |it| {
            it.ours.status == 401
                && it.theirs.status != 401
                && it.asked.credentials() > 0
                && it.ours.body != "Found multiple Jwt tokens"
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
    asked: &Asked,
    theirs: &Answer,
    ours: &Answer,
    version: Version,
) -> Option<&'static Difference> {
    let question = Question {
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
