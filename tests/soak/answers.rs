//! The answers that a gateway may give to the soak's requests, each with the reason under which it
//! counts them.
//!
//! They are written down here, and not taken from the product, which is what is judged.

use crate::harness::Response;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// The upstream's.
    Passed,
    TokenExpired,
    IssuerUnknown,
    SignatureWrong,
    KeyUnknown,
    /// No policy allows it.
    NotAllowed,
    /// A rule denies it.
    Denied,
    ScopeMissing,
    TokenInactive,
    IntrospectionFailed,
    IntrospectionUnauthorized,
    IntrospectionThrottled,
    AuthorizerDenied,
    AuthorizerFailed,
    AuthorityUnknown,
}

/// The body of the upstream's answers.
pub const UPSTREAM: &str = "the upstream";

// === impl Answer ===

impl Answer {
    pub const ALL: [Answer; 15] = [
        Answer::Passed,
        Answer::TokenExpired,
        Answer::IssuerUnknown,
        Answer::SignatureWrong,
        Answer::KeyUnknown,
        Answer::NotAllowed,
        Answer::Denied,
        Answer::ScopeMissing,
        Answer::TokenInactive,
        Answer::IntrospectionFailed,
        Answer::IntrospectionUnauthorized,
        Answer::IntrospectionThrottled,
        Answer::AuthorizerDenied,
        Answer::AuthorizerFailed,
        Answer::AuthorityUnknown,
    ];

    /// The reason, status and body.
    fn about(self) -> (&'static str, u16, &'static str) {
        const DENIED: &str = "RBAC: access denied";
        const UNAVAILABLE: &str = "Service Unavailable";
        match self {
            Answer::Passed => ("", 200, UPSTREAM),
            Answer::TokenExpired => ("token_expired", 401, "Jwt is expired"),
            Answer::IssuerUnknown => ("token_issuer_unknown", 401, "Jwt issuer is not configured"),
            Answer::SignatureWrong => ("token_signature", 401, "Jwt verification fails"),
            Answer::KeyUnknown => (
                "key_unknown",
                401,
                "Jwks doesn't have key to match kid or alg from Jwt",
            ),
            Answer::NotAllowed => ("policy_not_allowed", 403, DENIED),
            Answer::Denied => ("rule_denied", 403, DENIED),
            Answer::ScopeMissing => ("scope_missing", 403, DENIED),
            Answer::TokenInactive => ("token_inactive", 401, "The token is not active"),
            Answer::IntrospectionFailed => ("introspection_failed", 503, UNAVAILABLE),
            Answer::IntrospectionUnauthorized => ("introspection_unauthorized", 503, UNAVAILABLE),
            Answer::IntrospectionThrottled => ("introspection_throttled", 429, "Too Many Requests"),
            Answer::AuthorizerDenied => ("authorizer_denied", 401, "{}"),
            Answer::AuthorizerFailed => ("authorizer_failed", 403, ""),
            Answer::AuthorityUnknown => ("authority_unknown", 404, ""),
        }
    }

    /// The reason for a refusal, as the gateway counts it.
    pub fn reason(self) -> Option<&'static str> {
        Some(self.about().0).filter(|reason| !reason.is_empty())
    }

    pub fn is(self, response: &Response) -> bool {
        let (_, status, body) = self.about();
        let patience = matches!(
            self,
            Answer::IntrospectionFailed
                | Answer::IntrospectionUnauthorized
                | Answer::IntrospectionThrottled
        );
        response.status == status
            && response.body == body.as_bytes()
            && response.header("retry-after").is_some() == patience
    }
}
