//! APIRule in version v1beta1: paths are regular expressions, and strategies Oathkeeper's handlers.
//!
//! Kyma routes by the first rule of each path, straight to the service or to Oathkeeper, which then
//! looks at all rules of the host. [`judge`] makes one list of that. What Kyma would refuse is refused
//! in its own words.

mod mode;
mod rule;

use super::{Version, cors, hosts, jwt};
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::expression::Expression;
use crate::cli::compile::methods::Methods;
use crate::cli::compile::oathkeeper;
use crate::cli::compile::oathkeeper::config::{Oathkeeper, Value};
use crate::cli::compile::oathkeeper::handlers::{Authenticated, authenticate};
use crate::cli::compile::oathkeeper::judge::{self, AccessRule, Demand, Paths, Route};
use crate::cli::compile::oathkeeper::mutators;
use crate::cli::compile::resource::{NOTHING, Reading};
use crate::cli::compile::written::{ApiRules, CorsPolicy, Request, Strategy, True};
use crate::cli::yaml::Node;
use mode::Mode;
use rule::{Kind, Rule};
use std::collections::HashSet;
use std::rc::Rc;

/// Adds what an APIRule says.
pub(super) fn compile<'a>(context: &Context<'a>, draft: &mut Draft, reading: Reading<'a>) {
    let spec = reading.resource.root.get("spec").unwrap_or(NOTHING);
    let Some(mut fields) = reading.fields(spec) else {
        return;
    };
    fields.skip(&["service", "gateway", "timeout"]);
    let host = fields.get("host");
    let cors = fields.get("corsPolicy");
    let rules = fields.get("rules");
    fields.finish();
    if let Some(host) = host {
        rule::check_host(reading, host);
    }
    let hosts = hosts::hosts(context, reading, Version::V1beta1);
    let cors: Option<CorsPolicy> = match cors {
        Some(node) => cors::policy(reading, node, cors::MaxAge::Duration),
        None => Some(cors::v1beta1_default()),
    };
    let nodes = rules.map_or(&[][..], |list| reading.items(list));
    if nodes.is_empty() {
        reading.error(
            rules.unwrap_or(spec),
            "No rules defined",
            "give at least one",
        );
        return;
    }
    let mode = Mode::of(context, reading);
    let at = Value {
        reading,
        node: spec,
    };
    let read: Vec<_> = nodes
        .iter()
        .map(|node| Rule::read(at.with(node), mode))
        .collect();
    let Some(read) = read.into_iter().collect::<Option<Vec<_>>>() else {
        return;
    };
    if !rule::are_apart(&read) {
        return;
    }
    let compiler = Compiler {
        oathkeeper: Oathkeeper::new(context, true),
        mode,
    };
    let Some((routes, access)) = compiler.compile(draft, &read) else {
        return;
    };
    let Some(hosts) = hosts else { return };
    let place = host.unwrap_or(spec);
    for host in &hosts {
        if !hosts::is_free(context, draft, reading, place, host) {
            return;
        }
    }
    let asks_oathkeeper = routes.iter().any(|route| route.direct.is_none());
    let is_whole = mode == Mode::Ory && asks_oathkeeper;
    let resource = reading.resource;
    let entry = ApiRules {
        name: format!("{}.{}", resource.namespace, resource.name),
        hosts,
        error_style: is_whole.then_some("oathkeeper"),
        cors_policy: cors,
        rules: Vec::new(),
    };
    judge::add(draft, entry, at, judge::judge(&routes, &access));
}

/// Makes routes and access rules, as Kyma does.
struct Compiler<'a> {
    oathkeeper: Oathkeeper<'a>,
    mode: Mode,
}

type Compiled<'a> = (Vec<Route<'a>>, Vec<AccessRule<'a>>);

// === impl Compiler ===

impl<'a> Compiler<'a> {
    /// `None` if something cannot be carried over, which has been noted.
    fn compile(&self, draft: &mut Draft, rules: &[Rule<'a>]) -> Option<Compiled<'a>> {
        let (mut routes, mut access) = (Vec::new(), Vec::new());
        let mut routed = HashSet::new();
        let mut demanded: Vec<(Strategy, Vec<&'a Node>)> = Vec::new();
        let mut is_whole = true;
        let mut kinds = rules.iter().map(|rule| rule.kind);
        let guarded = kinds.any(|kind| matches!(kind, Kind::Jwt | Kind::NoAuth));
        for rule in rules {
            let expression = Expression::regex(rule.path);
            let Ok(expression) = expression.inspect_err(|why| rule.path_at.error(why, "")) else {
                is_whole = false;
                continue;
            };
            let Some(demand) = self.demand(draft, rule) else {
                is_whole = false;
                continue;
            };
            if let (Kind::Jwt, Some(demand)) = (rule.kind, &demand) {
                demanded.push((demand.strategy.clone(), rule.authentications()));
            }
            let paths = Rc::new(Paths::new(rule.path, expression));
            let is_direct = rule.kind != Kind::Oathkeeper;
            if routed.insert(rule.path) {
                let every = Route {
                    at: rule.at,
                    paths: self.routed(rule, &paths),
                    methods: Methods::ALL,
                    direct: demand.clone().filter(|_| is_direct),
                };
                let own = Route {
                    methods: rule.methods,
                    ..every.clone()
                };
                match (rule.kind, self.mode) {
                    // Its policy names its methods, where there are policies.
                    (Kind::Allow, Mode::Istio) if guarded => {
                        routes.extend([own, every.refusing()]);
                    }
                    (Kind::Allow, _) | (Kind::Oathkeeper, Mode::Ory) => routes.push(every),
                    (Kind::NoAuth | Kind::Jwt | Kind::Oathkeeper, _) => routes.push(own),
                }
            } else if is_direct {
                rule.at.warning(
                    format!(
                        "Kyma makes a route of the first rule of `{}` alone: this one never takes a \
                         request, and is left out",
                        rule.path
                    ),
                    "write the path in another way, such as `(/path)`, or join the rules",
                );
            }
            if let Some(demand) = demand.filter(|_| !is_direct) {
                access.push(AccessRule {
                    guarded: guarded && self.mode == Mode::Istio,
                    at: rule.at,
                    paths,
                    methods: rule.methods,
                    demand,
                });
            }
        }
        if let Some(first) = rules.first() {
            let demanded = demanded.iter();
            let demanded = demanded.map(|(strategy, nodes)| (strategy, nodes.as_slice()));
            jwt::tell_differences(first.at.reading, demanded);
        }
        is_whole.then_some((routes, access))
    }

    /// The paths by which a rule is routed.
    fn routed(&self, rule: &Rule<'a>, paths: &Rc<Paths>) -> Rc<Paths> {
        if rule.path != "/*" {
            return Rc::clone(paths);
        }
        match (self.mode, Expression::path("/*")) {
            (Mode::Istio, Ok(everything)) => Rc::new(Paths::new("/*", everything)),
            _ => {
                rule.path_at.warning(
                    "`/*` is an expression for slashes alone, such as `/` and `//`",
                    "write `/.*` for every path",
                );
                Rc::clone(paths)
            }
        }
    }

    /// What a rule demands; the inner `None` if Oathkeeper has no rule for it.
    #[expect(clippy::option_option, reason = "no rule is not the same as a fault")]
    fn demand(&self, draft: &mut Draft, rule: &Rule<'a>) -> Option<Option<Demand<'a>>> {
        let (strategy, request) = match rule.kind {
            Kind::Allow | Kind::NoAuth => {
                if let Some(mutator) = rule.mutators.first() {
                    let name = rule.strategies.first().map_or("", |it| it.name);
                    let message = format!("mutators have no effect with `{name}`");
                    mutator.at.warning(message, "leave them out, or use `noop`");
                }
                (Strategy::NoAuth(True), Request::default())
            }
            Kind::Jwt => {
                let handler = rule.strategies.first()?;
                let request = rule::literal_request(&rule.mutators);
                let config = handler.config?;
                let (demand, _) = jwt::demand(draft, config.reading, config.node)?;
                (Strategy::Jwt(demand), request?)
            }
            Kind::Oathkeeper => {
                let handlers: Vec<_> = match self.mode {
                    Mode::Ory => rule.strategies.clone(),
                    // Kyma makes no rule of others.
                    Mode::Istio => {
                        let kept = rule
                            .strategies
                            .iter()
                            .filter(|it| matches!(it.name, "noop" | "oauth2_introspection"));
                        kept.copied().collect()
                    }
                };
                if handlers.is_empty() {
                    rule.at.warning(
                        "with the JWT handler `istio` Kyma gives Oathkeeper no rule for this \
                         strategy, which then answers 404; so does the result, or refuses",
                        "use `noop`, `oauth2_introspection` or `jwt`",
                    );
                    return Some(None);
                }
                let at = rule.strategies_at;
                let authenticated = authenticate(&self.oathkeeper, draft, at, &handlers);
                let Authenticated { strategy, extra } = authenticated?;
                let request = mutators::mutate(&self.oathkeeper, &rule.mutators, extra)?;
                (strategy, request)
            }
        };
        let by_oathkeeper = rule.kind == Kind::Oathkeeper && self.mode == Mode::Istio;
        Some(Some(Demand {
            strategy,
            error_style: by_oathkeeper.then_some("oathkeeper"),
            request,
            places: oathkeeper::places(rule.strategies_at, rule.mutators_at),
        }))
    }
}
