//! The one algebra of conditions: what every rule demands of a request, whatever it was written in.

use super::{PathPattern, RequestPrincipal, StringMatch};
use crate::config;
use crate::identity::Identity;

/// Something that is true or false of a request.
#[derive(Clone, Debug)]
pub enum Condition {
    /// All of them; true if there are none.
    All(Vec<Condition>),
    /// At least one of them; false if there are none.
    Any(Vec<Condition>),
    /// The authority, as sent or as read.
    Authority(StringMatch),
    /// The method.
    Method(StringMatch),
    /// The path without query.
    Path(PathPattern),
    /// Who signed the token and about whom; false without a token.
    RequestPrincipal(RequestPrincipal),
}

/// What a condition sees of a request: one reading of it, and who sent it.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The authority, as sent or as read.
    pub authority: &'a [u8],
    /// The method.
    pub method: &'a [u8],
    /// The path without query.
    pub path: &'a [u8],
    /// From a verified token, if there was one.
    pub identity: Option<&'a Identity>,
}

// === impl Condition ===

impl Condition {
    /// A rule of an `AuthorizationPolicy`: one of its sources and one of its operations.
    pub(super) fn from_rule(rule: &config::Rule) -> Self {
        let from = rule.from.iter().map(|source| {
            Self::All(vec![any_of(
                &source.request_principals,
                Self::RequestPrincipal,
            )])
        });
        let to = rule.to.iter().map(|operation| {
            let fields = [
                any_of(&operation.hosts, Self::Authority),
                any_of(&operation.methods, Self::Method),
                any_of(&operation.paths, Self::Path),
            ];
            Self::All(
                fields
                    .into_iter()
                    .filter(|field| !field.is_always())
                    .collect(),
            )
        });
        let parts = [either(from.collect()), either(to.collect())];
        Self::All(parts.into_iter().filter(|part| !part.is_always()).collect())
    }

    /// Whether it is true of a request.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Self::Authority(value) => value.matches(facts.authority),
            Self::Method(value) => value.matches(facts.method),
            Self::Path(value) => value.matches(facts.path),
            Self::RequestPrincipal(value) => facts
                .identity
                .is_some_and(|identity| value.matches(identity)),
        }
    }

    fn is_always(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }
}

/// One of the values of a field; a field without values demands nothing.
fn any_of<T: Clone>(values: &[T], leaf: impl Fn(T) -> Condition) -> Condition {
    either(values.iter().cloned().map(leaf).collect())
}

/// One of the parts; no parts demand nothing.
fn either(mut parts: Vec<Condition>) -> Condition {
    match parts.len() {
        0 => Condition::All(parts),
        1 => parts.pop().unwrap_or(Condition::All(Vec::new())),
        _ => Condition::Any(parts),
    }
}

#[cfg(test)]
mod tests {}
