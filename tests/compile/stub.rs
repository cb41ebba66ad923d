//! A STAND-IN for the compiler, by hand and only as good as this test needs it. It goes as soon as
//! `portcullis compile` is there; nothing else may use it.

use portcullis::config::Config;
use portcullis::policy::{ApiPath, Policy};
use serde_json::{Value, json};

/// The policy that a cluster's manifests are compiled into.
///
/// # Errors
/// Something cannot be carried over.
pub fn compiled(manifests: &str) -> Result<Policy, String> {
    let documents = manifests
        .split("---\n")
        .map(serde_saphyr::from_str::<Value>);
    let documents: Vec<Value> = documents
        .collect::<Result<_, _>>()
        .map_err(|it| it.to_string())?;
    let config = configuration(&documents)?.to_string();
    let config = Config::read(config.as_bytes()).map_err(|faults| {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        faults.join("; ")
    })?;
    Ok(Policy::compile(config))
}

fn configuration(documents: &[Value]) -> Result<Value, String> {
    let istio = documents
        .iter()
        .any(|it| it.to_string().contains("jwtHandler: istio"));
    let mut config = json!({
        "version": 1, "defaultAction": "DENY",
        "extensionProviders": [], "introspectionProviders": [], "apiRules": [],
    });
    for document in documents {
        let version = document["apiVersion"].as_str().unwrap_or_default();
        match (document["kind"].as_str(), version) {
            (Some("Istio"), _) => {
                let authorizers = list(&document["spec"]["config"]["authorizers"]);
                config["extensionProviders"] = authorizers
                    .iter()
                    .map(|it| {
                        json!({"name": it["name"], "envoyExtAuthzHttp":
                            {"service": it["service"], "port": it["port"]}})
                    })
                    .collect();
            }
            (Some("APIRule"), "gateway.kyma-project.io/v1beta1") => {
                let rules = v1beta1_rules(&document["spec"], istio, &mut config)?;
                push(
                    &mut config["apiRules"],
                    entry(document, json!([document["spec"]["host"]]), rules),
                );
            }
            (Some("APIRule"), _) => {
                let spec = &document["spec"];
                push(
                    &mut config["apiRules"],
                    entry(document, spec["hosts"].clone(), v2_rules(spec)),
                );
            }
            _ => {}
        }
    }
    Ok(config)
}

fn entry(document: &Value, hosts: Value, rules: Vec<Value>) -> Value {
    json!({"name": document["metadata"]["name"], "hosts": hosts, "rules": rules})
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn push(list: &mut Value, item: Value) {
    list.as_array_mut().unwrap().push(item);
}

// === version v2 ===

fn v2_rules(spec: &Value) -> Vec<Value> {
    let rules = list(&spec["rules"]);
    let mut made: Vec<Value> = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let path = rule["path"].as_str().unwrap();
        // What the policies of this rule leave out although another rule does not take it.
        let first = rules
            .iter()
            .position(|it| it["path"] == rule["path"])
            .unwrap_or(index);
        for earlier in &rules[..first] {
            let left_out = earlier["path"].as_str().unwrap();
            let methods = list(&rule["methods"]);
            let shares = methods
                .iter()
                .any(|it| list(&earlier["methods"]).contains(it));
            if !shares || ["/", "/*", "/{**}"].contains(&left_out) {
                continue;
            }
            let missing: Vec<_> = methods
                .iter()
                .filter(|it| !is_taken(&made, left_out, it))
                .collect();
            if !missing.is_empty() {
                made.push(json!({"path": left_out, "methods": missing, "deny": true}));
            }
        }
        let mut entry = json!({"path": path, "methods": rule["methods"]});
        if rule["noAuth"] == true {
            entry["noAuth"] = json!(true);
        } else if rule["jwt"].is_object() {
            entry["jwt"] = rule["jwt"].clone();
        } else {
            entry["extAuth"] = json!({"authorizers": rule["extAuth"]["authorizers"]});
            if rule["extAuth"]["restrictions"].is_object() {
                entry["extAuth"]["restrictions"] = rule["extAuth"]["restrictions"].clone();
            }
        }
        made.push(entry);
    }
    made
}

/// Whether a rule that is there already decides for all of a path by a method.
fn is_taken(made: &[Value], path: &str, method: &Value) -> bool {
    let path = ApiPath::parse(path).unwrap();
    made.iter().any(|rule| {
        let known = ApiPath::parse(rule["path"].as_str().unwrap()).unwrap();
        list(&rule["methods"]).contains(method) && known.covers(&path)
    })
}

// === version v1beta1 ===

fn v1beta1_rules(spec: &Value, istio: bool, config: &mut Value) -> Result<Vec<Value>, String> {
    let rules = list(&spec["rules"]);
    let handler = |rule: &Value| {
        rule["accessStrategies"][0]["handler"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let guarded = rules
        .iter()
        .any(|it| ["jwt", "no_auth"].contains(&handler(it).as_str()));
    let mut made: Vec<Value> = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        if rules[..index].iter().any(|it| it["path"] == rule["path"]) {
            continue;
        }
        let strategies = ["allow", "no_auth"];
        let direct = |rule: &Value| strategies.contains(&handler(rule).as_str());
        // One route for all rules of a path: to the workload, or to Oathkeeper, which knows them all.
        let same = rules
            .iter()
            .filter(|it| it["path"] == rule["path"] && !direct(it));
        let same: Vec<_> = if istio || direct(rule) {
            vec![rule]
        } else {
            same.collect()
        };
        for one in same {
            let path = if istio
                && one["path"] == "/*"
                && handler(one) != "noop"
                && handler(one) != "oauth2_introspection"
            {
                json!("/.*")
            } else {
                one["path"].clone()
            };
            let mut entry = json!({"pathRegex": path, "methods": one["methods"]});
            if handler(one) == "allow" && !(istio && guarded) {
                entry.as_object_mut().unwrap().remove("methods");
            }
            let [strategy] = list(&one["accessStrategies"]) else {
                return Err("several access strategies in one rule".to_owned());
            };
            v1beta1_strategy(&mut entry, strategy, istio, config);
            made.push(entry);
        }
        // The route takes what its rules do not.
        let path = if istio && rule["path"] == "/*" {
            json!("/.*")
        } else {
            rule["path"].clone()
        };
        if istio && handler(rule) == "allow" && guarded || !istio && !direct(rule) {
            made.push(json!({"pathRegex": path, "deny": true}));
        } else if istio && !direct(rule) && handler(rule) != "jwt" {
            made.push(json!({"pathRegex": path, "methods": rule["methods"], "deny": true}));
        }
    }
    Ok(made)
}

fn v1beta1_strategy(entry: &mut Value, strategy: &Value, istio: bool, config: &mut Value) {
    let ask = &strategy["config"];
    let header = ask.pointer("/token_from/header");
    match strategy["handler"].as_str().unwrap() {
        "allow" | "no_auth" | "noop" => entry["noAuth"] = json!(true),
        "unauthorized" => entry["deny"] = json!(true),
        "jwt" if istio => entry["jwt"] = ask.clone(),
        "jwt" => {
            let mut authentication = json!({
                "issuer": ask["trusted_issuers"][0], "jwksUri": ask["jwks_urls"][0],
                "algorithms": ["RS256"], "clockSkew": "0s",
                "fromHeaders": [{"name": "Authorization", "prefix": "Bearer "}],
            });
            if let Some(header) = header {
                authentication["fromHeaders"] = json!([{"name": header}]);
            }
            entry["jwt"] = json!({"authentications": [authentication], "scopeStrategy": "wildcard",
                "authorizations": [authorization(ask)]});
        }
        _ => {
            let mut provider = json!({
                "introspectionUrl": "http://hydra.example.org:4445/oauth2/introspect",
                "scopeStrategy": "exact",
            });
            if ask["trusted_issuers"].is_array() {
                provider["trustedIssuers"] = ask["trusted_issuers"].clone();
            }
            if let Some(header) = header {
                provider["tokenFrom"] = json!({"header": header});
            }
            let name = format!("hydra-{}", list(&config["introspectionProviders"]).len());
            provider["name"] = json!(name);
            push(&mut config["introspectionProviders"], provider);
            let mut introspection = authorization(ask);
            introspection["provider"] = json!(name);
            entry["oauth2Introspection"] = introspection;
        }
    }
}

fn authorization(ask: &Value) -> Value {
    let mut authorization = json!({});
    for (name, theirs) in [
        ("requiredScopes", "required_scope"),
        ("audiences", "target_audience"),
    ] {
        if ask[theirs].is_array() {
            authorization[name] = ask[theirs].clone();
        }
    }
    authorization
}
