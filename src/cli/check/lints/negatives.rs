//! ALLOW rules that say only who or what may not: whoever shows no credentials at all is none of
//! those (ISTIO-SECURITY-2021-004).

use super::{Lint, below};
use crate::config::{Action, Demand, Rule};

pub(super) fn check(lint: &mut Lint<'_>) {
    let rules: Vec<_> = lint.rules().collect();
    for (path, node, policy, rule) in rules {
        if policy.action != Action::Allow {
            continue;
        }
        if is_of_negatives_only(rule) {
            lint.warn(
                path,
                "built of negatives only: it allows everything that it does not name, to callers \
                 without credentials as well",
                "say what is allowed (`paths`, `methods`) and to whom (`requestPrincipals: [\"*\"]` \
                 for any token), or write a DENY policy of what is not",
            );
            continue;
        }
        if rule.when.iter().any(names_callers) {
            continue;
        }
        let help = "add whom it is for, such as `requestPrincipals: [\"*\"]` (any token with a \
                    subject) or `principals: [\"*\"]` (any client certificate), or write a DENY \
                    policy of those that it is not for";
        let message = "says only who may not: a caller without any credentials matches as well";
        let excludes_by_condition = rule.when.iter().any(excludes_callers);
        if rule.from.is_empty() && excludes_by_condition {
            lint.warn(format!("{path}.when"), message, help);
        }
        for ((path, _), source) in below(node, &path, "from").zip(&rule.from) {
            let excludes = source.iter().any(excludes_callers) || excludes_by_condition;
            if excludes && !source.iter().any(names_callers) {
                lint.warn(format!("{path}.source"), message, help);
            }
        }
    }
}

fn is_of_negatives_only(rule: &Rule) -> bool {
    let demands = rule.from.iter().chain(&rule.to).flatten();
    let demands: Vec<_> = demands.chain(&rule.when).collect();
    !demands.is_empty() && demands.iter().all(|demand| demand.any_of.is_empty())
}

fn names_callers(demand: &Demand) -> bool {
    demand.any_of.iter().any(is_about_callers)
}

fn excludes_callers(demand: &Demand) -> bool {
    demand.none_of.iter().any(is_about_callers)
}

fn is_about_callers(predicate: &crate::policy::Predicate) -> bool {
    predicate.is_about_the_caller() || predicate.is_about_the_peer()
}
