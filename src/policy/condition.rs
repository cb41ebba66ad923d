//! The one algebra of conditions: what every rule demands of a request, whatever it was written in.
//!
//! A fact can be beyond our reach (an address that cannot be read, names in a certificate that we
//! do not see). Then a condition is [`Truth::Unknown`], and each rule takes the safe side: one that
//! refuses matches, one that allows does not, and a negation stays unknown.

use super::predicate::{Facts, Predicate};
use crate::config;

/// Something that is true or false of a request.
#[derive(Clone, Debug)]
pub enum Condition {
    /// All of them; true if there are none.
    All(Vec<Condition>),
    /// At least one of them; false if there are none.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// A fact.
    Is(Predicate),
}

/// What is known of a condition (Kleene's three values).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// It does not hold.
    False,
    /// It cannot be told.
    Unknown,
    /// It holds.
    True,
}

// === impl Condition ===

impl Condition {
    /// A rule of an `AuthorizationPolicy`: one of its sources, one of its operations, and every
    /// `when`.
    pub(super) fn from_rule(rule: &config::Rule) -> Self {
        let alternatives = |entries: &[Vec<config::Demand>]| {
            either(
                entries
                    .iter()
                    .map(|demands| Self::from_demands(demands))
                    .collect(),
            )
        };
        let parts = [
            alternatives(&rule.to),
            alternatives(&rule.from),
            Self::from_demands(&rule.when),
        ];
        all(parts.into_iter().collect())
    }

    fn from_demands(demands: &[config::Demand]) -> Self {
        let is = |values: &[Predicate]| either(values.iter().cloned().map(Self::Is).collect());
        let parts = demands.iter().flat_map(|demand| {
            let none_of =
                (!demand.none_of.is_empty()).then(|| Self::Not(Box::new(is(&demand.none_of))));
            [Some(is(&demand.any_of)), none_of].into_iter().flatten()
        });
        all(parts.collect())
    }

    /// Whether it holds of a request.
    #[must_use]
    pub fn truth(&self, facts: &Facts<'_>) -> Truth {
        match self {
            Self::All(parts) => {
                let mut least = Truth::True;
                for part in parts {
                    least = least.min(part.truth(facts));
                    if least == Truth::False {
                        break;
                    }
                }
                least
            }
            Self::Any(parts) => {
                let mut most = Truth::False;
                for part in parts {
                    most = most.max(part.truth(facts));
                    if most == Truth::True {
                        break;
                    }
                }
                most
            }
            Self::Not(part) => match part.truth(facts) {
                Truth::True => Truth::False,
                Truth::Unknown => Truth::Unknown,
                Truth::False => Truth::True,
            },
            Self::Is(predicate) => predicate.truth(facts),
        }
    }

    /// Every fact that it is about.
    pub(super) fn visit(&self, see: &mut impl FnMut(&Predicate)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::Not(part) => part.visit(see),
            Self::Is(predicate) => see(predicate),
        }
    }

    fn is_always(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// All of the parts, without those that demand nothing.
fn all(mut parts: Vec<Condition>) -> Condition {
    parts.retain(|part| !part.is_always());
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            Condition::All(parts)
        }
    }
}

/// One of the parts; no parts demand nothing.
fn either(mut parts: Vec<Condition>) -> Condition {
    match (parts.len(), parts.pop()) {
        (0, _) | (_, None) => Condition::All(Vec::new()),
        (1, Some(only)) => only,
        (_, Some(last)) => {
            parts.push(last);
            Condition::Any(parts)
        }
    }
}

#[cfg(test)]
mod tests {}
