//! The facts that conditions are about, each compared with one value of a policy.

use super::{
    PathPattern, PeerFact, PeerPrincipal, RequestPrincipal, RequiredScopes, StringMatch, Truth,
};
use crate::format::Format;
use crate::identity::Identity;
use crate::request::{Connection, Headers, MetadataKey, ReadPath, query_of};
use ipnet::IpNet;
use std::net::IpAddr;
use std::rc::Rc;

/// One fact about a request.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// `hosts`: the authority, as sent or as read.
    Authority(StringMatch),
    /// `methods`
    Method(StringMatch),
    /// `paths`: without query.
    Path(PathPattern),
    /// `request.headers[:path]`: with query.
    Target(StringMatch),
    /// `ports`, `destination.port`: of the gateway, where the connection ended.
    Port(u16),
    /// `destination.ip`
    DestinationIp(IpNet),
    /// `request.headers[name]`: one of its lines; without a value, that there is one.
    Header(Box<str>, Option<StringMatch>),
    /// `requestPrincipals`, `request.auth.principal`
    RequestPrincipal(RequestPrincipal),
    /// `request.auth.claims[…]`: a string, or one string in a list. Other types never match.
    Claim(Vec<String>, StringMatch),
    /// `requiredScopes` of an API rule
    Scopes(RequiredScopes),
    /// `connection.peer.…`
    Peer(PeerFact, StringMatch),
    /// `request.headers[name]`, which the gateway writes from the client certificate; without a
    /// value, that there is one.
    Derived(Box<str>, Rc<Format>, Option<StringMatch>),
    /// `principals`, `namespaces`, `serviceAccounts`, `trustDomains`
    Principal(PeerPrincipal),
    /// `ipBlocks`, `source.ip`: who is connected.
    SourceIp(IpNet),
    /// `remoteIpBlocks`, `remote.ip`: the client, as trusted proxies tell.
    RemoteIp(IpNet),
    /// `connection.sni`
    Sni(StringMatch),
    /// `experimental.envoy.filters.…[…]`: a text that another filter has left for us.
    Metadata(MetadataKey, StringMatch),
    /// The same with a value `[v]`: one text of a list.
    MetadataList(MetadataKey, StringMatch),
}

/// What predicates see of a request: one reading of it, and who sent it.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The authority, as sent or as read.
    pub authority: &'a [u8],
    /// The method.
    pub method: &'a [u8],
    /// The path without query.
    pub path: ReadPath<'a>,
    /// The whole of `:path`, of which the path is a reading.
    pub target: &'a [u8],
    /// The headers as sent.
    pub headers: &'a Headers,
    /// From a verified token, if there was one.
    pub identity: Option<&'a Identity>,
    /// What the host knows of the connection.
    pub connection: &'a Connection,
}

// === impl Predicate ===

impl Predicate {
    pub(super) fn truth(&self, facts: &Facts<'_>) -> Truth {
        let connection = facts.connection;
        match self {
            Self::Authority(value) => value.matches(facts.authority).into(),
            Self::Method(value) => value.matches(facts.method).into(),
            Self::Path(value) => value.matches(facts.path).into(),
            Self::Target(value) => {
                let query = query_of(facts.target);
                value.matches(&[facts.path.bytes, query].concat()).into()
            }
            Self::Port(port) => match connection.destination {
                Some(destination) => (destination.port() == *port).into(),
                None => Truth::Unknown,
            },
            Self::DestinationIp(block) => {
                within(block, connection.destination.map(|address| address.ip()))
            }
            Self::Header(name, value) => {
                let mut lines = facts.headers.all(name);
                let matches = |line| value.as_ref().is_none_or(|value| value.matches(line));
                lines.any(matches).into()
            }
            Self::RequestPrincipal(value) => facts
                .identity
                .is_some_and(|identity| value.matches(identity))
                .into(),
            Self::Claim(path, value) => facts
                .identity
                .is_some_and(|identity| {
                    identity
                        .claim_texts(path)
                        .any(|text| value.matches(text.as_bytes()))
                })
                .into(),
            Self::Scopes(required) => facts
                .identity
                .is_some_and(|identity| required.granted_to(identity))
                .into(),
            Self::Peer(fact, value) => fact.truth(value, connection.peer.as_ref()),
            Self::Derived(_, format, value) => match &connection.peer {
                None => Truth::False,
                Some(peer) => match format.of_peer(peer) {
                    // Envoy does not write an empty header.
                    Some(told) if told.is_empty() => Truth::False,
                    Some(told) => {
                        let matches = |value: &StringMatch| value.matches(&told);
                        value.as_ref().is_none_or(matches).into()
                    }
                    None => Truth::Unknown,
                },
            },
            Self::Principal(value) => value.truth(connection.peer.as_ref()),
            Self::SourceIp(block) => within(block, facts.headers.last_forwarded_for()),
            Self::RemoteIp(block) => within(block, connection.remote),
            Self::Sni(value) => value.matches(&connection.sni).into(),
            Self::Metadata(key, value) => match connection.metadata(key) {
                // The host does not tell a text from a number, a truth or a list, whose bytes are
                // hardly ever printable.
                odd if odd.iter().any(u8::is_ascii_control) => Truth::Unknown,
                odd if std::str::from_utf8(odd).is_err() => Truth::Unknown,
                text => value.matches(text).into(),
            },
            Self::MetadataList(key, value) => {
                // A list is in the form of a header map, a text as the name of each line.
                let list = Headers::from_abi(connection.metadata(key).to_vec());
                list.is_ok_and(|list| list.iter().any(|(text, _)| value.matches(text)))
                    .into()
            }
        }
    }

    /// The field or key that it is a value of, as an operator writes it.
    #[must_use]
    pub fn field(&self) -> String {
        match self {
            Self::Authority(_) => "hosts".to_owned(),
            Self::Method(_) => "methods".to_owned(),
            Self::Path(_) => "paths".to_owned(),
            Self::Target(_) => "request.headers[:path]".to_owned(),
            Self::Port(_) => "ports".to_owned(),
            Self::DestinationIp(_) => "destination.ip".to_owned(),
            Self::Header(name, _) => format!("request.headers[{name}]"),
            Self::RequestPrincipal(_) => "requestPrincipals".to_owned(),
            Self::Claim(path, _) => format!("request.auth.claims[{}]", path.join("][")),
            Self::Scopes(_) => "requiredScopes".to_owned(),
            Self::Peer(fact, _) => format!("connection.peer.{fact}"),
            Self::Derived(name, ..) => format!("request.headers[{name}]"),
            Self::Principal(_) => "principals".to_owned(),
            Self::SourceIp(_) => "ipBlocks".to_owned(),
            Self::RemoteIp(_) => "remoteIpBlocks".to_owned(),
            Self::Sni(_) => "connection.sni".to_owned(),
            Self::Metadata(key, _) | Self::MetadataList(key, _) => {
                format!("experimental.{}[{}]", key.filter, key.key)
            }
        }
    }

    /// Whether it is about the client certificate.
    pub(crate) fn is_about_the_peer(&self) -> bool {
        matches!(
            self,
            Self::Principal(_) | Self::Peer(..) | Self::Derived(..)
        )
    }

    /// Whether it is about who sent the request, by token or by certificate.
    pub(crate) fn is_about_the_caller(&self) -> bool {
        matches!(
            self,
            Self::Principal(_) | Self::RequestPrincipal(_) | Self::Claim(..) | Self::Scopes(_)
        )
    }
}

fn within(block: &IpNet, address: Option<IpAddr>) -> Truth {
    address.map_or(Truth::Unknown, |address| block.contains(&address).into())
}
