//! The rules of a workload's policy, as they read at the gateway.
//!
//! A workload sees requests as routes have left them, and its callers by the mesh. What means the
//! same at the gateway is taken over, what a route rewrites is translated back, and anything else is
//! an error.

use super::attachment::Spot;
use super::rewrite::Rewriting;
use super::routes::Arm;
use crate::cli::compile::resource::Reading;
use crate::cli::compile::written::ClientCertificate;
use crate::cli::yaml::{Content, Key, Node};

/// Rules as they read at the gateway.
pub struct Carried {
    /// The rules; those that can never match there are left out.
    pub rules: Vec<Node>,
    /// Whether any of them is not as it was because of this very place.
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

/// One place, and what is known of it.
struct Carrier<'r, 'a> {
    reading: Reading<'a>,
    arms: Vec<&'r Arm<'a>>,
    rewriting: Rewriting,
    rewrites_authority: bool,
    headers: Option<&'r ClientCertificate>,
    sound: std::cell::Cell<bool>,
    changed: std::cell::Cell<bool>,
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

/// What to do about them.
const LEAVE_IT: &str = "leave this policy at the workload, and out of the input";

/// The rules of a policy at a place; `None` if they cannot be carried there, which was noted.
pub fn rules<'a>(
    reading: Reading<'a>,
    rules: &'a [Node],
    spot: &Spot<'a>,
    headers: Option<&ClientCertificate>,
) -> Option<Carried> {
    let arms: Vec<_> = spot.arms.iter().map(AsRef::as_ref).collect();
    let carrier = Carrier {
        reading,
        rewriting: Rewriting::of(&arms),
        rewrites_authority: arms.iter().any(|arm| arm.rewrite.authority.is_some()),
        arms,
        headers,
        sound: true.into(),
        changed: false.into(),
    };
    let carried = rules.iter().filter_map(|rule| carrier.rule(rule));
    let rules: Vec<_> = carried.collect();
    carrier.sound.get().then(|| Carried {
        rules,
        changed: carrier.changed.get(),
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
            if name == "principals" && value.items().iter().all(|it| self.is_gateway(it)) {
                continue;
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

    /// Whether a principal is that of the ingress gateway, as Kyma demands it of every caller.
    fn is_gateway(&self, principal: &Node) -> bool {
        let mut parts = principal.text().unwrap_or_default().rsplit('/');
        let account = parts.next().unwrap_or_default();
        let rest: Vec<_> = parts.collect();
        account.starts_with("istio-ingressgateway")
            && rest.first() == Some(&"sa")
            && rest.len() == 4
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
        self.changed.set(true);
        let mut kept = Vec::new();
        for path in paths.items() {
            let text = path.text().unwrap_or_default();
            match self.rewriting.before(text) {
                Ok(Some(before)) => kept.push(Node {
                    content: Content::Text(before),
                    span: path.span.clone(),
                }),
                Ok(None) => {}
                Err(why) => self.refuse(
                    path,
                    format!("a route rewrites the paths that it tests, {why}"),
                    "test what clients send at the gateway, or leave the policy at the workload",
                ),
            }
        }
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
        if same(":authority") && self.rewrites_authority {
            self.refuse(
                key,
                "a route rewrites the authority that it tests".to_owned(),
                LEAVE_IT,
            );
        }
        let derived = self.headers.map_or(&[][..], |it| &it.headers.0);
        if derived.iter().any(|(name, _)| same(name)) {
            return;
        }
        for arm in &self.arms {
            let operations = arm.headers.iter().filter_map(|it| it.get("request"));
            for (operation, names) in operations.flat_map(Node::members) {
                let listed = names.items().iter().filter_map(Node::text);
                let named = names.members().iter().map(|(key, _)| key.name.as_str());
                if listed.chain(named).any(same) {
                    let message = format!(
                        "{} changes the header that it tests (`headers.request.{}`)",
                        arm.resource.title(),
                        operation.name
                    );
                    self.refuse(
                        key,
                        message,
                        "test what the client sends, or a `%DOWNSTREAM_PEER_…%` operator",
                    );
                }
            }
        }
    }

    fn refuse(&self, node: &Node, message: String, help: &str) {
        self.sound.set(false);
        self.reading.error(node, message, help);
    }
}

/// The same map with other members.
fn map(of: &Node, members: Vec<(Key, Node)>) -> Node {
    Node {
        content: Content::Map(members),
        span: of.span.clone(),
    }
}
