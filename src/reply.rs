//! An answer of ours as the caller sees it: status, headers, body; and as the access log sees it:
//! details.
//!
//! The forms are those of what we replace, so that clients and dashboards keep working;
//! [`Style`] has the ones that are not Envoy's. What a client sent is only ever written escaped and cut.

mod style;

pub use style::Style;

use crate::request::Request;
use crate::verdict::{Class, Kind, Reason, Refusal, Response};
use std::borrow::Cow;
use std::fmt::Write as _;

/// An answer that we give in place of the upstream.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status. For a gRPC request the host turns it into a `grpc-status`.
    pub status: u16,
    /// Headers, beside those that the host adds.
    pub headers: Vec<(Cow<'static, str>, Vec<u8>)>,
    /// Plain text, unless a header says otherwise.
    pub body: Cow<'static, [u8]>,
    /// `%RESPONSE_CODE_DETAILS%`, without white space.
    pub details: String,
}

/// The longest path in a challenge, in bytes. Envoy's limit.
const MAX_REALM_PATH: usize = 256;

// === impl Reply ===

impl Reply {
    /// The answer to a request that was refused; `request` is absent if it could not be read.
    #[must_use]
    pub fn to(refusal: &Refusal, request: Option<&Request<'_>>) -> Self {
        let details = details(refusal);
        let reply = match &refusal.response {
            Some(response) => Self::of(response, details),
            None => match refusal.style {
                Style::Istio => Self::as_istio(refusal, request, details),
                style => style.reply(refusal, request, details),
            },
        };
        let own = refusal.headers.iter();
        let own = own.map(|(name, value)| (Cow::Borrowed(*name), value.clone().into_bytes()));
        let headers = reply.headers.into_iter();
        let others = headers.filter(|(name, _)| refusal.headers.iter().all(|(it, _)| it != name));
        Self {
            headers: others.chain(own).collect(),
            ..reply
        }
    }

    /// The answer to a CORS preflight.
    #[must_use]
    pub fn to_preflight(response: &Response) -> Self {
        Self::of(response, "portcullis{preflight}".to_owned())
    }

    fn of(response: &Response, details: String) -> Self {
        let headers = response.headers.iter();
        let headers = headers.map(|(name, value)| (Cow::Owned(name.clone()), value.clone()));
        Self {
            status: response.status,
            headers: headers.collect(),
            body: Cow::Owned(response.body.clone()),
            details,
        }
    }

    fn as_istio(refusal: &Refusal, request: Option<&Request<'_>>, details: String) -> Self {
        let reason = refusal.reason;
        let header = match (reason.class(), request) {
            (_, Some(request)) if reason == Reason::HttpsRequired => {
                let location = [
                    b"https://",
                    request.authority_name.as_bytes(),
                    &request.path,
                ];
                Some(("location", escaped(&location)))
            }
            (Class::Token | Class::Opaque, Some(request)) => {
                let mut challenge = format!("Bearer realm=\"{}\"", realm(request));
                if reason.kind() != Kind::NoCredential {
                    challenge.push_str(", error=\"invalid_token\"");
                }
                Some(("www-authenticate", challenge))
            }
            _ => None,
        };
        let header = header.map(|(name, value)| (name.into(), value.into_bytes()));
        Self {
            status: refusal.status.unwrap_or(reason.status()),
            headers: header.into_iter().collect(),
            body: Cow::Borrowed(reason.text().as_bytes()),
            details,
        }
    }
}

fn details(refusal: &Refusal) -> String {
    let reason = refusal.reason;
    if refusal.style != Style::Istio {
        return format!("portcullis{{{reason}}}");
    }
    match reason.class() {
        Class::Token => {
            format!(
                "jwt_authn_access_denied{{{}}}",
                reason.text().replace(' ', "_")
            )
        }
        Class::Policy => {
            let rule = refusal.rule.as_deref().unwrap_or("none");
            format!("rbac_access_denied_matched_policy[{rule}]")
        }
        Class::Request | Class::Opaque | Class::Gateway => format!("portcullis{{{reason}}}"),
    }
}

/// `scheme://authority/path`, as Envoy's jwt_authn filter names the realm.
fn realm(request: &Request<'_>) -> String {
    let path = request.path.get(..MAX_REALM_PATH).unwrap_or(&request.path);
    escaped(&[request.scheme, b"://", request.authority, path])
}

/// Bytes of a client as a header may hold them, also in a quoted-string (RFC 9110, 5.6.4).
fn escaped(parts: &[&[u8]]) -> String {
    let mut text = String::new();
    for byte in parts.iter().copied().flatten() {
        match byte {
            b'"' | b'\\' | ..=0x20 | 0x7f.. => {
                // Writing to a String does not fail.
                let _ = write!(text, "%{byte:02X}");
            }
            plain => text.push(char::from(*plain)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Headers, UNKNOWN_CONNECTION};

    #[test]
    fn a_token_is_challenged_with_what_the_client_sent_escaped_and_cut() {
        let long = format!("/{}", "x".repeat(300));
        for (path, expected) in [
            (
                "/a?b=c",
                "Bearer realm=\"http://a.com:80/a?b=c\", error=\"invalid_token\"".to_owned(),
            ),
            (
                "/\"\\ \u{e9}",
                "Bearer realm=\"http://a.com:80/%22%5C%20%C3%A9\", error=\"invalid_token\""
                    .to_owned(),
            ),
            (
                &long,
                format!(
                    "Bearer realm=\"http://a.com:80{}\", error=\"invalid_token\"",
                    long.get(..256).unwrap()
                ),
            ),
        ] {
            let mut headers = Headers::default();
            for (name, value) in [
                (":method", "GET"),
                (":authority", "a.com:80"),
                (":path", path),
            ] {
                headers.push(name, value.as_bytes());
            }
            let request = Request::read(&headers, &UNKNOWN_CONNECTION).unwrap();
            let reply = Reply::to(&Reason::TokenExpired.into(), Some(&request));
            let challenge = ("www-authenticate".into(), expected.into_bytes());
            assert_eq!(reply.headers, [challenge]);
            assert_eq!((reply.status, &*reply.body), (401, &b"Jwt is expired"[..]));
            assert_eq!(reply.details, "jwt_authn_access_denied{Jwt_is_expired}");
        }
    }

    #[test]
    fn details_name_the_rule_and_have_no_white_space() {
        let rule = Some("ns[foo]-policy[bar]-rule[0]".into());
        let denied = Reply::to(
            &Refusal {
                rule,
                ..Reason::PolicyDenied.into()
            },
            None,
        );
        assert_eq!(
            denied.details,
            "rbac_access_denied_matched_policy[ns[foo]-policy[bar]-rule[0]]"
        );
        assert_eq!(
            (denied.status, &*denied.body),
            (403, &b"RBAC: access denied"[..])
        );
        for reason in Reason::ALL {
            let details = Reply::to(&reason.into(), None).details;
            assert!(!details.contains(char::is_whitespace), "{details}");
        }
    }
}
