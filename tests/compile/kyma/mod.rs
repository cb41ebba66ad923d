//! How Kyma itself judges a request under APIRules: by Istio's routes and policies, and by Ory
//! Oathkeeper for what APIRules of version v1beta1 hand to it.
//!
//! It is written from the upstream projects' behaviour alone and shares no code with what it is held
//! against: paths are regular expressions here, tokens are known by what was put into them.
//! [`Cluster::judge`] answers one request; [`Differences`] are the points in which Portcullis is
//! meant to differ, each a switch that makes the model judge as we do in that one point.

pub mod differences;
pub mod generate;
pub mod istio;
pub mod oathkeeper;
pub mod tokens;
pub mod v1beta1;
pub mod v2;

use differences::Differences;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokens::Tokens;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Allowed,
    /// A status, and who gives it.
    Refused(u16, &'static str),
}

/// A request, as Envoy has read it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub authority: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The external authorizers that refuse it.
    pub refused_by: BTreeSet<String>,
}

/// All that Kyma has to judge by: the APIRules of a cluster, all of one kind.
pub struct Cluster {
    pub rules: ApiRules,
}

pub enum ApiRules {
    V2(v2::Mesh),
    V1beta1(v1beta1::Mesh),
}

/// What evaluates an APIRule of version v1beta1 with the handler `jwt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtHandler {
    Ory,
    Istio,
}

// === impl Cluster ===

impl Cluster {
    pub fn judge(&self, request: &Request, tokens: &Tokens, differences: Differences) -> Answer {
        let look = Look {
            request,
            tokens,
            differences,
        };
        match &self.rules {
            ApiRules::V2(mesh) => mesh.judge(&look),
            ApiRules::V1beta1(mesh) => mesh.judge(&look),
        }
    }

    /// The APIRules as an operator has them, with what stands around them in a cluster.
    pub fn manifests(&self) -> String {
        let documents = match &self.rules {
            ApiRules::V2(mesh) => mesh.manifests(),
            ApiRules::V1beta1(mesh) => mesh.manifests(),
        };
        let documents = gateway().into_iter().chain(documents);
        let documents = documents.map(|it| serde_saphyr::to_string(&it).unwrap());
        documents.collect::<Vec<_>>().join("---\n")
    }
}

/// The gateway that every APIRule names.
fn gateway() -> Option<Value> {
    Some(json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "kyma-gateway", "namespace": "kyma-system"},
        "spec": {
            "selector": {"istio": "ingressgateway"},
            "servers": [{
                "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
                "hosts": ["*.example.com"],
                "tls": {"mode": "SIMPLE", "credentialName": "example"},
            }],
        },
    }))
}

/// One request under one set of differences.
pub struct Look<'a> {
    pub request: &'a Request,
    pub tokens: &'a Tokens,
    pub differences: Differences,
}

// === impl Request ===

impl Request {
    /// The path that Envoy compares: without query and fragment.
    pub fn path_alone(&self) -> &str {
        self.path.split(['?', '#']).next().unwrap_or_default()
    }

    /// The values of a query parameter, decoded.
    pub fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(move |(known, _)| *known == name)
            .map(|(_, value)| percent_decoded(value))
    }

    pub fn header_lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let lines = self.headers.iter();
        lines
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

// === impl Look ===

impl Look<'_> {
    /// The virtual host that Envoy takes: an exact domain, else the longest suffix. The port does not
    /// count, a trailing dot does.
    pub fn virtual_host<'h>(&self, hosts: impl Iterator<Item = &'h str>) -> Option<usize> {
        let authority = self.request.authority.to_ascii_lowercase();
        let mut name = authority.split(':').next().unwrap_or_default();
        if self.differences.has(differences::Difference::HostSpelling) {
            name = name.strip_suffix('.').unwrap_or(name);
        }
        let fitting = hosts
            .enumerate()
            .filter(|(_, host)| match host.strip_prefix('*') {
                Some(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
                None => name == *host,
            });
        let rank = |host: &str| (!host.starts_with('*'), host.len());
        fitting
            .max_by_key(|(_, host)| rank(host))
            .map(|(index, _)| index)
    }
}

/// For the tests of the models themselves: a request, and what becomes of it.
#[cfg(test)]
mod asking {
    use super::differences::Differences;
    use super::{Answer, ApiRules, Cluster, Request};
    use crate::api_rules::TOKENS;

    /// `METHOD URL`, with headers behind it: `NAME: VALUE`. `<NAME>` is a token.
    pub fn asked(line: &str, headers: &[&str]) -> Request {
        let (method, url) = line.split_once(' ').unwrap();
        let rest = url.strip_prefix("https://").unwrap();
        let (authority, path) = rest.split_at(rest.find('/').unwrap());
        let header = |header: &&str| {
            let (name, value) = header.split_once(": ").unwrap();
            (name.to_owned(), with_token(value))
        };
        Request {
            method: method.to_owned(),
            authority: authority.to_owned(),
            path: with_token(path),
            headers: headers.iter().map(header).collect(),
            refused_by: [].into(),
        }
    }

    fn with_token(text: &str) -> String {
        match text
            .split_once('<')
            .and_then(|(before, rest)| Some((before, rest.split_once('>')?)))
        {
            Some((before, (name, behind))) => format!("{before}{}{behind}", TOKENS.named(name)),
            None => text.to_owned(),
        }
    }

    /// The status, 200 if it is allowed.
    pub fn status(rules: ApiRules, request: &Request) -> u16 {
        match (Cluster { rules }).judge(request, &TOKENS, Differences::NONE) {
            Answer::Allowed => 200,
            Answer::Refused(status, _) => status,
        }
    }
}
