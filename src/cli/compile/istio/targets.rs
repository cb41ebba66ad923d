//! What a policy is attached to, by its selector or its `targetRefs`: the gateway, workloads behind
//! it, or both.

use super::gateways::labels;
use super::workloads::{self, Target};
use crate::cli::compile::Context;
use crate::cli::compile::resource::Reading;
use crate::cli::yaml::{Content, Node};

/// What a policy selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected {
    /// The gateway alone.
    Gateway,
    /// The gateway, and these workloads.
    Both(Target),
    /// Workloads behind it.
    Workloads(Target),
    /// Nothing that this gateway has to do with.
    Nothing,
}

/// What a policy selects; `None` if that cannot be told, which was noted.
pub fn selected(context: &Context<'_>, reading: Reading<'_>) -> Option<Selected> {
    let resource = reading.resource;
    let settings = context.settings;
    let spec = resource.spec();
    if spec.get("targetRef").is_some() || spec.get("targetRefs").is_some() {
        return referred(context, reading);
    }
    let selector = selector(reading, spec)?;
    let of_root = resource.namespace == settings.root_namespace;
    let namespace = (!of_root).then(|| resource.namespace.clone());
    let target = Target::Pods(namespace, selector.clone());
    if !of_root && resource.namespace != settings.namespace {
        return Some(Selected::Workloads(target));
    }
    if settings.is_selected_by(&selector) {
        return Some(match selector.is_empty() {
            true => Selected::Both(target),
            false => Selected::Gateway,
        });
    }
    let own = workloads::pod_labels(context, &settings.namespace, &settings.labels);
    let contradicts = selector.iter().any(|(name, value)| {
        let mut known = settings.labels.iter();
        known.any(|(other, it)| other == name && it != value)
    });
    if !contradicts && own.is_none() {
        reading.error(
            spec.get("selector").unwrap_or(spec),
            "whether it selects the gateway cannot be told",
            "give all labels of the gateway's pods by `--labels`, or add their Deployment to the \
             input",
        );
        return None;
    }
    let has = |label: &(String, String)| own.as_ref().is_some_and(|own| own.contains(label));
    Some(match !contradicts && selector.iter().all(has) {
        true => Selected::Gateway,
        false => Selected::Workloads(target),
    })
}

/// The labels that a policy demands.
fn selector<'a>(reading: Reading<'a>, spec: &'a Node) -> Option<Vec<(String, String)>> {
    let Some(node) = spec.get("selector") else {
        return Some(Vec::new());
    };
    let mut fields = reading.fields(node)?;
    let demanded = fields.get("matchLabels");
    fields.finish();
    let Some(demanded) = demanded else {
        return Some(Vec::new());
    };
    for (_, value) in reading.fields(demanded).map(|_| demanded.members())? {
        // Whoever reads fewer labels selects more.
        if !matches!(value.content, Content::Text(_)) {
            reading.unexpected(value, "a text");
            return None;
        }
    }
    Some(labels(demanded))
}

/// What `targetRefs` say.
fn referred(context: &Context<'_>, reading: Reading<'_>) -> Option<Selected> {
    let resource = reading.resource;
    let spec = resource.spec();
    let one = spec.get("targetRef");
    let references = spec.get("targetRefs").map_or(&[][..], Node::items).iter();
    let references: Vec<_> = one.into_iter().chain(references).collect();
    let first = references.first()?;
    if references.len() > 1 {
        reading.error(
            first,
            "several targets; only a policy for one target can be carried over",
            "write a policy for each target",
        );
        return None;
    }
    let text = |name| first.get(name).and_then(Node::text).unwrap_or_default();
    let settings = context.settings;
    match (text("kind"), text("name")) {
        ("Gateway", name) => {
            let same = settings.gateway_name.as_deref() == Some(name)
                && resource.namespace == settings.namespace;
            Some(match same {
                true => Selected::Gateway,
                false => Selected::Nothing,
            })
        }
        ("Service", name) => {
            let target = Target::Service(resource.namespace.clone(), name.to_owned());
            Some(Selected::Workloads(target))
        }
        (kind, _) => {
            let message = format!("a target of kind `{kind}` cannot be carried over");
            let help = "use a selector, or a target of kind Service";
            reading.error(first, message, help);
            None
        }
    }
}
