//! `jwtRules[]`: Istio's `RequestAuthentication.spec.jwtRules`, and where each is attached.
//!
//! Reads and checks; which rules judge a request is [`crate::policy`]'s business.

use super::AppliesTo;
use super::reader::At;
use crate::keys::KeySet;
use http::Uri;
use std::time::Duration;

/// One rule: whose tokens are accepted, and where they are looked for.
#[derive(Debug)]
pub struct JwtRule {
    /// Names the rule in logs and metrics; the issuer if absent.
    pub name: String,
    /// Where it is attached; empty means everywhere.
    pub applies_to: Vec<AppliesTo>,
    /// `iss` must be exactly this.
    pub issuer: String,
    /// One of them must be in `aud`; empty means no demand.
    pub audiences: Vec<String>,
    /// Where the keys come from.
    pub keys: KeySource,
    /// Headers that may carry the token.
    pub from_headers: Vec<FromHeader>,
    /// Query parameters that may carry the token.
    pub from_params: Vec<String>,
    /// Whether the token goes on to the upstream.
    pub forward_original_token: bool,
}

/// `fromHeaders[]`: a header, and what stands before the token in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromHeader {
    /// Lower case.
    pub name: String,
    /// May be empty. One that ends with a space is a scheme (RFC 9110, 11.1), in any case.
    pub prefix: String,
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// `jwks`: in the configuration itself.
    Inline(KeySet),
    /// `jwksUri`: fetched.
    Remote(RemoteKeys),
}

/// `jwksUri`, and the Envoy cluster through which it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteKeys {
    /// `host[:port]` of the URI.
    pub authority: String,
    /// Path and query of the URI.
    pub path: String,
    /// `cluster`, or `outbound|<port>||<host>` as Istio names it.
    pub cluster: String,
    /// How long one fetch may take.
    pub timeout: Duration,
}

/// How long one fetch of keys may take. Istio's default.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn read(at: Option<At<'_>>) -> Vec<JwtRule> {
    at.map(|at| at.list(rule)).unwrap_or_default()
}

fn rule(at: At<'_>) -> Option<JwtRule> {
    let mut fields = at.object()?;
    let name = fields.optional("name").and_then(|at| at.name());
    let applies_to = AppliesTo::read(&mut fields);
    let issuer = fields.required("issuer").and_then(|at| at.text());
    let audiences = fields.optional("audiences");
    let audiences = audiences.map(|at| at.non_empty_list(|at| at.text().map(str::to_owned)));
    let jwks = fields.optional("jwks");
    let jwks_uri = fields.optional("jwksUri");
    let cluster = fields.optional("cluster");
    let from_headers = fields.optional("fromHeaders");
    let from_headers = from_headers.map(|at| at.non_empty_list(from_header));
    let from_params = fields.optional("fromParams");
    let from_params = from_params.map(|at| at.non_empty_list(|at| at.text().map(str::to_owned)));
    let forward = fields.optional("forwardOriginalToken");
    fields.finish();

    let keys = match (jwks, jwks_uri) {
        (Some(jwks), None) => {
            if let Some(cluster) = cluster {
                cluster.fault("not used with `jwks`; leave it out");
            }
            inline(jwks).map(KeySource::Inline)
        }
        (None, Some(uri)) => {
            let cluster = cluster.map(|at| at.text().map(str::to_owned));
            remote(uri, cluster).map(KeySource::Remote)
        }
        (Some(_), Some(uri)) => {
            uri.fault("given beside `jwks`; one of the two is allowed");
            None
        }
        (None, None) => {
            at.fault("no keys; give `jwks` or `jwksUri`");
            None
        }
    };

    // Istio: as soon as one location is given, the defaults are off.
    let defaults = from_headers.is_none() && from_params.is_none();
    let issuer = issuer?;
    Some(JwtRule {
        name: name.unwrap_or_else(|| issuer.to_owned()),
        applies_to,
        issuer: issuer.to_owned(),
        audiences: audiences.unwrap_or_default(),
        keys: keys?,
        from_headers: match from_headers {
            None if defaults => vec![FromHeader::bearer()],
            given => given.unwrap_or_default(),
        },
        from_params: match from_params {
            None if defaults => vec!["access_token".to_owned()],
            given => given.unwrap_or_default(),
        },
        forward_original_token: forward.and_then(|at| at.boolean()).unwrap_or(false),
    })
}

fn inline(at: At<'_>) -> Option<KeySet> {
    let (keys, skipped) = at.parsed(|text| {
        let read = KeySet::read(text.as_bytes());
        read.map_err(|error| format!("the text of a JSON Web Key Set ({error})"))
    })?;
    if keys.is_empty() {
        let reasons: Vec<_> = skipped.iter().map(ToString::to_string).collect();
        at.fault(format!("no usable key: {}", reasons.join("; ")));
    }
    Some(keys)
}

fn remote(at: At<'_>, cluster: Option<Option<String>>) -> Option<RemoteKeys> {
    const ALLOWED: &str = "an `http://` or `https://` URI with a host and without user";
    let uri: Uri = at.parsed(|text| text.parse().map_err(|_| ALLOWED.to_owned()))?;
    let default_port = match uri.scheme_str() {
        Some("https") => 443,
        Some("http") => 80,
        _ => {
            at.unexpected(ALLOWED);
            return None;
        }
    };
    let authority = uri.authority().filter(|it| !it.as_str().contains('@'));
    let Some(authority) = authority else {
        at.unexpected(ALLOWED);
        return None;
    };
    let port = authority.port_u16().unwrap_or(default_port);
    let derived = || Some(format!("outbound|{port}||{}", authority.host()));
    Some(RemoteKeys {
        authority: authority.as_str().to_owned(),
        path: uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned(),
        cluster: cluster.unwrap_or_else(derived)?,
        timeout: FETCH_TIMEOUT,
    })
}

fn from_header(at: At<'_>) -> Option<FromHeader> {
    let mut fields = at.object()?;
    let name = fields.required("name").and_then(|at| {
        at.parsed(|text| {
            let token =
                |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!#$%&'*+^`|".contains(&byte);
            let allowed = || "a header name (RFC 9110, 5.1)".to_owned();
            text.bytes()
                .all(token)
                .then(|| text.to_ascii_lowercase())
                .ok_or_else(allowed)
        })
    });
    let prefix = fields
        .optional("prefix")
        .map(|at| at.text().map(str::to_owned));
    fields.finish();
    Some(FromHeader {
        name: name?,
        prefix: prefix.unwrap_or_else(|| Some(String::new()))?,
    })
}

// === impl FromHeader ===

impl FromHeader {
    /// Where a bearer token is by default (RFC 6750, 2.1).
    fn bearer() -> Self {
        Self {
            name: "authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
        }
    }
}
