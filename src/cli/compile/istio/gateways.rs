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

    /// The hosts that a VirtualService has at our gateway.
    pub fn hosts_of(&self, service: &Resource) -> Vec<String> {
        let spec = service.spec();
        let named = spec.get("gateways").map_or(&[][..], Node::items).iter();
        let own = spec.get("hosts").map_or(&[][..], Node::items).iter();
        let own = own.filter_map(Node::text).map(|host| match host {
            // A short name is one of a service.
            host if host.contains('.') || host == EVERY => host.to_lowercase(),
            host => hosts::full_name(host, &service.namespace),
        });
        let own: Vec<_> = own.collect();
        let mut found: Vec<String> = Vec::new();
        for name in named.filter_map(Node::text).filter(|name| *name != "mesh") {
            let (namespace, name) = reference(name, &service.namespace);
            let is_it =
                |gateway: &&&Resource| gateway.namespace == namespace && gateway.name == name;
            let admitted = match self.ours.iter().find(is_it) {
                Some(gateway) => admitted(gateway, &service.namespace),
                // Of another gateway.
                None if self.others.iter().any(|it| is_it(&it)) => continue,
                // Not in the input: taken for ours, which is the safer way.
                None => vec![EVERY.to_owned()],
            };
            for host in &own {
                let both = admitted
                    .iter()
                    .filter_map(|it| hosts::intersection(it, host));
                for both in both {
                    if !found.iter().any(|it| it == both) {
                        found.push(both.to_owned());
                    }
                }
            }
        }
        found
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

/// The hosts that a Gateway admits for VirtualServices of a namespace.
fn admitted(gateway: &Resource, namespace: &str) -> Vec<String> {
    let mut admitted = Vec::new();
    for server in servers(gateway) {
        let hosts = server.get("hosts").map_or(&[][..], Node::items).iter();
        for host in hosts.filter_map(Node::text) {
            let (from, host) = host.split_once('/').unwrap_or((EVERY, host));
            let from = if from == "." {
                &gateway.namespace
            } else {
                from
            };
            if from == EVERY || from == namespace {
                admitted.push(host.to_lowercase());
            }
        }
    }
    admitted
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
