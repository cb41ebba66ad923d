//! In which order Istio puts the routes of several VirtualServices for one host, and whether that can
//! be told at all.

use super::gateways::Listener;
use super::routes::{Arm, Route};
use crate::cli::compile::resource::Resource;
use std::rc::Rc;

/// The routes of one host at one listener, as they are gathered.
pub struct Gathered<'a> {
    /// Where.
    pub listener: Listener,
    /// The host.
    pub host: String,
    /// Each VirtualService with its arms, and the Gateways by which it is there.
    pub services: Vec<Share<'a>>,
}

/// What a VirtualService has of the routes of a host.
pub struct Share<'a> {
    /// The VirtualService.
    pub resource: &'a Resource,
    /// The Gateways by which it is there.
    pub by: Vec<String>,
    /// Its arms.
    pub arms: Vec<Rc<Arm<'a>>>,
}

/// What to do about routes whose order is not known.
const GIVE_TIMES: &str = "give the VirtualServices as `kubectl get -o yaml` prints them, with \
                          `metadata.creationTimestamp`, or put their routes into one";

/// One route of each host; where listeners or orders make a difference, it carries a doubt.
pub fn routes(gathered: Vec<Gathered<'_>>) -> Vec<Route<'_>> {
    let mut routes: Vec<Route<'_>> = Vec::new();
    for gathered in gathered {
        let Gathered { host, .. } = &gathered;
        let host = host.clone();
        let (arms, doubt) = in_order(gathered);
        let Some(known) = routes.iter_mut().find(|it| it.host == host) else {
            routes.push(Route { host, arms, doubt });
            continue;
        };
        let nowhere = |arms: &[Rc<Arm<'_>>]| arms.iter().all(|arm| arm.leads_nowhere());
        let same = known.arms.len() == arms.len();
        let same = same
            && known
                .arms
                .iter()
                .zip(&arms)
                .all(|(one, other)| Rc::ptr_eq(one, other));
        if same || nowhere(&arms) {
            continue;
        }
        if nowhere(&known.arms) {
            (known.arms, known.doubt) = (arms, doubt);
            continue;
        }
        let names = names(known.arms.iter().chain(&arms));
        known.arms.extend(arms);
        known.doubt = Some((
            format!(
                "the routes of the host `{host}` are not the same at every port of the gateway ({names})"
            ),
            "bind its VirtualServices to the same Gateways, or give each port hosts of its own",
        ));
    }
    routes
}

/// The arms of a host in the order in which they are tried.
fn in_order(gathered: Gathered<'_>) -> (Vec<Rc<Arm<'_>>>, Option<(String, &'static str)>) {
    let Gathered {
        host,
        services: mut shares,
        ..
    } = gathered;
    let times: Option<Vec<_>> = shares.iter().map(|it| created(it.resource)).collect();
    let same_gateways = shares
        .iter()
        .all(|it| shares.first().is_some_and(|first| it.by == first.by));
    let told = times.is_some() && same_gateways;
    if told {
        shares.sort_by_key(|it| {
            let Resource {
                namespace, name, ..
            } = it.resource;
            (
                created(it.resource).map(str::to_owned),
                format!("{name}.{namespace}"),
            )
        });
    }
    let mut doubt = None;
    for (index, share) in shares.iter().enumerate().filter(|_| !told) {
        for other in shares.iter().skip(index.saturating_add(1)) {
            let differ = share.arms.iter().any(|arm| {
                other.arms.iter().any(|other| {
                    arm.takes_all() == other.takes_all()
                        && arm.path.meets(&other.path)
                        && !arm.does_the_same(other)
                })
            });
            if differ {
                let names = names(share.arms.iter().chain(&other.arms));
                doubt = Some((
                    format!(
                        "which of the routes of the host `{host}` comes first is not known ({names})"
                    ),
                    GIVE_TIMES,
                ));
            }
        }
    }
    let mut arms: Vec<_> = shares.into_iter().flat_map(|it| it.arms).collect();
    // Istio puts what takes everything behind the routes of other VirtualServices.
    arms.sort_by_key(|arm| arm.takes_all());
    (arms, doubt)
}

/// When a resource was created, in a form that can be compared.
fn created(resource: &Resource) -> Option<&str> {
    let time = resource
        .root
        .at(&["metadata", "creationTimestamp"])?
        .text()?;
    (time.len() == "2026-01-01T00:00:00Z".len() && time.ends_with('Z')).then_some(time)
}

/// The VirtualServices of some arms.
fn names<'r, 'a: 'r>(arms: impl Iterator<Item = &'r Rc<Arm<'a>>>) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in arms.map(|arm| arm.service.title()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}
