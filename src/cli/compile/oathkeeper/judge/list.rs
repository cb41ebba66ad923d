//! The list while it grows: routes in their order, and what Oathkeeper does at each.

use super::{AccessRule, Demand, Judged, Paths, Route, unreachable};
use crate::cli::compile::methods::Methods;
use crate::cli::compile::oathkeeper::config::Value;
use crate::cli::compile::written::{ApiRule, Request, Strategy};
use std::rc::Rc;

/// What Oathkeeper does with the requests of some paths.
struct Case<'a> {
    at: Value<'a>,
    paths: Rc<Paths>,
    methods: Methods,
    demand: Demand<'a>,
    /// Which access rule it is; a case that was made of several is none.
    rule: Option<usize>,
}

/// The list while it grows.
struct Judge<'r, 'a> {
    routes: &'r [Route<'a>],
    cases: Vec<Case<'a>>,
    judged: Vec<Judged<'a>>,
}

/// The list that does what these routes and rules do together.
pub(super) fn judge<'a>(routes: &[Route<'a>], rules: &[AccessRule<'a>]) -> Vec<Judged<'a>> {
    let mut judge = Judge {
        routes,
        cases: Vec::new(),
        judged: Vec::new(),
    };
    let mut explained = judge.add_cases(rules);
    for (index, route) in routes.iter().enumerate() {
        match &route.direct {
            Some(demand) => {
                if !judge.push(route.at, &route.paths, route.methods, demand.clone()) {
                    unreachable(route.at, &route.paths);
                }
            }
            None => judge.lead_to_oathkeeper(index, route, &mut explained),
        }
    }
    for (rule, explained) in rules.iter().zip(&explained) {
        if !explained {
            unreachable(rule.at, &rule.paths);
        }
    }
    judge.judged
}

// === impl Judge ===

impl<'a> Judge<'_, 'a> {
    /// What Oathkeeper does, in an order in which the first that fits is right. Tells of which rules
    /// something was said.
    fn add_cases(&mut self, rules: &[AccessRule<'a>]) -> Vec<bool> {
        let mut explained = vec![false; rules.len()];
        let mut slashed = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            for (other_index, other) in rules.iter().enumerate() {
                let methods = rule.methods.and(other.methods);
                if index == other_index || methods.is_empty() {
                    continue;
                }
                let meet = rule.paths.may_meet(&other.paths);
                if meet && index < other_index {
                    self.refuse_both(rules, (rule, other), methods);
                    for index in [index, other_index] {
                        if let Some(explained) = explained.get_mut(index) {
                            *explained = true;
                        }
                    }
                }
                // Oathkeeper takes `/a/` for `/a`, whoever else is for `/a/` here.
                if !meet
                    && !rule.demand.is_same(&other.demand)
                    && let Some(slash) = rule.paths.with_slash()
                    && slash.may_meet(&other.paths)
                {
                    slashed.push(Case {
                        at: rule.at,
                        paths: Rc::new(slash),
                        methods,
                        demand: match rule.guarded {
                            true => Demand::deny(),
                            false => rule.demand.clone(),
                        },
                        rule: None,
                    });
                }
            }
        }
        self.cases.extend(slashed);
        let whole = rules.iter().enumerate().map(|(index, rule)| Case {
            at: rule.at,
            paths: Rc::clone(&rule.paths),
            methods: rule.methods,
            demand: rule.demand.clone(),
            rule: Some(index),
        });
        self.cases.extend(whole);
        explained
    }

    /// Oathkeeper answers 500 where two of its rules fit.
    fn refuse_both(
        &mut self,
        rules: &[AccessRule<'a>],
        (one, other): (&AccessRule<'a>, &AccessRule<'a>),
        methods: Methods,
    ) {
        let (narrow, wide) = if other.paths.cover(&one.paths) {
            (one, other)
        } else if one.paths.cover(&other.paths) {
            (other, one)
        } else {
            let (one, at) = (one.paths.text(), other.at);
            at.error(
                format!(
                    "`{}` and `{one}` have paths in common for {methods}, which Oathkeeper answers \
                     500, and neither has all of the other's",
                    other.paths.text()
                ),
                "make their paths or methods disjoint",
            );
            return;
        };
        narrow.at.warning(
            format!(
                "`{}` is also for `{}`: Oathkeeper answers 500 to {methods} there, since two rules \
                 fit; it is refused here, too",
                wide.paths.text(),
                narrow.paths.text()
            ),
            "leave the methods out of one of them, or make their paths disjoint",
        );
        let slash = narrow.paths.with_slash().map(Rc::new);
        // Also where these would be a third one's.
        let takes = |slash: &Paths, rule: &AccessRule<'_>| {
            !rule.methods.and(methods).is_empty() && slash.may_meet(&rule.paths)
        };
        let slash = slash.filter(|slash| rules.iter().any(|rule| takes(slash, rule)));
        for paths in [Some(Rc::clone(&narrow.paths)), slash]
            .into_iter()
            .flatten()
        {
            self.cases.push(Case {
                at: narrow.at,
                paths,
                methods,
                demand: Demand::deny(),
                rule: None,
            });
        }
    }

    /// Adds what Oathkeeper does with the requests of a route.
    fn lead_to_oathkeeper(&mut self, index: usize, route: &Route<'a>, explained: &mut [bool]) {
        let cases = std::mem::take(&mut self.cases);
        let behind = self.routes.get(index.saturating_add(1)..);
        let behind = behind.unwrap_or_default();
        for (before, case) in cases.iter().enumerate() {
            let methods = case.methods.and(route.methods);
            if methods.is_empty() || !case.paths.may_meet(&route.paths) {
                continue;
            }
            let paths = if route.paths.cover(&case.paths) {
                &case.paths
            } else if case.paths.cover(&route.paths) {
                &route.paths
            } else {
                let before = cases.iter().take(before);
                if let Err(why) = self.reach_beyond(case, methods, behind, before) {
                    let (case_text, route) = (case.paths.text(), route.paths.text());
                    case.at.error(
                        format!(
                            "`{case_text}` and `{route}` have only some paths in common, and {why}"
                        ),
                        "make the paths of the rules disjoint, or one within the other",
                    );
                    continue;
                }
                &case.paths
            };
            // Of what is no rule's own, nothing may lead to a part.
            let is_own = case.rule.is_some() || route.paths.cover(paths);
            let demand = Some(case.demand.clone()).filter(|_| is_own);
            let demand = demand.unwrap_or_else(Demand::deny);
            let is_new = self.push(case.at, paths, methods, demand);
            if let Some(explained) = case.rule.and_then(|rule| explained.get_mut(rule)) {
                *explained |= is_new;
            }
        }
        self.cases = cases;
        // Oathkeeper answers 404 to the rest, whatever comes behind.
        let open = behind.iter().filter(|it| it.direct.is_some());
        let open = open.filter(|it| it.paths.may_meet(&route.paths));
        let open = open.fold(Methods::NONE, |all, it| all.or(it.methods));
        let left = open.and(route.methods).without(self.taken(&route.paths));
        if !left.is_empty() {
            self.push(route.at, &route.paths, route.methods, Demand::deny());
        }
    }

    /// Whether a case may be written whole at a route that is for some of its paths alone; if not, why.
    fn reach_beyond<'c>(
        &mut self,
        case: &Case<'a>,
        methods: Methods,
        behind: &[Route<'a>],
        before: impl Iterator<Item = &'c Case<'a>>,
    ) -> Result<(), String>
    where
        'a: 'c,
    {
        if self.takes(&case.paths, methods) {
            return Ok(());
        }
        let common = |it: &Route<'_>| !it.methods.and(methods).is_empty();
        let mut direct = behind.iter().filter(|it| it.direct.is_some() && common(it));
        if let Some(direct) = direct.find(|it| it.paths.may_meet(&case.paths)) {
            let direct = direct.paths.text();
            return Err(format!(
                "what is left of the former may be for `{direct}`, without Oathkeeper"
            ));
        }
        let mut others = behind.iter().filter(|it| it.direct.is_none());
        let leads_on =
            others.any(|it| methods.without(it.methods).is_empty() && it.paths.cover(&case.paths));
        if case.rule.is_some() && !leads_on {
            return Err("no route leads to what is left of the former".to_owned());
        }
        // What is refused within it must stand before it.
        for refused in before.filter(|it| it.rule.is_none()) {
            let methods = refused.methods.and(methods);
            if methods.is_empty()
                || !refused.paths.may_meet(&case.paths)
                || self.takes(&refused.paths, methods)
            {
                continue;
            }
            let denies = matches!(refused.demand.strategy, Strategy::Deny(_));
            if !denies || !case.paths.cover(&refused.paths) {
                let refused = refused.paths.text();
                return Err(format!("`{refused}` is another rule's"));
            }
            self.push(refused.at, &refused.paths, methods, Demand::deny());
        }
        Ok(())
    }

    /// Adds a rule, unless nothing is left for it.
    fn push(
        &mut self,
        at: Value<'a>,
        paths: &Rc<Paths>,
        methods: Methods,
        demand: Demand<'a>,
    ) -> bool {
        if self.takes(paths, methods) {
            return false;
        }
        let denies = matches!(demand.strategy, Strategy::Deny(_));
        let request = Some(demand.request).filter(|it| !denies && *it != Request::default());
        self.judged.push(Judged {
            rule: ApiRule {
                path: paths.written(),
                methods: methods.written(),
                strategy: demand.strategy,
                error_style: demand.error_style,
                request,
            },
            at,
            places: demand.places,
            paths: Rc::clone(paths),
            methods,
        });
        true
    }

    /// Whether the rules so far leave nothing of these requests.
    fn takes(&self, paths: &Paths, methods: Methods) -> bool {
        methods.without(self.taken(paths)).is_empty()
    }

    /// The methods that the rules so far take for all of these paths.
    fn taken(&self, paths: &Paths) -> Methods {
        let covering = self.judged.iter().filter(|it| it.paths.cover(paths));
        covering.fold(Methods::NONE, |all, it| all.or(it.methods))
    }
}
