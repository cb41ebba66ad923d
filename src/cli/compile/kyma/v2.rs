//! An APIRule of v2alpha1 or v2: reads it, and adds it as an entry of API rules.
//!
//! Whatever Kyma would refuse is an error in its own words. What the rules say together is judged by
//! [`super::conflicts`] and [`super::order`].

use super::cors::{self, MaxAge};
use super::{Version, conflicts, hosts, jwt, order};
use crate::cli::compile::Context;
use crate::cli::compile::draft::Draft;
use crate::cli::compile::istio::providers;
use crate::cli::compile::oauth2_proxy;
use crate::cli::compile::resource::Reading;
use crate::cli::compile::written::{ApiRule, ApiRules, ExtAuth, Members, Request, Strategy, True};
use crate::cli::yaml::Node;
use crate::policy::ApiPath;

/// An APIRule that was read.
pub(super) struct Api<'a> {
    pub reading: Reading<'a>,
    pub hosts: Vec<String>,
    pub rules: Vec<Rule<'a>>,
}

/// One of its rules.
pub(super) struct Rule<'a> {
    pub node: &'a Node,
    pub path_node: &'a Node,
    /// As it is written.
    pub path: String,
    pub pattern: ApiPath,
    pub methods: Vec<String>,
    pub strategy: Strategy,
    /// Where its authentications stand.
    pub authentications: Vec<&'a Node>,
    pub request: Option<Request>,
    /// `NAMESPACE/NAME` of the service behind it; empty if it has none.
    pub service: String,
}

#[derive(Clone, Copy)]
struct Service<'a> {
    name: &'a str,
    namespace: Option<&'a str>,
}

const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// Adds an APIRule to the draft; `None` if it cannot be, which has been noted.
pub(super) fn compile<'a>(
    context: &Context<'_>,
    draft: &mut Draft,
    reading: Reading<'a>,
) -> Option<Api<'a>> {
    let resource = reading.resource;
    let mut fields = reading.fields(resource.spec())?;
    let service = fields.get("service").map(|node| service(reading, node));
    let cors = fields.get("corsPolicy");
    let cors = cors.and_then(|node| cors::policy(reading, node, MaxAge::Seconds));
    timeout(reading, fields.get("timeout"));
    // These are read where hosts are.
    fields.skip(&["hosts", "gateway", "externalGateway"]);
    let rules = fields
        .get("rules")
        .map_or(&[][..], |list| reading.items(list));
    fields.finish();
    let hosts = hosts::hosts(context, reading, Version::V2);
    let rules: Vec<_> = rules
        .iter()
        .map(|node| rule(context, draft, reading, node, service))
        .collect();
    let complete = rules.iter().all(Option::is_some);
    let rules: Vec<_> = rules.into_iter().flatten().collect();
    let distinct = conflicts::tell(reading, &rules);
    let demands = rules.iter();
    let demands = demands.map(|rule| (&rule.strategy, rule.authentications.as_slice()));
    jwt::tell_differences(reading, demands);
    let hosts = hosts?;
    let place = resource
        .spec()
        .get("hosts")
        .and_then(|it| it.items().first());
    let place = place.unwrap_or(resource.spec());
    let mut taken = hosts
        .iter()
        .filter(|host| !hosts::is_free(context, draft, reading, place, host));
    if taken.next().is_some() || !complete || !distinct {
        return None;
    }
    let written = order::in_order(reading, &rules);
    let (mut written, from): (Vec<ApiRule>, Vec<_>) = written.into_iter().unzip();
    for (rule, from) in written.iter_mut().zip(&from) {
        // Only now: until here an authorizer is asked beside what other rules demand.
        oauth2_proxy::inline(context, draft, (reading, from.node), rule);
    }
    let entry = ApiRules {
        name: format!("{}.{}", resource.namespace, resource.name),
        hosts: hosts.clone(),
        error_style: None,
        cors_policy: cors,
        rules: written,
    };
    let index = draft.add_api_rules(entry, reading, &resource.root);
    let path = format!("$.apiRules[{index}]");
    for name in ["rules", "corsPolicy"] {
        let node = resource.spec().get(name).unwrap_or(&resource.root);
        draft.came_from(format!("{path}.{name}"), reading, node);
    }
    for (number, rule) in from.into_iter().enumerate() {
        rule.tell_origin(draft, reading, &format!("{path}.rules[{number}]"));
    }
    Some(Api {
        reading,
        hosts,
        rules,
    })
}

fn rule<'a>(
    context: &Context<'_>,
    draft: &mut Draft,
    reading: Reading<'a>,
    node: &'a Node,
    of_spec: Option<Option<Service<'a>>>,
) -> Option<Rule<'a>> {
    let mut fields = reading.fields(node)?;
    let path_node = fields.required("path");
    let methods = fields
        .required("methods")
        .map(|list| methods(reading, list));
    let own = fields.get("service").map(|node| service(reading, node));
    timeout(reading, fields.get("timeout"));
    let request = fields.get("request").map(|node| request(reading, node));
    let no_auth = fields.get("noAuth").map(|node| reading.flag(node));
    let jwt = fields.get("jwt");
    let ext_auth = fields.get("extAuth");
    fields.finish();
    if own.is_none() && of_spec.is_none() {
        let message = "The rule must define a service, because no service is defined on spec level";
        reading.error(node, message, "give `service` here or for the whole spec");
    }
    let pattern = path_node.map(|node| pattern(reading, node));
    let mut authentications = Vec::new();
    let strategy = match (no_auth.unwrap_or(Some(false)), jwt, ext_auth) {
        (Some(true), None, None) => Some(Strategy::NoAuth(True)),
        (Some(false), Some(jwt), None) => {
            jwt::demand(draft, reading, jwt).map(|(demand, nodes)| {
                authentications = nodes;
                Strategy::Jwt(demand)
            })
        }
        (Some(false), None, Some(node)) => {
            ext_auth_of(context, draft, reading, node).map(|(strategy, nodes)| {
                authentications = nodes;
                strategy
            })
        }
        (Some(_), ..) => {
            let message = "One of the following fields must be set: noAuth, jwt, extAuth";
            reading.error(node, message, "give exactly one; `noAuth: false` is none");
            None
        }
        // That it is no truth value was said already.
        (None, ..) => None,
    };
    let service = own.or(of_spec).flatten();
    let of_spec = of_spec.flatten().and_then(|it| it.namespace);
    let own_namespace = reading.resource.namespace.as_str();
    let service = service.map(|it| {
        let namespace = it.namespace.or(of_spec).unwrap_or(own_namespace);
        format!("{namespace}/{}", it.name)
    });
    let (path, pattern) = pattern.flatten()?;
    Some(Rule {
        node,
        path_node: path_node?,
        path,
        pattern,
        methods: methods.flatten()?,
        strategy: strategy?,
        authentications,
        request: match request {
            Some(request) => Some(request?).filter(|it| *it != Request::default()),
            None => None,
        },
        service: service.unwrap_or_default(),
    })
}

fn pattern(reading: Reading<'_>, node: &Node) -> Option<(String, ApiPath)> {
    let path = node.text().unwrap_or_default();
    if path.matches("{**}").count() > 1 {
        let message = "Only one {**} operator is allowed in the path.";
        reading.error(
            node,
            message,
            "write the others as `{*}`, which is for one segment",
        );
        return None;
    }
    let mut behind = path.split('/').skip_while(|it| *it != "{**}").skip(1);
    if behind.any(|it| it == "{*}") {
        let message = "The {**} operator must be the last operator in the path.";
        reading.error(node, message, "let only literal segments follow it");
        return None;
    }
    match ApiPath::parse(path) {
        Ok(pattern) => Some((path.to_owned(), pattern)),
        Err(allowed) => {
            reading.unexpected(node, &allowed);
            None
        }
    }
}

fn methods(reading: Reading<'_>, list: &Node) -> Option<Vec<String>> {
    let items = reading.items(list);
    if list.is_list() && items.is_empty() {
        reading.error(list, "no methods; at least one is required", "");
    }
    let method = |node: &Node| {
        let known = node.text().filter(|it| METHODS.contains(it));
        if known.is_none() {
            reading.unexpected(node, &METHODS.map(|it| format!("`{it}`")).join(", "));
        }
        known.map(str::to_owned)
    };
    let methods: Vec<_> = items.iter().map(method).collect();
    let methods: Option<Vec<_>> = methods.into_iter().collect();
    methods.filter(|it| !it.is_empty())
}

fn service<'a>(reading: Reading<'a>, node: &'a Node) -> Option<Service<'a>> {
    let mut fields = reading.fields(node)?;
    let name = fields.required("name").and_then(|node| reading.text(node));
    let namespace = fields.get("namespace").and_then(|node| reading.text(node));
    in_range(reading, fields.required("port"), 65_535);
    fields.get("external").map(|node| reading.flag(node));
    fields.finish();
    let namespace = namespace.filter(|it| !it.is_empty());
    name.map(|name| Service { name, namespace })
}

/// How long the upstream may take is the route's business.
fn timeout(reading: Reading<'_>, node: Option<&Node>) {
    in_range(reading, node, 3_900);
}

fn in_range(reading: Reading<'_>, node: Option<&Node>, most: u64) {
    let number = node.and_then(|node| Some((node, reading.number(node)?)));
    if let Some((node, _)) = number.filter(|(_, number)| !(1..=most).contains(number)) {
        reading.unexpected(node, &format!("a whole number from 1 to {most}"));
    }
}

fn request(reading: Reading<'_>, node: &Node) -> Option<Request> {
    let mut fields = reading.fields(node)?;
    let headers = fields.get("headers").map(|node| members(reading, node));
    let cookies = fields.get("cookies").map(|node| members(reading, node));
    fields.finish();
    let (headers, cookies) = (headers.unwrap_or_default(), cookies.unwrap_or_default());
    Some(Request {
        headers,
        cookies,
        keep_cookies: None,
    })
}

fn members(reading: Reading<'_>, node: &Node) -> Members<String> {
    if !node.is_map() {
        reading.unexpected(node, "an object of names and texts");
    }
    let members = node.members().iter();
    let members = members
        .filter_map(|(key, value)| Some((key.name.clone(), reading.text(value)?.to_owned())));
    Members(members.collect())
}

fn ext_auth_of<'a>(
    context: &Context<'_>,
    draft: &mut Draft,
    reading: Reading<'a>,
    node: &'a Node,
) -> Option<(Strategy, Vec<&'a Node>)> {
    let mut fields = reading.fields(node)?;
    let list = fields.required("authorizers");
    let restrictions = fields.get("restrictions");
    fields.finish();
    let restrictions = restrictions.map(|node| jwt::demand(draft, reading, node));
    let items = reading.items(list?);
    if items.is_empty() {
        reading.error(list?, "no authorizers; at least one is required", "");
    }
    let mut authorizers = Vec::new();
    let mut all_found = !items.is_empty();
    for item in items {
        let Some(name) = reading.text(item) else {
            all_found = false;
            continue;
        };
        all_found &= oauth2_proxy::is_inlined(context, (reading, item), name)
            || providers::require(context, draft, reading, item, name);
        if !authorizers.iter().any(|it| it == name) {
            authorizers.push(name.to_owned());
        }
    }
    let (restrictions, nodes) = match restrictions {
        Some(restrictions) => restrictions.map(|(demand, nodes)| (Some(demand), nodes))?,
        None => (None, Vec::new()),
    };
    let strategy = Strategy::ExtAuth(ExtAuth {
        authorizers,
        restrictions,
    });
    all_found.then_some((strategy, nodes))
}

// === impl Rule ===

impl Rule<'_> {
    /// Notes where the parts of a written rule came from.
    fn tell_origin(&self, draft: &mut Draft, reading: Reading<'_>, path: &str) {
        draft.came_from(path.to_owned(), reading, self.node);
        if let Some(request) = self.node.get("request") {
            draft.came_from(format!("{path}.request"), reading, request);
        }
        for (number, node) in self.authentications.iter().enumerate() {
            for within in ["jwt", "extAuth.restrictions"] {
                let path = format!("{path}.{within}.authentications[{number}]");
                draft.came_from(path, reading, node);
            }
        }
    }
}
