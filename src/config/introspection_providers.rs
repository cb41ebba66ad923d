//! `introspectionProviders[]`: authorization servers that are asked about opaque tokens (RFC 7662).
//!
//! Reads and checks; [`crate::introspection`] asks them.

use super::reader::At;
use super::values::{self, Secret};
use super::{Fault, FromHeader};
use crate::keys::Endpoint;
use crate::policy::ScopeStrategy;
use std::ops::RangeInclusive;
use std::time::Duration;

/// One provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntrospectionProvider {
    /// By which rules name it.
    pub name: String,
    /// `introspectionUrl`, `cluster`
    pub endpoint: Endpoint,
    /// `authMethod`, `clientId`, `clientSecret`: how the gateway proves who it is.
    pub credential: Credential,
    /// `requestHeaders`: lower case names.
    pub request_headers: Vec<(String, Secret)>,
    /// How long one call may take.
    pub timeout: Duration,
    /// `cache.ttl`: how long an active token is believed at most; zero: not at all.
    pub ttl: Duration,
    /// `cache.negativeTtl`: how long an inactive token is not asked about again.
    pub negative_ttl: Duration,
    /// `cache.maxEntries`: how many tokens are remembered on each worker.
    pub max_entries: usize,
    /// How granted scopes cover required ones, unless a rule says otherwise.
    pub scope_strategy: ScopeStrategy,
    /// `iss` must be one of them; none: no demand, and no principal.
    pub trusted_issuers: Vec<String>,
    /// All of them must be in `aud`.
    pub audiences: Vec<String>,
    /// `tokenFrom`: where tokens are.
    pub token_from: TokenFrom,
    /// How far the clocks of the server and the gateway may differ.
    pub clock_skew: Duration,
    /// `onOutage`: the status of the answer while the server fails, 503 or 500.
    pub on_outage: u16,
}

/// How the gateway proves to the server who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Client id and secret (RFC 6749, 2.3.1).
    Basic(String, Secret),
    /// `Authorization: Bearer` with the secret.
    Bearer(Secret),
    /// By `requestHeaders`, or not at all.
    Headers,
}

/// Where tokens are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFrom {
    /// A header, and what stands before the token in it.
    Header(FromHeader),
    /// A query parameter.
    QueryParameter(String),
    /// A cookie.
    Cookie(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AuthMethod {
    Basic,
    Bearer,
    Header,
}

const TIMEOUT: Duration = Duration::from_secs(2);
const TTL: Duration = Duration::from_secs(30);
const NEGATIVE_TTL: Duration = Duration::from_secs(5);
const MAX_ENTRIES: usize = 10_000;

const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(30);
const TTLS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
const NEGATIVE_TTLS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);
const ENTRIES: RangeInclusive<usize> = 0..=100_000;
const CLOCK_SKEWS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);

/// `scopeStrategy`
pub(super) const SCOPE_STRATEGIES: [(&str, ScopeStrategy); 4] = [
    ("none", ScopeStrategy::None),
    ("exact", ScopeStrategy::Exact),
    ("hierarchic", ScopeStrategy::Hierarchic),
    ("wildcard", ScopeStrategy::Wildcard),
];

pub(super) fn read(at: Option<At<'_>>) -> Vec<IntrospectionProvider> {
    values::named(at, provider, |provider| &provider.name)
}

fn provider(at: At<'_>) -> Option<IntrospectionProvider> {
    let mut fields = at.object()?;
    let name = fields.required("name").and_then(|at| at.name());
    let url = fields.required("introspectionUrl");
    let cluster = fields.optional("cluster").and_then(|at| at.text());
    let endpoint = url.and_then(|at| at.parsed(|url| Endpoint::parse(url, cluster)));
    let client_id = fields.optional("clientId").and_then(values::text);
    let client_secret = fields.optional("clientSecret").and_then(values::secret);
    let method = fields.optional("authMethod").map(|at| {
        at.one_of(&[
            ("basic", AuthMethod::Basic),
            ("bearer", AuthMethod::Bearer),
            ("header", AuthMethod::Header),
        ])
    });
    let request_headers = fields
        .optional("requestHeaders")
        .map(|at| at.members(|name, at| Some((values::settable(name, &at)?, values::secret(at)?))));
    let timeout = fields.optional("timeout");
    let timeout = timeout.and_then(|at| at.duration_in(&TIMEOUTS));
    let cache = fields.optional("cache").and_then(cache);
    let (ttl, negative_ttl, max_entries) = cache.unwrap_or((TTL, NEGATIVE_TTL, MAX_ENTRIES));
    let strategy = fields.optional("scopeStrategy");
    let strategy = strategy.and_then(|at| at.one_of(&SCOPE_STRATEGIES));
    let trusted_issuers = values::texts(&mut fields, "trustedIssuers");
    let audiences = values::texts(&mut fields, "audiences");
    let token_from = fields.optional("tokenFrom").map(token_from);
    let skew = fields.optional("clockSkew");
    let skew = skew.and_then(|at| at.duration_in(&CLOCK_SKEWS));
    let on_outage = fields.optional("onOutage");
    let on_outage = on_outage.and_then(|at| at.one_of_numbers(&[503, 500]));
    fields.finish();

    let default = match client_secret {
        Some(_) => AuthMethod::Basic,
        None => AuthMethod::Header,
    };
    let credential = match (method.unwrap_or(Some(default))?, client_id, client_secret) {
        (AuthMethod::Basic, Some(id), Some(secret)) => Credential::Basic(id, secret),
        (AuthMethod::Basic, ..) => {
            at.fault("`authMethod: basic` needs `clientId` and `clientSecret`");
            return None;
        }
        (AuthMethod::Bearer, None, Some(secret)) => Credential::Bearer(secret),
        (AuthMethod::Bearer, ..) => {
            at.fault("`authMethod: bearer` needs `clientSecret`, the token, and no `clientId`");
            return None;
        }
        (AuthMethod::Header, None, None) => Credential::Headers,
        (AuthMethod::Header, ..) if method.is_none() => {
            at.fault("`clientId` without `clientSecret`; give both");
            return None;
        }
        (AuthMethod::Header, ..) => {
            at.fault(
                "`clientId` and `clientSecret` are not used with `authMethod: header`; leave them \
                 out, or name `basic`",
            );
            return None;
        }
    };
    Some(IntrospectionProvider {
        name: name?,
        endpoint: endpoint?,
        credential,
        request_headers: request_headers.unwrap_or_default(),
        timeout: timeout.unwrap_or(TIMEOUT),
        ttl,
        negative_ttl,
        max_entries,
        scope_strategy: strategy.unwrap_or_default(),
        trusted_issuers,
        audiences,
        token_from: token_from.unwrap_or_else(|| Some(TokenFrom::default()))?,
        clock_skew: skew.unwrap_or(Duration::ZERO),
        on_outage: on_outage.unwrap_or(503),
    })
}

fn cache(at: At<'_>) -> Option<(Duration, Duration, usize)> {
    let mut fields = at.object()?;
    let ttl = fields.optional("ttl");
    let ttl = ttl.and_then(|at| at.duration_in(&TTLS));
    let negative = fields.optional("negativeTtl");
    let negative = negative.and_then(|at| at.duration_in(&NEGATIVE_TTLS));
    let entries = fields.optional("maxEntries");
    let entries = entries.and_then(|at| at.number_in(&ENTRIES));
    fields.finish();
    Some((
        ttl.unwrap_or(TTL),
        negative.unwrap_or(NEGATIVE_TTL),
        entries.unwrap_or(MAX_ENTRIES),
    ))
}

fn token_from(at: At<'_>) -> Option<TokenFrom> {
    let mut fields = at.object()?;
    let header = fields.optional("header");
    let prefix = fields.optional("prefix");
    let parameter = fields.optional("queryParameter");
    let cookie = fields.optional("cookie");
    fields.finish();
    let prefix_text = prefix.and_then(|at| at.any_text().map(str::to_owned));
    if let (Some(prefix), None) = (prefix, header) {
        prefix.fault("only beside `header`");
    }
    match (header, parameter, cookie) {
        (Some(header), None, None) => {
            let name = values::header_name(&header)?;
            // Of `Authorization`, the scheme is no part of the token (RFC 6750, 2.1).
            let scheme = match name.as_str() {
                "authorization" => FromHeader::bearer().prefix,
                _ => String::new(),
            };
            let prefix = prefix_text.unwrap_or(scheme);
            Some(TokenFrom::Header(FromHeader { name, prefix }))
        }
        (None, Some(name), None) => values::text(name).map(TokenFrom::QueryParameter),
        (None, None, Some(name)) => values::text(name).map(TokenFrom::Cookie),
        _ => {
            at.fault("give one of `header`, `queryParameter` and `cookie`");
            None
        }
    }
}

// === impl IntrospectionProvider ===

impl IntrospectionProvider {
    /// Looks up the secrets that stand in the environment.
    pub(super) fn resolve(
        &mut self,
        index: usize,
        env: &impl Fn(&str) -> Option<String>,
        faults: &mut Vec<Fault>,
    ) {
        let own = match &mut self.credential {
            Credential::Basic(_, secret) | Credential::Bearer(secret) => Some(secret),
            Credential::Headers => None,
        };
        let headers = self.request_headers.iter_mut().map(|(_, secret)| secret);
        for secret in own.into_iter().chain(headers) {
            let Secret::Env(name) = secret else { continue };
            match env(name).filter(|value| !value.is_empty()) {
                Some(value) => *secret = Secret::Literal(value),
                None => faults.push(Fault {
                    path: format!("$.introspectionProviders[{index}]"),
                    message: format!(
                        "`{name}` is not in the environment of the module; set it in `vmConfig.env`"
                    ),
                }),
            }
        }
    }
}

impl Default for TokenFrom {
    fn default() -> Self {
        Self::Header(FromHeader::bearer())
    }
}
