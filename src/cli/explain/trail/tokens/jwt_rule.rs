//! What one rule says of a JWT, with the values that it judges; and what is wrong with a text that is
//! no JWT. The judgements are those of [`crate::token::jwt`].

use crate::cli::explain::credential::claims_of;
use crate::cli::explain::secrets::shown;
use crate::cli::explain::trail::{Entry, Outcome};
use crate::cli::explain::why::{Why, of_claim};
use crate::cli::worker::Worker;
use crate::keys::Availability;
use crate::policy::JwtRule;
use crate::token::jwt::{self, Jwt};
use crate::verdict::Reason;
use serde_json::Value;
use std::time::{Duration, UNIX_EPOCH};

/// The last second that RFC 3339 can tell, in seconds since the Unix epoch.
const LAST: f64 = 253_402_300_799.0;

/// What a rule says of a token that it has found; `is_named` says whether another rule in scope is
/// for its issuer.
pub(super) fn judged(
    worker: &Worker,
    rule: &JwtRule,
    parsed: &Jwt<'_>,
    claims: &Value,
    is_named: bool,
) -> Result<(), Why> {
    let now = worker.now;
    let issuer = parsed.claims.issuer();
    let of = |name: &str| match claims.get(name) {
        None => "no such claim".to_owned(),
        Some(value) => of_claim(value),
    };
    match &rule.issuer {
        Some(known) if Some(known.as_str()) != issuer => {
            return Err(Why::new("iss", vec![known.clone()], of("iss")));
        }
        None if is_named => {
            let saw = format!("{}, which another rule is for", of("iss"));
            return Err(Why::new("iss", Vec::new(), saw));
        }
        _ => {}
    }
    if let Err(reason) = parsed.claims.check(&rule.demands, now) {
        let at = |name: &str, what: &str| {
            let skew = humantime::format_duration(rule.demands.clock_skew);
            let seconds = claims.get(name).and_then(Value::as_f64).unwrap_or_default();
            let saw = format!(
                "{}, which is {what} by more than `clockSkew`, {skew}; now is {}",
                time(seconds),
                time(now.as_secs_f64())
            );
            Why::new(name, Vec::new(), saw)
        };
        return Err(match reason {
            Reason::TokenAlgorithmUnsupported => {
                let allowed = rule.demands.algorithms.iter().flatten();
                let allowed = allowed.map(ToString::to_string).collect();
                Why::new("algorithms", allowed, format!("`{}`", parsed.algorithm()))
            }
            Reason::TokenExpirationMissing => {
                Why::new("requireExpiration", vec!["exp".to_owned()], of("exp"))
            }
            Reason::TokenSubjectMissing => {
                Why::new("requireSubject", vec!["sub".to_owned()], of("sub"))
            }
            Reason::TokenNotYetValid => at("nbf", "to come"),
            Reason::TokenExpired => at("exp", "over"),
            other => of_reason(other),
        });
    }
    if parsed.claims.check_audience(&rule.audiences).is_err() {
        return Err(Why::new("audiences", rule.audiences.clone(), of("aud")));
    }
    let keys = match worker.keys.of(rule.keys, now) {
        Availability::Ready(keys, _) => keys,
        Availability::Pending | Availability::Failing => {
            let saw = "none could be fetched".to_owned();
            return Err(Why::new("keys of the issuer", Vec::new(), saw));
        }
    };
    let verified = jwt::verify(parsed, keys, worker.keys.verifier());
    verified.map_err(|reason| {
        let id = parsed.key_id().map(|id| shown(id.as_bytes()));
        let id = id.unwrap_or_else(|| "none".to_owned());
        let wanted = format!("`kid` {id} and `alg` `{}`", parsed.algorithm());
        match reason {
            Reason::KeyUnknown => {
                let saw = format!("{} in all, and none for {wanted}", keys.len());
                Why::new("keys of the issuer", Vec::new(), saw)
            }
            Reason::TokenSignature => {
                let saw = format!("not made by a key of the issuer for {wanted}");
                Why::new("signature", Vec::new(), saw)
            }
            other => of_reason(other),
        }
    })
}

/// A text that is no JWT: of its parts, only the member that is at fault.
pub(super) fn unreadable(reason: Reason, token: &[u8], places: &[String]) -> Entry {
    let header = token.split(|byte| *byte == b'.').next().unwrap_or_default();
    let header = claims_of(&[b".", header].concat());
    let payload = claims_of(token);
    let (of, name) = match reason {
        Reason::TokenAlgorithmMissing | Reason::TokenAlgorithmUnsupported => (&header, "alg"),
        Reason::TokenKeyIdInvalid => (&header, "kid"),
        Reason::TokenIssuerType => (&payload, "iss"),
        Reason::TokenSubjectType => (&payload, "sub"),
        Reason::TokenIdType => (&payload, "jti"),
        Reason::TokenAudienceType => (&payload, "aud"),
        Reason::TokenExpirationType | Reason::TokenExpirationRange => (&payload, "exp"),
        Reason::TokenNotBeforeType | Reason::TokenNotBeforeRange => (&payload, "nbf"),
        Reason::TokenIssuedAtType | Reason::TokenIssuedAtRange => (&payload, "iat"),
        _ => (&None, ""),
    };
    let member = of.as_ref().and_then(|it| it.get(name));
    let parts = token.split(|byte| *byte == b'.').count();
    let why = match (reason, name) {
        (Reason::TokenTooLong, _) => {
            let saw = format!("{}; at most {} are allowed", token.len(), jwt::MAX_BYTES);
            Why::new("bytes", Vec::new(), saw)
        }
        (Reason::TokenMalformed, _) => {
            let saw = format!("{parts}; three that are not empty are needed");
            Why::new("parts between dots", Vec::new(), saw)
        }
        (_, "") => of_reason(reason),
        (_, name) => Why::new(
            name,
            Vec::new(),
            match member {
                None => "not there".to_owned(),
                Some(value) => shown(value.to_string().as_bytes()),
            },
        ),
    };
    Entry::new("the token", Outcome::Fails)
        .note(format!("found in {}", places.join(" and ")))
        .why(vec![why])
}

/// A reason in Envoy's words.
fn of_reason(reason: Reason) -> Why {
    Why::new("form", Vec::new(), reason.text().to_owned())
}

/// A time in words.
pub(super) fn time(seconds: f64) -> String {
    let known = Some(seconds).filter(|it| (0.0..=LAST).contains(it));
    let at = known.and_then(|it| UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(it).ok()?));
    at.map_or_else(
        || format!("`{seconds}`"),
        |at| format!("`{}`", humantime::format_rfc3339_seconds(at)),
    )
}
