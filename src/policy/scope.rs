//! Scopes: whether those that a credential carries grant those that a rule requires.
//!
//! The strategies are those of Ory's fosite, which Oathkeeper names; how a value is matched for a
//! rule on JWTs is Istio's.

use super::StringMatch;
use crate::identity::Identity;

/// Every one of these scopes must be granted, by one and the same claim.
#[derive(Clone, Debug)]
pub struct RequiredScopes(pub(super) Vec<Required>);

/// `scopeStrategy`: how a granted scope covers a required one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScopeStrategy {
    /// The gateway does not compare scopes.
    None,
    /// It is the same.
    #[default]
    Exact,
    /// `a` and `a.b` cover `a.b.c`.
    Hierarchic,
    /// `a.*` covers `a.b` and `a.b.c`, but not `a`.
    Wildcard,
}

#[derive(Clone, Debug)]
pub(super) enum Required {
    Matches(StringMatch),
    Hierarchic(Box<str>),
    Wildcard(Box<str>),
}

/// Claims that hold scopes; each may be a text or a list.
pub(super) const CLAIMS: [&str; 3] = ["scp", "scope", "scopes"];

// === impl RequiredScopes ===

impl RequiredScopes {
    /// Scopes that a rule on JWTs requires: with `Exact`, in Istio's grammar, so that `x*` is a
    /// prefix, as Kyma hands them over. `None` if the gateway does not compare scopes.
    #[must_use]
    pub fn of_jwt(scopes: &[String], strategy: ScopeStrategy) -> Option<Self> {
        Self::new(scopes, strategy, StringMatch::parse)
    }

    /// Scopes that a rule on introspected tokens requires; `None` as above.
    #[must_use]
    pub fn of_introspection(scopes: &[String], strategy: ScopeStrategy) -> Option<Self> {
        Self::new(scopes, strategy, StringMatch::exact)
    }

    fn new(
        scopes: &[String],
        strategy: ScopeStrategy,
        exact: fn(&str) -> StringMatch,
    ) -> Option<Self> {
        let required = |scope: &String| match strategy {
            ScopeStrategy::None => None,
            ScopeStrategy::Exact => Some(Required::Matches(exact(scope))),
            ScopeStrategy::Hierarchic => Some(Required::Hierarchic(scope.as_str().into())),
            ScopeStrategy::Wildcard => Some(Required::Wildcard(scope.as_str().into())),
        };
        let required: Option<Vec<_>> = scopes.iter().map(required).collect();
        required.filter(|it| !it.is_empty()).map(Self)
    }

    /// Whether an identity is granted all of them.
    #[must_use]
    pub fn granted_to(&self, identity: &Identity) -> bool {
        CLAIMS.iter().any(|claim| {
            let mut required = self.0.iter();
            required.all(|required| identity.words(claim).any(|granted| required.is_by(granted)))
        })
    }
}

// === impl Required ===

impl Required {
    fn is_by(&self, granted: &str) -> bool {
        match self {
            Self::Matches(value) => value.matches(granted.as_bytes()),
            Self::Hierarchic(required) => {
                let rest = required.strip_prefix(granted);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
            Self::Wildcard(required) => covers(granted, required),
        }
    }
}

/// A `*` is one segment that is not empty; as the last one, the rest.
fn covers(granted: &str, required: &str) -> bool {
    let mut segments = required.split('.');
    let mut last = "";
    for part in granted.split('.') {
        let Some(segment) = segments.next() else {
            return false;
        };
        let same = match part {
            "*" => !segment.is_empty(),
            literal => literal == segment,
        };
        if !same {
            return false;
        }
        last = part;
    }
    last == "*" || segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::ScopeStrategy::{Exact, Hierarchic, None as NoCheck, Wildcard};
    use super::*;
    use serde_json::json;

    #[test]
    fn strategies_are_those_of_fosite() {
        for (strategy, granted, required, expected) in [
            (Exact, "a", "a", true),
            (Exact, "a", "a.b", false),
            (Exact, "a.*", "a.b", false),
            (Exact, "A", "a", false),
            (Hierarchic, "a", "a", true),
            (Hierarchic, "a", "a.b.c", true),
            (Hierarchic, "a.b", "a.b.c", true),
            (Hierarchic, "a.b.c", "a.b", false),
            (Hierarchic, "a", "ab", false),
            (Hierarchic, "b", "a.b", false),
            (Wildcard, "a.*", "a.b", true),
            (Wildcard, "a.*", "a.b.c", true),
            (Wildcard, "a.*", "a", false),
            (Wildcard, "a.*", "a.", false),
            (Wildcard, "a.*.c", "a.b.c", true),
            (Wildcard, "a.*.c", "a.b.d", false),
            (Wildcard, "a.*.c", "a.b.c.d", false),
            (Wildcard, "*", "a", true),
            (Wildcard, "*", "a.b", true),
            (Wildcard, "a.b", "a.b", true),
            (Wildcard, "a.b", "a.b.c", false),
            (Wildcard, "*.*", "a", false),
        ] {
            let identity = Identity::of(json!({"scope": granted}));
            let scopes = RequiredScopes::of_introspection(&[required.to_owned()], strategy);
            let found = scopes.unwrap().granted_to(&identity);
            assert_eq!(
                found, expected,
                "{strategy:?}: `{granted}` for `{required}`"
            );
        }
        assert!(RequiredScopes::of_jwt(&["a".to_owned()], NoCheck).is_none());
    }

    #[test]
    fn all_of_them_must_be_in_one_claim() {
        for (claims, expected) in [
            (json!({"scope": "a b"}), true),
            (json!({"scp": "a b"}), true),
            (json!({"scopes": ["b", "a"]}), true),
            (json!({"scp": ["a", "b", "c"]}), true),
            (json!({"scope": "a", "scp": "b"}), false),
            (json!({"scope": "a  b"}), true),
            (json!({"scope": "ab"}), false),
            (json!({"scope": ["a b"]}), false),
            (json!({"scope": {"a": 1}}), false),
            (json!({"scope": 1}), false),
            (json!({}), false),
        ] {
            let identity = Identity::of(claims.clone());
            let scopes = RequiredScopes::of_jwt(&["a".to_owned(), "b".to_owned()], Exact);
            assert_eq!(scopes.unwrap().granted_to(&identity), expected, "{claims}");
        }
    }

    #[test]
    fn only_a_rule_on_jwts_knows_prefixes() {
        let identity = Identity::of(json!({"scope": "reader"}));
        let required = ["read*".to_owned()];
        let of_jwt = RequiredScopes::of_jwt(&required, Exact).unwrap();
        let of_introspection = RequiredScopes::of_introspection(&required, Exact).unwrap();
        assert!(of_jwt.granted_to(&identity));
        assert!(!of_introspection.granted_to(&identity));
    }
}
