//! The configuration as it is written: the fields of `pluginConfig`, in the order in which one reads
//! them.
//!
//! What they mean, and which values are allowed, is [`crate::config`]'s business, which reads every
//! written configuration again before it is handed out.

#![allow(missing_docs, reason = "each field is documented where it is read")]

mod api_rules;

pub use api_rules::{
    ApiRule, ApiRules, Authorization, CorsPolicy, ExtAuth, IntrospectionDemand, JwtDemand,
    OriginMatch, Path, Request, Strategy, True,
};

use crate::cli::yaml::Node;
use serde::Serialize;

/// The whole `pluginConfig`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    pub version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_matching: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh: Option<Mesh>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jwt_rules: Vec<JwtRule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub introspection_providers: Vec<IntrospectionProvider>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extension_providers: Vec<ExtensionProvider>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_rules: Vec<ApiRules>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_policies: Vec<AuthorizationPolicy>,
}

/// Names with values, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members<V>(pub Vec<(String, V)>);

/// `mesh`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mesh {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trust_domain_aliases: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_remote_address: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub https_redirect: Vec<HttpsRedirect>,
}

/// `mesh.httpsRedirect[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpsRedirect {
    pub hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except_paths: Vec<String>,
}

/// `clientCertificate`
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificate {
    pub headers: Members<String>,
}

/// `appliesTo[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliesTo {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except_paths: Vec<String>,
}

/// `jwtRules[]`, and `authentications[]` of an API rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_skew: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_expiration: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_headers: Vec<FromHeader>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_params: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from_cookies: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_payload_to_header: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_claim_to_headers: Vec<ClaimToHeader>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_original_token: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub space_delimited_claims: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub applies_to: Vec<AppliesTo>,
}

/// `fromHeaders[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FromHeader {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// `outputClaimToHeaders[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClaimToHeader {
    pub header: String,
    pub claim: String,
}

/// `introspectionProviders[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IntrospectionProvider {
    pub name: String,
    pub introspection_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    #[serde(skip_serializing_if = "Members::is_empty")]
    pub request_headers: Members<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_strategy: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_issuers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_from: Option<TokenFrom>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_outage: Option<u16>,
}

/// `introspectionProviders[].cache`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cache {
    pub ttl: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative_ttl: Option<String>,
}

/// `introspectionProviders[].tokenFrom`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenFrom {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_parameter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
}

/// `extensionProviders[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtensionProvider {
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_statuses: Vec<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_path: Option<String>,
    pub envoy_ext_authz_http: EnvoyExtAuthzHttp,
}

/// Istio's `envoyExtAuthzHttp`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvoyExtAuthzHttp {
    pub service: String,
    pub port: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_open: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_on_error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include_request_headers_in_check: Vec<String>,
    #[serde(skip_serializing_if = "Members::is_empty")]
    pub include_additional_headers_in_check: Members<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers_to_upstream_on_allow: Vec<String>,
    /// Absent is every header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_to_downstream_on_deny: Option<Vec<String>>,
}

/// `authorizationPolicies[]`; rules are written as they were found, but for what was changed in them.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationPolicy {
    pub name: String,
    pub namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub applies_to: Vec<AppliesTo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Node>,
}

/// `provider` of a CUSTOM policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Provider {
    pub name: String,
}

// === impl Members ===

impl<V> Members<V> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V: Serialize> Serialize for Members<V> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
