//! Tokens that are verified for nothing, and conditions on tokens that nobody verifies.

use super::{Lint, Value, below, meet, values};
use crate::config::{AuthorizationPolicy, JwtRule, Rule, Strategy};
use crate::policy::{Predicate, RequestPrincipal, StringMatch};

pub(super) fn check(lint: &mut Lint<'_>) {
    unused_issuers(lint);
    unknown_issuers(lint);
}

/// A rule whose tokens nothing demands, and of whose claims nobody hears.
fn unused_issuers(lint: &mut Lint<'_>) {
    let rules = lint.items("jwtRules").zip(&lint.config.jwt_rules);
    for ((path, _), rule) in rules {
        let is_told = rule.forward_original_token
            || rule.output_payload_to_header.is_some()
            || !rule.output_claim_to_headers.is_empty();
        if rule.required || is_told {
            continue;
        }
        let policies = lint.config.authorization_policies.iter();
        let policies = policies.filter(|policy| meet(&rule.applies_to, &policy.applies_to));
        let demands: Vec<_> = policies.flat_map(token_demands).collect();
        let issuer = rule.issuer.as_deref();
        if demands.iter().any(|demand| may_be_of(demand, issuer)) {
            continue;
        }
        let name = &rule.name;
        let principal = format!("{}/*", issuer.unwrap_or("ISSUER"));
        match demands.is_empty() {
            true => lint.warn(
                path,
                format!(
                    "no policy demands a token of `{name}`: a request without any token passes as \
                     well"
                ),
                format!(
                    "add an ALLOW policy with `requestPrincipals: [\"{principal}\"]`, or say \
                     `presence: REQUIRED`"
                ),
            ),
            false => lint.warn(
                path,
                format!(
                    "no policy accepts a token of `{name}`: those that ask for tokens name other \
                     issuers"
                ),
                format!("name it, `requestPrincipals: [\"{principal}\"]`, or leave the rule out"),
            ),
        }
    }
}

fn token_demands(policy: &AuthorizationPolicy) -> impl Iterator<Item = &Predicate> {
    let predicates = policy.rules.iter().flat_map(predicates);
    predicates.filter(|it| matches!(it, Predicate::RequestPrincipal(_) | Predicate::Claim(..)))
}

fn predicates(rule: &Rule) -> impl Iterator<Item = &Predicate> {
    let demands = rule.from.iter().chain(&rule.to).flatten();
    let demands = demands.chain(&rule.when);
    demands.flat_map(|demand| demand.any_of.iter().chain(&demand.none_of))
}

fn may_be_of(demand: &Predicate, issuer: Option<&str>) -> bool {
    let Some(issuer) = issuer else { return true };
    match demand {
        Predicate::RequestPrincipal(principal) => principal.accepts_issuer(issuer),
        Predicate::Claim(claim, value) if claim.iter().eq(["iss"]) => {
            value.matches(issuer.as_bytes())
        }
        _ => true,
    }
}

/// A value for tokens of an issuer that no rule verifies.
fn unknown_issuers(lint: &mut Lint<'_>) {
    let known = issuers(lint);
    for (path, node, policy) in lint.policies().collect::<Vec<_>>() {
        let of_rules = lint.config.jwt_rules.iter();
        let of_rules = of_rules.filter(|rule| meet(&rule.applies_to, &policy.applies_to));
        let of_rules = of_rules.map(|rule| rule.issuer.as_deref());
        let issuers: Option<Vec<_>> = known.iter().copied().chain(of_rules).collect();
        // A rule for any issuer.
        let Some(issuers) = issuers else { continue };
        let rules = below(node, &path, "rules");
        for value in rules.flat_map(|(path, rule)| values(rule, &path)) {
            if is_of_one(&value, &issuers) {
                continue;
            }
            let message = format!(
                "`{}` matches no token: no rule that is in force there verifies tokens of such an \
                 issuer",
                value.text.escape_debug()
            );
            lint.warn(value.path, message, known_as(value.text, &issuers));
        }
    }
}

/// Whether a value is not about tokens, or about those of one of these issuers.
fn is_of_one(value: &Value<'_>, issuers: &[&str]) -> bool {
    let mut issuers = issuers.iter();
    match value.field.as_str() {
        "requestPrincipals" | "request.auth.principal" => {
            let principal = RequestPrincipal::parse(value.text);
            principal.is_ok_and(|it| issuers.any(|issuer| it.accepts_issuer(issuer)))
        }
        "request.auth.claims[iss]" => {
            let text = StringMatch::parse(value.text);
            issuers.any(|issuer| issuer.is_empty() || text.matches(issuer.as_bytes()))
        }
        field => !field.starts_with("request.auth.") || issuers.next().is_some(),
    }
}

/// What to do about an issuer that is not known.
fn known_as(found: &str, issuers: &[&str]) -> String {
    let found = found.trim_end_matches(['*', '/']);
    let issuers: Vec<_> = issuers.iter().filter(|it| !it.is_empty()).collect();
    let same = |issuer: &&&&str| found.starts_with(issuer.trim_end_matches('/'));
    match issuers.iter().find(same) {
        Some(issuer) if issuer.ends_with('/') => {
            format!("the issuer ends with `/`, so that its principals have two: `{issuer}/*`")
        }
        _ if issuers.is_empty() => {
            "add a rule for it to `jwtRules`; for opaque tokens, name it in `trustedIssuers`"
                .to_owned()
        }
        _ => {
            let known: Vec<_> = issuers.iter().map(|it| format!("`{it}`")).collect();
            let known = known.join(", ");
            format!("known there: {known}; add the issuer to `jwtRules`, or write one of these")
        }
    }
}

/// Issuers whose tokens API rules verify; `None` is any issuer, an empty one is that of tokens that
/// have claims and no principal.
fn issuers<'a>(lint: &Lint<'a>) -> Vec<Option<&'a str>> {
    let mut issuers = Vec::new();
    let rules = lint.config.api_rules.iter().flat_map(|entry| &entry.rules);
    let of = |rules: &'a [JwtRule]| rules.iter().map(|rule| rule.issuer.as_deref());
    for rule in rules {
        match &rule.strategy {
            Strategy::Jwt(demand) | Strategy::ExtAuth(_, Some(demand)) => {
                issuers.extend(of(&demand.authentications));
            }
            Strategy::Introspection(demand) => {
                let mut providers = lint.config.introspection_providers.iter();
                let provider = providers.find(|it| it.name == demand.provider);
                // Without trusted issuers a reply makes no principal, but it has claims.
                let trusted = provider.map_or(&[][..], |it| &it.trusted_issuers);
                issuers.extend(trusted.iter().map(|it| Some(it.as_str())));
                if trusted.is_empty() {
                    issuers.push(Some(""));
                }
            }
            _ => {}
        }
    }
    issuers
}
