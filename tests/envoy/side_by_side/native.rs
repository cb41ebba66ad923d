//! A configuration of ours in Envoy's own terms: the filters that Istio would generate for it.
//!
//! Written from what Istio and Envoy document, without a line of the product, so that the two can
//! disagree. It takes Istio's part of the configuration as it stands: `jwtRules` with inline keys,
//! `authorizationPolicies`, and nothing that is an addition of ours.

use serde_json::{Map, Value, json};

use super::matchers::{
    Kind, all, any_of, cidr, header, metadata, negated, path, quoted, regex, starred, string_match,
    text, text_or_list, with_prefix,
};
use crate::harness::Filter;

const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";
/// Where jwt_authn writes the claims in Istio, and what RBAC reads.
const PAYLOAD: &str = "payload";

/// The filters of a gateway in the order in which Istio puts them.
pub fn filters(config: &Value) -> Vec<Filter> {
    let policies = list(&config["authorizationPolicies"]);
    let of = |action: &str| -> Vec<&Value> {
        let has = |policy: &&&Value| policy["action"].as_str().unwrap_or("ALLOW") == action;
        policies.iter().filter(has).copied().collect()
    };
    // A CUSTOM policy whose provider is not known refuses whatever it matches, before any token.
    let filters = [
        rbac(&of("CUSTOM"), "DENY"),
        jwt_authn(config),
        rbac(&of("AUDIT"), "LOG"),
        rbac(&of("DENY"), "DENY"),
        rbac(&of("ALLOW"), "ALLOW"),
    ];
    filters.into_iter().flatten().map(Filter::Json).collect()
}

/// What Istio's `meshConfig.pathNormalization` is to the connection manager.
pub fn path_normalization(option: &str) -> Value {
    match option {
        "NONE" => json!({"normalize_path": false}),
        "BASE" => json!({"normalize_path": true}),
        "MERGE_SLASHES" => json!({"normalize_path": true, "merge_slashes": true}),
        "DECODE_AND_MERGE_SLASHES" => json!({
            "normalize_path": true,
            "merge_slashes": true,
            "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
        }),
        other => panic!("no option `{other}`"),
    }
}

fn jwt_authn(config: &Value) -> Option<Value> {
    let mut rules = list(&config["jwtRules"]);
    rules.sort_by_key(|rule| rule["issuer"].as_str().unwrap_or_default());
    let names: Vec<String> = (0..rules.len()).map(|at| format!("origins-{at}")).collect();
    let providers = names
        .iter()
        .cloned()
        .zip(rules.iter().map(|it| provider(it)));
    let providers: Map<String, Value> = providers.collect();
    let named = |name: &String| json!({"provider_name": name});
    let missing = json!({"allow_missing": {}});
    let or_missing = |name: &String| requires_any(vec![named(name), missing.clone()]);
    let requires = match names.as_slice() {
        [] => return None,
        [only] => or_missing(only),
        several => {
            let each = several.iter().map(or_missing).collect::<Vec<_>>();
            let all = json!({"requires_all": {"requirements": each}});
            requires_any(several.iter().map(named).chain([all]).collect())
        }
    };
    Some(json!({
        "name": JWT_AUTHN,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": providers,
            "rules": [{"match": {"prefix": "/"}, "requires": requires}],
            "bypass_cors_preflight": true,
        },
    }))
}

fn requires_any(requirements: Vec<Value>) -> Value {
    json!({"requires_any": {"requirements": requirements}})
}

fn provider(rule: &Value) -> Value {
    let mut provider = json!({
        "local_jwks": {"inline_string": rule["jwks"]},
        "payload_in_metadata": PAYLOAD,
        "forward": rule["forwardOriginalToken"].as_bool().unwrap_or(false),
        "clear_route_cache": true,
    });
    let delimited = ["scope", "permission"].map(|name| json!(name)).into_iter();
    let delimited = delimited.chain(list(&rule["spaceDelimitedClaims"]).into_iter().cloned());
    provider["normalize_payload_in_metadata"] =
        json!({"space_delimited_claims": delimited.collect::<Vec<_>>()});
    for (ours, theirs) in [
        ("issuer", "issuer"),
        ("audiences", "audiences"),
        ("fromParams", "from_params"),
        ("fromCookies", "from_cookies"),
        ("outputPayloadToHeader", "forward_payload_header"),
    ] {
        if !rule[ours].is_null() {
            provider[theirs] = rule[ours].clone();
        }
    }
    let headers = list(&rule["fromHeaders"]).into_iter().map(|header| {
        json!({"name": header["name"], "value_prefix": header["prefix"].as_str().unwrap_or_default()})
    });
    provider["from_headers"] = headers.collect();
    let claims = list(&rule["outputClaimToHeaders"]).into_iter();
    let claims = claims
        .map(|output| json!({"header_name": output["header"], "claim_name": output["claim"]}));
    provider["claim_to_headers"] = claims.collect();
    provider
}

/// One filter for all policies of an action; none if there are none.
fn rbac(policies: &[&Value], action: &str) -> Option<Value> {
    if policies.is_empty() {
        return None;
    }
    let mut compiled = Map::new();
    for policy in policies {
        let namespace = policy["namespace"].as_str().unwrap_or_default();
        for (index, rule) in list(&policy["rules"]).into_iter().enumerate() {
            let name = policy["name"].as_str().unwrap_or_default();
            let id = format!("ns[{namespace}]-policy[{name}]-rule[{index}]");
            compiled.insert(id, rule_policy(rule, namespace));
        }
    }
    Some(json!({
        "name": format!("envoy.filters.http.rbac.{action}"),
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": action, "policies": compiled},
        },
    }))
}

fn rule_policy(rule: &Value, namespace: &str) -> Value {
    let when = list(&rule["when"]);
    let of_kind = |kind: Kind| -> Vec<Value> {
        let mine = when
            .iter()
            .filter(|condition| kind_of(key(condition)) == kind);
        let made = mine.flat_map(|condition| {
            let make = |value: &str| condition_value(key(condition), value, namespace);
            both(kind, condition, "values", "notValues", &make)
        });
        made.collect()
    };
    let entries = |list_name: &str, inner: &str, kind: Kind, fields: &[[&str; 2]]| -> Vec<Value> {
        let alternatives: Vec<Value> = match list(&rule[list_name]) {
            none if none.is_empty() => vec![json!({})],
            some => some.into_iter().map(|entry| entry[inner].clone()).collect(),
        };
        let made = alternatives.iter().map(|entry| {
            let mut parts: Vec<Value> = fields
                .iter()
                .flat_map(|[name, negative]| {
                    let make = |value: &str| field_value(name, value, namespace);
                    both(kind, entry, name, negative, &make)
                })
                .collect();
            parts.extend(of_kind(kind));
            all(kind, parts)
        });
        made.collect()
    };
    json!({
        "permissions": entries("to", "operation", Kind::Permission, &OPERATION),
        "principals": entries("from", "source", Kind::Principal, &SOURCE),
    })
}

const OPERATION: [[&str; 2]; 4] = [
    ["hosts", "notHosts"],
    ["ports", "notPorts"],
    ["methods", "notMethods"],
    ["paths", "notPaths"],
];

const SOURCE: [[&str; 2]; 7] = [
    ["principals", "notPrincipals"],
    ["requestPrincipals", "notRequestPrincipals"],
    ["namespaces", "notNamespaces"],
    ["serviceAccounts", "notServiceAccounts"],
    ["trustDomains", "notTrustDomains"],
    ["ipBlocks", "notIpBlocks"],
    ["remoteIpBlocks", "notRemoteIpBlocks"],
];

/// The values as one alternative, and the negative ones as what must not be.
fn both(
    kind: Kind,
    entry: &Value,
    name: &str,
    negative: &str,
    make: &dyn Fn(&str) -> Value,
) -> Vec<Value> {
    let values = |name: &str| -> Vec<Value> {
        let texts = list(&entry[name]).into_iter().filter_map(Value::as_str);
        texts.map(make).collect()
    };
    let (positive, negative) = (values(name), values(negative));
    let positive = (!positive.is_empty()).then(|| any_of(kind, positive));
    let negative = (!negative.is_empty()).then(|| negated(kind, any_of(kind, negative)));
    positive.into_iter().chain(negative).collect()
}

fn field_value(name: &str, value: &str, namespace: &str) -> Value {
    match name {
        "hosts" => header(":authority", value, true),
        "ports" => port(value),
        "methods" => header(":method", value, false),
        "paths" => path(value),
        "principals" => condition_value("source.principal", value, namespace),
        "requestPrincipals" => request_principal(value),
        "namespaces" => condition_value("source.namespace", value, namespace),
        "serviceAccounts" => condition_value("source.serviceAccount", value, namespace),
        "trustDomains" => condition_value("source.trustDomain", value, namespace),
        "ipBlocks" => json!({"direct_remote_ip": cidr(value)}),
        "remoteIpBlocks" => json!({"remote_ip": cidr(value)}),
        other => panic!("no field `{other}`"),
    }
}

fn kind_of(key: &str) -> Kind {
    let asked_for = ["destination.", "connection.", "experimental."];
    match asked_for.iter().any(|start| key.starts_with(start)) {
        true => Kind::Permission,
        false => Kind::Principal,
    }
}

fn condition_value(key: &str, value: &str, namespace: &str) -> Value {
    let claim = |claim_path: &[&str]| {
        let path: Vec<&str> = [PAYLOAD].iter().chain(claim_path).copied().collect();
        metadata(JWT_AUTHN, &path, &text_or_list(string_match(value, false)))
    };
    if let Some(name) = key.strip_prefix("request.headers[") {
        return header(name.trim_end_matches(']'), value, false);
    }
    if let Some(names) = key.strip_prefix("request.auth.claims[") {
        let names: Vec<&str> = names.trim_end_matches(']').split("][").collect();
        return claim(&names);
    }
    if let Some(rest) = key.strip_prefix("experimental.") {
        let (filter, name) = rest
            .trim_end_matches(']')
            .split_once('[')
            .expect("FILTER[KEY]");
        let in_list = value
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let matcher = match in_list {
            Some(value) => json!({"list_match": {"one_of": text(string_match(value, false))}}),
            None => text(string_match(value, false)),
        };
        return metadata(filter, &[name], &matcher);
    }
    match key {
        "source.ip" => json!({"direct_remote_ip": cidr(value)}),
        "remote.ip" => json!({"remote_ip": cidr(value)}),
        "source.principal" => authenticated(match value.strip_prefix('*') {
            Some("") => regex(".+"),
            Some(suffix) => regex(&format!("spiffe://.*{}", quoted(suffix))),
            None => with_prefix("spiffe://", value),
        }),
        "source.namespace" => authenticated(regex(&format!(".*/ns/{}/.*", starred(value, ".*")))),
        "source.serviceAccount" => {
            let (namespace, name) = value.split_once('/').unwrap_or((namespace, value));
            let (namespace, name) = (quoted(namespace), quoted(name));
            authenticated(regex(&format!(
                "spiffe://.+/ns/{namespace}/(.+/|)sa/{name}(/.+)?"
            )))
        }
        "source.trustDomain" => authenticated(match value {
            "*" => json!({"prefix": "spiffe://"}),
            some if some.contains('*') => regex(&format!("spiffe://{}/.*", starred(some, "[^/]*"))),
            some => json!({"prefix": format!("spiffe://{some}/")}),
        }),
        "request.auth.principal" => request_principal(value),
        "request.auth.audiences" => claim(&["aud"]),
        "request.auth.presenter" => claim(&["azp"]),
        "destination.ip" => json!({"destination_ip": cidr(value)}),
        "destination.port" => port(value),
        "connection.sni" => json!({"requested_server_name": string_match(value, false)}),
        other => panic!("no key `{other}`"),
    }
}

/// `iss` and `sub` are compared apart, split at the last slash.
fn request_principal(value: &str) -> Value {
    let claim = |name: &str, matcher: Value| metadata(JWT_AUTHN, &[PAYLOAD, name], &text(matcher));
    let both = |issuer: Value, subject: Value| {
        let parts = vec![claim("iss", issuer), claim("sub", subject)];
        all(Kind::Principal, parts)
    };
    let (something, exact) = (|| regex(".+"), |text: &str| json!({"exact": text}));
    let (before, behind) = match value.rsplit_once('/') {
        Some((before, behind)) => (before, Some(behind)),
        None => (value, None),
    };
    if value == "*" {
        return both(something(), something());
    }
    if let Some(suffix) = value.strip_prefix('*') {
        return match behind {
            None => both(something(), json!({"suffix": suffix})),
            Some(subject) => {
                let issuer = before.strip_prefix('*').unwrap_or_default();
                let issuer = match issuer {
                    "" => something(),
                    suffix => json!({"suffix": suffix}),
                };
                both(issuer, exact(subject))
            }
        };
    }
    if let Some(prefix) = value.strip_suffix('*') {
        return match behind {
            None => both(json!({"prefix": prefix}), something()),
            Some("*") => both(exact(before), something()),
            Some(subject) => {
                let prefix = subject.strip_suffix('*').unwrap_or_default();
                both(exact(before), json!({"prefix": prefix}))
            }
        };
    }
    both(exact(before), exact(behind.unwrap_or_default()))
}

fn authenticated(name: Value) -> Value {
    json!({"authenticated": {"principal_name": name}})
}

fn port(value: &str) -> Value {
    json!({"destination_port": value.parse::<u32>().expect("a port")})
}

fn key(condition: &Value) -> &str {
    condition["key"].as_str().expect("a condition has a key")
}

fn list(value: &Value) -> Vec<&Value> {
    value.as_array().into_iter().flatten().collect()
}
