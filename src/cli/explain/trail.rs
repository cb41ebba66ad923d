//! The way that a decision took, step by step, in the order of [`crate::decide`]: what was
//! considered, and what each rule saw.
//!
//! The verdict is the core's and is not found here a second time; the walk ends at the step that the
//! verdict names ([`Stage`]), and asks the core's own rules and conditions, one by one, what they say.

mod api;
mod policies;
mod request;
mod tokens;

pub(super) use request::unread;

use super::outside::World;
use super::report::Verdicts;
use super::why::Why;
use crate::cli::worker::Worker;
use crate::identity::Identity;
use crate::policy::{Api, ApiRule, Facts, Policy, Site};
use crate::request::{Reading, Request};
use crate::verdict::{Reason, Refusal};
use serde::Serialize;

/// A step of the way.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    /// What was looked at.
    pub step: String,
    pub entries: Vec<Entry>,
}

/// Something that was considered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Entry {
    /// The name of the rule, or what it is about.
    pub subject: String,
    pub outcome: Outcome,
    /// More about it, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The conditions that decided; of several that lack, each would have done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<Why>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Nothing is decided by it.
    Fact,
    /// It is as demanded.
    Fulfilled,
    /// The token is good.
    Accepts,
    /// The rule is for the request.
    Taken,
    /// The rule is not for the request.
    PassedOver,
    Matches,
    DoesNotMatch,
    /// It cannot be told, which counts as a match where that refuses.
    CannotBeTold,
    /// A rule refuses the request, or the token.
    Refused,
    /// It is not as it must be.
    Fails,
    /// Nobody has said what is answered.
    Asked,
}

/// A step that can refuse, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Read,
    Connection,
    ApiRules,
    Authorizers,
    Tokens,
    Credential,
    Deny,
    Allow,
    Authority,
    /// It is not refused.
    End,
}

/// A walk along the rules that a request meets.
pub(super) struct Walk<'a> {
    policy: &'a Policy,
    worker: &'a Worker,
    request: &'a Request<'a>,
    world: &'a World,
    sites: Vec<&'a Site>,
    api: Option<&'a Api>,
    readings: Vec<Reading<'a>>,
}

// === impl Walk ===

impl<'a> Walk<'a> {
    pub(super) fn new(
        policy: &'a Policy,
        worker: &'a Worker,
        request: &'a Request<'a>,
        world: &'a World,
    ) -> Self {
        let sites: Vec<_> = policy.sites(&request.authority_name).into_vec();
        let api = sites.iter().find_map(|site| site.api.as_deref());
        let matching = api.and_then(|api| api.path_matching);
        let readings = request.readings(matching.unwrap_or(policy.path_matching));
        Self {
            policy,
            worker,
            request,
            world,
            sites,
            api,
            readings: readings.unwrap_or_default().into_vec(),
        }
    }

    /// The steps up to the one that decided.
    pub(super) fn steps(&self, verdict: &Verdicts) -> Vec<Step> {
        let end = stage(verdict);
        let reached = |stage: Stage| stage <= end;
        let mut steps = vec![self.request_step()];
        steps.extend(self.connection_step());
        if reached(Stage::ApiRules) {
            steps.extend(self.authority_step());
            steps.extend(self.api_steps(verdict));
        }
        if matches!(verdict, Verdicts::Preflight(_)) {
            return steps;
        }
        let rule = self.rule();
        if reached(Stage::Authorizers) {
            steps.extend(self.custom_step());
            steps.extend(self.authorizer_step(rule, verdict));
        }
        if reached(Stage::Tokens) {
            let mut token_steps = Vec::new();
            for reading in &self.readings {
                let (entries, authenticated) = self.token_entries(reading, rule);
                token_steps.push(("token", reading, entries));
                if reached(Stage::Credential) {
                    let identity = authenticated.as_ref().map(|it| &it.0);
                    let by = authenticated.as_ref().and_then(|it| it.1);
                    let facts = self.facts(reading, identity);
                    let entries = self.credential_entries(rule, by, &facts);
                    token_steps.push(("demand of the API rule", reading, entries));
                    for (name, entries) in self.policy_entries(&facts, end) {
                        token_steps.push((name, reading, entries));
                    }
                }
            }
            steps.extend(self.by_reading(token_steps));
        }
        if reached(Stage::Authority) {
            steps.extend(self.default_action_step());
        }
        steps
    }

    /// The tokens of the request, which must not be printed.
    pub(super) fn tokens(&self) -> Vec<Vec<u8>> {
        let providers = self.policy.introspection_providers.iter();
        let locations = providers.map(|it| &it.locations);
        let rules = self
            .readings
            .iter()
            .flat_map(|it| self.jwt_rules(it, self.rule()));
        let locations = locations.chain(rules.map(|it| &it.locations));
        let found = locations.flat_map(|it| it.find(self.request));
        found.map(|it| it.token.into_owned()).collect()
    }

    /// The API rule that is for every reading.
    fn rule(&self) -> Option<&'a ApiRule> {
        let reading = self.readings.first()?;
        let path = reading.read_path();
        self.api?
            .rules
            .first_match(path, |rule| rule.fits(&reading.method, path))
    }

    /// What rules see of a reading.
    fn facts<'f>(&'f self, reading: &'f Reading<'_>, identity: Option<&'f Identity>) -> Facts<'f> {
        Facts {
            authority: self.request.authority,
            method: &reading.method,
            path: reading.read_path(),
            target: &self.request.path,
            headers: self.request.headers,
            identity,
            connection: self.request.connection,
        }
    }

    /// Steps of several readings: each once, with the readings that it is the same for.
    fn by_reading(&self, steps: Vec<(&'static str, &Reading<'_>, Vec<Entry>)>) -> Vec<Step> {
        let mut known: Vec<(&'static str, Vec<String>, Vec<Entry>)> = Vec::new();
        for (name, reading, entries) in steps.into_iter().filter(|it| !it.2.is_empty()) {
            let reading = request::of_reading(reading);
            let same = |it: &&mut (_, _, Vec<Entry>)| it.0 == name && it.2 == entries;
            match known.iter_mut().find(same) {
                Some((_, readings, _)) => readings.push(reading),
                None => known.push((name, vec![reading], entries)),
            }
        }
        let every = self.readings.len();
        let named = known.into_iter().map(|(name, readings, entries)| Step {
            step: match readings.len() == every {
                true => name.to_owned(),
                false => format!("{name}, read as {}", readings.join(" or ")),
            },
            entries,
        });
        named.collect()
    }
}

// === impl Entry ===

impl Entry {
    fn new(subject: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            subject: subject.into(),
            outcome,
            note: String::new(),
            why: Vec::new(),
        }
    }

    fn note(self, note: impl Into<String>) -> Self {
        Self {
            note: note.into(),
            ..self
        }
    }

    fn why(self, why: Vec<Why>) -> Self {
        Self { why, ..self }
    }
}

// === impl Step ===

impl Step {
    fn new(step: impl Into<String>, entries: Vec<Entry>) -> Self {
        let step = step.into();
        Self { step, entries }
    }
}

/// The step that decided.
fn stage(verdict: &Verdicts) -> Stage {
    match verdict {
        Verdicts::Allowed(_) => Stage::End,
        Verdicts::Preflight(_) => Stage::ApiRules,
        Verdicts::Undecided(undecided) => match undecided.is_about_a_token {
            true => Stage::Tokens,
            false => Stage::Authorizers,
        },
        Verdicts::Refused(refused) => stage_of(&refused.refusal),
    }
}

fn stage_of(refusal: &Refusal) -> Stage {
    use Reason::*;
    match refusal.reason {
        MethodUnreadable | AuthorityUnreadable | PathMissing | PathUnreadable | Overloaded
        | Internal => Stage::Read,
        ServerNameDiffers | HttpsRequired => Stage::Connection,
        ReadingsDiffer | RuleDenied | RuleUnknown => Stage::ApiRules,
        AuthorizerDenied | AuthorizerFailed | AuthorizerUnknown => Stage::Authorizers,
        CallsExceeded => Stage::Authorizers,
        TokenMissing
        | TokensDiffer
        | TokenTooLong
        | TokenMalformed
        | TokenHeaderBase64
        | TokenHeaderJson
        | TokenHeaderCritical
        | TokenAlgorithmMissing
        | TokenAlgorithmUnsupported
        | TokenKeyIdInvalid
        | TokenPayloadBase64
        | TokenPayloadJson
        | TokenIssuerType
        | TokenSubjectType
        | TokenIdType
        | TokenAudienceType
        | TokenExpirationType
        | TokenExpirationRange
        | TokenNotBeforeType
        | TokenNotBeforeRange
        | TokenIssuedAtType
        | TokenIssuedAtRange
        | TokenSignatureBase64
        | TokenIssuerUnknown
        | TokenNotYetValid
        | TokenExpired
        | TokenExpirationMissing
        | TokenSubjectMissing
        | TokenAudience
        | TokenSignature
        | KeyUnknown
        | KeysUnavailable
        | TokenBinding
        | TokenUnreadable
        | TokenInactive
        | TokenUse
        | IntrospectionFailed
        | IntrospectionUnauthorized
        | IntrospectionThrottled => Stage::Tokens,
        CredentialMissing | SubjectMissing | AudienceMissing | IssuerUntrusted | ScopeMissing => {
            Stage::Credential
        }
        PolicyDenied => Stage::Deny,
        // Of an API rule, whose `/*` does not take every letter.
        PolicyNotAllowed if refusal.rule.is_some() => Stage::ApiRules,
        PolicyNotAllowed => Stage::Allow,
        AuthorityUnknown => Stage::Authority,
    }
}
