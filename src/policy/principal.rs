//! `requestPrincipals`: who signed a token and about whom, as one value `iss/sub`.

use super::StringMatch;
use crate::identity::Identity;

/// One value of `requestPrincipals`, compared with `iss` and `sub` separately, as Istio does.
///
/// A token without a `sub`, or with an empty one, has no principal and matches none, not even `*`.
#[derive(Clone, Debug)]
pub struct RequestPrincipal {
    pub(super) issuer: StringMatch,
    pub(super) subject: StringMatch,
}

impl RequestPrincipal {
    /// Reads a value; it is split at its last `/`.
    ///
    /// # Errors
    /// What is allowed instead, for a value that could never match.
    pub fn parse(text: &str) -> Result<Self, String> {
        let present = StringMatch::present;
        let (issuer, subject) = match (text.strip_prefix('*'), text.rsplit_once('/')) {
            _ if text == "*" => (present(), present()),
            // A leading `*` is looked at first: all after it is a suffix, its last part exact.
            (Some(suffix), None) => (present(), StringMatch::parse(&format!("*{suffix}"))),
            (Some(_), Some((issuer, subject))) => {
                (StringMatch::parse(issuer), StringMatch::exact(subject))
            }
            (None, None) => match text.strip_suffix('*') {
                Some(_) => (StringMatch::parse(text), present()),
                None => {
                    return Err(format!(
                        "`ISSUER/SUBJECT`, `ISSUER/*` or `*`; did you mean `{text}/*`?"
                    ));
                }
            },
            (None, Some((issuer, subject))) => {
                // `https://issuer*` would be split inside `https://`: Istio accepts it, and it
                // never matches.
                if issuer.ends_with(":/") {
                    let meant = text.trim_end_matches('*').trim_end_matches('/');
                    return Err(format!(
                        "`ISSUER/SUBJECT`, split at the last `/`; did you mean `{meant}/*`?"
                    ));
                }
                // Only a `*` at an end of the whole value is more than a letter.
                let subject = match text.ends_with('*') {
                    true => StringMatch::parse_prefix(subject),
                    false => StringMatch::exact(subject),
                };
                (StringMatch::exact(issuer), subject)
            }
        };
        Ok(Self { issuer, subject })
    }

    /// Whether tokens of an issuer can have this principal.
    #[must_use]
    pub fn accepts_issuer(&self, issuer: &str) -> bool {
        self.issuer.matches(issuer.as_bytes())
    }

    /// Whether the identity has this principal.
    #[must_use]
    pub fn matches(&self, identity: &Identity) -> bool {
        let (Some(issuer), Some(subject)) = (identity.issuer(), identity.subject()) else {
            return false;
        };
        !subject.is_empty()
            && self.issuer.matches(issuer.as_bytes())
            && self.subject.matches(subject.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn identity(claims: Value) -> Identity {
        Identity::of(claims)
    }

    #[test]
    fn follows_istio() {
        for (pattern, issuer, subject, matches) in [
            ("*", "foo", "bar", true),
            ("*", "foo", "", false),
            ("foo/bar", "foo", "bar", true),
            ("foo/bar", "foo", "baz", false),
            ("foo/*", "foo", "bar", true),
            ("foo/*", "foo/x", "bar", false),
            ("foo/*", "foobar", "bar", false),
            ("foo*", "foobar", "x", true),
            ("foo*", "barfoo", "x", false),
            ("foo/ba*", "foo", "bar", true),
            ("foo/ba*", "foo", "abar", false),
            ("*bar", "foo", "foobar", true),
            ("*bar", "foo", "barx", false),
            ("*/bar", "foo", "bar", true),
            ("*/bar", "foo", "xbar", false),
            ("*oo/bar", "foo", "bar", true),
            ("*oo/bar", "fox", "bar", false),
            // A `*` between is a letter like any other.
            ("foo/*bar", "foo", "*bar", true),
            ("foo/*bar", "foo", "xbar", false),
            ("foo/*bar*", "foo", "*bars", true),
            ("foo/*bar*", "foo", "xbar*", false),
            ("*oo/ba*", "foo", "ba*", true),
            ("*oo/ba*", "foo", "bar", false),
            ("f*o/bar", "f*o", "bar", true),
            ("f*o/bar", "foo", "bar", false),
            ("*foo*", "i", "xfoo*", true),
            ("*foo*", "i", "xfoox", false),
            (
                "https://x.auth0.com//sub",
                "https://x.auth0.com/",
                "sub",
                true,
            ),
            (
                "https://idp.example.com/*",
                "https://idp.example.com",
                "a/b",
                true,
            ),
        ] {
            let identity = identity(json!({"iss": issuer, "sub": subject}));
            let found = RequestPrincipal::parse(pattern).unwrap().matches(&identity);
            assert_eq!(found, matches, "`{pattern}` and `{issuer}/{subject}`");
        }
        let without_subject = identity(json!({"iss": "foo"}));
        assert!(
            !RequestPrincipal::parse("*")
                .unwrap()
                .matches(&without_subject)
        );
    }

    #[test]
    fn refuses_what_never_matches() {
        for pattern in ["issuer", "https://issuer*", "https://issuer"] {
            assert!(RequestPrincipal::parse(pattern).is_err(), "`{pattern}`");
        }
    }
}
