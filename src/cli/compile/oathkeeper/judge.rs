//! Routes and access rules, as one list of which the first that fits decides.
//!
//! Of the routes of a host the first that fits takes a request: straight to the service, or to
//! Oathkeeper, which looks at all its rules of that host. There no rule is 404, several are 500, and
//! one judges; nothing that came to Oathkeeper is for a later route. It compares paths without the
//! slash at their end. Only [`super::rules`] and Kyma's APIRule in version v1beta1 call it.

mod list;
mod paths;

pub use paths::Paths;

use super::config::Value;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::methods::Methods;
use crate::cli::compile::written::{ApiRule, ApiRules, Path, Request, Strategy, True};
use std::rc::Rc;

/// Where requests are led.
#[derive(Clone)]
pub struct Route<'a> {
    /// What it was made from.
    pub at: Value<'a>,
    /// Its paths.
    pub paths: Rc<Paths>,
    /// Its methods.
    pub methods: Methods,
    /// What is demanded, if Oathkeeper has no part in it.
    pub direct: Option<Demand<'a>>,
}

/// One of Oathkeeper's rules.
#[derive(Clone)]
pub struct AccessRule<'a> {
    /// What it was made from.
    pub at: Value<'a>,
    /// Its paths.
    pub paths: Rc<Paths>,
    /// Its methods.
    pub methods: Methods,
    /// What it demands.
    pub demand: Demand<'a>,
    /// Whether policies behind Oathkeeper refuse its paths with a slash behind them.
    pub guarded: bool,
}

/// What a rule demands, and what it sets.
#[derive(Clone)]
pub struct Demand<'a> {
    /// Who may send its requests.
    pub strategy: Strategy,
    /// How refusals look, if not as those of the whole entry.
    pub error_style: Option<&'static str>,
    /// What it sets for the upstream.
    pub request: Request,
    /// Which part of it was made from what.
    pub places: Vec<(&'static str, Value<'a>)>,
}

/// A rule of the result, and what it was made from.
pub struct Judged<'a> {
    /// The rule.
    pub rule: ApiRule,
    /// What it was made from.
    pub at: Value<'a>,
    /// Which part of it was made from what.
    places: Vec<(&'static str, Value<'a>)>,
    paths: Rc<Paths>,
    methods: Methods,
}

/// The list that does what these routes and rules do together. What cannot be told by such a list is
/// noted as an error.
pub fn judge<'a>(routes: &[Route<'a>], rules: &[AccessRule<'a>]) -> Vec<Judged<'a>> {
    finished(list::judge(routes, rules))
}

/// Adds an entry with these rules to the draft; nothing, if there are none.
pub fn add(draft: &mut Draft, mut entry: ApiRules, at: Value<'_>, judged: Vec<Judged<'_>>) {
    entry.rules = judged.iter().map(|it| it.rule.clone()).collect();
    if judged.is_empty() {
        // No request is let through, and the host must not be taken for one that nothing names.
        entry.rules.push(ApiRule::default());
    }
    let index = draft.add_api_rules(entry, at.reading, at.node);
    for (rule, judged) in judged.iter().enumerate() {
        let path = format!("$.apiRules[{index}].rules[{rule}]");
        for (part, place) in &judged.places {
            draft.came_from(format!("{path}.{part}"), place.reading, place.node);
        }
        draft.came_from(path, judged.at.reading, judged.at.node);
    }
}

fn unreachable(at: Value<'_>, paths: &Paths) {
    at.warning(
        format!(
            "no request reaches this rule: no route leads to it, or other rules take all of `{}`; \
             it is left out",
            paths.text()
        ),
        "put the narrower rule first, or leave this one out",
    );
}

/// Templates do not take every letter that an expression does. Where a later expression would take
/// what is left of them, they are written as expressions, too.
fn finished(mut judged: Vec<Judged<'_>>) -> Vec<Judged<'_>> {
    let mut later: Vec<Rc<Paths>> = Vec::new();
    for rule in judged.iter_mut().rev() {
        if let Some(whole) = rule.paths.whole()
            && later.iter().any(|later| later.may_meet(&rule.paths))
        {
            rule.rule.path = whole;
        }
        if matches!(rule.rule.path, Path::Regex(_)) {
            later.push(Rc::clone(&rule.paths));
        }
    }
    judged
}

// === impl Route ===

impl Route<'_> {
    /// The same, for nobody.
    pub fn refusing(mut self) -> Self {
        if let Some(demand) = &mut self.direct {
            demand.strategy = Strategy::Deny(True);
            demand.request = Request::default();
        }
        self
    }
}

// === impl Demand ===

impl Demand<'_> {
    /// Nobody may.
    pub fn deny() -> Self {
        Self {
            strategy: Strategy::Deny(True),
            error_style: None,
            request: Request::default(),
            places: Vec::new(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.strategy == other.strategy && self.request == other.request
    }
}

#[cfg(test)]
mod tests;
