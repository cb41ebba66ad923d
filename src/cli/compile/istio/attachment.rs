//! Where a policy is attached: to the gateway as a whole, or to what leads to a workload behind it.
//!
//! A policy for a workload is carried to the hosts and paths by which VirtualServices reach that
//! workload. Where that cannot be said exactly, it is an error.

use super::hosts;
use super::matches::ArmPath;
use super::routes::{Arm, Route};
use super::targets::{self, Selected};
use super::unrouted::Unrouted;
use super::workloads::{self, Reach, Target};
use crate::cli::compile::Context;
use crate::cli::compile::resource::Reading;
use crate::cli::compile::written::AppliesTo;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// Where a policy is attached.
pub enum Attachment<'a> {
    /// To the gateway itself, and to these workloads behind it.
    Gateway(Option<Target>),
    /// To these places, of workloads behind it.
    Carried(Target, Vec<Spot<'a>>),
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
    /// Those that may lead to workloads of a namespace.
    near: Near,
    /// What is attached to hosts that were only given or guessed.
    pub unrouted: RefCell<Vec<Unrouted>>,
}

/// Which routes may lead to workloads of a namespace, by their places in the list: of a whole cluster
/// most policies have nothing to do with most routes.
#[derive(Default)]
struct Near {
    by_namespace: HashMap<String, Vec<usize>>,
    everywhere: Vec<usize>,
}

// === impl Attachments ===

impl<'c, 'a> Attachments<'c, 'a> {
    /// Of these routes.
    pub fn new(context: &'c Context<'a>, routes: &'a [Route<'a>]) -> Self {
        let mut near = Near::default();
        for (index, route) in routes.iter().enumerate() {
            let arms = route.arms.iter();
            let destinations = arms.flat_map(|arm| arm.destinations.iter().chain(&arm.mirrors));
            let namespaces: Option<Vec<_>> = destinations
                .map(|it| workloads::namespace(context, it))
                .collect();
            match namespaces.filter(|_| !route.arms.iter().any(|arm| arm.delegated)) {
                None => near.everywhere.push(index),
                Some(mut namespaces) => {
                    namespaces.sort_unstable();
                    namespaces.dedup();
                    for namespace in namespaces {
                        let there = near.by_namespace.entry(namespace.to_owned());
                        there.or_default().push(index);
                    }
                }
            }
        }
        Self {
            context,
            routes,
            near,
            unrouted: RefCell::default(),
        }
    }

    /// Where a policy is attached. `named` are hosts that it names itself, for when there are no
    /// routes at all.
    pub fn of(
        &self,
        reading: Reading<'a>,
        wider: Wider,
        named: impl FnOnce() -> Option<Vec<String>>,
    ) -> Option<Attachment<'a>> {
        match targets::selected(self.context, reading)? {
            Selected::Gateway => Some(Attachment::Gateway(None)),
            Selected::Both(target) => Some(Attachment::Gateway(Some(target))),
            Selected::Workloads(target) => self.carried(reading, target, wider, named),
            Selected::Nothing => Some(Attachment::Elsewhere),
        }
    }

    /// The places of workloads that a policy of the gateway is attached to, too.
    pub fn of_workloads(
        &self,
        reading: Reading<'a>,
        wider: Wider,
        target: &Target,
    ) -> Option<Vec<Spot<'a>>> {
        match self.spots(reading, target)? {
            spots if spots.is_empty() => Some(spots),
            spots => self.is_apart(reading, &spots, wider).then_some(spots),
        }
    }

    /// A policy of a workload.
    fn carried(
        &self,
        reading: Reading<'a>,
        target: Target,
        wider: Wider,
        named: impl FnOnce() -> Option<Vec<String>>,
    ) -> Option<Attachment<'a>> {
        let spots = self.spots(reading, &target)?;
        if !spots.is_empty() {
            return self
                .is_apart(reading, &spots, wider)
                .then_some(Attachment::Carried(target, spots));
        }
        self.unrouted(reading, target, wider, named)
    }

    /// The parts of every route that lead to a target.
    fn spots(&self, reading: Reading<'a>, target: &Target) -> Option<Vec<Spot<'a>>> {
        let (mut spots, mut sound) = (Vec::new(), true);
        // What is wrong with other routes is said, too.
        for route in self.routes_to(target) {
            match self.spots_of(route, reading, target) {
                Some(found) => found.into_iter().for_each(|spot| join(&mut spots, spot)),
                None => sound = false,
            }
        }
        sound.then_some(spots)
    }

    /// The routes that may lead to a target, in their order.
    pub fn routes_to(&self, target: &Target) -> Vec<&'a Route<'a>> {
        let (Target::Pods(Some(namespace), _) | Target::Service(namespace, _)) = target else {
            return self.routes.iter().collect();
        };
        let near = self.near.by_namespace.get(namespace);
        let near = near.into_iter().flatten().chain(&self.near.everywhere);
        let mut near: Vec<_> = near.copied().collect();
        near.sort_unstable();
        let routes = near.into_iter().filter_map(|index| self.routes.get(index));
        routes.collect()
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
        if let Some((doubt, help)) = &route.doubt {
            reading.error(&reading.resource.root, doubt, *help);
            return None;
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
    pub fn leads(&self, arm: &Arm<'a>, reading: Reading<'a>, target: &Target) -> Option<bool> {
        let root = &reading.resource.root;
        let name = arm.service.title();
        let mut reached = Vec::new();
        let mirrors = arm.mirrors.iter().map(|it| (it, true));
        let destinations = arm.destinations.iter().map(|it| (it, false));
        for (destination, mirrored) in destinations.chain(mirrors) {
            match workloads::reach(self.context, target, destination, (reading, root)) {
                Reach::Yes if mirrored => {
                    let message = format!("{name} mirrors requests to its workload");
                    let help = "leave this policy at the workload, and out of the input";
                    reading.error(root, message, help);
                    return None;
                }
                Reach::No if mirrored => {}
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
        // Where it holds for a part of a host, or reads differently, the wildcard would add to that.
        let plain = |spot: &&Spot<'_>| {
            let whole = spot.applies_to.paths.is_empty() && spot.applies_to.except_paths.is_empty();
            whole && !spot.arms.iter().any(|arm| arm.rewrite.is_any())
        };
        let own = |spot: &Spot<'_>, host: &str| {
            let alike = spots.iter().filter(plain);
            let mut alike = alike.flat_map(|it| &it.applies_to.hosts);
            plain(&spot) && alike.any(|it| it == host)
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
                if !(covered || everywhere) || own(spot, host) || host == hosts::EVERY {
                    continue;
                }
                let message = format!(
                    "its wildcard host covers `{host}`, which does not always lead to its workload"
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

/// Places as `appliesTo` lists them, where everywhere is no list.
pub fn listed(places: Vec<AppliesTo>) -> Vec<AppliesTo> {
    match places.contains(&AppliesTo::default()) {
        true => Vec::new(),
        false => places,
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
        let name = arm.service.title();
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
