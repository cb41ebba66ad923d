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

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use serde_json::{Value, json};

    /// The faults of a configuration with this section, and one policy with this condition.
    fn faults(section: &Value, key: &str) -> Vec<String> {
        let when = json!([{"key": key, "values": ["x"]}]);
        let policy = json!({"name": "p", "namespace": "shop", "rules": [{"when": when}]});
        let config = json!({
            "version": 1, "clientCertificate": section, "authorizationPolicies": [policy],
        });
        match Config::read(config.to_string().as_bytes()) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_header_that_a_client_can_write_decides_nothing() {
        let mapped = json!({"headers": {"X-Client-Ssl-Cn": "%DOWNSTREAM_PEER_SUBJECT%"}});
        let forwarded = json!({"trustForwarded": [
            {"subject": "CN=edge", "headers": ["X-Forwarded-Client-Cert", "x-ssl-client-dn"]},
        ]});
        let nothing = json!({});
        for (section, header, allowed) in [
            (&nothing, "X-Client-Ssl-Cn", false),
            (&nothing, "x_client_ssl_cn", false),
            (&nothing, "X-SSL-Client-Verify", false),
            (&nothing, "X-Forwarded-Client-Cert", false),
            (&nothing, "x-user", true),
            (&mapped, "X-CLIENT-SSL-CN", true),
            (&mapped, "X-Client-Ssl-Issuer", false),
            (&forwarded, "x-forwarded-client-cert", true),
            (&forwarded, "X-SSL-Client-DN", true),
            (&forwarded, "X-SSL-Client-Verify", false),
        ] {
            let found = faults(section, &format!("request.headers[{header}]"));
            assert_eq!(
                found.is_empty(),
                allowed,
                "{header} with {section}: {found:?}"
            );
            let told = "a client can write";
            assert!(allowed || found[0].contains(told), "{found:?}");
        }
    }

    #[test]
    fn sections() {
        for (section, expected) in [
            (
                json!({"headers": {"x-a": "%REQ(x-b)%"}}),
                ".headers.x-a: found `%REQ(x-b)%`; allowed: one of",
            ),
            (
                json!({"headers": {"x-a": "text"}}),
                ".headers.x-a: found `text`; allowed: one of",
            ),
            (
                json!({"headers": {"x-a": "%DOWNSTREAM_PEER_EMAIL%"}}),
                ".headers.x-a: found",
            ),
            (
                json!({"headers": {"host": "%DOWNSTREAM_PEER_SUBJECT%"}}),
                ".headers.host: `host` may not be set",
            ),
            (
                json!({"bindTokens": "always"}),
                ".bindTokens: found `always`; allowed: `ifPresent`, `required`, `off`",
            ),
            (
                json!({"trustForwarded": [{"headers": ["x-a"]}]}),
                ".trustForwarded[0]: give one of `sha256`, `subject` and `uriSan`",
            ),
            (
                json!({"trustForwarded": [{"sha256": "12", "headers": ["x-a"]}]}),
                ".trustForwarded[0].sha256: found `12`; allowed: a SHA-256 of 64 hexadecimal digits",
            ),
            (
                json!({
                    "headers": {"x-a": "%DOWNSTREAM_PEER_SUBJECT%"},
                    "trustForwarded": [{"subject": "CN=edge", "headers": ["X-A"]}],
                }),
                ": `x-a` is in `headers` and in `trustForwarded`",
            ),
        ] {
            let found = faults(&section, "request.headers[x-user]");
            let expected = format!("$.clientCertificate{expected}");
            assert!(
                found.len() == 1 && found[0].starts_with(&expected),
                "{section}: {found:?}"
            );
        }
    }

    #[test]
    fn conditions_on_the_peer() {
        let sha256 = "26:9d".repeat(16).replace("d26", "d:26");
        for (key, value, allowed) in [
            ("connection.peer.subject", "CN=x", true),
            ("connection.peer.subject[CN]", "x", true),
            ("connection.peer.issuer[2.5.4.97]", "x", true),
            ("connection.peer.san.uri", "*", true),
            ("connection.peer.sha256", &sha256, true),
            ("connection.peer.sha256", "*", true),
            ("connection.peer.sha256", "abc", false),
            ("connection.peer.subject[]", "x", false),
            ("connection.peer.subject[C N]", "x", false),
            ("connection.peer.san.email", "x", false),
        ] {
            let when = json!([{"key": key, "values": [value]}]);
            let policy = json!({"name": "p", "namespace": "shop", "rules": [{"when": when}]});
            let config = json!({"version": 1, "authorizationPolicies": [policy]}).to_string();
            let read = Config::read(config.as_bytes());
            assert_eq!(read.is_ok(), allowed, "{key} {value}: {:?}", read.err());
        }
    }
}
