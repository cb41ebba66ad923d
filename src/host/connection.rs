//! What the host knows of a connection, as far as the rules of a policy need it.
//!
//! Each fact costs a call to the host, for every request.

use super::abi;
use crate::peer::{self, Certificate, xfcc};
use crate::request::{Connection, Headers, Needs, Peer};
use hashbrown::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// Gathers what is needed about the connection of the current stream.
pub fn gather(needs: &Needs, headers: &Headers, certificates: &mut Certificates) -> Connection {
    match *needs == Needs::default() {
        true => Connection::default(),
        false => gather_all(needs, headers, certificates),
    }
}

#[inline(never)]
fn gather_all(needs: &Needs, headers: &Headers, certificates: &mut Certificates) -> Connection {
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
        gather_peer(&mut connection, needs.certificate, headers, certificates);
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

/// Certificates that were read before, by their SHA-256.
pub type Certificates = HashMap<[u8; 32], Arc<Certificate>>;

/// So many are remembered, and none that is longer, in bytes of its PEM.
const MAX_CERTIFICATES: usize = 1_000;
const MAX_REMEMBERED: usize = 8 * 1024;

/// Gathers who is at the other end of TLS. The host tells only the first name of each kind; the others
/// are in the certificate itself.
pub fn gather_peer(
    connection: &mut Connection,
    certificate: bool,
    headers: &Headers,
    certificates: &mut Certificates,
) {
    connection.peer_known = true;
    let property = |name: &str| abi::property(&["connection", name]);
    if property("mtls") != [1] {
        return;
    }
    let mut peer = Peer {
        subject: property("subject_peer_certificate"),
        uri: property("uri_san_peer_certificate"),
        dns: property("dns_san_peer_certificate"),
        sha256: peer::digest(&property("sha256_peer_certificate_digest")),
        certificate: None,
    };
    if let Some(digest) = peer.sha256.filter(|_| certificate) {
        peer.certificate = certificates.get(&digest).cloned();
        if peer.certificate.is_none() {
            let read = Certificate::from_pem(&property("peer_certificate"));
            let own = read.filter(|it| it.sha256 == digest);
            let forwarded = || xfcc::certificate(headers.all("x-forwarded-client-cert"), &digest);
            peer.certificate = own.or_else(forwarded).map(Arc::new);
            if certificates.len() >= MAX_CERTIFICATES {
                certificates.clear();
            }
            let short = |it: &&Arc<Certificate>| it.pem.len() <= MAX_REMEMBERED;
            let read = peer.certificate.iter().filter(short);
            certificates.extend(read.map(|it| (digest, Arc::clone(it))));
        }
    }
    connection.peer = Some(peer);
}
