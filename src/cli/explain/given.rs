//! The request that the arguments describe, in the form in which Envoy would hand it over.
//!
//! It reads files and the environment, and judges nothing.

use super::{Arguments, curl};
use crate::cli::request::{PeerSpec, RequestSpec};
use crate::peer::Certificate;
use crate::request::{Connection, Headers, Peer};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the arguments say.
pub(super) struct Given {
    pub spec: RequestSpec,
    /// The clock, as time since the Unix epoch.
    pub now: Duration,
    /// What must not be printed, beside what the headers show.
    pub secrets: Vec<String>,
    /// What was supposed where nothing is given.
    pub supposed: Vec<String>,
    /// What stands for the token in headers and URL, with the token once it is there.
    pub tokens: BTreeMap<String, String>,
}

/// What stands for the token.
pub(super) const TOKEN: &str = "{token}";

// === impl Given ===

impl Given {
    /// Reads the arguments; `appends_source` says whether Envoy appends the client to
    /// `x-forwarded-for`.
    pub(super) fn read(arguments: &Arguments, appends_source: bool) -> Result<Self, String> {
        let (mut spec, certificate) = match &arguments.curl {
            None => {
                let url = arguments.url.clone().unwrap_or_default();
                (spec(arguments.method.clone(), url), None)
            }
            Some(line) => {
                let read = curl::read(line, |name| std::env::var(name).ok());
                let read = read.map_err(|error| format!("`--curl`: {error}"))?;
                let mut spec = spec(read.method, read.url);
                spec.headers = read.headers;
                (spec, read.certificate)
            }
        };
        for line in &arguments.headers {
            let (name, value) = line
                .split_once(':')
                .filter(|(name, _)| !name.is_empty())
                .ok_or("`--header` must be `NAME: VALUE`")?;
            let name = name.trim().to_ascii_lowercase();
            spec.headers.push((name, value.trim().to_owned()));
        }
        let host = host_of(&spec.url)?;
        let is_https = spec.url.starts_with("https://");
        spec.url = with_host(&spec)?;
        spec.headers.retain(|(name, _)| name != "host");
        spec.source = arguments.source.as_deref().map(address).transpose()?;
        if let Some(source) = spec.source.filter(|_| appends_source) {
            let line = ("x-forwarded-for".to_owned(), source.ip().to_string());
            spec.headers.push(line);
        }
        spec.destination = arguments.destination;
        spec.sni = match (&arguments.sni, is_https) {
            (Some(name), _) => name.clone(),
            // A client names no address (RFC 6066, 3).
            (None, true) if host.parse::<IpAddr>().is_err() && !host.starts_with('[') => host,
            (None, _) => String::new(),
        };
        spec.peer = match (&arguments.cert, certificate, &arguments.peer_subject) {
            (Some(file), ..) => Some(certificate_of(file)?),
            (None, _, Some(subject)) => Some(named(arguments, subject)),
            (None, Some(file), None) => Some(certificate_of(&file)?),
            (None, None, None) => None,
        };
        let now = match &arguments.now {
            Some(text) => {
                let now = humantime::parse_rfc3339(text);
                now.map_err(|error| format!("`--now`: {error}, such as `2026-01-31T12:00:00Z`"))?
            }
            None => SystemTime::now(),
        };
        Ok(Self {
            spec,
            now: now.duration_since(UNIX_EPOCH).unwrap_or_default(),
            secrets: Vec::new(),
            supposed: Vec::new(),
            tokens: BTreeMap::new(),
        })
    }

    /// The headers, with the token in them.
    pub(super) fn headers(&self) -> Result<Headers, String> {
        self.spec.headers(&self.tokens)
    }

    /// What a gateway would know of the connection.
    pub(super) fn connection(&self, arguments: &Arguments) -> Result<Connection, String> {
        let mut connection = self.spec.connection();
        let Some(peer) = &mut connection.peer else {
            return Ok(connection);
        };
        if arguments.peer_subject.is_some() {
            complete(peer, arguments)?;
        }
        Ok(connection)
    }
}

fn spec(method: String, url: String) -> RequestSpec {
    RequestSpec {
        method,
        url,
        path_base64: None,
        headers: Vec::new(),
        headers_base64: Vec::new(),
        source: None,
        destination: None,
        sni: String::new(),
        peer: None,
        metadata: BTreeMap::new(),
    }
}

/// The host of a URL, without port.
fn host_of(url: &str) -> Result<String, String> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    if !matches!(scheme, "http" | "https") {
        return Err("the URL must begin with `http://` or `https://`".to_owned());
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.starts_with('[') {
        true => authority,
        false => authority.split(':').next().unwrap_or_default(),
    };
    Ok(host.to_owned())
}

/// The URL with what `Host` says in place of its own host, and with a path.
fn with_host(spec: &RequestSpec) -> Result<String, String> {
    let (scheme, rest) = spec.url.split_once("://").unwrap_or_default();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let mut hosts = spec.headers.iter().filter(|(name, _)| name == "host");
    let authority = match (hosts.next(), hosts.next()) {
        (None, _) => authority,
        (Some((_, host)), None) => host,
        // HTTP/1.1 forbids it (RFC 9112, 3.2), and Envoy answers 400 before any filter.
        _ => return Err("`Host` is given more than once; give one".to_owned()),
    };
    let target = target.split('#').next().unwrap_or_default();
    // CONNECT is for an authority (RFC 9110, 9.3.6).
    let is_tunnel = spec.method == "CONNECT" && target.is_empty();
    let slash = match target.starts_with('/') || is_tunnel {
        true => "",
        false => "/",
    };
    Ok(format!("{scheme}://{authority}{slash}{target}"))
}

/// An address, with or without a port.
fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    let found = text.parse::<SocketAddr>().or(bare);
    found
        .map_err(|_| format!("`--source`: found `{text}`; allowed: an address, with a port or not"))
}

/// A client certificate from a file.
fn certificate_of(file: &Path) -> Result<PeerSpec, String> {
    let name = file.display();
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("{name}: {error}"))?;
    let read = Certificate::from_pem(text.as_bytes());
    let subject = Certificate::subject_of_pem(text.as_bytes());
    let (Some(certificate), Some(subject)) = (read, subject) else {
        return Err(format!(
            "{name}: no certificate that can be read; allowed: PEM with `BEGIN CERTIFICATE`"
        ));
    };
    let first = |names: &[Vec<u8>]| {
        let first = names.first().map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(first).into_owned()
    };
    Ok(PeerSpec {
        uri_san: first(&certificate.uris),
        dns_san: first(&certificate.dns),
        subject,
        sha256: None,
        pem: Some(text),
    })
}

/// A client certificate of which only names are given.
fn named(arguments: &Arguments, subject: &str) -> PeerSpec {
    let first = |names: &[String]| names.first().cloned().unwrap_or_default();
    PeerSpec {
        uri_san: first(&arguments.peer_uri_san),
        dns_san: first(&arguments.peer_dns_san),
        subject: subject.to_owned(),
        sha256: arguments.peer_sha256.clone(),
        pem: None,
    }
}

/// Says of a certificate of which only names are given that it has no others.
fn complete(peer: &mut Peer, arguments: &Arguments) -> Result<(), String> {
    if arguments.peer_sha256.is_some() && peer.sha256.is_none() {
        return Err("`--peer-sha256` must be 64 hexadecimal digits".to_owned());
    }
    let bytes = |names: &[String]| names.iter().map(|it| it.clone().into_bytes()).collect();
    peer.certificate = Some(Arc::new(Certificate {
        issuer: arguments.peer_issuer.clone().unwrap_or_default(),
        serial: String::new(),
        uris: bytes(&arguments.peer_uri_san),
        dns: bytes(&arguments.peer_dns_san),
        sha256: peer.sha256.unwrap_or_default(),
        pem: String::new(),
    }));
    Ok(())
}
