//! Which hosts the gateway serves, what becomes of those that nothing judges, and where plain HTTP is
//! redirected.

use super::gateways::Gateways;
use super::hosts::{self, EVERY};
use super::routes::Route;
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::settings::DefaultAction;
use crate::cli::compile::written::{AppliesTo, AuthorizationPolicy, HttpsRedirect};
use crate::cli::yaml::{Content, Key, Node};

/// The name of the policy for hosts that are open.
const OPEN_HOSTS: &str = "open-hosts";

/// That of the policy for wildcards that are open, but for hosts within them.
const OPEN_WILDCARDS: &str = "open-wildcards";

/// That of the policy against names with a dot at their end.
const TRAILING_DOTS: &str = "trailing-dots";

/// Adds the redirects of Gateways.
pub fn redirects(
    context: &Context<'_>,
    draft: &mut Draft,
    gateways: &Gateways<'_>,
    routes: &[Route<'_>],
) {
    for (gateway, server, of_server) in gateways.redirects() {
        let mut redirected: Vec<String> = Vec::new();
        for host in of_server {
            let routed = routes.iter().map(|route| route.host.as_str());
            let routed = routed.filter(|it| *it != EVERY).map(str::to_owned);
            // There is no pattern for every host: those that are known are named.
            let found = match host == EVERY {
                true => routed.collect(),
                false => vec![host],
            };
            redirected.extend(found);
        }
        if redirected.is_empty() {
            let reading = context.reading(gateway);
            reading.warning(
                server,
                "redirects every host, but the input has no host that is routed",
                "add the VirtualServices, or write `mesh.httpsRedirect` by hand",
            );
            continue;
        }
        let mesh = draft.config.mesh.get_or_insert_default();
        let path = format!("$.mesh.httpsRedirect[{}]", mesh.https_redirect.len());
        mesh.https_redirect.push(HttpsRedirect {
            hosts: redirected,
            except_paths: Vec::new(),
        });
        draft.came_from(path, context.reading(gateway), server);
    }
}

/// Says what becomes of hosts that nothing names, and keeps open what was open.
pub fn default_action(context: &Context<'_>, draft: &mut Draft, routes: &[Route<'_>]) {
    let given = context.settings.default_action;
    let served: Vec<&str> = routes.iter().map(|route| route.host.as_str()).collect();
    let named = |host: &str| named_hosts(draft).any(|it| hosts::covers(it, host));
    let open: Vec<String> = served
        .iter()
        .filter(|host| **host != EVERY && !named(host))
        .map(|host| (*host).to_owned())
        .collect();
    let nothing_named = named_hosts(draft).next().is_none();
    // Without any host in sight, the policies of the gateway decide for all of them; and where a route
    // is for every host, it leads on for every host.
    let every = served.contains(&EVERY);
    let action = given.unwrap_or(match every || nothing_named && served.is_empty() {
        true => DefaultAction::Allow,
        false => DefaultAction::Deny,
    });
    draft.config.default_action = Some(match action {
        DefaultAction::Allow => "ALLOW",
        DefaultAction::Deny => "DENY",
    });
    if action == DefaultAction::Allow {
        return;
    }
    let everywhere = |policy: &AuthorizationPolicy| {
        policy.action.is_none() && policy.dry_run.is_none() && policy.applies_to.is_empty()
    };
    let policies = &mut draft.config.authorization_policies;
    if policies.iter().any(everywhere) {
        // What the gateway allows, it allows on the hosts that it serves.
        let hosts = served.iter().filter(|host| **host != EVERY);
        let hosts: Vec<_> = hosts.map(|host| (*host).to_owned()).collect();
        if !hosts.is_empty() {
            for policy in policies.iter_mut().filter(|it| everywhere(it)) {
                policy.applies_to.push(AppliesTo {
                    hosts: hosts.clone(),
                    ..AppliesTo::default()
                });
            }
        }
    } else if !open.is_empty() {
        let named: Vec<String> = named_hosts(draft).map(str::to_owned).collect();
        // A policy that lets in would do so for the narrower hosts, too; one that only tells names
        // its hosts all the same.
        let covers = |host: &String| named.iter().any(|it| hosts::covers(host, it));
        let (around, apart): (Vec<_>, Vec<_>) = open.iter().cloned().partition(covers);
        for (name, hosts, dry_run) in [
            (OPEN_HOSTS, apart, None),
            (OPEN_WILDCARDS, around, Some(true)),
        ] {
            if !hosts.is_empty() {
                let applies_to = vec![AppliesTo {
                    hosts,
                    ..AppliesTo::default()
                }];
                let policy = AuthorizationPolicy {
                    dry_run,
                    applies_to,
                    ..own_policy(context, name, Vec::new())
                };
                draft.config.authorization_policies.push(policy);
            }
        }
        draft.open_hosts = open;
    }
}

/// Beside a route for every host, a name with a dot at its end is not the name without it: Istio routes
/// it like any other host. We would judge it as the name without; so it is refused.
pub fn trailing_dots(context: &Context<'_>, draft: &mut Draft, routes: &[Route<'_>]) {
    let hosts = routes.iter().map(|route| route.host.as_str());
    let (every, others): (Vec<_>, Vec<_>) = hosts.partition(|host| *host == EVERY);
    let judged = !draft.config.jwt_rules.is_empty();
    if every.is_empty()
        || others.is_empty()
        || !judged && draft.config.authorization_policies.is_empty()
    {
        return;
    }
    let exact = others.iter().filter(|host| !host.starts_with('*'));
    let with_port = exact.map(|host| format!("{host}.:*"));
    let dotted = std::iter::once("*.".to_owned()).chain(with_port);
    let hosts = list(dotted.map(|text| node(Content::Text(text))).collect());
    let operation = map("operation", map("hosts", hosts));
    let members = match map("to", list(vec![operation])).content {
        Content::Map(members) => members,
        _ => return,
    };
    let policy = AuthorizationPolicy {
        action: Some("DENY".to_owned()),
        ..own_policy(context, TRAILING_DOTS, members)
    };
    draft.config.authorization_policies.push(policy);
}

/// A policy that no resource of the input says, of one rule.
fn own_policy(context: &Context<'_>, name: &str, rule: Vec<(Key, Node)>) -> AuthorizationPolicy {
    AuthorizationPolicy {
        name: name.to_owned(),
        namespace: context.settings.namespace.clone(),
        rules: vec![node(Content::Map(rule))],
        ..AuthorizationPolicy::default()
    }
}

fn node(content: Content) -> Node {
    Node {
        content,
        span: 0..0,
    }
}

fn list(items: Vec<Node>) -> Node {
    node(Content::List(items))
}

/// A map of one member.
fn map(name: &str, value: Node) -> Node {
    let name = name.to_owned();
    node(Content::Map(vec![(Key { name, span: 0..0 }, value)]))
}

/// The hosts that the draft names.
fn named_hosts(draft: &Draft) -> impl Iterator<Item = &str> {
    let config = &draft.config;
    let rules = config.jwt_rules.iter().flat_map(|it| &it.applies_to);
    let policies = config.authorization_policies.iter();
    let policies = policies.flat_map(|it| &it.applies_to);
    let attached = rules.chain(policies).flat_map(|it| &it.hosts);
    let api = config.api_rules.iter().flat_map(|it| &it.hosts);
    attached.chain(api).map(String::as_str)
}
