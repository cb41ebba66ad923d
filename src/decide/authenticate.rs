//! The token of a request: found, verified by one of the rules in scope, and taken out.
//!
//! Istio's algorithm for several rules, made strict: different tokens at different places are
//! refused, so a second, unverified one never reaches an upstream behind a good one.

use super::{Few, Look, Stop};
use crate::bytes::{is_same, parts};
use crate::cache::{REFUSED_FOR, Refused, Verified};
use crate::config::BindTokens;
use crate::identity::{Confirmation, Identity};
use crate::keys::{Availability, SourceId};
use crate::policy::{ApiRule, Entry, JwtRule, Site, Strategy};
use crate::request::{Reading, Request};
use crate::token::jwt::{self, Claims, Jwt};
use crate::token::{Locations, Place, claim_text, without_cookies, without_parameters};
use crate::verdict::{Change, Reason};
use std::borrow::Cow;
use std::rc::Rc;

/// A token was verified.
pub(super) struct Authenticated<'r> {
    /// Who sent it.
    pub identity: Identity,
    /// The rule that verified it, unless an authorization server did.
    pub by: Option<&'r JwtRule>,
    /// Where it stood, if it is not to be forwarded.
    pub removed: Few<Place<'r>>,
    /// What tells the upstream of it.
    pub outputs: Vec<Change>,
}

/// The token of a request, as far as it was found: one text, at one or several places.
#[derive(Default)]
pub(super) struct Token<'r> {
    pub text: Option<Cow<'r, [u8]>>,
    pub places: Few<Place<'r>>,
}

/// Why a rule does not accept a token.
enum Unaccepted {
    Refused(Reason),
    KeysPending(SourceId),
}

// === impl Token ===

impl<'r> Token<'r> {
    /// Notes every token at these locations, and tells whether there is one.
    pub(super) fn look_at(
        &mut self,
        locations: &'r Locations,
        request: &'r Request<'_>,
    ) -> Result<bool, Reason> {
        let before = self.places.len();
        for found in locations.find(request) {
            match &self.text {
                None => self.text = Some(found.token),
                Some(known) if *known == found.token => {}
                Some(_) => return Err(Reason::TokensDiffer),
            }
            self.places.push(found.place);
        }
        Ok(self.places.len() > before)
    }
}

// === impl Look ===

impl<'a> Look<'a> {
    /// Verifies the token of the request, if it has one and a rule in scope looks for it.
    ///
    /// Where an API rule lets anybody in, or leaves the judgement to somebody else, a token that
    /// nobody here verifies is no identity, and no fault, unless one is demanded all the same.
    pub(super) fn authenticate(
        &mut self,
        sites: &[&'a Site],
        reading: &Reading<'_>,
        api_rule: Option<&'a ApiRule>,
    ) -> Result<Option<Authenticated<'a>>, Stop> {
        if self.request.is_preflight() {
            return Ok(None);
        }
        let own = api_rule
            .and_then(ApiRule::jwt)
            .map(|it| &it.authentications);
        let mut attached: Few<&'a Entry<JwtRule>> = Few::new();
        let entries = sites.iter().flat_map(|site| &site.jwt_rules);
        for entry in entries.filter(|entry| entry.covers(reading.read_path())) {
            let at = attached.partition_point(|known| known.order <= entry.order);
            attached.insert(at, entry);
        }
        let own = own.into_iter().flatten().map(Rc::as_ref);
        let rules: Few<&'a JwtRule> = own
            .chain(attached.iter().map(|entry| entry.item.as_ref()))
            .collect();

        let mut token = Token::default();
        let mut candidates: Few<&JwtRule> = Few::new();
        for rule in &rules {
            if token.look_at(&rule.locations, self.request)? {
                candidates.push(rule);
            }
        }
        let strategy = api_rule.map(|rule| &rule.strategy);
        let required = rules.iter().any(|rule| rule.required);
        if let Some(Strategy::Introspection(demand)) = strategy {
            if required && candidates.is_empty() {
                return Err(Reason::TokenMissing.into());
            }
            return self.introspect(demand, token).map(Some);
        }
        let Token { text, places } = token;
        let Some(text) = text else {
            return match required {
                true => Err(Reason::TokenMissing.into()),
                false => Ok(None),
            };
        };
        let verified = self.verified(&rules, &candidates, &text);
        let may_be_nobody = matches!(
            strategy,
            Some(Strategy::NoAuth | Strategy::ExtAuth(_, None))
        );
        let (rule, claims) = match verified {
            Err(Stop::Refuse(_)) if may_be_nobody && !required => return Ok(None),
            verified => verified?,
        };
        self.note_verified(&attached, rule);
        let identity = claims.verified(Rc::clone(&rule.space_delimited));
        match self.demand_binding(&identity) {
            Err(Stop::Refuse(_)) if may_be_nobody && !required => return Ok(None),
            bound => bound?,
        }
        let removed = match rule.forward_original_token {
            true => Few::new(),
            false => places,
        };
        let outputs = outputs(rule, &text, &identity);
        Ok(Some(Authenticated {
            identity,
            by: Some(rule),
            removed,
            outputs,
        }))
    }

    /// The first of the candidates, which have found the token, that accepts it, and what it says.
    fn verified<'r>(
        &mut self,
        in_scope: &[&JwtRule],
        candidates: &[&'r JwtRule],
        token: &[u8],
    ) -> Result<(&'r JwtRule, Rc<Claims>), Stop> {
        let known = self.caches.verified.get(token);
        let mut parsed = None;
        let claims = match &known {
            Some(known) => Rc::clone(&known.claims),
            None => Rc::clone(&parsed.insert(jwt::parse(token)?).claims),
        };
        let issuer = claims.issuer();
        let is = |known: &str| issuer.is_some_and(|it| is_same(it.as_bytes(), known.as_bytes()));
        let names_it = |rule: &JwtRule| rule.issuer.as_deref().is_some_and(is);
        let mut reasons = Vec::new();
        let mut pending = None;
        for rule in candidates {
            let knows_issuer = match &rule.issuer {
                Some(known) => is(known),
                // Whoever holds the keys of such a rule may not speak for an issuer with its own.
                None => !in_scope.iter().any(|rule| names_it(rule)),
            };
            let accepted = match knows_issuer {
                true => self.accept(rule, token, &claims, known.as_ref(), &mut parsed),
                false => Err(Reason::TokenIssuerUnknown.into()),
            };
            match accepted {
                Ok(()) => return Ok((rule, claims)),
                Err(Unaccepted::Refused(reason)) => reasons.push(reason),
                Err(Unaccepted::KeysPending(source)) => pending = pending.or(Some(source)),
            }
        }
        Err(pending.map_or_else(|| reported(&reasons).into(), Stop::Wait))
    }

    /// Judges a token by one rule; the signature last, and only if it is not known to be good.
    fn accept<'t>(
        &mut self,
        rule: &JwtRule,
        token: &'t [u8],
        claims: &Claims,
        known: Option<&Verified>,
        parsed: &mut Option<Jwt<'t>>,
    ) -> Result<(), Unaccepted> {
        claims.check(&rule.demands, self.now)?;
        claims.check_audience(&rule.audiences)?;
        let id = match self.keys.of(rule.keys, self.now) {
            Availability::Ready(_, id) => id,
            Availability::Pending if !self.answers.waited.contains(&rule.keys) => {
                return Err(Unaccepted::KeysPending(rule.keys));
            }
            Availability::Pending | Availability::Failing => {
                return Err(Reason::KeysUnavailable.into());
            }
        };
        if known.is_some_and(|it| it.keys == id) {
            self.caches.verified_lookups.note(true);
            return Ok(());
        }
        self.verify(rule, token, parsed)
    }

    /// Verifies a token that was not verified before with the keys that there are now.
    #[inline(never)]
    fn verify<'t>(
        &mut self,
        rule: &JwtRule,
        token: &'t [u8],
        parsed: &mut Option<Jwt<'t>>,
    ) -> Result<(), Unaccepted> {
        let Availability::Ready(keys, id) = self.keys.of(rule.keys, self.now) else {
            return Err(Reason::KeysUnavailable.into());
        };
        let jwt = match parsed {
            Some(jwt) => jwt,
            None => parsed.insert(jwt::parse(token)?),
        };
        let refused = self.caches.refused.get(token);
        let refused = refused.is_some_and(|it| it.keys == id && self.now < it.until);
        self.caches.verified_lookups.note(refused);
        if refused {
            return Err(Reason::TokenSignature.into());
        }
        match jwt::verify(jwt, keys, self.keys.verifier()) {
            Ok(()) => {}
            Err(Reason::KeyUnknown) if self.keys.may_bring(jwt.algorithm()) => {
                return Err(self.without_key(rule.keys, jwt.key_id()));
            }
            Err(Reason::KeyUnknown) => return Err(Reason::KeyUnknown.into()),
            Err(reason) => {
                let until = self.now.saturating_add(REFUSED_FOR);
                self.caches
                    .refused
                    .insert(token, Refused { keys: id, until });
                return Err(reason.into());
            }
        }
        let claims = Rc::clone(&jwt.claims);
        self.caches
            .verified
            .insert(token, Verified { claims, keys: id });
        Ok(())
    }
}

impl Look<'_> {
    /// A token that is bound to a client certificate must come by a connection with that one; one
    /// that is bound to another key cannot be shown as a bearer token (RFC 8705, 3; RFC 7800).
    pub(super) fn demand_binding(&self, identity: &Identity) -> Result<(), Stop> {
        let bind = self.policy.client_certificate.bind_tokens;
        let confirmation = identity.confirmation();
        let bound_to = match (bind, confirmation) {
            (BindTokens::Off, _) | (BindTokens::IfPresent, Confirmation::None) => return Ok(()),
            (_, Confirmation::Certificate(digest)) => digest,
            (_, Confirmation::None | Confirmation::Other) => {
                return Err(Reason::TokenBinding.into());
            }
        };
        let connection = self.request.connection;
        if !connection.peer_known {
            return Err(Stop::Peer);
        }
        let peer = connection.peer.as_ref();
        match peer.and_then(|peer| peer.sha256) == Some(*bound_to) {
            true => Ok(()),
            false => Err(Reason::TokenBinding.into()),
        }
    }

    /// A token whose key its issuer does not have, or not yet.
    fn without_key(&mut self, source: SourceId, key_id: Option<&str>) -> Unaccepted {
        if self.answers.waited.contains(&source) {
            self.keys.waited_in_vain(source, key_id, self.now);
        } else if self.keys.wait_for(source, key_id, self.now) {
            return Unaccepted::KeysPending(source);
        }
        Unaccepted::Refused(Reason::KeyUnknown)
    }
}

impl From<Reason> for Unaccepted {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
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

/// Takes every copy of a token out of the request, whose path goes on as it was judged.
pub(super) fn remove(request: &Request<'_>, places: &[Place<'_>], changes: &mut Vec<Change>) {
    let (mut parameters, mut cookies) = (Vec::new(), Vec::new());
    for place in places {
        match place {
            Place::Header(name) => {
                let change = Change::Remove(name.as_bytes().into());
                if !changes.contains(&change) {
                    changes.push(change);
                }
            }
            Place::Parameter(name) => parameters.push(*name),
            Place::Cookie(name) => cookies.push(*name),
        }
    }
    let path = without_parameters(&request.path, &parameters);
    let path = path.or_else(|| request.changed_path().map(<[u8]>::to_vec));
    changes.extend(path.map(|path| Change::Set(b":path"[..].into(), path)));
    let name = || b"cookie"[..].into();
    changes.extend(
        without_cookies(request.headers, &cookies).map(|left| match left.is_empty() {
            true => Change::Remove(name()),
            false => Change::Set(name(), left),
        }),
    );
}

/// What tells the upstream what the token says, as the rule wants.
fn outputs(rule: &JwtRule, token: &[u8], identity: &Identity) -> Vec<Change> {
    let set = |name: &str, value: &[u8]| Change::Set(name.as_bytes().into(), value.to_vec());
    let payload = rule.payload_header.as_ref().and_then(|name| {
        let payload = parts(token, b'.').nth(1)?;
        Some(set(name, payload))
    });
    let claims = rule.claim_headers.iter().filter_map(|header| {
        let text = claim_text(identity.claim(&header.claim)?)?;
        Some(set(&header.name, text.as_bytes()))
    });
    payload.into_iter().chain(claims).collect()
}
