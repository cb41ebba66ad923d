//! The one algebra of conditions: what every rule demands of a request, whatever it was written in.
//!
//! A fact can be beyond our reach (an address that cannot be read, names in a certificate that we
//! do not see). Then a condition is [`Truth::Unknown`], and each rule takes the safe side: one that
//! refuses matches, one that allows does not, and a negation stays unknown.

use super::predicate::{Facts, Predicate};
use crate::config;

/// Something that is true or false of a request.
#[derive(Clone, Debug)]
pub enum Condition {
    /// All of them; true if there are none.
    All(Vec<Condition>),
    /// At least one of them; false if there are none.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// A fact.
    Is(Predicate),
}

/// What is known of a condition (Kleene's three values).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// It does not hold.
    False,
    /// It cannot be told.
    Unknown,
    /// It holds.
    True,
}

// === impl Condition ===

impl Condition {
    /// A rule of an `AuthorizationPolicy`: one of its sources, one of its operations, and every
    /// `when`.
    pub(super) fn from_rule(rule: &config::Rule) -> Self {
        let alternatives = |entries: &[Vec<config::Demand>]| {
            either(
                entries
                    .iter()
                    .map(|demands| Self::from_demands(demands))
                    .collect(),
            )
        };
        let parts = [
            alternatives(&rule.to),
            alternatives(&rule.from),
            Self::from_demands(&rule.when),
        ];
        all(parts.into_iter().collect())
    }

    fn from_demands(demands: &[config::Demand]) -> Self {
        let is = |values: &[Predicate]| either(values.iter().cloned().map(Self::Is).collect());
        let parts = demands.iter().flat_map(|demand| {
            let none_of =
                (!demand.none_of.is_empty()).then(|| Self::Not(Box::new(is(&demand.none_of))));
            [Some(is(&demand.any_of)), none_of].into_iter().flatten()
        });
        all(parts.collect())
    }

    /// Whether it holds of a request.
    #[must_use]
    pub fn truth(&self, facts: &Facts<'_>) -> Truth {
        match self {
            Self::All(parts) => {
                let mut least = Truth::True;
                for part in parts {
                    least = least.min(part.truth(facts));
                    if least == Truth::False {
                        break;
                    }
                }
                least
            }
            Self::Any(parts) => {
                let mut most = Truth::False;
                for part in parts {
                    most = most.max(part.truth(facts));
                    if most == Truth::True {
                        break;
                    }
                }
                most
            }
            Self::Not(part) => match part.truth(facts) {
                Truth::True => Truth::False,
                Truth::Unknown => Truth::Unknown,
                Truth::False => Truth::True,
            },
            Self::Is(predicate) => predicate.truth(facts),
        }
    }

    /// Every fact that it is about.
    pub(super) fn visit(&self, see: &mut impl FnMut(&Predicate)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::Not(part) => part.visit(see),
            Self::Is(predicate) => see(predicate),
        }
    }

    fn is_always(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// All of the parts, without those that demand nothing.
fn all(mut parts: Vec<Condition>) -> Condition {
    parts.retain(|part| !part.is_always());
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            Condition::All(parts)
        }
    }
}

/// One of the parts; no parts demand nothing.
fn either(mut parts: Vec<Condition>) -> Condition {
    match (parts.len(), parts.pop()) {
        (0, _) | (_, None) => Condition::All(Vec::new()),
        (1, Some(only)) => only,
        (_, Some(last)) => {
            parts.push(last);
            Condition::Any(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::identity::Identity;
    use crate::request::{Headers, UNKNOWN_CONNECTION};
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
        let (condition, headers) = (condition(rule), Headers::default());
        let holds = requests.iter().map(|(authority, method, path, principal)| {
            let claims = principal.map(|(iss, sub)| json!({"iss": iss, "sub": sub}));
            let identity = claims.map(Identity::of);
            Truth::True
                == condition.truth(&Facts {
                    authority: authority.as_bytes(),
                    method: method.as_bytes(),
                    path: path.as_bytes().into(),
                    target: path.as_bytes(),
                    headers: &headers,
                    connection: &UNKNOWN_CONNECTION,
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
