//! The rules of policies: CUSTOM, AUDIT, DENY and ALLOW, those with `dryRun` apart.

use super::{Entry, Outcome, Stage, Step, Walk};
use crate::cli::explain::why::{holds, lacks};
use crate::policy::{Entry as Attached, Facts, Rule, RuleSet, Rules, Truth};

/// How a rule is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// What cannot be told is a match, also with another form of the authority.
    Refusing,
    /// What cannot be told is a match.
    Noting,
    /// What cannot be told is none.
    Allowing,
}

// === impl Walk ===

impl Walk<'_> {
    /// The rules of CUSTOM policies, which say who else is asked.
    pub(super) fn custom_step(&self) -> Vec<Step> {
        let entries = self.readings.iter().map(|reading| {
            let facts = self.facts(reading, None);
            let entries = self.entries(|set| &set.custom, false, &facts, Asked::Refusing);
            ("policies with action CUSTOM", reading, entries)
        });
        self.by_reading(entries.collect())
    }

    /// The rules of the other policies, up to the step that decided.
    pub(super) fn policy_entries(
        &self,
        facts: &Facts<'_>,
        end: Stage,
    ) -> Vec<(&'static str, Vec<Entry>)> {
        if end < Stage::Deny {
            return Vec::new();
        }
        let audit = self.entries(|set| &set.audit, false, facts, Asked::Noting);
        let deny = self.entries(|set| &set.deny, false, facts, Asked::Refusing);
        let mut steps = vec![
            ("policies with action AUDIT", audit),
            ("policies with action DENY", deny),
        ];
        if end >= Stage::Allow {
            let mut allow = self.entries(|set| &set.allow, false, facts, Asked::Allowing);
            let demanded = self
                .sites
                .iter()
                .any(|it| it.enforced.demands_allow(facts.path));
            if demanded && allow.is_empty() {
                let entry = Entry::new("no rule", Outcome::DoesNotMatch);
                allow.push(
                    entry.note("an ALLOW policy without a rule for this path allows nothing"),
                );
            }
            steps.push(("policies with action ALLOW", allow));
        }
        let dry = [
            (
                "dry run: policies with action DENY",
                self.entries(|set| &set.deny, true, facts, Asked::Refusing),
            ),
            (
                "dry run: policies with action ALLOW",
                self.entries(|set| &set.allow, true, facts, Asked::Allowing),
            ),
        ];
        steps.extend(dry);
        steps
    }

    /// What each rule that is attached to the path says.
    fn entries(
        &self,
        rules: fn(&RuleSet) -> &Rules,
        dry_run: bool,
        facts: &Facts<'_>,
        asked: Asked,
    ) -> Vec<Entry> {
        let sets = self.sites.iter().map(|site| match dry_run {
            true => &site.dry_run,
            false => &site.enforced,
        });
        let attached = sets.flat_map(|set| rules(set).iter());
        let attached = attached.filter(|entry: &&Attached<Rule>| entry.covers(facts.path));
        attached
            .map(|entry| self.entry(&entry.item, facts, asked))
            .collect()
    }

    fn entry(&self, rule: &Rule, facts: &Facts<'_>, asked: Asked) -> Entry {
        // A rule that refuses sees the authority in every form.
        let forms: Vec<_> = match asked {
            Asked::Refusing => self.request.authorities().collect(),
            Asked::Noting | Asked::Allowing => vec![facts.authority.into()],
        };
        for authority in &forms {
            let facts = Facts {
                authority,
                ..*facts
            };
            let outcome = match (rule.condition.truth(&facts), asked) {
                (Truth::True, _) => Outcome::Matches,
                (Truth::Unknown, Asked::Refusing | Asked::Noting) => Outcome::CannotBeTold,
                _ => continue,
            };
            let entry = Entry::new(&*rule.id, outcome).why(holds(&rule.condition, &facts));
            return match outcome {
                Outcome::CannotBeTold => entry.note("which counts as a match"),
                _ => entry,
            };
        }
        Entry::new(&*rule.id, Outcome::DoesNotMatch).why(lacks(&rule.condition, facts))
    }
}
