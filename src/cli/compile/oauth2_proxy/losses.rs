//! What an oauth2-proxy does beside verifying tokens, and the gateway does not.
//!
//! What it demands of callers beyond that is an error, since more would be let in; what it lets in
//! otherwise (cookies, open routes) is a warning.

use super::settings::Proxy;
use crate::cli::compile::Context;

/// Settings that admit fewer callers, and what to do without them.
const NARROWER: [(&str, &str); 12] = [
    ("allowed-group", GROUPS),
    ("allowed-role", GROUPS),
    ("gitlab-group", GROUPS),
    ("gitlab-project", GROUPS),
    ("google-group", GROUPS),
    ("github-org", GROUPS),
    ("github-team", GROUPS),
    ("github-user", GROUPS),
    ("keycloak-group", GROUPS),
    (
        "authenticated-emails-file",
        "have the issuer give tokens for this audience to those people alone, or compile without \
         `--inline`",
    ),
    (
        "alpha-config",
        "give the settings as flags, or compile without `--inline`",
    ),
    (
        "oidc-public-key-file",
        "give `oidc-jwks-url`, or compile without `--inline`",
    ),
];

const GROUPS: &str = "take the setting away, and add an AuthorizationPolicy for the host with `when: \
                      [{key: \"request.auth.claims[groups]\", values: […]}]`; or compile without \
                      `--inline`";

/// Settings that admit more callers.
const WIDER: [(&str, &str); 6] = [
    (
        "skip-auth-route",
        "add rules with `noAuth: true` for these paths",
    ),
    (
        "skip-auth-regex",
        "add rules with `noAuth: true` for these paths",
    ),
    (
        "trusted-ip",
        "add rules for these callers, or compile without `--inline`",
    ),
    (
        "htpasswd-file",
        "compile without `--inline` if anybody uses it",
    ),
    (
        "insecure-oidc-skip-issuer-verification",
        "add each issuer whose tokens are in use to `extra-jwt-issuers`",
    ),
    (
        "skip-auth-preflight",
        "give the rule's `corsPolicy`, by which the gateway answers preflights",
    ),
];

/// Tells everything that is lost.
pub fn tell(context: &Context<'_>, proxy: &Proxy<'_>) {
    tell_unknown(proxy);
    tell_narrower(proxy);
    tell_unverified(context, proxy);
    tell_wider(proxy);
}

fn tell_unknown(proxy: &Proxy<'_>) {
    // Of these, nothing hangs on the value.
    let irrelevant = [
        "client-secret",
        "cookie-secret",
        "redis-password",
        "redis-sentinel-password",
    ];
    for unknown in proxy.unknowns() {
        if !irrelevant.contains(&unknown.what.as_str()) {
            proxy.reading.error(
                unknown.node,
                format!("{} is not in the input, and may say who is let in", unknown.what),
                "give the setting as a flag (`extraArgs`), or add the ConfigMap; or compile without \
                 `--inline`",
            );
        }
    }
}

/// What would let more in, if it were left out.
fn tell_narrower(proxy: &Proxy<'_>) {
    let reading = proxy.reading;
    for (name, help) in NARROWER {
        let given = proxy.get(name).filter(|_| proxy.text(name).is_some());
        if let Some(setting) = given {
            let message = format!("`{name}` cannot be kept: the gateway would let more callers in");
            reading.error(setting.node, message, help);
        }
    }
    let domains = proxy.list("email-domain");
    if !domains.contains(&"*") {
        reading.error(
            proxy.place("email-domain"),
            "`email-domain` cannot be kept: the gateway does not look at addresses",
            "write `email-domain: \"*\"` if the issuer vouches for everybody, or compile without \
             `--inline`",
        );
    }
    let claims = proxy.list("oidc-audience-claim");
    if claims.iter().any(|claim| *claim != "aud") {
        reading.error(
            proxy.place("oidc-audience-claim"),
            "`oidc-audience-claim` cannot be kept: the gateway looks at `aud`",
            "have the issuer write the audience into `aud`, or compile without `--inline`",
        );
    }
    let provider = proxy.text("provider").unwrap_or("google");
    if !["oidc", "keycloak-oidc"].contains(&provider) {
        reading.error(
            proxy.place("provider"),
            format!("the provider `{provider}` demands more than a token of its issuer"),
            "use the provider `oidc`, or compile without `--inline`",
        );
    }
    if !proxy.flag("skip-jwt-bearer-tokens") {
        reading.error(
            proxy.place("skip-jwt-bearer-tokens"),
            "without `skip-jwt-bearer-tokens` oauth2-proxy takes no tokens, only the cookies of those who log in",
            "write `skip-jwt-bearer-tokens: true` if callers send tokens, or compile without `--inline`",
        );
    }
}

/// Addresses that their holders have not proven.
fn tell_unverified(context: &Context<'_>, proxy: &Proxy<'_>) {
    let asks = proxy
        .text("oidc-email-claim")
        .is_none_or(|claim| claim == "email")
        && !proxy.flag("insecure-oidc-allow-unverified-email");
    let asks = asks || !proxy.list("extra-jwt-issuers").is_empty();
    if asks && !context.settings.allow_unverified_email {
        proxy.reading.error(
            proxy.place("insecure-oidc-allow-unverified-email"),
            "oauth2-proxy refuses tokens with `email_verified: false`, and the gateway does not look \
             at that",
            "add `--allow-unverified-email` if the issuer writes no such tokens, or compile without \
             `--inline`",
        );
    }
}

/// What lets fewer in, now that it is left out.
fn tell_wider(proxy: &Proxy<'_>) {
    let reading = proxy.reading;
    for (name, help) in WIDER {
        let given = proxy.text(name).is_some_and(|it| it != "false");
        if given {
            let message = format!("`{name}` is left out: callers whom it lets in may be refused");
            reading.warning(proxy.place(name), message, help);
        }
    }
    let login = proxy.text("login-url").unwrap_or_default();
    if !login.starts_with("static://") {
        reading.warning(
            proxy.place("login-url"),
            "browsers are no longer sent to log in, and their cookies no longer count: a request \
             without a token is answered 401",
            "compile without `--inline` if people use it by browser",
        );
    }
    if proxy.text("bearer-token-login-fallback") == Some("false") {
        reading.warning(
            proxy.place("bearer-token-login-fallback"),
            "an invalid token is answered 401 rather than 403",
            "",
        );
    }
}
