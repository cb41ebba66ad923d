//! Workloads to which no route of the input leads: their policies are attached to hosts that were
//! given, or that the policies name themselves.

use super::attachment::{Attachment, Attachments, Spot, Wider};
use super::hosts;
use super::workloads::Target;
use crate::cli::compile::resource::{Reading, Resource};
use crate::cli::compile::written::AppliesTo;
use crate::cli::yaml::Node;

/// Workloads to which no route is known, and the hosts that are taken to lead there.
pub struct Unrouted {
    target: Target,
    hosts: Vec<String>,
    title: String,
}

impl<'a> Attachments<'_, 'a> {
    /// A policy of workloads that no route leads to. `named` are hosts that it names itself, for when
    /// there are no routes at all.
    pub fn unrouted(
        &self,
        reading: Reading<'a>,
        target: Target,
        wider: Wider,
        named: impl FnOnce() -> Option<Vec<String>>,
    ) -> Option<Attachment<'a>> {
        let root = &reading.resource.root;
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
        if wider == Wider::Unsafe && !self.is_alone(reading, &target, &hosts) {
            return None;
        }
        let spot = Spot {
            applies_to: AppliesTo {
                hosts,
                ..AppliesTo::default()
            },
            arms: Vec::new(),
        };
        Some(Attachment::Carried(target, vec![spot]))
    }

    /// Whether hosts that no route is known for lead to these workloads alone: at one host, the
    /// policies of two workloads would let in what one of them does.
    fn is_alone(&self, reading: Reading<'a>, target: &Target, hosts: &[String]) -> bool {
        let root = &reading.resource.root;
        let overlap = |one: &str| {
            hosts
                .iter()
                .any(|it| hosts::intersection(one, it).is_some())
        };
        if let Some(route) = self.routes.iter().find(|route| overlap(&route.host)) {
            reading.error(
                root,
                format!("routes of `{}` lead to other workloads", route.host),
                "give `--hosts` for hosts without routes in the input alone",
            );
            return false;
        }
        let mut known = self.unrouted.borrow_mut();
        let other = known
            .iter()
            .find(|it| !it.target.meets(target) && it.hosts.iter().any(|host| overlap(host)));
        if let Some(other) = other {
            reading.error(
                root,
                format!(
                    "{} is for another workload, and no route tells which host leads where",
                    other.title
                ),
                "add the VirtualServices or APIRules, or compile each workload on its own",
            );
            return false;
        }
        known.push(Unrouted {
            target: target.clone(),
            hosts: hosts.to_vec(),
            title: reading.resource.title(),
        });
        true
    }
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
