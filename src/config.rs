//! What an operator writes in `WasmPlugin.spec.pluginConfig`, version 1, read and checked.
//!
//! [`Config::read`] is the only way to a [`Config`]. It collects every fault before it answers, so
//! that an operator mends a configuration in one go. The plugin calls it in `on_configure`, the
//! command in `check` and `test`. Nothing here looks at a request.

mod api_rules;
mod api_rules_overlap;
mod authorization_policies;
mod client_certificate;
mod cors_policy;
mod demands;
mod extension_providers;
mod introspection_providers;
mod jwt_rules;
mod limits;
mod mesh;
mod reader;
mod values;

pub use api_rules::{
    ApiRule, ApiRules, Authorization, ErrorStyle, IntrospectionDemand, JwtDemand, Strategy,
};
pub use authorization_policies::{Action, AuthorizationPolicy, Rule};
pub use client_certificate::{BindTokens, ClientCertificate, TrustForwarded, TrustedProxy};
pub use cors_policy::CorsPolicy;
pub use demands::Demand;
pub use extension_providers::ExtensionProvider;
pub use introspection_providers::{Credential, IntrospectionProvider, TokenFrom};
pub use jwt_rules::{ClaimToHeader, FromHeader, JwtRule, KeySource, Origin, RemoteKeys};
pub use limits::Limits;
pub use mesh::{HttpsRedirect, Mesh};
pub use reader::Fault;
pub use values::{Secret, is_owned_by_http};

use crate::json;
use crate::policy::{AuthorityPattern, PathPattern, Within};
use reader::{At, Fields};
use std::rc::Rc;

/// A configuration is at most this long, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

/// At most this many rules in all: those of every policy, API rules and JWT rules.
pub const MAX_RULES: usize = 50_000;

/// How deep the configuration's JSON may nest.
const MAX_DEPTH: usize = 64;

/// The whole configuration; every value in it has been checked.
#[derive(Debug)]
pub struct Config {
    /// What becomes of an authority that nothing names.
    pub default_action: DefaultAction,
    /// Which readings of a path a decision must hold for.
    pub path_matching: PathMatching,
    /// What access logs are told of.
    pub access_log: AccessLog,
    /// Istio's `RequestAuthentication.spec.jwtRules`, of all resources together.
    pub jwt_rules: Vec<JwtRule>,
    /// Authorization servers that are asked about opaque tokens.
    pub introspection_providers: Vec<IntrospectionProvider>,
    /// External authorizers, Istio's `MeshConfig.extensionProviders`.
    pub extension_providers: Vec<ExtensionProvider>,
    /// Kyma's `APIRule` resources.
    pub api_rules: Vec<ApiRules>,
    /// Istio's `AuthorizationPolicy` resources.
    pub authorization_policies: Vec<AuthorizationPolicy>,
    /// What becomes of client certificates.
    pub client_certificate: ClientCertificate,
    /// What the mesh is like.
    pub mesh: Mesh,
    /// How much is remembered, and for how long one waits.
    pub limits: Limits,
    /// What is allowed, but may not be what was meant, each with its JSON path.
    pub warnings: Vec<Fault>,
}

/// `defaultAction`: what becomes of an authority that nothing names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// The request goes on.
    Allow,
    /// 404.
    Deny,
}

/// `pathMatching`: which readings of a path a decision must hold for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathMatching {
    /// Every reading that a server behind the gateway may take it for.
    #[default]
    Strict,
    /// Only the one that Envoy's RBAC filter judges.
    Istio,
}

/// `accessLog`: the requests of which access logs are told what was decided, and by which rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// Those that do not go on. Metrics count the others by rule, and telling costs each of them
    /// a call to the host.
    #[default]
    Refused,
    /// All of them.
    All,
}

/// One entry of `appliesTo`: where a rule or policy is attached. Absent fields mean everything.
#[derive(Clone, Debug)]
pub struct AppliesTo {
    /// Authorities, without port.
    pub hosts: Vec<AuthorityPattern>,
    /// `paths` but for `exceptPaths`, in Istio's grammar.
    pub within: Rc<Within>,
}

// === impl Config ===

impl Config {
    /// Reads the JSON text of a configuration.
    ///
    /// # Errors
    /// Every fault in it, each with its JSON path. A text that is no JSON has a single fault.
    pub fn read(text: &[u8]) -> Result<Self, Vec<Fault>> {
        if text.len() > MAX_BYTES {
            let message = format!("{} bytes; at most {MAX_BYTES} are allowed", text.len());
            return Err(vec![Fault::at_root(message)]);
        }
        if text.is_empty() {
            let message = "empty; pluginConfig must be a JSON object with at least `version: 1`";
            return Err(vec![Fault::at_root(message)]);
        }
        let value = json::parse_borrowed(text, MAX_DEPTH)
            .map_err(|error| vec![Fault::at_root(format!("not valid JSON: {error}"))])?;
        let (config, warnings) = reader::read(&value, Self::from_json)?;
        Ok(Self { warnings, ..config })
    }

    fn from_json(root: At<'_>) -> Option<Self> {
        let mut fields = root.object()?;
        let version = fields.required("version");
        if let Some(version) = version.filter(|version| version.value().as_u64() != Some(1)) {
            version.unexpected("1");
        }
        let default_action = fields.optional("defaultAction");
        let path_matching = path_matching(&mut fields);
        let access_log = fields
            .optional("accessLog")
            .and_then(|at| at.one_of(&[("REFUSED", AccessLog::Refused), ("ALL", AccessLog::All)]));
        let jwt_rules = jwt_rules::read(fields.optional("jwtRules"));
        let introspection_providers =
            introspection_providers::read(fields.optional("introspectionProviders"));
        let extension_providers = extension_providers::read(fields.optional("extensionProviders"));
        let known = Known {
            introspection_providers: introspection_providers
                .iter()
                .map(|it| it.name.as_str())
                .collect(),
            extension_providers: extension_providers
                .iter()
                .map(|it| it.name.as_str())
                .collect(),
        };
        let api_rules = api_rules::read(fields.optional("apiRules"), &known);
        let mesh = mesh::read(fields.optional("mesh"));
        let client_certificate = client_certificate::read(fields.optional("clientCertificate"));
        let authorization_policies = authorization_policies::read(
            fields.optional("authorizationPolicies"),
            &(&mesh, &client_certificate),
            &known,
        );
        let limits = limits::read(fields.optional("limits"));
        fields.finish();

        let named = jwt_rules.iter().map(|rule| &rule.applies_to);
        let named = named.chain(
            authorization_policies
                .iter()
                .map(|policy| &policy.applies_to),
        );
        let names_authorities =
            !api_rules.is_empty() || named.flatten().any(|entry| !entry.hosts.is_empty());
        let default_action = match default_action {
            Some(at) => at.one_of(&[
                ("ALLOW", DefaultAction::Allow),
                ("DENY", DefaultAction::Deny),
            ]),
            None if names_authorities => {
                root.fault(
                    "`defaultAction` is missing; it is required as soon as a host is named: \
                     `DENY` answers 404 for every other authority, `ALLOW` lets it through",
                );
                None
            }
            None => Some(DefaultAction::Allow),
        };

        let rules = authorization_policies
            .iter()
            .map(|policy| policy.rules.len());
        let rules = rules.chain(api_rules.iter().map(|entry| entry.rules.len()));
        let rules = rules.fold(jwt_rules.len(), usize::saturating_add);
        if rules > MAX_RULES {
            root.fault(format!(
                "{rules} rules in all; at most {MAX_RULES} are allowed"
            ));
        }
        Some(Self {
            default_action: default_action.unwrap_or(DefaultAction::Deny),
            path_matching: path_matching.unwrap_or_default(),
            access_log: access_log.unwrap_or_default(),
            jwt_rules,
            introspection_providers,
            extension_providers,
            api_rules,
            authorization_policies,
            client_certificate,
            mesh,
            limits,
            warnings: Vec::new(),
        })
    }

    /// Looks up the secrets that stand in the environment of the module.
    ///
    /// # Errors
    /// Those that are not there.
    pub fn resolve_secrets(
        &mut self,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<(), Vec<Fault>> {
        let mut faults = Vec::new();
        for (index, provider) in self.introspection_providers.iter_mut().enumerate() {
            provider.resolve(index, &env, &mut faults);
        }
        match faults.is_empty() {
            true => Ok(()),
            false => Err(faults),
        }
    }
}

// === impl AppliesTo ===

impl AppliesTo {
    /// Reads the list `appliesTo` of a rule or policy; absent, it is empty and means everything.
    fn read(fields: &mut Fields<'_>) -> Vec<Self> {
        let Some(at) = fields.optional("appliesTo") else {
            return Vec::new();
        };
        at.non_empty_list(|entry| {
            let mut fields = entry.object()?;
            let hosts = fields.optional("hosts").map(hosts);
            let paths = self::paths(&mut fields, "paths");
            let except = self::paths(&mut fields, "exceptPaths");
            fields.finish();
            if hosts.is_none() && paths.is_none() && except.is_none() {
                entry.fault("empty; give one of `hosts`, `paths` and `exceptPaths`, or several");
            }
            Some(Self {
                hosts: hosts.unwrap_or_default(),
                within: Rc::new(Within {
                    paths: paths.unwrap_or_default(),
                    except: except.unwrap_or_default(),
                }),
            })
        })
    }
}

/// The names of what rules and policies may refer to.
struct Known<'a> {
    introspection_providers: Vec<&'a str>,
    extension_providers: Vec<&'a str>,
}

/// `pathMatching`
fn path_matching(fields: &mut Fields<'_>) -> Option<PathMatching> {
    let at = fields.optional("pathMatching")?;
    at.one_of(&[
        ("STRICT", PathMatching::Strict),
        ("ISTIO", PathMatching::Istio),
    ])
}

/// A list of authorities, without port.
fn hosts(at: At<'_>) -> Vec<AuthorityPattern> {
    at.non_empty_list(|host| host.parsed(AuthorityPattern::parse))
}

/// A list of paths, in Istio's grammar.
fn paths(fields: &mut Fields<'_>, name: &'static str) -> Option<Vec<PathPattern>> {
    let at = fields.optional(name)?;
    Some(at.non_empty_list(|path| path.parsed(PathPattern::parse)))
}

#[cfg(test)]
mod tests;
