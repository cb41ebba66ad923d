//! Why nothing allowed a request: the rule that came closest, and what it lacked.
//!
//! Only [`crate::decide`] calls it, when somebody wants to know: it costs more than the refusal
//! itself. It tells the names of rules and fields, never a value of the request.

use crate::policy::{Condition, Facts, Rule, Truth};
use std::fmt;
use std::rc::Rc;

/// The rule of an ALLOW policy that came closest to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// Its name.
    pub rule: Rc<str>,
    /// The fields and keys that the request fulfils, each once.
    pub held: Vec<String>,
    /// The first that it does not.
    pub lacked: String,
}

/// So many rules are looked at; among more, the closest may be another.
pub const MAX_RULES: usize = 64;

// === impl NearMiss ===

impl NearMiss {
    /// The closest of some rules, none of which matches.
    pub fn among<'r>(rules: impl Iterator<Item = &'r Rule>, facts: &Facts<'_>) -> Option<Self> {
        let mut closest: Option<Self> = None;
        for rule in rules.take(MAX_RULES) {
            let mut held = Vec::new();
            let Some(lacked) = lack(&rule.condition, facts, &mut held) else {
                continue;
            };
            if closest.as_ref().is_none_or(|it| it.held.len() < held.len()) {
                closest = Some(Self {
                    rule: Rc::clone(&rule.id),
                    held,
                    lacked,
                });
            }
        }
        closest
    }
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, held, lacked } = self;
        write!(f, "{rule} came closest: ")?;
        match held.as_slice() {
            [] => {}
            [one] => write!(f, "`{one}` matches, ")?,
            several => write!(f, "`{}` match, ", several.join("`, `"))?,
        }
        write!(f, "`{lacked}` does not")
    }
}

/// What a condition lacks, having noted what it does not lack; nothing if it holds.
fn lack(condition: &Condition, facts: &Facts<'_>, held: &mut Vec<String>) -> Option<String> {
    match condition {
        Condition::All(parts) => parts.iter().find_map(|part| lack(part, facts, held)),
        Condition::Any(parts) => {
            let mut closest: Option<(Vec<String>, String)> = None;
            for part in parts {
                let mut so_far = Vec::new();
                let Some(lacked) = lack(part, facts, &mut so_far) else {
                    so_far.into_iter().for_each(|field| note(held, field));
                    return None;
                };
                if closest
                    .as_ref()
                    .is_none_or(|(it, _)| it.len() < so_far.len())
                {
                    closest = Some((so_far, lacked));
                }
            }
            let (so_far, lacked) = closest?;
            so_far.into_iter().for_each(|field| note(held, field));
            Some(lacked)
        }
        Condition::Not(_) | Condition::Is(_) => {
            let field = field(condition);
            match condition.truth(facts) {
                Truth::True => {
                    note(held, field);
                    None
                }
                Truth::Unknown | Truth::False => Some(field),
            }
        }
    }
}

fn note(held: &mut Vec<String>, field: String) {
    if !held.contains(&field) {
        held.push(field);
    }
}

/// The field or key that a condition is about.
fn field(condition: &Condition) -> String {
    match condition {
        Condition::Is(predicate) => predicate.field(),
        Condition::Not(inner) => format!("not {}", field(inner)),
        Condition::All(parts) | Condition::Any(parts) => {
            parts.first().map(field).unwrap_or_default()
        }
    }
}
