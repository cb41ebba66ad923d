//! `operation.hosts`: a port is part of the value, and a condition attaches nothing.

use super::{Lint, Value, covers, values};
use crate::config::{Action, AppliesTo, Config, DefaultAction};
use crate::policy::{AuthorityPattern, StringMatch};
use std::collections::{HashMap, HashSet};

/// Every authority that something is attached to.
struct Named<'a> {
    exact: HashSet<&'a str>,
    wildcards: HashSet<&'a AuthorityPattern>,
}

pub(super) fn check(lint: &mut Lint<'_>) {
    let rules = lint.rules();
    let rules: Vec<_> = rules
        .map(|(path, node, policy, _)| {
            let values = values(node, &path).into_iter();
            let hosts = values.filter(|it| it.field == "hosts" && !it.is_negative);
            (policy.action, hosts.collect::<Vec<_>>())
        })
        .collect();
    let every = rules.iter().flat_map(|(_, hosts)| hosts);
    let with_ports = every.filter_map(|it| {
        let (name, port) = split(it.text);
        port.map(|_| (name.to_lowercase(), it.text))
    });
    let with_ports: HashMap<_, _> = with_ports.collect();
    let named = Named::new(lint.config);
    for (action, hosts) in &rules {
        for host in hosts {
            let siblings = || hosts.iter().filter(|it| same_list(it, host));
            match action {
                Action::Allow => {
                    without_port(lint, host, &with_ports, siblings());
                    if lint.config.default_action == DefaultAction::Deny {
                        unnamed(lint, host, &named);
                    }
                }
                Action::Deny | Action::Custom => with_port(lint, host, siblings()),
                Action::Audit => {}
            }
        }
    }
}

/// The name and the port of a value that is for one name.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    }
}

/// Whether two values are alternatives of one another.
fn same_list(one: &Value<'_>, other: &Value<'_>) -> bool {
    let list = |value: &Value<'_>| value.path.rsplit_once('[').map(|(list, _)| list.to_owned());
    list(one) == list(other)
}

/// ALLOW compares the authority as it was sent.
fn without_port<'v>(
    lint: &mut Lint<'_>,
    host: &Value<'_>,
    with_ports: &HashMap<String, &str>,
    siblings: impl Iterator<Item = &'v Value<'v>>,
) {
    let (name, port) = split(host.text);
    let mut siblings = siblings.map(|it| split(it.text));
    let is_it =
        |(other, port): (&str, Option<&str>)| port.is_some() && other.eq_ignore_ascii_case(name);
    if port.is_some() || host.text.ends_with('*') || siblings.any(is_it) {
        return;
    }
    let Some(other) = with_ports.get(&name.to_lowercase()) else {
        return;
    };
    lint.warn(
        &host.path,
        format!(
            "`{name}` does not allow requests to `{other}`, which another rule names: the port is \
             part of the value"
        ),
        format!("add `{name}:*` if every port is meant"),
    );
}

/// A client writes the port or leaves it out as it likes.
fn with_port<'v>(
    lint: &mut Lint<'_>,
    host: &Value<'_>,
    mut siblings: impl Iterator<Item = &'v Value<'v>>,
) {
    let (name, port) = split(host.text);
    if port.is_none() || siblings.any(|it| it.text.eq_ignore_ascii_case(name)) {
        return;
    }
    lint.warn(
        &host.path,
        format!(
            "`{}` is only for requests that are sent with that port: a client that leaves it out \
             gets past",
            host.text
        ),
        format!("write `{name}`, which is for every port in a DENY or CUSTOM policy"),
    );
}

/// With `defaultAction: DENY`, an authority that is only in conditions is not served at all.
fn unnamed(lint: &mut Lint<'_>, host: &Value<'_>, named: &Named<'_>) {
    let pattern = AuthorityPattern::covering(&StringMatch::parse_ignoring_case(host.text));
    let Some(pattern) = pattern else { return };
    if named.meets(&pattern) {
        return;
    }
    lint.warn(
        &host.path,
        format!(
            "`{}` is named in no `appliesTo` and no `apiRules`, so that `defaultAction: DENY` \
             answers 404 to what this rule allows",
            host.text
        ),
        format!(
            "attach the policy: `appliesTo: [{{hosts: [\"{pattern}\"]}}]`; `operation.hosts` is a \
             condition alone"
        ),
    );
}

// === impl Named ===

impl<'a> Named<'a> {
    fn new(config: &'a Config) -> Self {
        let policies = config.authorization_policies.iter();
        let attached = policies.flat_map(|it| &it.applies_to);
        let attached = attached.chain(config.jwt_rules.iter().flat_map(|it| &it.applies_to));
        let attached = attached.flat_map(|it: &AppliesTo| &it.hosts);
        let of_api_rules = config.api_rules.iter().flat_map(|it| &it.hosts);
        let (mut exact, mut wildcards) = (HashSet::new(), HashSet::new());
        for pattern in attached.chain(of_api_rules) {
            match pattern {
                AuthorityPattern::Exact(name) => exact.insert(name.as_ref()),
                AuthorityPattern::Wildcard(_) => wildcards.insert(pattern),
            };
        }
        Self { exact, wildcards }
    }

    /// Whether one of them may be an authority of the pattern.
    fn meets(&self, pattern: &AuthorityPattern) -> bool {
        let mut wildcards = self.wildcards.iter();
        let by_name = match pattern {
            AuthorityPattern::Exact(name) => self.exact.contains(name.as_ref()),
            AuthorityPattern::Wildcard(suffix) => {
                let mut exact = self.exact.iter();
                exact.any(|name| name.ends_with(suffix.as_ref()))
            }
        };
        by_name || wildcards.any(|it| covers(it, pattern) || covers(pattern, it))
    }
}
