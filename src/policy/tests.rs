//! Where rules are filed, and which requests meet them.

use super::*;
use crate::config::Config;
use serde_json::{Value, json};

const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

fn compile(mut config: Value) -> Policy {
    config["version"] = json!(1);
    config["defaultAction"] = json!("DENY");
    Policy::compile(Config::read(config.to_string().as_bytes()).unwrap())
}

/// A policy of this action, with one rule for each list of hosts.
fn policy(name: &str, action: &str, applies_to: &Value, hosts: &[&[&str]]) -> Value {
    let rules = hosts.iter().map(|hosts| match hosts {
        [] => json!({}),
        hosts => json!({"to": [{"operation": {"hosts": hosts}}]}),
    });
    let rules: Vec<_> = rules.collect();
    let mut policy = json!({"name": name, "namespace": "ns", "action": action, "rules": rules});
    if !applies_to.is_null() {
        policy["appliesTo"] = applies_to.clone();
    }
    policy
}

/// The rules that a request to an authority meets, the narrowest site first.
fn met(policy: &Policy, authority: &str) -> Vec<String> {
    let rules = policy
        .sites(authority)
        .into_iter()
        .flat_map(|site| site.enforced.allow.iter().chain(site.enforced.deny.iter()));
    rules.map(|entry| entry.item.id.to_string()).collect()
}

#[test]
fn a_rule_is_named_as_envoy_names_it_in_istio() {
    let compiled = compile(json!({"authorizationPolicies": [
        policy("p", "DENY", &Value::Null, &[&[], &[]]),
    ]}));
    assert_eq!(
        met(&compiled, "a.com"),
        ["ns[ns]-policy[p]-rule[0]", "ns[ns]-policy[p]-rule[1]"]
    );
}

#[test]
fn a_rule_is_met_only_by_authorities_that_it_could_match() {
    let compiled = compile(json!({"authorizationPolicies": [
        policy("hosts", "ALLOW", &Value::Null,
            &[&["a.com"], &["*.b.com", "b.com:8443"], &["a*"], &["c.com", "*c.com"]]),
        policy("attached", "DENY", &json!([{"hosts": ["a.com", "*.b.com"]}]), &[&["x.com"]]),
    ]}));
    for (authority, expected) in [
        (
            "a.com",
            &[
                "attached]-rule[0]",
                "hosts]-rule[0]",
                "hosts]-rule[2]",
                "hosts]-rule[3]",
            ][..],
        ),
        (
            "x.b.com",
            &[
                "attached]-rule[0]",
                "hosts]-rule[1]",
                "hosts]-rule[2]",
                "hosts]-rule[3]",
            ],
        ),
        (
            "b.com",
            &["hosts]-rule[1]", "hosts]-rule[2]", "hosts]-rule[3]"],
        ),
        ("x.com", &["hosts]-rule[2]", "hosts]-rule[3]"]),
    ] {
        let mut found: Vec<_> = met(&compiled, authority);
        found.sort();
        let expected: Vec<_> = expected
            .iter()
            .map(|it| format!("ns[ns]-policy[{it}"))
            .collect();
        assert_eq!(found, expected, "{authority}");
    }
}

#[test]
fn only_what_applies_to_an_authority_names_it() {
    let compiled = compile(json!({"authorizationPolicies": [
        policy("hosts", "ALLOW", &Value::Null, &[&["a.com"]]),
        policy("attached", "ALLOW", &json!([{"hosts": ["*.b.com"]}]), &[]),
        policy("paths", "ALLOW", &json!([{"paths": ["/a"]}]), &[]),
    ]}));
    for (authority, named) in [("a.com", false), ("x.b.com", true), ("b.com", false)] {
        let found = compiled.sites(authority).iter().any(|site| site.named);
        assert_eq!(found, named, "{authority}");
    }
}

#[test]
fn an_allow_policy_makes_a_demand_where_it_is_attached() {
    let compiled = compile(json!({"authorizationPolicies": [
        policy("host", "ALLOW", &json!([{"hosts": ["a.com"]}]), &[]),
        policy("path", "ALLOW", &json!([{"hosts": ["b.com"], "paths": ["/x*", "/y"]}]), &[]),
        policy("deny", "DENY", &json!([{"hosts": ["c.com"]}]), &[&[]]),
        policy("rest", "ALLOW", &json!([
            {"hosts": ["e.com"], "exceptPaths": ["/x*", "/y"]},
            {"hosts": ["e.com"], "paths": ["/x/{*}"], "exceptPaths": ["/x/2"]},
        ]), &[]),
    ]}));
    for (authority, path, demanded) in [
        ("a.com", "/", true),
        ("b.com", "/x/1", true),
        ("b.com", "/y", true),
        ("b.com", "/z", false),
        ("c.com", "/", false),
        ("d.com", "/", false),
        ("e.com", "/", true),
        ("e.com", "/y", false),
        ("e.com", "/y/1", true),
        ("e.com", "/x", false),
        ("e.com", "/x/1", true),
        ("e.com", "/x/2", false),
        ("e.com", "/x/1/2", false),
    ] {
        let found = compiled
            .sites(authority)
            .iter()
            .any(|site| site.enforced.demands_allow(path.as_bytes().into()));
        assert_eq!(found, demanded, "{authority}{path}");
    }
}

#[test]
fn equal_remote_sources_are_one_and_others_are_not() {
    let remote = |issuer: &str, uri: &str, cluster: &str| json!({"issuer": issuer, "jwksUri": uri, "cluster": cluster});
    let inline = |issuer: &str| json!({"issuer": issuer, "jwks": JWKS});
    let compiled = compile(json!({"jwtRules": [
        remote("a", "https://x/jwks", "x"),
        remote("b", "https://x/jwks", "x"),
        remote("c", "https://x/jwks", "y"),
        remote("d", "https://x/jwks2", "x"),
        inline("e"),
        inline("f"),
    ]}));
    let rules = compiled
        .sites("a.com")
        .into_iter()
        .flat_map(|site| &site.jwt_rules);
    let sources: Vec<_> = rules.map(|entry| entry.item.keys.0).collect();
    assert_eq!(sources, [0, 0, 1, 2, 3, 4]);
    assert_eq!(compiled.key_sources.len(), 5);
}

#[test]
fn jwt_rules_stand_in_the_order_of_their_issuers_and_then_as_written() {
    let rule = |name: &str, issuer: &str| json!({"name": name, "issuer": issuer, "jwks": JWKS});
    let compiled = compile(json!({"jwtRules": [
        rule("1", "b"), rule("2", "a"), rule("3", "b"), rule("4", "B"),
    ]}));
    let rules = compiled
        .sites("a.com")
        .into_iter()
        .flat_map(|site| &site.jwt_rules);
    let names: Vec<_> = rules.map(|entry| entry.item.name.to_string()).collect();
    assert_eq!(names, ["4", "2", "1", "3"]);
}
