//! AuthorizationPolicy: who may do what, as `authorizationPolicies`.
//!
//! A policy of the gateway is taken as it is. One of a workload is carried to the gateway by
//! [`super::carry`], where that is exact.

use super::attachment::{Attachment, Attachments, Spot, Wider, named_hosts};
use super::authentication::{GROUP, select_alike};
use super::carry::{self, Carried};
use super::{joining, providers};
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::resource::{Reading, Resource};
use crate::cli::compile::written::{AuthorizationPolicy, Provider};
use crate::cli::yaml::Node;

/// A policy that was carried over.
pub struct Translated<'a> {
    /// As it is written.
    pub policy: AuthorizationPolicy,
    /// Where it came from.
    pub reading: Reading<'a>,
    /// Whether it is attached to the gateway itself.
    pub at_gateway: bool,
    /// Whether it is attached to the workloads behind it, too.
    pub mesh_wide: bool,
}

/// The annotation by which a policy only tells what it would do.
const DRY_RUN: &str = "istio.io/dry-run";

/// Adds every AuthorizationPolicy.
pub fn compile<'a>(attachments: &Attachments<'_, 'a>, draft: &mut Draft) {
    let context = attachments.context;
    let mut translated = Vec::new();
    for resource in context.inventory.of(GROUP, "AuthorizationPolicy") {
        if !context.is_generated(resource) {
            translate(attachments, draft, resource, &mut translated);
        }
    }
    for Translated {
        policy, reading, ..
    } in joining::join(translated)
    {
        draft.add_policy(policy, reading, &reading.resource.root);
    }
}

fn translate<'a>(
    attachments: &Attachments<'_, 'a>,
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
    match attached {
        Attachment::Elsewhere => {}
        Attachment::Gateway => {
            let mesh_wide = resource.namespace == context.settings.root_namespace
                && spec.get("selector").is_none();
            translated.push(Translated {
                policy: AuthorizationPolicy {
                    rules: rules.to_vec(),
                    ..policy.clone()
                },
                reading,
                at_gateway: true,
                mesh_wide,
            });
            if mesh_wide && action == "ALLOW" {
                // It holds at the workloads, too, beside the policies that they have.
                if let Some(Attachment::Carried(spots)) = attachments.of_workloads(reading, wider) {
                    carried(draft, reading, &policy, rules, spots, true, translated);
                }
            }
        }
        Attachment::Carried(spots) => {
            carried(draft, reading, &policy, rules, spots, false, translated);
        }
    }
}

/// Carries a policy to the places that lead to its workload.
fn carried<'a>(
    draft: &Draft,
    reading: Reading<'a>,
    policy: &AuthorizationPolicy,
    rules: &'a [Node],
    spots: Vec<Spot<'a>>,
    mesh_wide: bool,
    translated: &mut Vec<Translated<'a>>,
) {
    let headers = draft.config.client_certificate.as_ref();
    let mut parts: Vec<AuthorizationPolicy> = Vec::new();
    for spot in spots {
        let Some(rules) = carry::rules(reading, rules, &spot, headers) else {
            return;
        };
        let Carried { rules, changed } = rules;
        // Places where the rules stay as they are share one policy.
        match parts.first_mut().filter(|_| !changed) {
            Some(first) => first.applies_to.push(spot.applies_to),
            None => {
                let part = AuthorizationPolicy {
                    applies_to: vec![spot.applies_to],
                    rules,
                    ..policy.clone()
                };
                match changed {
                    true => parts.push(part),
                    false => parts.insert(0, part),
                }
            }
        }
    }
    let denies = policy.action.as_deref().is_some_and(|it| it != "ALLOW");
    // What can never match any more refuses nothing, but an ALLOW policy still demands a match.
    parts.retain(|part| !denies || !part.rules.is_empty());
    for (index, mut part) in parts.into_iter().enumerate() {
        if index > 0 {
            part.name = format!("{}-{}", part.name, index.saturating_add(1));
        }
        translated.push(Translated {
            policy: part,
            reading,
            at_gateway: false,
            mesh_wide,
        });
    }
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
        reading.error(node, format!("not for a `{action}` policy"), "leave it out");
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
