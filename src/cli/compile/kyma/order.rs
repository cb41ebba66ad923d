//! What Kyma makes of rules that overlap, said as rules of which the first that fits decides.
//!
//! At a workload Kyma allows what any of its rules allows, whichever has the route. Rules are kept
//! apart by `notPaths` alone: of a rule the paths are excluded that stand before it and share a
//! method with it. Where that refuses, a `deny` rule does so here; where an authorizer of a later
//! rule is asked too, it is here; where a later rule opens what an earlier one guards, it does not
//! here, and that is told.

use super::paths::meet;
use super::v2::Rule;
use crate::cli::compile::resource::Reading;
use crate::cli::compile::written::{ApiRule, ExtAuth, JwtDemand, Path, Request, Strategy, True};
use crate::policy::ApiPath;

/// A rule before it is written.
struct Piece {
    path: String,
    methods: Vec<String>,
    strategy: Strategy,
}

/// The rules to be written, each with the one that it came from.
pub(super) fn in_order<'r, 'a>(
    reading: Reading<'_>,
    rules: &'r [Rule<'a>],
) -> Vec<(ApiRule, &'r Rule<'a>)> {
    let mut written: Vec<(ApiRule, &Rule<'_>)> = Vec::new();
    let mut placed: Vec<Piece> = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let before = placed.len();
        for piece in denied(rules, index, &placed) {
            let methods = piece.methods.join(", ");
            reading.warning(
                rule.node,
                format!(
                    "Kyma refuses {methods} at `{}`, and so does this",
                    piece.path
                ),
                "an earlier rule with that path shares a method with this one, by which Kyma \
                 excludes the path from this rule altogether; give methods that should be \
                 let in there a rule of their own",
            );
            written.push((to_write(&piece, None), rule));
            placed.push(piece);
        }
        tell_opened(reading, rules, index);
        let is_whole = placed.len() == before;
        for piece in with_later_authorizers(reading, rules, index, (&placed, is_whole)) {
            written.push((to_write(&piece, rule.request.clone()), rule));
            placed.push(piece);
        }
    }
    written
}

fn to_write(piece: &Piece, request: Option<Request>) -> ApiRule {
    ApiRule {
        path: Path::Path(piece.path.clone()),
        methods: piece.methods.clone(),
        strategy: piece.strategy.clone(),
        error_style: None,
        request,
    }
}

/// The rules whose paths Kyma excludes from a rule.
fn excluded<'r, 'a>(rules: &'r [Rule<'a>], index: usize) -> impl Iterator<Item = &'r Rule<'a>> {
    let of_rule = rules.get(index);
    let before = rules
        .iter()
        .take_while(move |it| Some(&it.path) != of_rule.map(|it| &it.path));
    before.filter(move |it| {
        !["/", "/*", "/{**}"].contains(&it.path.as_str())
            && of_rule.is_some_and(|of_rule| !shared(it, of_rule).is_empty())
    })
}

/// What would fall to a rule, and is excluded from it.
fn denied(rules: &[Rule<'_>], index: usize, placed: &[Piece]) -> Vec<Piece> {
    let Some(rule) = rules.get(index) else {
        return Vec::new();
    };
    let mut found: Vec<Piece> = Vec::new();
    for excluded in excluded(rules, index) {
        let lacking = rule
            .methods
            .iter()
            .filter(|it| !excluded.methods.contains(it));
        let lacking: Vec<_> = lacking.cloned().collect();
        for path in meet(&excluded.path, &rule.path) {
            let reached = |method: &String| !takes(placed.iter().chain(&found), &path, method);
            let methods: Vec<_> = lacking.iter().filter(|it| reached(it)).cloned().collect();
            if !methods.is_empty() {
                found.push(Piece {
                    path,
                    methods,
                    strategy: Strategy::Deny(True),
                });
            }
        }
    }
    found
}

/// A rule, and before it the parts of it at which Kyma also asks the authorizers of later rules.
/// `is_whole` tells that no part of it is denied before.
fn with_later_authorizers(
    reading: Reading<'_>,
    rules: &[Rule<'_>],
    index: usize,
    (placed, is_whole): (&[Piece], bool),
) -> Vec<Piece> {
    let Some(rule) = rules.get(index) else {
        return Vec::new();
    };
    let mut pieces = vec![Piece {
        path: rule.path.clone(),
        methods: rule.methods.clone(),
        strategy: rule.strategy.clone(),
    }];
    for (later_index, later) in rules.iter().enumerate().skip(index.saturating_add(1)) {
        let Strategy::ExtAuth(ExtAuth { authorizers, .. }) = &later.strategy else {
            continue;
        };
        if !reaches(rules, rule, later_index) {
            continue;
        }
        let mut split = Vec::new();
        for piece in pieces {
            let strategy = with_authorizers(&piece.strategy, authorizers);
            let methods = piece.methods.iter().filter(|it| later.methods.contains(it));
            let methods: Vec<_> = methods.cloned().collect();
            for path in meet(&piece.path, &later.path) {
                if strategy == piece.strategy || methods.is_empty() {
                    continue;
                }
                reading.warning(
                    rule.node,
                    format!(
                        "Kyma asks `{}` about {} at `{path}` too, and so does this",
                        authorizers.join("`, `"),
                        methods.join(", ")
                    ),
                    format!(
                        "rule {later_index} (`{}`) covers it, and Kyma does not exclude `{}` from \
                         that rule",
                        later.path, rule.path
                    ),
                );
                let (methods, strategy) = (methods.clone(), strategy.clone());
                split.push(Piece {
                    path,
                    methods,
                    strategy,
                });
            }
            split.push(piece);
        }
        pieces = split;
    }
    let mut kept: Vec<Piece> = Vec::new();
    let last = pieces.len().saturating_sub(1);
    for (number, piece) in pieces.into_iter().enumerate() {
        // A rule, the last piece, that was never reached to begin with is left to be told of.
        if number == last && is_whole && kept.is_empty() {
            return vec![piece];
        }
        let before = placed.iter().chain(&kept);
        let is_left = |method: &&String| !takes(before.clone(), &piece.path, method);
        if piece.methods.iter().any(|it| is_left(&it)) {
            kept.push(piece);
        }
    }
    kept
}

/// Tells of a rule that Kyma leaves more open than it is here.
fn tell_opened(reading: Reading<'_>, rules: &[Rule<'_>], index: usize) {
    let Some(rule) = rules.get(index).filter(|it| demand(it).is_some()) else {
        return;
    };
    for (later_index, later) in rules.iter().enumerate().skip(index.saturating_add(1)) {
        if demand(later) == demand(rule) || !reaches(rules, rule, later_index) {
            continue;
        }
        let meeting = meet(&rule.path, &later.path).join("`, `");
        let methods = shared(rule, later).join(", ");
        let message = match demand(later) {
            None if matches!(later.strategy, Strategy::ExtAuth(_)) => {
                format!("Kyma needs no token for {methods} at `{meeting}`; here it is needed")
            }
            None => {
                format!("Kyma leaves {methods} at `{meeting}` open here; here it needs the token")
            }
            Some(_) => format!(
                "Kyma also takes what rule {later_index} demands for {methods} at `{meeting}`; \
                 here this rule alone decides"
            ),
        };
        let same = rules.iter().position(|it| it.path == later.path);
        let why = match same.filter(|same| *same < index) {
            Some(same) => format!("rule {same} before it has the path of rule {later_index}"),
            None => format!("`{}` is never excluded", rule.path),
        };
        let help = format!(
            "rule {later_index} (`{}`) covers it, from which Kyma does not exclude it, since {why}",
            later.path
        );
        reading.warning(rule.node, message, help);
    }
}

/// Whether Kyma's policies for a later rule also judge what has its route by an earlier one.
fn reaches(rules: &[Rule<'_>], rule: &Rule<'_>, later_index: usize) -> bool {
    let Some(later) = rules.get(later_index) else {
        return false;
    };
    overlap(rule, later) && !excluded(rules, later_index).any(|it| it.path == rule.path)
}

/// Whether there are requests to one workload that two rules are both for.
pub(super) fn overlap(one: &Rule<'_>, other: &Rule<'_>) -> bool {
    one.service == other.service
        && one.pattern.intersects(&other.pattern)
        && !shared(one, other).is_empty()
}

/// The token that a rule demands.
pub(super) fn demand<'r>(rule: &'r Rule<'_>) -> Option<&'r JwtDemand> {
    match &rule.strategy {
        Strategy::Jwt(demand) => Some(demand),
        Strategy::ExtAuth(it) => it.restrictions.as_ref(),
        _ => None,
    }
}

fn shared<'r>(one: &'r Rule<'_>, other: &Rule<'_>) -> Vec<&'r str> {
    let shared = one.methods.iter().filter(|it| other.methods.contains(it));
    shared.map(String::as_str).collect()
}

fn with_authorizers(strategy: &Strategy, more: &[String]) -> Strategy {
    let (mut authorizers, restrictions) = match strategy {
        Strategy::Jwt(demand) => (Vec::new(), Some(demand.clone())),
        Strategy::ExtAuth(it) => (it.authorizers.clone(), it.restrictions.clone()),
        _ => (Vec::new(), None),
    };
    for name in more {
        if !authorizers.contains(name) {
            authorizers.push(name.clone());
        }
    }
    Strategy::ExtAuth(ExtAuth {
        authorizers,
        restrictions,
    })
}

/// Whether one of these takes every request of a method and path.
fn takes<'p>(mut pieces: impl Iterator<Item = &'p Piece>, path: &str, method: &String) -> bool {
    let pattern = ApiPath::parse(path);
    pieces.any(|piece| {
        let covers = |wide: ApiPath| pattern.as_ref().is_ok_and(|it| wide.covers(it));
        piece.methods.contains(method) && ApiPath::parse(&piece.path).is_ok_and(covers)
    })
}

#[cfg(test)]
mod tests;
