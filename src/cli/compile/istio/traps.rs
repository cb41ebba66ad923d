//! Warnings of what these resources do, and their authors may not have meant.

use super::authentication::GROUP;
use super::hosts;
use super::routes::Route;
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::resource::{Reading, Resource};
use crate::cli::yaml::Node;

/// Warns of everything that is found.
pub fn warn(context: &Context<'_>, draft: &Draft, routes: &[Route<'_>]) {
    let policies = &draft.config.authorization_policies;
    for policy in policies {
        let found = context.inventory.named(
            GROUP,
            "AuthorizationPolicy",
            &policy.namespace,
            &policy.name,
        );
        let Some(resource) = found else { continue };
        let reading = context.reading(resource);
        let attached = policy.applies_to.iter().flat_map(|it| &it.hosts);
        let attached: Vec<_> = attached.map(String::as_str).collect();
        let everywhere = policy.applies_to.iter().any(|it| it.hosts.is_empty());
        if !attached.is_empty() && !everywhere {
            hosts_that_lead_elsewhere(reading, &attached);
        }
        principals_that_need_a_subject(reading);
    }
    headers_that_clients_can_write(context, draft, routes);
}

/// `operation.hosts` that no route to the workload has.
fn hosts_that_lead_elsewhere(reading: Reading<'_>, attached: &[&str]) {
    for operation in operations(reading.resource) {
        let named = operation.get("hosts").map_or(&[][..], Node::items);
        for node in named {
            let host = hosts::without_port(node.text().unwrap_or_default());
            let host = host.to_lowercase();
            if host.contains('*') || attached.iter().any(|it| hosts::covers(it, &host)) {
                continue;
            }
            reading.warning(
                node,
                format!("no route that leads to its workload has the host `{host}`"),
                format!("routes lead there from {}", attached.join(", ")),
            );
        }
    }
}

/// `requestPrincipals: ["*"]` demands more than a valid token.
fn principals_that_need_a_subject(reading: Reading<'_>) {
    let message = "`*` demands `iss` and `sub`: a valid token without `sub` is refused, as those of \
                   client credentials may be";
    let rules = reading.resource.spec().get("rules");
    let rules = rules.map_or(&[][..], Node::items).iter();
    let sources = rules.flat_map(|it| it.get("from").map_or(&[][..], Node::items));
    let principals = sources.filter_map(|it| it.at(&["source", "requestPrincipals"]));
    let every = principals.flat_map(Node::items);
    for node in every.filter(|it| it.text() == Some("*")) {
        if !reading.notes.has_said(message) {
            let help = "to take every valid token, demand a claim: `when: [{key: \
                        request.auth.claims[iss], values: [ISSUER]}]`";
            reading.warning(node, message, help);
        }
    }
}

/// Headers about certificates that a route leaves as a client wrote them.
fn headers_that_clients_can_write(context: &Context<'_>, draft: &Draft, routes: &[Route<'_>]) {
    let derived = draft.config.client_certificate.as_ref();
    let Some((name, _)) = derived.and_then(|it| it.headers.0.first()) else {
        return;
    };
    let mut arms = routes.iter().flat_map(|route| &route.arms);
    let found = arms.find_map(|arm| {
        let mut headers = arm.headers.iter();
        let set = headers.find_map(|it| it.at(&["request", "set", name]))?;
        Some((arm.resource, set))
    });
    let Some((resource, node)) = found else {
        return;
    };
    context.reading(resource).warning(
        node,
        format!(
            "while a connection has no certificate, or one that says nothing here, the route leaves \
             `{name}` as the client wrote it"
        ),
        "the gateway removes what clients write there; routes of other gateways do not",
    );
}

/// Every `operation` of a policy.
fn operations(resource: &Resource) -> impl Iterator<Item = &Node> {
    let rules = resource.spec().get("rules");
    let rules = rules.map_or(&[][..], Node::items).iter();
    let to = rules.flat_map(|it| it.get("to").map_or(&[][..], Node::items));
    to.filter_map(|it| it.get("operation"))
}
