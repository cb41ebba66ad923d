//! `authorizationPolicies[]`: Istio's `AuthorizationPolicy`, and where each is attached.
//!
//! Reads and checks; the meaning of the values is [`crate::policy`]'s.

use super::AppliesTo;
use super::reader::{At, Fields};
use crate::policy::{PathPattern, RequestPrincipal, StringMatch};

/// One policy.
#[derive(Debug)]
pub struct AuthorizationPolicy {
    /// `metadata.name` of the original.
    pub name: String,
    /// `metadata.namespace` of the original.
    pub namespace: String,
    /// What happens when a rule matches.
    pub action: Action,
    /// Where it is attached; empty means everywhere.
    pub applies_to: Vec<AppliesTo>,
    /// It matches when one of them does; none never matches.
    pub rules: Vec<Rule>,
}

/// `action`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Where such a policy is attached, one of them must match.
    #[default]
    Allow,
    /// A match refuses.
    Deny,
}

/// `rules[]`: matches when a source and an operation do. Without sources, any source does.
#[derive(Debug)]
pub struct Rule {
    /// `from[].source`
    pub from: Vec<Source>,
    /// `to[].operation`
    pub to: Vec<Operation>,
}

/// `from[].source`: who asks. Every field that is given must match, by one of its values.
#[derive(Debug)]
pub struct Source {
    /// `iss/sub` of the token.
    pub request_principals: Vec<RequestPrincipal>,
}

/// `to[].operation`: what is asked. Every field that is given must match, by one of its values.
#[derive(Debug, Default)]
pub struct Operation {
    /// The authority as sent, port included, in any case.
    pub hosts: Vec<StringMatch>,
    /// The method.
    pub methods: Vec<StringMatch>,
    /// The path without query.
    pub paths: Vec<PathPattern>,
}

pub(super) fn read(at: Option<At<'_>>) -> Vec<AuthorizationPolicy> {
    let Some(at) = at else { return Vec::new() };
    let mut seen = std::collections::HashSet::new();
    at.list(|at| {
        let policy = policy(at)?;
        if !seen.insert((policy.namespace.clone(), policy.name.clone())) {
            at.fault(
                "another policy has the same `namespace` and `name`; give it a name of its own",
            );
        }
        Some(policy)
    })
}

fn policy(at: At<'_>) -> Option<AuthorizationPolicy> {
    let mut fields = at.object()?;
    let name = fields.required("name").and_then(|at| at.name());
    let namespace = fields.required("namespace").and_then(|at| at.name());
    let action = fields
        .optional("action")
        .map(|at| at.one_of(&[("ALLOW", Action::Allow), ("DENY", Action::Deny)]));
    let applies_to = AppliesTo::read(&mut fields);
    let rules = fields
        .optional("rules")
        .map(|at| at.list(rule))
        .unwrap_or_default();
    fields.finish();
    let action = action.unwrap_or_else(|| Some(Action::default()))?;
    if action == Action::Deny && rules.is_empty() {
        at.fault("a `DENY` policy without `rules` never matches; give it rules or leave it out");
    }
    Some(AuthorizationPolicy {
        name: name?,
        namespace: namespace?,
        action,
        applies_to,
        rules,
    })
}

fn rule(at: At<'_>) -> Option<Rule> {
    let mut fields = at.object()?;
    let from = fields
        .optional("from")
        .map(|at| at.non_empty_list(|at| wrapped(at, "source", source)));
    let to = fields
        .optional("to")
        .map(|at| at.non_empty_list(|at| wrapped(at, "operation", operation)));
    fields.finish();
    Some(Rule {
        from: from.unwrap_or_default(),
        to: to.unwrap_or_default(),
    })
}

/// Reads `{source: {...}}` and `{operation: {...}}`.
fn wrapped<T>(
    at: At<'_>,
    name: &'static str,
    read: impl FnOnce(&mut Fields<'_>) -> T,
) -> Option<T> {
    let mut outer = at.object()?;
    let inner = outer.required(name);
    outer.finish();
    let inner = inner?;
    let mut fields = inner.object()?;
    let read = read(&mut fields);
    fields.finish();
    if inner
        .value()
        .as_object()
        .is_some_and(serde_json::Map::is_empty)
    {
        inner.fault("empty; give at least one field");
    }
    Some(read)
}

fn source(fields: &mut Fields<'_>) -> Source {
    Source {
        request_principals: values(fields, "requestPrincipals", RequestPrincipal::parse),
    }
}

fn operation(fields: &mut Fields<'_>) -> Operation {
    Operation {
        hosts: values(fields, "hosts", |text| {
            Ok(StringMatch::parse_ignoring_case(text))
        }),
        methods: values(fields, "methods", |text| Ok(StringMatch::parse(text))),
        paths: values(fields, "paths", PathPattern::parse),
    }
}

fn values<T>(
    fields: &mut Fields<'_>,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let Some(at) = fields.optional(name) else {
        return Vec::new();
    };
    at.non_empty_list(|at| at.parsed(&parse))
}
