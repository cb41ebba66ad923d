//! How Istio routes: the listener, the server behind it, the virtual host, then the first route that
//! matches.

use super::model::Request;
use super::world::{Http, Match, Server, Uri, VirtualService, World};
use std::collections::BTreeMap;

/// The route of a request.
pub struct Found {
    pub http: Http,
    /// What of the path it matched: what `rewrite.uri` replaces.
    pub matched: Option<String>,
}

/// One route of Envoy.
#[derive(Clone)]
struct Entry {
    found: Match,
    http: Http,
}

/// The route that a request takes; none is a 404, or an answer of the route itself.
pub fn route(world: &World, request: &Request) -> Option<Found> {
    let hosts = virtual_hosts(world, request);
    let name = request
        .authority
        .split(':')
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let entries = host_of(hosts.keys().map(String::as_str), &name).and_then(|it| hosts.get(it))?;
    let entry = entries.iter().find(|entry| entry.found.matches(request))?;
    if entry.http.redirects {
        return None;
    }
    let matched = match &entry.found.uri {
        Some(Uri::Exact(path) | Uri::Prefix(path)) => Some(path.clone()),
        None => None,
    };
    Some(Found {
        http: entry.http.clone(),
        matched,
    })
}

/// The one of some hosts that is most like a name.
fn host_of<'h>(hosts: impl Iterator<Item = &'h str>, name: &str) -> Option<&'h str> {
    let fits = |host: &&str| match host.strip_prefix('*') {
        Some(suffix) => name.ends_with(suffix) && name.len() > suffix.len(),
        None => *host == name,
    };
    hosts
        .filter(fits)
        .max_by_key(|host| (!host.starts_with('*'), host.len()))
}

/// Every virtual host of the listener that a request comes to.
fn virtual_hosts(world: &World, request: &Request) -> BTreeMap<String, Vec<Entry>> {
    let mut gateways: Vec<_> = world.gateways.iter().filter(|it| it.ours).collect();
    gateways.sort_by_key(|it| (it.meta.created, it.meta.name.clone()));
    let mut servers = Vec::new();
    for gateway in gateways {
        let of_port = gateway.servers.iter().filter(|it| it.port == request.port);
        servers.extend(of_port.map(|server| (gateway, server)));
    }
    if request.port != 80 {
        // Each server has routes of its own; the server name tells which.
        let names = servers.iter().flat_map(|(_, server)| server.hosts.iter());
        let names = names.map(|host| without_namespace(host).1);
        let best = host_of(names, &request.sni);
        servers.retain(|(_, server)| {
            server
                .hosts
                .iter()
                .any(|host| Some(without_namespace(host).1) == best)
        });
        servers.truncate(1);
    }
    let mut services: Vec<_> = world.virtual_services.iter().collect();
    services.sort_by_key(|it| {
        (
            it.meta.created,
            format!("{}.{}", it.meta.name, it.meta.namespace),
        )
    });
    let mut hosts: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for (gateway, server) in servers {
        let reference = format!("{}/{}", gateway.meta.namespace, gateway.meta.name);
        for service in &services {
            let invisible = service.private && service.meta.namespace != world.gateway_namespace;
            if invisible || !service.gateways.contains(&reference) {
                continue;
            }
            let entries = entries(world, service, &reference, request.port);
            for host in intersection(server, gateway.meta.namespace, service) {
                hosts
                    .entry(host)
                    .or_default()
                    .extend(entries.iter().cloned().map(|mut entry| {
                        entry.http.redirects |= server.redirects;
                        entry
                    }));
            }
        }
    }
    for entries in hosts.values_mut() {
        entries.sort_by_key(|entry| entry.found.is_catch_all());
    }
    hosts
}

fn without_namespace(host: &str) -> (&str, &str) {
    host.split_once('/').unwrap_or(("*", host))
}

/// The hosts that a server and a VirtualService share.
fn intersection(server: &Server, own: &str, service: &VirtualService) -> Vec<String> {
    let mut found = Vec::new();
    for host in &server.hosts {
        let (namespace, host) = without_namespace(host);
        let namespace = if namespace == "." { own } else { namespace };
        if namespace != "*" && namespace != service.meta.namespace {
            continue;
        }
        for other in &service.hosts {
            let both = match (covers(host, other), covers(other, host)) {
                (true, _) => other,
                (_, true) => host,
                _ => continue,
            };
            if !found.iter().any(|it| it == both) {
                found.push(both.to_owned());
            }
        }
    }
    found
}

fn covers(wide: &str, narrow: &str) -> bool {
    match wide.strip_prefix('*') {
        Some(suffix) => wide == narrow || narrow.ends_with(suffix),
        None => wide == narrow,
    }
}

/// The routes that Istio writes for a VirtualService.
fn entries(world: &World, service: &VirtualService, gateway: &str, port: u16) -> Vec<Entry> {
    let mut entries = Vec::new();
    for http in service
        .http
        .iter()
        .flat_map(|http| delegated(world, service, http))
    {
        if http.matches.is_empty() {
            entries.push(Entry {
                found: Match::default(),
                http,
            });
            return entries;
        }
        for found in &http.matches {
            let elsewhere =
                !found.gateways.is_empty() && !found.gateways.iter().any(|it| it == gateway);
            if elsewhere || found.port.is_some_and(|it| it != port) {
                continue;
            }
            entries.push(Entry {
                found: found.clone(),
                http: http.clone(),
            });
            if found.is_catch_all() {
                return entries;
            }
        }
    }
    entries
}

/// A route, with what the VirtualService that it delegates to says in its place.
fn delegated(world: &World, service: &VirtualService, http: &Http) -> Vec<Http> {
    let Some((namespace, name)) = &http.delegate else {
        return vec![http.clone()];
    };
    let mut services = world.virtual_services.iter();
    let found = services.find(|it| it.meta.namespace == *namespace && it.meta.name == *name);
    let Some(found) = found.filter(|it| !std::ptr::eq(*it, service)) else {
        return Vec::new();
    };
    let merged = found.http.iter().filter_map(|inner| {
        let mut merged = inner.clone();
        merged.matches = merged_matches(&http.matches, &inner.matches)?;
        if merged.rewrite.is_none() {
            merged.rewrite.clone_from(&http.rewrite);
        }
        if merged.set.is_empty() && merged.remove.is_empty() {
            (merged.set, merged.remove) = (http.set.clone(), http.remove.clone());
        }
        Some(merged)
    });
    merged.collect()
}

/// Each match of the inner route must lie in one of the outer; if one does not, the route is dropped.
fn merged_matches(outer: &[Match], inner: &[Match]) -> Option<Vec<Match>> {
    if outer.is_empty() || inner.is_empty() {
        return Some([outer, inner].concat());
    }
    let mut merged = Vec::new();
    for one in inner {
        let before = merged.len();
        merged.extend(outer.iter().filter_map(|other| one.within(other)));
        if merged.len() == before {
            return None;
        }
    }
    Some(merged)
}

// === impl Match ===

impl Match {
    fn matches(&self, request: &Request) -> bool {
        let path = request.path_only();
        let uri = match &self.uri {
            None => path.starts_with('/'),
            Some(Uri::Exact(exact)) => path == exact,
            Some(Uri::Prefix(prefix)) => path.starts_with(prefix.as_str()),
        };
        let header = self.header.is_none_or(|(name, value)| {
            let lines: Vec<_> = request.header_lines(name).collect();
            !lines.is_empty() && lines.join(",") == value
        });
        uri && header && self.method.is_none_or(|method| method == request.method)
    }

    fn is_catch_all(&self) -> bool {
        let everything = match &self.uri {
            None => true,
            Some(Uri::Prefix(prefix)) => prefix == "/",
            Some(Uri::Exact(_)) => false,
        };
        everything && self.method.is_none() && self.header.is_none()
    }

    /// What is in both; none if it is not a part of `outer`.
    fn within(&self, outer: &Self) -> Option<Self> {
        let uri = match (&outer.uri, &self.uri) {
            (None, uri) | (uri, None) => uri.clone(),
            (Some(Uri::Exact(one)), Some(Uri::Exact(other))) if one == other => self.uri.clone(),
            (Some(Uri::Prefix(prefix)), Some(Uri::Exact(path) | Uri::Prefix(path)))
                if path.starts_with(prefix.as_str()) =>
            {
                self.uri.clone()
            }
            _ => return None,
        };
        let method = match (outer.method, self.method) {
            (None, method) | (method, None) => method,
            (one, other) if one == other => one,
            _ => return None,
        };
        let gateways = if self.gateways.is_empty() {
            &outer.gateways
        } else {
            &self.gateways
        };
        Some(Self {
            uri,
            method,
            header: self.header.or(outer.header),
            port: self.port.or(outer.port),
            gateways: gateways.clone(),
        })
    }
}
