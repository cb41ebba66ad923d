//! What a rule demands: the fields of `source` and `operation`, and the keys of `when`.
//!
//! Each field or key is one line in a table: its name, the name of its negative, and how a value is
//! read. What a value means is [`crate::policy`]'s.

use super::client_certificate::{ClientCertificate, fingerprint};
use super::mesh::Mesh;
use super::reader::{At, Fields};
use crate::policy::{
    PathPattern, PeerFact, PeerPrincipal, Predicate, RequestPrincipal, StringMatch,
};
use crate::request::MetadataKey;
use ipnet::IpNet;
use std::net::IpAddr;
use std::rc::Rc;

/// What one field demands: one of these facts, and none of those.
#[derive(Debug, Default)]
pub struct Demand {
    /// One of them must hold; empty means no demand.
    pub any_of: Vec<Predicate>,
    /// None of them may hold.
    pub none_of: Vec<Predicate>,
}

/// What a value's meaning hangs on, beside its text.
pub(super) struct Context<'a> {
    /// Of the policy.
    pub namespace: &'a str,
    pub mesh: &'a Mesh,
    pub client_certificate: &'a ClientCertificate,
    /// Whether it is judged before anybody knows who is asking (Istio's CUSTOM).
    pub before_tokens: bool,
}

type Read = fn(&str, &Context<'_>) -> Result<Vec<Predicate>, String>;

const SOURCE: [(&str, &str, Read); 7] = [
    ("principals", "notPrincipals", principal),
    (
        "requestPrincipals",
        "notRequestPrincipals",
        request_principal,
    ),
    ("namespaces", "notNamespaces", namespace),
    ("serviceAccounts", "notServiceAccounts", service_account),
    ("trustDomains", "notTrustDomains", trust_domain),
    ("ipBlocks", "notIpBlocks", source_ip),
    ("remoteIpBlocks", "notRemoteIpBlocks", remote_ip),
];

const OPERATION: [(&str, &str, Read); 4] = [
    ("hosts", "notHosts", host),
    ("ports", "notPorts", port),
    ("methods", "notMethods", method),
    ("paths", "notPaths", path),
];

/// Keys of `when` that stand for themselves.
const WHEN: [(&str, Read); 12] = [
    ("source.ip", source_ip),
    ("remote.ip", remote_ip),
    ("source.namespace", namespace),
    ("source.principal", principal),
    ("source.serviceAccount", service_account),
    ("source.trustDomain", trust_domain),
    ("request.auth.principal", request_principal),
    ("request.auth.audiences", audience),
    ("request.auth.presenter", presenter),
    ("destination.ip", destination_ip),
    ("destination.port", port),
    ("connection.sni", sni),
];

/// `from[].source`
pub(super) fn source(fields: &mut Fields<'_>, context: &Context<'_>) -> Vec<Demand> {
    read_fields(fields, &SOURCE, context)
}

/// `to[].operation`
pub(super) fn operation(fields: &mut Fields<'_>, context: &Context<'_>) -> Vec<Demand> {
    read_fields(fields, &OPERATION, context)
}

/// `when[]`
pub(super) fn when(at: At<'_>, context: &Context<'_>) -> Option<Demand> {
    let mut fields = at.object()?;
    let key = fields.required("key");
    let (values, not_values) = (fields.optional("values"), fields.optional("notValues"));
    fields.finish();
    if values.is_none() && not_values.is_none() {
        at.fault("no values; give `values`, `notValues` or both");
    }
    let at_key = key;
    let key = key.and_then(|key| key.parsed(Key::parse))?;
    if let (Key::Header(name), Some(at)) = (&key, at_key) {
        demand_proof(name, at, context.client_certificate);
    }
    let read = |text: &str| key.read(text, context);
    Some(Demand {
        any_of: predicates(values, context, read),
        none_of: predicates(not_values, context, read),
    })
}

/// A header that tells of a certificate by convention must be one that no client can write itself.
fn demand_proof(name: &str, at: At<'_>, certificate: &ClientCertificate) {
    if certificate.is_anybodys(name) && certificate.mapped(name).is_none() {
        at.fault(format!(
            "a client can write `{name}` itself; name it in `clientCertificate.headers`, or in \
             `clientCertificate.trustForwarded` with the proxy in front that sets it, or ask for \
             `connection.peer.…`"
        ));
    }
}

fn read_fields(
    fields: &mut Fields<'_>,
    table: &[(&'static str, &'static str, Read)],
    context: &Context<'_>,
) -> Vec<Demand> {
    let mut demands = Vec::new();
    for (name, negative, read) in table {
        let mut values = |name: &'static str| {
            predicates(fields.optional(name), context, |text| read(text, context))
        };
        let demand = Demand {
            any_of: values(name),
            none_of: values(negative),
        };
        if !demand.any_of.is_empty() || !demand.none_of.is_empty() {
            demands.push(demand);
        }
    }
    demands
}

/// Every value of a list, read.
fn predicates(
    at: Option<At<'_>>,
    context: &Context<'_>,
    read: impl Fn(&str) -> Result<Vec<Predicate>, String>,
) -> Vec<Predicate> {
    let Some(at) = at else { return Vec::new() };
    let predicates = at.non_empty_list(|at| at.parsed(&read)).concat();
    if context.before_tokens && predicates.iter().any(Predicate::is_about_the_caller) {
        at.fault(
            "not allowed in a `CUSTOM` policy, which is judged before anybody knows who is asking",
        );
    }
    predicates
}

/// A key of `when`.
enum Key {
    Named(Read),
    /// `request.headers[NAME]`, in lower case.
    Header(String),
    /// `request.auth.claims[A][B]`
    Claim(Vec<String>),
    /// `connection.peer.…`
    Peer(PeerFact),
    /// `experimental.envoy.filters.FILTER[KEY]`
    Metadata(MetadataKey),
}

// === impl Key ===

impl Key {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("request.headers") {
            let name = rest
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            let name = name.filter(|name| !name.is_empty() && !name.contains(['[', ']', ' ']));
            let allowed = || "`request.headers[NAME]`".to_owned();
            return name
                .map(|name| Self::Header(name.to_ascii_lowercase()))
                .ok_or_else(allowed);
        }
        if let Some(rest) = text.strip_prefix("request.auth.claims") {
            return claim_path(rest).map(Self::Claim).ok_or_else(|| {
                "`request.auth.claims[NAME]`, or `[A][B]` for a claim in another".to_owned()
            });
        }
        if let Some(rest) = text.strip_prefix("connection.peer.") {
            return PeerFact::parse(rest).map(Self::Peer).ok_or_else(|| {
                "`connection.peer.subject`, `.issuer`, `.subject[CN]` and `.issuer[CN]` for any \
                 attribute, `.san.uri`, `.san.dns`, `.sha256`"
                    .to_owned()
            });
        }
        if let Some(rest) = text.strip_prefix("experimental.") {
            return MetadataKey::parse(rest)
                .map(Self::Metadata)
                .ok_or_else(|| "`experimental.envoy.filters.FILTER[KEY]`".to_owned());
        }
        let named = WHEN
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, read)| Self::Named(*read));
        named.ok_or_else(|| {
            let names: Vec<_> = WHEN.iter().map(|(name, _)| format!("`{name}`")).collect();
            format!(
                "{}, `request.headers[NAME]`, `request.auth.claims[NAME]`, `connection.peer.…`, \
                 `experimental.envoy.filters.FILTER[KEY]`",
                names.join(", ")
            )
        })
    }

    fn read(&self, text: &str, context: &Context<'_>) -> Result<Vec<Predicate>, String> {
        match self {
            Self::Named(read) => read(text, context),
            Self::Header(name) => {
                // A header that is there but empty is present; no other value is.
                let value = (text != "*").then(|| StringMatch::parse(text));
                let matching = || StringMatch::parse(text);
                let certificate = context.client_certificate;
                Ok(vec![match name.as_str() {
                    // Envoy knows `Host` under this name; a pseudo-header is read as its field is.
                    ":authority" | "host" => Predicate::Authority(matching()),
                    ":method" => Predicate::Method(matching()),
                    ":path" => Predicate::Target(matching()),
                    name => match certificate.mapped(name) {
                        Some(format) => Predicate::Derived(name.into(), Rc::clone(format), value),
                        None => Predicate::Header(name.into(), value),
                    },
                }])
            }
            Self::Claim(path) => Ok(vec![Predicate::Claim(
                path.clone(),
                StringMatch::parse(text),
            )]),
            Self::Peer(fact) => {
                let value = match (fact, text) {
                    (PeerFact::Sha256, "*") => StringMatch::present(),
                    (PeerFact::Sha256, text) => {
                        fingerprint(text)?;
                        StringMatch::exact(&text.replace(':', "").to_ascii_lowercase())
                    }
                    _ => StringMatch::parse(text),
                };
                Ok(vec![Predicate::Peer(fact.clone(), value)])
            }
            Self::Metadata(key) => {
                let in_list = text
                    .strip_prefix('[')
                    .and_then(|rest| rest.strip_suffix(']'));
                let value = StringMatch::parse(in_list.unwrap_or(text));
                let key = key.clone();
                Ok(vec![match in_list {
                    Some(_) => Predicate::MetadataList(key, value),
                    None => Predicate::Metadata(key, value),
                }])
            }
        }
    }
}

/// `[a][b]` as names. Istio takes what is not of this form for one odd name, which never matches.
fn claim_path(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let names: Vec<_> = inner.split("][").map(str::to_owned).collect();
    let plain = |name: &String| !name.is_empty() && !name.contains(['[', ']']);
    names.iter().all(plain).then_some(names)
}

fn principal(text: &str, context: &Context<'_>) -> Result<Vec<Predicate>, String> {
    let own = &context.mesh.trust_domains;
    let principals = match text.split('/').collect::<Vec<_>>().as_slice() {
        // A name in the own trust domain is the same under each of its names (Istio's aliases).
        [domain, rest @ ..] if rest.len() == 4 && *domain != "*" => {
            let is_own = *domain == "cluster.local"
                || own
                    .iter()
                    .any(|own| StringMatch::parse(domain).matches(own.as_bytes()));
            match is_own {
                true => own
                    .iter()
                    .map(|domain| format!("{domain}/{}", rest.join("/")))
                    .collect(),
                false => vec![text.to_owned()],
            }
        }
        _ => vec![text.to_owned()],
    };
    let read = |text: &String| PeerPrincipal::principal(text).map(Predicate::Principal);
    principals.iter().map(read).collect()
}

fn namespace(text: &str, _: &Context<'_>) -> Result<Vec<Predicate>, String> {
    Ok(vec![Predicate::Principal(PeerPrincipal::namespace(text))])
}

fn service_account(text: &str, context: &Context<'_>) -> Result<Vec<Predicate>, String> {
    Ok(vec![Predicate::Principal(PeerPrincipal::service_account(
        text,
        context.namespace,
    )?)])
}

fn trust_domain(text: &str, context: &Context<'_>) -> Result<Vec<Predicate>, String> {
    let own = &context.mesh.trust_domains;
    let domains = if own.iter().any(|own| own == text) {
        own.clone()
    } else {
        vec![text.to_owned()]
    };
    let read = |text: &String| PeerPrincipal::trust_domain(text).map(Predicate::Principal);
    domains.iter().map(read).collect()
}

fn request_principal(text: &str, _: &Context<'_>) -> Result<Vec<Predicate>, String> {
    Ok(vec![Predicate::RequestPrincipal(RequestPrincipal::parse(
        text,
    )?)])
}

fn audience(text: &str, _: &Context<'_>) -> Result<Vec<Predicate>, String> {
    Ok(vec![Predicate::Claim(
        vec!["aud".to_owned()],
        StringMatch::parse(text),
    )])
}

fn presenter(text: &str, _: &Context<'_>) -> Result<Vec<Predicate>, String> {
    Ok(vec![Predicate::Claim(
        vec!["azp".to_owned()],
        StringMatch::parse(text),
    )])
}

fn host(text: &str, _: &Context<'_>) -> Result<Vec<Predicate>, String> {
    Ok(vec![Predicate::Authority(
        StringMatch::parse_ignoring_case(text),
    )])
}

fn method(text: &str, _: &Context<'_>) -> Result<Vec<Predicate>, String> {
    Ok(vec![Predicate::Method(StringMatch::parse(text))])
}

fn path(text: &str, _: &Context<'_>) -> Result<Vec<Predicate>, String> {
    Ok(vec![Predicate::Path(PathPattern::parse(text)?)])
}

fn port(text: &str, _: &Context<'_>) -> Result<Vec<Predicate>, String> {
    let port = text
        .parse()
        .map_err(|_| "a port from 0 to 65535, in quotes".to_owned())?;
    Ok(vec![Predicate::Port(port)])
}

fn sni(text: &str, _: &Context<'_>) -> Result<Vec<Predicate>, String> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("a name in lower case, which is how Envoy sees it".to_owned());
    }
    Ok(vec![Predicate::Sni(StringMatch::parse(text))])
}

fn source_ip(text: &str, context: &Context<'_>) -> Result<Vec<Predicate>, String> {
    if !context.mesh.use_remote_address {
        return Err(
            "nothing, unless `mesh.useRemoteAddress` is true: only then does Envoy tell who \
                    is connected"
                .to_owned(),
        );
    }
    Ok(vec![Predicate::SourceIp(block(text)?)])
}

fn remote_ip(text: &str, _: &Context<'_>) -> Result<Vec<Predicate>, String> {
    Ok(vec![Predicate::RemoteIp(block(text)?)])
}

fn destination_ip(text: &str, _: &Context<'_>) -> Result<Vec<Predicate>, String> {
    Ok(vec![Predicate::DestinationIp(block(text)?)])
}

fn block(text: &str) -> Result<IpNet, String> {
    let block = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    block.map_err(|_| "an IP address or a CIDR block such as `192.0.2.0/24`".to_owned())
}
