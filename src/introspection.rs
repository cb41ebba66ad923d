//! Token introspection (RFC 7662): what an authorization server says of an opaque token.
//!
//! The order of the checks is Oathkeeper's. A reply that is not exactly what the RFC says is an
//! outage of the server, never a verdict on the caller, and is not remembered.

use crate::call::{HttpCall, HttpReply, MAX_REPLY, no_answer};
use crate::config::{Credential, FromHeader, IntrospectionProvider, Secret, TokenFrom};
use crate::identity::{ClaimsSet, Identity};
use crate::json;
use crate::keys::Endpoint;
use crate::policy::ScopeStrategy;
use crate::token::Locations;
use crate::verdict::{Reason, Refusal};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::{Map, Value};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// An authorization server that is asked about tokens.
pub struct Provider {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Where tokens are looked for.
    pub locations: Locations,
    /// How many tokens each worker remembers.
    pub max_entries: usize,
    /// How granted scopes cover required ones, unless a rule says otherwise.
    pub scope_strategy: ScopeStrategy,
    endpoint: Endpoint,
    headers: Vec<(Box<str>, Vec<u8>)>,
    timeout: Duration,
    ttl: Duration,
    negative_ttl: Duration,
    trusted_issuers: Vec<String>,
    audiences: Vec<String>,
    clock_skew: Duration,
    on_outage: u16,
}

/// What a server said of a token.
#[derive(Clone, Debug)]
pub struct Introspection {
    active: bool,
    /// Whether it is said to be something else than an access token.
    misused: bool,
    expires: Option<u64>,
    not_before: Option<u64>,
    claims: Rc<ClaimsSet>,
}

/// Why nothing is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outage {
    /// No answer, or one that is not a reply of RFC 7662.
    Failed(Rc<str>),
    /// 401 or 403: the server does not accept the gateway's own credential.
    Unauthorized,
    /// 429, and when to try again, as the server says.
    Throttled(Option<Box<str>>),
}

/// What a form leaves as it is (the URL standard, `application/x-www-form-urlencoded`).
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'*');

/// When to try again, where nobody says.
const RETRY_AFTER: &str = "5";

// === impl Provider ===

impl Provider {
    /// Whether what `other` said of a token is what it would say, for as long as it is believed.
    pub(crate) fn is_asked_like(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint
            && self.headers == other.headers
            && (self.ttl, self.negative_ttl) == (other.ttl, other.negative_ttl)
    }

    /// From a checked configuration.
    #[must_use]
    pub fn new(source: IntrospectionProvider) -> Self {
        let locations = match source.token_from {
            TokenFrom::Header(header) => Locations::new(vec![header], vec![], vec![]),
            TokenFrom::QueryParameter(name) => Locations::new(vec![], vec![name], vec![]),
            TokenFrom::Cookie(name) => Locations::new(vec![], vec![], vec![name]),
        };
        let bearer = FromHeader::bearer().prefix;
        let authorization = match &source.credential {
            // RFC 6749, 2.3.1: each encoded as in a form, then joined.
            Credential::Basic(id, secret) => {
                let pair = format!(
                    "{}:{}",
                    form(id.as_bytes()),
                    form(secret.expose().as_bytes())
                );
                Some(format!("Basic {}", BASE64.encode(pair)))
            }
            Credential::Bearer(secret) => Some(format!("{bearer}{}", secret.expose())),
            Credential::Headers => None,
        };
        let mut headers: Vec<(Box<str>, Vec<u8>)> = vec![
            (":method".into(), b"POST".to_vec()),
            (":path".into(), source.endpoint.path.clone().into_bytes()),
            (
                ":authority".into(),
                source.endpoint.authority.clone().into_bytes(),
            ),
            ("accept".into(), b"application/json".to_vec()),
        ];
        headers.extend(authorization.map(|it| ("authorization".into(), it.into_bytes())));
        for (name, value) in &source.request_headers {
            headers.retain(|(known, _)| **known != **name);
            headers.push((
                name.as_str().into(),
                Secret::expose(value).as_bytes().to_vec(),
            ));
        }
        headers.retain(|(name, _)| &**name != "content-type");
        let form = b"application/x-www-form-urlencoded".to_vec();
        headers.push(("content-type".into(), form));
        Self {
            name: source.name.into(),
            locations,
            max_entries: source.max_entries,
            scope_strategy: source.scope_strategy,
            endpoint: source.endpoint,
            headers,
            timeout: source.timeout,
            ttl: source.ttl,
            negative_ttl: source.negative_ttl,
            trusted_issuers: source.trusted_issuers,
            audiences: source.audiences,
            clock_skew: source.clock_skew,
            on_outage: source.on_outage,
        }
    }

    /// The request that asks about a token, and about scopes if the server compares these.
    #[must_use]
    pub fn ask(&self, token: &[u8], scopes: Option<&str>) -> HttpCall {
        let mut body = format!("token={}&token_type_hint=access_token", form(token));
        if let Some(scopes) = scopes {
            body.push_str("&scope=");
            body.push_str(&form(scopes.as_bytes()));
        }
        let mut headers = self.headers.clone();
        let length = body.len().to_string().into_bytes();
        headers.push(("content-length".into(), length));
        HttpCall {
            cluster: self.endpoint.cluster.as_str().into(),
            headers,
            body: body.into_bytes(),
            timeout: self.timeout,
        }
    }

    /// Reads the reply.
    ///
    /// # Errors
    /// It tells nothing about the token.
    pub fn read(&self, reply: Option<HttpReply>) -> Result<Introspection, Outage> {
        let reply = match reply {
            Some(reply) if reply.status == 200 => reply,
            Some(reply) if matches!(reply.status, 401 | 403) => return Err(Outage::Unauthorized),
            Some(reply) if reply.status == 429 => {
                return Err(Outage::Throttled(retry_after(&reply)));
            }
            other => return Err(Outage::Failed(no_answer(other.as_ref()))),
        };
        if reply.body.len() > MAX_REPLY {
            return Err(Outage::failed("a reply of more than 64 KiB"));
        }
        match json::parse(&reply.body, json::MAX_DEPTH) {
            Ok(Value::Object(members)) => self.introspection(members),
            _ => Err(Outage::failed("a reply that is no JSON object")),
        }
    }

    fn introspection(&self, mut members: Map<String, Value>) -> Result<Introspection, Outage> {
        let active = members.get("active").and_then(Value::as_bool);
        let active = active.ok_or_else(|| Outage::failed("`active` is neither true nor false"))?;
        let time = |name: &str| match members.get(name) {
            // Servers in Go write what they do not know as zero.
            None | Some(Value::Null) => Ok(None),
            Some(time) => match time.as_f64() {
                Some(0.0) => Ok(None),
                Some(seconds) if seconds > 0.0 => Ok(Some(whole(seconds))),
                _ => Err(Outage::failed("`exp` or `nbf` is no time")),
            },
        };
        let (expires, not_before) = (time("exp")?, time("nbf")?);
        let misused = match members.get("token_use") {
            None | Some(Value::Null) => false,
            Some(Value::String(token_use)) => !matches!(token_use.as_str(), "" | "access_token"),
            Some(_) => return Err(Outage::failed("`token_use` is no string")),
        };
        // Without issuers that are trusted, nobody may speak for one.
        if self.trusted_issuers.is_empty() {
            members.remove("iss");
        }
        Ok(Introspection {
            active,
            misused,
            expires,
            not_before,
            claims: Rc::new(ClaimsSet::new(members)),
        })
    }

    /// Until when an answer may be remembered, as time since the Unix epoch; `None`: not at all.
    #[must_use]
    pub fn believed_until(&self, known: &Introspection, now: Duration) -> Option<Duration> {
        let ttl = match (known.misused, known.active) {
            (true, _) => return None,
            (false, true) => self.ttl,
            (false, false) => self.negative_ttl,
        };
        let until = now.saturating_add(ttl);
        let expires = known
            .expires
            .filter(|_| known.active)
            .map(Duration::from_secs);
        let until = expires.map_or(until, |expires| until.min(expires));
        (until > now).then_some(until)
    }

    /// Who holds the token, if it is good.
    ///
    /// # Errors
    /// It is not.
    pub fn judge(&self, known: &Introspection, now: Duration) -> Result<Identity, Reason> {
        if known.misused {
            return Err(Reason::TokenUse);
        }
        if !known.active {
            return Err(Reason::TokenInactive);
        }
        let after = |seconds: u64| Duration::from_secs(seconds).saturating_add(self.clock_skew);
        if known.expires.is_some_and(|expires| now >= after(expires)) {
            return Err(Reason::TokenInactive);
        }
        let begins = known.not_before.map(Duration::from_secs);
        if begins.is_some_and(|begins| now.saturating_add(self.clock_skew) < begins) {
            return Err(Reason::TokenInactive);
        }
        let identity = Identity::new(Rc::clone(&known.claims), Rc::from([]));
        let audience = ["aud".to_owned()];
        let has = |wanted: &String| identity.claim_texts(&audience).any(|it| it == wanted);
        if !self.audiences.iter().all(has) {
            return Err(Reason::AudienceMissing);
        }
        let trusted = |issuer: &str| self.trusted_issuers.iter().any(|it| it == issuer);
        if !self.trusted_issuers.is_empty() && !identity.issuer().is_some_and(trusted) {
            return Err(Reason::IssuerUntrusted);
        }
        Ok(identity)
    }

    /// The answer to a caller of whose token nothing is known.
    #[must_use]
    pub fn refusal(&self, outage: &Outage) -> Refusal {
        let (reason, status, retry_after) = match outage {
            Outage::Failed(_) => (Reason::IntrospectionFailed, self.on_outage, None),
            Outage::Unauthorized => (Reason::IntrospectionUnauthorized, self.on_outage, None),
            Outage::Throttled(after) => (Reason::IntrospectionThrottled, 429, after.as_deref()),
        };
        let retry_after = retry_after.unwrap_or(RETRY_AFTER).to_owned();
        Refusal {
            status: Some(status),
            headers: vec![("retry-after", retry_after)],
            ..reason.into()
        }
    }
}

/// For the log: its name, and the cluster. A URI may hold a secret.
impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (cluster {})", self.name, self.endpoint.cluster)
    }
}

// === impl Introspection ===

impl Introspection {
    /// Whether the server says that the token is active.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// What it takes in memory, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.claims.weight()
    }
}

// === impl Outage ===

impl Outage {
    fn failed(why: &str) -> Self {
        Self::Failed(why.into())
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::Unauthorized => f.write_str(
                "the server does not accept the gateway's own credential; check `clientId`, \
                 `clientSecret` and `authMethod`",
            ),
            Self::Throttled(_) => f.write_str("status 429: the server asks for patience"),
        }
    }
}

/// Whether bytes can be a token at all (RFC 6750, 2.1): printable, without a comma, which joins
/// several header lines.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    let letter = |byte: &u8| (0x21..=0x7e).contains(byte) && *byte != b',';
    !text.is_empty() && text.len() <= crate::token::jwt::MAX_BYTES && text.iter().all(letter)
}

fn form(text: &[u8]) -> String {
    // A space is the one letter that a form writes in its own way.
    percent_encode(text, FORM).to_string().replace("%20", "+")
}

/// Whole seconds of a time that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, and no time is negative here"
)]
fn whole(seconds: f64) -> u64 {
    seconds as u64
}

/// Seconds, as the server says them (RFC 9110, 10.2.3).
fn retry_after(reply: &HttpReply) -> Option<Box<str>> {
    let text = std::str::from_utf8(reply.headers.all("retry-after").next()?).ok()?;
    let seconds = !text.is_empty() && text.len() < 6 && text.bytes().all(|it| it.is_ascii_digit());
    seconds.then(|| text.into())
}

#[cfg(test)]
mod tests;
