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

/// jwt_authn and rbac; jwt_authn verifies every token anew, or remembers those it has verified.
pub fn filters(guarded: &Guarded, cached: bool) -> Vec<Filter> {
    vec![
        Filter::Json(jwt_authn(guarded, cached)),
        Filter::Json(rbac(guarded)),
    ]
}

fn jwt_authn(guarded: &Guarded, cached: bool) -> Value {
    let mut provider = json!({
        "issuer": guarded.issuer,
        "local_jwks": {"inline_string": guarded.jwks},
        "payload_in_metadata": CLAIMS,
    });
    if cached {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": CACHED_TOKENS});
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

fn rbac(guarded: &Guarded) -> Value {
    let policies = guarded.rules.iter().enumerate().map(|(index, rule)| {
        let policy = json!({
            "permissions": [permission(rule)],
            "principals": [principal(&guarded.issuer)],
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

fn principal(issuer: &str) -> Value {
    json!({"metadata": {
        "filter": JWT_AUTHN,
        "path": [{"key": CLAIMS}, {"key": "iss"}],
        "value": {"string_match": {"exact": issuer}},
    }})
}
