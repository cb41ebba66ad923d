//! What the host knows of the connection that a request came by.
//!
//! Each of these costs a call to the host, so only what the rules of a policy need is gathered.

use crate::policy::Predicate;
use std::net::{IpAddr, SocketAddr};

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
    /// What other filters have left for us, as the host tells it.
    pub metadata: Vec<(MetadataKey, Vec<u8>)>,
}

/// A connection of which nothing is known.
pub static UNKNOWN_CONNECTION: Connection = Connection {
    remote: None,
    destination: None,
    sni: Vec::new(),
    peer: None,
    metadata: Vec::new(),
};

/// The identity in a client certificate.
#[derive(Debug)]
pub struct Peer {
    /// URI names, DNS names, and the subject.
    pub names: Vec<Vec<u8>>,
    /// Whether these are all that the certificate has.
    pub all_names_known: bool,
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
            Predicate::Principal(_) => self.peer = true,
            Predicate::Metadata(key, _) | Predicate::MetadataList(key, _)
                if !self.metadata.contains(key) =>
            {
                self.metadata.push(key.clone());
            }
            _ => {}
        }
    }
}
