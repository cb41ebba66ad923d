//! What others have to say: authorizers about the request, authorization servers about its token.
//!
//! Whoever was not asked yet is asked by [`Stop::Call`], one at a time, since a refusal is final.

use super::authenticate::{Authenticated, Token};
use super::authorize::facts;
use super::{Few, Look, Stop};
use crate::authorizer::Ruling;
use crate::call::{Answer, Call, MAX_CALLS, Question};
use crate::introspection::{self, Introspection};
use crate::policy::{Facts, IntrospectionDemand, Rule, Site, Strategy, Truth};
use crate::request::Reading;
use crate::verdict::{Change, Reason, Refusal};
use std::rc::Rc;

// === impl Look ===

impl<'a> Look<'a> {
    /// Asks every authorizer that a rule names for the request, and gives what they change. Before
    /// any token is looked at, as Envoy has it.
    pub(super) fn ask_authorizers(
        &mut self,
        sites: &[&'a Site],
        readings: &[Reading<'_>],
    ) -> Result<Vec<Change>, Stop> {
        let asks = self
            .rule
            .is_some_and(|rule| matches!(rule.strategy, Strategy::ExtAuth(..)));
        let has_custom = sites.iter().any(|site| !site.enforced.custom.is_empty());
        match asks || has_custom {
            true => self.rulings(sites, readings),
            false => Ok(Vec::new()),
        }
    }

    #[inline(never)]
    fn rulings(
        &mut self,
        sites: &[&'a Site],
        readings: &[Reading<'_>],
    ) -> Result<Vec<Change>, Stop> {
        let mut asked: Vec<(usize, &Rc<str>)> = Vec::new();
        let mut add = |authorizer: usize, by| {
            if asked.iter().all(|(known, _)| *known != authorizer) {
                asked.push((authorizer, by));
            }
        };
        if let Some(rule) = self.rule
            && let Strategy::ExtAuth(authorizers, _) = &rule.strategy
        {
            authorizers.iter().for_each(|it| add(*it, &rule.id));
        }
        for rule in self.custom_rules(sites, readings) {
            self.note_match(&rule.id);
            match rule.authorizer {
                Some(authorizer) => add(authorizer, &rule.id),
                // Nobody knows whom to ask: Istio refuses.
                None => {
                    let id = Rc::clone(&rule.id);
                    return Err(Refusal::by(Reason::AuthorizerUnknown, id).into());
                }
            }
        }
        let mut changes = Vec::new();
        for (authorizer, by) in asked {
            changes.extend(self.ruling(authorizer, by)?);
        }
        Ok(changes)
    }

    /// The rules of CUSTOM policies that match: with and without the port of the authority, and
    /// also where it cannot be told.
    fn custom_rules(&self, sites: &[&'a Site], readings: &[Reading<'_>]) -> Vec<&'a Rule> {
        let mut rules: Vec<&'a Rule> = Vec::new();
        let custom = || sites.iter().map(|site| &site.enforced.custom);
        for reading in readings {
            for authority in self.request.authorities() {
                let facts = Facts {
                    authority: &authority,
                    ..facts(self.request, reading, None)
                };
                let matches = |rule: &Rule| rule.condition.truth(&facts) != Truth::False;
                for rule in custom().flat_map(|set| set.matching(reading.read_path(), matches)) {
                    let at = rules.partition_point(|known| known.id <= rule.id);
                    rules.insert(at, rule);
                }
            }
        }
        rules
    }

    fn ruling(&self, index: usize, by: &Rc<str>) -> Result<Vec<Change>, Stop> {
        let authorizer = self.policy.authorizers.get(index).ok_or(Reason::Internal)?;
        let given = self.answers.given.iter().find_map(|answer| match answer {
            Answer::Ruled(known, ruling) if *known == index => Some(ruling),
            _ => None,
        });
        let Some(ruling) = given else {
            let http = authorizer.ask(self.request);
            let question = Question::Authorizer(index);
            return Err(self.ask(Call { question, http }));
        };
        match ruling.as_ref() {
            Ruling::Allowed(changes) => Ok(changes.clone()),
            Ruling::Denied(response) => {
                let refusal = Refusal::by(Reason::AuthorizerDenied, Rc::clone(by));
                let response = Some(Box::new(response.clone()));
                Err(Refusal {
                    response,
                    ..refusal
                }
                .into())
            }
            Ruling::Failed(_) => match authorizer.failed() {
                Some(refusal) => Err(refusal.into()),
                None => Ok(Vec::new()),
            },
        }
    }

    /// Who holds the token, as the authorization server says.
    #[inline(never)]
    pub(super) fn introspect(
        &mut self,
        demand: &'a IntrospectionDemand,
        mut token: Token<'a>,
    ) -> Result<Authenticated<'a>, Stop> {
        let policy = self.policy;
        let provider = policy.introspection_providers.get(demand.provider);
        let provider = provider.ok_or(Reason::Internal)?;
        if !token.look_at(&provider.locations, self.request)? {
            return Err(Reason::CredentialMissing.into());
        }
        let Token { text, places } = token;
        let text = text.unwrap_or_default();
        if !introspection::is_token(&text) {
            return Err(Reason::TokenUnreadable.into());
        }
        let scopes = demand.asked_scopes.as_deref();
        let known = match self.known(demand.provider, scopes, &text)? {
            Some(known) => known,
            None => {
                let question = Question::Introspection {
                    provider: demand.provider,
                    token: text.as_ref().into(),
                    scopes: scopes.map(Into::into),
                };
                let http = provider.ask(&text, scopes);
                return Err(self.ask(Call { question, http }));
            }
        };
        let identity = provider.judge(&known, self.now)?;
        self.demand_binding(&identity)?;
        Ok(Authenticated {
            identity,
            by: None,
            removed: match demand.forward_token {
                true => Few::new(),
                false => places,
            },
            outputs: Vec::new(),
        })
    }

    /// What was answered about the token, to this request or to one before it.
    fn known(
        &mut self,
        provider: usize,
        scopes: Option<&str>,
        token: &[u8],
    ) -> Result<Option<Introspection>, Stop> {
        let given = self.answers.given.iter().find_map(|answer| match answer {
            Answer::Introspected(known, asked, outcome)
                if *known == provider && asked.as_deref() == scopes =>
            {
                Some(outcome)
            }
            _ => None,
        });
        match given {
            Some(Ok(known)) => return Ok(Some(known.clone())),
            Some(Err(outage)) => {
                let provider = self.policy.introspection_providers.get(provider);
                let refusal = provider.map(|it| it.refusal(outage));
                return Err(refusal.unwrap_or_else(|| Reason::Internal.into()).into());
            }
            None => {}
        }
        if scopes.is_some() {
            return Ok(None);
        }
        let cache = self.caches.introspected.get(provider);
        let remembered = cache.and_then(|it| it.get(token));
        let believed = remembered.filter(|it| self.now < it.until);
        if let Some(lookups) = self.caches.introspected_lookups.get_mut(provider) {
            lookups.note(believed.is_some());
        }
        Ok(believed.map(|it| it.known))
    }

    fn ask(&self, call: Call) -> Stop {
        match self.answers.given.len() < MAX_CALLS {
            true => Stop::Call(Box::new(call)),
            false => Reason::CallsExceeded.into(),
        }
    }
}
