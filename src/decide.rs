//! The heart: one request, one policy, one verdict.
//!
//! [`decide`] performs nothing. When it needs something from outside it says so, the shell brings
//! it and asks again from the start, with all [`Answers`] so far. A request that can be read in
//! several ways is allowed only if every reading is.

mod api;
mod ask;
mod authenticate;
mod authorize;
mod matched;

use crate::cache::Caches;
use crate::call::{Answer, Call};
use crate::config::DefaultAction;
use crate::keys::{Keys, SourceId};
use crate::policy::{Api, ApiRule, Policy, Site, Within};
use crate::request::Request;
use crate::token::Place;
use crate::verdict::{Allow, Change, Decision, Note, Reason, Refusal, Response, Verdict};
use authenticate::{Authenticated, remove};
use smallvec::SmallVec;
use std::time::Duration;

/// What comes of one look at a request.
#[derive(Debug)]
pub enum Step {
    /// It is decided.
    Done(Decision),
    /// The keys of this source are needed and not there yet; ask again when they are.
    Wait(SourceId),
    /// Somebody must be asked; ask again with the answer.
    Call(Box<Call>),
    /// It is needed who is connected, and was not gathered; ask again when it was.
    Peer,
}

/// What the shell has brought for this request so far.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Sources whose keys were waited for. Each is waited for once.
    pub waited: Vec<SourceId>,
    /// What was answered to the questions of [`Step::Call`].
    pub given: Vec<Answer>,
    /// Whether somebody wants to know what came closest when nothing allows a request.
    pub trail: bool,
}

/// Of what there is mostly one or two, and which then needs no memory of its own.
type Few<T> = SmallVec<[T; 4]>;

/// Why a look ends without a verdict that allows.
enum Stop {
    Refuse(Box<Refusal>),
    Wait(SourceId),
    Call(Box<Call>),
    Peer,
    Preflight(Response),
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
    /// The API rules of the authority, and the one of them that is for the request.
    api: Option<&'a Api>,
    rule: Option<&'a ApiRule>,
    #[cfg(not(target_arch = "wasm32"))]
    matched: crate::verdict::Matched,
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
    let mut look = Look {
        policy,
        keys,
        caches,
        request,
        answers,
        now,
        notes: Vec::new(),
        api: None,
        rule: None,
        #[cfg(not(target_arch = "wasm32"))]
        matched: crate::verdict::Matched::default(),
    };
    let verdict = match look.judge() {
        Ok(allow) => Verdict::Allow(allow),
        Err(Stop::Refuse(refusal)) => Verdict::Refuse(look.styled(*refusal)),
        Err(Stop::Preflight(response)) => Verdict::Preflight(response),
        Err(Stop::Wait(source)) => return Step::Wait(source),
        Err(Stop::Call(call)) => return Step::Call(call),
        Err(Stop::Peer) => return Step::Peer,
    };
    #[cfg(not(target_arch = "wasm32"))]
    let matched = look.matched(match &verdict {
        Verdict::Refuse(refusal) => Some(refusal),
        Verdict::Allow(_) | Verdict::Preflight(_) => None,
    });
    Step::Done(Decision {
        verdict,
        notes: look.notes,
        #[cfg(not(target_arch = "wasm32"))]
        matched,
    })
}

// === impl Look ===

impl<'a> Look<'a> {
    /// The steps are those of a request on its way; the first that refuses ends it.
    fn judge(&mut self) -> Result<Allow, Stop> {
        let policy = self.policy;
        let sites = policy.sites(&self.request.authority_name);
        self.demand_https(&sites)?;
        self.demand_server_name(&sites)?;
        self.preview(&sites);
        self.api = sites.iter().find_map(|site| site.api.as_deref());
        self.answer_preflight()?;
        let matching = self.api.and_then(|api| api.path_matching);
        let readings = self
            .request
            .readings(matching.unwrap_or(policy.path_matching))?;
        self.rule = self.find_rule(&readings)?;
        if let Some(rule) = self.rule {
            self.note_match(&rule.id);
        }
        let ruled = self.ask_authorizers(&sites, &readings)?;

        let mut allow = Allow {
            changes: self.stripped(&sites),
            rule: None,
        };
        let mut removed: Few<Place<'_>> = Few::new();
        let mut outputs = Vec::new();
        let mut who = None;
        for reading in &readings {
            let authenticated = self.authenticate(&sites, reading, self.rule)?;
            self.demand_credential(self.rule, reading, authenticated.as_ref())?;
            let identity = authenticated.as_ref().map(|it| &it.identity);
            let rule = self.authorize(&sites, reading, identity)?;
            allow.rule = allow.rule.or(rule);
            if let Some(Authenticated {
                removed: places,
                outputs: told,
                identity,
                ..
            }) = authenticated
            {
                removed.extend(places);
                outputs.extend(told);
                who = Some(identity);
            }
        }
        // Of all readings at once, since each changed path would undo the one before. Before the
        // outputs, which may go where the token stood.
        remove(self.request, &removed, &mut allow.changes);
        allow.changes.extend(outputs);
        let derived = policy.client_certificate.headers.iter();
        let derived = derived.filter_map(|(name, format)| {
            let value = format.value(self.request, None)?;
            Some(Change::Set(name.as_bytes().into(), value))
        });
        allow.changes.extend(derived);
        allow.changes.extend(ruled);
        if let Some(rule) = self.rule {
            self.set_by(rule, who.as_ref(), &mut allow.changes);
            allow.rule.get_or_insert_with(|| rule.id.clone());
        }
        let named = sites.iter().any(|site| site.named);
        if !named && policy.default_action == DefaultAction::Deny {
            return Err(Reason::AuthorityUnknown.into());
        }
        Ok(allow)
    }

    /// A refusal in the form that the API rules of the authority give it.
    #[inline(never)]
    fn styled(&self, mut refusal: Refusal) -> Refusal {
        let Some(api) = self.api else { return refusal };
        refusal.style = self.rule.map_or(api.style, |rule| rule.style);
        // Where no policy allows a request, there is none to name.
        if refusal.reason != Reason::PolicyNotAllowed {
            let id = self.rule.map_or(&api.id, |rule| &rule.id);
            refusal.rule.get_or_insert_with(|| id.clone());
        }
        let cors = api.cors.as_ref();
        let admitted = cors.and_then(|cors| Some((cors, cors.admits(self.request)?)));
        if let Some((cors, origin)) = admitted {
            refusal.headers.extend(cors.headers(origin));
        }
        refusal
    }

    /// Redirects plain HTTP where the configuration says so. The router would do that too late, and
    /// a token must not be judged that came in clear.
    fn demand_https(&self, sites: &[&Site]) -> Result<(), Stop> {
        let within = sites.iter().find_map(|site| site.https_only.as_ref());
        match within.filter(|_| self.request.scheme.eq_ignore_ascii_case(b"http")) {
            Some(within) => self.demand_https_within(within),
            None => Ok(()),
        }
    }

    #[inline(never)]
    fn demand_https_within(&self, within: &Within) -> Result<(), Stop> {
        let readings = self.request.readings(self.policy.path_matching)?;
        let mut readings = readings.into_iter();
        match readings.any(|reading| within.covers(reading.read_path())) {
            true => Err(Reason::HttpsRequired.into()),
            false => Ok(()),
        }
    }

    /// Several authorities can share a connection; where a client certificate decides, it must be the
    /// one that was shown for this authority.
    fn demand_server_name(&self, sites: &[&Site]) -> Result<(), Stop> {
        let connection = self.request.connection;
        let demanded = self.policy.client_certificate.require_sni_match
            && connection.peer.is_some()
            && sites.iter().any(|site| site.judges_peer);
        let sni = connection.sni.strip_suffix(b".").unwrap_or(&connection.sni);
        let authority = self.request.authority_name.as_bytes();
        match demanded && !sni.eq_ignore_ascii_case(authority) {
            true => Err(Reason::ServerNameDiffers.into()),
            false => Ok(()),
        }
    }

    /// Takes out what no upstream may see as the client wrote it.
    fn stripped(&self, sites: &[&Site]) -> Vec<Change> {
        let there = sites.iter().map(|site| &site.owned_headers);
        let owners = there.chain([&self.policy.owned_headers]);
        let sent = self.request.headers.names();
        let owners: Few<_> = owners.filter(|it| it.may_own(sent)).collect();
        let none = self.request.headers.taken().next().is_none();
        if none && owners.is_empty() && self.rule.is_none() {
            return Vec::new();
        }
        let names = self.request.headers.iter().map(|(name, _)| name);
        let owned = names.filter(|name| {
            owners.iter().any(|it| it.contains(name))
                || self.rule.is_some_and(|rule| rule.sets_respelled(name))
        });
        let taken = self.request.headers.taken();
        let names = owned.chain(taken);
        names.map(|name| Change::Remove(name.into())).collect()
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(Box::new(refusal))
    }
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Refusal::from(reason).into()
    }
}

#[cfg(test)]
mod tests;
