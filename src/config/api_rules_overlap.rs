//! Rules of one `apiRules` entry that get in each other's way.
//!
//! The first rule that fits decides. One that can never be reached is a fault; an overlap that opens
//! what another rule guards is a warning. Expressions are not compared, and beyond
//! [`MAX_COMPARED`] pairs nothing is.

use super::api_rules::{ApiRule, METHODS, Strategy};
use super::reader::At;

/// So many pairs of rules are compared.
const MAX_COMPARED: usize = 1_000_000;

pub(super) fn check(at: At<'_>, rules: &[ApiRule]) {
    let mut compared: usize = 0;
    for (index, rule) in rules.iter().enumerate() {
        let mut open: Vec<&str> = methods(rule).collect();
        for (other_index, other) in rules.iter().enumerate().take(index) {
            compared = compared.saturating_add(1);
            if compared > MAX_COMPARED {
                return;
            }
            if differ(rule, other) {
                continue;
            }
            if other.path.covers(&rule.path) {
                open.retain(|method| !has(other, method));
                if open.is_empty() {
                    at.fault(format!(
                        "rule {index} can never match: rule {other_index} or one before it takes \
                         all that is for it; put the narrower rule first"
                    ));
                    break;
                }
            }
            let taken = |method: &str| {
                // All that has its path goes to another rule before this one.
                let mut earlier = rules.iter().take(index);
                earlier.any(|it| {
                    compared = compared.saturating_add(1);
                    has(it, method) && it.path.covers(&other.path)
                })
            };
            warn(at, (other_index, other), (index, rule), &open, taken);
        }
    }
}

/// Whether the first segments alone tell that two rules have no path in common.
fn differ(one: &ApiRule, other: &ApiRule) -> bool {
    match (one.path.first_literal(), other.path.first_literal()) {
        (Some(one), Some(other)) => one != other,
        _ => false,
    }
}

/// Warns of a rule that lets anybody in where another one does not.
fn warn(
    at: At<'_>,
    (first, earlier): (usize, &ApiRule),
    (second, later): (usize, &ApiRule),
    open: &[&str],
    mut taken: impl FnMut(&str) -> bool,
) {
    let is_open = |rule: &ApiRule| matches!(rule.strategy, Strategy::NoAuth);
    match (is_open(earlier), is_open(later)) {
        (true, false) => {
            let shared = methods(later).any(|method| has(earlier, method));
            if shared
                && earlier.path.intersects(&later.path)
                && !later.path.covers(&earlier.path)
                && !earlier.path.covers(&later.path)
            {
                at.warn(format!(
                    "rule {first} is open to all and stands before rule {second}, whose paths it \
                     shares in part: these are open"
                ));
            }
        }
        (false, true) if later.path.covers(&earlier.path) => {
            let left: Vec<_> = open.iter().filter(|method| !taken(method)).collect();
            if let Some(method) = left.first() {
                at.warn(format!(
                    "rule {first} guards its path only for its own methods: {method} there is for \
                     rule {second}, which is open to all; add a `deny` rule if it should not be"
                ));
            }
        }
        _ => {}
    }
}

fn methods(rule: &ApiRule) -> impl Iterator<Item = &str> {
    let any = rule
        .methods
        .is_empty()
        .then_some(METHODS.map(|(name, _)| name))
        .into_iter()
        .flatten();
    rule.methods.iter().map(String::as_str).chain(any)
}

fn has(rule: &ApiRule, method: &str) -> bool {
    rule.methods.is_empty() || rule.methods.iter().any(|it| it == method)
}
