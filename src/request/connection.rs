//! What the host knows of the connection that a request came by.
//!
//! Each of these costs a call to the host, so only what the rules of a policy need is gathered.

use crate::peer::{self, Certificate};
use crate::policy::Predicate;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Facts about the connection; what nobody needs is left at its default.
#[derive(Debug, Default)]
pub struct Connection {
    /// The client, as trusted proxies tell.
    pub remote: Option<IpAddr>,
    /// Where the connection ended: an address of the gateway.
    pub destination: Option<SocketAddr>,
    /// The server name that the client asked for in TLS; empty without one.
    pub sni: Vec<u8>,
    /// Who is at the other end of the TLS connection; absent without a client certificate.
    pub peer: Option<Peer>,
    /// Whether [`Connection::peer`] was gathered at all.
    pub peer_known: bool,
    /// What other filters have left for us, as the host tells it.
    pub metadata: Vec<(MetadataKey, Vec<u8>)>,
}

/// A connection of which nothing is known.
pub static UNKNOWN_CONNECTION: Connection = Connection {
    remote: None,
    destination: None,
    sni: Vec::new(),
    peer: None,
    peer_known: false,
    metadata: Vec::new(),
};

/// A client certificate, as the host tells it.
#[derive(Debug, Default)]
pub struct Peer {
    /// The subject, in the form of RFC 4514.
    pub subject: Vec<u8>,
    /// The first URI name; empty if there is none.
    pub uri: Vec<u8>,
    /// The first DNS name; empty if there is none.
    pub dns: Vec<u8>,
    /// The SHA-256 of the certificate.
    pub sha256: Option<[u8; 32]>,
    /// The certificate itself, where it can be read.
    pub certificate: Option<Arc<Certificate>>,
}

/// What Envoy's operators `%DOWNSTREAM_PEER_…%` tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerOperator {
    /// `SUBJECT`
    Subject,
    /// `ISSUER`
    Issuer,
    /// `URI_SAN`: all of them.
    UriSan,
    /// `DNS_SAN`: all of them.
    DnsSan,
    /// `FINGERPRINT_256`
    Fingerprint256,
    /// `SERIAL`
    Serial,
    /// `CERT`: URL-encoded PEM.
    Cert,
}

/// Which facts the rules of a policy need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// [`Connection::remote`]
    pub remote: bool,
    /// [`Connection::destination`]
    pub destination: bool,
    /// [`Connection::sni`]
    pub sni: bool,
    /// [`Connection::peer`]
    pub peer: bool,
    /// [`Peer::certificate`]
    pub certificate: bool,
    /// [`Connection::metadata`]
    pub metadata: Vec<MetadataKey>,
}

/// A value in Envoy's dynamic metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataKey {
    /// The filter that wrote it, such as `envoy.filters.http.rbac`.
    pub filter: String,
    /// Its name among the filter's values.
    pub key: String,
}

// === impl Connection ===

impl Connection {
    /// A value of another filter; empty if there is none.
    #[must_use]
    pub fn metadata(&self, key: &MetadataKey) -> &[u8] {
        let found = self.metadata.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_slice()).unwrap_or_default()
    }
}

// === impl Peer ===

impl Peer {
    /// The URI names that are known.
    pub fn uris(&self) -> impl Iterator<Item = &[u8]> {
        names(self.certificate.as_deref().map(|it| &it.uris), &self.uri)
    }

    /// The DNS names that are known.
    pub fn dns(&self) -> impl Iterator<Item = &[u8]> {
        names(self.certificate.as_deref().map(|it| &it.dns), &self.dns)
    }

    /// Whether all URI names are known: the certificate can be read, or has none.
    #[must_use]
    pub fn knows_uris(&self) -> bool {
        self.certificate.is_some() || self.uri.is_empty()
    }

    /// The same of DNS names.
    #[must_use]
    pub fn knows_dns(&self) -> bool {
        self.certificate.is_some() || self.dns.is_empty()
    }

    /// What an operator tells, exactly as Envoy's; `None` if that cannot be told.
    #[must_use]
    pub fn tell(&self, operator: PeerOperator) -> Option<Vec<u8>> {
        let certificate = self.certificate.as_deref();
        let text = |text: &String| text.clone().into_bytes();
        let joined = |names: Vec<&[u8]>| names.join(&b","[..]);
        match operator {
            PeerOperator::Subject => Some(self.subject.clone()),
            PeerOperator::UriSan => self.knows_uris().then(|| joined(self.uris().collect())),
            PeerOperator::DnsSan => self.knows_dns().then(|| joined(self.dns().collect())),
            PeerOperator::Fingerprint256 => {
                self.sha256.map(|digest| peer::hex(&digest).into_bytes())
            }
            PeerOperator::Issuer => certificate.map(|it| text(&it.issuer)),
            PeerOperator::Serial => certificate.map(|it| text(&it.serial)),
            PeerOperator::Cert => certificate.map(|it| text(&it.pem)),
        }
    }
}

/// All names of a kind, or the first, if that is all that is known.
fn names<'p>(all: Option<&'p Vec<Vec<u8>>>, first: &'p [u8]) -> impl Iterator<Item = &'p [u8]> {
    let only = Some(first).filter(|first| !first.is_empty() && all.is_none());
    let all = all.into_iter().flatten().map(Vec::as_slice);
    all.chain(only)
}

// === impl PeerOperator ===

impl PeerOperator {
    /// Reads what stands behind `DOWNSTREAM_PEER_`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "SUBJECT" => Self::Subject,
            "ISSUER" => Self::Issuer,
            "URI_SAN" => Self::UriSan,
            "DNS_SAN" => Self::DnsSan,
            "FINGERPRINT_256" => Self::Fingerprint256,
            "SERIAL" => Self::Serial,
            "CERT" => Self::Cert,
            _ => return None,
        })
    }
}

// === impl MetadataKey ===

impl MetadataKey {
    /// Reads `envoy.filters.FILTER[KEY]`, as Istio's `when` writes it behind `experimental.`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (filter, key) = text.strip_suffix(']')?.split_once('[')?;
        let named = filter
            .strip_prefix("envoy.filters.")
            .is_some_and(|name| !name.is_empty());
        let plain = |text: &str| !text.contains(['[', ']', '\0']);
        (named && !key.is_empty() && plain(filter) && plain(key)).then(|| Self {
            filter: filter.to_owned(),
            key: key.to_owned(),
        })
    }
}

// === impl Needs ===

impl Needs {
    /// Adds what a predicate is about.
    pub fn add(&mut self, predicate: &Predicate) {
        match predicate {
            Predicate::RemoteIp(_) => self.remote = true,
            Predicate::DestinationIp(_) | Predicate::Port(_) => self.destination = true,
            Predicate::Sni(_) => self.sni = true,
            Predicate::Principal(_) | Predicate::Peer(..) | Predicate::Derived(..) => {
                self.peer = true;
                self.certificate = true;
            }
            Predicate::Metadata(key, _) | Predicate::MetadataList(key, _)
                if !self.metadata.contains(key) =>
            {
                self.metadata.push(key.clone());
            }
            _ => {}
        }
    }
}
