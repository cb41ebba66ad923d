//! The compiled policy: what [`crate::decide`] judges by. It is immutable and cannot be wrong.
//!
//! [`Policy::compile`] makes it from a checked [`Config`] once; a request then only meets the rules
//! that its authority could match. Nothing here knows which section of the configuration a rule
//! came from.

mod authority;
mod condition;
mod glob;
mod path;
mod peer;
mod predicate;
mod principal;
mod rules;
mod site;
mod string_match;

pub use authority::{AuthorityPattern, normalize as normalize_authority};
pub use condition::{Condition, Truth};
pub use path::PathPattern;
pub use peer::PeerPrincipal;
pub use predicate::{Facts, Predicate};
pub use principal::RequestPrincipal;
pub use rules::Rules;
pub use site::{Entry, RuleSet, Site};
pub use string_match::StringMatch;

use crate::config::{self, Action, AppliesTo, Config, DefaultAction, Limits, PathMatching};
use crate::keys::{KeySource, SourceId};
use crate::request::{Connection, Headers, Needs, OwnedHeaders, PathNormalization, Request};
use crate::token::Locations;
use crate::token::jwt::Demands;
use crate::verdict::Reason;
use site::Sites;
use std::rc::Rc;

/// Everything that decides, made once from a configuration.
pub struct Policy {
    /// Which readings of a path a decision must hold for.
    pub path_matching: PathMatching,
    /// What is done to a path before it is judged, and before it goes on.
    pub path_normalization: PathNormalization,
    /// What becomes of an authority that nothing names.
    pub default_action: DefaultAction,
    /// Where keys come from; a [`SourceId`] is an index into it.
    pub key_sources: Vec<KeySource>,
    /// For each of them, the name of the first rule that uses it.
    pub key_source_names: Vec<Rc<str>>,
    /// How much is remembered, and for how long one waits.
    pub limits: Limits,
    /// Which facts about a connection its rules are about.
    pub needs: Needs,
    /// Headers that no upstream may see as a client wrote them.
    pub owned_headers: OwnedHeaders,
    sites: Sites,
}

/// A rule about tokens.
#[derive(Debug)]
pub struct JwtRule {
    /// Its name in the configuration.
    pub name: Rc<str>,
    /// `iss` must be exactly this; without one, an issuer that no other rule in scope names.
    pub issuer: Option<String>,
    /// What it demands of every token.
    pub demands: Demands,
    /// One of them must be in `aud`, each without scheme and trailing slash; empty: no demand.
    pub audiences: Vec<String>,
    /// Whose keys its tokens are signed with.
    pub keys: SourceId,
    /// Where its tokens are looked for.
    pub locations: Locations,
    /// Whether the token goes on to the upstream.
    pub forward_original_token: bool,
    /// Claims whose text is a list separated by spaces.
    pub space_delimited: Rc<[String]>,
    /// Whether a request without a token is refused.
    pub required: bool,
    /// Where the payload goes, as it was sent.
    pub payload_header: Option<Rc<str>>,
    /// Where claims go.
    pub claim_headers: Vec<ClaimHeader>,
}

/// A header that tells the upstream a claim.
#[derive(Debug)]
pub struct ClaimHeader {
    /// Lower case.
    pub name: Rc<str>,
    /// The names on the way to the claim.
    pub claim: Vec<String>,
}

/// A rule of a policy.
#[derive(Debug)]
pub struct Rule {
    /// `ns[<namespace>]-policy[<name>]-rule[<index>]`, as Envoy's RBAC filter names it in Istio;
    /// of a CUSTOM policy with `istio-ext-authz-<provider>-` before it, and Istio's words behind it.
    pub id: Rc<str>,
    /// When it matches.
    pub condition: Condition,
    /// The only paths that it could match; empty means every path.
    pub paths: Vec<PathPattern>,
}

/// Behind the name of a CUSTOM rule whose provider is not known, as Istio writes it.
const BAD_PROVIDER: &str = "-deny-due-to-bad-CUSTOM-action";

// === impl Policy ===

impl Policy {
    /// Compiles a checked configuration. The result depends on nothing else.
    #[must_use]
    pub fn compile(config: Config) -> Self {
        let mut policy = Self {
            path_matching: config.path_matching,
            path_normalization: config.mesh.path_normalization,
            default_action: config.default_action,
            key_sources: Vec::new(),
            key_source_names: Vec::new(),
            limits: config.limits,
            needs: Needs::default(),
            owned_headers: OwnedHeaders::new(),
            sites: Sites::default(),
        };
        // Istio orders rules by issuer; which refusal is reported depends on it.
        let mut jwt_rules = config.jwt_rules;
        jwt_rules.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        for (order, rule) in jwt_rules.into_iter().enumerate() {
            policy.add_jwt_rule(order, rule);
        }
        for redirect in &config.mesh.https_redirect {
            for host in &redirect.hosts {
                let site = policy.sites.at(Some(host));
                site.https_only = Some(redirect.except_paths.clone());
            }
        }
        for source in config.authorization_policies {
            policy.add_authorization_policy(&source);
        }
        policy.sites.finish();
        policy
    }

    /// Reads a request as the mesh does.
    ///
    /// # Errors
    /// It cannot be read; see [`Request::read`].
    pub fn read<'a>(
        &self,
        headers: &'a Headers,
        connection: &'a Connection,
    ) -> Result<Request<'a>, Reason> {
        Request::read(headers, connection)?.normalized(self.path_normalization)
    }

    /// The sites that an authority belongs to, the narrowest first; the last covers everything.
    pub fn sites(&self, authority: &str) -> impl Iterator<Item = &Site> {
        self.sites.covering(authority)
    }

    fn add_jwt_rule(&mut self, order: usize, rule: config::JwtRule) {
        let name: Rc<str> = rule.name.into();
        let keys = self.key_source(rule.keys);
        if self.key_source_names.len() == keys.0 {
            self.key_source_names.push(Rc::clone(&name));
        }
        let compiled = Rc::new(JwtRule {
            name,
            issuer: rule.issuer,
            demands: rule.demands,
            audiences: rule
                .audiences
                .iter()
                .map(|it| crate::token::plain_audience(it).to_owned())
                .collect(),
            keys,
            locations: Locations::new(rule.from_headers, rule.from_params, rule.from_cookies),
            forward_original_token: rule.forward_original_token,
            space_delimited: rule.space_delimited_claims.into(),
            required: rule.required,
            payload_header: rule.output_payload_to_header.map(Into::into),
            claim_headers: rule
                .output_claim_to_headers
                .into_iter()
                .map(ClaimHeader::from)
                .collect(),
        });
        let outputs = compiled.claim_headers.iter().map(|header| &header.name);
        for name in outputs.chain(&compiled.payload_header) {
            self.owned_headers.insert(name);
        }
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
            let rules = self.sites.attached(pattern).rules(source.dry_run);
            if source.action == Action::Allow {
                rules.demand_allow(paths);
            }
        }
        let authorizer = source.provider.as_ref();
        let authorizer = authorizer.map(|name| format!("istio-ext-authz-{name}-"));
        // As Istio names it while nobody knows the provider.
        let unknown = authorizer.as_ref().map_or("", |_| BAD_PROVIDER);
        let authorizer = authorizer.unwrap_or_default();
        for (index, rule) in source.rules.iter().enumerate() {
            let id = format!("{authorizer}ns[{namespace}]-policy[{name}]-rule[{index}]{unknown}");
            let compiled = Rc::new(Rule {
                id: id.into(),
                condition: Condition::from_rule(rule),
                paths: paths_of(rule),
            });
            compiled
                .condition
                .visit(&mut |predicate| self.needs.add(predicate));
            let mut file = |pattern: Option<&AuthorityPattern>, within| {
                let item = Rc::clone(&compiled);
                let order = index;
                let rules = self.sites.at(pattern).rules(source.dry_run);
                rules.of(source.action).push(Entry {
                    order,
                    within,
                    item,
                });
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

/// The paths that a rule could match by its `operation.paths`; empty is every path.
fn paths_of(rule: &config::Rule) -> Vec<PathPattern> {
    let mut paths = Vec::new();
    for operation in &rule.to {
        let before = paths.len();
        let values = operation.iter().flat_map(|demand| &demand.any_of);
        paths.extend(values.filter_map(|predicate| match predicate {
            Predicate::Path(pattern) => Some(pattern.clone()),
            _ => None,
        }));
        if paths.len() == before {
            return Vec::new();
        }
    }
    paths
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
        let hosts = operation.iter().find_map(|demand| {
            let hosts = demand.any_of.iter().map(|predicate| match predicate {
                Predicate::Authority(host) => AuthorityPattern::covering(host),
                _ => None,
            });
            (!demand.any_of.is_empty())
                .then(|| hosts.collect::<Option<Vec<_>>>())
                .flatten()
        });
        let Some(hosts) = hosts else {
            return every();
        };
        for pattern in hosts.into_iter().map(Some) {
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
    }
    patterns
}

impl From<config::ClaimToHeader> for ClaimHeader {
    fn from(source: config::ClaimToHeader) -> Self {
        let claim = source.claim.split('.').map(str::to_owned).collect();
        Self {
            name: source.header.into(),
            claim,
        }
    }
}

#[cfg(test)]
mod tests;
