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
}

/// A connection of which nothing is known.
pub static UNKNOWN_CONNECTION: Connection = Connection {
    remote: None,
    destination: None,
    sni: Vec::new(),
    peer: None,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// [`Connection::remote`]
    pub remote: bool,
    /// [`Connection::destination`]
    pub destination: bool,
    /// [`Connection::sni`]
    pub sni: bool,
    /// [`Connection::peer`]
    pub peer: bool,
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
            _ => {}
        }
    }
}
