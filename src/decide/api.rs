//! API rules: which one is for a request, what it demands of the credential, what it sets.
//!
//! The first rule that fits decides alone. Every reading of a request must lead to the same one.

use super::authenticate::Authenticated;
use super::authorize::facts;
use super::{Look, Stop};
use crate::identity::Identity;
use crate::policy::{Api, ApiRule, Authorization, Facts, JwtDemand, Site, Strategy, Truth};
use crate::request::{Headers, ReadPath, Reading};
use crate::token::other_cookies;
use crate::verdict::{Change, Note, Reason, Refusal, Response};
use std::rc::Rc;

// === impl Look ===

impl<'a> Look<'a> {
    /// Answers a CORS preflight where a rule is for the request that it announces, and the origin
    /// is admitted. Any other preflight is a request like others.
    pub(super) fn answer_preflight(&self) -> Result<(), Stop> {
        match self.api.filter(|_| self.request.is_preflight()) {
            Some(api) => self.preflight_of(api),
            None => Ok(()),
        }
    }

    #[inline(never)]
    fn preflight_of(&self, api: &Api) -> Result<(), Stop> {
        let cors = api.cors.as_ref();
        let admitted = cors.and_then(|cors| Some((cors, cors.admits(self.request)?)));
        let Some((cors, origin)) = admitted else {
            return Ok(());
        };
        let mut methods = self.request.headers.all("access-control-request-method");
        let method = methods.next().filter(|_| methods.next().is_none());
        let matching = api.path_matching.unwrap_or(self.policy.path_matching);
        let readings = self.request.readings(matching)?;
        let announced = |method: &[u8]| {
            let fits = |path: ReadPath<'_>| {
                let rule = api.rules.first_match(path, |rule| rule.fits(method, path));
                rule.is_some()
            };
            readings.iter().all(|reading| fits(reading.read_path()))
        };
        if !method.is_some_and(announced) {
            return Ok(());
        }
        let headers = cors.preflight(origin).into_iter();
        let headers = headers.map(|(name, value)| (name.to_owned(), value.into_bytes()));
        Err(Stop::Preflight(Response {
            status: 200,
            headers: headers.collect(),
            body: Vec::new(),
        }))
    }

    /// The rule that is for the request, where the authority has API rules.
    pub(super) fn find_rule(&self, readings: &[Reading<'_>]) -> Result<Option<&'a ApiRule>, Stop> {
        match self.api {
            Some(api) => self.rule_of(api, readings).map(Some),
            None => Ok(None),
        }
    }

    #[inline(never)]
    fn rule_of(&self, api: &'a Api, readings: &[Reading<'_>]) -> Result<&'a ApiRule, Stop> {
        let mut found: Option<&'a ApiRule> = None;
        for reading in readings {
            let path = reading.read_path();
            let rule = api
                .rules
                .first_match(path, |rule| rule.fits(&reading.method, path));
            match (found, rule) {
                (None, rule) => found = Some(rule.ok_or(Reason::RuleUnknown)?),
                (Some(found), Some(rule)) if std::ptr::eq(found, rule) => {}
                _ => return Err(Reason::ReadingsDiffer.into()),
            }
        }
        let rule = found.ok_or(Reason::RuleUnknown)?;
        if matches!(rule.strategy, Strategy::Deny) {
            return Err(Refusal::by(Reason::RuleDenied, Rc::clone(&rule.id)).into());
        }
        if !readings
            .iter()
            .all(|reading| rule.admits(reading.read_path()))
        {
            return Err(Refusal::by(Reason::PolicyNotAllowed, Rc::clone(&rule.id)).into());
        }
        Ok(rule)
    }

    /// What a rule demands of the credential.
    pub(super) fn demand_credential(
        &self,
        rule: Option<&ApiRule>,
        reading: &Reading<'_>,
        authenticated: Option<&Authenticated<'_>>,
    ) -> Result<(), Stop> {
        match rule {
            Some(rule) => self.demand_of(rule, reading, authenticated),
            None => Ok(()),
        }
    }

    #[inline(never)]
    fn demand_of(
        &self,
        rule: &ApiRule,
        reading: &Reading<'_>,
        authenticated: Option<&Authenticated<'_>>,
    ) -> Result<(), Stop> {
        let identity = authenticated.map(|it| &it.identity);
        let facts = facts(self.request, reading, identity);
        let lacking = match (&rule.strategy, rule.jwt()) {
            (Strategy::Introspection(demand), _) => match authenticated {
                Some(_) => demand.authorization.lacks(&facts),
                None => Some((Reason::CredentialMissing, None)),
            },
            (_, Some(demand)) => demand.lacks(authenticated, &facts),
            _ => None,
        };
        let Some((reason, scopes)) = lacking else {
            return Ok(());
        };
        let refusal = Refusal::by(reason, Rc::clone(&rule.id));
        Err(Refusal { scopes, ..refusal }.into())
    }

    /// Adds what a rule sets for the upstream.
    #[inline(never)]
    pub(super) fn set_by(
        &self,
        rule: &ApiRule,
        identity: Option<&Identity>,
        changes: &mut Vec<Change>,
    ) {
        let set = |name: &str, value: Option<Vec<u8>>| match value {
            Some(value) => Change::Set(name.as_bytes().into(), value),
            // What a client wrote must not stand where the rule has nothing to say.
            None => Change::Remove(name.as_bytes().into()),
        };
        let headers = rule.headers.iter();
        let headers = headers.map(|(name, format)| set(name, format.value(self.request, identity)));
        changes.extend(headers);
        if !rule.cookies.is_empty() {
            let octet = |byte: &u8| !b" \",;\\".contains(byte);
            let cookies = rule.cookies.iter().filter_map(|(name, format)| {
                let value = format.value(self.request, identity)?;
                let plain = value.iter().all(octet);
                plain.then(|| [name.as_bytes(), b"=", &value].concat())
            });
            let mut cookies: Vec<_> = cookies.collect();
            if rule.keep_cookies {
                let names: Vec<&str> = rule.cookies.iter().map(|(name, _)| &**name).collect();
                let changed = changed(changes);
                let sent = changed.as_ref().unwrap_or(self.request.headers);
                cookies.extend(other_cookies(sent, &names).map(<[u8]>::to_vec));
            }
            let cookies = cookies.join(&b"; "[..]);
            changes.push(set("cookie", Some(cookies).filter(|it| !it.is_empty())));
        }
    }

    /// What API rules with `dryRun` would do, as far as nobody has to be asked.
    pub(super) fn preview(&mut self, sites: &[&'a Site]) {
        if let Some(api) = sites.iter().find_map(|site| site.dry_run_api.as_deref()) {
            self.preview_of(api);
        }
    }

    #[inline(never)]
    fn preview_of(&mut self, api: &'a Api) {
        if let Err(Stop::Refuse(mut refusal)) = self.would(api) {
            refusal.rule.get_or_insert_with(|| Rc::clone(&api.id));
            self.notes.push(Note::WouldRefuse(refusal));
        }
    }

    fn would(&mut self, api: &'a Api) -> Result<(), Stop> {
        let matching = api.path_matching.unwrap_or(self.policy.path_matching);
        let readings = self.request.readings(matching)?;
        let rule = self.rule_of(api, &readings)?;
        self.note_match(&rule.id);
        let (providers, authorizers) = (
            &self.policy.introspection_providers,
            &self.policy.authorizers,
        );
        let whom: Vec<&str> = match &rule.strategy {
            Strategy::Introspection(demand) => {
                let provider = providers.get(demand.provider);
                provider.iter().map(|it| &*it.name).collect()
            }
            Strategy::ExtAuth(asked, _) => {
                let asked = asked.iter().filter_map(|it| authorizers.get(*it));
                asked.map(|it| it.name()).collect()
            }
            _ => Vec::new(),
        };
        let would_ask = |whom: &str| Note::WouldAsk(Rc::clone(&rule.id), whom.into());
        self.notes.extend(whom.into_iter().map(would_ask));
        if rule.jwt().is_some() {
            for reading in &readings {
                let authenticated = self.authenticate(&[], reading, Some(rule));
                let authenticated = authenticated.map_err(|stop| stop.at(rule))?;
                self.demand_credential(Some(rule), reading, authenticated.as_ref())?;
            }
        }
        Ok(())
    }
}

/// The cookies that go on, where they are not those that were sent: without a token that was taken
/// out, or what an authorizer makes of them.
fn changed(changes: &[Change]) -> Option<Headers> {
    let left = changes.iter().rev().find_map(|change| match change {
        Change::Remove(name) if **name == *b"cookie" => Some(&[][..]),
        Change::Set(name, value) if **name == *b"cookie" => Some(value.as_slice()),
        _ => None,
    })?;
    let mut headers = Headers::default();
    headers.push("cookie", left);
    Some(headers)
}

// === impl Stop ===

impl Stop {
    /// The same, for the requests of a rule.
    fn at(mut self, rule: &ApiRule) -> Self {
        if let Self::Refuse(refusal) = &mut self {
            refusal.rule.get_or_insert_with(|| Rc::clone(&rule.id));
        }
        self
    }
}

// === impl JwtDemand ===

impl JwtDemand {
    /// What a verified token lacks, and which scopes would have been needed.
    fn lacks(
        &self,
        authenticated: Option<&Authenticated<'_>>,
        facts: &Facts<'_>,
    ) -> Option<(Reason, Option<Box<str>>)> {
        let Some(Authenticated { identity, by, .. }) = authenticated else {
            return Some((Reason::CredentialMissing, None));
        };
        let own = |rule: &Rc<_>| by.is_some_and(|by| std::ptr::eq(by, Rc::as_ptr(rule)));
        if !self.authentications.iter().any(own) {
            return Some((Reason::IssuerUntrusted, None));
        }
        // As Istio's `ISSUER/*`, which is what Kyma makes of an authentication.
        if identity.subject().is_none_or(str::is_empty) {
            return Some((Reason::SubjectMissing, None));
        }
        let mut closest = None;
        for authorization in &self.authorizations {
            match authorization.lacks(facts) {
                None => return None,
                // The next best thing is one that lacks only scopes.
                Some(lacking) if lacking.0 == Reason::ScopeMissing => {
                    closest.get_or_insert(lacking);
                }
                Some(_) => {}
            }
        }
        let otherwise = || (Reason::AudienceMissing, None);
        (!self.authorizations.is_empty()).then(|| closest.unwrap_or_else(otherwise))
    }
}

// === impl Authorization ===

impl Authorization {
    fn lacks(&self, facts: &Facts<'_>) -> Option<(Reason, Option<Box<str>>)> {
        if self.audiences.truth(facts) != Truth::True {
            return Some((Reason::AudienceMissing, None));
        }
        let scopes = || Some(self.scope_text.clone());
        (self.scopes.truth(facts) != Truth::True).then(|| (Reason::ScopeMissing, scopes()))
    }
}
