//! `authorizationPolicies[]`: Istio's `AuthorizationPolicy`, and where each is attached.
//!
//! Reads and checks; the meaning of the values is [`crate::policy`]'s.

use super::client_certificate::ClientCertificate;
use super::demands::{self, Context, Demand};
use super::mesh::Mesh;
use super::reader::{At, Fields};
use super::{AppliesTo, Known};
use crate::json::Node;

/// One policy.
#[derive(Debug)]
pub struct AuthorizationPolicy {
    /// `metadata.name` of the original.
    pub name: String,
    /// `metadata.namespace` of the original.
    pub namespace: String,
    /// What happens when a rule matches.
    pub action: Action,
    /// `provider.name`: who is asked; given for [`Action::Custom`] alone.
    pub provider: Option<String>,
    /// Where it is attached; empty means everywhere.
    pub applies_to: Vec<AppliesTo>,
    /// It matches when one of them does; none never matches.
    pub rules: Vec<Rule>,
    /// Whether it only tells what it would have done.
    pub dry_run: bool,
}

/// `action`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Where such a policy is attached, one of them must match.
    #[default]
    Allow,
    /// A match refuses.
    Deny,
    /// A match is noted.
    Audit,
    /// A match is for an external authorizer to judge.
    Custom,
}

/// `rules[]`: matches when one of the sources, one of the operations and every `when` do. Without
/// sources, any source does; the same for operations.
#[derive(Debug)]
pub struct Rule {
    /// `from[].source`: what each demands.
    pub from: Vec<Vec<Demand>>,
    /// `to[].operation`: what each demands.
    pub to: Vec<Vec<Demand>>,
    /// `when[]`
    pub when: Vec<Demand>,
}

const ACTIONS: [(&str, Action); 4] = [
    ("ALLOW", Action::Allow),
    ("DENY", Action::Deny),
    ("AUDIT", Action::Audit),
    ("CUSTOM", Action::Custom),
];

/// Fields that Istio does not allow in one source.
const EXCLUSIVE: [(&str, &str); 2] = [
    ("serviceAccounts", "principals"),
    ("serviceAccounts", "namespaces"),
];

pub(super) fn read(
    at: Option<At<'_>>,
    facts: &(&Mesh, &ClientCertificate),
    known: &Known<'_>,
) -> Vec<AuthorizationPolicy> {
    let Some(at) = at else { return Vec::new() };
    let mut seen = std::collections::HashSet::new();
    at.list(|at| {
        let policy = policy(at, facts)?;
        let provider = policy.provider.as_deref();
        if let Some(name) = provider.filter(|name| !known.extension_providers.contains(name)) {
            at.warn(format!(
                "`{name}` is not among `extensionProviders`: what the policy matches is refused"
            ));
        }
        if !seen.insert((policy.namespace.clone(), policy.name.clone())) {
            at.fault(
                "another policy has the same `namespace` and `name`; give it a name of its own",
            );
        }
        Some(policy)
    })
}

fn policy(
    at: At<'_>,
    (mesh, client_certificate): &(&Mesh, &ClientCertificate),
) -> Option<AuthorizationPolicy> {
    let mut fields = at.object()?;
    let name = fields.required("name").and_then(|at| at.name());
    let namespace = fields.required("namespace").and_then(|at| at.name());
    let action = fields.optional("action").map(|at| at.one_of(&ACTIONS));
    let action = action.unwrap_or_else(|| Some(Action::default()));
    let provider = fields.optional("provider");
    let applies_to = AppliesTo::read(&mut fields);
    let context = Context {
        namespace: namespace.as_deref().unwrap_or_default(),
        mesh,
        client_certificate,
        before_tokens: action == Some(Action::Custom),
    };
    let rules = fields
        .optional("rules")
        .map(|at| at.list(|at| rule(at, &context)))
        .unwrap_or_default();
    let dry_run = fields.optional("dryRun");
    fields.finish();
    let action = action?;
    if action != Action::Allow && rules.is_empty() {
        at.fault("a policy without `rules` never matches; give it rules or leave it out");
    }
    match (action, dry_run) {
        (Action::Audit, Some(dry_run)) => {
            dry_run.fault("an `AUDIT` policy changes nothing anyway; leave it out");
        }
        (Action::Custom, Some(dry_run)) => {
            dry_run.fault("not for a `CUSTOM` policy; leave it out");
        }
        _ => {}
    }
    match (action, provider) {
        (Action::Custom, None) => at.fault("`provider` is missing; a `CUSTOM` policy needs one"),
        (Action::Allow | Action::Deny | Action::Audit, Some(provider)) => {
            provider.fault("only for `CUSTOM`; leave it out");
        }
        _ => {}
    }
    Some(AuthorizationPolicy {
        name: name?,
        namespace: namespace?,
        action,
        provider: provider.and_then(provider_name),
        applies_to,
        rules,
        dry_run: dry_run.and_then(|at| at.boolean()).unwrap_or(false),
    })
}

fn provider_name(at: At<'_>) -> Option<String> {
    let mut fields = at.object()?;
    let name = fields.required("name").and_then(|at| at.name());
    fields.finish();
    name
}

fn rule(at: At<'_>, context: &Context<'_>) -> Option<Rule> {
    let mut fields = at.object()?;
    let from = fields.optional("from");
    let from =
        from.map(|at| at.non_empty_list(|at| wrapped(at, "source", context, demands::source)));
    let to = fields.optional("to");
    let to =
        to.map(|at| at.non_empty_list(|at| wrapped(at, "operation", context, demands::operation)));
    let when = fields.optional("when");
    let when = when.map(|at| at.non_empty_list(|at| demands::when(at, context)));
    fields.finish();
    Some(Rule {
        from: from.unwrap_or_default(),
        to: to.unwrap_or_default(),
        when: when.unwrap_or_default(),
    })
}

/// Reads `{source: {...}}` and `{operation: {...}}`.
fn wrapped(
    at: At<'_>,
    name: &'static str,
    context: &Context<'_>,
    read: fn(&mut Fields<'_>, &Context<'_>) -> Vec<Demand>,
) -> Option<Vec<Demand>> {
    let mut outer = at.object()?;
    let inner = outer.required(name);
    outer.finish();
    let inner = inner?;
    let mut fields = inner.object()?;
    let demands = read(&mut fields, context);
    for (one, other) in EXCLUSIVE {
        if fields.has(one) && fields.has(other) {
            inner.fault(format!(
                "`{one}` beside `{other}`; one of the two is allowed"
            ));
        }
    }
    fields.finish();
    if matches!(inner.value(), Node::Object(members) if members.is_empty()) {
        inner.fault("empty; give at least one field");
    }
    Some(demands)
}
