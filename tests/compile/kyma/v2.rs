//! APIRules of version v2 and v2alpha1: routes of a VirtualService at the gateway; at the workload
//! CUSTOM policies, one RequestAuthentication of all rules, and the ALLOW policies of all rules, of
//! which any may let a request in.

use super::differences::Difference::{OtherHosts, Overlap, OwnPlaces};
use super::istio::{
    Authentication, Authorization, PolicyPath, RoutePath, authenticate, has_principal,
};
use super::{Answer, Look};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An APIRule.
pub struct ApiRule {
    pub name: String,
    /// v2 or v2alpha1
    pub version: &'static str,
    pub host: String,
    pub service: String,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    pub path: String,
    pub methods: Vec<String>,
    /// The name of its own service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_auth: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext_auth: Option<ExtAuth>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Service {
    pub name: String,
    pub port: u16,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    pub authentications: Vec<Authentication>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorizations: Option<Vec<Authorization>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExtAuth {
    pub authorizers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restrictions: Option<Jwt>,
}

/// The APIRules of a cluster, and what Kyma makes of them.
pub struct Mesh {
    apis: Vec<ApiRule>,
    made: Vec<Made>,
}

/// What Kyma makes of one rule.
struct Made {
    api: usize,
    rule: usize,
    route: RoutePath,
    policy: PolicyPath,
    not_paths: Vec<PolicyPath>,
}

/// The external authorizers that the mesh knows.
pub const AUTHORIZERS: [&str; 2] = ["kind", "strict"];

// === impl Mesh ===

impl Mesh {
    pub fn new(apis: Vec<ApiRule>) -> Self {
        let mut made = Vec::new();
        for (index, api) in apis.iter().enumerate() {
            for (number, rule) in api.rules.iter().enumerate() {
                let not_paths = not_paths(&api.rules, rule);
                made.push(Made {
                    api: index,
                    rule: number,
                    route: RoutePath::new(&rule.path),
                    policy: PolicyPath::new(policy_path(&rule.path)),
                    not_paths: not_paths.iter().map(|it| PolicyPath::new(it)).collect(),
                });
            }
        }
        Self { apis, made }
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
            let has_method = self.rule(made).methods.contains(&look.request.method);
            made.api == api && has_method && made.route.matches(path, look.differences)
        });
        let Some(routed) = routed else {
            return Answer::Refused(404, "no route");
        };
        self.at_workload(self.service(routed), routed, look)
    }

    fn at_workload(&self, service: &str, routed: &Made, look: &Look<'_>) -> Answer {
        let here = || {
            self.made
                .iter()
                .filter(|made| self.service(made) == service)
        };
        for made in here().filter(|made| self.is_to(made, look)) {
            let is_overlap = made.api == routed.api && made.rule != routed.rule;
            let left_out = is_overlap && look.differences.has(Overlap)
                || made.api != routed.api && look.differences.has(OtherHosts);
            let authorizers = self
                .rule(made)
                .ext_auth
                .iter()
                .flat_map(|it| &it.authorizers);
            if !left_out
                && authorizers
                    .clone()
                    .any(|it| look.request.refused_by.contains(it))
            {
                return Answer::Refused(403, "external authorizer");
            }
        }
        let authentications: Vec<_> = here()
            .filter_map(|made| self.rule(made).jwt())
            .flat_map(|jwt| &jwt.authentications)
            .collect();
        let Ok(mut jwt) = authenticate(look, &authentications) else {
            return Answer::Refused(401, "jwt_authn");
        };
        if let (true, Some(demand)) = (look.differences.has(OwnPlaces), self.rule(routed).jwt()) {
            let own: Vec<_> = demand.authentications.iter().collect();
            jwt = authenticate(look, &own).unwrap_or(jwt);
        }
        let allowed = here().filter(|made| self.is_to(made, look)).any(|made| {
            let Some(demand) = self.rule(made).jwt() else {
                return true;
            };
            let any = [Authorization::default()];
            let authorizations = demand.authorizations.as_deref().unwrap_or_default();
            let authorizations = if authorizations.is_empty() {
                &any
            } else {
                authorizations
            };
            has_principal(jwt, &demand.authentications)
                && authorizations
                    .iter()
                    .any(|it| it.allows(jwt, look.differences))
        });
        match allowed {
            true => Answer::Allowed,
            false => Answer::Refused(403, "RBAC: access denied"),
        }
    }

    /// `to` of the policies for a rule.
    fn is_to(&self, made: &Made, look: &Look<'_>) -> bool {
        let (rule, path) = (self.rule(made), look.request.path_alone());
        let excluded = || {
            made.not_paths
                .iter()
                .any(|it| it.matches(path, look.differences))
        };
        look.is_host(&self.apis[made.api].host)
            && rule.methods.contains(&look.request.method)
            && made.policy.matches(path, look.differences)
            && !excluded()
    }

    fn rule(&self, made: &Made) -> &Rule {
        &self.apis[made.api].rules[made.rule]
    }

    fn service(&self, made: &Made) -> &str {
        let own = self.rule(made).service.as_ref();
        own.map_or(&self.apis[made.api].service, |it| &it.name)
    }

    pub fn manifests(&self) -> Vec<Value> {
        let authorizers = AUTHORIZERS.map(|name| {
            let service = format!("{name}.auth.svc.cluster.local");
            json!({"name": name, "service": service, "port": 8000,
                   "headers": {"inCheck": {"include": ["x-ext-authz"]}}})
        });
        let istio = json!({
            "apiVersion": "operator.kyma-project.io/v1alpha2",
            "kind": "Istio",
            "metadata": {"name": "default", "namespace": "kyma-system"},
            "spec": {"config": {"authorizers": authorizers}},
        });
        let rules = self.apis.iter().map(|api| {
            json!({
                "apiVersion": format!("gateway.kyma-project.io/{}", api.version),
                "kind": "APIRule",
                "metadata": {"name": api.name, "namespace": "shop"},
                "spec": {
                    "gateway": "kyma-system/kyma-gateway",
                    "hosts": [api.host],
                    "service": {"name": api.service, "port": 8080},
                    "rules": api.rules,
                },
            })
        });
        std::iter::once(istio).chain(rules).collect()
    }
}

/// The paths that the policies of a rule leave out: those of the rules before the first rule with the
/// same path string that share a method with it. The root and every-path are never among them.
pub fn not_paths<'r>(rules: &'r [Rule], current: &Rule) -> Vec<&'r str> {
    let before = rules.iter().take_while(|rule| rule.path != current.path);
    let shares = |rule: &&Rule| rule.methods.iter().any(|it| current.methods.contains(it));
    let left_out = before.filter(shares).map(|rule| rule.path.as_str());
    left_out
        .filter(|path| !["/", "/*", "/{**}"].contains(path))
        .collect()
}

fn policy_path(path: &str) -> &str {
    if path == "/*" { "/{**}" } else { path }
}

// === impl Look ===

impl Look<'_> {
    /// `operation.hosts`: the authority as it was sent.
    fn is_host(&self, host: &str) -> bool {
        let mut authority = self.request.authority.to_ascii_lowercase();
        if self
            .differences
            .has(super::differences::Difference::HostSpelling)
        {
            let name = authority.split(':').next().unwrap_or_default();
            authority = name.strip_suffix('.').unwrap_or(name).to_owned();
        }
        super::istio::string_match(host, &authority)
    }
}

// === impl Rule ===

impl Rule {
    /// What it demands of a token.
    pub fn jwt(&self) -> Option<&Jwt> {
        let restrictions = || self.ext_auth.as_ref()?.restrictions.as_ref();
        self.jwt.as_ref().or_else(restrictions)
    }
}

#[cfg(test)]
mod tests;
