//! The token of a request: found, verified by one of the rules in scope, and taken out.
//!
//! Istio's algorithm for several rules, made strict: different tokens at different places are
//! refused, so a second, unverified one never reaches an upstream behind a good one.

use super::{Look, Stop};
use crate::cache::Verified;
use crate::keys::{Availability, SourceId};
use crate::policy::{Entry, JwtRule};
use crate::token::jwt::{self, Claims, Jwt};
use crate::token::{Place, without_parameters};
use crate::verdict::{Change, Reason};
use std::rc::Rc;

/// A token was verified.
pub(super) struct Authenticated<'r> {
    /// What it says.
    pub claims: Rc<Claims>,
    /// Where it stood, if it is not to be forwarded.
    pub removed: Vec<Place<'r>>,
}

/// Why a rule does not accept a token.
enum Unaccepted {
    Refused(Reason),
    KeysPending(SourceId),
}

/// Verifies the one token that the rules find, by the first rule that accepts it.
pub(super) fn authenticate<'a>(
    look: &mut Look<'a>,
    rules: &[&'a Entry<JwtRule>],
) -> Result<Option<Authenticated<'a>>, Stop> {
    let mut token = None;
    let mut places = Vec::new();
    let mut candidates: Vec<&JwtRule> = Vec::new();
    for rule in rules {
        let places_before = places.len();
        for found in rule.item.locations.find(look.request) {
            let known = token.get_or_insert_with(|| found.token.clone());
            if *known != found.token {
                return Err(Reason::TokensDiffer.into());
            }
            places.push(found.place);
        }
        if places.len() > places_before {
            candidates.push(&rule.item);
        }
    }
    let Some(token) = token else {
        return Ok(None);
    };

    let verified = look.caches.verified.get(&token).cloned();
    let mut parsed = None;
    let claims = match &verified {
        Some(verified) => Rc::clone(&verified.claims),
        None => Rc::clone(&parsed.insert(jwt::parse(&token)?).claims),
    };
    let mut reasons = Vec::new();
    let mut pending = None;
    for rule in candidates {
        match accept(look, rule, &token, &claims, verified.as_ref(), &mut parsed) {
            Ok(()) => {
                let removed = match rule.forward_original_token {
                    true => Vec::new(),
                    false => places,
                };
                return Ok(Some(Authenticated { claims, removed }));
            }
            Err(Unaccepted::Refused(reason)) => reasons.push(reason),
            Err(Unaccepted::KeysPending(source)) => pending = pending.or(Some(source)),
        }
    }
    Err(pending.map_or_else(|| reported(&reasons).into(), Stop::Wait))
}

/// Judges a token by one rule; the signature last, and only if it is not known to be good.
fn accept<'t>(
    look: &mut Look<'_>,
    rule: &JwtRule,
    token: &'t [u8],
    claims: &Claims,
    verified: Option<&Verified>,
    parsed: &mut Option<Jwt<'t>>,
) -> Result<(), Unaccepted> {
    if claims.identity.issuer() != Some(&rule.issuer) {
        return Err(Reason::TokenIssuerUnknown.into());
    }
    claims.check_times(look.now)?;
    claims.check_audience(&rule.audiences)?;
    let (keys, generation) = match look.keys.of(rule.keys, look.now) {
        Availability::Ready(keys, generation) => (keys, generation),
        Availability::Pending if !look.answers.waited.contains(&rule.keys) => {
            return Err(Unaccepted::KeysPending(rule.keys));
        }
        Availability::Pending | Availability::Failing => {
            return Err(Reason::KeysUnavailable.into());
        }
    };
    let same = |it: &Verified| it.source == rule.keys && it.generation == generation;
    if verified.is_some_and(same) {
        return Ok(());
    }
    let jwt = match parsed {
        Some(jwt) => jwt,
        None => parsed.insert(jwt::parse(token)?),
    };
    jwt::verify(jwt, keys, look.keys.verifier())?;
    let claims = Rc::clone(&jwt.claims);
    look.caches.verified.insert(
        token,
        Verified {
            claims,
            source: rule.keys,
            generation,
        },
    );
    Ok(())
}

/// The reason that a caller is told when no rule accepts: the first rule's, unless all it says is
/// that it does not know the issuer; then the last one that says more (as Envoy's verifier does).
pub(super) fn reported(reasons: &[Reason]) -> Reason {
    let says_more = |reason: &&Reason| **reason != Reason::TokenIssuerUnknown;
    let first = reasons.first().filter(says_more);
    let last = || reasons.iter().rfind(says_more);
    first
        .or_else(last)
        .copied()
        .unwrap_or(Reason::TokenIssuerUnknown)
}

/// What takes every copy of a token out of the request.
pub(super) fn removal(path: &[u8], places: &[Place<'_>]) -> Vec<Change> {
    let (mut changes, mut parameters) = (Vec::new(), Vec::new());
    for place in places {
        match place {
            Place::Header(name) => {
                let change = Change::Remove(name.as_bytes().to_vec());
                if !changes.contains(&change) {
                    changes.push(change);
                }
            }
            Place::Parameter(name) => parameters.push(*name),
        }
    }
    changes.extend(without_parameters(path, &parameters).map(Change::SetPath));
    changes
}

impl From<Reason> for Unaccepted {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}
