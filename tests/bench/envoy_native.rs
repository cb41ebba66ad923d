//! Envoy's own filters with the policies that we are measured with: jwt_authn, then rbac.
//!
//! Put together as Istio does it: jwt_authn lets a request without a token pass and writes the
//! claims to dynamic metadata, where rbac reads the issuer. Called by `contenders.rs`.

use serde_json::{Value, json};

use crate::{
    guarded::{Guarded, Rule},
    harness::Filter,
};

const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";
/// Where jwt_authn writes the claims.
const CLAIMS: &str = "claims";

/// As many tokens as we remember.
const CACHED_TOKENS: u32 = 10_000;

/// How jwt_authn is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum JwtAuthn {
    /// It verifies every token anew.
    Uncached,
    /// It remembers tokens that it has verified, which Istio's does not.
    Cached,
    /// The same, with what a gateway of Istio has beside: the route is looked up again behind it, as
    /// it is when a wasm filter takes out the token, claims that are lists are made such, and `ISS/*`
    /// demands a subject, as it does here.
    CachedAsInIstio,
}

/// jwt_authn and rbac.
pub fn filters(guarded: &Guarded, how: JwtAuthn) -> Vec<Filter> {
    vec![
        Filter::Json(jwt_authn(guarded, how)),
        Filter::Json(rbac(guarded, how)),
    ]
}

fn jwt_authn(guarded: &Guarded, how: JwtAuthn) -> Value {
    let mut provider = json!({
        "issuer": guarded.issuer,
        "local_jwks": {"inline_string": guarded.jwks},
        "payload_in_metadata": CLAIMS,
    });
    if how != JwtAuthn::Uncached {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": CACHED_TOKENS});
    }
    if how == JwtAuthn::CachedAsInIstio {
        provider["clear_route_cache"] = json!(true);
        provider["normalize_payload_in_metadata"] =
            json!({"space_delimited_claims": ["scope", "permission"]});
    }
    json!({
        "name": JWT_AUTHN,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"bench": provider},
            "rules": [{
                "match": {"prefix": "/"},
                "requires": {"requires_any": {"requirements": [
                    {"provider_name": "bench"},
                    {"allow_missing": {}},
                ]}},
            }],
        },
    })
}

fn rbac(guarded: &Guarded, how: JwtAuthn) -> Value {
    let policies = guarded.rules.iter().enumerate().map(|(index, rule)| {
        let policy = json!({
            "permissions": [permission(rule)],
            "principals": [principal(&guarded.issuer, how)],
        });
        (format!("ns[bench]-policy[bench]-rule[{index}]"), policy)
    });
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "ALLOW", "policies": policies.collect::<serde_json::Map<_, _>>()},
        },
    })
}

fn permission(rule: &Rule) -> Value {
    let header = |name: &str, value: &str| json!({"header": {"name": name, "string_match": {"exact": value}}});
    json!({"and_rules": {"rules": [
        header(":authority", &rule.authority),
        header(":method", &rule.method),
        {"url_path": {"path": {"exact": rule.path}}},
    ]}})
}

fn principal(issuer: &str, how: JwtAuthn) -> Value {
    let claim = |name: &str, value: Value| {
        json!({"metadata": {
            "filter": JWT_AUTHN,
            "path": [{"key": CLAIMS}, {"key": name}],
            "value": {"string_match": value},
        }})
    };
    let issuer = claim("iss", json!({"exact": issuer}));
    match how {
        JwtAuthn::Uncached | JwtAuthn::Cached => issuer,
        JwtAuthn::CachedAsInIstio => {
            let subject = claim("sub", json!({"safe_regex": {"regex": ".+"}}));
            json!({"and_ids": {"ids": [issuer, subject]}})
        }
    }
}
