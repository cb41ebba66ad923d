//! `errorStyle`: refusals in the forms of Oathkeeper, oauth2-proxy and RFC 6750.
//!
//! Each style is a table from the kind of a refusal to a status, and a form for the body. Bodies are
//! made of constants; of what a client sent, only a plain request id is repeated.

use super::{Reply, realm};
use crate::request::Request;
use crate::verdict::{Kind, Reason, Refusal};
use std::borrow::Cow;

/// How refusals look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As Envoy's jwt_authn and RBAC filters answer in Istio.
    #[default]
    Istio,
    /// As Oathkeeper's `jwt` authenticator answers: 401 for everything about a token.
    OathkeeperJwt,
    /// As its `oauth2_introspection` answers.
    OathkeeperIntrospection,
    /// As oauth2-proxy answers with `force-json-errors`.
    Oauth2Proxy,
    /// A challenge (RFC 6750, 3) and a problem document (RFC 9457).
    Rfc6750,
}

// === impl Style ===

impl Style {
    pub(super) fn reply(
        self,
        refusal: &Refusal,
        request: Option<&Request<'_>>,
        details: String,
    ) -> Reply {
        let status = self.status(refusal);
        let (content_type, body) = match self {
            Self::Istio => ("text/plain", refusal.reason.text().to_owned()),
            Self::OathkeeperJwt | Self::OathkeeperIntrospection => {
                ("application/json", oathkeeper_body(status, request))
            }
            Self::Oauth2Proxy => ("application/json", "{}".to_owned()),
            Self::Rfc6750 => ("application/problem+json", problem(status, refusal)),
        };
        let mut headers = vec![("content-type".into(), content_type.as_bytes().to_vec())];
        if self == Self::Rfc6750 {
            let challenge = request.and_then(|request| challenge(refusal, request));
            let header = |it: String| ("www-authenticate".into(), it.into_bytes());
            headers.extend(challenge.map(header));
        }
        Reply {
            status,
            headers,
            body: Cow::Owned(body.into_bytes()),
            details,
        }
    }

    /// The status for what went wrong; the reason's own where the style says nothing of it.
    fn status(self, refusal: &Refusal) -> u16 {
        let own = refusal.status.unwrap_or(refusal.reason.status());
        let is_throttled = refusal.reason == Reason::IntrospectionThrottled;
        match (self, refusal.reason.kind()) {
            (_, Kind::Other) | (Self::Istio, _) => own,
            (Self::Rfc6750, Kind::SeveralCredentials) => 400,
            (Self::OathkeeperJwt, _) => 401,
            (Self::OathkeeperIntrospection, Kind::WrongCredential) => 403,
            (Self::OathkeeperIntrospection, Kind::Outage) if is_throttled => 429,
            (Self::OathkeeperIntrospection, Kind::Outage) => 500,
            (Self::Rfc6750, Kind::Outage) if refusal.reason == Reason::KeysUnavailable => 503,
            (Self::Oauth2Proxy | Self::Rfc6750, Kind::Outage) => own,
            (_, Kind::Scope) => 403,
            _ => 401,
        }
    }
}

/// RFC 6750, 3.1. Without a credential there is no error to tell of.
fn challenge(refusal: &Refusal, request: &Request<'_>) -> Option<String> {
    let realm = realm(request);
    let error = match refusal.reason.kind() {
        Kind::NoCredential => return Some(format!("Bearer realm=\"{realm}\"")),
        Kind::BadCredential | Kind::WrongCredential => "invalid_token",
        Kind::SeveralCredentials => "invalid_request",
        Kind::Scope => "insufficient_scope",
        Kind::Outage | Kind::Other => return None,
    };
    let detail = detail(refusal.reason);
    let mut challenge =
        format!("Bearer realm=\"{realm}\", error=\"{error}\", error_description=\"{detail}\"");
    // RFC 6750, 3: a scope is neither a quote nor a backslash.
    let plain = |scopes: &&str| !scopes.contains(['"', '\\']);
    let scopes = refusal.scopes.as_deref().filter(plain);
    if let Some(scopes) = scopes.filter(|_| error == "insufficient_scope") {
        challenge.push_str(", scope=\"");
        challenge.push_str(scopes);
        challenge.push('"');
    }
    Some(challenge)
}

/// RFC 9457.
fn problem(status: u16, refusal: &Refusal) -> String {
    let (title, detail) = (title(status), detail(refusal.reason));
    format!(r#"{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail}"}}"#)
}

fn oathkeeper_body(status: u16, request: Option<&Request<'_>>) -> String {
    let message = match status {
        401 => "The request could not be authorized",
        403 => "The requested action was forbidden",
        404 => "The requested resource could not be found",
        429 => "The server is busy, please try again later",
        _ => "An internal server error occurred, please contact the system administrator",
    };
    let id = request.and_then(|request| request.headers.all("x-request-id").next());
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let id = id.filter(|id| id.len() <= 128 && id.iter().all(plain));
    let id = String::from_utf8_lossy(id.unwrap_or_default());
    let title = title(status);
    format!(
        r#"{{"error":{{"code":{status},"status":"{title}","request":"{id}","message":"{message}"}}}}"#
    )
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// What went wrong in a sentence: printable ASCII without quotes, as RFC 6750, 3 wants it.
fn detail(reason: Reason) -> &'static str {
    match (reason, reason.kind()) {
        (_, Kind::NoCredential) => "A token is required",
        (_, Kind::SeveralCredentials) => "There are several tokens in the request",
        (Reason::TokenAudience | Reason::AudienceMissing, _) => "The token is for another audience",
        (Reason::SubjectMissing, _) => "The token has no subject",
        (Reason::IssuerUntrusted, _) => "The issuer of the token is not trusted",
        (Reason::TokenUse, _) => "The token is no access token",
        (_, Kind::Scope) => "The token does not grant what is needed",
        (_, Kind::Outage) => "The token cannot be checked at the moment",
        (_, Kind::BadCredential) => reason.text(),
        (Reason::RuleUnknown | Reason::AuthorityUnknown, _) => "There is nothing here",
        _ => "The request is refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Headers, UNKNOWN_CONNECTION};

    const STYLES: [Style; 5] = [
        Style::Istio,
        Style::OathkeeperIntrospection,
        Style::OathkeeperJwt,
        Style::Oauth2Proxy,
        Style::Rfc6750,
    ];

    fn replies(reason: Reason) -> Vec<Reply> {
        let mut headers = Headers::default();
        for (name, value) in [
            (":method", "GET"),
            (":authority", "a.com"),
            (":path", "/p"),
            ("x-request-id", "id-1"),
        ] {
            headers.push(name, value.as_bytes());
        }
        let request = Request::read(&headers, &UNKNOWN_CONNECTION).unwrap();
        let reply = |style| {
            let refusal = Refusal {
                style,
                scopes: Some("read write".into()),
                ..reason.into()
            };
            Reply::to(&refusal, Some(&request))
        };
        STYLES.into_iter().map(reply).collect()
    }

    #[test]
    fn statuses() {
        use Reason::*;
        for (reason, expected) in [
            // Istio, Oathkeeper's introspection, its jwt, oauth2-proxy, RFC 6750
            (CredentialMissing, [403, 401, 401, 401, 401]),
            (TokenMissing, [401, 401, 401, 401, 401]),
            (TokenMalformed, [401, 401, 401, 401, 401]),
            (TokenExpired, [401, 401, 401, 401, 401]),
            (TokenInactive, [401, 401, 401, 401, 401]),
            (TokenSignature, [401, 401, 401, 401, 401]),
            (TokensDiffer, [401, 401, 401, 401, 400]),
            (AudienceMissing, [403, 403, 401, 401, 401]),
            (IssuerUntrusted, [403, 403, 401, 401, 401]),
            (TokenIssuerUnknown, [401, 401, 401, 401, 401]),
            (TokenUse, [403, 403, 401, 401, 401]),
            (ScopeMissing, [403, 403, 401, 403, 403]),
            (KeysUnavailable, [401, 500, 401, 401, 503]),
            (IntrospectionFailed, [503, 500, 401, 503, 503]),
            (IntrospectionThrottled, [429, 429, 401, 429, 429]),
            (RuleUnknown, [404, 404, 404, 404, 404]),
            (RuleDenied, [403, 403, 403, 403, 403]),
            (PathUnreadable, [400, 400, 400, 400, 400]),
            (Internal, [500, 500, 500, 500, 500]),
        ] {
            let found: Vec<_> = replies(reason).iter().map(|it| it.status).collect();
            assert_eq!(found, expected, "{reason}");
        }
    }

    #[test]
    fn challenges_are_those_of_rfc_6750() {
        let realm = r#"Bearer realm="http://a.com/p""#;
        for (reason, expected) in [
            (Reason::CredentialMissing, Some(realm.to_owned())),
            (
                Reason::TokenExpired,
                Some(format!(
                    r#"{realm}, error="invalid_token", error_description="Jwt is expired""#
                )),
            ),
            (
                Reason::ScopeMissing,
                Some(format!(
                    r#"{realm}, error="insufficient_scope", error_description="The token does not grant what is needed", scope="read write""#
                )),
            ),
            (Reason::IntrospectionFailed, None),
            (Reason::RuleUnknown, None),
        ] {
            let reply = replies(reason).pop().unwrap();
            let found = reply
                .headers
                .iter()
                .find(|(name, _)| name == "www-authenticate");
            let found = found.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
            assert_eq!(found, expected, "{reason}");
        }
    }

    #[test]
    fn bodies_are_what_their_types_say() {
        for reason in Reason::ALL {
            let bodies = replies(reason).into_iter().map(|it| it.body).skip(1);
            for (style, body) in STYLES.iter().skip(1).zip(bodies) {
                let json: Result<serde_json::Value, _> = serde_json::from_slice(&body);
                assert!(json.is_ok(), "{reason} as {style:?}");
            }
        }
        let oathkeeper = replies(Reason::CredentialMissing).swap_remove(1);
        assert_eq!(
            String::from_utf8_lossy(&oathkeeper.body),
            r#"{"error":{"code":401,"status":"Unauthorized","request":"id-1","message":"The request could not be authorized"}}"#
        );
        let rfc6750 = replies(Reason::ScopeMissing).pop().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&rfc6750.body),
            r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"The token does not grant what is needed"}"#
        );
    }
}
