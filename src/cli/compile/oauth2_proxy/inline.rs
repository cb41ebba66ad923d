//! The gateway verifies the tokens that an oauth2-proxy would.
//!
//! What it would demand beyond that is an error, since it would be lost; what it would let in
//! otherwise (cookies, open routes) is lost, and a warning.

use super::settings::Proxy;
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::istio::providers;
use crate::cli::compile::resource::Reading;
use crate::cli::compile::written::{
    ClaimToHeader, ExtAuth, FromHeader, JwtDemand, JwtRule, Strategy,
};
use crate::cli::yaml::Node;

/// How refusals look, by `errorStyle`: as oauth2-proxy's own.
const STYLE: &str = "oauth2-proxy";

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

/// Has the gateway verify tokens itself where `ext_auth` asks an oauth2-proxy of the input, if that
/// is wanted: the strategy in its place, and the `errorStyle` of its rule. `node` is what asks.
///
/// Authorizers that are no oauth2-proxy stay. What is inlined need not be there as an authorizer.
pub fn inlined(
    context: &Context<'_>,
    draft: &mut Draft,
    (reading, node): (Reading<'_>, &Node),
    ext_auth: ExtAuth,
) -> (Strategy, Option<&'static str>) {
    if !context.settings.inline {
        return (Strategy::ExtAuth(ext_auth), None);
    }
    let (mut authorizers, mut demands) = (Vec::new(), Vec::new());
    for name in ext_auth.authorizers {
        match super::of_authorizer(context, (reading, node), &name) {
            Some(proxy) => demands.push(demand(context, draft, &proxy, &name)),
            None => authorizers.push(name),
        }
    }
    if demands.len() > 1 || (!demands.is_empty() && ext_auth.restrictions.is_some()) {
        reading.error(
            node,
            "a request would have to hold tokens for several demands at once, which the gateway does \
             not verify in one rule",
            "compile without `--inline`, or leave `restrictions` out if those of oauth2-proxy will do",
        );
    }
    let Some(demand) = demands.pop() else {
        let restrictions = ext_auth.restrictions;
        let ext_auth = ExtAuth {
            authorizers,
            restrictions,
        };
        return (Strategy::ExtAuth(ext_auth), None);
    };
    let strategy = match authorizers.is_empty() {
        true => Strategy::Jwt(demand),
        false => Strategy::ExtAuth(ExtAuth {
            authorizers,
            restrictions: Some(demand),
        }),
    };
    (strategy, Some(STYLE))
}

/// What the gateway demands in place of a proxy.
fn demand(context: &Context<'_>, draft: &mut Draft, proxy: &Proxy<'_>, name: &str) -> JwtDemand {
    tell_unknown(proxy);
    tell_narrower(context, proxy);
    tell_wider(proxy);
    let outputs = outputs(context, proxy, name);
    let rules = issuers(context, proxy).into_iter();
    let rules = rules.map(|(issuer, jwks_uri, audiences)| {
        draft.reach_url(jwks_uri.as_deref().unwrap_or(&issuer));
        JwtRule {
            issuer: Some(issuer),
            audiences,
            jwks_uri,
            // oauth2-proxy knows no skew, and looks nowhere else.
            clock_skew: Some("0s".to_owned()),
            from_headers: vec![FromHeader {
                name: "Authorization".to_owned(),
                prefix: Some("Bearer ".to_owned()),
            }],
            output_claim_to_headers: outputs.clone(),
            ..JwtRule::default()
        }
    });
    JwtDemand {
        authentications: rules.collect(),
        ..JwtDemand::default()
    }
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
fn tell_narrower(context: &Context<'_>, proxy: &Proxy<'_>) {
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
            "without `skip-jwt-bearer-tokens` it takes no tokens, only the cookies of those who log in",
            "write `skip-jwt-bearer-tokens: true` if callers send tokens, or compile without `--inline`",
        );
    }
    let asks = proxy
        .text("oidc-email-claim")
        .is_none_or(|claim| claim == "email")
        && !proxy.flag("insecure-oidc-allow-unverified-email");
    let asks = asks || !proxy.list("extra-jwt-issuers").is_empty();
    if asks && !context.settings.allow_unverified_email {
        reading.error(
            proxy.place("insecure-oidc-allow-unverified-email"),
            "it refuses tokens with `email_verified: false`, and the gateway does not look at that",
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

type Issuer = (String, Option<String>, Vec<String>);

/// Issuers, where their keys are unless that is to be discovered, and audiences.
fn issuers(context: &Context<'_>, proxy: &Proxy<'_>) -> Vec<Issuer> {
    let reading = proxy.reading;
    let required = |name: &str| {
        let value = proxy.text(name);
        // What is given in a place that cannot be seen was told before.
        let unseen = proxy.unknowns().iter().any(|it| it.what == name);
        if value.is_none() && !unseen {
            let message = format!("`{name}` is missing");
            let root = &reading.resource.root;
            reading.error(root, message, "add it, or compile without `--inline`");
        }
        value.map(str::to_owned)
    };
    let given = |issuer: &str| {
        let mut uris = context.settings.jwks_uris.iter();
        let found = uris.find(|(it, _)| it == issuer);
        found.map(|(_, uri)| uri.clone())
    };
    let extra = proxy.list("oidc-extra-audience");
    let audiences = |own: &str| {
        let extra = extra.iter().copied();
        let audiences = std::iter::once(own).chain(extra);
        audiences.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut issuers = Vec::new();
    let (issuer, client) = (required("oidc-issuer-url"), required("client-id"));
    if let (Some(issuer), Some(client)) = (issuer, client) {
        let uri = match proxy.flag("skip-oidc-discovery") {
            true => required("oidc-jwks-url"),
            false => None,
        };
        let uri = uri.or_else(|| given(&issuer));
        issuers.push((issuer, uri, audiences(&client)));
    }
    for pair in proxy.list("extra-jwt-issuers") {
        match pair.split_once('=') {
            Some((issuer, audience)) => {
                let uri = given(issuer);
                issuers.push((issuer.to_owned(), uri, audiences(audience)));
            }
            None => reading.error(
                proxy.place("extra-jwt-issuers"),
                format!("found `{pair}`; allowed: `ISSUER=AUDIENCE`"),
                "",
            ),
        }
    }
    issuers
}

/// What the authorizer's definition passes on of its answer, as headers from claims.
fn outputs(context: &Context<'_>, proxy: &Proxy<'_>, name: &str) -> Vec<ClaimToHeader> {
    let Some((resource, definition)) = providers::defined(context, name) else {
        return Vec::new();
    };
    let reading = context.reading(resource);
    let listed = super::http(definition).get("headersToUpstreamOnAllow");
    let listed = listed.or_else(|| definition.at(&["headers", "toUpstream", "onAllow"]));
    let mut outputs = Vec::new();
    for item in listed.map_or(&[][..], Node::items) {
        let pattern = item.text().unwrap_or_default().to_lowercase();
        let matches = |header: &str| match pattern.strip_suffix('*') {
            Some(prefix) => header.starts_with(prefix),
            None => header == pattern,
        };
        let told = proxy.flag("set-xauthrequest");
        let mut is_known = matches("authorization") || matches("gap-auth");
        for (header, claim) in [
            ("x-auth-request-user", Some("sub")),
            (
                "x-auth-request-email",
                proxy.text("oidc-email-claim").or(Some("email")),
            ),
            (
                "x-auth-request-preferred-username",
                Some("preferred_username"),
            ),
            ("x-auth-request-groups", None),
            ("x-auth-request-access-token", None),
        ] {
            let told = told
                && (header != "x-auth-request-access-token" || proxy.flag("pass-access-token"));
            if !matches(header) || !told {
                continue;
            }
            is_known = true;
            match claim.filter(|claim| !claim.contains(['.', '['])) {
                Some(claim) => outputs.push(ClaimToHeader {
                    header: header.to_owned(),
                    claim: claim.to_owned(),
                }),
                None => reading.error(
                    item,
                    format!("`{header}` cannot be told from a token here, and a client could write it"),
                    "leave it out of the list if the application does not need it (the token itself \
                     goes on to it), or compile without `--inline`",
                ),
            }
        }
        if matches("gap-auth") {
            let message =
                "`gap-auth` cannot be told from a token here, and a client could write it";
            reading.error(item, message, "take `x-auth-request-email` instead");
        }
        if !is_known {
            reading.warning(
                item,
                format!(
                    "`{pattern}` is not in the answers of this oauth2-proxy: as before, what a \
                         client writes there goes on"
                ),
                "leave it out; the application must not believe it",
            );
        }
    }
    if outputs.iter().any(|it| it.header == "x-auth-request-email") {
        reading.warning(
            listed.unwrap_or(definition),
            "`x-auth-request-email` is absent where a token has no address; oauth2-proxy writes the \
             subject then",
            "",
        );
    }
    outputs
}
