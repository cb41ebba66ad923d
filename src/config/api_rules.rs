//! `apiRules[]`: Kyma's APIRule, for one or several authorities.
//!
//! Reads and checks each entry; whether its rules get in each other's way is
//! [`super::api_rules_overlap`]'s business, what they mean [`crate::policy`]'s.

use super::introspection_providers::SCOPE_STRATEGIES;
use super::reader::{At, Fields};
use super::values::{self, texts};
use super::{CorsPolicy, JwtRule, Known, PathMatching, cors_policy, hosts, jwt_rules};
use crate::format::Format;
use crate::policy::{ApiPath, AuthorityPattern, ScopeStrategy};
use std::collections::HashSet;

/// One entry.
#[derive(Debug)]
pub struct ApiRules {
    /// By which reports name it.
    pub name: String,
    /// The authorities that it decides for; each is in one entry alone.
    pub hosts: Vec<AuthorityPattern>,
    /// The first that fits a request decides.
    pub rules: Vec<ApiRule>,
    /// What other origins may do.
    pub cors: Option<CorsPolicy>,
    /// How refusals look, unless a rule says otherwise.
    pub error_style: Option<ErrorStyle>,
    /// In place of the configuration's.
    pub path_matching: Option<PathMatching>,
    /// Whether it only tells what it would have done.
    pub dry_run: bool,
}

/// One rule.
#[derive(Debug)]
pub struct ApiRule {
    /// `path`, `pathRegex`
    pub path: ApiPath,
    /// Compared as they are; empty is every method.
    pub methods: Vec<String>,
    /// How refusals look.
    pub error_style: Option<ErrorStyle>,
    /// `request.headers`: set for the upstream; lower case names.
    pub headers: Vec<(String, Format)>,
    /// `request.cookies`: the whole header `cookie` for the upstream.
    pub cookies: Vec<(String, Format)>,
    /// `request.keepCookies`: but for cookies under other names, which go on behind them.
    pub keep_cookies: bool,
    /// Who may send such requests.
    pub strategy: Strategy,
}

/// Who may send the requests of a rule.
#[derive(Debug)]
pub enum Strategy {
    /// `noAuth: true`: anybody.
    NoAuth,
    /// `deny: true`: nobody.
    Deny,
    /// Whoever has a token of one of these issuers.
    Jwt(JwtDemand),
    /// Whoever has a token that the authorization server calls active.
    Introspection(IntrospectionDemand),
    /// Whoever these authorizers allow, and, if given, has such a token.
    ExtAuth(Vec<String>, Option<JwtDemand>),
}

/// `jwt`, `extAuth.restrictions`
#[derive(Debug)]
pub struct JwtDemand {
    /// One of them must verify the token.
    pub authentications: Vec<JwtRule>,
    /// One of them must hold; none: every verified token will do.
    pub authorizations: Vec<Authorization>,
    /// `scopeStrategy`
    pub scope_strategy: ScopeStrategy,
}

/// `authorizations[]`
#[derive(Debug)]
pub struct Authorization {
    /// All of them must be granted.
    pub required_scopes: Vec<String>,
    /// All of them must be in `aud`.
    pub audiences: Vec<String>,
}

/// `oauth2Introspection`
#[derive(Debug)]
pub struct IntrospectionDemand {
    /// `introspectionProviders[].name`
    pub provider: String,
    /// What the token must carry.
    pub authorization: Authorization,
    /// In place of the provider's.
    pub scope_strategy: Option<ScopeStrategy>,
    /// Whether the token goes on to the upstream.
    pub forward_token: bool,
}

/// `errorStyle`: how a refusal looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorStyle {
    /// As Istio's filters answer.
    #[default]
    Istio,
    /// As Ory Oathkeeper answers.
    Oathkeeper,
    /// As oauth2-proxy answers with `force-json-errors`.
    Oauth2Proxy,
    /// A challenge (RFC 6750, 3) and a problem document (RFC 9457).
    Rfc6750,
}

/// The strategies, one of which each rule has.
const STRATEGIES: [&str; 5] = ["noAuth", "deny", "jwt", "oauth2Introspection", "extAuth"];

pub(super) const METHODS: [(&str, &str); 9] = [
    ("GET", "GET"),
    ("HEAD", "HEAD"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("DELETE", "DELETE"),
    ("CONNECT", "CONNECT"),
    ("OPTIONS", "OPTIONS"),
    ("TRACE", "TRACE"),
    ("PATCH", "PATCH"),
];

pub(super) fn read(at: Option<At<'_>>, known: &Known<'_>) -> Vec<ApiRules> {
    let Some(at) = at else { return Vec::new() };
    let (mut names, mut taken) = (HashSet::new(), HashSet::new());
    at.list(|at| {
        let entry = entry(at, known)?;
        if !names.insert(entry.name.clone()) {
            at.fault("another entry has the same `name`");
        }
        for host in &entry.hosts {
            if !taken.insert(host.clone()) {
                at.fault(format!(
                    "host `{host}` is given twice; a host belongs to one entry alone"
                ));
            }
        }
        Some(entry)
    })
}

fn entry(at: At<'_>, known: &Known<'_>) -> Option<ApiRules> {
    let mut fields = at.object()?;
    let name = fields.required("name").and_then(|at| at.name());
    let hosts = fields.required("hosts").map(hosts);
    let rules = fields.required("rules").map(|at| {
        let rules = at.non_empty_list(|at| rule(at, known));
        // Rules with faults are left out, and the others would be counted wrong.
        if at.value().as_array().map(<[_]>::len) == Some(rules.len()) {
            super::api_rules_overlap::check(at, &rules);
        }
        rules
    });
    let cors = fields.optional("corsPolicy").map(cors_policy::read);
    let error_style = error_style(&mut fields);
    let path_matching = super::path_matching(&mut fields);
    let dry_run = fields.optional("dryRun").and_then(|at| at.boolean());
    if let Some(metadata) = fields.optional("protectedResourceMetadata") {
        metadata.fault("reserved; leave it out");
    }
    fields.finish();
    Some(ApiRules {
        name: name?,
        hosts: hosts?,
        rules: rules?,
        cors: cors.flatten(),
        error_style,
        path_matching,
        dry_run: dry_run.unwrap_or(false),
    })
}

fn error_style(fields: &mut Fields<'_>) -> Option<ErrorStyle> {
    let at = fields.optional("errorStyle")?;
    at.one_of(&[
        ("istio", ErrorStyle::Istio),
        ("oathkeeper", ErrorStyle::Oathkeeper),
        ("oauth2-proxy", ErrorStyle::Oauth2Proxy),
        ("rfc6750", ErrorStyle::Rfc6750),
    ])
}

fn rule(at: At<'_>, known: &Known<'_>) -> Option<ApiRule> {
    let mut fields = at.object()?;
    let path = fields.optional("path");
    let regex = fields.optional("pathRegex");
    let path = match (path, regex) {
        (Some(path), None) => path.parsed(ApiPath::parse),
        (None, Some(regex)) => regex.parsed(ApiPath::parse_regex),
        _ => {
            at.fault("give one of `path` and `pathRegex`");
            None
        }
    };
    let methods = fields
        .optional("methods")
        .map(|at| at.non_empty_list(|at| at.one_of(&METHODS).map(str::to_owned)));
    let error_style = error_style(&mut fields);
    let (headers, cookies, keep_cookies) = fields
        .optional("request")
        .and_then(request)
        .unwrap_or_default();
    let strategy = strategy(at, &mut fields, known);
    fields.finish();
    Some(ApiRule {
        path: path?,
        methods: methods.unwrap_or_default(),
        error_style,
        headers,
        cookies,
        keep_cookies,
        strategy: strategy?,
    })
}

type Formats = Vec<(String, Format)>;

fn request(at: At<'_>) -> Option<(Formats, Formats, bool)> {
    let mut fields = at.object()?;
    let headers = fields.optional("headers").map(values::header_formats);
    let cookies = fields.optional("cookies").map(|at| {
        at.members(|name, at| {
            let token =
                |byte: u8| byte.is_ascii_graphic() && !b"=;,\"\\()<>@:/[]?{}".contains(&byte);
            if name.is_empty() || !name.bytes().all(token) {
                at.fault("the name is not allowed: it must be a cookie name (RFC 6265, 4.1.1)");
                return None;
            }
            Some((name.to_owned(), at.parsed(Format::parse)?))
        })
    });
    let keep = fields.optional("keepCookies");
    let keep_cookies = keep.as_ref().and_then(At::boolean);
    fields.finish();
    if let Some(keep) = keep.filter(|_| cookies.is_none()) {
        keep.fault("without `cookies`, all cookies go on; give `cookies`, or leave this out");
    }
    if let Some((name, _)) = headers.iter().flatten().find(|(name, _)| name == "cookie")
        && cookies.is_some()
    {
        at.fault(format!(
            "`headers` sets `{name}` beside `cookies`; give one of them"
        ));
    }
    Some((
        headers.unwrap_or_default(),
        cookies.unwrap_or_default(),
        keep_cookies.unwrap_or(false),
    ))
}

fn strategy(at: At<'_>, fields: &mut Fields<'_>, known: &Known<'_>) -> Option<Strategy> {
    let truth = |at: At<'_>| {
        let holds = at.value().as_bool() == Some(true);
        if !holds {
            at.unexpected("`true`; leave it out otherwise");
        }
        holds
    };
    let given = STRATEGIES.iter().filter(|name| fields.has(name)).count();
    if given != 1 {
        let names = STRATEGIES.map(|name| format!("`{name}`")).join(", ");
        at.fault(format!("{given} strategies; give exactly one of {names}"));
    }
    let no_auth = fields.optional("noAuth").map(truth);
    let deny = fields.optional("deny").map(truth);
    let jwt = fields.optional("jwt").map(jwt);
    let introspection = fields.optional("oauth2Introspection");
    let introspection = introspection.map(|at| self::introspection(at, known));
    let ext_auth = fields.optional("extAuth").map(|at| ext_auth(at, known));
    match (no_auth, deny, jwt, introspection, ext_auth) {
        (Some(true), None, None, None, None) => Some(Strategy::NoAuth),
        (None, Some(true), None, None, None) => Some(Strategy::Deny),
        (None, None, Some(demand), None, None) => demand.map(Strategy::Jwt),
        (None, None, None, Some(demand), None) => demand.map(Strategy::Introspection),
        (None, None, None, None, Some(strategy)) => strategy,
        _ => None,
    }
}

fn jwt(at: At<'_>) -> Option<JwtDemand> {
    let mut fields = at.object()?;
    let authentications = fields.required("authentications");
    let authentications = authentications.map(|at| at.non_empty_list(jwt_rules::authentication));
    let authorizations = fields.optional("authorizations").map(|at| {
        at.non_empty_list(|at| {
            let mut fields = at.object()?;
            let authorization = authorization(&mut fields);
            fields.finish();
            Some(authorization)
        })
    });
    let strategy = fields.optional("scopeStrategy");
    let strategy = strategy.and_then(|at| at.one_of(&SCOPE_STRATEGIES));
    fields.finish();
    Some(JwtDemand {
        authentications: authentications?,
        authorizations: authorizations.unwrap_or_default(),
        scope_strategy: strategy.unwrap_or_default(),
    })
}

fn authorization(fields: &mut Fields<'_>) -> Authorization {
    Authorization {
        required_scopes: texts(fields, "requiredScopes"),
        audiences: texts(fields, "audiences"),
    }
}

fn introspection(at: At<'_>, known: &Known<'_>) -> Option<IntrospectionDemand> {
    let mut fields = at.object()?;
    let provider = fields.required("provider");
    let provider = provider
        .and_then(|at| reference(at, &known.introspection_providers, "introspectionProviders"));
    let authorization = authorization(&mut fields);
    let strategy = fields.optional("scopeStrategy");
    let scope_strategy = strategy.and_then(|at| at.one_of(&SCOPE_STRATEGIES));
    let forward = fields.optional("forwardToken").and_then(|at| at.boolean());
    fields.finish();
    Some(IntrospectionDemand {
        provider: provider?,
        authorization,
        scope_strategy,
        forward_token: forward.unwrap_or(true),
    })
}

fn ext_auth(at: At<'_>, known: &Known<'_>) -> Option<Strategy> {
    let mut fields = at.object()?;
    let authorizers = fields.required("authorizers").map(|at| {
        at.non_empty_list(|at| reference(at, &known.extension_providers, "extensionProviders"))
    });
    let restrictions = fields.optional("restrictions").map(jwt);
    fields.finish();
    let restrictions = match restrictions {
        Some(restrictions) => Some(restrictions?),
        None => None,
    };
    Some(Strategy::ExtAuth(authorizers?, restrictions))
}

/// A name that stands in another section.
fn reference(at: At<'_>, known: &[&str], section: &str) -> Option<String> {
    let name = at.text()?;
    if !known.contains(&name) {
        at.fault(format!(
            "`{}` is not among `{section}`; define it there",
            name.escape_default()
        ));
    }
    Some(name.to_owned())
}

#[cfg(test)]
mod tests;
