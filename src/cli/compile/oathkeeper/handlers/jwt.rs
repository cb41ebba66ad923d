//! The authenticator `jwt`.

use super::values::{Location, Scopes, missing, name_of, texts};
use crate::cli::compile::draft::Draft;
use crate::cli::compile::oathkeeper::config::{Handler, Merged, Oathkeeper};
use crate::cli::compile::written::{Authorization, JwtDemand, JwtRule, Strategy, True};

/// What it comes to; `None` if that cannot be told, which has been noted.
pub(super) fn strategy<'a>(
    oathkeeper: &Oathkeeper<'a>,
    draft: &mut Draft,
    handler: &Handler<'a>,
    mut config: Merged<'a>,
) -> Option<Strategy> {
    let at = config.at();
    let urls = config.texts("jwks_urls");
    if urls.is_empty() {
        missing(at, "jwks_urls", handler.name);
    }
    let issuers = texts(&config.texts("trusted_issuers"));
    let required = config.texts("required_scope");
    let audiences = config.texts("target_audience");
    let algorithms = texts(&config.texts("allowed_algorithms"));
    let scopes = Scopes::read(&mut config, || {
        Scopes::by_default(oathkeeper, Scopes::Wildcard, &required)
    });
    let location = Location::read(&mut config);
    config.skip(&["jwks_ttl", "jwks_max_wait"]);
    config.finish();
    let (scopes, location) = (scopes?, location?);
    if urls.is_empty() {
        return None;
    }
    if scopes == Scopes::None && !required.is_empty() {
        at.warning(
            "`required_scope` with the `scope_strategy` `none` is never granted: Oathkeeper answers \
             401 to everybody, and so does this rule",
            "set `scope_strategy` to `exact`",
        );
        return Some(Strategy::Deny(True));
    }
    // What is required stands for itself there, and here it would be a pattern.
    let patterns = required.iter().filter(|_| scopes == Scopes::Exact);
    for value in patterns.chain(&audiences) {
        let text = value.text()?;
        if text.starts_with('*') || text.ends_with('*') {
            let message = format!("`{text}` would match more here than itself");
            let help = "name a value without `*` at its ends";
            value.error(message, help);
        }
    }
    let (from_headers, from_params, from_cookies) = location.of_jwt();
    let authentication = |issuer: Option<&String>, url: &str| JwtRule {
        name: issuer.is_none().then(|| name_of(url)),
        issuer: issuer.cloned(),
        jwks_uri: Some(url.to_owned()),
        algorithms: match algorithms.is_empty() {
            true => vec!["RS256".to_owned()],
            false => algorithms.clone(),
        },
        clock_skew: Some("0s".to_owned()),
        from_headers: from_headers.clone(),
        from_params: from_params.clone(),
        from_cookies: from_cookies.clone(),
        ..JwtRule::default()
    };
    let mut authentications = Vec::new();
    for url in &urls {
        let text = url.text()?;
        if !text.starts_with("https://") && !text.starts_with("http://") {
            let message = format!("keys cannot be fetched from `{}`", text.escape_debug());
            url.error(message, "serve them at an `https://` URL");
            return None;
        }
        draft.reach_url(text);
        match issuers.as_slice() {
            [] => authentications.push(authentication(None, text)),
            issuers => {
                let each = issuers.iter().map(|it| authentication(Some(it), text));
                authentications.extend(each);
            }
        }
    }
    let authorization = Authorization {
        required_scopes: texts(&required),
        audiences: texts(&audiences),
    };
    let demands_something = authorization != Authorization::default();
    Some(Strategy::Jwt(JwtDemand {
        authentications,
        authorizations: demands_something
            .then_some(authorization)
            .into_iter()
            .collect(),
        scope_strategy: scopes.written(&required),
    }))
}
