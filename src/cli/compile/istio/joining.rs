//! ALLOW policies of the gateway and of the workloads behind it, joined.
//!
//! In Istio a request must be allowed at the gateway and then at the workload. Here all ALLOW policies
//! of a request are one set, of which one must match; so both sets can only be joined where one of
//! them lets everything through, or says nothing of its own.

use super::authorization::Translated;

/// What is left of the policies.
pub fn join(translated: Vec<Translated<'_>>) -> Vec<Translated<'_>> {
    let (allow, mut joined): (Vec<_>, Vec<_>) = translated.into_iter().partition(is_allow);
    let (at_gateway, behind): (Vec<_>, Vec<_>) = allow.into_iter().partition(|it| it.at_gateway);
    let (mesh_wide, behind): (Vec<_>, Vec<_>) = behind.into_iter().partition(|it| it.mesh_wide);
    if at_gateway.is_empty() {
        joined.extend(behind);
        return joined;
    }
    if at_gateway.iter().any(allows_all) {
        // The gateway lets everything through: what the workloads say decides.
        if !mesh_wide.iter().any(allows_all) {
            joined.extend(mesh_wide);
            joined.extend(behind);
        }
        return joined;
    }
    let own = at_gateway.iter().find(|it| !it.mesh_wide);
    if let (Some(own), Some(other)) = (own, behind.iter().find(|it| !allows_all(it))) {
        other.reading.error(
            &other.reading.resource.root,
            format!(
                "{} allows at the gateway and this at its workload; a request needs both, and here \
                 one would do",
                own.reading.resource.title()
            ),
            "put into one policy what both demand, or leave to the workload what only it can judge",
        );
    }
    if own.is_none() {
        for it in behind.iter().filter(|it| !allows_all(it)) {
            it.reading.warning(
                &it.reading.resource.root,
                "at the gateway it allows nothing that the policies of the root namespace do not \
                 allow; it is left out",
                "give the gateway an ALLOW policy of its own for what it may let through",
            );
        }
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
