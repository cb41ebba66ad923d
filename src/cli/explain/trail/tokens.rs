//! The token of the request: which rules look for it, where it was found, and what each of them, or
//! the authorization server, says of it.

mod jwt_rule;
mod opaque;

use super::{Entry, Outcome, Walk};
use crate::cli::explain::credential::claims_of;
use crate::cli::explain::why::Why;
use crate::config::BindTokens;
use crate::identity::{Confirmation, Identity};
use crate::peer::hex;
use crate::policy::{ApiRule, JwtRule, Strategy};
use crate::request::Reading;
use crate::token::jwt;
use crate::token::{Locations, Place};
use jwt_rule::{judged, unreadable};
use std::borrow::Cow;
use std::rc::Rc;

/// Who sent the request, and the rule that verified the token.
type Authenticated<'a> = (Identity, Option<&'a JwtRule>);

// === impl Walk ===

impl<'a> Walk<'a> {
    /// The rules on tokens in scope, in order: those of the API rule, then those of `jwtRules`.
    pub(super) fn jwt_rules(
        &self,
        reading: &Reading<'_>,
        rule: Option<&'a ApiRule>,
    ) -> Vec<&'a JwtRule> {
        let own = rule.and_then(ApiRule::jwt).map(|it| &it.authentications);
        let entries = self.sites.iter().flat_map(|site| &site.jwt_rules);
        let mut attached: Vec<_> = entries
            .filter(|it| it.covers(reading.read_path()))
            .collect();
        attached.sort_by_key(|entry| entry.order);
        let attached = attached.into_iter().map(|entry| entry.item.as_ref());
        own.into_iter()
            .flatten()
            .map(Rc::as_ref)
            .chain(attached)
            .collect()
    }

    /// What is said of the token, and who sent it.
    pub(super) fn token_entries(
        &self,
        reading: &Reading<'_>,
        rule: Option<&'a ApiRule>,
    ) -> (Vec<Entry>, Option<Authenticated<'a>>) {
        if self.request.is_preflight() {
            let entry = Entry::new("CORS preflight", Outcome::Fact);
            return (vec![entry.note("no token is looked for")], None);
        }
        let rules = self.jwt_rules(reading, rule);
        let strategy = rule.map(|rule| &rule.strategy);
        let mut entries = Vec::new();
        let mut tokens: Vec<Cow<'_, [u8]>> = Vec::new();
        let mut candidates = Vec::new();
        for rule in &rules {
            let places = self.places(&rule.locations, &mut tokens);
            if places.is_empty() {
                entries.push(absent(&named(rule), &rule.locations, rule.required));
            } else {
                candidates.push((*rule, places));
            }
        }
        if let Some(Strategy::Introspection(demand)) = strategy {
            let (more, identity) = self.introspected(demand, &mut tokens);
            entries.extend(more);
            return (entries, identity.map(|it| (it, None)));
        }
        if tokens.len() > 1 {
            let places = candidates.iter().flat_map(|(_, places)| places);
            entries.push(differing(places));
            return (entries, None);
        }
        let Some(token) = tokens.first() else {
            return (entries, None);
        };
        let parsed = match jwt::parse(token) {
            Ok(parsed) => parsed,
            Err(reason) => {
                let places = candidates.iter().flat_map(|(_, places)| places);
                entries.push(unreadable(reason, token, &distinct(places)));
                return (entries, None);
            }
        };
        let claims = claims_of(token).unwrap_or_default();
        let issuer = parsed.claims.issuer();
        let is_named = rules
            .iter()
            .any(|it| it.issuer.is_some() && it.issuer.as_deref() == issuer);
        let mut accepted = None;
        for (rule, places) in candidates {
            let judged = judged(self.worker, rule, &parsed, &claims, is_named);
            let found = format!("the token in {}", places.join(" and "));
            let name = named(rule);
            let entry = match judged {
                Ok(()) => Entry::new(name, Outcome::Accepts).note(found),
                Err(why) => Entry::new(name, Outcome::Refused)
                    .note(found)
                    .why(vec![why]),
            };
            let is_accepted = entry.outcome == Outcome::Accepts;
            entries.push(entry);
            if is_accepted {
                let identity = parsed.claims.verified(Rc::clone(&rule.space_delimited));
                accepted = Some((identity, Some(rule)));
                break;
            }
        }
        let bound = accepted
            .as_ref()
            .and_then(|(identity, _)| self.binding(identity));
        let is_bound = bound
            .as_ref()
            .is_none_or(|it| it.outcome == Outcome::Fulfilled);
        entries.extend(bound);
        let may_be_nobody = matches!(
            strategy,
            Some(Strategy::NoAuth | Strategy::ExtAuth(_, None))
        );
        let accepted = accepted.filter(|_| is_bound);
        if accepted.is_none() && may_be_nobody {
            let note = "the API rule lets anybody in: a token that is not good is no identity";
            entries.push(Entry::new("identity", Outcome::Fact).note(note));
        }
        (entries, accepted)
    }

    /// Where tokens stand; notes each other one.
    fn places<'s>(
        &'s self,
        locations: &'s Locations,
        tokens: &mut Vec<Cow<'s, [u8]>>,
    ) -> Vec<String> {
        let mut places = Vec::new();
        for found in locations.find(self.request) {
            if !tokens.contains(&found.token) {
                tokens.push(found.token);
            }
            let place = match found.place {
                Place::Header(name) => format!("header `{name}`"),
                Place::Parameter(name) => format!("query parameter `{name}`"),
                Place::Cookie(name) => format!("cookie `{name}`"),
            };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    /// Whether the connection shows what the token is bound to.
    fn binding(&self, identity: &Identity) -> Option<Entry> {
        let demanded = match (
            self.policy.client_certificate.bind_tokens,
            identity.confirmation(),
        ) {
            (BindTokens::Off, _) | (BindTokens::IfPresent, Confirmation::None) => return None,
            (_, Confirmation::Certificate(digest)) => Ok(format!(
                "bound to the certificate with the SHA-256 `{}`",
                hex(digest)
            )),
            (_, Confirmation::None) => {
                Err("`bindTokens: required` demands a token that is bound to a certificate")
            }
            (_, Confirmation::Other) => Err("only a certificate (`x5t#S256`) can be shown here"),
        };
        let peer = self.request.connection.peer.as_ref();
        let digest = peer.and_then(|peer| peer.sha256);
        let shows = match (peer, digest) {
            (None, _) => "no client certificate".to_owned(),
            (Some(_), None) => "one whose SHA-256 is not given (`--peer-sha256`)".to_owned(),
            (Some(_), Some(digest)) => format!("the one with `{}`", hex(&digest)),
        };
        let entry = |outcome| Entry::new("binding of the token (`cnf`)", outcome);
        Some(match (demanded, identity.confirmation(), digest) {
            (Ok(_), Confirmation::Certificate(wanted), Some(digest)) if *wanted == digest => {
                entry(Outcome::Fulfilled).note("the connection shows that certificate")
            }
            (Ok(demanded), ..) => {
                let saw = format!("{demanded}, and the connection shows {shows}");
                entry(Outcome::Fails).why(vec![Why::new("cnf", Vec::new(), saw)])
            }
            (Err(demanded), ..) => {
                let saw = match identity.confirmation() {
                    Confirmation::None => "no such claim",
                    _ => "another kind of key, or one that cannot be read",
                };
                let why = Why::new("cnf", Vec::new(), format!("{saw}; {demanded}"));
                entry(Outcome::Fails).why(vec![why])
            }
        })
    }
}

fn named(rule: &JwtRule) -> String {
    format!("JWT rule `{}`", rule.name)
}

fn absent(name: &str, locations: &Locations, required: bool) -> Entry {
    let places = locations.places();
    let outcome = match required {
        true => Outcome::Refused,
        false => Outcome::Fact,
    };
    let demanded = if required {
        ", and one is demanded"
    } else {
        ""
    };
    Entry::new(name, outcome).note(format!("no token in {}{demanded}", places.join(" or ")))
}

fn differing<'p>(places: impl Iterator<Item = &'p String>) -> Entry {
    let note = format!("different ones in {}", distinct(places).join(" and "));
    Entry::new("the token", Outcome::Fails).note(note)
}

/// Each place once.
fn distinct<'p>(places: impl Iterator<Item = &'p String>) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for place in places {
        if !known.contains(place) {
            known.push(place.clone());
        }
    }
    known
}
