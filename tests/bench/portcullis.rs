//! Our own filter, for the rules that all contenders guard. Called by `contenders.rs`.

use std::{collections::BTreeSet, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    guarded::{Guarded, Rule},
    harness::{Filter, Plugin},
};

/// The cluster that reaches the issuer.
pub const ISSUER: &str = "issuer";

/// Whoever has a token of the issuer passes; `module` is another build of the plugin.
pub fn filter(guarded: &Guarded, module: Option<&PathBuf>, name: &str) -> Filter {
    let plugin = Plugin::new(configuration(guarded));
    // A name of its own gives it caches of its own.
    let plugin = plugin.name(name);
    match module {
        Some(module) => plugin.module(module).inline(),
        None => plugin.inline(),
    }
}

/// The same rules for whoever has a token that the issuer calls active.
pub fn introspecting(guarded: &Guarded) -> Filter {
    let rule = |rule: &Rule| {
        json!({
            "path": rule.path, "methods": [rule.method],
            "oauth2Introspection": {"provider": "bench", "forwardToken": false},
        })
    };
    let authorities: BTreeSet<_> = guarded.rules.iter().map(|rule| &rule.authority).collect();
    let entries = authorities.iter().enumerate().map(|(index, authority)| {
        let own = guarded
            .rules
            .iter()
            .filter(|rule| rule.authority == **authority);
        json!({
            "name": format!("bench-{index}"),
            "hosts": [authority],
            "errorStyle": "istio",
            "rules": own.map(rule).collect::<Vec<_>>(),
        })
    });
    let (id, secret) = guarded.client;
    let plugin = Plugin::new(json!({
        "version": 1,
        "defaultAction": "DENY",
        "introspectionProviders": [{
            "name": "bench",
            "introspectionUrl": guarded.introspection_url,
            "cluster": ISSUER,
            "clientId": id,
            "clientSecret": secret,
            "cache": {"ttl": "1h"},
        }],
        "apiRules": entries.collect::<Vec<_>>(),
    }));
    plugin.name("introspecting").inline()
}

fn configuration(guarded: &Guarded) -> Value {
    let operation = |rule: &Rule| {
        json!({
            "from": [{"source": {"requestPrincipals": [format!("{}/*", guarded.issuer)]}}],
            "to": [{"operation": {
                "hosts": [rule.authority], "methods": [rule.method], "paths": [rule.path],
            }}],
        })
    };
    let authorities: BTreeSet<_> = guarded.rules.iter().map(|rule| &rule.authority).collect();
    json!({
        "version": 1,
        "defaultAction": "DENY",
        "jwtRules": [{
            "name": "bench",
            "issuer": guarded.issuer,
            "jwks": guarded.jwks,
            "appliesTo": [{"hosts": authorities}],
        }],
        "authorizationPolicies": [{
            "name": "bench",
            "namespace": "bench",
            "action": "ALLOW",
            "rules": guarded.rules.iter().map(operation).collect::<Vec<_>>(),
        }],
    })
}
