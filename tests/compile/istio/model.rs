//! What Istio does with a request: the policies of the gateway, the route, then the policies of every
//! workload that the route can lead to, which see the request as the route leaves it.

use super::policies::{Proxy, judge};
use super::routes::{Found, route};
use super::world::{Deployment, Http, Labels, World};
use std::collections::BTreeSet;

/// A request, and how it comes to the gateway.
#[derive(Clone, Debug)]
pub struct Request {
    /// 80, or 443 with TLS.
    pub port: u16,
    /// The server name of the connection, with TLS.
    pub sni: String,
    pub method: String,
    pub authority: String,
    /// As Envoy has normalized it.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Authorizers that refuse it.
    pub refused_by: BTreeSet<&'static str>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Allowed,
    /// Who refuses it.
    Refused(String),
    /// The policies of the gateway allow it, but it reaches no workload: whoever allows it opens
    /// nothing, since the routes stay as they are.
    Nowhere,
}

// === impl Request ===

impl Request {
    pub fn header_lines<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let lines = self.headers.iter().filter(move |(known, _)| known == name);
        lines.map(|(_, value)| value.as_str())
    }

    pub fn path_only(&self) -> &str {
        self.path.split(['?', '#']).next().unwrap_or_default()
    }

    pub fn query(&self) -> &str {
        self.path.split_once('?').map_or("", |(_, query)| query)
    }

    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self
            .query()
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| known != name);
    }

    pub fn remove_parameter(&mut self, name: &str) {
        let kept = self.query().split('&').filter(|pair| {
            !pair.is_empty() && pair.split_once('=').is_none_or(|(known, _)| known != name)
        });
        let kept: Vec<_> = kept.collect();
        let mark = if kept.is_empty() { "" } else { "?" };
        self.path = format!("{}{mark}{}", self.path_only(), kept.join("&"));
    }
}

/// What Istio answers.
pub fn answer(world: &World, request: &Request, tokens: &super::tokens::Tokens) -> Answer {
    let mut request = request.clone();
    let gateway = Proxy::gateway(world, request.port);
    if let Err(why) = judge(world, &gateway, &mut request, tokens) {
        return Answer::Refused(format!("gateway: {why}"));
    }
    let Some(Found { http, matched }) = route(world, &request) else {
        return Answer::Nowhere;
    };
    rewrite(&mut request, &http, matched.as_deref());
    let pods: Vec<_> = http
        .destinations
        .iter()
        .flat_map(|host| pods(world, host))
        .collect();
    if pods.is_empty() {
        return Answer::Nowhere;
    }
    for pod in pods {
        let proxy = Proxy::workload(world, pod);
        if let Err(why) = judge(world, &proxy, &mut request.clone(), tokens) {
            return Answer::Refused(format!("{}/{}: {why}", pod.meta.namespace, pod.meta.name));
        }
    }
    Answer::Allowed
}

/// What the route does to the request, and then the workload's proxy to the path.
fn rewrite(request: &mut Request, http: &Http, matched: Option<&str>) {
    if let Some(rewrite) = &http.rewrite {
        if let Some(uri) = &rewrite.uri {
            let rest = request
                .path
                .strip_prefix(matched.unwrap_or("/"))
                .unwrap_or_default();
            request.path = format!("{uri}{rest}");
        }
        if let Some(authority) = rewrite.authority {
            request.authority = authority.to_owned();
        }
    }
    for (name, value) in &http.set {
        match *name {
            "host" => request.authority = (*value).to_owned(),
            name => request.set(name, value),
        }
    }
    http.remove.iter().for_each(|name| request.remove(name));
    let (path, query) = (request.path_only(), request.query());
    let mark = if query.is_empty() { "" } else { "?" };
    request.path = format!("{}{mark}{query}", without_dots(path));
}

/// As Envoy normalizes a path before any filter sees it.
pub fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let last = path.rsplit('/').next();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    if matches!(last, Some("." | "..")) {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

/// The pods behind a service, by their Deployments.
fn pods<'w>(world: &'w World, host: &str) -> Vec<&'w Deployment> {
    let mut parts = host.split('.');
    let (name, namespace) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let service = world.services.iter();
    let service = service
        .filter(|it| it.meta.name == name && it.meta.namespace == namespace)
        .find(|it| !it.selector.is_empty());
    let Some(service) = service else {
        return Vec::new();
    };
    let selected = |it: &&Deployment| {
        it.meta.namespace == namespace && is_subset(&service.selector, &it.labels)
    };
    world.deployments.iter().filter(selected).collect()
}

pub fn is_subset(selector: &Labels, labels: &Labels) -> bool {
    selector
        .iter()
        .all(|(name, value)| labels.get(name) == Some(value))
}
