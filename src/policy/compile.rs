//! From the checked configuration to the policy, once: where every rule is filed, and what it means.
//!
//! It cannot fail: what could be wrong is a fault of [`crate::config`].

mod api;

use super::rules::by_name;
use super::site::Sites;
use super::{
    AuthorityPattern, ClaimHeader, Condition, Entry, JwtRule, PathPattern, Policy, Predicate, Rule,
    Within,
};
use crate::authorizer::Authorizer;
use crate::config::{self, Action, AppliesTo, BindTokens, Config};
use crate::introspection::Provider;
use crate::keys::{KeySource, SourceId};
use crate::request::{Needs, OwnedHeaders};
use crate::token::Locations;
use std::rc::Rc;

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
            access_log: config.access_log,
            default_action: config.default_action,
            key_sources: Vec::new(),
            key_source_names: Vec::new(),
            introspection_providers: config
                .introspection_providers
                .into_iter()
                .map(Provider::new)
                .collect(),
            authorizers: config
                .extension_providers
                .into_iter()
                .map(Authorizer::new)
                .collect(),
            limits: config.limits,
            needs: Needs::default(),
            owned_headers: OwnedHeaders::always(),
            derived_headers: OwnedHeaders::default(),
            client_certificate: config.client_certificate,
            sites: Sites::default(),
            #[cfg(not(target_arch = "wasm32"))]
            rule_names: super::RuleNames::default(),
        };
        policy.add_client_certificate();
        // Istio orders rules by issuer; which refusal is reported depends on it.
        let jwt_rules = by_issuer(config.jwt_rules);
        for (order, rule) in jwt_rules.into_iter().enumerate() {
            policy.add_jwt_rule(order, rule);
        }
        for redirect in &config.mesh.https_redirect {
            for host in &redirect.hosts {
                let site = policy.sites.at(Some(host));
                site.https_only = Some(Rc::clone(&redirect.within));
            }
        }
        for entry in config.api_rules {
            policy.add_api_rules(entry);
        }
        for source in config.authorization_policies {
            policy.add_authorization_policy(&source);
        }
        policy.sites.finish();
        policy
    }

    fn add_client_certificate(&mut self) {
        let certificate = &self.client_certificate;
        let forwarded = certificate
            .trust_forwarded
            .iter()
            .flat_map(|it| &it.headers);
        let mapped = certificate.headers.iter().map(|(name, _)| name);
        for name in mapped.chain(forwarded) {
            self.derived_headers.insert(name);
        }
        let tells = !certificate.headers.is_empty() || !certificate.trust_forwarded.is_empty();
        self.needs.peer = tells || certificate.bind_tokens == BindTokens::Required;
        self.needs.certificate = tells;
    }

    fn add_jwt_rule(&mut self, order: usize, rule: config::JwtRule) {
        let applies_to = rule.applies_to.clone();
        let compiled = self.jwt_rule(rule);
        #[cfg(not(target_arch = "wasm32"))]
        self.rule_names.jwt_rules.push(Rc::clone(&compiled.name));
        for (pattern, within) in attachments(&applies_to) {
            let entry = Entry {
                order,
                within,
                item: Rc::clone(&compiled),
            };
            self.sites.attached(pattern).jwt_rules.push(entry);
        }
    }

    fn jwt_rule(&mut self, rule: config::JwtRule) -> Rc<JwtRule> {
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
        compiled
    }

    fn add_authorization_policy(&mut self, source: &config::AuthorizationPolicy) {
        let (namespace, name) = (&source.namespace, &source.name);
        for (pattern, within) in attachments(&source.applies_to) {
            let rules = self.sites.attached(pattern).rules(source.dry_run);
            if source.action == Action::Allow {
                rules.demand_allow(within);
            }
        }
        let provider = source.provider.as_deref();
        let authorizer = provider.and_then(|name| self.authorizer(name));
        // As Istio names it while nobody knows the provider.
        let unknown = match (provider, authorizer) {
            (Some(_), None) => BAD_PROVIDER,
            _ => "",
        };
        let prefix = provider.map(|name| format!("istio-ext-authz-{name}-"));
        let prefix = prefix.unwrap_or_default();
        for (index, rule) in source.rules.iter().enumerate() {
            let id = format!("{prefix}ns[{namespace}]-policy[{name}]-rule[{index}]{unknown}");
            let compiled = Rc::new(Rule {
                id: id.into(),
                condition: Condition::from_rule(rule),
                paths: paths_of(rule),
                authorizer,
            });
            #[cfg(not(target_arch = "wasm32"))]
            self.rule_names.rules.push(Rc::clone(&compiled.id));
            compiled
                .condition
                .visit(&mut |predicate| self.needs.add(predicate));
            let mut judges_peer = false;
            compiled
                .condition
                .visit(&mut |predicate| judges_peer |= predicate.is_about_the_peer());
            self.needs.sni |= judges_peer && self.client_certificate.require_sni_match;
            let mut file = |pattern: Option<&AuthorityPattern>, within| {
                let item = Rc::clone(&compiled);
                let order = index;
                let site = self.sites.at(pattern);
                if let Some(authorizer) = authorizer.and_then(|it| self.authorizers.get(it)) {
                    site.owned_headers.insert_all(authorizer.to_upstream());
                }
                site.judges_peer |= judges_peer && !source.dry_run;
                let rules = site.rules(source.dry_run);
                rules.of(source.action).push(Entry {
                    order,
                    within,
                    item,
                });
            };
            if source.applies_to.is_empty() {
                for pattern in authorities_of(rule) {
                    file(pattern.as_ref(), Rc::default());
                }
            } else {
                for (pattern, within) in attachments(&source.applies_to) {
                    file(pattern, within);
                }
            }
        }
    }

    /// The index of an authorizer, by its name.
    fn authorizer(&self, name: &str) -> Option<usize> {
        self.authorizers.iter().position(|it| it.name() == name)
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

/// In the order of their issuers, those for any issuer first.
fn by_issuer(rules: Vec<config::JwtRule>) -> Vec<config::JwtRule> {
    by_name(rules, |rule| {
        rule.issuer.as_deref().unwrap_or_default().into()
    })
}

/// Each authority of `appliesTo` with its paths; `None` is every authority.
fn attachments(
    applies_to: &[AppliesTo],
) -> impl Iterator<Item = (Option<&AuthorityPattern>, Rc<Within>)> {
    let everywhere = applies_to.is_empty().then(|| (None, Rc::default()));
    let listed = applies_to.iter().flat_map(|entry| {
        let every_host = entry.hosts.is_empty().then_some(None);
        let hosts = every_host.into_iter().chain(entry.hosts.iter().map(Some));
        hosts.map(|host| (host, Rc::clone(&entry.within)))
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
