//! APIRules of version v1beta1, under either `jwtHandler`: a route for the first rule of each path
//! string, which leads to the workload or to Oathkeeper; with `istio`, policies at the workload that
//! take the paths for texts.

use super::differences::Difference::{PathsAsExpressions, SharedWorkload};
use super::istio::{Authentication, Authorization, PolicyPath, authenticate, has_principal, whole};
use super::oathkeeper::{self, Handler};
use super::{Answer, JwtHandler, Look};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An APIRule.
pub struct ApiRule {
    pub name: String,
    pub host: String,
    pub service: String,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    pub path: String,
    pub methods: Vec<String>,
    pub access_strategies: Vec<Handler>,
}

/// The APIRules of a cluster, and what Kyma makes of them.
pub struct Mesh {
    handler: JwtHandler,
    apis: Vec<ApiRule>,
    made: Vec<Made>,
}

/// What Kyma makes of one rule.
struct Made {
    api: usize,
    rule: usize,
    /// The expression; `/*` is every path with jwtHandler istio.
    path: Regex,
    /// Whether there is a route for it.
    is_routed: bool,
    policy: PolicyPath,
    /// In Oathkeeper.
    access: Option<oathkeeper::Rule>,
}

/// Whose requests the workload sees.
#[derive(Clone, Copy, PartialEq)]
enum Caller {
    Gateway,
    Oathkeeper,
}

// === impl Rule ===

impl Rule {
    fn has(&self, handler: &str) -> bool {
        self.access_strategies
            .iter()
            .any(|it| it.handler == handler)
    }

    /// Of `jwt` in the form that Istio's handler takes.
    pub fn authentications(&self) -> Vec<Authentication> {
        self.listed("authentications")
    }

    pub fn authorizations(&self) -> Vec<Authorization> {
        self.listed("authorizations")
    }

    fn listed<T: serde::de::DeserializeOwned>(&self, field: &str) -> Vec<T> {
        let jwt = self.access_strategies.iter().find(|it| it.handler == "jwt");
        let list = jwt.and_then(|it| it.config.get(field)).cloned();
        list.map_or_else(Vec::new, |it| serde_json::from_value(it).unwrap())
    }
}

// === impl Mesh ===

impl Mesh {
    pub fn new(handler: JwtHandler, apis: Vec<ApiRule>) -> Self {
        let mut made = Vec::new();
        for (index, api) in apis.iter().enumerate() {
            for (number, rule) in api.rules.iter().enumerate() {
                let is_first = api.rules.iter().position(|it| it.path == rule.path) == Some(number);
                let path = match (handler, rule.path.as_str()) {
                    (JwtHandler::Istio, "/*") => "/.*",
                    (_, path) => path,
                };
                let own = |it: &&Handler| match handler {
                    JwtHandler::Ory => !["allow", "no_auth"].contains(&it.handler.as_str()),
                    JwtHandler::Istio => {
                        ["noop", "oauth2_introspection"].contains(&it.handler.as_str())
                    }
                };
                let own: Vec<_> = rule.access_strategies.iter().filter(own).cloned().collect();
                let access = (!own.is_empty())
                    .then(|| oathkeeper::Rule::new(&api.host, &rule.path, &rule.methods, own));
                let policy = if rule.path == "/.*" { "/*" } else { &rule.path };
                made.push(Made {
                    api: index,
                    rule: number,
                    path: whole(path),
                    is_routed: is_first,
                    policy: PolicyPath::new(policy),
                    access,
                });
            }
        }
        Self {
            handler,
            apis,
            made,
        }
    }

    pub fn apis(&self) -> &[ApiRule] {
        &self.apis
    }

    pub fn judge(&self, look: &Look<'_>) -> Answer {
        let hosts = self.apis.iter().map(|api| api.host.as_str());
        let Some(api) = look.virtual_host(hosts) else {
            return Answer::Refused(404, "no virtual host");
        };
        let path = look.request.path_alone();
        let routed = self.made.iter().find(|made| {
            let rule = self.rule(made);
            let of_method = match self.handler {
                JwtHandler::Ory => rule.has("no_auth"),
                JwtHandler::Istio => !rule.has("allow"),
            };
            let has_method = !of_method || rule.methods.contains(&look.request.method);
            made.api == api && made.is_routed && has_method && made.path.is_match(path)
        });
        let Some(routed) = routed else {
            return Answer::Refused(404, "no route");
        };
        let rule = self.rule(routed);
        let is_open = rule.has("allow") || rule.has("no_auth");
        let direct = is_open || self.handler == JwtHandler::Istio && rule.has("jwt");
        let mut caller = Caller::Gateway;
        if !direct {
            let access = self.made.iter().filter_map(|made| made.access.as_ref());
            let answer = oathkeeper::judge(look, &rule.path, access);
            if answer != Answer::Allowed {
                return answer;
            }
            caller = Caller::Oathkeeper;
        }
        match self.handler {
            JwtHandler::Ory => Answer::Allowed,
            JwtHandler::Istio => self.at_workload(caller, api, look),
        }
    }

    fn at_workload(&self, caller: Caller, api: usize, look: &Look<'_>) -> Answer {
        let service = &self.apis[api].service;
        let here = || {
            let alone = look.differences.has(SharedWorkload);
            let here = self.made.iter();
            here.filter(move |made| {
                self.apis[made.api].service == *service && (!alone || made.api == api)
            })
        };
        let authentications: Vec<_> = here()
            .flat_map(|made| self.rule(made).authentications())
            .collect();
        let authentications: Vec<_> = authentications.iter().collect();
        let Ok(jwt) = authenticate(look, &authentications) else {
            return Answer::Refused(401, "jwt_authn");
        };
        let policies = || here().filter(|made| self.apis[made.api].has_policies());
        if policies().next().is_none() {
            return Answer::Allowed;
        }
        let path = look.request.path_alone();
        let allowed = policies().any(|made| {
            let rule = self.rule(made);
            let is_path = made.policy.matches(path, look.differences)
                || look.differences.has(PathsAsExpressions) && made.path.is_match(path);
            let is_from = if rule.has("jwt") {
                has_principal(jwt, &rule.authentications())
            } else if rule.has("allow") || rule.has("no_auth") {
                caller == Caller::Gateway
            } else {
                caller == Caller::Oathkeeper
            };
            let authorizations = rule.authorizations();
            let granted = authorizations.is_empty()
                || authorizations
                    .iter()
                    .any(|it| it.allows(jwt, look.differences));
            is_path && rule.methods.contains(&look.request.method) && is_from && granted
        });
        match allowed {
            true => Answer::Allowed,
            false => Answer::Refused(403, "RBAC: access denied"),
        }
    }

    fn rule(&self, made: &Made) -> &Rule {
        &self.apis[made.api].rules[made.rule]
    }

    pub fn manifests(&self) -> Vec<Value> {
        let handler = match self.handler {
            JwtHandler::Ory => "ory",
            JwtHandler::Istio => "istio",
        };
        let config_map = |name: &str, key: &str, text: &str| {
            json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": "kyma-system"},
                "data": {key: text},
            })
        };
        let around = [
            config_map(
                "api-gateway-config",
                "api-gateway-config",
                &format!("jwtHandler: {handler}"),
            ),
            config_map("ory-oathkeeper-config", "config.yaml", OATHKEEPER),
        ];
        let rules = self.apis.iter().map(|api| {
            json!({
                "apiVersion": "gateway.kyma-project.io/v1beta1",
                "kind": "APIRule",
                "metadata": {"name": api.name, "namespace": "shop"},
                "spec": {
                    "gateway": "kyma-system/kyma-gateway",
                    "host": api.host,
                    "service": {"name": api.service, "port": 8080},
                    "rules": api.rules,
                },
            })
        });
        around.into_iter().chain(rules).collect()
    }
}

/// Oathkeeper's own configuration, as far as it decides anything here.
const OATHKEEPER: &str = "\
authenticators:
  noop: {enabled: true}
  unauthorized: {enabled: true}
  jwt:
    enabled: true
    config:
      scope_strategy: wildcard
      jwks_urls: [\"http://ory-hydra.kyma-system.svc.cluster.local:4444/.well-known/jwks.json\"]
  oauth2_introspection:
    enabled: true
    config:
      introspection_url: http://ory-hydra-admin.kyma-system.svc.cluster.local:4445/oauth2/introspect
      scope_strategy: exact
authorizers:
  allow: {enabled: true}
mutators:
  noop: {enabled: true}
";

// === impl ApiRule ===

impl ApiRule {
    /// Kyma writes policies for all rules of an APIRule or for none.
    fn has_policies(&self) -> bool {
        self.rules
            .iter()
            .any(|it| it.has("jwt") || it.has("no_auth"))
    }
}

#[cfg(test)]
mod tests;
