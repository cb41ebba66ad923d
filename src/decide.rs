//! The heart: one request, one policy, one verdict.
//!
//! [`decide`] performs nothing. When it needs something from outside it says so, the shell brings
//! it and asks again from the start, with all [`Answers`] so far. A request that can be read in
//! several ways is allowed only if every reading is.

mod authenticate;

use crate::cache::Caches;
use crate::config::DefaultAction;
use crate::keys::{Keys, SourceId};
use crate::policy::{Entry, Facts, JwtRule, Policy, Rule, Site};
use crate::request::{Reading, Request, fold_name};
use crate::verdict::{Allow, Change, Reason, Refusal, Verdict};
use authenticate::{Authenticated, authenticate, removal};
use std::rc::Rc;
use std::time::Duration;

/// What comes of one look at a request.
#[derive(Debug)]
pub enum Step {
    /// It is decided.
    Done(Verdict),
    /// The keys of this source are needed and not there yet; ask again when they are.
    Wait(SourceId),
}

/// What the shell has brought for this request so far.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Sources whose keys were waited for. Each is waited for once.
    pub waited: Vec<SourceId>,
}

/// Why a look ends without a verdict that allows.
enum Stop {
    Refuse(Refusal),
    Wait(SourceId),
}

/// Headers by which a client could make an upstream read another path than we judge.
const PATH_HEADERS: [&str; 3] = ["x-original-url", "x-rewrite-url", "x-envoy-original-path"];

/// Judges a request. `now` is the time since the Unix epoch.
pub fn decide(
    policy: &Policy,
    keys: &Keys,
    caches: &mut Caches,
    request: &Request<'_>,
    answers: &Answers,
    now: Duration,
) -> Step {
    let mut look = Look {
        policy,
        keys,
        caches,
        request,
        answers,
        now,
    };
    match look.judge() {
        Ok(allow) => Step::Done(Verdict::Allow(allow)),
        Err(Stop::Refuse(refusal)) => Step::Done(Verdict::Refuse(refusal)),
        Err(Stop::Wait(source)) => Step::Wait(source),
    }
}

/// Everything that one look at a request needs.
struct Look<'a> {
    policy: &'a Policy,
    keys: &'a Keys,
    caches: &'a mut Caches,
    request: &'a Request<'a>,
    answers: &'a Answers,
    now: Duration,
}

// === impl Look ===

impl<'a> Look<'a> {
    fn judge(&mut self) -> Result<Allow, Stop> {
        let mut allow = Allow {
            changes: self.stripped(),
            rule: None,
        };
        let mut removed = Vec::new();
        let sites: Vec<&'a Site> = self.policy.sites(&self.request.authority_name).collect();
        for reading in self.request.readings(self.policy.path_matching)? {
            let authenticated = self.authenticated(&sites, &reading)?;
            let rule = self.authorized(&sites, &reading, authenticated.as_ref())?;
            allow.rule = allow.rule.or(rule);
            removed.extend(authenticated.map(|it| it.removed).unwrap_or_default());
        }
        // Of all readings at once, since each changed path would undo the one before.
        allow.changes.extend(removal(self.request.path, &removed));
        let named = sites.iter().any(|site| site.named);
        if !named && self.policy.default_action == DefaultAction::Deny {
            return Err(Reason::AuthorityUnknown.into());
        }
        Ok(allow)
    }

    /// Headers that no upstream may see as the client wrote them.
    fn stripped(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (name, _) in self.request.headers.iter() {
            let is = |known: &str| known.len() == name.len() && fold_name(name).eq(known.bytes());
            if name.first() == Some(&b'x') && PATH_HEADERS.iter().any(|known| is(known)) {
                changes.push(Change::Remove(name.to_vec()));
            }
        }
        changes
    }

    /// Verifies the token of the request, if it has one and a rule in scope looks for it.
    fn authenticated(
        &mut self,
        sites: &[&'a Site],
        reading: &Reading<'_>,
    ) -> Result<Option<Authenticated<'a>>, Stop> {
        if self.request.is_preflight() {
            return Ok(None);
        }
        let mut rules: Vec<&'a Entry<JwtRule>> = Vec::new();
        for site in sites {
            rules.extend(
                site.jwt_rules
                    .iter()
                    .filter(|entry| entry.covers(&reading.path)),
            );
        }
        rules.sort_by_key(|entry| entry.order);
        authenticate(self, &rules)
    }

    /// DENY, then ALLOW, as Istio evaluates them; the rule that allowed it, if one was needed.
    fn authorized(
        &self,
        sites: &[&Site],
        reading: &Reading<'_>,
        authenticated: Option<&Authenticated<'_>>,
    ) -> Result<Option<Rc<str>>, Stop> {
        let as_sent = Facts {
            authority: self.request.authority,
            method: &reading.method,
            path: &reading.path,
            identity: authenticated.map(|it| &it.claims.identity),
        };
        for authority in self.request.authorities() {
            let facts = Facts {
                authority: &authority,
                ..as_sent
            };
            let mut denying = sites
                .iter()
                .filter_map(|site| first_match(&site.deny, &facts));
            if let Some(rule) = denying.next() {
                let reason = Reason::PolicyDenied;
                return Err(Stop::Refuse(Refusal {
                    reason,
                    rule: Some(rule),
                }));
            }
        }
        if !sites.iter().any(|site| site.demands_allow(&reading.path)) {
            return Ok(None);
        }
        let mut allowing = sites
            .iter()
            .filter_map(|site| first_match(&site.allow, &as_sent));
        allowing
            .next()
            .map(Some)
            .ok_or(Reason::PolicyNotAllowed.into())
    }
}

/// The first rule that is attached to the path and matches.
fn first_match(rules: &[Entry<Rule>], facts: &Facts<'_>) -> Option<Rc<str>> {
    let mut covering = rules.iter().filter(|entry| entry.covers(facts.path));
    let matching = covering.find(|entry| entry.item.condition.holds(facts))?;
    Some(Rc::clone(&matching.item.id))
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Refuse(reason.into())
    }
}

#[cfg(test)]
mod tests;
