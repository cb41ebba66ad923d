//! A token of which only its authorization server knows what it says: what that has answered.

use super::jwt_rule::time;
use super::{absent, differing};
use crate::call::Answer;
use crate::cli::explain::secrets::shown;
use crate::cli::explain::trail::{Entry, Outcome, Walk};
use crate::cli::explain::why::Why;
use crate::identity::Identity;
use crate::introspection::is_token;
use crate::policy::IntrospectionDemand;
use crate::verdict::Reason;
use serde_json::Value;
use std::borrow::Cow;

// === impl Walk ===

impl Walk<'_> {
    /// What the authorization server says.
    pub(super) fn introspected<'s>(
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
            let note = format!("{found}; it is empty, too long, or has other letters than a token");
            return (
                vec![Entry::new("the token", Outcome::Fails).note(note)],
                None,
            );
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
                return (vec![entry(Outcome::Asked)], None);
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

    /// The member of the reply that a refusal is about.
    fn told(&self, reason: Reason) -> Vec<Why> {
        let reply = self.world.introspected().unwrap_or_default();
        let member = |name: &str| match reply.get(name) {
            None => "no such member".to_owned(),
            Some(value) => shown(value.to_string().as_bytes()),
        };
        let lacks = |name: &str, of: &str| {
            let saw = format!(
                "{}, which is not what the provider's `{of}` demand",
                member(name)
            );
            vec![Why::new(name, Vec::new(), saw)]
        };
        let demands =
            |name: &str, value: &str| vec![Why::new(name, vec![value.to_owned()], member(name))];
        match reason {
            Reason::TokenUse => demands("token_use", "access_token"),
            Reason::AudienceMissing => lacks("aud", "audiences"),
            Reason::IssuerUntrusted => lacks("iss", "trustedIssuers"),
            _ if reply.get("active") != Some(&Value::Bool(true)) => demands("active", "true"),
            _ => {
                let names = ["exp", "nbf"].into_iter();
                let times = names.filter_map(|name| {
                    let at = reply.get(name)?.as_f64()?;
                    let saw = format!(
                        "{}; now is {}",
                        time(at),
                        time(self.worker.now.as_secs_f64())
                    );
                    Some(Why::new(name, Vec::new(), saw))
                });
                times.collect()
            }
        }
    }
}
