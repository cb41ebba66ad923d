//! Kyma's APIRule, in each of its versions.
//!
//! Finds the version in which an APIRule was written, whatever the API server made of it, and hands
//! it on: [`v2`] for v2alpha1 and v2, `v1beta1` for the other. [`hosts`] tells Istio's policies too
//! where an APIRule is served. What Kyma generates from an APIRule is not read here.

mod conflicts;
mod cors;
pub(super) mod hosts;
mod jwt;
mod order;
mod paths;
mod v1beta1;
mod v2;
mod workloads;

use super::Context;
use super::draft::Draft;
use super::resource::{Reading, Resource};
use crate::cli::yaml::{self, Content, Key, Node};

/// The version in which an APIRule was written; v2alpha1 and v2 are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// `v1beta1`
    V1beta1,
    /// `v2alpha1`, `v2`
    V2,
}

/// The API group of an APIRule.
pub(super) const GROUP: &str = "gateway.kyma-project.io";

const ORIGINAL_VERSION: &str = "gateway.kyma-project.io/original-version";
const V1BETA1_SPEC: &str = "gateway.kyma-project.io/v1beta1-spec";

/// Adds what every APIRule says.
pub(super) fn compile(context: &Context<'_>, draft: &mut Draft) {
    let found: Vec<_> = api_rules(context).collect();
    let mut exposed = Vec::new();
    for (version, resource) in &found {
        let reading = context.reading(resource);
        match version {
            Version::V1beta1 => v1beta1::compile(context, draft, reading),
            Version::V2 => exposed.extend(v2::compile(context, draft, reading)),
        }
    }
    workloads::check(&exposed);
    if let Some(first) = exposed.first() {
        first.reading.warning(
            &first.reading.resource.root,
            "Kyma's own policies also refuse what calls these workloads from inside the cluster; a \
             gateway sees nothing of that",
            "keep Kyma's APIRules, or an AuthorizationPolicy of your own at the workloads that \
             allows only the gateway's principal",
        );
    }
}

/// Every APIRule, its version, and itself as it was written in that version.
pub(super) fn api_rules<'a>(
    context: &Context<'a>,
) -> impl Iterator<Item = (Version, Resource)> + use<'a> {
    let (inventory, notes) = (context.inventory, context.notes);
    let api_rules = inventory.of(GROUP, "APIRule");
    api_rules.filter_map(move |resource| written(Reading { resource, notes }))
}

fn written(reading: Reading<'_>) -> Option<(Version, Resource)> {
    let resource = reading.resource;
    let as_it_is = || Resource::of_kubernetes(resource.source, resource.root.clone());
    match resource.version.as_str() {
        "v1beta1" => return Some((Version::V1beta1, as_it_is()?)),
        "v2alpha1" | "v2" => {}
        other => {
            let other = other.escape_debug();
            let message = format!("version `{other}`; known: v1beta1, v2alpha1, v2");
            reading.error(&resource.root, message, "export it in one of these");
            return None;
        }
    }
    let original = resource.annotation(ORIGINAL_VERSION).and_then(Node::text);
    let kept = resource.annotation(V1BETA1_SPEC);
    if let (Some("v1beta1"), Some(kept)) = (original, kept) {
        let spec = kept_spec(reading, kept)?;
        reading.warning(
            kept,
            "this APIRule was written as v1beta1; its spec is taken from the annotation, not from \
             `spec`",
            "",
        );
        return Some((Version::V1beta1, with_spec(resource, spec, kept)?));
    }
    let spec = resource.spec();
    if !spec.get("rules").map_or(&[][..], Node::items).is_empty() {
        return Some((Version::V2, as_it_is()?));
    }
    let message = match spec.members().iter().all(|(_, it)| it.is_null()) {
        true => "APIRule in version v2alpha1 contains an empty spec",
        false => "No rules defined",
    };
    let help = match original {
        Some("v1beta1") => {
            "it was written as v1beta1, and the annotation with its spec is missing; export it with \
             `kubectl get apirules.v1beta1.gateway.kyma-project.io -o yaml`"
        }
        _ => "give it at least one rule",
    };
    let place = resource.root.get("spec").unwrap_or(&resource.root);
    reading.error(place, message, help);
    None
}

/// The spec that an annotation holds as JSON.
fn kept_spec(reading: Reading<'_>, kept: &Node) -> Option<Node> {
    let read = yaml::documents(reading.text(kept)?);
    let mut documents = read.unwrap_or_default();
    let spec = documents.pop().filter(|it| it.is_map());
    let spec = spec.filter(|_| documents.is_empty());
    if spec.is_none() {
        reading.unexpected(kept, "the JSON text of a spec");
    }
    Some(spec?.placed(&kept.span))
}

/// The resource with another spec, which stands at `place`, as v1beta1.
fn with_spec(resource: &Resource, spec: Node, place: &Node) -> Option<Resource> {
    let mut root = resource.root.clone();
    if let Content::Map(members) = &mut root.content {
        members.retain(|(key, _)| key.name != "spec");
        let key = Key {
            name: "spec".to_owned(),
            span: place.span.clone(),
        };
        members.push((key, spec));
    }
    let resource = Resource::of_kubernetes(resource.source, root)?;
    Some(Resource {
        version: "v1beta1".to_owned(),
        ..resource
    })
}
