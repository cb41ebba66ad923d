//! JSON Web Tokens (RFC 7519) in JWS compact form: read, judged, verified.
//!
//! The order is that of Envoy's jwt_authn filter, so that a refusal names the same cause: form,
//! issuer, times, audience, and the signature last, since it costs most. Nothing that is read here
//! may be relied on before [`verify`] has accepted the signature.

use super::signature::{Algorithm, Verifier};
use crate::bytes::parts;
use crate::identity::{ClaimsSet, Identity};
use crate::json;
use crate::keys::KeySet;
use crate::verdict::Reason;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Map, Value};
use std::rc::Rc;
use std::time::Duration;

/// The longest token that is looked at, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// How far the clocks of issuer and gateway may differ, unless a rule says otherwise. Envoy's
/// default.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The longest `kid`, in bytes.
const MAX_KID: usize = 256;

/// Times beyond this are no seconds that a JSON number can tell exactly (RFC 8259, 6).
const MAX_TIME: u64 = 1 << 53;

/// A token that was read and not verified.
#[derive(Debug)]
pub struct Jwt<'t> {
    /// What it says.
    pub claims: Rc<Claims>,
    key_id: Option<String>,
    signed: &'t [u8],
    signature: Vec<u8>,
}

/// The claims of a token, with those read out that decide whether it is valid.
#[derive(Debug)]
pub struct Claims {
    /// All of them; to be used once the token is verified.
    all: Rc<ClaimsSet>,
    expires: Option<u64>,
    not_before: Option<u64>,
    audiences: Vec<String>,
    /// From the header, but judged as the claims are: anew on every request.
    algorithm: Algorithm,
}

/// What a rule demands of every token, beside its issuer, its audience and its signature.
#[derive(Clone, Debug)]
pub struct Demands {
    /// It must be signed with one of them; `None` is every one that fits the key.
    pub algorithms: Option<Vec<Algorithm>>,
    /// How far the clocks of issuer and gateway may differ.
    pub clock_skew: Duration,
    /// Whether it must have `exp`.
    pub expiration: bool,
    /// Whether it must have a `sub` that is not empty.
    pub subject: bool,
}

// === impl Jwt ===

impl Jwt<'_> {
    /// `alg`: how it is signed, so it says.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.claims.algorithm
    }

    /// `kid`: which key it is signed with, so it says.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}

/// Reads a token.
///
/// # Errors
/// It is not a JWS in compact form with a supported header and well-formed claims. Names that occur
/// twice, padding, white space, `crit`, `b64` and unsigned tokens are refused.
pub fn parse(token: &[u8]) -> Result<Jwt<'_>, Reason> {
    if token.len() > MAX_BYTES {
        return Err(Reason::TokenTooLong);
    }
    let mut parts = parts(token, b'.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Reason::TokenMalformed);
    };
    if [header, payload, signature]
        .iter()
        .any(|part| part.is_empty())
    {
        return Err(Reason::TokenMalformed);
    }
    let (algorithm, key_id) = read_header(header)?;
    let payload = BASE64URL
        .decode(payload)
        .map_err(|_| Reason::TokenPayloadBase64)?;
    let claims = match json::parse(&payload, json::MAX_DEPTH) {
        Ok(Value::Object(claims)) => Claims::read(claims, algorithm)?,
        _ => return Err(Reason::TokenPayloadJson),
    };
    let signed = token
        .len()
        .saturating_sub(signature.len())
        .saturating_sub(1);
    Ok(Jwt {
        claims: Rc::new(claims),
        key_id,
        signed: token.get(..signed).unwrap_or_default(),
        signature: BASE64URL
            .decode(signature)
            .map_err(|_| Reason::TokenSignatureBase64)?,
    })
}

fn read_header(part: &[u8]) -> Result<(Algorithm, Option<String>), Reason> {
    let header = BASE64URL
        .decode(part)
        .map_err(|_| Reason::TokenHeaderBase64)?;
    let Ok(Value::Object(header)) = json::parse(&header, json::MAX_DEPTH) else {
        return Err(Reason::TokenHeaderJson);
    };
    // An extension that must be understood (RFC 7515, 4.1.11; RFC 7797): none is.
    if header.contains_key("crit") || header.get("b64").is_some_and(|b64| *b64 != true) {
        return Err(Reason::TokenHeaderCritical);
    }
    let algorithm = header
        .get("alg")
        .and_then(Value::as_str)
        .ok_or(Reason::TokenAlgorithmMissing)?;
    let algorithm = Algorithm::by_name(algorithm).ok_or(Reason::TokenAlgorithmUnsupported)?;
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= MAX_KID => Some(kid.clone()),
        Some(_) => return Err(Reason::TokenKeyIdInvalid),
    };
    Ok((algorithm, key_id))
}

/// Verifies the signature with the keys that fit the token's `kid` and `alg`.
///
/// # Errors
/// No key fits, nobody here verifies that `alg`, or none of the keys that fit made the signature.
pub fn verify(jwt: &Jwt<'_>, keys: &KeySet, verifier: &dyn Verifier) -> Result<(), Reason> {
    let algorithm = jwt.claims.algorithm;
    let fitting = keys.fitting(jwt.key_id.as_deref(), algorithm);
    let mut fitting = fitting.peekable();
    if fitting.peek().is_none() || !verifier.serves(algorithm) {
        return Err(Reason::KeyUnknown);
    }
    match fitting.any(|key| verifier.verify(algorithm, key, jwt.signed, &jwt.signature)) {
        true => Ok(()),
        false => Err(Reason::TokenSignature),
    }
}

/// An audience as Envoy compares it: without `http://` or `https://` before it and one `/` behind.
#[must_use]
pub fn plain_audience(audience: &str) -> &str {
    let plain = audience
        .strip_prefix("http://")
        .or_else(|| audience.strip_prefix("https://"));
    let plain = plain.unwrap_or(audience);
    plain.strip_suffix('/').unwrap_or(plain)
}

// === impl Claims ===

impl Claims {
    /// What they take in memory, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let audiences = self.audiences.iter();
        let audiences = audiences.map(|it| it.len().saturating_add(size_of::<String>()));
        audiences.fold(self.all.weight(), usize::saturating_add)
    }

    fn read(claims: Map<String, Value>, algorithm: Algorithm) -> Result<Self, Reason> {
        // In Envoy's order, which decides what is reported.
        let text = |name: &str, otherwise: Reason| match claims.get(name) {
            Some(claim) if !claim.is_string() => Err(otherwise),
            _ => Ok(()),
        };
        let time = |name: &str, no_number: Reason, no_time: Reason| {
            let claim = claims.get(name);
            claim.map(|it| seconds(it, no_number, no_time)).transpose()
        };
        text("iss", Reason::TokenIssuerType)?;
        text("sub", Reason::TokenSubjectType)?;
        time("iat", Reason::TokenIssuedAtType, Reason::TokenIssuedAtRange)?;
        let not_before = time(
            "nbf",
            Reason::TokenNotBeforeType,
            Reason::TokenNotBeforeRange,
        )?;
        let expires = time(
            "exp",
            Reason::TokenExpirationType,
            Reason::TokenExpirationRange,
        )?;
        text("jti", Reason::TokenIdType)?;
        let audience = |value: &Value| {
            let text = value.as_str().map(str::to_owned);
            text.ok_or(Reason::TokenAudienceType)
        };
        let audiences = match claims.get("aud") {
            None => Vec::new(),
            Some(Value::Array(audiences)) => {
                audiences.iter().map(audience).collect::<Result<_, _>>()?
            }
            Some(only) => vec![audience(only)?],
        };
        Ok(Self {
            all: Rc::new(ClaimsSet::new(claims)),
            expires,
            not_before,
            audiences,
            algorithm,
        })
    }

    /// `iss`
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.all.issuer()
    }

    /// Who sent the token, once its signature was found good by a rule that says which claims are
    /// lists separated by spaces.
    pub(crate) fn verified(&self, space_delimited: Rc<[String]>) -> Identity {
        Identity::new(Rc::clone(&self.all), space_delimited)
    }

    /// Judges the algorithm, and `exp`, `nbf` and `sub` (RFC 7519, 4.1); `now` is the time since the
    /// Unix epoch.
    ///
    /// # Errors
    /// The token is expired or not valid yet, by more than the skew, or lacks what is demanded.
    pub fn check(&self, demands: &Demands, now: Duration) -> Result<(), Reason> {
        let algorithms = demands.algorithms.as_ref();
        if algorithms.is_some_and(|allowed| !allowed.contains(&self.algorithm)) {
            return Err(Reason::TokenAlgorithmUnsupported);
        }
        if demands.expiration && self.expires.is_none() {
            return Err(Reason::TokenExpirationMissing);
        }
        if demands.subject && self.all.subject().is_none_or(str::is_empty) {
            return Err(Reason::TokenSubjectMissing);
        }
        let (now, skew) = (now.as_secs(), demands.clock_skew.as_secs());
        if self
            .not_before
            .is_some_and(|not_before| now.saturating_add(skew) < not_before)
        {
            return Err(Reason::TokenNotYetValid);
        }
        if self
            .expires
            .is_some_and(|expires| now > expires.saturating_add(skew))
        {
            return Err(Reason::TokenExpired);
        }
        Ok(())
    }

    /// Judges `aud` (RFC 7519, 4.1.3) against audiences that are already [`plain_audience`]s.
    ///
    /// # Errors
    /// Audiences are demanded and none of them is in the token.
    pub fn check_audience(&self, allowed: &[String]) -> Result<(), Reason> {
        let mut audiences = self
            .audiences
            .iter()
            .map(|audience| plain_audience(audience));
        match allowed.is_empty()
            || audiences.any(|audience| allowed.iter().any(|it| it == audience))
        {
            true => Ok(()),
            false => Err(Reason::TokenAudience),
        }
    }
}

impl Default for Demands {
    fn default() -> Self {
        Self {
            algorithms: None,
            clock_skew: CLOCK_SKEW,
            expiration: false,
            subject: false,
        }
    }
}

/// Seconds since the Unix epoch; a fraction is dropped.
fn seconds(claim: &Value, no_number: Reason, no_time: Reason) -> Result<u64, Reason> {
    if !claim.is_number() {
        return Err(no_number);
    }
    let whole = claim.as_u64().or_else(|| {
        let number = claim
            .as_f64()
            .filter(|number| (0.0..9e15).contains(number))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in range"
        )]
        Some(number as u64)
    });
    whole.filter(|seconds| *seconds < MAX_TIME).ok_or(no_time)
}

#[cfg(test)]
mod tests;
