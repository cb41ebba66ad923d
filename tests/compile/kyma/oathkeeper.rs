//! Ory Oathkeeper, as Kyma installs it: which rule is for a request, and what that demands.

use super::differences::Difference::{
    HeaderLines, HostSpelling, IncompleteEscape, IssuedInFuture, KeyId, Overlap, ScopeClaims,
    TrailingSlash,
};
use super::differences::Differences;
use super::istio::whole;
use super::tokens::{Tokens, keys_of};
use super::{Answer, Look, percent_decoded};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An access strategy of an APIRule; in Oathkeeper an authenticator.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Handler {
    pub handler: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub config: Value,
}

/// A rule.
pub struct Rule {
    path: String,
    /// `http(s)://HOST<PATH>`
    url: Regex,
    methods: Vec<String>,
    authenticators: Vec<Handler>,
}

/// How an authenticator ends.
enum Outcome {
    NotResponsible,
    Success,
    Refused(u16),
}

/// Kyma's global configuration.
const JWT_SCOPES: fn(&str, &str) -> bool = wildcard;
const INTROSPECTION_SCOPES: fn(&str, &str) -> bool = |granted, wanted| granted == wanted;

// === impl Rule ===

impl Rule {
    pub fn new(host: &str, path: &str, methods: &[String], authenticators: Vec<Handler>) -> Self {
        let host = regex::escape(host);
        Self {
            path: path.to_owned(),
            url: whole(&format!("(http|https)://{host}({path})")),
            methods: methods.to_vec(),
            authenticators,
        }
    }

    fn matches(&self, look: &Look<'_>, url: &str) -> bool {
        let mut methods = self.methods.iter();
        methods.any(|it| it.eq_ignore_ascii_case(&look.request.method)) && self.url.is_match(url)
    }
}

/// Exactly one rule must be for a request; it has come by the route of `routed`, a path.
pub fn judge<'r>(look: &Look<'_>, routed: &str, rules: impl Iterator<Item = &'r Rule>) -> Answer {
    let request = look.request;
    if !has_whole_escapes(request.path_alone()) && !look.differences.has(IncompleteEscape) {
        return Answer::Refused(400, "not an URL to Go");
    }
    let mut authority = request.authority.clone();
    if look.differences.has(HostSpelling) {
        let name = authority.split(':').next().unwrap_or_default();
        authority = name.trim_end_matches('.').to_ascii_lowercase();
    }
    let decoded = percent_decoded(request.path_alone());
    let mut path = clean(&decoded);
    if look.differences.has(TrailingSlash) && decoded.ends_with('/') && path != "/" {
        path.push('/');
    }
    let url = format!("https://{authority}{path}");
    let matching: Vec<_> = rules.filter(|rule| rule.matches(look, &url)).collect();
    let of_route = matching.iter().find(|rule| rule.path == routed);
    let Some(rule) = of_route.or(matching.first()) else {
        return Answer::Refused(404, "no Oathkeeper rule");
    };
    if matching.len() > 1 && !look.differences.has(Overlap) {
        return Answer::Refused(500, "several Oathkeeper rules");
    }
    for authenticator in &rule.authenticators {
        match authenticator.run(look) {
            Outcome::NotResponsible => {}
            Outcome::Success => return Answer::Allowed,
            Outcome::Refused(status) => return Answer::Refused(status, "authenticator"),
        }
    }
    Answer::Refused(401, "no authenticator is responsible")
}

/// Go's `path.Clean`.
fn clean(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}

fn has_whole_escapes(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| {
        let digits = rest.get(..2).unwrap_or_default();
        digits.len() == 2 && digits.bytes().all(|it| it.is_ascii_hexdigit())
    })
}

// === impl Handler ===

impl Handler {
    pub fn texts(&self, field: &str) -> Vec<String> {
        let list = self.config.get(field).and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }

    /// Whether it wants a token, and would take this one.
    pub fn accepts(&self, token: &str, tokens: &Tokens, differences: Differences) -> bool {
        let outcome = match self.handler.as_str() {
            "jwt" => self.judge_jwt(token, tokens, differences),
            "oauth2_introspection" => self.judge_introspected(&tokens.introspect(token), tokens),
            _ => Outcome::NotResponsible,
        };
        matches!(outcome, Outcome::Success)
    }

    fn run(&self, look: &Look<'_>) -> Outcome {
        match self.handler.as_str() {
            "noop" => Outcome::Success,
            "unauthorized" => Outcome::Refused(401),
            "jwt" | "oauth2_introspection" => match self.token(look) {
                None => Outcome::NotResponsible,
                Some(token) if self.handler == "jwt" => {
                    self.judge_jwt(&token, look.tokens, look.differences)
                }
                Some(token) => {
                    self.judge_introspected(&look.tokens.introspect(&token), look.tokens)
                }
            },
            other => panic!("no such handler in the model: {other}"),
        }
    }

    /// `token_from`; by default what stands behind `bearer` in `Authorization`.
    fn token(&self, look: &Look<'_>) -> Option<String> {
        let from = self
            .config
            .pointer("/token_from/header")
            .and_then(Value::as_str);
        let name = from.unwrap_or("authorization").to_ascii_lowercase();
        let lines = if look.differences.has(HeaderLines) {
            usize::MAX
        } else {
            1
        };
        let mut lines = look.request.header_lines(&name).take(lines);
        if name != "authorization" {
            return lines.next().filter(|it| !it.is_empty()).map(str::to_owned);
        }
        let schemes = lines.filter_map(|line| line.split_once(' '));
        let mut bearer = schemes.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        bearer.next().map(|(_, token)| token.to_owned())
    }

    /// Whatever fails is 401.
    fn judge_jwt(&self, text: &str, tokens: &Tokens, differences: Differences) -> Outcome {
        if text.split('.').count() != 3 {
            return Outcome::NotResponsible;
        }
        let good = tokens.jwt(text).is_some_and(|jwt| {
            let text_of = |claim: &str| jwt.claims.get(claim).and_then(Value::as_str);
            let time = |claim: &str| jwt.claims.get(claim).and_then(Value::as_u64);
            let sources = self.texts("jwks_urls");
            let signed = jwt
                .signed_by
                .is_some_and(|it| sources.contains(&keys_of(it)));
            let issuers = self.texts("trusted_issuers");
            let trusted = text_of("iss").is_some_and(|it| issuers.iter().any(|known| known == it));
            let scopes = ["scp", "scope", "scopes"].iter();
            let mut scopes = scopes.filter_map(|claim| jwt.claims.get(*claim));
            let granted = self.has_scopes(&words(scopes.next()), JWT_SCOPES)
                || differences.has(ScopeClaims)
                    && scopes.any(|it| self.has_scopes(&words(Some(it)), JWT_SCOPES));
            (jwt.has_key_id || differences.has(KeyId))
                && jwt.algorithm == "RS256"
                && signed
                && (issuers.is_empty() || trusted)
                && time("exp").is_none_or(|exp| tokens.now <= exp)
                && time("nbf").is_none_or(|nbf| nbf <= tokens.now)
                && (differences.has(IssuedInFuture)
                    || time("iat").is_none_or(|iat| iat <= tokens.now))
                && self.has_audiences(&jwt.claims)
                && granted
        });
        if good {
            Outcome::Success
        } else {
            Outcome::Refused(401)
        }
    }

    fn judge_introspected(&self, reply: &Value, tokens: &Tokens) -> Outcome {
        let kind = reply
            .get("token_use")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let trusted = self.texts("trusted_issuers");
        let issuer = reply.get("iss").and_then(Value::as_str).unwrap_or_default();
        let expiry = reply.get("exp").and_then(Value::as_u64).unwrap_or_default();
        if !kind.is_empty() && kind != "access_token" {
            Outcome::Refused(403)
        } else if reply["active"] != true || expiry > 0 && expiry < tokens.now {
            Outcome::Refused(401)
        } else if !self.has_audiences(reply)
            || !trusted.is_empty() && !trusted.iter().any(|it| it == issuer)
            || !self.has_scopes(&words(reply.get("scope")), INTROSPECTION_SCOPES)
        {
            Outcome::Refused(403)
        } else {
            Outcome::Success
        }
    }

    fn has_audiences(&self, claims: &Value) -> bool {
        let known = match claims.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            list => words(list),
        };
        self.texts("target_audience")
            .iter()
            .all(|it| known.contains(it))
    }

    fn has_scopes(&self, granted: &[String], covers: fn(&str, &str) -> bool) -> bool {
        let required = self.texts("required_scope");
        let mut required = required.iter();
        required.all(|wanted| granted.iter().any(|it| covers(it, wanted)))
    }
}

/// A list of texts, or a text that is split at spaces.
fn words(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => text.split(' ').map(str::to_owned).collect(),
        Some(Value::Array(list)) => {
            let texts = list.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// `*` is one segment that is not empty, at the end one or more.
fn wildcard(granted: &str, wanted: &str) -> bool {
    let (granted, wanted): (Vec<_>, Vec<_>) =
        (granted.split('.').collect(), wanted.split('.').collect());
    if granted.len() > wanted.len() {
        return false;
    }
    let open = granted.last() == Some(&"*");
    let fits = granted
        .iter()
        .zip(&wanted)
        .all(|(granted, wanted)| match *granted {
            "*" => !wanted.is_empty(),
            name => name == *wanted,
        });
    fits && (open || granted.len() == wanted.len())
}
