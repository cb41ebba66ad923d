//! How requests get from our gateway to workloads: the routes of VirtualServices.

use super::gateways::{GROUP, Gateways};
use super::hosts;
use crate::cli::compile::Context;
use crate::cli::compile::resource::Resource;
use crate::cli::yaml::Node;
use std::collections::HashMap;
use std::rc::Rc;

/// What our gateway does with the requests to one host.
pub struct Route<'a> {
    /// The host: exact, `*.suffix`, or `*`.
    pub host: String,
    /// What it does; the first that matches a request counts.
    pub arms: Vec<Rc<Arm<'a>>>,
}

/// One match of one route of a VirtualService.
pub struct Arm<'a> {
    /// The VirtualService.
    pub resource: &'a Resource,
    /// Where it stands.
    pub node: &'a Node,
    /// Which paths it takes.
    pub path: ArmPath,
    /// Whether anything but the path is matched, too.
    pub conditional: bool,
    /// The services behind it.
    pub destinations: Vec<Destination>,
    /// Whether a resource that is not in the input says where its requests go.
    pub delegated: bool,
    /// What becomes of the path.
    pub rewrite: Rewrite<'a>,
    /// `headers` of the route and of its destinations.
    pub headers: Vec<&'a Node>,
}

/// Which paths an arm takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArmPath {
    /// Every path.
    Any,
    /// This one.
    Exact(String),
    /// Those that begin so.
    Prefix(String),
    /// Those that an expression matches, or letters in any case: not to be told by patterns.
    Other,
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
    let mut routes: Vec<Route<'a>> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for service in services.filter(|it| !context.is_generated(it)) {
        let hosts = gateways.hosts_of(service);
        if hosts.is_empty() {
            continue;
        }
        let arms: Vec<_> = arms(service, context).into_iter().map(Rc::new).collect();
        for host in hosts {
            let index = *known.entry(host.clone()).or_insert_with(|| {
                let arms = Vec::new();
                routes.push(Route { host, arms });
                routes.len().saturating_sub(1)
            });
            if let Some(route) = routes.get_mut(index) {
                route.arms.extend(arms.iter().cloned());
                // Istio puts what takes everything behind the routes of other VirtualServices.
                route.arms.sort_by_key(|arm| arm.takes_all());
            }
        }
    }
    routes
}

fn arms<'a>(resource: &'a Resource, context: &Context<'a>) -> Vec<Arm<'a>> {
    let reading = context.reading(resource);
    let http = resource.spec().get("http").map_or(&[][..], Node::items);
    let mut arms = Vec::new();
    for route in http {
        let to = route.get("route").map_or(&[][..], Node::items).iter();
        let (destinations, delegated) = match route.get("delegate") {
            None => (destinations(route, &resource.namespace), false),
            Some(delegate) => delegated_to(delegate, resource, context),
        };
        let headers = to.filter_map(|it| it.get("headers"));
        let headers: Vec<_> = route.get("headers").into_iter().chain(headers).collect();
        let rewrite = route.get("rewrite");
        let rewritten = |name| rewrite.and_then(|it| it.get(name));
        let rewrite = Rewrite {
            uri: rewritten("uri"),
            regex: rewritten("uriRegexRewrite"),
            authority: rewritten("authority"),
        };
        let arm = |node, path, conditional| Arm {
            node,
            path,
            conditional,
            resource,
            destinations: destinations.clone(),
            delegated,
            rewrite,
            headers: headers.clone(),
        };
        let matches = route.get("match").map_or(&[][..], Node::items);
        if matches.is_empty() {
            arms.push(arm(route, ArmPath::Any, false));
        }
        let at_gateways = |found: &&Node| {
            let gateways = found.get("gateways").map_or(&[][..], Node::items);
            gateways.is_empty() || gateways.iter().any(|it| it.text() != Some("mesh"))
        };
        for found in matches.iter().filter(at_gateways) {
            for (name, value) in found.members() {
                if name.name == "headers" || name.name == "withoutHeaders" {
                    warn_of_claims(reading, value);
                }
            }
            let (path, conditional) = matched(found);
            arms.push(arm(found, path, conditional));
        }
    }
    arms
}

/// The services that a route sends requests to.
fn destinations(route: &Node, namespace: &str) -> Vec<Destination> {
    let to = route.get("route").map_or(&[][..], Node::items).iter();
    let destinations = to.filter_map(|it| {
        let host = it.at(&["destination", "host"])?.text()?;
        Some(Destination {
            host: hosts::full_name(host, namespace),
        })
    });
    destinations.collect()
}

/// The services behind the VirtualService that a route delegates to, and whether it is missing.
fn delegated_to(
    delegate: &Node,
    resource: &Resource,
    context: &Context<'_>,
) -> (Vec<Destination>, bool) {
    let text = |name| delegate.get(name).and_then(Node::text);
    let namespace = text("namespace").unwrap_or(&resource.namespace);
    let name = text("name").unwrap_or_default();
    let found = context
        .inventory
        .named(GROUP, "VirtualService", namespace, name);
    let Some(found) = found else {
        return (Vec::new(), true);
    };
    let http = found.spec().get("http").map_or(&[][..], Node::items);
    let destinations = http.iter().flat_map(|route| destinations(route, namespace));
    (destinations.collect(), false)
}

/// Native routing by claims knows only tokens that Istio itself has verified.
fn warn_of_claims(reading: crate::cli::compile::resource::Reading<'_>, headers: &Node) {
    for (name, value) in headers.members() {
        if name.name.starts_with("@request.auth.claims") {
            reading.warning(
                value,
                format!("`{}` routes by a token that Istio verified, and sees none of ours", name.name),
                "keep the RequestAuthentication at the gateway for this route, or route by a header \
                 of `outputClaimToHeaders`",
            );
        }
    }
}

/// The paths of one match, and whether it asks for more.
fn matched(found: &Node) -> (ArmPath, bool) {
    let any_case = found.get("ignoreUriCase");
    let any_case = any_case.is_some_and(|it| it.to_json() == true);
    let path = match found.get("uri") {
        None => ArmPath::Any,
        Some(_) if any_case => ArmPath::Other,
        Some(uri) => {
            let text = |name| uri.get(name).and_then(Node::text).map(str::to_owned);
            match (text("exact"), text("prefix")) {
                (Some(exact), None) => ArmPath::Exact(exact),
                (None, Some(prefix)) if prefix == "/" => ArmPath::Any,
                (None, Some(prefix)) => ArmPath::Prefix(prefix),
                _ => ArmPath::Other,
            }
        }
    };
    let path = match path {
        // Letters that mean something else in a policy's paths.
        ArmPath::Exact(text) | ArmPath::Prefix(text) if text.contains(['*', '{', '}']) => {
            ArmPath::Other
        }
        path => path,
    };
    let plain = ["name", "uri", "ignoreUriCase", "gateways", "statPrefix"];
    let mut members = found.members().iter();
    let conditional =
        members.any(|(key, value)| !plain.contains(&key.name.as_str()) && !value.is_null());
    (path, conditional)
}

// === impl Arm ===

impl Arm<'_> {
    /// Whether it takes every request that no other arm has taken.
    fn takes_all(&self) -> bool {
        self.path == ArmPath::Any && !self.conditional
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

// === impl ArmPath ===

impl ArmPath {
    /// As a pattern of Istio's policies; `None` if it has none.
    pub fn pattern(&self) -> Option<String> {
        match self {
            Self::Any => Some("/*".to_owned()),
            Self::Exact(path) => Some(path.clone()),
            Self::Prefix(prefix) => Some(format!("{prefix}*")),
            Self::Other => None,
        }
    }

    /// Whether a path can be for both.
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Exact(path), Self::Prefix(prefix))
            | (Self::Prefix(prefix), Self::Exact(path)) => path.starts_with(prefix.as_str()),
            (Self::Prefix(one), Self::Prefix(other)) => {
                one.starts_with(other.as_str()) || other.starts_with(one.as_str())
            }
            _ => true,
        }
    }

    /// Whether every path of `other` is one of it.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Prefix(prefix), Self::Exact(other) | Self::Prefix(other)) => {
                other.starts_with(prefix.as_str())
            }
            _ => false,
        }
    }
}
