//! Where a policy is attached: to the gateway as a whole, or to what leads to a workload behind it.
//!
//! A policy for a workload is carried to the hosts and paths by which VirtualServices reach that
//! workload. Where that cannot be said exactly, it is an error.

use super::gateways::labels;
use super::hosts;
use super::routes::{Arm, ArmPath, Route};
use super::workloads::{self, Reach, Target};
use crate::cli::compile::Context;
use crate::cli::compile::resource::{Reading, Resource};
use crate::cli::compile::written::AppliesTo;
use crate::cli::yaml::Node;
use std::rc::Rc;

/// Where a policy is attached.
pub enum Attachment<'a> {
    /// To the gateway itself.
    Gateway,
    /// To these places, of a workload behind it.
    Carried(Vec<Spot<'a>>),
    /// To nothing that this gateway has to do with.
    Elsewhere,
}

/// A place at the gateway that leads to a workload.
pub struct Spot<'a> {
    /// Its hosts and paths.
    pub applies_to: AppliesTo,
    /// The arms of a route that it is made of; none, if no route is known. If one of them rewrites
    /// requests, it is the only one.
    pub arms: Vec<Rc<Arm<'a>>>,
}

/// Whether it matters that a policy is attached to more than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wider {
    /// It can only refuse more.
    Safe,
    /// It can let in more.
    Unsafe,
}

/// What the policies of the gateway are about.
pub struct Attachments<'c, 'a> {
    pub context: &'c Context<'a>,
    pub routes: &'a [Route<'a>],
}

// === impl Attachments ===

impl<'a> Attachments<'_, 'a> {
    /// Where a policy is attached. `named` are hosts that it names itself, for when there are no
    /// routes at all.
    pub fn of(
        &self,
        reading: Reading<'a>,
        wider: Wider,
        named: impl FnOnce() -> Option<Vec<String>>,
    ) -> Option<Attachment<'a>> {
        let resource = reading.resource;
        let settings = self.context.settings;
        let of_root = resource.namespace == settings.root_namespace;
        let of_gateway = resource.namespace == settings.namespace;
        if let Some(target) = self.target_refs(reading) {
            return match target {
                Referred::Gateway => Some(Attachment::Gateway),
                Referred::Service(namespace, name) => {
                    self.carried(reading, &Target::Service(namespace, name), wider, named)
                }
                Referred::Elsewhere => Some(Attachment::Elsewhere),
                Referred::Unknown => None,
            };
        }
        let selector = resource.spec().at(&["selector", "matchLabels"]);
        let selector = selector.map(labels).unwrap_or_default();
        if (of_root || of_gateway) && settings.is_selected_by(&selector) {
            return Some(Attachment::Gateway);
        }
        let namespace = (!of_root).then(|| resource.namespace.clone());
        let target = Target::Pods(namespace, selector);
        self.carried(reading, &target, wider, named)
    }

    /// The places of every workload that a policy of the root namespace is attached to, beside the
    /// gateway.
    pub fn of_workloads(&self, reading: Reading<'a>, wider: Wider) -> Option<Attachment<'a>> {
        let target = Target::Pods(None, Vec::new());
        match self.routes.is_empty() {
            true => None,
            false => self.carried(reading, &target, wider, || None),
        }
    }

    /// A policy of a workload.
    fn carried(
        &self,
        reading: Reading<'a>,
        target: &Target,
        wider: Wider,
        named: impl FnOnce() -> Option<Vec<String>>,
    ) -> Option<Attachment<'a>> {
        let root = &reading.resource.root;
        let mut spots = Vec::new();
        let mut sound = true;
        for route in self.routes {
            match self.spots_of(route, reading, target) {
                Some(found) => found.into_iter().for_each(|spot| join(&mut spots, spot)),
                None => sound = false,
            }
        }
        if !sound {
            return None;
        }
        if !spots.is_empty() {
            return self
                .is_apart(reading, &spots, wider)
                .then_some(Attachment::Carried(spots));
        }
        let settings = self.context.settings;
        let named = self.routes.is_empty().then(named).flatten();
        let hosts = match (settings.hosts.is_empty(), named) {
            (false, _) => settings.hosts.clone(),
            (true, Some(named)) => {
                reading.warning(
                    root,
                    format!(
                        "no route in the input leads to its workload; it is attached to the hosts \
                         that the policies name: {}",
                        named.join(", ")
                    ),
                    "add the VirtualServices or APIRules, or give `--hosts`",
                );
                named
            }
            (true, _) if self.routes.is_empty() => {
                reading.error(
                    root,
                    "no route in the input leads to its workload, so its hosts are not known",
                    "add the VirtualServices or APIRules that lead there, or give `--hosts`",
                );
                return None;
            }
            (true, _) => {
                reading.warning(
                    root,
                    "no route of this gateway leads to its workload; it is left out",
                    "if one does, add its VirtualService, Gateway and Service",
                );
                return Some(Attachment::Elsewhere);
            }
        };
        Some(Attachment::Carried(vec![Spot {
            applies_to: AppliesTo {
                hosts,
                ..AppliesTo::default()
            },
            arms: Vec::new(),
        }]))
    }

    /// The parts of a route that lead to a target; `None` if they cannot be told, which was noted.
    fn spots_of(
        &self,
        route: &Route<'a>,
        reading: Reading<'a>,
        target: &Target,
    ) -> Option<Vec<Spot<'a>>> {
        let mut arms = Vec::new();
        for arm in &route.arms {
            arms.push((arm, self.leads(arm, reading, target)?));
        }
        if !arms.iter().any(|(_, leads)| *leads) {
            return Some(Vec::new());
        }
        let leading = || arms.iter().filter(|(_, leads)| *leads);
        let alone = arms
            .iter()
            .all(|(arm, leads)| *leads || arm.leads_nowhere());
        if alone && !leading().any(|(arm, _)| arm.rewrite.is_any()) {
            // Whatever the rest of the host is, no workload is behind it.
            return Some(vec![Spot {
                applies_to: AppliesTo {
                    hosts: known_host(route),
                    ..AppliesTo::default()
                },
                arms: leading().map(|(arm, _)| Rc::clone(arm)).collect(),
            }]);
        }
        let spots = arms.iter().enumerate().filter(|(_, (_, leads))| *leads);
        let spots = spots.map(|(index, (arm, _))| {
            let before = arms.iter().take(index);
            let before: Vec<_> = before.filter(|(it, _)| it.path.meets(&arm.path)).collect();
            spot(route, arm, &before, reading)
        });
        spots.collect()
    }

    /// Whether an arm leads to a target; `None` if it cannot be told, which was noted.
    fn leads(&self, arm: &Arm<'a>, reading: Reading<'a>, target: &Target) -> Option<bool> {
        let root = &reading.resource.root;
        let name = arm.resource.title();
        let mut reached = Vec::new();
        for destination in &arm.destinations {
            match workloads::reach(self.context, target, destination, (reading, root)) {
                Reach::Yes => reached.push(true),
                Reach::No => reached.push(false),
                Reach::Unknown(what) => {
                    let message = format!(
                        "whether {name} leads to its workload cannot be told without {what}"
                    );
                    reading.error(root, message, "add it to the input");
                    return None;
                }
            }
        }
        if arm.delegated {
            let message = format!("{name} delegates to a VirtualService that is not in the input");
            reading.error(root, message, "add it to the input");
            return None;
        }
        if reached.contains(&true) && reached.contains(&false) {
            let message = format!("{name} sends the same requests to its workload and to others");
            let help = "attach the policy to all of them, or to the gateway";
            reading.error(root, message, help);
            return None;
        }
        Some(reached.contains(&true))
    }

    /// Whether the hosts of a policy are told apart from those that other routes have. A wildcard
    /// covers more specific hosts, whose requests go by their own route.
    fn is_apart(&self, reading: Reading<'a>, spots: &[Spot<'a>], wider: Wider) -> bool {
        let own = |host: &str| {
            let mut own = spots.iter().flat_map(|spot| &spot.applies_to.hosts);
            own.any(|it| it == host)
        };
        let mut apart = true;
        for spot in spots {
            let everywhere = spot.applies_to.hosts.is_empty();
            let wildcard = |it: &String| it.starts_with('*');
            if !everywhere && !spot.applies_to.hosts.iter().any(wildcard) {
                continue;
            }
            for host in self.routes.iter().map(|route| route.host.as_str()) {
                let mut wide = spot.applies_to.hosts.iter();
                let covered = wide.any(|it| it != host && hosts::covers(it, host));
                if !(covered || everywhere) || own(host) || host == hosts::EVERY {
                    continue;
                }
                let message = format!(
                    "its wildcard host covers `{host}`, which does not lead to its workload"
                );
                let root = &reading.resource.root;
                match wider {
                    Wider::Safe => {
                        let message = format!("{message}: there the policy will hold, too");
                        reading.warning(root, message, "");
                    }
                    Wider::Unsafe => {
                        let help = "name the hosts of the wildcard one by one, or attach the policy \
                                    to both workloads";
                        reading.error(root, message, help);
                        apart = false;
                    }
                }
            }
        }
        apart
    }

    /// What `targetRefs` say, if there are any.
    fn target_refs(&self, reading: Reading<'a>) -> Option<Referred> {
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
            return Some(Referred::Unknown);
        }
        let text = |name| first.get(name).and_then(Node::text).unwrap_or_default();
        let settings = self.context.settings;
        Some(match (text("kind"), text("name")) {
            ("Gateway", name) => {
                let same = settings.gateway_name.as_deref() == Some(name)
                    && resource.namespace == settings.namespace;
                match same {
                    true => Referred::Gateway,
                    false => Referred::Elsewhere,
                }
            }
            ("Service", name) => Referred::Service(resource.namespace.clone(), name.to_owned()),
            (kind, _) => {
                let message = format!("a target of kind `{kind}` cannot be carried over");
                reading.error(
                    first,
                    message,
                    "use a selector, or a target of kind Service",
                );
                Referred::Unknown
            }
        })
    }
}

/// What a policy refers to.
enum Referred {
    Gateway,
    Service(String, String),
    Elsewhere,
    Unknown,
}

/// Adds a place, or its host to one that is the same in everything else.
fn join<'a>(spots: &mut Vec<Spot<'a>>, spot: Spot<'a>) {
    let same = |other: &&mut Spot<'a>| {
        let (one, other_place) = (&spot.applies_to, &other.applies_to);
        let mut arms = spot.arms.iter().zip(&other.arms);
        !one.hosts.is_empty()
            && !other_place.hosts.is_empty()
            && one.paths == other_place.paths
            && one.except_paths == other_place.except_paths
            && spot.arms.len() == other.arms.len()
            && arms.all(|(one, other)| {
                Rc::ptr_eq(one, other) || !one.rewrite.is_any() && !other.rewrite.is_any()
            })
    };
    match spots.iter_mut().find(same) {
        Some(known) => {
            known.applies_to.hosts.extend(spot.applies_to.hosts);
            known.arms.extend(spot.arms);
        }
        None => spots.push(spot),
    }
}

/// The host of a route for `appliesTo`, where every host is none.
fn known_host(route: &Route<'_>) -> Vec<String> {
    match route.host == hosts::EVERY {
        true => Vec::new(),
        false => vec![route.host.clone()],
    }
}

/// One arm of a route, without what arms before it take.
fn spot<'a>(
    route: &Route<'a>,
    arm: &Rc<Arm<'a>>,
    before: &[&(&Rc<Arm<'a>>, bool)],
    reading: Reading<'a>,
) -> Option<Spot<'a>> {
    let untold = |what: &str| {
        let name = arm.resource.title();
        reading.error(
            &reading.resource.root,
            format!("{name} tells its workload from others by {what}, which cannot be carried over"),
            "tell them apart by exact paths or prefixes, give each a host of its own, or attach the \
             policy to all of them",
        );
        None
    };
    if arm.conditional {
        return untold("more than the path");
    }
    let Some(pattern) = arm.path.pattern() else {
        return untold("an expression for the path");
    };
    let mut except_paths = Vec::new();
    for (other, leads) in before {
        // What goes to the same workload without being rewritten is judged alike.
        let alike = *leads && !other.rewrite.is_any() && !arm.rewrite.is_any();
        let told = other.path.pattern().filter(|_| !other.conditional);
        match told {
            _ if alike => {}
            Some(pattern) => except_paths.push(pattern),
            None if other.leads_nowhere() => {}
            None if other.conditional => return untold("more than the path"),
            None => return untold("an expression for the path"),
        }
    }
    Some(Spot {
        applies_to: AppliesTo {
            hosts: known_host(route),
            paths: match arm.path {
                ArmPath::Any => Vec::new(),
                _ => vec![pattern],
            },
            except_paths,
        },
        arms: vec![Rc::clone(arm)],
    })
}

/// The hosts that every rule of some policies names; `None` if one names none, or not exactly.
pub fn named_hosts<'a>(policies: impl Iterator<Item = &'a Resource>) -> Option<Vec<String>> {
    let mut named: Vec<String> = Vec::new();
    for policy in policies {
        let rules = policy.spec().get("rules").map_or(&[][..], Node::items);
        for rule in rules {
            let operations = rule.get("to").map_or(&[][..], Node::items);
            if operations.is_empty() {
                return None;
            }
            for operation in operations {
                let hosts = operation.at(&["operation", "hosts"])?.items();
                for host in hosts {
                    let host = hosts::without_port(host.text()?).to_lowercase();
                    let exact = !host.strip_prefix("*.").unwrap_or(&host).contains('*');
                    if !exact || host.is_empty() {
                        return None;
                    }
                    if !named.contains(&host) {
                        named.push(host);
                    }
                }
            }
        }
    }
    (!named.is_empty()).then_some(named)
}
