//! The compiled policy: what [`crate::decide`] judges by. It is immutable and cannot be wrong.
//!
//! [`Policy::compile`] makes it from a checked [`Config`] once; a request then only meets the rules
//! that its authority could match. Nothing here knows which section of the configuration a rule
//! came from.

mod authority;
mod condition;
mod path;
mod principal;
mod site;
mod string_match;

pub use authority::{AuthorityPattern, normalize as normalize_authority};
pub use condition::{Condition, Facts};
pub use path::PathPattern;
pub use principal::RequestPrincipal;
pub use site::{Entry, Site};
pub use string_match::StringMatch;

use crate::config::{self, Action, AppliesTo, Config, DefaultAction, PathMatching};
use crate::keys::{KeySource, SourceId};
use crate::token::Locations;
use site::Sites;
use std::rc::Rc;

/// Everything that decides, made once from a configuration.
pub struct Policy {
    /// Which readings of a path a decision must hold for.
    pub path_matching: PathMatching,
    /// What becomes of an authority that nothing names.
    pub default_action: DefaultAction,
    /// Where keys come from; a [`SourceId`] is an index into it.
    pub key_sources: Vec<KeySource>,
    sites: Sites,
}

/// A rule about tokens.
#[derive(Debug)]
pub struct JwtRule {
    /// Its name in the configuration.
    pub name: Rc<str>,
    /// `iss` must be exactly this.
    pub issuer: String,
    /// One of them must be in `aud`, each without scheme and trailing slash; empty: no demand.
    pub audiences: Vec<String>,
    /// Whose keys its tokens are signed with.
    pub keys: SourceId,
    /// Where its tokens are looked for.
    pub locations: Locations,
    /// Whether the token goes on to the upstream.
    pub forward_original_token: bool,
}

/// A rule of a policy.
#[derive(Debug)]
pub struct Rule {
    /// `ns[<namespace>]-policy[<name>]-rule[<index>]`, as Envoy's RBAC filter names it in Istio.
    pub id: Rc<str>,
    /// When it matches.
    pub condition: Condition,
}

// === impl Policy ===

impl Policy {
    /// Compiles a checked configuration. The result depends on nothing else.
    #[must_use]
    pub fn compile(config: Config) -> Self {
        let mut policy = Self {
            path_matching: config.path_matching,
            default_action: config.default_action,
            key_sources: Vec::new(),
            sites: Sites::default(),
        };
        // Istio orders rules by issuer; which refusal is reported depends on it.
        let mut jwt_rules = config.jwt_rules;
        jwt_rules.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        for (order, rule) in jwt_rules.into_iter().enumerate() {
            policy.add_jwt_rule(order, rule);
        }
        for source in config.authorization_policies {
            policy.add_authorization_policy(&source);
        }
        policy.sites.finish();
        policy
    }

    /// The sites that an authority belongs to, the narrowest first; the last covers everything.
    pub fn sites(&self, authority: &str) -> impl Iterator<Item = &Site> {
        self.sites.covering(authority)
    }

    fn add_jwt_rule(&mut self, order: usize, rule: config::JwtRule) {
        let keys = self.key_source(rule.keys);
        let compiled = Rc::new(JwtRule {
            name: rule.name.into(),
            issuer: rule.issuer,
            audiences: rule
                .audiences
                .iter()
                .map(|it| crate::token::plain_audience(it).to_owned())
                .collect(),
            keys,
            locations: Locations::new(rule.from_headers, rule.from_params),
            forward_original_token: rule.forward_original_token,
        });
        for (pattern, paths) in attachments(&rule.applies_to) {
            let entry = Entry {
                order,
                within: paths,
                item: Rc::clone(&compiled),
            };
            self.sites.attached(pattern).jwt_rules.push(entry);
        }
    }

    fn add_authorization_policy(&mut self, source: &config::AuthorizationPolicy) {
        let (namespace, name) = (&source.namespace, &source.name);
        for (pattern, paths) in attachments(&source.applies_to) {
            let site = self.sites.attached(pattern);
            if source.action == Action::Allow {
                site.demand_allow(paths);
            }
        }
        for (index, rule) in source.rules.iter().enumerate() {
            let compiled = Rc::new(Rule {
                id: format!("ns[{namespace}]-policy[{name}]-rule[{index}]").into(),
                condition: Condition::from_rule(rule),
            });
            let mut file = |pattern: Option<&AuthorityPattern>, within| {
                let entry = Entry {
                    order: index,
                    within,
                    item: Rc::clone(&compiled),
                };
                let site = self.sites.at(pattern);
                match source.action {
                    Action::Allow => site.allow.push(entry),
                    Action::Deny => site.deny.push(entry),
                }
            };
            if source.applies_to.is_empty() {
                for pattern in authorities_of(rule) {
                    file(pattern.as_ref(), Vec::new());
                }
            } else {
                for (pattern, paths) in attachments(&source.applies_to) {
                    file(pattern, paths);
                }
            }
        }
    }

    /// Equal remote sources are one source, so that their keys are fetched once.
    fn key_source(&mut self, source: config::KeySource) -> SourceId {
        let source = match source {
            config::KeySource::Inline(keys) => KeySource::Inline(Rc::new(keys)),
            config::KeySource::Remote(remote) => {
                let same =
                    |known: &KeySource| matches!(known, KeySource::Remote(it) if *it == remote);
                if let Some(known) = self.key_sources.iter().position(same) {
                    return SourceId(known);
                }
                KeySource::Remote(remote)
            }
        };
        self.key_sources.push(source);
        SourceId(self.key_sources.len().saturating_sub(1))
    }
}

/// Each authority of `appliesTo` with its paths; `None` is every authority, no paths every path.
fn attachments(
    applies_to: &[AppliesTo],
) -> impl Iterator<Item = (Option<&AuthorityPattern>, Vec<PathPattern>)> {
    let everywhere = applies_to.is_empty().then(|| (None, Vec::new()));
    let listed = applies_to.iter().flat_map(|entry| {
        let every_host = entry.hosts.is_empty().then_some(None);
        let hosts = every_host.into_iter().chain(entry.hosts.iter().map(Some));
        hosts.map(|host| (host, entry.paths.clone()))
    });
    everywhere.into_iter().chain(listed)
}

/// The authorities that a rule could match by its `operation.hosts`; `None` is every authority.
///
/// Only where the rule is looked up: its own condition still compares the authority as it was sent.
fn authorities_of(rule: &config::Rule) -> Vec<Option<AuthorityPattern>> {
    let every = || vec![None];
    if rule.to.is_empty() {
        return every();
    }
    let mut patterns = Vec::new();
    for operation in &rule.to {
        if operation.hosts.is_empty() {
            return every();
        }
        for host in &operation.hosts {
            let Some(pattern) = AuthorityPattern::covering(host) else {
                return every();
            };
            if !patterns.contains(&Some(pattern.clone())) {
                patterns.push(Some(pattern));
            }
        }
    }
    patterns
}

#[cfg(test)]
mod tests;
