//! The gateway verifies the tokens that an oauth2-proxy would.
//!
//! What is lost by that is told by [`super::losses`].

use super::settings::Proxy;
use super::{losses, outputs};
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::resource::Reading;
use crate::cli::compile::written::{ApiRule, ExtAuth, FromHeader, JwtDemand, JwtRule, Strategy};
use crate::cli::yaml::Node;

/// How refusals look, by `errorStyle`: as oauth2-proxy's own.
const STYLE: &str = "oauth2-proxy";

/// Whether the gateway verifies tokens itself where this authorizer is asked; then nothing needs to
/// define it. `node` is what asks.
pub fn is_inlined(
    context: &Context<'_>,
    (reading, node): (Reading<'_>, &Node),
    name: &str,
) -> bool {
    context.settings.inline && super::of_authorizer(context, (reading, node), name).is_some()
}

/// Has the gateway verify tokens itself where a rule asks an oauth2-proxy of the input, if that is
/// wanted. Authorizers that are no oauth2-proxy stay. `node` is what asks.
///
/// A rule must be whole before: beside an authorizer, what others demand still holds; a demand for
/// tokens is one of several that would do.
pub fn inline(
    context: &Context<'_>,
    draft: &mut Draft,
    (reading, node): (Reading<'_>, &Node),
    rule: &mut ApiRule,
) {
    let Strategy::ExtAuth(ext_auth) = &rule.strategy else {
        return;
    };
    if !context.settings.inline {
        return;
    }
    let (mut authorizers, mut demands) = (Vec::new(), Vec::new());
    for name in &ext_auth.authorizers {
        match super::of_authorizer(context, (reading, node), name) {
            Some(proxy) => demands.push(demand(context, draft, &proxy, name)),
            None => authorizers.push(name.clone()),
        }
    }
    let several = demands.len() > 1 || ext_auth.restrictions.is_some();
    let Some(demand) = demands.pop() else {
        return;
    };
    if several {
        reading.error(
            node,
            "a request would have to hold tokens for several demands at once, which the gateway does \
             not verify in one rule",
            "compile without `--inline`, or leave `restrictions` out if those of oauth2-proxy will do",
        );
    }
    rule.error_style = Some(STYLE);
    rule.strategy = match authorizers.is_empty() {
        true => Strategy::Jwt(demand),
        false => Strategy::ExtAuth(ExtAuth {
            authorizers,
            restrictions: Some(demand),
        }),
    };
}

/// What the gateway demands in place of a proxy.
fn demand(context: &Context<'_>, draft: &mut Draft, proxy: &Proxy<'_>, name: &str) -> JwtDemand {
    losses::tell(context, proxy);
    let outputs = outputs::of(context, proxy, name);
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
