//! What a soak has seen, as a table, and everything in it that is not as it must be.
//!
//! It measures nothing. The answers that clients got are compared with what the gateway counted
//! itself, one by one.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    answers::Answer,
    crowd::Tally,
    events::{Rotations, Troubles, Updates},
    memory::{LastHalf, Sample},
};

/// Everything that was seen.
pub struct Seen {
    pub seconds: u32,
    pub tally: Tally,
    pub updates: Updates,
    pub rotations: Rotations,
    /// By whom they were made.
    pub troubles: [(&'static str, Troubles); 3],
    pub memory: Vec<Sample>,
    /// Envoy's statistics before and after.
    pub before: BTreeMap<String, i64>,
    pub after: BTreeMap<String, i64>,
    pub wasm_failures: Vec<String>,
}

const OURS: &str = "wasmcustom.portcullis.";
/// VMs that there are; for each update there is one more for a moment.
const ACTIVE: &str = "wasm.envoy.wasm.runtime.v8.active";
/// So many requests fill what the workers remember before half of them are sent.
const FILL: u64 = 200_000;
/// Of all answers; more would prove little.
const MOST_AMBIGUOUS: f64 = 0.01;

// === impl Seen ===

impl Seen {
    /// The table.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| _ = writeln!(text, "{line}");
        let tally = &self.tally;
        line("| asked | answers | of these | could have been another | slowest |".to_owned());
        line("|---|---:|---|---:|---:|".to_owned());
        for (kind, slowest) in &tally.slowest {
            let of_kind = tally.answers.iter().filter(|((it, _), _)| it == kind);
            let (mut all, mut each) = (0, Vec::new());
            for ((_, answer), count) in of_kind {
                all += count;
                each.push(format!("{answer:?} {count}"));
            }
            let (each, ambiguous) = (each.join(", "), tally.ambiguous.get(kind).unwrap_or(&0));
            line(format!(
                "| {kind:?} | {all} | {each} | {ambiguous} | {slowest:.0?} |"
            ));
        }
        line(format!(
            "\n{} answers in {} s ({:.0} a second) by {} connections; {} of them wrong; of {} ({:.3} %) \
             another one would have been right, too",
            tally.total() + tally.wrong,
            self.seconds,
            tally.total() as f64 / f64::from(self.seconds),
            tally.connections,
            tally.wrong,
            self.ambiguous(),
            self.ambiguous_part() * 100.0,
        ));
        let Updates {
            accepted,
            rejected,
            slowest,
            ..
        } = &self.updates;
        line(format!(
            "{accepted} updates accepted, {rejected} faulty ones rejected, the slowest in {slowest:.0?}"
        ));
        let Rotations { published, dropped } = &self.rotations;
        line(format!(
            "{published} times new keys of both issuers; {dropped} times their old ones were dropped\n"
        ));
        line("| trouble | of whom | times | questions of the gateway that failed |".to_owned());
        line("|---|---|---:|---|".to_owned());
        for (whom, troubles) in &self.troubles {
            for (name, met) in troubles {
                let each: Vec<_> = met.iter().map(i64::to_string).collect();
                line(format!(
                    "| {name} | {whom} | {} | {} |",
                    met.len(),
                    each.join(", ")
                ));
            }
        }
        line("\n| memory after | resident, MiB | given out by Envoy's allocator, MiB |".to_owned());
        line("|---:|---:|---:|".to_owned());
        for tenth in 1..=10 {
            if let Some(sample) = self.memory.get((self.memory.len() * tenth / 10).max(1) - 1) {
                let Sample {
                    at,
                    resident,
                    allocated,
                } = sample;
                line(format!("| {at:.0?} | {resident:.1} | {allocated:.1} |"));
            }
        }
        let last = LastHalf::of(&self.memory);
        line(format!(
            "\nthe last half: median {:.1} MiB in the third quarter, {:.1} MiB in the last ({:+.1} %), \
             peak {:.1} MiB ({:+.1} %)\n",
            last.third,
            last.fourth,
            last.growth() * 100.0,
            last.peak,
            last.excess() * 100.0,
        ));
        if !self.caches_are_full() {
            line(format!(
                "which is not judged: below {FILL} answers, caches are still filling in the last half\n"
            ));
        }
        line("| counter | value |".to_owned());
        line("|---|---:|".to_owned());
        let counters = self.after.iter().filter(|(name, _)| {
            let ours = name.starts_with(OURS) && name.contains("_total");
            ours || name.starts_with("wasm.portcullis")
                || *name == ACTIVE
                || name.ends_with("portcullis.update_rejected")
        });
        for (name, value) in counters {
            line(format!("| {name} | {value} |"));
        }
        text
    }

    /// What is not as it must be, in plain sentences.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.tally.wrong > 0 {
            faults.push(format!("{} answers were wrong:", self.tally.wrong));
            faults.extend(self.tally.told.iter().map(|(_, told)| told.clone()));
        }
        if self.ambiguous_part() > MOST_AMBIGUOUS {
            faults.push(format!("{} answers prove little", self.ambiguous()));
        }
        faults.extend(self.updates.wrong.iter().cloned());
        faults.extend(
            self.wasm_failures
                .iter()
                .map(|it| format!("a VM failed: {it}")),
        );
        for (whom, troubles) in &self.troubles {
            let unmet = troubles.iter().filter(|(_, met)| met.contains(&0));
            faults.extend(unmet.map(|(name, _)| {
                format!("the gateway did not ask the {whom} while its trouble was: {name}")
            }));
        }
        if self.caches_are_full() {
            faults.extend(LastHalf::of(&self.memory).faults());
        }
        faults.extend(self.miscounted());
        faults
    }

    /// Counters that are not what the clients and the events say.
    fn miscounted(&self) -> impl Iterator<Item = String> {
        let rose = |name: &str| {
            let value = |stats: &BTreeMap<String, i64>| stats.get(name).copied().unwrap_or(0);
            value(&self.after) - value(&self.before)
        };
        let now = |name: &str| self.after.get(name).copied().unwrap_or(0);
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let answers = count(self.tally.total() + self.tally.wrong);
        let mut wanted = vec![
            (
                "requests",
                rose("http.gateway.downstream_rq_total"),
                answers,
            ),
            (
                "connections",
                rose("http.gateway.downstream_cx_total"),
                count(self.tally.connections),
            ),
            (
                "rejected updates",
                rose("extension_config_discovery.http_filter.portcullis.update_rejected"),
                self.updates.rejected.into(),
            ),
            (
                "accepted updates",
                rose("extension_config_discovery.http_filter.portcullis.update_success"),
                self.updates.accepted.into(),
            ),
            ("more VMs than before", rose(ACTIVE), 0),
            (
                "requests that still wait",
                now(&format!("{OURS}parked_requests")),
                0,
            ),
        ];
        // Every reason, be it one of ours or another such as `internal` or `overloaded`.
        let mut reasons: BTreeMap<String, i64> = BTreeMap::new();
        for answer in Answer::ALL {
            if let Some(reason) = answer.reason() {
                *reasons.entry(reason.to_owned()).or_default() += count(self.tally.of(answer));
            }
        }
        let counted = self.after.keys().filter_map(|name| {
            let name = name.strip_prefix(OURS)?.strip_suffix(";.;refusals_total")?;
            name.strip_prefix("reason=.=")
        });
        for reason in counted {
            reasons.entry(reason.to_owned()).or_default();
        }
        let reasons: Vec<_> = reasons.into_iter().collect();
        wanted.extend(reasons.iter().map(|(reason, wanted)| {
            let name = format!("{OURS}reason=.={reason};.;refusals_total");
            (reason.as_str(), rose(&name), *wanted)
        }));
        let allowed: i64 = self
            .after
            .keys()
            .map(|name| {
                let allowed = name.starts_with(OURS)
                    && name.ends_with(";.;outcome=.=allowed;.;decisions_total");
                if allowed { rose(name) } else { 0 }
            })
            .sum();
        wanted.push(("allowed", allowed, count(self.tally.of(Answer::Passed))));
        let wrong = wanted
            .into_iter()
            .filter(|(_, counted, wanted)| counted != wanted);
        let wrong: Vec<_> = wrong
            .map(|(what, counted, wanted)| {
                format!("{what}: the gateway counts {counted}, and {wanted} is right")
            })
            .collect();
        wrong.into_iter()
    }

    fn caches_are_full(&self) -> bool {
        self.tally.total() >= FILL
    }

    fn ambiguous(&self) -> u64 {
        self.tally.ambiguous.values().sum()
    }

    fn ambiguous_part(&self) -> f64 {
        self.ambiguous() as f64 / self.tally.total() as f64
    }
}
