//! The authenticator `oauth2_introspection`.

use super::values::{Location, Scopes, missing, name_of, texts};
use crate::cli::compile::draft::Draft;
use crate::cli::compile::oathkeeper::config::{Handler, Merged, Oathkeeper};
use crate::cli::compile::written::{
    Cache, IntrospectionDemand, IntrospectionProvider, Members, Strategy,
};
use std::time::Duration;

/// The longest time for which a reply may be remembered.
const MAX_TTL: Duration = Duration::from_secs(3600);

/// What it comes to; `None` if that cannot be told, which has been noted.
pub(super) fn strategy<'a>(
    oathkeeper: &Oathkeeper<'a>,
    draft: &mut Draft,
    handler: &Handler<'a>,
    mut config: Merged<'a>,
) -> Option<Strategy> {
    let at = config.at();
    let url = config.get("introspection_url");
    let url = url.and_then(|it| it.text()).filter(|url| !url.is_empty());
    if url.is_none() {
        missing(at, "introspection_url", handler.name);
    }
    let issuers = texts(&config.texts("trusted_issuers"));
    let required = config.texts("required_scope");
    let audiences = texts(&config.texts("target_audience"));
    let scopes = Scopes::read(&mut config, || {
        Scopes::by_default(oathkeeper, Scopes::Exact, &required)
    });
    let location = Location::read(&mut config);
    let headers = config.object("introspection_request_headers");
    let headers = headers.map_or_else(Vec::new, Merged::into_texts);
    if let Some(mut authorization) = config.object("pre_authorization")
        && authorization.get("enabled").and_then(|it| it.flag()) == Some(true)
    {
        authorization.at().error(
            "`pre_authorization` has no counterpart here: the gateway fetches no token for itself",
            "let the authorization server accept a fixed credential, and give it as \
             `Authorization` in `introspection_request_headers`",
        );
    }
    if let Some(prefix) = config.get("prefix").filter(|it| it.node.text() != Some("")) {
        prefix.error(
            "`prefix` has no counterpart here: no token is left to another authenticator",
            "leave it out; the server tells of tokens that are not its own that they are not active",
        );
    }
    if let Some(flag) = config.get("preserve_host")
        && flag.flag() == Some(true)
    {
        flag.error(
            "`preserve_host` has no counterpart here: the server is not told which host was called",
            "leave it out, if the server does not need it; or let an authorizer judge the token",
        );
    }
    let cache = config.object("cache");
    let is_cached = cache.is_some();
    let cache = cache.map_or(Some(uncached()), cached);
    // It has no effect there either.
    config.skip(&["retry"]);
    config.finish();
    let (scopes, location, cache, url) = (scopes?, location?, cache?, url?);
    if let (Scopes::None, Some(first)) = (scopes, required.first()) {
        first.error(
            "`required_scope` with the `scope_strategy` `none` is left to the authorization server \
             to judge, and not every one does",
            "set `scope_strategy` to `exact`",
        );
    }
    draft.reach_url(url);
    let known = draft.config.introspection_providers.len();
    let never_remembers = cache.as_ref().is_some_and(|it| it.ttl == "0s");
    let provider = IntrospectionProvider {
        name: name_of(url),
        introspection_url: url.to_owned(),
        request_headers: Members(
            headers
                .into_iter()
                .filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"))
                .map(|(name, value)| Some((name.to_owned(), value.text()?.to_owned())))
                .collect::<Option<_>>()?,
        ),
        cache,
        trusted_issuers: issuers,
        token_from: location.of_introspection(),
        ..IntrospectionProvider::default()
    };
    let provider = draft.add_introspection_provider(provider, at.reading, at.node);
    if never_remembers && draft.config.introspection_providers.len() > known {
        let told = match is_cached {
            true => "Oathkeeper is told not to remember what the authorization server says",
            false => "Oathkeeper does not remember what the authorization server says by default",
        };
        at.warning(
            format!("{told}, and so each request is a call to it here, too"),
            "set `cache` to `{enabled: true, ttl: 30s}`, or less, to spare calls",
        );
    }
    Some(Strategy::Oauth2Introspection(IntrospectionDemand {
        provider,
        required_scopes: texts(&required),
        audiences,
        scope_strategy: scopes.written(&required),
    }))
}

fn uncached() -> Option<Cache> {
    Some(Cache {
        ttl: "0s".to_owned(),
        negative_ttl: None,
    })
}

/// `cache`; the inner `None` leaves it to our defaults.
#[expect(
    clippy::option_option,
    reason = "nothing to be said is not the same as a fault"
)]
fn cached(mut cache: Merged<'_>) -> Option<Option<Cache>> {
    let enabled = cache
        .get("enabled")
        .is_some_and(|it| it.flag() == Some(true));
    let ttl = cache.get("ttl");
    // Bounded here by a number of entries of its own.
    cache.skip(&["max_cost", "max_tokens"]);
    cache.finish();
    let Some(ttl) = ttl.filter(|_| enabled) else {
        // Without a time to live, ours.
        return Some(if enabled { None } else { uncached() });
    };
    let text = ttl.text()?;
    let Ok(duration) = humantime::parse_duration(text) else {
        ttl.unexpected("a duration such as `30s` or `1m30s`");
        return None;
    };
    let ttl = match duration > MAX_TTL {
        true => {
            let message = format!("`{text}` is longer than replies are remembered here: `1h`");
            ttl.warning(message, "give a shorter `ttl`");
            "1h"
        }
        false => text,
    };
    Some(Some(Cache {
        ttl: ttl.to_owned(),
        negative_ttl: None,
    }))
}
