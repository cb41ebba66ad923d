//! APIRules of one service: in Kyma their policies stand at one workload, where each allows what it
//! allows, and every authorizer is asked. Here the APIRule of the host alone decides.

use super::order::{demand, overlap};
use super::v2::{Api, Rule};
use crate::cli::compile::written::Strategy;

/// Tells where Kyma lets another APIRule have its say.
pub(super) fn check(exposed: &[Api<'_>]) {
    for api in exposed {
        let place = api.reading.resource.spec();
        let place = place.get("hosts").unwrap_or(place);
        let others = exposed.iter().filter(|it| !std::ptr::eq(*it, api));
        for other in others {
            let pairs = || pairs(api, other);
            let title = other.reading.resource.title();
            let opens = |(rule, other): &(&Rule<'_>, &Rule<'_>)| {
                demand(rule).is_some() && demand(other).is_none()
            };
            let opened = pairs().find(opens).filter(|_| is_within(api, other));
            if let Some((rule, other)) = opened {
                let path = &rule.path;
                api.reading.warning(
                    place,
                    format!("Kyma leaves `{path}` open here, since {title} is for this host too"),
                    format!(
                        "its rule for `{}` needs no token and its host is a wildcard; here only \
                         the APIRule of the narrower host decides, and that needs the token",
                        other.path
                    ),
                );
            }
            let asks = |(rule, other): &(&Rule<'_>, &Rule<'_>)| {
                let (mine, theirs) = (authorizers(rule), authorizers(other));
                theirs.iter().any(|it| !mine.contains(it))
            };
            if let Some((rule, other)) = pairs().find(asks) {
                let names = authorizers(other).join("`, `");
                api.reading.warning(
                    rule.node,
                    format!("Kyma may ask `{names}` here too, for {title}; this does not"),
                    "Kyma asks an authorizer about whatever reaches the workload; name it in this \
                     rule if it is to be asked",
                );
            }
        }
    }
}

fn pairs<'r, 'a>(
    api: &'r Api<'a>,
    other: &'r Api<'a>,
) -> impl Iterator<Item = (&'r Rule<'a>, &'r Rule<'a>)> {
    let rules = api.rules.iter();
    let pairs = rules.flat_map(|rule| other.rules.iter().map(move |other| (rule, other)));
    pairs.filter(|(rule, other)| overlap(rule, other))
}

/// Whether the wildcard host of one is also for the host of the other.
fn is_within(narrow: &Api<'_>, wide: &Api<'_>) -> bool {
    let mut suffixes = wide.hosts.iter().filter_map(|it| it.strip_prefix('*'));
    suffixes.any(|suffix| narrow.hosts.iter().any(|host| host.ends_with(suffix)))
}

fn authorizers<'r>(rule: &'r Rule<'_>) -> &'r [String] {
    match &rule.strategy {
        Strategy::ExtAuth(it) => &it.authorizers,
        _ => &[],
    }
}
