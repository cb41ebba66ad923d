//! A request as an operator writes it, in the form in which Envoy hands it to the core.
//!
//! Case files and `portcullis explain` are read into the same form, so that both ask the same.

use crate::peer::Certificate;
use crate::request::{Connection, Headers, MetadataKey, Peer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// A request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RequestSpec {
    #[serde(default = "default_method")]
    pub method: String,
    pub url: String,
    /// In place of the path of `url`.
    pub path_base64: Option<String>,
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Headers with values that YAML cannot hold.
    #[serde(default)]
    pub headers_base64: Vec<(String, String)>,
    /// The client's address, as trusted proxies tell it.
    pub source: Option<SocketAddr>,
    /// The gateway's own end of the connection.
    pub destination: Option<SocketAddr>,
    /// The server name that the client asked for in TLS.
    #[serde(default)]
    pub sni: String,
    /// The client's certificate.
    pub peer: Option<PeerSpec>,
    /// What other filters have left: `FILTER: {KEY: TEXT}`.
    #[serde(default)]
    pub metadata: BTreeMap<String, BTreeMap<String, String>>,
}

/// What a gateway sees of a client certificate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct PeerSpec {
    /// The first URI name.
    #[serde(default)]
    pub uri_san: String,
    /// The first DNS name.
    #[serde(default)]
    pub dns_san: String,
    #[serde(default)]
    pub subject: String,
    /// The SHA-256 of the certificate; that of `pem`, if absent.
    pub sha256: Option<String>,
    /// The certificate itself, where the gateway can read it.
    pub pem: Option<String>,
}

// === impl RequestSpec ===

impl RequestSpec {
    /// What a gateway would know of the connection.
    pub(super) fn connection(&self) -> Connection {
        let peer = self.peer.as_ref().map(|peer| {
            let bytes = |text: &String| text.clone().into_bytes();
            let pem = peer.pem.as_ref().map(|pem| pem.as_bytes());
            let certificate = pem.and_then(Certificate::from_pem);
            let digest = peer.sha256.as_ref();
            let digest = digest.and_then(|it| crate::peer::digest(it.as_bytes()));
            Peer {
                subject: bytes(&peer.subject),
                uri: bytes(&peer.uri_san),
                dns: bytes(&peer.dns_san),
                sha256: digest.or_else(|| certificate.as_ref().map(|it| it.sha256)),
                certificate: certificate.map(Arc::new),
            }
        });
        let metadata = self.metadata.iter().flat_map(|(filter, values)| {
            values.iter().map(move |(key, value)| {
                let (filter, key) = (filter.clone(), key.clone());
                (MetadataKey { filter, key }, value.clone().into_bytes())
            })
        });
        Connection {
            remote: self.source.map(|address| address.ip()),
            destination: self.destination,
            sni: self.sni.clone().into_bytes(),
            peer,
            peer_known: true,
            metadata: metadata.collect(),
        }
    }

    /// The headers of a request as Envoy would hand them over.
    pub(super) fn headers(&self, tokens: &BTreeMap<String, String>) -> Result<Headers, String> {
        let decoded = |text: &str| {
            BASE64
                .decode(text)
                .map_err(|error| format!("base64: {error}"))
        };
        let filled = |text: &str| filled(text, tokens);
        let (scheme, rest) = self
            .url
            .split_once("://")
            .ok_or("`url` must begin with http:// or https://")?;
        let path_start = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(path_start).unwrap_or((rest, ""));
        let path = match &self.path_base64 {
            Some(path) => decoded(path)?,
            None => filled(path).into_bytes(),
        };
        let mut headers = Headers::default();
        headers.push(":method", self.method.as_bytes());
        headers.push(":scheme", scheme.as_bytes());
        headers.push(":authority", authority.as_bytes());
        if !path.is_empty() {
            headers.push(":path", &path);
        }
        for (name, value) in &self.headers {
            headers.push(name, filled(value).as_bytes());
        }
        for (name, value) in &self.headers_base64 {
            headers.push(name, &decoded(value)?);
        }
        Ok(headers)
    }
}

/// A text with the tokens of the case in place of `${name}`.
pub(super) fn filled(text: &str, tokens: &BTreeMap<String, String>) -> String {
    tokens.iter().fold(text.to_owned(), |text, (name, token)| {
        text.replace(name, token)
    })
}

fn default_method() -> String {
    "GET".to_owned()
}
