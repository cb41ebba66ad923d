//! Istio's Gateways: which are served by our gateway, for which hosts, and where they redirect.

use super::hosts::{self, EVERY};
use crate::cli::compile::Context;
use crate::cli::compile::resource::Resource;
use crate::cli::yaml::Node;

/// The Gateways that are served by our gateway.
pub struct Gateways<'a> {
    ours: Vec<&'a Resource>,
    others: Vec<&'a Resource>,
}

/// Routes that are not shared with others: of a plain port, or of one server with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Every server of this port.
    Plain(u64),
    /// A server of a Gateway, by its index.
    Tls(String, usize),
    /// Of a Gateway that is not in the input.
    Unknown,
}

/// A host of a VirtualService at our gateway.
#[derive(Debug, PartialEq, Eq)]
pub struct Served {
    /// Among whose routes its own stand.
    pub listener: Listener,
    /// The host.
    pub host: String,
    /// The Gateway that admits it.
    pub by: String,
}

/// A Gateway that somebody names.
enum Known<'a> {
    Ours(&'a Resource),
    Other,
    Unknown,
}

/// The group of Gateways and VirtualServices.
pub const GROUP: &str = "networking.istio.io";

// === impl Gateways ===

impl<'a> Gateways<'a> {
    /// The Gateways of the input.
    pub fn of(context: &Context<'a>) -> Self {
        let ours = |gateway: &&Resource| {
            let selector = gateway.spec().get("selector").map(labels);
            context
                .settings
                .is_selected_by(&selector.unwrap_or_default())
        };
        let (ours, others) = context.inventory.of(GROUP, "Gateway").partition(ours);
        Self { ours, others }
    }

    /// The hosts that a VirtualService has at our gateway, with the listener of each.
    pub fn served(&self, service: &Resource) -> Vec<Served> {
        let spec = service.spec();
        let named = spec.get("gateways").map_or(&[][..], Node::items).iter();
        let own = spec.get("hosts").map_or(&[][..], Node::items).iter();
        let own = own.filter_map(Node::text).map(|host| match host {
            // A short name is one of a service.
            host if host.contains('.') || host == EVERY => host.to_lowercase(),
            host => hosts::full_name(host, &service.namespace),
        });
        let own: Vec<_> = own.collect();
        let mut found: Vec<Served> = Vec::new();
        for name in named.filter_map(Node::text).filter(|name| *name != "mesh") {
            let (namespace, name) = reference(name, &service.namespace);
            let servers = match self.find(namespace, name) {
                Known::Ours(gateway) => servers_for(gateway, &service.namespace),
                Known::Other => continue,
                Known::Unknown => vec![(Listener::Unknown, vec![EVERY.to_owned()])],
            };
            let by = format!("{namespace}/{name}");
            for (listener, admitted) in servers {
                for host in &own {
                    let both = admitted.iter();
                    let both = both.filter_map(|it| hosts::intersection(it, host));
                    let served = both.map(|host| Served {
                        listener: listener.clone(),
                        host: host.to_owned(),
                        by: by.clone(),
                    });
                    for served in served {
                        if !found.contains(&served) {
                            found.push(served);
                        }
                    }
                }
            }
        }
        found
    }

    /// Of the Gateways that a match in `owner` names: whether one can be ours, and whether all of ours
    /// that the VirtualService has are among them.
    pub fn match_at(&self, found: &Node, owner: &Resource, service: &Resource) -> (bool, bool) {
        let Some(named) = found.get("gateways").filter(|it| !it.items().is_empty()) else {
            return (true, true);
        };
        let ours = |node: &Node, from: &Resource| {
            let names = node.items().iter().filter_map(Node::text);
            let names = names.filter(|name| *name != "mesh");
            let names = names.map(|name| reference(name, &from.namespace));
            let names = names
                .filter(|(namespace, name)| !matches!(self.find(namespace, name), Known::Other));
            names
                .map(|(namespace, name)| format!("{namespace}/{name}"))
                .collect::<Vec<_>>()
        };
        let named = ours(named, owner);
        let all = service.spec().get("gateways");
        let all = all.map(|all| ours(all, service));
        let all = all.unwrap_or_default();
        let here = all.iter().any(|it| named.contains(it));
        (here, all.iter().all(|it| named.contains(it)))
    }

    /// A Gateway by its name. One that is not in the input is taken for ours, which is safer.
    fn find(&self, namespace: &str, name: &str) -> Known<'a> {
        let is_it = |gateway: &&&Resource| gateway.namespace == namespace && gateway.name == name;
        match self.ours.iter().find(is_it) {
            Some(gateway) => Known::Ours(gateway),
            None if self.others.iter().any(|it| is_it(&it)) => Known::Other,
            None => Known::Unknown,
        }
    }

    /// The hosts of each server that redirects plain HTTP, with its Gateway.
    pub fn redirects(&self) -> Vec<(&'a Resource, &'a Node, Vec<String>)> {
        let mut found = Vec::new();
        for gateway in &self.ours {
            for server in servers(gateway) {
                let redirect = server.at(&["tls", "httpsRedirect"]);
                if redirect.is_some_and(|it| it.to_json() == true) {
                    found.push((*gateway, server, hosts_of_server(server)));
                }
            }
        }
        found
    }

    /// The wildcard hosts that our gateway admits, with the Gateway of each.
    pub fn wildcards(&self) -> Vec<(String, &'a Resource)> {
        let mut found = Vec::new();
        for gateway in &self.ours {
            for server in servers(gateway) {
                for host in hosts_of_server(server) {
                    if host.starts_with('*') && !found.iter().any(|(it, _)| *it == host) {
                        found.push((host, *gateway));
                    }
                }
            }
        }
        found
    }
}

fn servers(gateway: &Resource) -> &[Node] {
    let servers = gateway.spec().get("servers");
    servers.map_or(&[][..], Node::items)
}

/// The hosts of a server, without the namespaces that may use them.
fn hosts_of_server(server: &Node) -> Vec<String> {
    let hosts = server.get("hosts").map_or(&[][..], Node::items).iter();
    let hosts = hosts.filter_map(Node::text);
    let hosts = hosts.map(|host| host.rsplit_once('/').map_or(host, |(_, host)| host));
    hosts.map(str::to_lowercase).collect()
}

/// The servers of a Gateway that speak HTTP, and the hosts that each admits for VirtualServices of a
/// namespace. All servers of a plain port share their routes, those with TLS have their own.
fn servers_for(gateway: &Resource, namespace: &str) -> Vec<(Listener, Vec<String>)> {
    let mut found = Vec::new();
    for (index, server) in servers(gateway).iter().enumerate() {
        let protocol = server.at(&["port", "protocol"]).and_then(Node::text);
        let protocol = protocol.unwrap_or("HTTP").to_uppercase();
        let passed_on = server.at(&["tls", "mode"]).and_then(Node::text);
        let passed_on = passed_on.is_some_and(|mode| mode.ends_with("PASSTHROUGH"));
        if passed_on || !["HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS"].contains(&&*protocol) {
            // No filter for HTTP sees its requests.
            continue;
        }
        let port = server.at(&["port", "number"]).map(Node::to_json);
        let port = port.and_then(|it| it.as_u64()).unwrap_or_default();
        let listener = match protocol == "HTTPS" {
            true => Listener::Tls(gateway.title(), index),
            false => Listener::Plain(port),
        };
        let mut admitted = Vec::new();
        let hosts = server.get("hosts").map_or(&[][..], Node::items).iter();
        for host in hosts.filter_map(Node::text) {
            let (from, host) = host.split_once('/').unwrap_or((EVERY, host));
            let from = match from {
                "." => &gateway.namespace,
                from => from,
            };
            if from == EVERY || from == namespace {
                admitted.push(host.to_lowercase());
            }
        }
        found.push((listener, admitted));
    }
    found
}

/// The namespace and name of a Gateway, as a VirtualService names it: `namespace/name`, `name`, or
/// the name of a service.
pub fn reference<'n>(name: &'n str, own: &'n str) -> (&'n str, &'n str) {
    if let Some((namespace, name)) = name.split_once('/') {
        return (if namespace == "." { own } else { namespace }, name);
    }
    match name.split_once('.') {
        Some((name, rest)) => (rest.split('.').next().unwrap_or(rest), name),
        None => (own, name),
    }
}

/// The labels that a selector demands.
pub fn labels(selector: &Node) -> Vec<(String, String)> {
    let labels = selector.members().iter();
    let text = |value: &Node| value.text().map(str::to_owned);
    let labels = labels.filter_map(|(key, value)| Some((key.name.clone(), text(value)?)));
    labels.collect()
}
