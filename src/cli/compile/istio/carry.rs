//! The rules of a workload's policy, as they read at the gateway.
//!
//! A workload sees requests as routes have left them, and its callers by the mesh. What means the
//! same at the gateway is taken over, what a route rewrites is translated back, and anything else is
//! an error.

use super::attachment::Spot;
use super::rewrite::Rewriting;
use super::routes::Arm;
use crate::cli::compile::resource::Reading;
use crate::cli::compile::settings::Settings;
use crate::cli::compile::written::ClientCertificate;
use crate::cli::yaml::{Content, Key, Node};
use std::cell::Cell;

/// Where a policy is carried to.
pub struct Place<'p, 'a> {
    /// The policy.
    pub reading: Reading<'a>,
    /// What is known of the gateway.
    pub settings: &'p Settings,
    /// Whether a match refuses, or has somebody asked.
    pub denies: bool,
    /// Headers that tell of client certificates.
    pub headers: Option<&'p ClientCertificate>,
    /// The place.
    pub spot: &'p Spot<'a>,
}

/// Rules as they read at the gateway.
pub struct Carried {
    /// The rules; those that can never match there are left out.
    pub rules: Vec<Node>,
    /// Whether any of them is not as it was because of this very place.
    pub here: bool,
    /// Whether any of them is not as it was.
    pub changed: bool,
}

/// What becomes of a part of a rule.
enum Part {
    /// It holds for every request that comes through the gateway.
    Always,
    /// It never holds at this place.
    Never,
    /// It is this.
    Is(Node),
}

/// One place, and what came of it so far.
struct Carrier<'r, 'a> {
    place: &'r Place<'r, 'a>,
    arms: Vec<&'r Arm<'a>>,
    rewriting: Rewriting,
    rewrites_authority: bool,
    sound: Cell<bool>,
    here: Cell<bool>,
}

/// Fields of a source that tell who calls a workload within the mesh.
const OF_THE_MESH: [&str; 14] = [
    "principals",
    "notPrincipals",
    "namespaces",
    "notNamespaces",
    "serviceAccounts",
    "notServiceAccounts",
    "trustDomains",
    "notTrustDomains",
    "ipBlocks",
    "notIpBlocks",
    "remoteIpBlocks",
    "notRemoteIpBlocks",
    "ports",
    "notPorts",
];

/// Keys of conditions that tell the same.
const KEYS_OF_THE_MESH: [&str; 5] = [
    "source.",
    "remote.ip",
    "destination.",
    "connection.",
    "experimental.",
];

/// What the service account of the ingress gateway is called by Istio's installers.
const ACCOUNTS: [&str; 2] = [
    "istio-ingressgateway",
    "istio-ingressgateway-service-account",
];

/// What to do about them.
const LEAVE_IT: &str = "leave this policy at the workload, and out of the input";

/// The rules of a policy at a place; `None` if they cannot be carried there, which was noted.
pub fn rules<'a>(place: &Place<'_, 'a>, rules: &'a [Node]) -> Option<Carried> {
    let arms: Vec<_> = place.spot.arms.iter().map(AsRef::as_ref).collect();
    let carrier = Carrier {
        place,
        rewriting: Rewriting::of(&arms),
        rewrites_authority: arms.iter().any(|arm| arm.rewrite.authority.is_some()),
        arms,
        sound: true.into(),
        here: false.into(),
    };
    let carried = rules.iter().filter_map(|rule| carrier.rule(rule));
    let carried: Vec<_> = carried.collect();
    let texts = |rules: &[Node]| rules.iter().map(Node::to_json).collect::<Vec<_>>();
    carrier.sound.get().then(|| Carried {
        changed: texts(rules) != texts(&carried),
        rules: carried,
        here: carrier.here.get(),
    })
}

// === impl Carrier ===

impl<'a> Carrier<'_, 'a> {
    /// A rule; `None` if it can never match.
    fn rule(&self, rule: &'a Node) -> Option<Node> {
        let mut members = Vec::new();
        for (key, value) in rule.members() {
            let part = match key.name.as_str() {
                "from" => self.any_of(value, "source", |it| self.source(it)),
                "to" => self.any_of(value, "operation", |it| self.operation(it)),
                "when" => {
                    value.items().iter().for_each(|it| self.condition(it));
                    Part::Is(value.clone())
                }
                _ => Part::Is(value.clone()),
            };
            match part {
                Part::Always => {}
                Part::Never => return None,
                Part::Is(value) => members.push((key.clone(), value)),
            }
        }
        Some(map(rule, members))
    }

    /// A list of sources or operations, one of which must hold.
    fn any_of(&self, list: &'a Node, name: &str, of: impl Fn(&'a Node) -> Part) -> Part {
        if list.items().is_empty() {
            return Part::Is(list.clone());
        }
        let mut kept = Vec::new();
        for item in list.items() {
            let Some(inner) = item.get(name) else {
                kept.push(item.clone());
                continue;
            };
            match of(inner) {
                Part::Always => return Part::Always,
                Part::Never => {}
                Part::Is(inner) => {
                    let key = item.members().first().map(|(key, _)| key.clone());
                    kept.extend(key.map(|key| map(item, vec![(key, inner)])));
                }
            }
        }
        match kept.is_empty() {
            true => Part::Never,
            false => Part::Is(Node {
                content: Content::List(kept),
                span: list.span.clone(),
            }),
        }
    }

    fn source(&self, source: &'a Node) -> Part {
        let mut members = Vec::new();
        for (key, value) in source.members() {
            let name = key.name.as_str();
            match self.caller(name, value) {
                Some(true) => continue,
                Some(false) => return Part::Never,
                None => {}
            }
            if OF_THE_MESH.contains(&name) {
                self.refuse(
                    value,
                    format!("`{name}` at a workload tells who calls it in the mesh: the gateway"),
                    LEAVE_IT,
                );
            }
            members.push((key.clone(), value.clone()));
        }
        match members.is_empty() && !source.members().is_empty() {
            true => Part::Always,
            false => Part::Is(map(source, members)),
        }
    }

    /// Whether a field holds for whoever calls from the gateway, where that is known: Kyma demands
    /// that every caller is the gateway, and others that nobody else is.
    fn caller(&self, field: &str, values: &Node) -> Option<bool> {
        let (negative, is_gateway): (bool, fn(&Self, &str) -> bool) = match field {
            "principals" => (false, Self::is_gateway),
            "notPrincipals" => (true, Self::is_gateway),
            "namespaces" => (false, Self::is_namespace_of_gateway),
            "notNamespaces" => (true, Self::is_namespace_of_gateway),
            _ => return None,
        };
        let mut texts = values.items().iter().filter_map(Node::text);
        if texts.any(|it| is_gateway(self, it)) {
            return Some(!negative);
        }
        // Whatever the account of the gateway is called, an ALLOW rule that is left out opens nothing.
        if negative || self.place.denies {
            return None;
        }
        self.place.reading.warning(
            values,
            format!("no `{field}` is the gateway; the rule is left out"),
            format!(
                "the gateway is `cluster.local/ns/{}/sa/{}`",
                self.place.settings.namespace,
                ACCOUNTS.last().unwrap_or(&"")
            ),
        );
        Some(false)
    }

    /// Whether a principal is that of the ingress gateway.
    fn is_gateway(&self, principal: &str) -> bool {
        let settings = self.place.settings;
        let Some((domain, rest)) = principal.split_once("/ns/") else {
            return false;
        };
        let Some((namespace, account)) = rest.split_once("/sa/") else {
            return false;
        };
        let own = settings
            .gateway_name
            .as_deref()
            .map(|name| format!("{name}-istio"));
        let known = match &own {
            Some(own) => account == own,
            None => ACCOUNTS.contains(&account),
        };
        let domain = domain == "cluster.local" || domain == "*";
        domain && namespace == settings.namespace && known
    }

    fn is_namespace_of_gateway(&self, namespace: &str) -> bool {
        namespace == self.place.settings.namespace
    }

    fn operation(&self, operation: &'a Node) -> Part {
        let mut members = Vec::new();
        let given = operation.members().iter().filter(|(_, it)| !it.is_null());
        for (key, value) in given {
            let name = key.name.as_str();
            match name {
                "ports" | "notPorts" => self.refuse(
                    value,
                    format!("`{name}` at a workload is the port of the workload"),
                    LEAVE_IT,
                ),
                "hosts" | "notHosts" if self.rewrites_authority => self.refuse(
                    value,
                    format!("`{name}` tests what a route rewrites (`rewrite.authority`)"),
                    "test what clients send at the gateway, or leave the policy at the workload",
                ),
                "paths" | "notPaths" => match self.paths(value, name == "paths") {
                    Part::Always => continue,
                    Part::Never => return Part::Never,
                    Part::Is(value) => {
                        members.push((key.clone(), value));
                        continue;
                    }
                },
                _ => {}
            }
            members.push((key.clone(), value.clone()));
        }
        match members.is_empty() {
            true => Part::Always,
            false => Part::Is(map(operation, members)),
        }
    }

    /// Paths, as they were before a route rewrote them.
    fn paths(&self, paths: &'a Node, positive: bool) -> Part {
        if self.rewriting == Rewriting::None {
            return Part::Is(paths.clone());
        }
        self.here.set(true);
        // Where more paths than these are the safe side.
        let generous = positive == self.place.denies;
        let mut kept: Vec<String> = Vec::new();
        for path in paths.items() {
            match self
                .rewriting
                .before(path.text().unwrap_or_default(), generous)
            {
                Ok(before) => kept.extend(before),
                Err(why) => self.refuse(
                    path,
                    format!("a route rewrites the paths that it tests, {why}"),
                    "test what clients send at the gateway, or leave the policy at the workload",
                ),
            }
        }
        kept.sort();
        kept.dedup();
        let kept: Vec<_> = kept
            .into_iter()
            .map(|text| Node {
                content: Content::Text(text),
                span: paths.span.clone(),
            })
            .collect();
        match (kept.is_empty(), positive) {
            (true, true) => Part::Never,
            (true, false) => Part::Always,
            (false, _) => Part::Is(Node {
                content: Content::List(kept),
                span: paths.span.clone(),
            }),
        }
    }

    fn condition(&self, condition: &'a Node) {
        let Some(key) = condition.get("key") else {
            return;
        };
        let name = key.text().unwrap_or_default();
        if KEYS_OF_THE_MESH
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            let message =
                format!("`{name}` at a workload is that of the connection from the gateway");
            self.refuse(key, message, LEAVE_IT);
        }
        let header = name.strip_prefix("request.headers[");
        if let Some(header) = header.and_then(|it| it.strip_suffix(']')) {
            self.header(key, header);
        }
    }

    /// A header that the policy tests: it must be as the client sent it, or tell of its certificate.
    fn header(&self, key: &'a Node, header: &str) {
        let same = |name: &str| name.eq_ignore_ascii_case(header);
        if same(":path") && self.rewriting != Rewriting::None {
            self.refuse(
                key,
                "a route rewrites the path that it tests".to_owned(),
                LEAVE_IT,
            );
        }
        if (same(":authority") || same("host")) && self.rewrites_authority {
            self.refuse(
                key,
                "a route rewrites the authority that it tests".to_owned(),
                LEAVE_IT,
            );
        }
        let derived = self.place.headers.map_or(&[][..], |it| &it.headers.0);
        if derived.iter().any(|(name, _)| same(name)) {
            return;
        }
        for arm in &self.arms {
            if let Some(operation) = arm.changes(header) {
                self.refuse(
                    key,
                    format!(
                        "{} changes the header that it tests (`headers.request.{operation}`)",
                        arm.resource.title()
                    ),
                    "test what the client sends, or a `%DOWNSTREAM_PEER_…%` operator",
                );
            }
        }
    }

    fn refuse(&self, node: &Node, message: String, help: &str) {
        self.sound.set(false);
        self.place.reading.error(node, message, help);
    }
}

/// The same map with other members.
fn map(of: &Node, members: Vec<(Key, Node)>) -> Node {
    Node {
        content: Content::Map(members),
        span: of.span.clone(),
    }
}
