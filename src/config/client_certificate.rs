//! `clientCertificate`: what the upstream learns of a client certificate, and who may say so instead.
//!
//! Reads and checks; a header that is named here is never believed as a client wrote it.

use super::reader::At;
use super::values;
use crate::format::Format;
use std::rc::Rc;

/// `clientCertificate`
#[derive(Debug)]
pub struct ClientCertificate {
    /// `headers`: names in lower case, and what they tell the upstream.
    pub headers: Vec<(String, Rc<Format>)>,
    /// `bindTokens`
    pub bind_tokens: BindTokens,
    /// Whether the server name of the connection must be the authority of the request wherever a
    /// certificate decides.
    pub require_sni_match: bool,
    /// `trustForwarded`
    pub trust_forwarded: Vec<TrustForwarded>,
}

/// `bindTokens`: whether a token must be bound to the certificate of the connection (RFC 8705, 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BindTokens {
    /// A token that says so must be.
    #[default]
    IfPresent,
    /// Every token must be.
    Required,
    /// Nobody looks.
    Off,
}

/// `trustForwarded[]`: a proxy in front that may set these headers, told by its own certificate.
#[derive(Debug)]
pub struct TrustForwarded {
    /// Its certificate.
    pub by: TrustedProxy,
    /// Lower case names.
    pub headers: Vec<String>,
}

/// How a proxy in front is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// The SHA-256 of its certificate.
    Sha256([u8; 32]),
    /// Its subject, as Envoy writes it.
    Subject(String),
    /// One of its URI names.
    UriSan(String),
}

/// Headers that tell of client certificates by convention, in lower case: whole names, and what
/// names begin with.
const CONVENTIONAL: [&str; 1] = ["x-forwarded-client-cert"];
const CONVENTIONAL_PREFIXES: [&str; 2] = ["x-client-ssl-", "x-ssl-client-"];

pub(super) fn read(at: Option<At<'_>>) -> ClientCertificate {
    at.and_then(client_certificate).unwrap_or_default()
}

fn client_certificate(at: At<'_>) -> Option<ClientCertificate> {
    let mut fields = at.object()?;
    let headers = fields.optional("headers").map(|at| {
        at.members(|name, at| {
            let name = values::settable(name, &at)?;
            let format = at.parsed(|text| {
                let format = Format::parse(text)?;
                let allowed = || {
                    "one of Envoy's operators `%DOWNSTREAM_PEER_…%`, with literal text around it"
                        .to_owned()
                };
                let of_peer = format.is_of_the_peer();
                of_peer.then_some(format).ok_or_else(allowed)
            });
            Some((name, Rc::new(format?)))
        })
    });
    let bind_tokens = fields.optional("bindTokens").and_then(|at| {
        at.one_of(&[
            ("ifPresent", BindTokens::IfPresent),
            ("required", BindTokens::Required),
            ("off", BindTokens::Off),
        ])
    });
    let sni = fields.optional("requireSniMatch");
    let sni = sni.and_then(|at| at.boolean());
    let forwarded = fields.optional("trustForwarded");
    let forwarded = forwarded.map(|at| at.non_empty_list(trust_forwarded));
    fields.finish();
    let headers = headers.unwrap_or_default();
    let forwarded = forwarded.unwrap_or_default();
    for name in forwarded.iter().flat_map(|it| &it.headers) {
        if headers.iter().any(|(mapped, _)| mapped == name) {
            at.fault(format!(
                "`{name}` is in `headers` and in `trustForwarded`; either the gateway writes it or \
                 a proxy in front does"
            ));
        }
    }
    Some(ClientCertificate {
        headers,
        bind_tokens: bind_tokens.unwrap_or_default(),
        require_sni_match: sni.unwrap_or(true),
        trust_forwarded: forwarded,
    })
}

fn trust_forwarded(at: At<'_>) -> Option<TrustForwarded> {
    let mut fields = at.object()?;
    let sha256 = fields.optional("sha256").map(|at| at.parsed(fingerprint));
    let subject = fields.optional("subject").map(values::text);
    let uri = fields.optional("uriSan").map(values::text);
    let headers = fields.required("headers");
    let headers = headers.map(|at| at.non_empty_list(|at| values::settable(at.text()?, &at)));
    fields.finish();
    let by = match (sha256, subject, uri) {
        (Some(sha256), None, None) => sha256.map(TrustedProxy::Sha256),
        (None, Some(subject), None) => subject.map(TrustedProxy::Subject),
        (None, None, Some(uri)) => uri.map(TrustedProxy::UriSan),
        _ => {
            at.fault("give one of `sha256`, `subject` and `uriSan`");
            None
        }
    };
    Some(TrustForwarded {
        by: by?,
        headers: headers?,
    })
}

/// A SHA-256 in hexadecimal digits, with or without colons.
pub(super) fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let digits = text.replace(':', "");
    let digest = crate::peer::digest(digits.as_bytes());
    digest.ok_or_else(|| "a SHA-256 of 64 hexadecimal digits".to_owned())
}

// === impl ClientCertificate ===

impl ClientCertificate {
    /// What a header tells, if the gateway writes it.
    pub(super) fn mapped(&self, name: &str) -> Option<&Rc<Format>> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(mapped, _)| mapped == name);
        found.map(|(_, format)| format)
    }

    /// Whether a header tells of a certificate by convention, and nobody who may set it is known.
    pub(super) fn is_anybodys(&self, name: &str) -> bool {
        let name = name.replace('_', "-");
        let conventional = CONVENTIONAL.contains(&name.as_str())
            || CONVENTIONAL_PREFIXES.iter().any(|it| name.starts_with(it));
        let mut forwarded = self.trust_forwarded.iter().flat_map(|it| &it.headers);
        conventional && !forwarded.any(|it| it.replace('_', "-") == name)
    }
}

impl Default for ClientCertificate {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            bind_tokens: BindTokens::default(),
            require_sni_match: true,
            trust_forwarded: Vec::new(),
        }
    }
}
