//! A refusal as the caller sees it: status, headers, body; and as the access log sees it: details.
//!
//! The forms are Envoy's, so that clients and dashboards keep working: jwt_authn's for tokens,
//! RBAC's for policies. What a client sent is only ever written escaped and cut.

use crate::request::Request;
use crate::verdict::{Class, Reason, Refusal};
use std::fmt::Write as _;

/// An answer that we give in place of the upstream.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status. For a gRPC request the host turns it into a `grpc-status`.
    pub status: u16,
    /// Headers, beside those that the host adds.
    pub headers: Vec<(&'static str, String)>,
    /// Plain text.
    pub body: &'static str,
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
            (Class::Token, Some(request)) => {
                let mut challenge = format!("Bearer realm=\"{}\"", realm(request));
                if reason != Reason::TokenMissing {
                    challenge.push_str(", error=\"invalid_token\"");
                }
                Some(("www-authenticate", challenge))
            }
            _ => None,
        };
        Self {
            status: reason.status(),
            headers: header.into_iter().collect(),
            body: reason.text(),
            details: details(refusal),
        }
    }
}

fn details(refusal: &Refusal) -> String {
    let reason = refusal.reason;
    match (reason.class(), reason) {
        (Class::Token, _) => {
            format!(
                "jwt_authn_access_denied{{{}}}",
                reason.text().replace(' ', "_")
            )
        }
        (Class::Policy, _) => {
            let rule = refusal.rule.as_deref().unwrap_or("none");
            format!("rbac_access_denied_matched_policy[{rule}]")
        }
        (Class::Request | Class::Gateway, _) => format!("portcullis{{{reason}}}"),
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
            assert_eq!(reply.headers, [("www-authenticate", expected)]);
            assert_eq!((reply.status, reply.body), (401, "Jwt is expired"));
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
        assert_eq!((denied.status, denied.body), (403, "RBAC: access denied"));
        for reason in Reason::ALL {
            let details = Reply::to(&reason.into(), None).details;
            assert!(!details.contains(char::is_whitespace), "{details}");
        }
    }
}
