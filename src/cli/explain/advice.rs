//! What each reason means, and what a caller or an operator can do about it: a text for every one, or
//! it does not compile.
//!
//! It knows no request. [`super::report`] prints it below the trail, where the values stand.

use crate::verdict::Reason;

/// What is said of a reason, in lower case and without a full stop.
pub(super) struct Advice {
    /// What has happened.
    pub means: &'static str,
    /// What can be done about it.
    pub act: &'static str,
}

/// The advice on a reason.
pub(super) fn advice(reason: Reason) -> Advice {
    let (means, act) = texts(reason);
    Advice { means, act }
}

/// What it means, and what to do.
fn texts(reason: Reason) -> (&'static str, &'static str) {
    use Reason::*;
    match reason {
        MethodUnreadable => (
            "there is no method, or headers such as `x-http-method-override` name more others than \
             can be judged",
            "send one method, and no header that names another one",
        ),
        AuthorityUnreadable => (
            "the authority (`Host`) is missing, or servers could read it in different ways",
            "send one plain host name, with a port at most: no user part, no comma, no space, no \
             letter beyond those of DNS names",
        ),
        PathMissing => (
            "there is no path, or there are two; a CONNECT request has none",
            "send one path; a gateway does not tunnel CONNECT requests",
        ),
        PathUnreadable => (
            "the path does not begin with `/`, or servers could decode it further: an escaped \
             `/`, `\\`, `.`, `;`, `%` or NUL is left after one decoding, or there are too many \
             readings of it",
            "send the path as it is meant, each letter escaped once at most; where the upstream \
             needs such escapes, `pathMatching: ISTIO` judges the path as it stands, which is \
             weaker",
        ),
        ReadingsDiffer => (
            "servers can read the request in several ways, and these are for different API rules",
            "send the path in its plainest form, and no method override; where both readings may \
             have the same access, put them under one rule",
        ),
        ServerNameDiffers => (
            "a client certificate decides here, and the TLS connection was opened for another \
             server name than the request is for",
            "open a connection of its own for this authority (a browser does so by itself after \
             421); `clientCertificate.requireSniMatch: false` turns the check off, and lets a \
             certificate that one authority asked for be used for another",
        ),
        HttpsRequired => (
            "the request came over plain HTTP, and `mesh.httpsRedirect` names the authority",
            "use `https://`; paths that must stay open, such as those of ACME, go into \
             `exceptPaths`",
        ),
        TokenMissing => (
            "a `jwtRules` entry with `presence: REQUIRED` is attached here, and no token was found \
             where it looks",
            "send a token where the rule looks for it, by default as `Authorization: Bearer TOKEN`",
        ),
        TokensDiffer => (
            "different tokens stand at different places of the request, and nobody can say which \
             one counts",
            "send one token at one place; look for a stale cookie or a second header",
        ),
        TokenTooLong => (
            "the token is longer than 16 KiB",
            "have the issuer put less into it, such as group ids in place of names",
        ),
        TokenMalformed => (
            "the token has not three parts with two dots between them, so it is no signed JWT; it \
             may be cut off, encrypted or opaque",
            "send the access token whole and nothing else in its place; opaque tokens are for API \
             rules with `oauth2Introspection`",
        ),
        TokenHeaderBase64 => (
            "the first part of the token is not base64url without padding",
            "send the token as the issuer gave it; look for a cut, a quote or a line break in it",
        ),
        TokenHeaderJson => (
            "the first part of the token is no JSON object, or a name occurs twice in it",
            "send the token as the issuer gave it; if that is how it comes, the issuer is at fault",
        ),
        TokenHeaderCritical => (
            "the header of the token demands an extension by `crit` or `b64`, and none is supported",
            "have the issuer sign plain tokens",
        ),
        TokenAlgorithmMissing => (
            "the header of the token has no `alg`, or one that is no text",
            "have the issuer say how it signs",
        ),
        TokenAlgorithmUnsupported => (
            "the token is signed by an algorithm that is not supported (unsigned tokens, `none`, \
             never are), or not among the `algorithms` of the rule",
            "have the issuer sign with RS256 or ES256, or another one of RS, PS, ES with 256, 384 \
             and 512, or EdDSA; where the rule has `algorithms`, add the one that the issuer uses",
        ),
        TokenKeyIdInvalid => (
            "`kid` in the header of the token is no text, or longer than 256 bytes",
            "have the issuer name its keys by short texts",
        ),
        TokenPayloadBase64 => (
            "the second part of the token is not base64url without padding",
            "send the token as the issuer gave it; look for a cut, a quote or a line break in it",
        ),
        TokenPayloadJson => (
            "the second part of the token is no JSON object, or a name occurs twice in it",
            "send the token as the issuer gave it; if that is how it comes, the issuer is at fault",
        ),
        TokenIssuerType => (
            "`iss` in the token is no text",
            "have the issuer write it as a JSON string",
        ),
        TokenSubjectType => (
            "`sub` in the token is no text",
            "have the issuer write it as a JSON string, also where it is a number",
        ),
        TokenIdType => (
            "`jti` in the token is no text",
            "have the issuer write it as a JSON string",
        ),
        TokenAudienceType => (
            "`aud` in the token is neither a text nor a list of texts",
            "have the issuer write it as a JSON string or a list of them",
        ),
        TokenExpirationType => (
            "`exp` in the token is no number",
            "have the issuer write it as seconds since 1970, without quotes",
        ),
        TokenExpirationRange => (
            "`exp` in the token is no time that can be: negative, or far too large",
            "have the issuer write it as seconds since 1970, not as milliseconds or nanoseconds",
        ),
        TokenNotBeforeType => (
            "`nbf` in the token is no number",
            "have the issuer write it as seconds since 1970, without quotes",
        ),
        TokenNotBeforeRange => (
            "`nbf` in the token is no time that can be: negative, or far too large",
            "have the issuer write it as seconds since 1970, not as milliseconds or nanoseconds",
        ),
        TokenIssuedAtType => (
            "`iat` in the token is no number",
            "have the issuer write it as seconds since 1970, without quotes",
        ),
        TokenIssuedAtRange => (
            "`iat` in the token is no time that can be: negative, or far too large",
            "have the issuer write it as seconds since 1970, not as milliseconds or nanoseconds",
        ),
        TokenSignatureBase64 => (
            "the third part of the token is not base64url without padding",
            "send the token as the issuer gave it; look for a cut at its end",
        ),
        TokenIssuerUnknown => (
            "no JWT rule that is attached here and looks where the token stands has the `issuer` \
             that the token names in `iss`",
            "use a token of an issuer that is configured for this authority and path, or add the \
             issuer to `jwtRules`; `issuer` must be `iss` to the letter, a `/` at its end included",
        ),
        TokenNotYetValid => (
            "the token is not valid before the time in `nbf`",
            "compare the clocks of the issuer and the gateway, or wait; `clockSkew` (60s) says how \
             far they may differ",
        ),
        TokenExpired => (
            "the time in `exp` of the token is over",
            "get a new token; if new ones are refused too, compare the clocks of the issuer and \
             the gateway",
        ),
        TokenExpirationMissing => (
            "the token has no `exp`, so it would be good for ever, and the rule demands one",
            "have the issuer write `exp`; `requireExpiration: false` takes tokens without it",
        ),
        TokenSubjectMissing => (
            "the token has no `sub`, and the rule has `requireSubject: true`",
            "have the issuer write `sub`, or leave the demand out",
        ),
        TokenAudience => (
            "none of the `audiences` of the rule is in `aud` of the token: it was made for somebody \
             else",
            "ask the issuer for a token for one of these audiences, or add the one that it has to \
             `audiences`",
        ),
        TokenSignature => (
            "the token names a key of its issuer, but that key has not signed it: it was changed, \
             or is of another issuer",
            "get a new token; if new ones are refused too, compare `jwks` or `jwksUri` with what \
             the issuer publishes",
        ),
        KeyUnknown => (
            "the issuer publishes no key with the `kid` and `alg` that the token names",
            "get a new token, since the issuer may have changed its keys; if new ones are refused \
             too, look into its key set: keys below 2048 bits, and symmetric ones in a set that \
             is fetched, are not used",
        ),
        KeysUnavailable => (
            "the keys of the issuer could not be fetched, so no token of it can be verified",
            "see that the cluster is there (a ServiceEntry, and a DestinationRule for TLS) and \
             answers with a key set; the log of the gateway says what came of the last fetch",
        ),
        TokenBinding => (
            "the token is bound to a client certificate, or to another key, by `cnf`, and the \
             connection does not show that one; or `clientCertificate.bindTokens: required` \
             demands such a token",
            "send the token over a connection with the certificate that it was issued for",
        ),
        TokenUnreadable => (
            "what stands in the place of the token is no token: it is empty, too long, or has \
             spaces, commas or letters beyond ASCII",
            "send the token as the authorization server gave it, and nothing else in its place",
        ),
        TokenInactive => (
            "the authorization server says that the token is not active, or its `exp` or `nbf` say \
             so: it is expired, revoked, or of another server",
            "get a new token from the server that the rule's provider asks",
        ),
        TokenUse => (
            "the authorization server says that the token is no access token, such as a refresh \
             token",
            "send the access token",
        ),
        IntrospectionFailed => (
            "the authorization server gave no answer in time, or none that RFC 7662 allows",
            "see that `introspectionUrl` leads to its introspection endpoint and that the cluster \
             is there and uses TLS; the log of the gateway says what came",
        ),
        IntrospectionUnauthorized => (
            "the authorization server does not accept the gateway's own credential",
            "correct `clientId`, `clientSecret` and `authMethod` of the provider; the caller can \
             do nothing",
        ),
        IntrospectionThrottled => (
            "the authorization server asks for patience (429)",
            "try again later; a longer `cache.ttl` of the provider asks less often, and a higher \
             limit at the server helps",
        ),
        CredentialMissing => (
            "the API rule demands a token, and there is none where it looks",
            "send a token where the rule looks for it, by default as `Authorization: Bearer TOKEN`; \
             a path that is for everybody needs a rule with `noAuth: true` before this one",
        ),
        SubjectMissing => (
            "the token has no `sub`, and an API rule with `jwt` lets nobody in who has no name",
            "have the issuer write `sub`",
        ),
        AudienceMissing => (
            "the API rule, or the provider, demands an audience that the token has not in `aud`",
            "ask for a token for that audience, or correct `audiences`",
        ),
        IssuerUntrusted => (
            "the token is good, but of an issuer that this rule, or the provider, does not take",
            "use a token of one of the rule's own `authentications`, or add the issuer there; for \
             an introspected token, to `trustedIssuers` of the provider",
        ),
        ScopeMissing => (
            "the API rule demands a scope that the token has not; all of them must be in one of \
             the claims `scp`, `scope` and `scopes`",
            "ask the authorization server for a token with these scopes, and see that the client \
             may have them",
        ),
        AuthorizerDenied => (
            "the external authorizer refuses the request, and its answer goes to the caller",
            "ask whoever runs the authorizer; its own log says why",
        ),
        AuthorizerFailed => (
            "the external authorizer gave no answer, or failed with a status of 500 or more",
            "see that its `service` or `cluster` is there and answers within `timeout`; `failOpen: \
             true` would let requests through without it",
        ),
        RuleDenied => (
            "the API rule for this path and method is `deny: true`",
            "use another path; to open this one, put a rule for it before that one",
        ),
        RuleUnknown => (
            "the authority has API rules, and none of them is for this path and method",
            "compare path and method with those of the rules, or add a rule; `/orders` and \
             `/orders/` are two paths, and `methods` must name each method",
        ),
        AuthorizerUnknown => (
            "a CUSTOM policy matches, and no `extensionProviders` entry has the name of its \
             `provider`",
            "add the provider, or correct the name",
        ),
        PolicyDenied => (
            "a rule of a DENY policy matches; what cannot be told counts as a match",
            "change what the rule is about, or correct the rule; a value that it should not be \
             about goes into one of its `not…` fields",
        ),
        PolicyNotAllowed => (
            "an ALLOW policy is attached here, and none of its rules matches: what no rule allows \
             is refused",
            "change what the closest rule lacks, or add a rule for such requests",
        ),
        AuthorityUnknown => (
            "nothing in the configuration names the authority, and `defaultAction` is `DENY`",
            "correct the host, or name it in `apiRules` or in `appliesTo` of a rule or policy; \
             `operation.hosts` is a condition and names none",
        ),
        Overloaded => (
            "more requests wait for keys or answers than `limits.parkedRequests` allows, or one \
             has waited longer than `limits.parkedFor`",
            "see why keys or answers take so long (the gauge `parked`, the log), then raise the \
             limit if need be",
        ),
        CallsExceeded => (
            "to judge the request, more than 8 questions would have to be asked",
            "name fewer authorizers for one request",
        ),
        Internal => (
            "the gateway has no valid configuration yet, or the host failed",
            "look into the log of the gateway; `portcullis check` names the faults of a \
             configuration",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_reason_has_its_own_meaning_and_something_to_do() {
        let meanings: HashSet<_> = Reason::ALL.iter().map(|it| advice(*it).means).collect();
        assert_eq!(meanings.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let Advice { means, act } = advice(reason);
            for text in [means, act] {
                assert!(text.len() > 20 && !text.ends_with('.'), "{reason}: {text}");
            }
        }
    }
}
