//! `apiRules`, as they are written.

#![allow(missing_docs, reason = "each field is documented where it is read")]

use super::{JwtRule, Members};
use serde::Serialize;

/// `apiRules[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiRules {
    pub name: String,
    pub hosts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_style: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors_policy: Option<CorsPolicy>,
    pub rules: Vec<ApiRule>,
}

/// `apiRules[].rules[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiRule {
    #[serde(flatten)]
    pub path: Path,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    #[serde(flatten)]
    pub strategy: Strategy,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_style: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// `path` or `pathRegex`
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Path {
    #[serde(rename = "path")]
    Path(String),
    #[serde(rename = "pathRegex")]
    Regex(String),
}

/// Who may send the requests of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    NoAuth(True),
    Deny(True),
    Jwt(JwtDemand),
    Oauth2Introspection(IntrospectionDemand),
    ExtAuth(ExtAuth),
}

/// `true`, which some strategies have as their value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct True;

/// `jwt`, `extAuth.restrictions`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtDemand {
    pub authentications: Vec<JwtRule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorizations: Vec<Authorization>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_strategy: Option<String>,
}

/// `authorizations[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_scopes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
}

/// `oauth2Introspection`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IntrospectionDemand {
    pub provider: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_scopes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_strategy: Option<String>,
}

/// `extAuth`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExtAuth {
    pub authorizers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restrictions: Option<JwtDemand>,
}

/// `request`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    #[serde(skip_serializing_if = "Members::is_empty")]
    pub headers: Members<String>,
    #[serde(skip_serializing_if = "Members::is_empty")]
    pub cookies: Members<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_cookies: Option<bool>,
}

/// `corsPolicy`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CorsPolicy {
    pub allow_origins: Vec<OriginMatch>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_credentials: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
}

/// `corsPolicy.allowOrigins[]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OriginMatch {
    Exact(String),
    Prefix(String),
    Regex(String),
}

// === impl Path ===

impl Default for Path {
    fn default() -> Self {
        Self::Path("/*".to_owned())
    }
}

// === impl Strategy ===

impl Default for Strategy {
    fn default() -> Self {
        Self::Deny(True)
    }
}

// === impl True ===

impl Serialize for True {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}
