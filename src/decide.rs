//! The heart: one request, one policy, one verdict.
//!
//! [`decide`] performs nothing. When it needs something from outside it says so, the shell brings
//! it and asks again from the start, with all [`Answers`] so far. A request that can be read in
//! several ways is allowed only if every reading is.

mod authenticate;
mod authorize;

use crate::cache::Caches;
use crate::config::DefaultAction;
use crate::keys::{Keys, SourceId};
use crate::policy::{Policy, Site};
use crate::request::Request;
use crate::verdict::{Allow, Change, Decision, Note, Reason, Refusal, Verdict};
use authenticate::{Authenticated, removal};
use std::time::Duration;

/// What comes of one look at a request.
#[derive(Debug)]
pub enum Step {
    /// It is decided.
    Done(Decision),
    /// The keys of this source are needed and not there yet; ask again when they are.
    Wait(SourceId),
}

/// What the shell has brought for this request so far.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Sources whose keys were waited for. Each is waited for once.
    pub waited: Vec<SourceId>,
    /// Whether somebody wants to know what came closest when nothing allows a request.
    pub trail: bool,
}

/// Why a look ends without a verdict that allows.
enum Stop {
    Refuse(Refusal),
    Wait(SourceId),
}

/// Everything that one look at a request needs.
struct Look<'a> {
    policy: &'a Policy,
    keys: &'a mut Keys,
    caches: &'a mut Caches,
    request: &'a Request<'a>,
    answers: &'a Answers,
    now: Duration,
    notes: Vec<Note>,
}

/// Judges a request. `now` is the time since the Unix epoch.
pub fn decide(
    policy: &Policy,
    keys: &mut Keys,
    caches: &mut Caches,
    request: &Request<'_>,
    answers: &Answers,
    now: Duration,
) -> Step {
    let notes = Vec::new();
    let mut look = Look {
        policy,
        keys,
        caches,
        request,
        answers,
        now,
        notes,
    };
    let verdict = match look.judge() {
        Ok(allow) => Verdict::Allow(allow),
        Err(Stop::Refuse(refusal)) => Verdict::Refuse(refusal),
        Err(Stop::Wait(source)) => return Step::Wait(source),
    };
    let notes = look.notes;
    Step::Done(Decision { verdict, notes })
}

// === impl Look ===

impl<'a> Look<'a> {
    fn judge(&mut self) -> Result<Allow, Stop> {
        let policy = self.policy;
        let sites: Vec<&'a Site> = policy.sites(&self.request.authority_name).collect();
        self.demand_https(&sites)?;
        let mut allow = Allow {
            changes: self.stripped(),
            rule: None,
        };
        let stripped = allow.changes.len();
        let mut removed = Vec::new();
        for reading in self.request.readings(policy.path_matching)? {
            self.ask_authorizers(&sites, &reading)?;
            let authenticated = self.authenticate(&sites, &reading)?;
            let identity = authenticated.as_ref().map(|it| &it.identity);
            let rule = self.authorize(&sites, &reading, identity)?;
            allow.rule = allow.rule.or(rule);
            if let Some(Authenticated {
                removed: places,
                outputs,
                ..
            }) = authenticated
            {
                removed.extend(places);
                allow.changes.extend(outputs);
            }
        }
        // Of all readings at once, since each changed path would undo the one before. Before the
        // outputs, which may go where the token stood.
        allow
            .changes
            .splice(stripped..stripped, removal(self.request, &removed));
        let named = sites.iter().any(|site| site.named);
        if !named && policy.default_action == DefaultAction::Deny {
            return Err(Reason::AuthorityUnknown.into());
        }
        Ok(allow)
    }

    /// Redirects plain HTTP where the configuration says so. The router would do that too late, and
    /// a token must not be judged that came in clear.
    fn demand_https(&self, sites: &[&Site]) -> Result<(), Stop> {
        let exempt = sites.iter().find_map(|site| site.https_only.as_ref());
        let Some(exempt) = exempt.filter(|_| self.request.scheme.eq_ignore_ascii_case(b"http"))
        else {
            return Ok(());
        };
        let mut readings = self
            .request
            .readings(self.policy.path_matching)?
            .into_iter();
        let exempts = |path: &[u8]| exempt.iter().any(|pattern| pattern.matches(path));
        match readings.all(|reading| exempts(&reading.path)) {
            true => Ok(()),
            false => Err(Reason::HttpsRequired.into()),
        }
    }

    /// Takes out what no upstream may see as the client wrote it.
    fn stripped(&self) -> Vec<Change> {
        let names = self.request.headers.iter().map(|(name, _)| name);
        let owned = names.filter(|name| self.policy.owned_headers.contains(name));
        owned.map(|name| Change::Remove(name.to_vec())).collect()
    }
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Refuse(reason.into())
    }
}

#[cfg(test)]
mod tests;
