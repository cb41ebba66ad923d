//! How requests get from our gateway to workloads: the routes of VirtualServices.

use super::gateways::{GROUP, Gateways, Served};
use super::hosts;
use super::matches::{ArmPath, Matched, matches};
use super::order::{self, Gathered, Share};
use crate::cli::compile::Context;
use crate::cli::compile::resource::Resource;
use crate::cli::yaml::Node;
use std::rc::Rc;

/// What our gateway does with the requests to one host.
pub struct Route<'a> {
    /// The host: exact, `*.suffix`, or `*`.
    pub host: String,
    /// What it does; the first that matches a request counts.
    pub arms: Vec<Rc<Arm<'a>>>,
    /// Why that cannot be told, and what to do about it.
    pub doubt: Option<(String, &'static str)>,
}

/// One match of one route of a VirtualService.
pub struct Arm<'a> {
    /// The VirtualService that has the host.
    pub service: &'a Resource,
    /// The one that the route stands in, which may be one that the other delegates to.
    pub resource: &'a Resource,
    /// Which paths it takes.
    pub path: ArmPath,
    /// Whether anything but the path is matched, too.
    pub conditional: bool,
    /// The services behind it.
    pub destinations: Vec<Destination>,
    /// Services that get copies of its requests.
    pub mirrors: Vec<Destination>,
    /// Whether a resource that is not in the input says where its requests go.
    pub delegated: bool,
    /// What becomes of the path.
    pub rewrite: Rewrite<'a>,
    /// `headers` of the route and of its destinations.
    pub headers: Vec<&'a Node>,
}

/// What becomes of the path, and the authority.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rewrite<'a> {
    /// In place of what the arm matched.
    pub uri: Option<&'a Node>,
    /// By an expression.
    pub regex: Option<&'a Node>,
    /// The new authority.
    pub authority: Option<&'a Node>,
}

/// A service that requests go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its full name.
    pub host: String,
}

/// The routes of every VirtualService at our gateway, by host.
pub fn read<'a>(context: &Context<'a>, gateways: &Gateways<'a>) -> Vec<Route<'a>> {
    let services = context.inventory.of(GROUP, "VirtualService");
    let mut gathered: Vec<Gathered<'a>> = Vec::new();
    for service in services.filter(|it| !context.is_generated(it) && is_visible(it, context)) {
        let served = gateways.served(service);
        if served.is_empty() {
            continue;
        }
        let arms: Vec<_> = arms(service, context, gateways)
            .into_iter()
            .map(Rc::new)
            .collect();
        for Served { listener, host, by } in served {
            let there = |it: &&mut Gathered<'_>| it.listener == listener && it.host == host;
            let services = match gathered.iter_mut().find(there) {
                Some(known) => &mut known.services,
                None => {
                    let services = Vec::new();
                    gathered.push(Gathered {
                        listener,
                        host,
                        services,
                    });
                    match gathered.last_mut() {
                        Some(last) => &mut last.services,
                        None => continue,
                    }
                }
            };
            match services
                .iter_mut()
                .find(|it| std::ptr::eq(it.resource, service))
            {
                Some(share) => share.by.push(by),
                None => services.push(Share {
                    resource: service,
                    by: vec![by],
                    arms: arms.clone(),
                }),
            }
        }
    }
    order::routes(gathered)
}

/// Whether the gateway sees a VirtualService (`exportTo`).
fn is_visible(service: &Resource, context: &Context<'_>) -> bool {
    let own = service
        .spec()
        .get("exportTo")
        .filter(|it| !it.items().is_empty());
    let default = || {
        let mesh = super::mesh_config(context.inventory)?;
        mesh.root.get("defaultVirtualServiceExportTo")
    };
    let Some(to) = own
        .or_else(default)
        .map(Node::items)
        .filter(|it| !it.is_empty())
    else {
        return true;
    };
    let gateway = context.settings.namespace.as_str();
    to.iter().filter_map(Node::text).any(|to| match to {
        "." => service.namespace == gateway,
        to => to == "*" || to == gateway,
    })
}

/// The arms of a VirtualService; behind one that takes everything, Istio writes none.
fn arms<'a>(service: &'a Resource, context: &Context<'a>, gateways: &Gateways<'a>) -> Vec<Arm<'a>> {
    let http = service.spec().get("http").map_or(&[][..], Node::items);
    let mut arms: Vec<Arm<'a>> = Vec::new();
    for route in http {
        let outer = matches(route, service, service, context, gateways);
        let mut found = match route.get("delegate") {
            None => arms_of(service, service, route, None, &outer),
            Some(delegate) => delegated(service, route, delegate, &outer, context, gateways),
        };
        if let Some(last) = found.iter().position(Arm::takes_all) {
            found.truncate(last.saturating_add(1));
            arms.extend(found);
            break;
        }
        arms.extend(found);
    }
    arms
}

/// The arms of a route of `resource`, which stands in for `outer`, a route that delegates to it.
fn arms_of<'a>(
    service: &'a Resource,
    resource: &'a Resource,
    route: &'a Node,
    outer: Option<&'a Node>,
    matches: &[Matched],
) -> Vec<Arm<'a>> {
    let own = |name| route.get(name).or_else(|| outer?.get(name));
    let to = route.get("route").map_or(&[][..], Node::items).iter();
    let headers = to.filter_map(|it| it.get("headers"));
    let headers: Vec<_> = own("headers").into_iter().chain(headers).collect();
    let rewrite = own("rewrite");
    let rewritten = |name| {
        let found: Option<&Node> = rewrite.and_then(|it| it.get(name));
        found.filter(|it| it.text() != Some(""))
    };
    let rewrite = Rewrite {
        uri: rewritten("uri"),
        regex: rewritten("uriRegexRewrite"),
        authority: rewritten("authority").or_else(|| sets_authority(&headers)),
    };
    let mirrors = route.get("mirrors").map_or(&[][..], Node::items).iter();
    let mirrors = mirrors.filter_map(|it| it.get("destination"));
    let mirrors = route.get("mirror").into_iter().chain(mirrors);
    let mirrors: Vec<_> = mirrors
        .filter_map(|it| destination(it, &resource.namespace))
        .collect();
    let destinations = destinations(route, &resource.namespace);
    let arms = matches.iter().map(|found| Arm {
        service,
        resource,
        path: found.path.clone(),
        conditional: found.conditional,
        destinations: destinations.clone(),
        mirrors: mirrors.clone(),
        delegated: false,
        rewrite,
        headers: headers.clone(),
    });
    arms.collect()
}

/// The arms of the VirtualService that a route delegates to, each within a match of the route.
fn delegated<'a>(
    service: &'a Resource,
    route: &'a Node,
    delegate: &'a Node,
    outer: &[Matched],
    context: &Context<'a>,
    gateways: &Gateways<'a>,
) -> Vec<Arm<'a>> {
    let text = |name| delegate.get(name).and_then(Node::text);
    let namespace = text("namespace").unwrap_or(&service.namespace);
    let name = text("name").unwrap_or_default();
    let inventory = context.inventory;
    let found = inventory.named(GROUP, "VirtualService", namespace, name);
    let Some(found) = found.filter(|it| !std::ptr::eq(*it, service)) else {
        let mut arms = arms_of(service, service, route, None, outer);
        arms.iter_mut().for_each(|arm| arm.delegated = true);
        return arms;
    };
    let http = found.spec().get("http").map_or(&[][..], Node::items);
    let mut arms = Vec::new();
    for inner in http {
        let mut merged = Vec::new();
        for one in matches(inner, found, service, context, gateways) {
            let before = merged.len();
            merged.extend(outer.iter().filter_map(|other| one.within(other)));
            if merged.len() == before {
                // One that lies in none makes Istio drop the whole route.
                merged.clear();
                break;
            }
        }
        arms.extend(arms_of(service, found, inner, Some(route), &merged));
    }
    arms
}

/// The services that a route sends requests to.
fn destinations(route: &Node, namespace: &str) -> Vec<Destination> {
    let to = route.get("route").map_or(&[][..], Node::items).iter();
    let destinations = to.filter_map(|it| destination(it.get("destination")?, namespace));
    destinations.collect()
}

fn destination(node: &Node, namespace: &str) -> Option<Destination> {
    let host = hosts::full_name(node.get("host")?.text()?, namespace);
    Some(Destination { host })
}

/// Where headers of the request are set so that it has another authority.
fn sets_authority<'a>(headers: &[&'a Node]) -> Option<&'a Node> {
    let operations = ["set", "add"];
    let operations = headers.iter().flat_map(|it| {
        let operations = operations.iter();
        operations.filter_map(|operation| it.at(&["request", operation]))
    });
    let mut named = operations.flat_map(Node::members);
    let is_authority =
        |name: &str| name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority");
    named.find_map(|(key, value)| is_authority(&key.name).then_some(value))
}

// === impl Arm ===

impl Arm<'_> {
    /// Whether it takes every request that no other arm has taken.
    pub fn takes_all(&self) -> bool {
        self.path == ArmPath::Any && !self.conditional
    }

    /// Whether requests fare alike by another one.
    pub fn does_the_same(&self, other: &Self) -> bool {
        let plain = |arm: &Self| !arm.rewrite.is_any() && arm.headers.is_empty() && !arm.delegated;
        let mirrors = self.mirrors == other.mirrors;
        plain(self) && plain(other) && mirrors && self.destinations == other.destinations
    }

    /// The operation of `headers.request` that changes a header.
    pub fn changes(&self, header: &str) -> Option<&str> {
        let operations = self.headers.iter().filter_map(|it| it.get("request"));
        let mut operations = operations.flat_map(Node::members);
        operations.find_map(|(operation, names)| {
            let listed = names.items().iter().filter_map(Node::text);
            let named = names.members().iter().map(|(key, _)| key.name.as_str());
            let mut names = listed.chain(named);
            let found = names.any(|name| name.eq_ignore_ascii_case(header));
            found.then_some(operation.name.as_str())
        })
    }

    /// Whether its requests never reach a workload: a redirect, or an answer of the route itself.
    pub fn leads_nowhere(&self) -> bool {
        self.destinations.is_empty() && !self.delegated
    }
}

// === impl Rewrite ===

impl Rewrite<'_> {
    /// Whether anything is rewritten.
    pub fn is_any(&self) -> bool {
        self.uri.is_some() || self.regex.is_some() || self.authority.is_some()
    }
}
