//! RequestAuthentication: whose tokens are accepted, as `jwtRules`.

use super::attachment::{Attachment, Attachments, Spot, Wider, listed};
use super::authorization;
use super::tokens::{self, Behind, Tokens};
use super::unrouted::named_hosts;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::resource::{Reading, Resource};
use crate::cli::compile::written::{ClaimToHeader, FromHeader, JwtRule};
use crate::cli::yaml::Node;

/// The group of RequestAuthentication and AuthorizationPolicy.
pub const GROUP: &str = "security.istio.io";

/// Adds the rules of every RequestAuthentication; tells who sees which tokens.
pub fn compile<'a>(attachments: &Attachments<'_, 'a>, draft: &mut Draft) -> Tokens<'a> {
    let context = attachments.context;
    let mut tokens = Tokens::default();
    let mut carried = Vec::new();
    for resource in context.inventory.of(GROUP, "RequestAuthentication") {
        if context.is_generated(resource) {
            continue;
        }
        let reading = context.reading(resource);
        let named = || named_hosts(authorization::beside(context, resource));
        let Some(attached) = attachments.of(reading, Wider::Unsafe, named) else {
            continue;
        };
        let target = match attached {
            Attachment::Elsewhere => continue,
            Attachment::Gateway(target) => {
                for (rule, node) in rules(reading, attachments) {
                    tokens.at_gateway.push((rule.clone(), resource.title()));
                    draft.add_jwt_rule(rule, reading, node);
                }
                target
            }
            Attachment::Carried(target, spots) => {
                carried.push((reading, spots));
                Some(target)
            }
        };
        if let Some(target) = target {
            let rules = rules(reading, attachments);
            tokens.behind.push(Behind {
                reading,
                target,
                rules: rules.into_iter().map(|(rule, _)| rule).collect(),
            });
        }
    }
    for behind in &tokens.behind {
        let near = attachments.routes_to(&behind.target);
        for arm in near.into_iter().flat_map(|route| &route.arms) {
            if attachments.leads(arm, behind.reading, &behind.target) != Some(true) {
                continue;
            }
            let arms = std::slice::from_ref(arm);
            if let Err((message, help)) = tokens.are_known_to(attachments, arms, behind.reading) {
                behind
                    .reading
                    .error(&behind.reading.resource.root, message, help);
            }
        }
    }
    for (reading, spots) in carried {
        add_carried(attachments, draft, &tokens, reading, spots);
    }
    tokens
}

/// Adds the rules of a workload, where the gateway itself has none.
fn add_carried<'a>(
    attachments: &Attachments<'_, 'a>,
    draft: &mut Draft,
    tokens: &Tokens<'a>,
    reading: Reading<'a>,
    spots: Vec<Spot<'a>>,
) {
    let rules = rules(reading, attachments);
    for spot in &spots {
        let wrong = rules
            .iter()
            .find_map(|(rule, _)| tokens::changed(rule, &spot.arms));
        let unknown = spot
            .arms
            .is_empty()
            .then(|| tokens.are_known_to(attachments, &[], reading));
        if let Some((message, help)) = wrong.or_else(|| unknown?.err()) {
            reading.error(&reading.resource.root, message, help);
            return;
        }
    }
    let places = listed(spots.into_iter().map(|spot| spot.applies_to).collect());
    for (mut rule, node) in rules {
        let Some((_, gateway)) = tokens.at_gateway.first() else {
            rule.applies_to.clone_from(&places);
            draft.add_jwt_rule(rule, reading, node);
            continue;
        };
        // The gateway has judged a token before the workload sees it.
        if !tokens
            .at_gateway
            .iter()
            .any(|(it, _)| tokens::is_same(it, &rule))
        {
            reading.error(
                node,
                format!(
                    "{gateway} is attached to the gateway, has no such rule, and refuses its tokens"
                ),
                "give it the same rule, or leave it out of the input if it is not in force",
            );
        }
    }
}

/// The rules of one resource, each with its node.
fn rules<'a>(reading: Reading<'a>, attachments: &Attachments<'_, 'a>) -> Vec<(JwtRule, &'a Node)> {
    let resource = reading.resource;
    let spec = resource.spec();
    if let Some(mut fields) = reading.fields(spec) {
        fields.skip(&["selector", "targetRef", "targetRefs", "jwtRules"]);
        fields.finish();
    }
    let nodes = spec.get("jwtRules").map_or(&[][..], |it| reading.items(it));
    let settings = attachments.context.settings;
    let rules = nodes.iter().enumerate().filter_map(|(index, node)| {
        let mut rule = rule(reading, node)?;
        let issuer = rule.issuer.as_deref().unwrap_or_default();
        if rule.jwks.is_none() && rule.jwks_uri.is_none() {
            let given = settings.jwks_uris.iter().find(|(it, _)| it == issuer);
            rule.jwks_uri = given.map(|(_, uri)| uri.clone());
            if rule.jwks_uri.is_none() && !issuer.starts_with("https://") {
                reading.error(
                    node,
                    "neither `jwks` nor `jwksUri`, and the issuer is no `https://` URL whose keys \
                     can be discovered: Istio refuses all its tokens",
                    format!("give `jwksUri`, or `--jwks-uri '{issuer}=https://…'`"),
                );
                return None;
            }
        }
        if rule.issuer.is_none() {
            rule.name = Some(format!("{}-{}-{index}", resource.namespace, resource.name));
        }
        if settings.keep_native {
            rule.forward_original_token = Some(true);
        }
        Some((rule, node))
    });
    rules.collect()
}

fn rule(reading: Reading<'_>, node: &Node) -> Option<JwtRule> {
    // A copy of the node, read by the same path, would lose its place.
    let mut fields = Reading::fields(&reading, node)?;
    let text = |it: Option<&Node>| it.and_then(|it| reading.text(it)).map(str::to_owned);
    let texts = |it: Option<&Node>| it.map(|it| reading.texts(it)).unwrap_or_default();
    let issuer = text(fields.get("issuer")).filter(|issuer| !issuer.is_empty());
    let uri = fields.get("jwksUri").or(fields.get("jwks_uri"));
    let headers = fields
        .get("fromHeaders")
        .map_or(&[][..], |it| reading.items(it));
    let claims = fields.get("outputClaimToHeaders");
    let claims = claims.map_or(&[][..], |it| reading.items(it));
    let presence = fields.get("presence");
    if presence.and_then(Node::text) == Some("REQUIRED") {
        reading.warning(
            presence.unwrap_or(node),
            "`presence: REQUIRED` has no effect in Istio; the gateway will refuse requests without \
             a token",
            "",
        );
    }
    let rule = JwtRule {
        audiences: texts(fields.get("audiences")),
        jwks_uri: text(uri),
        jwks: text(fields.get("jwks")),
        timeout: text(fields.get("timeout")),
        from_headers: headers
            .iter()
            .filter_map(|it| from_header(reading, it))
            .collect(),
        from_params: texts(fields.get("fromParams")),
        from_cookies: texts(fields.get("fromCookies")),
        output_payload_to_header: text(fields.get("outputPayloadToHeader")),
        output_claim_to_headers: claims
            .iter()
            .filter_map(|it| claim_to_header(reading, it))
            .collect(),
        forward_original_token: fields
            .get("forwardOriginalToken")
            .and_then(|it| reading.flag(it))
            .filter(|forward| *forward),
        space_delimited_claims: texts(fields.get("spaceDelimitedClaims")),
        presence: text(presence).filter(|presence| presence == "REQUIRED"),
        issuer,
        ..JwtRule::default()
    };
    fields.finish();
    Some(rule)
}

/// `fromHeaders[]`
pub fn from_header(reading: Reading<'_>, node: &Node) -> Option<FromHeader> {
    let mut fields = reading.fields(node)?;
    let name = fields.required("name").and_then(|it| reading.text(it));
    let prefix = fields.get("prefix").and_then(|it| reading.text(it));
    fields.finish();
    Some(FromHeader {
        name: name?.to_owned(),
        prefix: prefix.map(str::to_owned),
    })
}

fn claim_to_header(reading: Reading<'_>, node: &Node) -> Option<ClaimToHeader> {
    let mut fields = reading.fields(node)?;
    let header = fields.required("header").and_then(|it| reading.text(it));
    let claim = fields.required("claim").and_then(|it| reading.text(it));
    fields.finish();
    Some(ClaimToHeader {
        header: header?.to_owned(),
        claim: claim?.to_owned(),
    })
}

/// What the gateway must reach for the keys of its rules.
pub fn reach_keys(draft: &mut Draft) {
    let rules = draft.config.jwt_rules.iter();
    let urls = rules.filter(|rule| rule.jwks.is_none());
    let urls = urls.filter_map(|rule| rule.jwks_uri.clone().or_else(|| rule.issuer.clone()));
    for url in urls.collect::<Vec<_>>() {
        draft.reach_url(&url);
    }
}

/// Whether two policies select the same.
pub fn select_alike(one: &Resource, other: &Resource) -> bool {
    let selection = |it: &Resource| {
        let spec = it.spec();
        let parts = ["selector", "targetRef", "targetRefs"];
        parts.map(|part| spec.get(part).map(Node::to_json))
    };
    one.namespace == other.namespace && selection(one) == selection(other)
}
