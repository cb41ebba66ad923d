//! `jwtRules[]`: Istio's `RequestAuthentication.spec.jwtRules`, and where each is attached.
//!
//! Reads and checks; which rules judge a request is [`crate::policy`]'s business.

use super::AppliesTo;
use super::reader::{At, Fields};
use super::values::{self, text};
use crate::keys::{Discovery, Endpoint, FetchFailure, KeySet};
use crate::token::jwt::{CLOCK_SKEW, Demands};
use crate::token::signature::{Algorithm, Provenance};
use std::ops::RangeInclusive;
use std::time::Duration;

/// One rule: whose tokens are accepted, where they are looked for, and what the upstream learns.
#[derive(Debug)]
pub struct JwtRule {
    /// Names the rule in logs and metrics; the issuer if absent.
    pub name: String,
    /// Where it is attached; empty means everywhere.
    pub applies_to: Vec<AppliesTo>,
    /// `iss` must be exactly this. Without one, any issuer that no other rule in scope names.
    pub issuer: Option<String>,
    /// `algorithms`, `clockSkew`, `requireExpiration`, `requireSubject`.
    pub demands: Demands,
    /// One of them must be in `aud`; empty means no demand.
    pub audiences: Vec<String>,
    /// Where the keys come from.
    pub keys: KeySource,
    /// Headers that may carry the token.
    pub from_headers: Vec<FromHeader>,
    /// Query parameters that may carry the token.
    pub from_params: Vec<String>,
    /// Cookies that may carry the token.
    pub from_cookies: Vec<String>,
    /// Whether the token goes on to the upstream.
    pub forward_original_token: bool,
    /// Claims whose text is a list separated by spaces.
    pub space_delimited_claims: Vec<String>,
    /// `presence: REQUIRED`: whether a request without a token is refused.
    pub required: bool,
    /// A header for the payload, as it was sent; lower case.
    pub output_payload_to_header: Option<String>,
    /// Headers for claims.
    pub output_claim_to_headers: Vec<ClaimToHeader>,
}

/// `outputClaimToHeaders[]`: a header that tells the upstream a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimToHeader {
    /// Lower case.
    pub header: String,
    /// The claim; a dot leads into an object.
    pub claim: String,
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
    /// `jwksUri`, or discovery: fetched.
    Remote(RemoteKeys),
}

/// Keys that are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteKeys {
    /// Where they are.
    pub origin: Origin,
    /// How long one fetch may take.
    pub timeout: Duration,
    /// How long keys serve before they are fetched again.
    pub refresh: Duration,
}

/// Where keys are fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `jwksUri`
    Uri(Endpoint),
    /// Where the issuer's discovery document says, since there is neither `jwks` nor `jwksUri`.
    Discovery(Discovery),
}

/// How long one fetch of keys may take. Istio's default.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long keys serve before they are fetched again: Istio's default, and what is allowed. The
/// longest is well below the time for which keys serve while fetches fail.
const REFRESH: Duration = Duration::from_secs(300);
const REFRESHES: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(43_200);

/// What is not the same for `jwtRules` and the `authentications` of an API rule.
struct Defaults {
    /// `forwardOriginalToken`
    forward: bool,
    /// `requireExpiration`
    expiration: bool,
}

const OF_JWT_RULES: Defaults = Defaults {
    forward: false,
    expiration: false,
};

const OF_API_RULES: Defaults = Defaults {
    forward: true,
    expiration: true,
};

/// More is no skew of clocks.
const CLOCK_SKEWS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);

pub(super) fn read(at: Option<At<'_>>) -> Vec<JwtRule> {
    at.map(|at| at.list(rule)).unwrap_or_default()
}

/// `authentications[]` of an API rule: attached to that rule and to nothing else.
pub(super) fn authentication(at: At<'_>) -> Option<JwtRule> {
    let mut fields = at.object()?;
    for (name, why) in [
        ("appliesTo", "it belongs to its rule; leave it out"),
        ("presence", "its rule demands a token anyway; leave it out"),
    ] {
        if fields.has(name) {
            fields.optional(name).inspect(|at| at.fault(why));
        }
    }
    let rule = read_rule(at, &mut fields, Vec::new(), &OF_API_RULES);
    fields.finish();
    rule
}

fn rule(at: At<'_>) -> Option<JwtRule> {
    let mut fields = at.object()?;
    let applies_to = AppliesTo::read(&mut fields);
    let presence = fields.optional("presence");
    let presence = presence.map(|at| at.one_of(&[("OPTIONAL", false), ("REQUIRED", true)]));
    let rule = read_rule(at, &mut fields, applies_to, &OF_JWT_RULES);
    fields.finish();
    Some(JwtRule {
        required: presence.flatten().unwrap_or(false),
        ..rule?
    })
}

fn read_rule(
    at: At<'_>,
    fields: &mut Fields<'_>,
    applies_to: Vec<AppliesTo>,
    defaults: &Defaults,
) -> Option<JwtRule> {
    let name = fields.optional("name").map(|at| at.name());
    let issuer = fields.optional("issuer").map(text);
    let audiences = fields
        .optional("audiences")
        .map(|at| at.non_empty_list(text));
    let jwks = fields.optional("jwks");
    let jwks_uri = fields.optional("jwksUri");
    let cluster = fields.optional("cluster");
    let timeout = fields.optional("timeout").map(|at| at.duration());
    let refresh = fields.optional("refresh");
    let demands = demands(fields, defaults);
    let from_headers = fields
        .optional("fromHeaders")
        .map(|at| at.non_empty_list(from_header));
    let from_params = fields
        .optional("fromParams")
        .map(|at| at.non_empty_list(text));
    let from_cookies = fields
        .optional("fromCookies")
        .map(|at| at.non_empty_list(text));
    let forward = fields
        .optional("forwardOriginalToken")
        .map(|at| at.boolean());
    let space_delimited = fields
        .optional("spaceDelimitedClaims")
        .map(|at| at.list(text));
    let payload = fields
        .optional("outputPayloadToHeader")
        .map(|at| values::header_name(&at));
    let claims = fields.optional("outputClaimToHeaders");
    let claims = claims.map(|at| at.non_empty_list(claim_to_header));

    if issuer.is_none() && name.is_none() {
        at.fault("neither `issuer` nor `name`; a rule for any issuer needs a name");
    }
    let issuer = issuer.flatten();
    let cluster_name = cluster.and_then(|at| at.text());
    let remote = |origin: Origin| {
        let refresh = refresh.map(|at| at.duration_in(&REFRESHES));
        Some(KeySource::Remote(RemoteKeys {
            origin,
            timeout: timeout.unwrap_or(Some(FETCH_TIMEOUT))?,
            refresh: refresh.unwrap_or(Some(REFRESH))?,
        }))
    };
    let keys = match (jwks, jwks_uri) {
        (Some(jwks), None) => {
            for unused in cluster.iter().chain(&refresh) {
                unused.fault("not used with `jwks`; leave it out");
            }
            inline(jwks).map(KeySource::Inline)
        }
        (None, Some(uri)) => uri
            .parsed(|uri| Endpoint::parse(uri, cluster_name))
            .and_then(|endpoint| remote(Origin::Uri(endpoint))),
        (Some(_), Some(uri)) => {
            uri.fault("given beside `jwks`; one of the two is allowed");
            None
        }
        (None, None) => match issuer.as_deref().map(|it| Discovery::of(it, cluster_name)) {
            Some(Ok(discovery)) => remote(Origin::Discovery(discovery)),
            Some(Err(_)) => {
                at.fault(
                    "no keys; give `jwks` or `jwksUri`, or an `issuer` that is an `https://` URL \
                     whose keys can be discovered",
                );
                None
            }
            None => {
                at.fault("no keys; give `jwks` or `jwksUri`");
                None
            }
        },
    };

    // Istio: as soon as one location is given, the defaults are off.
    let by_default = from_headers.is_none() && from_params.is_none() && from_cookies.is_none();
    Some(JwtRule {
        name: name.flatten().or_else(|| issuer.clone())?,
        applies_to,
        issuer,
        demands,
        audiences: audiences.unwrap_or_default(),
        keys: keys?,
        from_headers: match from_headers {
            None if by_default => vec![FromHeader::bearer()],
            given => given.unwrap_or_default(),
        },
        from_params: match from_params {
            None if by_default => vec!["access_token".to_owned()],
            given => given.unwrap_or_default(),
        },
        from_cookies: from_cookies.unwrap_or_default(),
        forward_original_token: forward.flatten().unwrap_or(defaults.forward),
        space_delimited_claims: space_delimited.unwrap_or_default(),
        required: false,
        output_payload_to_header: payload.flatten(),
        output_claim_to_headers: claims.unwrap_or_default(),
    })
}

fn demands(fields: &mut Fields<'_>, defaults: &Defaults) -> Demands {
    let algorithms = fields.optional("algorithms");
    let algorithms = algorithms.map(|at| at.non_empty_list(|at| at.one_of(&Algorithm::NAMES)));
    let skew = fields.optional("clockSkew");
    let skew = skew.and_then(|at| at.duration_in(&CLOCK_SKEWS));
    let mut flag = |name| fields.optional(name).and_then(|at| at.boolean());
    Demands {
        algorithms,
        clock_skew: skew.unwrap_or(CLOCK_SKEW),
        expiration: flag("requireExpiration").unwrap_or(defaults.expiration),
        subject: flag("requireSubject").unwrap_or(false),
    }
}

fn inline(at: At<'_>) -> Option<KeySet> {
    // What was found is not told: a secret may be in it.
    let (keys, skipped) = match KeySet::read(at.text()?.as_bytes(), Provenance::Configuration) {
        Ok(read) => read,
        Err(error) => {
            at.fault(format!("not the text of a JSON Web Key Set: {error}"));
            return None;
        }
    };
    if keys.is_empty() {
        at.fault(FetchFailure::NoUsableKey(skipped).to_string());
    }
    Some(keys)
}

fn from_header(at: At<'_>) -> Option<FromHeader> {
    let mut fields = at.object()?;
    let name = fields
        .required("name")
        .and_then(|at| values::header_name(&at));
    let prefix = fields
        .optional("prefix")
        .map(|at| at.any_text().map(str::to_owned));
    fields.finish();
    Some(FromHeader {
        name: name?,
        prefix: prefix.unwrap_or_else(|| Some(String::new()))?,
    })
}

fn claim_to_header(at: At<'_>) -> Option<ClaimToHeader> {
    let mut fields = at.object()?;
    let header = fields.required("header");
    let header = header.and_then(|at| values::settable(at.text()?, &at));
    let claim = fields
        .required("claim")
        .and_then(|at| at.text().map(str::to_owned));
    fields.finish();
    Some(ClaimToHeader {
        header: header?,
        claim: claim?,
    })
}

// === impl FromHeader ===

impl FromHeader {
    /// Where a bearer token is by default (RFC 6750, 2.1).
    pub(crate) fn bearer() -> Self {
        Self {
            name: "authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
        }
    }
}
