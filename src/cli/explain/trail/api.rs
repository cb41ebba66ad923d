//! The API rules of an authority: which one is taken, who is asked for it, and what it demands of the
//! credential.

use super::{Entry, Outcome, Step, Walk};
use crate::authorizer::Ruling;
use crate::call::{Answer, MAX_CALLS};
use crate::cli::explain::report::Verdicts;
use crate::cli::explain::secrets::shown;
use crate::cli::explain::why::{Why, lacks};
use crate::policy::{ApiRule, Authorization, Facts, JwtDemand, JwtRule, Strategy, Truth};
use crate::request::ReadPath;
use crate::verdict::Reason;
use std::rc::Rc;

/// What a rule with `/*` takes.
const ADMITTED: &str = "`/*` takes only the letters that RFC 3986 allows in a path";

// === impl Walk ===

impl Walk<'_> {
    /// Each rule up to the one that is taken; for a preflight, of the method that it announces.
    pub(super) fn api_steps(&self, verdict: &Verdicts) -> Vec<Step> {
        let Some(api) = self.api else {
            return Vec::new();
        };
        let mut steps = Vec::new();
        let is_answered = matches!(verdict, Verdicts::Preflight(_));
        steps.extend(self.preflight_step(is_answered));
        let announced = self
            .request
            .headers
            .all("access-control-request-method")
            .next();
        let by_reading = self.readings.iter().map(|reading| {
            let method = announced.filter(|_| is_answered).unwrap_or(&reading.method);
            let path = reading.read_path();
            let mut entries = Vec::new();
            for rule in api.rules.iter() {
                let entry = rule_entry(&rule.item, method, path);
                let is_taken = entry.outcome != Outcome::PassedOver;
                entries.push(entry);
                if is_taken {
                    break;
                }
            }
            ("API rules", reading, entries)
        });
        steps.extend(self.by_reading(by_reading.collect()));
        steps
    }

    /// Whether a preflight is answered here.
    fn preflight_step(&self, is_answered: bool) -> Option<Step> {
        if !self.request.is_preflight() {
            return None;
        }
        let origin = self
            .request
            .headers
            .all("origin")
            .next()
            .unwrap_or_default();
        let origin = shown(origin);
        let entry = match (self.api.and_then(|api| api.cors.as_ref()), is_answered) {
            (Some(_), true) => Entry::new("corsPolicy", Outcome::Fulfilled).note(format!(
                "admits the origin {origin}; a rule is for the method that is announced"
            )),
            (Some(cors), false) => match cors.admits(self.request) {
                Some(_) => Entry::new("corsPolicy", Outcome::PassedOver)
                    .note("no rule is for the method that is announced; a request like others"),
                None => Entry::new("corsPolicy", Outcome::PassedOver).why(vec![Why::new(
                    "allowOrigins",
                    cors.origins().map(ToString::to_string).collect(),
                    origin,
                )]),
            },
            (None, _) => {
                Entry::new("corsPolicy", Outcome::Fact).note("there is none; a request like others")
            }
        };
        Some(Step::new("CORS preflight", vec![entry]))
    }

    /// What the authorizers of the request say.
    pub(super) fn authorizer_step(
        &self,
        rule: Option<&ApiRule>,
        verdict: &Verdicts,
    ) -> Option<Step> {
        let mut entries = Vec::new();
        for answer in &self.worker.answers.given {
            let Answer::Ruled(index, ruling) = answer else {
                continue;
            };
            let Some(authorizer) = self.policy.authorizers.get(*index) else {
                continue;
            };
            let (outcome, note) = match ruling.as_ref() {
                Ruling::Allowed(_) => (Outcome::Fulfilled, "allows the request".to_owned()),
                Ruling::Denied(response) => (
                    Outcome::Refused,
                    format!("answers with status {}", response.status),
                ),
                Ruling::Failed(why) => match authorizer.failed() {
                    Some(_) => (Outcome::Refused, format!("gives no answer: {why}")),
                    None => (
                        Outcome::Fulfilled,
                        format!(
                            "gives no answer: {why}; `failOpen: true` lets the request through"
                        ),
                    ),
                },
            };
            entries.push(Entry::new(authorizer.to_string(), outcome).note(note));
        }
        if let Verdicts::Undecided(undecided) = verdict
            && !undecided.is_about_a_token
        {
            entries.push(Entry::new(undecided.whom.clone(), Outcome::Asked));
        }
        if let Verdicts::Refused(refused) = verdict
            && refused.refusal.reason == Reason::CallsExceeded
        {
            let note = format!("{MAX_CALLS} questions are the most for one request");
            entries.push(Entry::new("the next question", Outcome::Fails).note(note));
        }
        if entries.is_empty() {
            return None;
        }
        let title = match rule.map(|it| &it.strategy) {
            Some(Strategy::ExtAuth(..)) => {
                "external authorizers of the API rule and of CUSTOM policies"
            }
            _ => "external authorizers of CUSTOM policies",
        };
        Some(Step::new(title, entries))
    }

    /// What the rule demands of the credential.
    pub(super) fn credential_entries(
        &self,
        rule: Option<&ApiRule>,
        by: Option<&JwtRule>,
        facts: &Facts<'_>,
    ) -> Vec<Entry> {
        let Some(rule) = rule else { return Vec::new() };
        let name = &*rule.id;
        match (&rule.strategy, rule.jwt()) {
            (Strategy::Introspection(demand), _) => vec![match facts.identity {
                Some(_) => authorization_entry(name, &demand.authorization, facts),
                None => without_credential(name),
            }],
            (_, Some(demand)) => jwt_entries(name, demand, by, facts),
            _ => Vec::new(),
        }
    }
}

fn rule_entry(rule: &ApiRule, method: &[u8], path: ReadPath<'_>) -> Entry {
    if !rule.path.matches(path) {
        let why = Why::new("path", vec![rule.path.to_string()], shown(path.bytes));
        return Entry::new(&*rule.id, Outcome::PassedOver).why(vec![why]);
    }
    if !rule.fits(method, path) {
        let methods = rule.methods.iter().map(ToString::to_string).collect();
        let why = Why::new("methods", methods, shown(method));
        return Entry::new(&*rule.id, Outcome::PassedOver).why(vec![why]);
    }
    let taken = Entry::new(&*rule.id, Outcome::Taken);
    match &rule.strategy {
        Strategy::Deny => Entry::new(&*rule.id, Outcome::Refused).note("`deny: true`"),
        _ if !rule.admits(path) => {
            let why = Why::new("path", vec![rule.path.to_string()], shown(path.bytes));
            Entry::new(&*rule.id, Outcome::Refused)
                .note(ADMITTED)
                .why(vec![why])
        }
        Strategy::NoAuth => taken.note("`noAuth: true`: everybody is let in"),
        Strategy::Jwt(_) => taken.note("`jwt`: a verified token is demanded"),
        Strategy::Introspection(_) => taken
            .note("`oauth2Introspection`: a token is demanded that the provider says is active"),
        Strategy::ExtAuth(_, None) => taken.note("`extAuth`: authorizers decide"),
        Strategy::ExtAuth(_, Some(_)) => taken.note(
            "`extAuth` with `restrictions`: authorizers decide, and a verified token is demanded",
        ),
    }
}

fn without_credential(name: &str) -> Entry {
    Entry::new(name, Outcome::Refused).note("demands a token, and there is none that was accepted")
}

fn jwt_entries(
    name: &str,
    demand: &JwtDemand,
    by: Option<&JwtRule>,
    facts: &Facts<'_>,
) -> Vec<Entry> {
    let (Some(identity), Some(by)) = (facts.identity, by) else {
        return vec![without_credential(name)];
    };
    let own = |rule: &Rc<JwtRule>| std::ptr::eq(by, Rc::as_ptr(rule));
    if !demand.authentications.iter().any(own) {
        let demands = demand.authentications.iter().map(|it| it.name.to_string());
        let saw = format!("a token that `{}` of `jwtRules` has verified", by.name);
        let why = Why::new("authentications", demands.collect(), saw);
        return vec![Entry::new(name, Outcome::Refused).why(vec![why])];
    }
    if identity.subject().is_none_or(str::is_empty) {
        let note = "demands a `sub` that is not empty, and the token has none";
        return vec![Entry::new(name, Outcome::Refused).note(note)];
    }
    let mut entries = Vec::new();
    for (index, authorization) in demand.authorizations.iter().enumerate() {
        let name = format!("{name}.authorizations[{index}]");
        let entry = authorization_entry(&name, authorization, facts);
        let holds = entry.outcome == Outcome::Fulfilled;
        entries.push(entry);
        if holds {
            break;
        }
    }
    if entries.is_empty() {
        let note = format!("the token of `{}` is all that it demands", by.name);
        entries.push(Entry::new(name, Outcome::Fulfilled).note(note));
    }
    entries
}

fn authorization_entry(name: &str, demand: &Authorization, facts: &Facts<'_>) -> Entry {
    let lacking: Vec<Why> = [
        ("audiences", &demand.audiences),
        ("requiredScopes", &demand.scopes),
    ]
    .into_iter()
    .filter(|(_, condition)| condition.truth(facts) != Truth::True)
    .flat_map(|(_, condition)| lacks(condition, facts))
    .take(1)
    .collect();
    match lacking.is_empty() {
        true => Entry::new(name, Outcome::Fulfilled).note("audiences and scopes are as demanded"),
        false => Entry::new(name, Outcome::Refused).why(lacking),
    }
}
