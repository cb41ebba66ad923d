//! What Istio makes of RequestAuthentications and AuthorizationPolicies, as Envoy's filters judge it.

use super::differences::Difference::{
    BearerInside, EscapedLetters, IncompleteEscape, LiteralLetters, SchemeCase, ScopesAsText,
    UnneededToken,
};
use super::differences::Differences;
use super::tokens::{Jwt, Tokens};
use super::{Look, percent_decoded};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An entry of `authentications`; also a jwtRule.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authentication {
    pub issuer: String,
    pub jwks_uri: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_headers: Vec<FromHeader>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_params: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FromHeader {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// An entry of `authorizations`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authorization {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
}

/// Bytes of a segment in Envoy's `uri_template`.
const SEGMENT: &str = r"a-zA-Z0-9\-._~%!$&'()+,;:@=*";
/// The same in the expressions that Kyma writes into routes; there, an escape is one as a whole.
const ROUTE_SEGMENT: &str = r"A-Za-z0-9\-._~!$&'()*+,;=:@";
const CLOCK_SKEW: u64 = 60;

/// A path of a version v2 rule in its route.
pub struct RoutePath {
    as_written: Regex,
    /// With its letters taken as letters.
    literally: Regex,
    /// Both with the escapes decoded, if there are any.
    decoded: Option<[Regex; 2]>,
}

/// `operation.paths`, one of them.
#[derive(Clone)]
pub struct PolicyPath {
    regex: Regex,
    /// With its escapes decoded.
    decoded: Regex,
}

// === impl RoutePath ===

impl RoutePath {
    pub fn new(path: &str) -> Self {
        let [as_written, literally] = Self::regexes(path);
        let decoded = path
            .contains('%')
            .then(|| Self::regexes(&percent_decoded(path)));
        Self {
            as_written,
            literally,
            decoded,
        }
    }

    /// As Kyma writes it, and with its letters taken as letters.
    fn regexes(path: &str) -> [Regex; 2] {
        if path == "/*" {
            return [Regex::new("^/").unwrap(), Regex::new("^/").unwrap()];
        }
        [path.to_owned(), escaped(path)].map(|path| {
            let path = path.replace("{**}", &format!("([{ROUTE_SEGMENT}/]|%[0-9a-fA-F]{{2}})*"));
            whole(&path.replace("{*}", &format!("([{ROUTE_SEGMENT}]|%[0-9a-fA-F]{{2}})+")))
        })
    }

    pub fn matches(&self, path: &str, differences: Differences) -> bool {
        let path = match differences.has(IncompleteEscape) {
            true => with_letters_for_incomplete_escapes(path),
            false => path.to_owned(),
        };
        let decoded = self
            .decoded
            .as_ref()
            .filter(|_| differences.has(EscapedLetters));
        match differences.has(LiteralLetters) {
            true => {
                self.literally.is_match(&path) || decoded.is_some_and(|it| it[1].is_match(&path))
            }
            false => {
                self.as_written.is_match(&path) || decoded.is_some_and(|it| it[0].is_match(&path))
            }
        }
    }
}

fn with_letters_for_incomplete_escapes(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut made = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.get(..2).unwrap_or_default();
        let whole = digits.len() == 2 && digits.bytes().all(|it| it.is_ascii_hexdigit());
        made.push(if whole { '%' } else { '~' });
        made.push_str(piece);
    }
    made
}

/// With everything escaped but the operators.
fn escaped(path: &str) -> String {
    let escaped = regex::escape(path);
    escaped
        .replace(r"\{\*\*\}", "{**}")
        .replace(r"\{\*\}", "{*}")
}

/// An expression that must match from the beginning to the end.
pub fn whole(expression: &str) -> Regex {
    Regex::new(&format!("^(?:{expression})$")).unwrap()
}

// === impl PolicyPath ===

impl PolicyPath {
    /// Istio's grammar: a template if there is an operator in it, else a text, prefix or suffix.
    pub fn new(path: &str) -> Self {
        Self {
            regex: Self::regex(path),
            decoded: Self::regex(&percent_decoded(path)),
        }
    }

    fn regex(path: &str) -> Regex {
        if path.contains("{*}") || path.contains("{**}") {
            let path = escaped(path).replace("{**}", &format!("[{SEGMENT}/]*"));
            return whole(&path.replace("{*}", &format!("[{SEGMENT}]+")));
        }
        let text = regex::escape;
        whole(&match (path.strip_prefix('*'), path.strip_suffix('*')) {
            (Some(""), _) => ".+".to_owned(),
            (Some(suffix), _) => format!(".*{}", text(suffix)),
            (None, Some(prefix)) => format!("{}.*", text(prefix)),
            (None, None) => text(path),
        })
    }

    pub fn matches(&self, path: &str, differences: Differences) -> bool {
        self.regex.is_match(path) || differences.has(EscapedLetters) && self.decoded.is_match(path)
    }
}

/// Whether a value is `exact`, `prefix*`, `*suffix` or `*`.
pub fn string_match(pattern: &str, value: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => !value.is_empty(),
        (Some(suffix), _) => value.ends_with(suffix),
        (None, Some(prefix)) => value.starts_with(prefix),
        (None, None) => value == pattern,
    }
}

// === impl Authentication ===

impl Authentication {
    /// The tokens where this rule looks for them.
    fn extract(&self, look: &Look<'_>) -> Vec<String> {
        let request = look.request;
        let mut found = Vec::new();
        let defaults = self.from_headers.is_empty() && self.from_params.is_empty();
        if defaults {
            for value in request.header_lines("authorization") {
                let inside = !value.starts_with("Bearer ");
                if !(inside && look.differences.has(BearerInside)) {
                    found.extend(behind("Bearer ", value));
                }
                let scheme = value.get(..7).unwrap_or_default();
                let other_case = scheme != "Bearer " && scheme.eq_ignore_ascii_case("bearer ");
                if other_case && look.differences.has(SchemeCase) {
                    found.extend(value.get(7..).map(str::to_owned));
                }
            }
            found.extend(request.parameters("access_token"));
        }
        for header in &self.from_headers {
            let name = header.name.to_ascii_lowercase();
            for value in request.header_lines(&name) {
                match &header.prefix {
                    Some(prefix) => found.extend(behind(prefix, value)),
                    None => found.push(value.to_owned()),
                }
            }
        }
        for name in &self.from_params {
            found.extend(request.parameters(name));
        }
        found
    }

    fn verifies(&self, token: &str, tokens: &Tokens) -> bool {
        tokens.jwt(token).is_some_and(|jwt| {
            let time = |claim: &str| jwt.claims.get(claim).and_then(Value::as_u64);
            jwt.claims["iss"] == self.issuer.as_str()
                && jwt.signed_by == Some(&self.issuer)
                && time("exp").is_none_or(|exp| tokens.now <= exp + CLOCK_SKEW)
                && time("nbf").is_none_or(|nbf| nbf <= tokens.now + CLOCK_SKEW)
        })
    }
}

/// What could be a token behind a prefix, wherever that is.
fn behind(prefix: &str, value: &str) -> Option<String> {
    let (_, rest) = value.split_once(prefix)?;
    let is_token = |letter: &char| letter.is_ascii_alphanumeric() || "-_.=".contains(*letter);
    Some(rest.chars().take_while(is_token).collect())
}

/// Envoy's jwt_authn filter under the requirement that Istio writes for several rules: one of them
/// verifies the tokens at its places, or each finds none.
///
/// # Errors
/// The answer is 401.
pub fn authenticate<'t>(look: &Look<'t>, rules: &[&Authentication]) -> Result<Option<&'t Jwt>, ()> {
    let mut rules = rules.to_vec();
    rules.sort_by(|one, other| one.issuer.cmp(&other.issuer));
    let mut bad = false;
    for rule in rules {
        let found = rule.extract(look);
        let Some(first) = found.first() else { continue };
        if found.iter().all(|token| rule.verifies(token, look.tokens)) {
            return Ok(look.tokens.jwt(first));
        }
        bad = true;
    }
    match bad && !look.differences.has(UnneededToken) {
        true => Err(()),
        false => Ok(None),
    }
}

/// `requestPrincipals: [ISS/*]` for each of these, one of which must match.
pub fn has_principal(jwt: Option<&Jwt>, authentications: &[Authentication]) -> bool {
    jwt.is_some_and(|jwt| {
        let claim = |name: &str| jwt.claims.get(name).and_then(Value::as_str);
        let issuer = claim("iss").unwrap_or_default();
        let subject = claim("sub").unwrap_or_default();
        authentications.iter().any(|it| it.issuer == issuer) && !subject.is_empty()
    })
}

// === impl Authorization ===

impl Authorization {
    /// The policy rules that Kyma writes for it: one for each claim that may hold scopes.
    pub fn allows(&self, jwt: Option<&Jwt>, differences: Differences) -> bool {
        if self.required_scopes.is_empty() && self.audiences.is_empty() {
            return true;
        }
        let Some(jwt) = jwt else { return false };
        let has = |claim: &str, wanted: &String| {
            let values = values(&jwt.claims[claim], claim, differences);
            values.iter().any(|value| string_match(wanted, value))
        };
        let scopes = ["scp", "scope", "scopes"]
            .iter()
            .any(|claim| self.required_scopes.iter().all(|scope| has(claim, scope)));
        scopes && self.audiences.iter().all(|audience| has("aud", audience))
    }
}

/// What a condition on a claim sees.
fn values(claim: &Value, name: &str, differences: Differences) -> Vec<String> {
    let split = match name {
        "scope" => true,
        "scp" | "scopes" => differences.has(ScopesAsText),
        _ => false,
    };
    match claim {
        Value::String(text) if split => text.split(' ').map(str::to_owned).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => {
            let texts = list.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}
