//! The table of reasons: the code of each, its status and its text, where Envoy or Istio have them,
//! theirs.

use super::Reason;

const UNAVAILABLE: &str = "Service Unavailable";

// === impl Reason ===

impl Reason {
    pub(super) fn about(self) -> (&'static str, u16, &'static str) {
        use Reason::*;
        match self {
            MethodUnreadable => ("method_unreadable", 400, "Bad Request"),
            AuthorityUnreadable => ("authority_unreadable", 400, "Bad Request"),
            PathMissing => ("path_missing", 400, "Bad Request"),
            PathUnreadable => ("path_unreadable", 400, "Bad Request"),
            ReadingsDiffer => ("readings_differ", 400, "Bad Request"),
            ServerNameDiffers => ("server_name_differs", 421, "Misdirected Request"),
            HttpsRequired => ("https_required", 301, ""),
            TokenMissing => ("token_missing", 401, "Jwt is missing"),
            TokensDiffer => ("tokens_differ", 401, "Found multiple Jwt tokens"),
            TokenTooLong => ("token_too_long", 401, "Jwt is too long"),
            TokenMalformed => (
                "token_malformed",
                401,
                "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
            ),
            TokenHeaderBase64 => (
                "token_header_base64",
                401,
                "Jwt header is an invalid Base64url encoded",
            ),
            TokenHeaderJson => ("token_header_json", 401, "Jwt header is an invalid JSON"),
            TokenHeaderCritical => (
                "token_header_critical",
                401,
                "Jwt header [crit] or [b64] is not supported",
            ),
            TokenAlgorithmMissing => (
                "token_algorithm_missing",
                401,
                "Jwt header [alg] field is required and must be a string",
            ),
            TokenAlgorithmUnsupported => (
                "token_algorithm_unsupported",
                401,
                "Jwt header [alg] is not supported",
            ),
            TokenKeyIdInvalid => (
                "token_key_id_invalid",
                401,
                "Jwt header [kid] field is not a string",
            ),
            TokenPayloadBase64 => (
                "token_payload_base64",
                401,
                "Jwt payload is an invalid Base64url encoded",
            ),
            TokenPayloadJson => ("token_payload_json", 401, "Jwt payload is an invalid JSON"),
            TokenIssuerType => (
                "token_issuer_type",
                401,
                "Jwt payload [iss] field is not a string",
            ),
            TokenSubjectType => (
                "token_subject_type",
                401,
                "Jwt payload [sub] field is not a string",
            ),
            TokenIdType => (
                "token_id_type",
                401,
                "Jwt payload [jti] field is not a string",
            ),
            TokenAudienceType => (
                "token_audience_type",
                401,
                "Jwt payload [aud] field is not a string or string list",
            ),
            TokenExpirationType => (
                "token_expiration_type",
                401,
                "Jwt payload [exp] field is not an integer",
            ),
            TokenExpirationRange => (
                "token_expiration_range",
                401,
                "Jwt payload [exp] field is not a positive 64 bit integer",
            ),
            TokenNotBeforeType => (
                "token_not_before_type",
                401,
                "Jwt payload [nbf] field is not an integer",
            ),
            TokenNotBeforeRange => (
                "token_not_before_range",
                401,
                "Jwt payload [nbf] field is not a positive 64 bit integer",
            ),
            TokenIssuedAtType => (
                "token_issued_at_type",
                401,
                "Jwt payload [iat] field is not an integer",
            ),
            TokenIssuedAtRange => (
                "token_issued_at_range",
                401,
                "Jwt payload [iat] field is not a positive 64 bit integer",
            ),
            TokenSignatureBase64 => (
                "token_signature_base64",
                401,
                "Jwt signature is an invalid Base64url encoded",
            ),
            TokenIssuerUnknown => ("token_issuer_unknown", 401, "Jwt issuer is not configured"),
            TokenNotYetValid => ("token_not_yet_valid", 401, "Jwt not yet valid"),
            TokenExpired => ("token_expired", 401, "Jwt is expired"),
            TokenExpirationMissing => ("token_expiration_missing", 401, "Jwt has no expiration"),
            TokenSubjectMissing => ("token_subject_missing", 401, "Jwt has no subject"),
            TokenAudience => ("token_audience", 403, "Audiences in Jwt are not allowed"),
            TokenSignature => ("token_signature", 401, "Jwt verification fails"),
            KeyUnknown => (
                "key_unknown",
                401,
                "Jwks doesn't have key to match kid or alg from Jwt",
            ),
            KeysUnavailable => ("keys_unavailable", 401, "Jwks remote fetch is failed"),
            TokenBinding => ("token_binding", 401, "Jwt is bound to another key"),
            TokenUnreadable => ("token_unreadable", 401, "The token is malformed"),
            TokenInactive => ("token_inactive", 401, "The token is not active"),
            TokenUse => ("token_use", 403, "RBAC: access denied"),
            IntrospectionFailed => ("introspection_failed", 503, UNAVAILABLE),
            IntrospectionUnauthorized => ("introspection_unauthorized", 503, UNAVAILABLE),
            IntrospectionThrottled => ("introspection_throttled", 429, "Too Many Requests"),
            CredentialMissing => ("credential_missing", 403, "RBAC: access denied"),
            SubjectMissing => ("subject_missing", 403, "RBAC: access denied"),
            AudienceMissing => ("audience_missing", 403, "RBAC: access denied"),
            IssuerUntrusted => ("issuer_untrusted", 403, "RBAC: access denied"),
            ScopeMissing => ("scope_missing", 403, "RBAC: access denied"),
            AuthorizerDenied => ("authorizer_denied", 403, ""),
            AuthorizerFailed => ("authorizer_failed", 403, ""),
            RuleDenied => ("rule_denied", 403, "RBAC: access denied"),
            RuleUnknown => ("rule_unknown", 404, ""),
            AuthorizerUnknown => ("authorizer_unknown", 403, "RBAC: access denied"),
            PolicyDenied => ("policy_denied", 403, "RBAC: access denied"),
            PolicyNotAllowed => ("policy_not_allowed", 403, "RBAC: access denied"),
            AuthorityUnknown => ("authority_unknown", 404, ""),
            Overloaded => ("overloaded", 503, UNAVAILABLE),
            CallsExceeded => ("calls_exceeded", 500, "Internal Server Error"),
            Internal => ("internal", 500, "Internal Server Error"),
        }
    }
}
