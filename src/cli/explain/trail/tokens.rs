//! The token of the request: which rules look for it, where it was found, and what each of them, or
//! the authorization server, says of it.
//!
//! The judgements are those of [`crate::token::jwt`] and [`crate::introspection`]; the values beside
//! them are those that they judge.

use super::{Entry, Outcome, Walk};
use crate::call::Answer;
use crate::cli::explain::credential::claims_of;
use crate::cli::explain::secrets::shown;
use crate::cli::explain::why::{Why, of_claim};
use crate::config::BindTokens;
use crate::identity::{Confirmation, Identity};
use crate::introspection::is_token;
use crate::keys::Availability;
use crate::peer::hex;
use crate::policy::{ApiRule, IntrospectionDemand, JwtRule, Strategy};
use crate::request::Reading;
use crate::token::jwt::{self, Jwt};
use crate::token::{Locations, Place};
use crate::verdict::Reason;
use serde_json::Value;
use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

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
                entries.push(unreadable(reason, token, places));
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
            let judged = self.judged(rule, &parsed, &claims, is_named);
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

    /// What a rule says of a token that it has found.
    fn judged(
        &self,
        rule: &JwtRule,
        parsed: &Jwt<'_>,
        claims: &Value,
        is_named: bool,
    ) -> Result<(), Why> {
        let now = self.worker.now;
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
                let demands = vec!["an issuer without a rule of its own".to_owned()];
                return Err(Why::new("iss", demands, of("iss")));
            }
            _ => {}
        }
        if let Err(reason) = parsed.claims.check(&rule.demands, now) {
            let skew = humantime::format_duration(rule.demands.clock_skew);
            let clock = format!("now is {}, `clockSkew` {skew}", time(now.as_secs()));
            let at = |name: &str| {
                let seconds = claims.get(name).and_then(Value::as_f64);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "the conversion saturates, and times were checked"
                )]
                let seconds = seconds.map(|it| it as u64);
                format!("{}; {clock}", seconds.map(time).unwrap_or_default())
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
                Reason::TokenNotYetValid => {
                    Why::new("nbf", vec!["a time that is over".to_owned()], at("nbf"))
                }
                Reason::TokenExpired => {
                    Why::new("exp", vec!["a time to come".to_owned()], at("exp"))
                }
                other => of_reason(other),
            });
        }
        if parsed.claims.check_audience(&rule.audiences).is_err() {
            return Err(Why::new("audiences", rule.audiences.clone(), of("aud")));
        }
        let keys = match self.worker.keys.of(rule.keys, now) {
            Availability::Ready(keys, _) => keys,
            Availability::Pending | Availability::Failing => {
                return Err(of_reason(Reason::KeysUnavailable));
            }
        };
        let verified = jwt::verify(parsed, keys, self.worker.keys.verifier());
        verified.map_err(|reason| match reason {
            Reason::KeyUnknown => {
                let id = parsed
                    .key_id()
                    .map_or("none".to_owned(), |id| shown(id.as_bytes()));
                let saw = format!("`kid` {id}, `alg` `{}`", parsed.algorithm());
                let demands = format!("one of the {} keys of the issuer", keys.len());
                Why::new("key", vec![demands], saw)
            }
            other => of_reason(other),
        })
    }

    /// What the authorization server says.
    fn introspected<'s>(
        &'s self,
        demand: &'s IntrospectionDemand,
        tokens: &mut Vec<Cow<'s, [u8]>>,
    ) -> (Vec<Entry>, Option<Identity>) {
        let Some(provider) = self.policy.introspection_providers.get(demand.provider) else {
            return (Vec::new(), None);
        };
        let name = format!("introspection provider {provider}");
        let places = self.places(&provider.locations, tokens);
        if places.is_empty() {
            return (vec![absent(&name, &provider.locations, true)], None);
        }
        let found = format!("the token in {}", places.join(" and "));
        let entry = |outcome| Entry::new(name.clone(), outcome).note(found.clone());
        if tokens.len() > 1 {
            return (vec![differing(places.iter())], None);
        }
        let token = tokens.first().cloned().unwrap_or_default();
        if !is_token(&token) {
            let why = of_reason(Reason::TokenUnreadable);
            return (vec![entry(Outcome::Refused).why(vec![why])], None);
        }
        let answer = self
            .worker
            .answers
            .given
            .iter()
            .find_map(|answer| match answer {
                Answer::Introspected(index, _, outcome) if *index == demand.provider => {
                    Some(outcome)
                }
                _ => None,
            });
        let known = match answer {
            None => {
                let note = format!("{found}; would be asked now");
                return (
                    vec![Entry::new(name, Outcome::CannotBeTold).note(note)],
                    None,
                );
            }
            Some(Err(outage)) => {
                let note = format!("{found}; no answer about it: {outage}");
                return (vec![Entry::new(name, Outcome::Refused).note(note)], None);
            }
            Some(Ok(known)) => known,
        };
        match provider.judge(known, self.worker.now) {
            Ok(identity) => {
                let bound = self.binding(&identity);
                let is_bound = bound
                    .as_ref()
                    .is_none_or(|it| it.outcome == Outcome::Fulfilled);
                let note = format!("{found}, which is active");
                let entry = Entry::new(name, Outcome::Accepts).note(note);
                let entries = std::iter::once(entry).chain(bound).collect();
                (entries, Some(identity).filter(|_| is_bound))
            }
            Err(reason) => {
                let told = self.told(reason);
                (vec![entry(Outcome::Refused).why(told)], None)
            }
        }
    }

    /// The members of a reply that a refusal is about.
    fn told(&self, reason: Reason) -> Vec<Why> {
        let reply = self.world.introspected().unwrap_or_default();
        let now = time(self.worker.now.as_secs());
        let member = |name: &str| reply.get(name).map(of_plain);
        let why = |name: &str, demands: &str| {
            let saw = member(name).unwrap_or_else(|| "no such member".to_owned());
            Why::new(name, vec![demands.to_owned()], saw)
        };
        match reason {
            Reason::TokenUse => vec![why("token_use", "access_token")],
            Reason::AudienceMissing => vec![why("aud", "every one of the provider's `audiences`")],
            Reason::IssuerUntrusted => vec![why("iss", "one of the provider's `trustedIssuers`")],
            _ if reply.get("active") != Some(&Value::Bool(true)) => vec![why("active", "true")],
            _ => ["exp", "nbf"]
                .into_iter()
                .filter(|name| reply.get(*name).is_some())
                .map(|name| {
                    let seconds = reply.get(name).and_then(Value::as_u64);
                    let saw = seconds.map(time).unwrap_or_default();
                    let demands = match name {
                        "exp" => "a time to come",
                        _ => "a time that is over",
                    };
                    Why::new(
                        name,
                        vec![demands.to_owned()],
                        format!("{saw}; now is {now}"),
                    )
                })
                .collect(),
        }
    }

    /// Whether the connection shows what the token is bound to.
    fn binding(&self, identity: &Identity) -> Option<Entry> {
        let demanded = match (
            self.policy.client_certificate.bind_tokens,
            identity.confirmation(),
        ) {
            (BindTokens::Off, _) | (BindTokens::IfPresent, Confirmation::None) => return None,
            (_, Confirmation::Certificate(digest)) => {
                Ok(format!("the certificate with the SHA-256 {}", hex(&digest)))
            }
            (_, Confirmation::None) => Err("a token that is bound to a certificate"),
            (_, Confirmation::Other) => Err("nothing but `x5t#S256`"),
        };
        let peer = self.request.connection.peer.as_ref();
        let digest = peer.and_then(|peer| peer.sha256);
        let shows = match (peer, digest) {
            (None, _) => "a connection without a client certificate".to_owned(),
            (Some(_), None) => "a certificate whose SHA-256 is not given".to_owned(),
            (Some(_), Some(digest)) => format!("`{}`", hex(&digest)),
        };
        let entry = |outcome| Entry::new("binding of the token (`cnf`)", outcome);
        Some(match (demanded, identity.confirmation(), digest) {
            (Ok(_), Confirmation::Certificate(wanted), Some(digest)) if wanted == digest => {
                entry(Outcome::Fulfilled).note("the connection shows that certificate")
            }
            (Ok(demanded), ..) => {
                entry(Outcome::Refused).why(vec![Why::new("cnf", vec![demanded], shows)])
            }
            (Err(demanded), ..) => {
                let saw = match identity.confirmation() {
                    Confirmation::None => "no `cnf`",
                    _ => "a `cnf` for another kind of key, or one that cannot be read",
                };
                let why = Why::new("cnf", vec![demanded.to_owned()], saw.to_owned());
                entry(Outcome::Refused).why(vec![why])
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
    let mut known: Vec<&String> = Vec::new();
    for place in places {
        if !known.contains(&place) {
            known.push(place);
        }
    }
    let places: Vec<_> = known.into_iter().cloned().collect();
    let note = format!("different ones in {}", places.join(" and "));
    Entry::new("tokens", Outcome::Refused).note(note)
}

/// A token that is no JWT: what its parts are, but nothing of them.
fn unreadable<'p>(reason: Reason, token: &[u8], places: impl Iterator<Item = &'p String>) -> Entry {
    let mut known: Vec<String> = Vec::new();
    for place in places {
        if !known.contains(place) {
            known.push(place.clone());
        }
    }
    let mut why = of_reason(reason);
    let header = token.split(|byte| *byte == b'.').next().unwrap_or_default();
    let member = |of: Option<Value>, name: &str| {
        of.and_then(|it| it.get(name).map(of_plain))
            .unwrap_or_else(|| "nothing".to_owned())
    };
    let in_header = |name: &str| member(claims_of(&[b".", header].concat()), name);
    let in_payload = |name: &str| member(claims_of(token), name);
    let length = token.len();
    let parts = token.split(|byte| *byte == b'.').count();
    why.saw = match reason {
        Reason::TokenTooLong => format!("{length} bytes; at most {} are allowed", jwt::MAX_BYTES),
        Reason::TokenMalformed => {
            format!(
                "{length} bytes in {parts} parts between dots; three parts that are not empty are needed"
            )
        }
        Reason::TokenAlgorithmMissing | Reason::TokenAlgorithmUnsupported => {
            format!("`alg` is {}", in_header("alg"))
        }
        Reason::TokenKeyIdInvalid => format!("`kid` is {}", in_header("kid")),
        Reason::TokenIssuerType => format!("`iss` is {}", in_payload("iss")),
        Reason::TokenSubjectType => format!("`sub` is {}", in_payload("sub")),
        Reason::TokenIdType => format!("`jti` is {}", in_payload("jti")),
        Reason::TokenAudienceType => format!("`aud` is {}", in_payload("aud")),
        Reason::TokenExpirationType | Reason::TokenExpirationRange => {
            format!("`exp` is {}", in_payload("exp"))
        }
        Reason::TokenNotBeforeType | Reason::TokenNotBeforeRange => {
            format!("`nbf` is {}", in_payload("nbf"))
        }
        Reason::TokenIssuedAtType | Reason::TokenIssuedAtRange => {
            format!("`iat` is {}", in_payload("iat"))
        }
        _ => why.saw,
    };
    let places = known.join(" and ");
    Entry::new("the token", Outcome::Refused)
        .note(format!("found in {places}"))
        .why(vec![why])
}

/// A reason as a condition of its own.
fn of_reason(reason: Reason) -> Why {
    Why::new(reason.code(), Vec::new(), reason.text().to_owned())
}

fn of_plain(value: &Value) -> String {
    shown(value.to_string().as_bytes())
}

/// A time in words.
fn time(seconds: u64) -> String {
    let at = std::time::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let year_9999 = 253_402_300_799;
    let at = at.filter(|_| seconds <= year_9999);
    at.map_or_else(
        || format!("`{seconds}`"),
        |at| format!("`{}`", humantime::format_rfc3339_seconds(at)),
    )
}
