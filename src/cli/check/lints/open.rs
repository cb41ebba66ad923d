//! What lets in more than it seems to: open API rules, ALLOW policies for everybody beside those for
//! some, authorizers that are passed by, refusals that are only tried.

use super::{Lint, below, covers, meet, values};
use crate::cli::yaml::Node;
use crate::config::{Action, ApiRules, AuthorizationPolicy, Rule, Strategy};
use crate::policy::{AuthorityPattern, StringMatch};

pub(super) fn check(lint: &mut Lint<'_>) {
    fail_open(lint);
    no_auth(lint);
    allow_all(lint);
    dry_run(lint);
}

fn fail_open(lint: &mut Lint<'_>) {
    let providers = lint.items("extensionProviders");
    let providers = providers.zip(&lint.config.extension_providers);
    let open: Vec<_> = providers.filter(|(_, it)| it.fail_open).collect();
    for ((path, _), provider) in open {
        lint.warn(
            format!("{path}.envoyExtAuthzHttp.failOpen"),
            format!(
                "while `{}` fails, is slow or answers 5xx, every request goes on unasked",
                provider.name
            ),
            "leave it out: such requests are refused then (`statusOnError`)",
        );
    }
}

/// Rules of API rules that are open on every path.
fn no_auth(lint: &mut Lint<'_>) {
    let entries = lint.items("apiRules").zip(&lint.config.api_rules);
    for ((path, node), entry) in entries.collect::<Vec<_>>() {
        for ((path, node), rule) in below(node, &path, "rules").zip(&entry.rules) {
            let text = |name: &str| node.get(name).and_then(Node::text);
            let every_path = matches!(text("path"), Some("/*" | "/{**}"))
                || matches!(text("pathRegex"), Some("/.*" | ".*"));
            let preflights = rule.methods == ["OPTIONS"];
            if !every_path || preflights || !matches!(rule.strategy, Strategy::NoAuth) {
                continue;
            }
            let guards = |it: &crate::config::ApiRule| !matches!(it.strategy, Strategy::NoAuth);
            let rest = match entry.rules.iter().any(guards) {
                true => "what no rule before it takes is open to everybody",
                false => "every path is open to everybody",
            };
            let mut message = rest.to_owned();
            for host in hosts_with_rules(lint, entry) {
                message = format!("{message}; also at `{host}`, to which `jwtRules` are attached");
            }
            lint.warn(
                format!("{path}.noAuth"),
                message,
                "name the paths that are public; what no rule is for is answered 404",
            );
        }
    }
}

/// Hosts that a wildcard of the entry takes, no entry has for itself, and a JWT rule names.
fn hosts_with_rules<'a>(lint: &Lint<'a>, entry: &ApiRules) -> Vec<&'a AuthorityPattern> {
    let rules = lint.config.jwt_rules.iter();
    let named = rules.flat_map(|it| &it.applies_to).flat_map(|it| &it.hosts);
    let entries = &lint.config.api_rules;
    let taken = |host: &AuthorityPattern| entries.iter().any(|it| it.hosts.contains(host));
    let named = named.filter(|host| entry.hosts.iter().any(|it| covers(it, host)) && !taken(host));
    named.collect()
}

/// ALLOW policies are a union: one that allows everybody makes those that ask for callers moot.
fn allow_all(lint: &mut Lint<'_>) {
    let enforced = |policy: &AuthorizationPolicy| policy.action == Action::Allow && !policy.dry_run;
    let rules: Vec<_> = lint.rules().filter(|(_, _, it, _)| enforced(it)).collect();
    let guards = rules.iter().filter(|(.., rule)| demands_a_caller(rule));
    let guards =
        guards.map(|(path, node, policy, _)| (hosts(node, path), attached(policy), *policy));
    let guards: Vec<_> = guards.collect();
    for (path, node, policy, rule) in &rules {
        if !is_for_everybody(rule) {
            continue;
        }
        let (hosts, attached) = (hosts(node, path), attached(policy));
        let guard = guards.iter().find(|(its_hosts, its_attached, other)| {
            meet(&policy.applies_to, &other.applies_to)
                && hosts_meet(&hosts, its_hosts)
                && hosts_meet(&hosts, its_attached)
                && hosts_meet(&attached, its_hosts)
        });
        let Some((.., other)) = guard else { continue };
        let message = match std::ptr::eq(*policy, *other) {
            true => {
                "allows everybody, so that the rules beside it which ask who is calling have no \
                     effect: one match is enough"
                    .to_owned()
            }
            false => format!(
                "allows everybody, also where policy `{}/{}` asks who is calling: ALLOW policies are \
                 a union, one match is enough",
                other.namespace, other.name
            ),
        };
        lint.warn(
            path,
            message,
            "say which `paths` and `hosts` are open, or attach the policy to those alone \
             (`appliesTo`)",
        );
    }
}

/// Whether a rule matches every request, hosts aside.
fn is_for_everybody(rule: &Rule) -> bool {
    let is_host =
        |it: &crate::policy::Predicate| matches!(it, crate::policy::Predicate::Authority(_));
    let any = |operation: &Vec<crate::config::Demand>| {
        let mut demands = operation.iter();
        demands.all(|it| it.none_of.is_empty() && it.any_of.iter().all(is_host))
    };
    rule.from.is_empty() && rule.when.is_empty() && (rule.to.is_empty() || rule.to.iter().any(any))
}

fn demands_a_caller(rule: &Rule) -> bool {
    let demands = rule.from.iter().flatten().chain(&rule.when);
    let mut predicates = demands.flat_map(|demand| demand.any_of.iter().chain(&demand.none_of));
    predicates.any(|it| it.is_about_the_caller() || it.is_about_the_peer())
}

/// The authorities that `operation.hosts` of a rule names; none is every one.
fn hosts(rule: &Node, path: &str) -> Vec<AuthorityPattern> {
    let values = values(rule, path).into_iter();
    let hosts = values.filter(|it| it.field == "hosts" && !it.is_negative);
    let hosts =
        hosts.map(|it| AuthorityPattern::covering(&StringMatch::parse_ignoring_case(it.text)));
    hosts.collect::<Option<_>>().unwrap_or_default()
}

fn attached(policy: &AuthorizationPolicy) -> Vec<AuthorityPattern> {
    let entries = policy.applies_to.iter();
    match policy.applies_to.iter().any(|it| it.hosts.is_empty()) {
        true => Vec::new(),
        false => entries.flat_map(|it| it.hosts.iter().cloned()).collect(),
    }
}

fn hosts_meet(one: &[AuthorityPattern], other: &[AuthorityPattern]) -> bool {
    one.is_empty()
        || other.is_empty()
        || one.iter().any(|one| {
            let mut others = other.iter();
            others.any(|other| covers(one, other) || covers(other, one))
        })
}

fn dry_run(lint: &mut Lint<'_>) {
    for (path, _, policy) in lint.policies().collect::<Vec<_>>() {
        if policy.dry_run && policy.action == Action::Deny {
            lint.warn(
                format!("{path}.dryRun"),
                format!(
                    "policy `{}/{}` denies nothing",
                    policy.namespace, policy.name
                ),
                "take `dryRun` away when the log tells what you expect",
            );
        }
    }
}
