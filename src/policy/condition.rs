//! The one algebra of conditions: what every rule demands of a request, whatever it was written in.

use super::{PathPattern, RequestPrincipal, StringMatch};
use crate::config;
use crate::identity::Identity;

/// Something that is true or false of a request.
#[derive(Clone, Debug)]
pub enum Condition {
    /// All of them; true if there are none.
    All(Vec<Condition>),
    /// At least one of them; false if there are none.
    Any(Vec<Condition>),
    /// The authority, as sent or as read.
    Authority(StringMatch),
    /// The method.
    Method(StringMatch),
    /// The path without query.
    Path(PathPattern),
    /// Who signed the token and about whom; false without a token.
    RequestPrincipal(RequestPrincipal),
}

/// What a condition sees of a request: one reading of it, and who sent it.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The authority, as sent or as read.
    pub authority: &'a [u8],
    /// The method.
    pub method: &'a [u8],
    /// The path without query.
    pub path: &'a [u8],
    /// From a verified token, if there was one.
    pub identity: Option<&'a Identity>,
}

// === impl Condition ===

impl Condition {
    /// A rule of an `AuthorizationPolicy`: one of its sources and one of its operations.
    pub(super) fn from_rule(rule: &config::Rule) -> Self {
        let from = rule.from.iter().map(|source| {
            Self::All(vec![any_of(
                &source.request_principals,
                Self::RequestPrincipal,
            )])
        });
        let to = rule.to.iter().map(|operation| {
            let fields = [
                any_of(&operation.hosts, Self::Authority),
                any_of(&operation.methods, Self::Method),
                any_of(&operation.paths, Self::Path),
            ];
            Self::All(
                fields
                    .into_iter()
                    .filter(|field| !field.is_always())
                    .collect(),
            )
        });
        let parts = [either(from.collect()), either(to.collect())];
        Self::All(parts.into_iter().filter(|part| !part.is_always()).collect())
    }

    /// Whether it is true of a request.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Self::Authority(value) => value.matches(facts.authority),
            Self::Method(value) => value.matches(facts.method),
            Self::Path(value) => value.matches(facts.path),
            Self::RequestPrincipal(value) => facts
                .identity
                .is_some_and(|identity| value.matches(identity)),
        }
    }

    fn is_always(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }
}

/// One of the values of a field; a field without values demands nothing.
fn any_of<T: Clone>(values: &[T], leaf: impl Fn(T) -> Condition) -> Condition {
    either(values.iter().cloned().map(leaf).collect())
}

/// One of the parts; no parts demand nothing.
fn either(mut parts: Vec<Condition>) -> Condition {
    match parts.len() {
        0 => Condition::All(parts),
        1 => parts.pop().unwrap_or(Condition::All(Vec::new())),
        _ => Condition::Any(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use serde_json::{Value, json};

    fn condition(rule: &Value) -> Condition {
        let policy = json!({"name": "p", "namespace": "n", "rules": [rule]});
        let config = json!({"version": 1, "authorizationPolicies": [policy]}).to_string();
        let config = Config::read(config.as_bytes()).unwrap();
        Condition::from_rule(&config.authorization_policies[0].rules[0])
    }

    /// Authority, method, path, and `iss` and `sub` of the token.
    type Asked<'a> = (&'a str, &'a str, &'a str, Option<(&'a str, &'a str)>);

    /// Whether a rule matches each of these requests.
    fn matches(rule: &Value, requests: &[Asked<'_>]) -> Vec<bool> {
        let condition = condition(rule);
        let holds = requests.iter().map(|(authority, method, path, principal)| {
            let claims = principal.map(|(iss, sub)| json!({"iss": iss, "sub": sub}));
            let identity = claims.map(Identity::new);
            condition.holds(&Facts {
                authority: authority.as_bytes(),
                method: method.as_bytes(),
                path: path.as_bytes(),
                identity: identity.as_ref(),
            })
        });
        holds.collect()
    }

    #[test]
    fn a_rule_without_fields_matches_everything() {
        let requests = [("a.com", "GET", "/", None), ("", "", "", Some(("i", "")))];
        assert_eq!(matches(&json!({}), &requests), [true, true]);
    }

    #[test]
    fn values_are_or_and_fields_are_and() {
        let rule = json!({"to": [{"operation": {
            "hosts": ["a.com", "b.com"], "methods": ["GET", "PUT"], "paths": ["/x", "/y*"],
        }}]});
        let requests = [
            ("a.com", "GET", "/x", None),
            ("B.com", "PUT", "/y/1", None),
            ("c.com", "GET", "/x", None),
            ("a.com", "POST", "/x", None),
            ("a.com", "GET", "/z", None),
        ];
        assert_eq!(matches(&rule, &requests), [true, true, false, false, false]);
    }

    #[test]
    fn sources_are_or_operations_are_or_and_both_must_hold() {
        let rule = json!({
            "from": [
                {"source": {"requestPrincipals": ["i/a"]}},
                {"source": {"requestPrincipals": ["i/b"]}},
            ],
            "to": [
                {"operation": {"methods": ["GET"], "paths": ["/x"]}},
                {"operation": {"methods": ["PUT"], "paths": ["/y"]}},
            ],
        });
        let (a, b, c) = (Some(("i", "a")), Some(("i", "b")), Some(("i", "c")));
        let requests = [
            ("a.com", "GET", "/x", a),
            ("a.com", "PUT", "/y", b),
            ("a.com", "GET", "/y", a),
            ("a.com", "PUT", "/x", b),
            ("a.com", "GET", "/x", c),
            ("a.com", "GET", "/x", None),
        ];
        assert_eq!(
            matches(&rule, &requests),
            [true, true, false, false, false, false]
        );
    }

    #[test]
    fn a_principal_is_demanded_even_if_every_one_will_do() {
        let rule = json!({"from": [{"source": {"requestPrincipals": ["*"]}}]});
        let requests = [
            ("a.com", "GET", "/", Some(("i", "s"))),
            ("a.com", "GET", "/", Some(("i", ""))),
            ("a.com", "GET", "/", None),
        ];
        assert_eq!(matches(&rule, &requests), [true, false, false]);
    }
}
