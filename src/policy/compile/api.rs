//! `apiRules`: each entry as one [`Api`] at the sites of its hosts, its demands as conditions.

use super::super::{
    Api, ApiRule, Authorization, Condition, Cors, Entry, IntrospectionDemand, JwtDemand, Policy,
    Predicate, RequiredScopes, Rules, ScopeStrategy, Strategy, StringMatch,
};
use crate::config::{self, ErrorStyle};
use crate::format::Format;
use crate::reply::Style;
use std::rc::Rc;

// === impl Policy ===

impl Policy {
    pub(super) fn add_api_rules(&mut self, entry: config::ApiRules) {
        let mut rules = Rules::default();
        let mut set_for_upstream = Vec::new();
        let mut authorizers = Vec::new();
        for (order, source) in entry.rules.into_iter().enumerate() {
            let id = format!("api[{}]-rule[{order}]", entry.name);
            let rule = self.api_rule(id.into(), entry.error_style, source);
            #[cfg(not(target_arch = "wasm32"))]
            self.rule_names.rules.push(Rc::clone(&rule.id));
            // What is literal overwrites whatever a client sent.
            let filled = rule.headers.iter().filter(|(_, value)| !value.is_literal());
            set_for_upstream.extend(filled.map(|(name, _)| name.clone()));
            if let Strategy::ExtAuth(asked, _) = &rule.strategy {
                authorizers.extend(asked);
            }
            rules.push(Entry {
                order,
                within: Rc::default(),
                item: Rc::new(rule),
            });
        }
        rules.finish();
        let api = Rc::new(Api {
            id: format!("api[{}]", entry.name).into(),
            path_matching: entry.path_matching,
            cors: entry.cors.map(Cors::from),
            style: style(entry.error_style, Credential::Jwt),
            rules,
        });
        for host in &entry.hosts {
            if entry.dry_run {
                self.sites.at(Some(host)).dry_run_api = Some(Rc::clone(&api));
                continue;
            }
            let site = self.sites.attached(Some(host));
            site.api = Some(Rc::clone(&api));
            for name in &set_for_upstream {
                site.owned_headers.insert_set(name);
            }
            let asked = authorizers.iter().copied();
            for authorizer in asked.filter_map(|it: usize| self.authorizers.get(it)) {
                site.owned_headers.insert_all(authorizer.to_upstream());
            }
        }
    }

    fn api_rule(
        &mut self,
        id: Rc<str>,
        entry_style: Option<ErrorStyle>,
        source: config::ApiRule,
    ) -> ApiRule {
        let explicit = source.error_style.or(entry_style);
        let (strategy, style) = match source.strategy {
            config::Strategy::NoAuth => (Strategy::NoAuth, style(explicit, Credential::Jwt)),
            config::Strategy::Deny => (Strategy::Deny, style(explicit, Credential::Jwt)),
            config::Strategy::Jwt(demand) => {
                let demand = self.jwt_demand(demand);
                (Strategy::Jwt(demand), style(explicit, Credential::Jwt))
            }
            config::Strategy::Introspection(demand) => {
                let demand = self.introspection_demand(demand);
                let style = style(explicit, Credential::Opaque);
                (Strategy::Introspection(demand), style)
            }
            config::Strategy::ExtAuth(names, restrictions) => {
                let authorizers = names.iter().filter_map(|name| self.authorizer(name));
                let authorizers = authorizers.collect();
                let restrictions = restrictions.map(|demand| self.jwt_demand(demand));
                let style = style(explicit, Credential::Jwt);
                (Strategy::ExtAuth(authorizers, restrictions), style)
            }
        };
        let of_peer = |(_, value): &(String, Format)| value.needs_peer();
        if source.headers.iter().chain(&source.cookies).any(of_peer) {
            self.needs.peer = true;
            self.needs.certificate = true;
        }
        let boxed = |(name, value): (String, _)| (name.into(), value);
        ApiRule {
            id,
            path: source.path,
            methods: source.methods.into_iter().map(Into::into).collect(),
            strategy,
            style,
            headers: source.headers.into_iter().map(boxed).collect(),
            cookies: source.cookies.into_iter().map(boxed).collect(),
            keep_cookies: source.keep_cookies,
        }
    }

    fn jwt_demand(&mut self, source: config::JwtDemand) -> JwtDemand {
        let strategy = source.scope_strategy;
        let authentications = super::by_issuer(source.authentications).into_iter();
        let authorizations = source.authorizations.iter().map(|authorization| {
            let scopes = RequiredScopes::of_jwt(&authorization.required_scopes, strategy);
            Authorization::new(authorization, scopes, StringMatch::parse)
        });
        JwtDemand {
            authorizations: authorizations.collect(),
            authentications: authentications.map(|rule| self.jwt_rule(rule)).collect(),
        }
    }

    fn introspection_demand(&mut self, source: config::IntrospectionDemand) -> IntrospectionDemand {
        let mut providers = self.introspection_providers.iter();
        let index = providers.position(|it| *it.name == *source.provider);
        let provider = index.and_then(|it| self.introspection_providers.get(it));
        let own = provider.map(|it| it.scope_strategy);
        let strategy = source.scope_strategy.or(own).unwrap_or_default();
        let required = &source.authorization.required_scopes;
        let scopes = RequiredScopes::of_introspection(required, strategy);
        let asked = strategy == ScopeStrategy::None && !required.is_empty();
        IntrospectionDemand {
            // A name that is not known is a fault of the configuration; no server has this index.
            provider: index.unwrap_or(usize::MAX),
            asked_scopes: asked.then(|| required.join(" ").into()),
            authorization: Authorization::new(&source.authorization, scopes, StringMatch::exact),
            forward_token: source.forward_token,
        }
    }
}

/// What kind of credential a rule takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Credential {
    Jwt,
    Opaque,
}

fn style(explicit: Option<ErrorStyle>, credential: Credential) -> Style {
    match (explicit, credential) {
        (None, Credential::Jwt) | (Some(ErrorStyle::Istio), _) => Style::Istio,
        (None, Credential::Opaque) | (Some(ErrorStyle::Rfc6750), _) => Style::Rfc6750,
        (Some(ErrorStyle::Oathkeeper), Credential::Jwt) => Style::OathkeeperJwt,
        (Some(ErrorStyle::Oathkeeper), Credential::Opaque) => Style::OathkeeperIntrospection,
        (Some(ErrorStyle::Oauth2Proxy), _) => Style::Oauth2Proxy,
    }
}

// === impl Authorization ===

impl Authorization {
    fn new(
        source: &config::Authorization,
        scopes: Option<RequiredScopes>,
        audience: fn(&str) -> StringMatch,
    ) -> Self {
        let all =
            |parts: Vec<Predicate>| Condition::All(parts.into_iter().map(Condition::Is).collect());
        let audiences = source.audiences.iter();
        let audiences = audiences.map(|it| Predicate::Claim(vec!["aud".to_owned()], audience(it)));
        Self {
            audiences: all(audiences.collect()),
            scopes: all(scopes.map(Predicate::Scopes).into_iter().collect()),
            scope_text: source.required_scopes.join(" ").into(),
        }
    }
}

// === impl Cors ===

impl From<config::CorsPolicy> for Cors {
    fn from(source: config::CorsPolicy) -> Self {
        Self {
            origins: source.origins,
            methods: source.methods.join(","),
            headers: source.headers.join(","),
            expose_headers: source.expose_headers.join(","),
            credentials: source.credentials,
            max_age: source.max_age,
        }
    }
}
