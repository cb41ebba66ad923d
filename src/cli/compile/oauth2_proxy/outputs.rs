//! What the upstream learns of a caller from an oauth2-proxy, as headers from the claims of a token.

use super::settings::Proxy;
use crate::cli::compile::Context;
use crate::cli::compile::istio::providers;
use crate::cli::compile::written::ClaimToHeader;
use crate::cli::yaml::Node;

/// What the authorizer's definition passes on of its answer, as headers from claims.
pub fn of(context: &Context<'_>, proxy: &Proxy<'_>, name: &str) -> Vec<ClaimToHeader> {
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
