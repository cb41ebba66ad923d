//! Headers that others write before a policy looks at them: from a token, or as an authorizer says.
//! The gateway judges what the client has sent, so a policy about such a header cannot be kept.

use super::authorization::Translated;
use crate::cli::compile::draft::Draft;
use crate::cli::yaml::Node;

/// Notes every policy about a header that a RequestAuthentication or an authorizer writes.
pub fn check(translated: &[Translated<'_>], draft: &Draft) {
    let rules = &draft.config.jwt_rules;
    let payloads = rules
        .iter()
        .filter_map(|it| it.output_payload_to_header.as_deref());
    let claims = rules.iter().flat_map(|it| &it.output_claim_to_headers);
    let of_tokens: Vec<_> = payloads
        .chain(claims.map(|it| it.header.as_str()))
        .collect();
    let providers = draft.config.extension_providers.iter();
    let of_providers = providers.flat_map(|it| {
        let patterns = &it.envoy_ext_authz_http.headers_to_upstream_on_allow;
        patterns
            .iter()
            .map(|pattern| (it.name.as_str(), pattern.as_str()))
    });
    let of_providers: Vec<_> = of_providers.collect();
    for it in translated {
        // A CUSTOM policy of the gateway alone comes before both.
        let custom = it.policy.action.as_deref() == Some("CUSTOM");
        if custom && it.at_gateway && it.behind.is_none() {
            continue;
        }
        for (key, header) in tested(it) {
            if of_tokens
                .iter()
                .any(|name| name.eq_ignore_ascii_case(header))
            {
                it.reading.error(
                    key,
                    format!(
                        "a RequestAuthentication writes `{header}` from the token; the gateway would \
                         judge what the client sends there"
                    ),
                    "test the claim: `request.auth.claims[NAME]`",
                );
            }
            let sets = |(_, pattern): &&(&str, &str)| matches(pattern, header);
            if let Some((name, _)) = of_providers.iter().find(sets) {
                it.reading.error(
                    key,
                    format!(
                        "the authorizer `{name}` writes `{header}`; the gateway would judge what the \
                         client sends there"
                    ),
                    "have the authorizer decide, or leave this policy at the workload",
                );
            }
        }
    }
}

/// The keys of a policy that name a header, and which.
fn tested<'a>(translated: &Translated<'a>) -> impl Iterator<Item = (&'a Node, &'a str)> {
    let rules = translated.reading.resource.spec().get("rules");
    let rules = rules.map_or(&[][..], Node::items).iter();
    let conditions = rules.flat_map(|it| it.get("when").map_or(&[][..], Node::items));
    conditions.filter_map(|it| {
        let key = it.get("key")?;
        let header = key.text()?.strip_prefix("request.headers[")?;
        Some((key, header.strip_suffix(']')?))
    })
}

/// Whether a pattern of header names, `x-*` or `*-x`, has this one.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(suffix), _) => name.ends_with(suffix),
        (None, Some(prefix)) => name.starts_with(prefix),
        (None, None) => name == pattern,
    }
}
