//! ALLOW policies of the gateway and of the workloads behind it, joined.
//!
//! In Istio a request must be allowed at the gateway and then at the workload. Here all ALLOW policies
//! of a request are one set, of which one must match; so both sets can only be joined where one of
//! them lets everything through that the other does, or says nothing of its own.

use super::authorization::Translated;
use crate::cli::compile::written::AppliesTo;

/// What is left of the policies.
pub fn join(translated: Vec<Translated<'_>>) -> Vec<Translated<'_>> {
    let (allow, mut joined): (Vec<_>, Vec<_>) = translated.into_iter().partition(is_allow);
    let (at_gateway, behind): (Vec<_>, Vec<_>) = allow.into_iter().partition(|it| it.at_gateway);
    if at_gateway.is_empty() || at_gateway.iter().any(allows_all) {
        // The gateway lets everything through: what the workloads say decides.
        joined.extend(behind);
        return joined;
    }
    // Where the gateway has nothing of its own, it allows what every workload does, too.
    let own = at_gateway.iter().find(|it| !it.mesh_wide);
    let alike = own.is_none()
        && behind
            .iter()
            .filter(|it| it.mesh_wide)
            .all(|it| !it.changed);
    let first = own.or_else(|| at_gateway.first());
    let open: Vec<_> = behind.iter().filter(|it| allows_all(it)).collect();
    for it in behind.iter().filter(|it| !allows_all(it)) {
        let places = it.policy.applies_to.as_slice();
        let opened = match places.is_empty() {
            true => open.iter().any(|it| it.policy.applies_to.is_empty()),
            false => places.iter().all(|place| is_covered(place, &open)),
        };
        let root = &it.reading.resource.root;
        if alike && !it.mesh_wide && !opened {
            it.reading.warning(
                root,
                "at the gateway it allows nothing that the policies of the root namespace do not \
                 allow; it is left out",
                "give the gateway an ALLOW policy of its own for what it may let through",
            );
        }
        if alike || opened {
            continue;
        }
        let gateway = first
            .map(|it| it.reading.resource.title())
            .unwrap_or_default();
        it.reading.error(
            root,
            match it.mesh_wide {
                true => format!(
                    "{gateway} allows at the gateway, and this at every workload; a request needs \
                     both, and here one would do"
                ),
                false => format!(
                    "{gateway} allows at the gateway and this at its workload; a request needs both, \
                     and here one would do"
                ),
            },
            "put into one policy what both demand, or leave to the workload what only it can judge",
        );
    }
    joined.extend(at_gateway);
    joined
}

fn is_allow(translated: &Translated<'_>) -> bool {
    let policy = &translated.policy;
    policy.action.is_none() && policy.dry_run.is_none()
}

/// Whether it has a rule without any demand.
fn allows_all(translated: &Translated<'_>) -> bool {
    let mut rules = translated.policy.rules.iter();
    rules.any(|rule| rule.is_map() && rule.members().iter().all(|(_, it)| it.is_null()))
}

/// Whether policies that allow everything are attached to all of a place.
fn is_covered(place: &AppliesTo, by: &[&Translated<'_>]) -> bool {
    let covers = |wide: &AppliesTo, host: Option<&String>| {
        let hosts = wide.hosts.is_empty() || host.is_some_and(|host| wide.hosts.contains(host));
        let whole = wide.paths.is_empty() && wide.except_paths.is_empty();
        let same = wide.paths == place.paths && wide.except_paths == place.except_paths;
        hosts && (whole || same)
    };
    let covered = |host: Option<&String>| {
        by.iter().any(|it| {
            let places = it.policy.applies_to.as_slice();
            places.is_empty() || places.iter().any(|wide| covers(wide, host))
        })
    };
    match place.hosts.is_empty() {
        true => covered(None),
        false => place.hosts.iter().all(|host| covered(Some(host))),
    }
}
