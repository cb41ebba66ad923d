//! AuthorizationPolicy: who may do what, as `authorizationPolicies`.
//!
//! A policy of the gateway is taken as it is. One of a workload is carried to the gateway by
//! [`super::carry`], where that is exact.

use super::attachment::{Attachment, Attachments, Spot, Wider, listed};
use super::authentication::{GROUP, select_alike};
use super::carry::{self, Carried};
use super::tokens::{self, Tokens};
use super::unrouted::named_hosts;
use super::workloads::Target;
use super::{addresses, headers, joining, providers};
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::resource::{Reading, Resource};
use crate::cli::compile::written::{AuthorizationPolicy, ClientCertificate, Provider};
use crate::cli::yaml::Node;

/// A policy that was carried over.
pub struct Translated<'a> {
    /// As it is written.
    pub policy: AuthorizationPolicy,
    /// Where it came from.
    pub reading: Reading<'a>,
    /// Whether it is attached to the gateway itself.
    pub at_gateway: bool,
    /// Whether the original is attached to every workload of the mesh, too.
    pub mesh_wide: bool,
    /// Whether its rules are not those of the original.
    pub changed: bool,
    /// The workloads that the original is attached to.
    pub behind: Option<Target>,
}

/// What a policy is carried with.
struct Carrying<'c, 'r, 'a> {
    attachments: &'c Attachments<'r, 'a>,
    tokens: &'c Tokens<'a>,
    headers: Option<&'c ClientCertificate>,
}

/// The annotation by which a policy only tells what it would do.
const DRY_RUN: &str = "istio.io/dry-run";

/// Adds every AuthorizationPolicy.
pub fn compile<'a>(attachments: &Attachments<'_, 'a>, tokens: &Tokens<'a>, draft: &mut Draft) {
    let context = attachments.context;
    let mut translated = Vec::new();
    for resource in context.inventory.of(GROUP, "AuthorizationPolicy") {
        if !context.is_generated(resource) {
            translate(attachments, tokens, draft, resource, &mut translated);
        }
    }
    headers::check(&translated, draft);
    providers::check(&translated);
    for Translated {
        policy, reading, ..
    } in joining::join(translated)
    {
        draft.add_policy(policy, reading, &reading.resource.root);
    }
}

fn translate<'a>(
    attachments: &Attachments<'_, 'a>,
    tokens: &Tokens<'a>,
    draft: &mut Draft,
    resource: &'a Resource,
    translated: &mut Vec<Translated<'a>>,
) {
    let context = attachments.context;
    let reading = context.reading(resource);
    let Some(policy) = head(context, draft, reading) else {
        return;
    };
    let spec = resource.spec();
    let rules = spec.get("rules").map_or(&[][..], |it| reading.items(it));
    let action = policy.action.as_deref().unwrap_or("ALLOW");
    if action != "ALLOW" && rules.is_empty() {
        let message = format!("a `{action}` policy without `rules` never matches; it is left out");
        reading.warning(spec, message, "give it rules, or leave it out");
        return;
    }
    let wider = match action {
        "ALLOW" => Wider::Unsafe,
        _ => Wider::Safe,
    };
    let named = || named_hosts(beside(context, resource));
    let Some(attached) = attachments.of(reading, wider, named) else {
        return;
    };
    if matches!(attached, Attachment::Gateway(_)) {
        addresses::tell(context, draft, reading, rules);
    }
    let carrying = Carrying {
        attachments,
        tokens,
        headers: draft.config.client_certificate.as_ref(),
    };
    match attached {
        Attachment::Elsewhere => {}
        Attachment::Gateway(behind) => {
            if tokens.at_gateway.is_empty() && tokens::are_judged_by(rules) {
                tokens_of_workloads(tokens, reading);
            }
            let of_root = resource.namespace == context.settings.root_namespace;
            translated.push(Translated {
                policy: AuthorizationPolicy {
                    rules: rules.to_vec(),
                    ..policy.clone()
                },
                reading,
                at_gateway: true,
                mesh_wide: of_root && behind.is_some(),
                changed: false,
                behind: behind.clone(),
            });
            // It holds at workloads, too, where requests can be other than at the gateway.
            let Some(target) = behind.filter(|_| action != "AUDIT") else {
                return;
            };
            let spots = attachments.of_workloads(reading, wider, &target);
            let parts = spots.and_then(|it| carrying.parts(reading, &policy, rules, &target, it));
            let mut parts = parts.unwrap_or_default();
            parts.retain(|part| action == "ALLOW" || part.changed);
            parts.iter_mut().for_each(|part| part.mesh_wide = of_root);
            // Of ALLOW policies, either these are left or the one at the gateway.
            translated.extend(named_apart(parts, usize::from(action == "ALLOW")));
        }
        Attachment::Carried(target, spots) => {
            let parts = carrying.parts(reading, &policy, rules, &target, spots);
            translated.extend(named_apart(parts.unwrap_or_default(), 1));
        }
    }
}

/// A policy of the gateway is about tokens that only workloads verify.
fn tokens_of_workloads(tokens: &Tokens<'_>, reading: Reading<'_>) {
    let Some(behind) = tokens.behind.first() else {
        return;
    };
    reading.error(
        &reading.resource.root,
        format!(
            "no RequestAuthentication is attached to the gateway, so Istio sees no tokens there; here \
             it would see those of {}",
            behind.reading.resource.title()
        ),
        "attach the RequestAuthentication to the gateway, or this policy to the workload",
    );
}

impl<'a> Carrying<'_, '_, 'a> {
    /// A policy, carried to the places that lead to its workload; `None` if that cannot be done,
    /// which was noted.
    fn parts(
        &self,
        reading: Reading<'a>,
        policy: &AuthorizationPolicy,
        rules: &'a [Node],
        target: &Target,
        spots: Vec<Spot<'a>>,
    ) -> Option<Vec<Translated<'a>>> {
        let denies = policy.action.is_some();
        let about_tokens = tokens::are_judged_by(rules);
        let (mut shared, mut parts) = (None::<(AuthorizationPolicy, bool)>, Vec::new());
        for spot in spots {
            if about_tokens {
                let seen = self.tokens.are_seen_at(self.attachments, &spot, reading);
                if let Err((message, help)) = seen {
                    reading.error(&reading.resource.root, message, help);
                    return None;
                }
            }
            let place = carry::Place {
                reading,
                settings: self.attachments.context.settings,
                denies,
                headers: self.headers,
                spot: &spot,
            };
            let Carried {
                rules,
                here,
                changed,
            } = carry::rules(&place, rules)?;
            // Places where the rules stay as they are share one policy.
            match shared.as_mut().filter(|_| !here) {
                Some((first, _)) => first.applies_to.push(spot.applies_to),
                None => {
                    let part = AuthorizationPolicy {
                        applies_to: vec![spot.applies_to],
                        rules,
                        ..policy.clone()
                    };
                    match here {
                        true => parts.push((part, changed)),
                        false => shared = Some((part, changed)),
                    }
                }
            }
        }
        // What can never match any more refuses nothing, but an ALLOW policy still demands a match.
        let parts = shared.into_iter().chain(parts);
        let parts = parts.filter(|(part, _)| !denies || !part.rules.is_empty());
        let parts = parts.map(|(mut part, changed)| {
            part.applies_to = listed(part.applies_to);
            Translated {
                policy: part,
                reading,
                at_gateway: false,
                mesh_wide: false,
                changed,
                behind: Some(target.clone()),
            }
        });
        Some(parts.collect())
    }
}

/// Gives the parts of one policy names of their own, but for the first `kept`.
fn named_apart<'a>(
    parts: Vec<Translated<'a>>,
    kept: usize,
) -> impl Iterator<Item = Translated<'a>> {
    parts.into_iter().enumerate().map(move |(index, mut part)| {
        if index >= kept {
            let number = index.saturating_add(2).saturating_sub(kept);
            part.policy.name = format!("{}-{number}", part.policy.name);
        }
        part
    })
}

/// Everything of a policy but its rules and places.
fn head(
    context: &Context<'_>,
    draft: &mut Draft,
    reading: Reading<'_>,
) -> Option<AuthorizationPolicy> {
    let resource = reading.resource;
    let spec = resource.spec();
    let mut policy = AuthorizationPolicy {
        name: resource.name.clone(),
        namespace: resource.namespace.clone(),
        ..AuthorizationPolicy::default()
    };
    if spec.is_null() {
        return Some(policy);
    }
    let mut fields = reading.fields(spec)?;
    fields.skip(&["selector", "targetRef", "targetRefs", "rules"]);
    let action = fields.get("action");
    let provider = fields.get("provider");
    fields.finish();
    let name = action.and_then(|it| reading.text(it)).unwrap_or("ALLOW");
    if !["ALLOW", "DENY", "AUDIT", "CUSTOM"].contains(&name) {
        let allowed = "`ALLOW`, `DENY`, `AUDIT` or `CUSTOM`";
        reading.unexpected(action.unwrap_or(spec), allowed);
        return None;
    }
    policy.action = Some(name.to_owned()).filter(|name| name != "ALLOW");
    let provider_name = provider.and_then(|it| it.get("name"));
    if let Some(name) = provider_name.and_then(Node::text) {
        providers::require(context, draft, reading, provider_name.unwrap_or(spec), name);
        let name = name.to_owned();
        policy.provider = Some(Provider { name });
    }
    policy.dry_run = dry_run(reading, name)?.then_some(true);
    Some(policy)
}

/// Whether it is a dry run; `None` if that cannot be told.
fn dry_run(reading: Reading<'_>, action: &str) -> Option<bool> {
    let Some(node) = reading.resource.annotation(DRY_RUN) else {
        return Some(false);
    };
    // Go's strconv.ParseBool
    let dry = match node.text().unwrap_or_default() {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
        "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
        _ => {
            reading.unexpected(node, "`\"true\"` or `\"false\"`");
            return None;
        }
    };
    if dry && !["ALLOW", "DENY"].contains(&action) {
        reading.error(
            node,
            format!("not for `{action}`, only for `ALLOW` and `DENY`"),
            "leave it out",
        );
        return None;
    }
    Some(dry)
}

/// The policies that select the same as a resource.
pub fn beside<'a>(
    context: &Context<'a>,
    resource: &'a Resource,
) -> impl Iterator<Item = &'a Resource> {
    let policies = context.inventory.of(GROUP, "AuthorizationPolicy");
    policies.filter(move |it| select_alike(it, resource))
}
