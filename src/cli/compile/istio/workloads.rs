//! Which workloads a policy selects, and whether a service leads to one of them.

use super::gateways::{GROUP, labels};
use super::hosts;
use super::routes::Destination;
use crate::cli::compile::Context;
use crate::cli::compile::resource::{Reading, Resource};
use crate::cli::yaml::Node;

/// What a policy is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The pods with these labels, of a namespace or, without one, of every namespace.
    Pods(Option<String>, Vec<(String, String)>),
    /// A service, by its namespace and name.
    Service(String, String),
}

/// Whether a service leads to what a policy selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It cannot be told: what would have to be known.
    Unknown(String),
}

/// Labels by which a workload is called as its service, by convention.
const NAMING: [&str; 3] = ["app", "app.kubernetes.io/name", "k8s-app"];

/// Kinds of workloads, and where the labels of their pods are.
const WORKLOADS: [(&str, &str, &[&str]); 5] = [
    (
        "apps",
        "Deployment",
        &["spec", "template", "metadata", "labels"],
    ),
    (
        "apps",
        "StatefulSet",
        &["spec", "template", "metadata", "labels"],
    ),
    (
        "apps",
        "DaemonSet",
        &["spec", "template", "metadata", "labels"],
    ),
    (
        "apps",
        "ReplicaSet",
        &["spec", "template", "metadata", "labels"],
    ),
    ("", "Pod", &["metadata", "labels"]),
];

// === impl Target ===

impl Target {
    /// Whether a workload can be one of both.
    pub fn meets(&self, other: &Self) -> bool {
        let (Self::Pods(one, labels), Self::Pods(two, others)) = (self, other) else {
            return self == other
                || !matches!((self, other), (Self::Service(..), Self::Service(..)));
        };
        let apart = one.is_some() && two.is_some() && one != two;
        let contradict = labels.iter().any(|(name, value)| {
            let mut others = others.iter();
            others.any(|(other, it)| other == name && it != value)
        });
        !apart && !contradict
    }
}

/// So many services may be names of each other.
const MAX_ALIASES: usize = 8;

/// The namespace that a destination lies in, if it is a plain service of the mesh.
pub fn namespace<'d>(context: &Context<'_>, destination: &'d Destination) -> Option<&'d str> {
    let (name, namespace) = hosts::service(&destination.host)?;
    let service = context.inventory.named("", "Service", namespace, name);
    let alias = service.and_then(|it| it.spec().get("externalName"));
    alias.is_none().then_some(namespace)
}

/// Whether a service leads to a target. A service that is not in the input is taken to select the
/// pods that are called as it is, of which `reading` is warned.
pub fn reach(
    context: &Context<'_>,
    target: &Target,
    destination: &Destination,
    (reading, node): (Reading<'_>, &Node),
) -> Reach {
    let host = without_aliases(context, &destination.host);
    let Some((name, namespace)) = hosts::service(&host) else {
        return outside(context, target, &host);
    };
    let (wanted_namespace, wanted) = match target {
        Target::Service(of, service) => {
            return match of == namespace && service == name {
                true => Reach::Yes,
                false => Reach::No,
            };
        }
        Target::Pods(namespace, labels) => (namespace.as_deref(), labels),
    };
    if wanted_namespace.is_some_and(|wanted| wanted != namespace) {
        return Reach::No;
    }
    if wanted.is_empty() {
        return Reach::Yes;
    }
    let service = context.inventory.named("", "Service", namespace, name);
    let Some(service) = service else {
        let called = wanted
            .iter()
            .find(|(label, _)| NAMING.contains(&label.as_str()));
        let Some((label, value)) = called.filter(|(_, value)| value == name) else {
            return Reach::Unknown(format!("the Service {namespace}/{name}"));
        };
        let message = format!(
            "the Service {namespace}/{name} is not in the input; it is taken to select the pods \
             labelled `{label}: {value}`"
        );
        if !context.notes.has_said(&message) {
            reading.warning(node, message, "add it to the input");
        }
        return Reach::Yes;
    };
    let selector = service.spec().get("selector").map(labels);
    let selector = selector.unwrap_or_default();
    if selector.is_empty() {
        return Reach::Unknown(format!(
            "a selector of {}, whose pods are not known",
            service.title()
        ));
    }
    selects(context, service, &selector, wanted)
}

/// The service that a host is in the end: one can be another name for another (`externalName`).
fn without_aliases(context: &Context<'_>, host: &str) -> String {
    let mut host = host.to_owned();
    for _ in 0..MAX_ALIASES {
        let Some((name, namespace)) = hosts::service(&host) else {
            break;
        };
        let service = context.inventory.named("", "Service", namespace, name);
        let alias = service.and_then(|it| it.spec().get("externalName")?.text());
        let Some(alias) = alias.map(str::to_owned) else {
            break;
        };
        host = alias;
    }
    host
}

/// Whether a host that is no service of Kubernetes leads to a target: only a ServiceEntry with a
/// `workloadSelector` leads to pods.
fn outside(context: &Context<'_>, target: &Target, host: &str) -> Reach {
    let Target::Pods(namespace, wanted) = target else {
        return Reach::No;
    };
    let entries = context.inventory.of(GROUP, "ServiceEntry");
    for entry in entries.filter(|it| namespace.as_ref().is_none_or(|of| *of == it.namespace)) {
        let names = entry.spec().get("hosts").map_or(&[][..], Node::items);
        if !names.iter().any(|it| it.text() == Some(host)) {
            continue;
        }
        let selector = entry.spec().at(&["workloadSelector", "labels"]).map(labels);
        let Some(selector) = selector.filter(|it| !it.is_empty()) else {
            continue;
        };
        match selects(context, entry, &selector, wanted) {
            Reach::No => {}
            reached => return reached,
        }
    }
    Reach::No
}

/// All labels of the pods of a namespace that have some labels, by what the input has of them.
pub fn pod_labels(
    context: &Context<'_>,
    namespace: &str,
    some: &[(String, String)],
) -> Option<Vec<(String, String)>> {
    WORKLOADS.iter().find_map(|(group, kind, way)| {
        let workloads = context.inventory.of(group, kind);
        let mut workloads = workloads.filter(|it| it.namespace == namespace);
        workloads.find_map(|workload| {
            let own = workload.root.at(way).map(labels)?;
            some.iter().all(|label| own.contains(label)).then_some(own)
        })
    })
}

/// Whether the pods that a Service or a ServiceEntry selects have these labels.
fn selects(
    context: &Context<'_>,
    service: &Resource,
    selector: &[(String, String)],
    wanted: &[(String, String)],
) -> Reach {
    if wanted.iter().all(|label| selector.contains(label)) {
        return Reach::Yes;
    }
    let contradicts = |(name, value): &(String, String)| {
        let mut selected = selector.iter();
        selected.any(|(other, it)| other == name && it != value)
    };
    if wanted.iter().any(contradicts) {
        return Reach::No;
    }
    let (mut with, mut without) = (0_usize, 0_usize);
    for (group, kind, way) in WORKLOADS {
        for workload in context.inventory.of(group, kind) {
            let own = workload.root.at(way).map(labels).unwrap_or_default();
            let selected = selector.iter().all(|label| own.contains(label));
            if workload.namespace != service.namespace || !selected {
                continue;
            }
            match wanted.iter().all(|label| own.contains(label)) {
                true => with = with.saturating_add(1),
                false => without = without.saturating_add(1),
            }
        }
    }
    let name = service.title();
    match (with, without) {
        (0, 0) => Reach::Unknown(format!("the Deployment whose pods {name} selects")),
        (_, 0) => Reach::Yes,
        (0, _) => Reach::No,
        _ => Reach::Unknown(format!(
            "a Service of their own for the pods with these labels ({name} selects others, \
             too)"
        )),
    }
}
