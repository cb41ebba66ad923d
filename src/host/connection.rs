//! What the host knows of a connection, as far as the rules of a policy need it.
//!
//! Each fact costs a call to the host, for every request.

use super::abi;
use crate::request::{Connection, Needs, Peer};
use std::net::SocketAddr;

/// Gathers what is needed about the connection of the current stream.
pub fn gather(needs: &Needs) -> Connection {
    let mut connection = Connection::default();
    if needs.remote {
        connection.remote = address(&["source", "address"]).map(|address| address.ip());
    }
    if needs.destination {
        connection.destination = address(&["destination", "address"]);
    }
    if needs.sni {
        connection.sni = abi::property(&["connection", "requested_server_name"]);
    }
    if needs.peer {
        connection.peer = peer();
    }
    for key in &needs.metadata {
        let path = ["metadata", "filter_metadata", &key.filter, &key.key];
        connection
            .metadata
            .push((key.clone(), abi::property(&path)));
    }
    connection
}

fn address(path: &[&str]) -> Option<SocketAddr> {
    std::str::from_utf8(&abi::property(path)).ok()?.parse().ok()
}

/// The identity in the client's certificate. The host tells only the first name of each kind.
fn peer() -> Option<Peer> {
    if abi::property(&["connection", "mtls"]) != [1] {
        return None;
    }
    let properties = [
        "uri_san_peer_certificate",
        "dns_san_peer_certificate",
        "subject_peer_certificate",
    ];
    let names = properties.map(|name| abi::property(&["connection", name]));
    let names = names.into_iter().filter(|name| !name.is_empty());
    Some(Peer {
        names: names.collect(),
        all_names_known: false,
    })
}
