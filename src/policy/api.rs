//! API rules, compiled: one entry for an authority, and its rules, of which the first that fits
//! decides.
//!
//! What a rule demands of a credential is a [`Condition`], as for every other rule; which credential
//! it takes is its [`Strategy`].

use super::api_path::anchored;
use super::rules::Indexed;
use super::{ApiPath, Condition, JwtRule, PathPattern, Rules};
use crate::config::PathMatching;
use crate::format::Format;
use crate::reply::Style;
use crate::request::{ReadPath, Request, is_same_header};
use regex_lite::Regex;
use std::rc::Rc;

/// What decides for an authority.
#[derive(Debug)]
pub struct Api {
    /// In place of the policy's.
    pub path_matching: Option<PathMatching>,
    /// What other origins may do.
    pub cors: Option<Cors>,
    /// How a refusal looks when no rule fits.
    pub style: Style,
    /// The name of the entry.
    pub id: Rc<str>,
    /// In the order in which they are tried.
    pub rules: Rules<ApiRule>,
}

/// One rule.
#[derive(Debug)]
pub struct ApiRule {
    /// `api[<name>]-rule[<index>]`
    pub id: Rc<str>,
    /// Which paths it is for.
    pub path: ApiPath,
    /// Which methods it is for; empty is every method.
    pub methods: Vec<Box<str>>,
    /// Whose requests it lets through.
    pub strategy: Strategy,
    /// How a refusal looks.
    pub style: Style,
    /// Set for the upstream: lower case names.
    pub headers: Vec<(Box<str>, Format)>,
    /// The whole header `cookie` for the upstream; empty: as it is.
    pub cookies: Vec<(Box<str>, Format)>,
    /// Whether cookies under other names go on behind them.
    pub keep_cookies: bool,
}

/// Whose requests a rule lets through.
#[derive(Debug)]
pub enum Strategy {
    /// Everybody's.
    NoAuth,
    /// Nobody's.
    Deny,
    /// Of those with a verified token.
    Jwt(JwtDemand),
    /// Of those with an active token.
    Introspection(IntrospectionDemand),
    /// Of those whom these authorizers (indices) allow, and who have such a token.
    ExtAuth(Vec<usize>, Option<JwtDemand>),
}

/// A verified token, and what it must carry.
#[derive(Debug)]
pub struct JwtDemand {
    /// One of them must verify it.
    pub authentications: Vec<Rc<JwtRule>>,
    /// One of them must hold; none: any verified token.
    pub authorizations: Vec<Authorization>,
}

/// An active token, and what it must carry.
#[derive(Debug)]
pub struct IntrospectionDemand {
    /// The provider that is asked (an index).
    pub provider: usize,
    /// What it must carry.
    pub authorization: Authorization,
    /// Scopes that the provider compares, since the gateway does not.
    pub asked_scopes: Option<Box<str>>,
    /// Whether the token goes on to the upstream.
    pub forward_token: bool,
}

/// What a credential must carry, in two parts, so that a refusal can tell which one it lacks.
#[derive(Debug)]
pub struct Authorization {
    /// Every audience.
    pub audiences: Condition,
    /// Every scope.
    pub scopes: Condition,
    /// The scopes, for a challenge.
    pub scope_text: Box<str>,
}

/// What other origins may do (the Fetch standard, 3.2).
#[derive(Clone, Debug)]
pub struct Cors {
    pub(super) origins: Vec<OriginMatch>,
    pub(super) methods: String,
    pub(super) headers: String,
    pub(super) expose_headers: String,
    pub(super) credentials: bool,
    pub(super) max_age: Option<u64>,
}

/// How an origin is told.
#[derive(Clone, Debug)]
pub enum OriginMatch {
    /// This one.
    Exact(String),
    /// Whatever begins so.
    Prefix(String),
    /// Whatever matches as a whole.
    Regex(Regex),
}

// === impl ApiRule ===

impl ApiRule {
    /// Whether it is for a method and path.
    #[must_use]
    pub fn fits(&self, method: &[u8], path: ReadPath<'_>) -> bool {
        let methods = &self.methods;
        let fits = methods.is_empty() || methods.iter().any(|it| it.as_bytes() == method);
        fits && self.path.matches(path)
    }

    /// Whether Istio's policy for the rule lets a path through that the route takes: `/*` does not
    /// take every letter.
    #[must_use]
    pub fn admits(&self, path: ReadPath<'_>) -> bool {
        self.path.within().is_none_or(|it| it.matches(path))
    }

    /// Whether a header, by its name, is another spelling of one that it sets.
    #[must_use]
    pub fn sets_respelled(&self, name: &[u8]) -> bool {
        let mut set = self.headers.iter().map(|(name, _)| name.as_bytes());
        set.any(|set| set != name && is_same_header(set, name))
    }

    /// What a verified token must carry, if the rule is for such tokens.
    #[must_use]
    pub fn jwt(&self) -> Option<&JwtDemand> {
        match &self.strategy {
            Strategy::Jwt(demand) | Strategy::ExtAuth(_, Some(demand)) => Some(demand),
            _ => None,
        }
    }
}

impl Indexed for ApiRule {
    fn paths(&self) -> &[PathPattern] {
        self.path.patterns()
    }
}

// === impl Cors ===

impl Cors {
    /// Whether scripts of the origin that a request names may read answers.
    #[must_use]
    pub fn admits<'r>(&self, request: &'r Request<'_>) -> Option<&'r str> {
        let mut origins = request.headers.all("origin");
        let origin = origins.next().filter(|_| origins.next().is_none())?;
        let origin = std::str::from_utf8(origin).ok()?;
        let printable = origin.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        let admitted = self.origins.iter().any(|it| it.matches(origin));
        (printable && !origin.is_empty() && admitted).then_some(origin)
    }

    /// The headers that go with every answer to an admitted origin.
    #[must_use]
    pub fn headers(&self, origin: &str) -> Vec<(&'static str, String)> {
        let mut headers = vec![("access-control-allow-origin", origin.to_owned())];
        if self.credentials {
            headers.push(("access-control-allow-credentials", "true".to_owned()));
        }
        if !self.expose_headers.is_empty() {
            headers.push(("access-control-expose-headers", self.expose_headers.clone()));
        }
        headers
    }

    /// The headers of the answer to a preflight of an admitted origin, as Envoy's cors filter sends
    /// them.
    #[must_use]
    pub fn preflight(&self, origin: &str) -> Vec<(&'static str, String)> {
        let mut headers = vec![("access-control-allow-origin", origin.to_owned())];
        if self.credentials {
            headers.push(("access-control-allow-credentials", "true".to_owned()));
        }
        let max_age = self.max_age.map(|seconds| seconds.to_string());
        for (name, value) in [
            ("access-control-allow-methods", Some(&self.methods)),
            ("access-control-allow-headers", Some(&self.headers)),
            ("access-control-max-age", max_age.as_ref()),
        ] {
            let given = value.filter(|value| !value.is_empty());
            headers.extend(given.map(|value| (name, value.clone())));
        }
        headers
    }
}

// === impl OriginMatch ===

impl OriginMatch {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn regex(text: &str) -> Result<Self, String> {
        anchored(text).map(Self::Regex)
    }

    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Exact(text) => text == origin,
            Self::Prefix(text) => origin.starts_with(text.as_str()),
            Self::Regex(regex) => regex.is_match(origin),
        }
    }
}
