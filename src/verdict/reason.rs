//! Why a request is refused: a closed list. A new reason does not compile until it has a code, a
//! status and a text.
//!
//! Texts are Envoy's or Istio's where they have one. Metrics, case files and logs know the codes.

mod about;

use std::fmt;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is no method, or several that a server may follow.
    MethodUnreadable,
    /// There is no authority, or one that servers read in different ways.
    AuthorityUnreadable,
    /// There is no path (CONNECT without one).
    PathMissing,
    /// The path does not begin with `/`, or can be decoded further.
    PathUnreadable,
    /// It can be read in several ways that are for different API rules.
    ReadingsDiffer,
    /// A client certificate decides, and its connection is for another server name.
    ServerNameDiffers,
    /// It came over plain HTTP, and the authority is for HTTPS.
    HttpsRequired,
    /// A rule demands a token, and there is none.
    TokenMissing,
    /// Tokens at different places are not the same.
    TokensDiffer,
    /// The token is longer than the limit.
    TokenTooLong,
    /// The token has not three parts.
    TokenMalformed,
    /// Its header is not base64url without padding.
    TokenHeaderBase64,
    /// Its header is not a JSON object.
    TokenHeaderJson,
    /// Its header demands an extension.
    TokenHeaderCritical,
    /// Its header names no algorithm.
    TokenAlgorithmMissing,
    /// Its header names an algorithm that is not supported.
    TokenAlgorithmUnsupported,
    /// Its `kid` is no string, or too long.
    TokenKeyIdInvalid,
    /// Its payload is not base64url without padding.
    TokenPayloadBase64,
    /// Its payload is not a JSON object.
    TokenPayloadJson,
    /// `iss` is no string.
    TokenIssuerType,
    /// `sub` is no string.
    TokenSubjectType,
    /// `jti` is no string.
    TokenIdType,
    /// `aud` is neither a string nor a list of strings.
    TokenAudienceType,
    /// `exp` is no number.
    TokenExpirationType,
    /// `exp` is no time.
    TokenExpirationRange,
    /// `nbf` is no number.
    TokenNotBeforeType,
    /// `nbf` is no time.
    TokenNotBeforeRange,
    /// `iat` is no number.
    TokenIssuedAtType,
    /// `iat` is no time.
    TokenIssuedAtRange,
    /// Its signature is not base64url without padding.
    TokenSignatureBase64,
    /// No rule in scope knows its issuer.
    TokenIssuerUnknown,
    /// It is not valid yet.
    TokenNotYetValid,
    /// It is expired.
    TokenExpired,
    /// It has no `exp`, and the rule demands one.
    TokenExpirationMissing,
    /// It has no `sub`, and the rule demands one.
    TokenSubjectMissing,
    /// It is for another audience.
    TokenAudience,
    /// Its signature is wrong.
    TokenSignature,
    /// The issuer has no key that fits it.
    KeyUnknown,
    /// The issuer's keys could not be fetched.
    KeysUnavailable,
    /// It is bound to another client certificate, or to a key that a bearer does not show.
    TokenBinding,
    /// What the credential location holds is no token.
    TokenUnreadable,
    /// The authorization server says that the token is not active.
    TokenInactive,
    /// The token is for another use than access.
    TokenUse,
    /// The authorization server gives no answer, or none that can be believed.
    IntrospectionFailed,
    /// The authorization server does not accept the gateway's own credential.
    IntrospectionUnauthorized,
    /// The authorization server asks for patience.
    IntrospectionThrottled,
    /// An API rule demands a credential, and there is none that it takes.
    CredentialMissing,
    /// The credential says nothing about whom it is for.
    SubjectMissing,
    /// An API rule demands an audience that the credential has not.
    AudienceMissing,
    /// The issuer of the credential is not trusted.
    IssuerUntrusted,
    /// An API rule demands a scope that the credential has not.
    ScopeMissing,
    /// An external authorizer refuses the request.
    AuthorizerDenied,
    /// An external authorizer gives no answer.
    AuthorizerFailed,
    /// An API rule lets nobody through.
    RuleDenied,
    /// No API rule of the authority is for such requests.
    RuleUnknown,
    /// An external authorizer is to judge such requests, and none is known by that name.
    AuthorizerUnknown,
    /// A policy refuses such requests.
    PolicyDenied,
    /// No policy allows such requests.
    PolicyNotAllowed,
    /// Nothing in the configuration names the authority.
    AuthorityUnknown,
    /// Too many requests wait already.
    Overloaded,
    /// To judge it, more would have to be asked than is allowed.
    CallsExceeded,
    /// The gateway has no configuration, or the host failed.
    Internal,
}

/// What a caller is told about the cause, whatever the style of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no credential.
    NoCredential,
    /// The credential is not good.
    BadCredential,
    /// There are several.
    SeveralCredentials,
    /// It is good, but not for this.
    WrongCredential,
    /// It is good, but does not go far enough.
    Scope,
    /// Nothing can be said of it now.
    Outage,
    /// Nothing of the above: the status says it all.
    Other,
}

/// Which part of the product refuses; decides the form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The request itself.
    Request,
    /// Its token, as Envoy's jwt_authn filter would.
    Token,
    /// Its token, of which only its issuer knows what it says.
    Opaque,
    /// A policy, as Envoy's RBAC filter would.
    Policy,
    /// The gateway.
    Gateway,
}

// === impl Reason ===

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 62] = [
        Self::MethodUnreadable,
        Self::AuthorityUnreadable,
        Self::PathMissing,
        Self::PathUnreadable,
        Self::ReadingsDiffer,
        Self::ServerNameDiffers,
        Self::HttpsRequired,
        Self::TokenMissing,
        Self::TokensDiffer,
        Self::TokenTooLong,
        Self::TokenMalformed,
        Self::TokenHeaderBase64,
        Self::TokenHeaderJson,
        Self::TokenHeaderCritical,
        Self::TokenAlgorithmMissing,
        Self::TokenAlgorithmUnsupported,
        Self::TokenKeyIdInvalid,
        Self::TokenPayloadBase64,
        Self::TokenPayloadJson,
        Self::TokenIssuerType,
        Self::TokenSubjectType,
        Self::TokenIdType,
        Self::TokenAudienceType,
        Self::TokenExpirationType,
        Self::TokenExpirationRange,
        Self::TokenNotBeforeType,
        Self::TokenNotBeforeRange,
        Self::TokenIssuedAtType,
        Self::TokenIssuedAtRange,
        Self::TokenSignatureBase64,
        Self::TokenIssuerUnknown,
        Self::TokenNotYetValid,
        Self::TokenExpired,
        Self::TokenExpirationMissing,
        Self::TokenSubjectMissing,
        Self::TokenAudience,
        Self::TokenSignature,
        Self::KeyUnknown,
        Self::KeysUnavailable,
        Self::TokenBinding,
        Self::TokenUnreadable,
        Self::TokenInactive,
        Self::TokenUse,
        Self::IntrospectionFailed,
        Self::IntrospectionUnauthorized,
        Self::IntrospectionThrottled,
        Self::CredentialMissing,
        Self::SubjectMissing,
        Self::AudienceMissing,
        Self::IssuerUntrusted,
        Self::ScopeMissing,
        Self::AuthorizerDenied,
        Self::AuthorizerFailed,
        Self::RuleDenied,
        Self::RuleUnknown,
        Self::AuthorizerUnknown,
        Self::PolicyDenied,
        Self::PolicyNotAllowed,
        Self::AuthorityUnknown,
        Self::Overloaded,
        Self::CallsExceeded,
        Self::Internal,
    ];

    /// Its stable name, for logs, metrics and case files.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.about().0
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(self) -> u16 {
        self.about().1
    }

    /// The body of the answer: where Envoy or Istio have one, theirs.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.about().2
    }

    /// Which part of the product refuses.
    #[must_use]
    pub fn class(self) -> Class {
        use Reason::*;
        match self {
            MethodUnreadable | AuthorityUnreadable | PathMissing | PathUnreadable
            | ReadingsDiffer | ServerNameDiffers | HttpsRequired => Class::Request,
            CredentialMissing | SubjectMissing | AudienceMissing | IssuerUntrusted
            | ScopeMissing | TokenUse | RuleDenied | AuthorizerUnknown | PolicyDenied
            | PolicyNotAllowed => Class::Policy,
            TokenUnreadable | TokenInactive => Class::Opaque,
            IntrospectionFailed
            | IntrospectionUnauthorized
            | IntrospectionThrottled
            | AuthorizerDenied
            | AuthorizerFailed
            | RuleUnknown
            | AuthorityUnknown
            | Overloaded
            | CallsExceeded
            | Internal => Class::Gateway,
            _ => Class::Token,
        }
    }

    /// What a caller is told about the cause.
    #[must_use]
    pub fn kind(self) -> Kind {
        use Reason::*;
        match self {
            TokenMissing | CredentialMissing => Kind::NoCredential,
            TokensDiffer => Kind::SeveralCredentials,
            TokenAudience | SubjectMissing | AudienceMissing | IssuerUntrusted | TokenUse => {
                Kind::WrongCredential
            }
            ScopeMissing => Kind::Scope,
            KeysUnavailable
            | IntrospectionFailed
            | IntrospectionUnauthorized
            | IntrospectionThrottled => Kind::Outage,
            _ if matches!(self.class(), Class::Token | Class::Opaque) => Kind::BadCredential,
            _ => Kind::Other,
        }
    }
}

// === impl Class ===

impl Class {
    /// Its stable name, for metrics and access logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Token => "token",
            Self::Opaque => "opaque_token",
            Self::Policy => "policy",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_distinct_names_and_statuses_refuse() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let name =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(reason.code().bytes().all(name), "{reason}");
            assert!((300..600).contains(&reason.status()), "{reason}");
        }
    }
}
