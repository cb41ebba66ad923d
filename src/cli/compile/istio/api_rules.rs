//! How requests get to workloads behind APIRules, for which Kyma makes the routes.

use super::hosts;
use super::matches::ArmPath;
use super::routes::{Arm, Destination, Rewrite, Route};
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::kyma;
use crate::cli::compile::resource::Resource;
use crate::cli::yaml::Node;
use std::rc::Rc;

/// The routes of every APIRule that was compiled.
pub fn routes<'a>(context: &Context<'a>, draft: &Draft) -> Vec<Route<'a>> {
    let mut routes = Vec::new();
    for (_, written) in kyma::api_rules(context) {
        let (namespace, name) = (&written.namespace, &written.name);
        let original = context
            .inventory
            .named(kyma::GROUP, "APIRule", namespace, name);
        let compiled = format!("{namespace}.{name}");
        let entry = draft.config.api_rules.iter().find(|it| it.name == compiled);
        let (Some(resource), Some(entry)) = (original, entry) else {
            continue;
        };
        let services = services(&written);
        let alone = services.len() < 2;
        let arms = services.into_iter().map(|host| Arm {
            service: resource,
            resource,
            // Which rule leads where is told by more than a policy can say.
            path: if alone { ArmPath::Any } else { ArmPath::Other },
            conditional: !alone,
            destinations: vec![Destination { host }],
            mirrors: Vec::new(),
            delegated: false,
            rewrite: Rewrite::default(),
            headers: Vec::new(),
        });
        let arms: Vec<_> = arms.map(Rc::new).collect();
        routes.extend(entry.hosts.iter().map(|host| Route {
            host: host.clone(),
            arms: arms.clone(),
            doubt: None,
        }));
    }
    routes
}

/// The full names of the services behind an APIRule, each once.
fn services(resource: &Resource) -> Vec<String> {
    let spec = resource.spec();
    let of_all = spec.get("service");
    let rules = spec.get("rules").map_or(&[][..], Node::items).iter();
    let of_rules = rules.map(|rule| rule.get("service").or(of_all));
    let mut names: Vec<String> = Vec::new();
    for service in of_rules.flatten() {
        let given = [Some(service), of_all].into_iter().flatten();
        let mut given = given.filter_map(|it| it.get("namespace")?.text());
        let namespace = given.next().unwrap_or(&resource.namespace);
        let name = service.get("name").and_then(Node::text).unwrap_or_default();
        let name = hosts::full_name(name, namespace);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
