//! AUDIT, DENY and ALLOW, as Istio evaluates them over one reading of a request.
//!
//! What cannot be told makes a rule that refuses match, and one that allows not.

use super::{Look, Stop};
use crate::identity::Identity;
use crate::policy::{Facts, RuleSet, Rules, Site, Truth};
use crate::request::{Reading, Request};
use crate::trail::NearMiss;
use crate::verdict::{Note, Reason, Refusal};
use std::rc::Rc;

// === impl Look ===

impl Look<'_> {
    /// The rule that allows the request, if one is needed.
    pub(super) fn authorize(
        &mut self,
        sites: &[&Site],
        reading: &Reading<'_>,
        identity: Option<&Identity>,
    ) -> Result<Option<Rc<str>>, Stop> {
        let facts = facts(self.request, reading, identity);
        if sites.iter().any(|site| site.has_observers()) {
            self.observe(sites, &facts);
        }
        let trail = self.answers.trail;
        let enforced = self.evaluate(sites, |site| &site.enforced, &facts, trail);
        self.noted(enforced).map_err(Stop::Refuse)
    }

    /// Notes what the policies say that do not decide.
    fn observe(&mut self, sites: &[&Site], facts: &Facts<'_>) {
        let audited = sites.iter().filter_map(|site| {
            first_match(&site.enforced.audit, facts, |truth| truth != Truth::False)
        });
        let mut notes: Vec<_> = audited.map(Note::Audited).collect();
        let dry_run = self.evaluate(sites, |site| &site.dry_run, facts, true);
        if let Err(refusal) = self.noted(dry_run) {
            notes.push(Note::WouldRefuse(refusal));
        }
        for note in notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    /// No rule may refuse, and where an ALLOW policy is attached, one must allow.
    fn evaluate(
        &self,
        sites: &[&Site],
        rules: fn(&Site) -> &RuleSet,
        facts: &Facts<'_>,
        trail: bool,
    ) -> Result<Option<Rc<str>>, Box<Refusal>> {
        if let Some(rule) = self.refusing(sites, |site| &rules(site).deny, facts) {
            return Err(Box::new(Refusal::by(Reason::PolicyDenied, rule)));
        }
        if !sites
            .iter()
            .any(|site| rules(site).demands_allow(facts.path))
        {
            return Ok(None);
        }
        let mut allowing = sites.iter().filter_map(|site| {
            first_match(&rules(site).allow, facts, |truth| truth == Truth::True)
        });
        if let Some(rule) = allowing.next() {
            return Ok(Some(rule));
        }
        let near = || {
            sites
                .iter()
                .flat_map(|site| rules(site).allow.near(facts.path))
        };
        Err(Box::new(Refusal {
            closest: trail.then(|| NearMiss::among(near(), facts)).flatten(),
            ..Reason::PolicyNotAllowed.into()
        }))
    }

    /// The first rule that matches, of those whose match keeps a request from going on: with and
    /// without the port of the authority, and also where it cannot be told.
    fn refusing<'s>(
        &self,
        sites: &'s [&Site],
        rules: impl Fn(&'s Site) -> &'s Rules,
        facts: &Facts<'_>,
    ) -> Option<Rc<str>> {
        if sites.iter().all(|site| rules(site).is_empty()) {
            return None;
        }
        self.request.authorities().find_map(|authority| {
            let facts = Facts {
                authority: &authority,
                ..*facts
            };
            let matching = sites
                .iter()
                .filter_map(|site| first_match(rules(site), &facts, |truth| truth != Truth::False));
            // Envoy reports the first in the order of the names.
            matching.min()
        })
    }
}

/// What rules see of one reading of a request.
pub(super) fn facts<'f>(
    request: &'f Request<'_>,
    reading: &'f Reading<'_>,
    identity: Option<&'f Identity>,
) -> Facts<'f> {
    Facts {
        authority: request.authority,
        method: &reading.method,
        path: reading.read_path(),
        target: &request.path,
        headers: request.headers,
        identity,
        connection: request.connection,
    }
}

/// The first rule that is attached to the path and matches, as `matches` takes its truth.
fn first_match(rules: &Rules, facts: &Facts<'_>, matches: fn(Truth) -> bool) -> Option<Rc<str>> {
    let matching = rules.first_match(facts.path, |rule| matches(rule.condition.truth(facts)))?;
    Some(Rc::clone(&matching.id))
}
