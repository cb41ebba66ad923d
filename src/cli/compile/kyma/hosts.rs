//! Where an APIRule is served: its hosts in full, and the Gateway that it names.
//!
//! A host without a dot gets its domain from a Gateway, which then has to be among the input.

use super::Version;
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::resource::{Reading, Resource};
use crate::cli::yaml::Node;
use crate::policy::AuthorityPattern;
use regex_lite::Regex;

/// A Gateway by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli::compile) struct GatewayName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

const LABEL: &str = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";

/// The hosts of an APIRule, in full. `None` if they cannot be told, which has been noted.
pub(in crate::cli::compile) fn hosts(
    context: &Context<'_>,
    reading: Reading<'_>,
    version: Version,
) -> Option<Vec<String>> {
    match version {
        Version::V1beta1 => of_v1beta1(context, reading),
        Version::V2 => of_v2(context, reading),
    }
}

/// The Gateway that an APIRule names; `None` if it names none, or none that can be.
pub(in crate::cli::compile) fn gateway(
    context: &Context<'_>,
    reading: Reading<'_>,
    version: Version,
) -> Option<GatewayName> {
    let node = reading.resource.spec().get("gateway")?;
    let text = reading.text(node)?;
    match version {
        Version::V1beta1 => {
            let name = GatewayName::of_v1beta1(text, &reading.resource.namespace);
            if name.is_none() {
                reading.unexpected(
                    node,
                    "`NAMESPACE/NAME`, `NAME`, or a host name that begins with `NAME.NAMESPACE`",
                );
            }
            name
        }
        Version::V2 => {
            let name = GatewayName::of_v2(text);
            let Some(name) = name else {
                let help = format!("found {}", node.described());
                reading.error(node, "Gateway must be in the namespace/name format", help);
                return None;
            };
            let swapped = GatewayName {
                namespace: name.name.clone(),
                name: name.namespace.clone(),
            };
            if name.find(context).is_none() && swapped.find(context).is_some() {
                let message = format!("there is no Gateway `{text}`, but one the other way round");
                let help = format!("taken as `{}/{}`", swapped.namespace, swapped.name);
                reading.warning(node, message, help);
                return Some(swapped);
            }
            Some(name)
        }
    }
}

/// Whether nobody else has the host: no VirtualService but the one of this APIRule, and no APIRule
/// before it. If somebody has, that is noted.
pub(in crate::cli::compile) fn is_free(
    context: &Context<'_>,
    draft: &Draft,
    reading: Reading<'_>,
    node: &Node,
    host: &str,
) -> bool {
    let resource = reading.resource;
    let owner = format!("{}.{}", resource.name, resource.namespace);
    let is_same = |it: &str| it.eq_ignore_ascii_case(host);
    let mut services = context
        .inventory
        .of("networking.istio.io", "VirtualService");
    let service = services.find(|service| {
        let hosts = service.spec().get("hosts").map_or(&[][..], Node::items);
        service.label("apirule.gateway.kyma-project.io/v1beta1") != Some(&owner)
            && hosts.iter().filter_map(Node::text).any(is_same)
    });
    let mut entries = draft.config.api_rules.iter();
    let entry = entries.find(|entry| entry.hosts.iter().any(|it| is_same(it)));
    let other = service
        .map(Resource::title)
        .or_else(|| entry.map(|entry| format!("APIRule {}", entry.name.replacen('.', "/", 1))));
    if let Some(other) = &other {
        let message = "Host is occupied by another Virtual Service";
        let help = format!("{other} has `{host}`; a host belongs to one of them alone");
        reading.error(node, message, help);
    }
    other.is_none()
}

fn of_v1beta1(context: &Context<'_>, reading: Reading<'_>) -> Option<Vec<String>> {
    let spec = reading.resource.spec();
    let Some(node) = spec.get("host") else {
        reading.error(spec, "`host` is missing", "");
        return None;
    };
    let host = reading.text(node)?;
    if let Some(name) = gateway(context, reading, Version::V1beta1) {
        name.tell_if_elsewhere(context, reading, spec.get("gateway")?);
    }
    if host.contains('.') {
        return Some(vec![host.to_owned()]);
    }
    let kyma = GatewayName {
        namespace: "kyma-system".to_owned(),
        name: "kyma-gateway".to_owned(),
    };
    let found = kyma.required(context, reading, node, host)?;
    let mut servers = servers(found).filter(|it| {
        let protocol = it.at(&["port", "protocol"]).and_then(Node::text);
        protocol.is_some_and(|it| it.eq_ignore_ascii_case("HTTPS"))
    });
    let only = servers.next().filter(|_| servers.next().is_none());
    let domain = only.and_then(|server| match hosts_of(server).as_slice() {
        [host] => host.strip_prefix("*."),
        _ => None,
    });
    let Some(domain) = domain else {
        reading.error(
            node,
            format!(
                "`{host}` has no domain, and Gateway kyma-system/kyma-gateway does not tell it"
            ),
            "it tells one by a single HTTPS server with a single host `*.DOMAIN`; write the host \
             in full",
        );
        return None;
    };
    Some(vec![format!("{host}.{domain}")])
}

fn of_v2(context: &Context<'_>, reading: Reading<'_>) -> Option<Vec<String>> {
    let spec = reading.resource.spec();
    let gateway_node = spec.get("gateway");
    let external = spec.get("externalGateway");
    match (gateway_node, external) {
        (None, None) => {
            let help = "give one of them";
            reading.error(
                spec,
                "Either gateway or externalGateway must be specified",
                help,
            );
        }
        (Some(_), Some(external)) => {
            let message = "Only one of gateway or externalGateway can be specified";
            reading.error(external, message, "leave one of them out");
        }
        _ => {}
    }
    if let Some(external) = external
        && reading
            .text(external)
            .and_then(GatewayName::of_v2)
            .is_none()
    {
        reading.unexpected(external, "`NAMESPACE/NAME` of an ExternalGateway");
    }
    let name = gateway(context, reading, Version::V2);
    if let (Some(name), Some(node)) = (&name, gateway_node) {
        name.tell_if_elsewhere(context, reading, node);
    }
    let list = spec.get("hosts");
    let nodes = list.map_or(&[][..], |list| reading.items(list));
    let [node] = nodes else {
        let place = list.unwrap_or(spec);
        match nodes.len() {
            0 => reading.error(place, "No hosts defined", "give one host"),
            count => {
                let help = "give each host an APIRule of its own";
                reading.error(
                    place,
                    format!("{count} hosts; exactly one is allowed"),
                    help,
                );
            }
        }
        return None;
    };
    let host = reading.text(node)?;
    if matches(&format!("^{LABEL}$"), host) {
        let Some(name) = name else {
            // Without a Gateway that was said already.
            if external.is_some() {
                let message =
                    format!("`{host}` has no domain, which an ExternalGateway does not tell");
                reading.error(node, message, "write the host in full");
            }
            return None;
        };
        let found = name.required(context, reading, node, host)?;
        let of_servers: Vec<_> = servers(found).map(hosts_of).collect();
        let mut domains = of_servers.iter().map(|hosts| match hosts.as_slice() {
            [host] => host.strip_prefix("*."),
            _ => None,
        });
        let first = domains.next().flatten();
        let Some(domain) = first.filter(|_| domains.all(|it| it == first)) else {
            let message = "Lowercase RFC 1123 label is only supported as the APIRule host when \
                           selected Gateway has a single host definition matching *.<fqdn> format";
            let help = format!(
                "`{host}` gets its domain from {}; write the host in full",
                found.title()
            );
            reading.error(node, message, help);
            return None;
        };
        return Some(vec![format!("{host}.{domain}")]);
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    let full = format!("^({LABEL}\\.)+[a-z0-9][a-z0-9-]{{0,61}}[a-z0-9]$");
    if host.len() > 255 || !matches(&full, name) || AuthorityPattern::parse(host).is_err() {
        let help = format!(
            "found {}; a name such as `shop.example.com` in lower case, `*.example.com`, or the \
             first label alone",
            node.described()
        );
        reading.error(node, "Host must be a valid FQDN or short host name", help);
        return None;
    }
    Some(vec![host.to_owned()])
}

fn servers(gateway: &Resource) -> impl Iterator<Item = &Node> {
    let servers = gateway.spec().get("servers");
    servers.map_or(&[][..], Node::items).iter()
}

fn hosts_of(server: &Node) -> Vec<&str> {
    let hosts = server.get("hosts").map_or(&[][..], Node::items);
    hosts.iter().filter_map(Node::text).collect()
}

fn matches(expression: &str, text: &str) -> bool {
    Regex::new(expression).is_ok_and(|it| it.is_match(text))
}

// === impl GatewayName ===

impl GatewayName {
    /// `NAMESPACE/NAME`
    fn of_v2(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let label = format!("^{LABEL}$");
        (matches(&label, namespace) && matches(&label, name)).then(|| Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// `NAMESPACE/NAME`, `NAME`, or `NAME.NAMESPACE` with more or less of `.svc.cluster.local`.
    fn of_v1beta1(text: &str, own: &str) -> Option<Self> {
        let (namespace, name) = match text.split_once('/') {
            Some(split) => split,
            None => {
                let mut parts = text.split('.');
                let name = parts.next()?;
                let namespace = parts.next().unwrap_or(own);
                let mut suffix = ["svc", "cluster", "local"].into_iter();
                if !parts.all(|part| suffix.next() == Some(part)) {
                    return None;
                }
                (namespace, name)
            }
        };
        let letters = "^[0-9a-z_-]+$";
        (matches(letters, namespace) && matches(letters, name)).then(|| Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    fn find<'a>(&self, context: &Context<'a>) -> Option<&'a Resource> {
        let inventory = context.inventory;
        inventory.named(
            "networking.istio.io",
            "Gateway",
            &self.namespace,
            &self.name,
        )
    }

    /// The Gateway that the domain of a host is taken from.
    fn required<'a>(
        &self,
        context: &Context<'a>,
        reading: Reading<'_>,
        node: &Node,
        host: &str,
    ) -> Option<&'a Resource> {
        let found = self.find(context);
        if found.is_none() {
            let (namespace, name) = (&self.namespace, &self.name);
            let help = format!(
                "`{host}` gets its domain from Gateway `{namespace}/{name}`; add it to the input \
                 (`kubectl get gateways.networking.istio.io -n {namespace} {name} -o yaml`), or \
                 write the host in full"
            );
            reading.error(node, "Gateway not found", help);
        }
        found
    }

    /// Warns of a Gateway that other pods serve.
    fn tell_if_elsewhere(&self, context: &Context<'_>, reading: Reading<'_>, node: &Node) {
        let Some(found) = self.find(context) else {
            return;
        };
        let selector = found.spec().get("selector");
        let labels: Vec<_> = selector.map_or(&[][..], Node::members).iter().collect();
        let labels: Vec<_> = labels
            .into_iter()
            .filter_map(|(key, value)| Some((key.name.clone(), value.text()?.to_owned())))
            .collect();
        if !context.settings.is_selected_by(&labels) {
            let labels = labels.iter().map(|(name, value)| format!("{name}={value}"));
            let labels = labels.collect::<Vec<_>>().join(",");
            let message = format!("{} is served by other pods: `{labels}`", found.title());
            let help = "leave the APIRule out, or name the labels of its gateway with `--labels`";
            reading.warning(node, message, help);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_gateways() {
        for (text, v1beta1, v2) in [
            ("ns/gate", Some("ns/gate"), Some("ns/gate")),
            ("gate", Some("own/gate"), None),
            ("gate.ns", Some("ns/gate"), None),
            ("gate.ns.svc", Some("ns/gate"), None),
            ("gate.ns.svc.cluster", Some("ns/gate"), None),
            ("gate.ns.svc.cluster.local", Some("ns/gate"), None),
            ("gate.ns.svc.cluster.local.more", None, None),
            ("gate.ns.local", None, None),
            ("gate_one", Some("own/gate_one"), None),
            ("ns/gate.one", None, None),
            ("Ns/gate", None, None),
            ("-ns/gate", Some("-ns/gate"), None),
            ("ns/", None, None),
            ("", None, None),
        ] {
            let written = |name: GatewayName| format!("{}/{}", name.namespace, name.name);
            let found = (
                GatewayName::of_v1beta1(text, "own").map(written),
                GatewayName::of_v2(text).map(written),
            );
            let found = (found.0.as_deref(), found.1.as_deref());
            assert_eq!(found, (v1beta1, v2), "`{text}`");
        }
    }
}
