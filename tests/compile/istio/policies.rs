//! What the proxy of a gateway or a workload says of a request: CUSTOM, tokens, DENY, ALLOW.

use super::model::{Request, is_subset};
use super::tokens::Tokens;
use super::world::{
    Action, AuthorizationPolicy, Deployment, Fields, GATEWAY_LABELS, JwtRule, Labels, ROOT, Rule,
    World,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// A proxy that judges.
pub struct Proxy {
    namespace: &'static str,
    labels: Labels,
    /// Who calls it, as its certificate says.
    caller: Option<String>,
    /// Where its connections end.
    port: u16,
}

/// What a rule sees.
struct Facts<'a> {
    proxy: &'a Proxy,
    request: &'a Request,
    claims: Option<&'a Value>,
}

// === impl Proxy ===

impl Proxy {
    pub fn gateway(world: &World, port: u16) -> Self {
        Self {
            namespace: world.gateway_namespace,
            labels: GATEWAY_LABELS.into(),
            caller: None,
            port: if port == 80 { 8080 } else { 8443 },
        }
    }

    pub fn workload(world: &World, pod: &Deployment) -> Self {
        let account = "istio-ingressgateway-service-account";
        Self {
            namespace: pod.meta.namespace,
            labels: pod.labels.clone(),
            caller: Some(format!(
                "cluster.local/ns/{}/sa/{account}",
                world.gateway_namespace
            )),
            port: 8000,
        }
    }

    fn is_selected(&self, namespace: &str, selector: &Labels) -> bool {
        (namespace == ROOT || namespace == self.namespace) && is_subset(selector, &self.labels)
    }
}

/// Judges a request, and changes it as the filters do.
///
/// # Errors
/// Who refuses it.
pub fn judge(
    world: &World,
    proxy: &Proxy,
    request: &mut Request,
    tokens: &Tokens,
) -> Result<(), String> {
    let policies = world.policies.iter();
    let policies: Vec<_> = policies
        .filter(|it| proxy.is_selected(it.meta.namespace, &it.selector))
        .collect();
    custom(world, &policies, proxy, request)?;
    let mut rules = Vec::new();
    for of_root in [false, true] {
        let attached = world.authentications.iter().filter(|it| {
            (it.meta.namespace == ROOT) == of_root
                && proxy.is_selected(it.meta.namespace, &it.selector)
        });
        rules.extend(attached.flat_map(|it| &it.rules));
    }
    let preflight = request.method == "OPTIONS"
        && request.header_lines("origin").next().is_some()
        && request
            .header_lines("access-control-request-method")
            .next()
            .is_some();
    let claims = match preflight {
        true => None,
        false => authenticate(&rules, request, tokens)?,
    };
    let facts = Facts {
        proxy,
        request,
        claims: claims.as_ref(),
    };
    let of = |action: Action| policies.iter().filter(move |it| it.action == action);
    for policy in of(Action::Deny) {
        if policy.matches(&facts) {
            return Err(format!("denied by {}", policy.meta.name));
        }
    }
    if of(Action::Allow).next().is_some() && !of(Action::Allow).any(|it| it.matches(&facts)) {
        return Err("nothing allows it".to_owned());
    }
    Ok(())
}

/// Asks authorizers. Several of one proxy are an error of the mesh, and refuse.
fn custom(
    world: &World,
    policies: &[&AuthorizationPolicy],
    proxy: &Proxy,
    request: &mut Request,
) -> Result<(), String> {
    let named = policies.iter().filter_map(|it| match it.action {
        Action::Custom(name) => Some(name),
        _ => None,
    });
    let named: BTreeSet<_> = named.collect();
    for policy in policies {
        let Action::Custom(name) = policy.action else {
            continue;
        };
        let facts = Facts {
            proxy,
            request,
            claims: None,
        };
        if !policy.matches(&facts) {
            continue;
        }
        if named.len() > 1 || !world.providers.contains(&name) {
            return Err(format!("{}: no provider can be asked", policy.meta.name));
        }
        if request.refused_by.contains(name) {
            return Err(format!("refused by {name}"));
        }
        request.set("x-role", "guest");
    }
    Ok(())
}

/// Envoy's jwt_authn filter under the requirement that Istio writes.
fn authenticate(
    rules: &[&JwtRule],
    request: &mut Request,
    tokens: &Tokens,
) -> Result<Option<Value>, String> {
    let mut rules = rules.to_vec();
    rules.sort_by_key(|rule| rule.issuer);
    let mut bad = false;
    for rule in rules {
        if let Some((header, _)) = rule.output {
            request.remove(header);
        }
        let found = rule.extract(request);
        let Some(first) = found.first() else { continue };
        if !found.iter().all(|text| rule.verifies(text, tokens)) {
            bad = true;
            continue;
        }
        let claims = tokens.find(first).map(|token| token.claims.clone());
        if let (Some((header, claim)), Some(claims)) = (rule.output, &claims) {
            match &claims[claim] {
                Value::Null => {}
                Value::String(text) => request.set(header, text),
                other => request.set(header, &other.to_string()),
            }
        }
        if !rule.forward {
            match rule.from_header {
                Some(name) => request.remove(name),
                None if request
                    .header_lines("authorization")
                    .any(|it| it.contains("Bearer ")) =>
                {
                    request.remove("authorization");
                    request.remove_parameter("access_token");
                }
                None => request.remove_parameter("access_token"),
            }
        }
        return Ok(claims);
    }
    match bad {
        true => Err("the token is not accepted".to_owned()),
        false => Ok(None),
    }
}

// === impl JwtRule ===

impl JwtRule {
    fn extract(&self, request: &Request) -> Vec<String> {
        match self.from_header {
            Some(name) => request.header_lines(name).map(str::to_owned).collect(),
            None => {
                let lines = request.header_lines("authorization");
                let behind = lines
                    .filter_map(|it| it.split_once("Bearer "))
                    .map(|(_, token)| token);
                behind
                    .chain(request.parameter("access_token"))
                    .map(str::to_owned)
                    .collect()
            }
        }
    }

    fn verifies(&self, text: &str, tokens: &Tokens) -> bool {
        tokens.find(text).is_some_and(|token| {
            let audiences = strings(&token.claims["aud"]);
            token.good
                && token.claims["iss"] == self.issuer
                && self.audience.is_none_or(|it| audiences.contains(&it))
        })
    }
}

/// What a condition on a claim sees.
fn strings(claim: &Value) -> Vec<&str> {
    match claim {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

// === impl AuthorizationPolicy ===

impl AuthorizationPolicy {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        self.rules.iter().any(|rule| rule.matches(facts))
    }
}

// === impl Rule ===

impl Rule {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        let one_of = |all: &[Fields]| all.is_empty() || all.iter().any(|it| facts.fulfil(it));
        one_of(&self.from)
            && one_of(&self.to)
            && self.when.iter().all(|it| {
                let any = |values: &[String]| values.iter().any(|value| facts.has(&it.key, value));
                (it.values.is_empty() || any(&it.values)) && !any(&it.not_values)
            })
    }
}

// === impl Facts ===

impl Facts<'_> {
    fn fulfil(&self, fields: &Fields) -> bool {
        fields
            .iter()
            .all(|(field, values)| match field.strip_prefix("not") {
                Some(positive) => {
                    let positive =
                        positive.replacen(&positive[..1], &positive[..1].to_lowercase(), 1);
                    !values.iter().any(|value| self.has(&positive, value))
                }
                None => values.iter().any(|value| self.has(field, value)),
            })
    }

    fn has(&self, field: &str, value: &str) -> bool {
        let Self {
            proxy,
            request,
            claims,
        } = self;
        let claim = |name: &str| claims.map_or(Vec::new(), |claims| strings(&claims[name]));
        let caller = proxy.caller.as_deref();
        if let Some(name) = field.strip_prefix("request.headers[") {
            let name = name.trim_end_matches(']');
            let mut lines = request.header_lines(name);
            return lines.any(|line| value == "*" || string_match(value, line));
        }
        if let Some(name) = field.strip_prefix("request.auth.claims[") {
            let found = claim(name.trim_end_matches(']'));
            return found.iter().any(|it| string_match(value, it));
        }
        match field {
            "requestPrincipals" | "request.auth.principal" => {
                let one = |name| claim(name).first().copied().unwrap_or_default().to_owned();
                claims.is_some() && principal_match(value, &one("iss"), &one("sub"))
            }
            "request.auth.audiences" => claim("aud").iter().any(|it| string_match(value, it)),
            "principals" | "source.principal" => caller.is_some_and(|it| string_match(value, it)),
            "namespaces" | "source.namespace" => {
                let own = caller.and_then(|it| it.split('/').nth(2));
                own.is_some_and(|it| string_match(value, it))
            }
            "hosts" => string_match(&value.to_lowercase(), &request.authority.to_lowercase()),
            "methods" => string_match(value, &request.method),
            "ports" => value == proxy.port.to_string(),
            "paths" => path_match(value, request.path_only()),
            other => panic!("the model does not know `{other}`"),
        }
    }
}

/// Whether a value is `exact`, `prefix*`, `*suffix` or `*`.
fn string_match(pattern: &str, value: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => !value.is_empty(),
        (Some(suffix), _) => value.ends_with(suffix),
        (None, Some(prefix)) => value.starts_with(prefix),
        (None, None) => value == pattern,
    }
}

/// A template with `{*}` for a segment and `{**}` for the rest, or a text.
fn path_match(pattern: &str, path: &str) -> bool {
    if !pattern.contains('{') {
        return string_match(pattern, path);
    }
    let (mut segments, mut templates) = (path.split('/'), pattern.split('/'));
    loop {
        match (templates.next(), segments.next()) {
            (None, None) => return true,
            (Some("{**}"), Some(_)) => return true,
            (Some("{*}"), Some(segment)) if !segment.is_empty() => {}
            (Some(template), Some(segment)) if template == segment => {}
            _ => return false,
        }
    }
}

/// `requestPrincipals`, by issuer and subject.
fn principal_match(pattern: &str, issuer: &str, subject: &str) -> bool {
    let present = !issuer.is_empty() && !subject.is_empty();
    if pattern == "*" {
        return present;
    }
    match pattern.rsplit_once('/') {
        Some((wanted, "*")) => issuer == wanted && !subject.is_empty(),
        Some(("*", wanted)) => !issuer.is_empty() && subject == wanted,
        Some((of, wanted)) => match (of.strip_prefix('*'), wanted.strip_suffix('*')) {
            (Some(suffix), _) => issuer.ends_with(suffix) && subject == wanted,
            (None, Some(prefix)) => issuer == of && subject.starts_with(prefix),
            (None, None) => issuer == of && subject == wanted,
        },
        None => match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
            (Some(suffix), _) => !issuer.is_empty() && subject.ends_with(suffix),
            (None, Some(prefix)) => issuer.starts_with(prefix) && !subject.is_empty(),
            (None, None) => issuer == pattern && subject.is_empty(),
        },
    }
}
