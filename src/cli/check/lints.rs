//! What a configuration may say, but hardly means to.
//!
//! Each lint looks at the checked [`Config`] beside the tree that it was read from, and warns at the
//! place where something is to be changed. None of them is in the gateway's module.

mod hosts;
mod negatives;
mod open;
mod plain_http;
pub(super) mod secrets;
mod tokens;

use super::Finding;
use crate::cli::yaml::Node;
use crate::config::{AppliesTo, AuthorizationPolicy, Config, Rule};
use crate::policy::AuthorityPattern;

/// What lints look at, and what they found.
struct Lint<'a> {
    config: &'a Config,
    root: &'a Node,
    found: Vec<Finding>,
}

/// A value in a rule of a policy.
struct Value<'a> {
    /// The field of `source` or `operation`, or the key of `when`; of a negative, its positive.
    field: String,
    is_negative: bool,
    text: &'a str,
    path: String,
}

/// Looks at a configuration without faults, which was read from `root`.
pub(super) fn lint(config: &Config, root: &Node) -> Vec<Finding> {
    let mut lint = Lint {
        config,
        root,
        found: Vec::new(),
    };
    tokens::check(&mut lint);
    negatives::check(&mut lint);
    hosts::check(&mut lint);
    open::check(&mut lint);
    secrets::check(&mut lint);
    plain_http::check(&mut lint);
    lint.found
}

/// Whether something attached to the one may meet a request that something attached to the other
/// meets, by its authority.
fn meet(one: &[AppliesTo], other: &[AppliesTo]) -> bool {
    let everywhere =
        |entries: &[AppliesTo]| entries.is_empty() || entries.iter().any(|it| it.hosts.is_empty());
    everywhere(one)
        || everywhere(other)
        || hosts_of(one).any(|one| {
            let mut others = hosts_of(other);
            others.any(|other| covers(one, other) || covers(other, one))
        })
}

fn hosts_of(entries: &[AppliesTo]) -> impl Iterator<Item = &AuthorityPattern> {
    entries.iter().flat_map(|it| &it.hosts)
}

/// Whether every authority of `narrow` is one of `wide`.
fn covers(wide: &AuthorityPattern, narrow: &AuthorityPattern) -> bool {
    use AuthorityPattern::{Exact, Wildcard};
    match (wide, narrow) {
        (Exact(wide), Exact(narrow)) => wide == narrow,
        (Exact(_), Wildcard(_)) => false,
        (Wildcard(suffix), Exact(name) | Wildcard(name)) => name.ends_with(suffix.as_ref()),
    }
}

// === impl Lint ===

impl<'a> Lint<'a> {
    fn warn(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.found.push(Finding::warning(path, message, help));
    }

    /// The items of a list of the configuration, each with its path.
    fn items(&self, name: &str) -> impl Iterator<Item = (String, &'a Node)> + use<'a> {
        let items = self.root.get(name).map_or(&[][..], Node::items);
        listed(items, format!("$.{name}"))
    }

    /// Every policy, where it stands.
    fn policies(
        &self,
    ) -> impl Iterator<Item = (String, &'a Node, &'a AuthorizationPolicy)> + use<'a> {
        let policies = self.config.authorization_policies.iter();
        let items = self.items("authorizationPolicies").zip(policies);
        items.map(|((path, node), policy)| (path, node, policy))
    }

    /// Every rule of every policy, where it stands.
    fn rules(&self) -> impl Iterator<Item = (String, &'a Node, &'a AuthorizationPolicy, &'a Rule)> {
        self.policies().flat_map(|(path, node, policy)| {
            let rules = below(node, &path, "rules").zip(&policy.rules);
            rules.map(move |((path, node), rule)| (path, node, policy, rule))
        })
    }
}

fn listed<'a>(
    items: &'a [Node],
    path: String,
) -> impl Iterator<Item = (String, &'a Node)> + use<'a> {
    let items = items.iter().enumerate();
    items.map(move |(index, node)| (format!("{path}[{index}]"), node))
}

/// The items of the list of that name, each with its path.
fn below<'a>(
    node: &'a Node,
    path: &str,
    name: &str,
) -> impl Iterator<Item = (String, &'a Node)> + use<'a> {
    let items = node.get(name).map_or(&[][..], Node::items);
    listed(items, format!("{path}.{name}"))
}

/// Every rule about tokens, where it stands; also in a configuration with faults.
fn token_rules(root: &Node) -> Vec<(String, &Node)> {
    let mut found: Vec<_> = below(root, "$", "jwtRules").collect();
    for (path, entry) in below(root, "$", "apiRules") {
        for (path, rule) in below(entry, &path, "rules") {
            for within in [&["jwt"][..], &["extAuth", "restrictions"]] {
                let rules = rule.at(within).and_then(|it| it.get("authentications"));
                let rules = rules.map_or(&[][..], Node::items);
                let path = format!("{path}.{}.authentications", within.join("."));
                found.extend(listed(rules, path));
            }
        }
    }
    found
}

/// Every value of a rule, which stands at `path`.
fn values<'a>(rule: &'a Node, path: &str) -> Vec<Value<'a>> {
    let mut values = Vec::new();
    for (list, inner) in [("from", "source"), ("to", "operation")] {
        for (path, node) in below(rule, path, list) {
            let members = node.get(inner).map_or(&[][..], Node::members);
            for (key, node) in members {
                let name = key.name.as_str();
                let negated = name.strip_prefix("not").map(uncapitalized);
                let path = format!("{path}.{inner}.{name}");
                let is_negative = negated.is_some();
                let field = negated.unwrap_or_else(|| name.to_owned());
                values.extend(texts(node, path, &field, is_negative));
            }
        }
    }
    for (path, node) in below(rule, path, "when") {
        let key = node.get("key").and_then(Node::text).unwrap_or_default();
        for (name, is_negative) in [("values", false), ("notValues", true)] {
            if let Some(node) = node.get(name) {
                values.extend(texts(node, format!("{path}.{name}"), key, is_negative));
            }
        }
    }
    values
}

fn texts<'a>(
    node: &'a Node,
    path: String,
    field: &str,
    is_negative: bool,
) -> impl Iterator<Item = Value<'a>> {
    listed(node.items(), path).filter_map(move |(path, item)| {
        Some(Value {
            field: field.to_owned(),
            is_negative,
            text: item.text()?,
            path,
        })
    })
}

fn uncapitalized(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|it| it.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
