//! Everything that a soak has seen, and what of it is not as it must be.
//!
//! The answers that clients got are compared with what the gateway counted itself, one by one.

use std::{collections::BTreeMap, iter};

use crate::{
    answers::Answer,
    asks::Kind,
    crowd::{LATE, Tally},
    events::{Rotations, Troubles, Updates},
    memory::{LastHalf, Sample},
};

/// Everything that was seen.
pub struct Seen {
    pub seconds: u32,
    pub tally: Tally,
    pub updates: Updates,
    pub rotations: Rotations,
    /// By whom was in trouble.
    pub troubles: [(&'static str, Troubles); 3],
    pub memory: Vec<Sample>,
    /// Envoy's statistics before and after.
    pub before: BTreeMap<String, i64>,
    pub after: BTreeMap<String, i64>,
    pub wasm_failures: Vec<String>,
}

/// What is counted, by whom, and what is right.
struct Count {
    what: String,
    counted: i64,
    right: i64,
}

/// How the names of our statistics begin.
pub const OURS: &str = "wasmcustom.portcullis.";
/// VMs that there are; for each update there is one more for a moment.
pub const ACTIVE: &str = "wasm.envoy.wasm.runtime.v8.active";
/// So many answers fill what the workers remember before half of them are given.
pub const FILL: u64 = 200_000;

/// Of all answers; more would prove little.
const MOST_AMBIGUOUS: f64 = 0.01;
/// Of the answers for which nobody has to be asked; a machine may stop for a moment.
const MOST_LATE: f64 = 0.001;
const NEED_NOBODY: [Kind; 2] = [Kind::KnownToken, Kind::KnownOpaque];

// === impl Seen ===

impl Seen {
    /// What is not as it must be, in plain sentences.
    pub fn faults(&self) -> Vec<String> {
        let tally = &self.tally;
        let mut faults = Vec::new();
        if tally.wrong > 0 {
            faults.push(format!("{} answers are wrong, such as:", tally.wrong));
            faults.extend(tally.told.iter().map(|(_, told)| format!("  {told}")));
        }
        // Written so that what is not a number is a fault, too.
        let proves = self.ambiguous_part() <= MOST_AMBIGUOUS;
        if !proves {
            let ambiguous = self.ambiguous();
            faults.push(format!(
                "{ambiguous} answers could have been others; that proves little"
            ));
        }
        faults.extend(NEED_NOBODY.iter().filter_map(|kind| {
            let (late, all) = (*tally.late.get(kind)?, tally.of_kind(*kind));
            let too_many = late as f64 > all as f64 * MOST_LATE;
            too_many.then(|| format!("{late} of {all} answers to {kind:?} took more than {LATE:?}"))
        }));
        faults.extend(self.updates.wrong.iter().cloned());
        faults.extend(self.unmet());
        faults.extend(
            self.wasm_failures
                .iter()
                .map(|it| format!("a VM has failed: {it}")),
        );
        if self.caches_are_full() {
            faults.extend(LastHalf::of(&self.memory).faults());
        }
        faults.extend(self.counts().filter(|it| it.counted != it.right).map(|it| {
            let Count {
                what,
                counted,
                right,
            } = it;
            format!("{what}: the gateway counts {counted}, and {right} is right")
        }));
        faults
    }

    /// Answers of which another one would have been right, too.
    pub fn ambiguous(&self) -> u64 {
        self.tally.ambiguous.values().sum()
    }

    pub fn ambiguous_part(&self) -> f64 {
        self.ambiguous() as f64 / self.tally.total() as f64
    }

    /// Whether memory can be judged.
    pub fn caches_are_full(&self) -> bool {
        self.tally.total() >= FILL
    }

    /// Troubles that the gateway did not notice, since it asked nobody just then.
    fn unmet(&self) -> impl Iterator<Item = String> {
        self.troubles.iter().flat_map(|(whom, troubles)| {
            let unmet = troubles.iter().filter(|(_, failed)| failed.contains(&0));
            unmet.map(move |(name, _)| {
                format!("nothing was asked of the {whom} in its trouble: {name}")
            })
        })
    }

    /// What the gateway counts, beside what its clients and the events tell.
    fn counts(&self) -> impl Iterator<Item = Count> {
        let tally = &self.tally;
        let discovery = "extension_config_discovery.http_filter.portcullis";
        let updates = &self.updates;
        let whole = [
            (
                "http.gateway.downstream_rq_total".to_owned(),
                tally.total() + tally.wrong,
            ),
            (
                "http.gateway.downstream_cx_total".to_owned(),
                tally.connections,
            ),
            (
                format!("{discovery}.update_success"),
                updates.accepted.into(),
            ),
            (
                format!("{discovery}.update_rejected"),
                updates.rejected.into(),
            ),
            (format!("{OURS}parked_requests"), 0),
            (ACTIVE.to_owned(), 0),
        ];
        let whole = whole.into_iter().map(|(what, right)| Count {
            counted: self.rose(&what),
            what,
            right: i64::try_from(right).unwrap_or(i64::MAX),
        });
        whole
            .chain(self.refusals())
            .chain(iter::once(self.allowed()))
    }

    /// Refusals by reason, be it one that the soak expects, or another such as `internal`.
    fn refusals(&self) -> impl Iterator<Item = Count> {
        let mut right: BTreeMap<&str, u64> = BTreeMap::new();
        let counted = self.after.keys().filter_map(|name| {
            let reason = name.strip_prefix(OURS)?.strip_prefix("reason=.=")?;
            reason.strip_suffix(";.;refusals_total")
        });
        right.extend(counted.map(|reason| (reason, 0)));
        for answer in Answer::ALL {
            if let Some(reason) = answer.reason() {
                *right.entry(reason).or_default() += self.tally.of(answer);
            }
        }
        right.into_iter().map(|(reason, right)| Count {
            what: format!("refusals for {reason}"),
            counted: self.rose(&format!("{OURS}reason=.={reason};.;refusals_total")),
            right: i64::try_from(right).unwrap_or(i64::MAX),
        })
    }

    /// Requests that were let through, by whatever rule.
    fn allowed(&self) -> Count {
        let names = self.after.keys().filter(|name| {
            name.starts_with(OURS) && name.ends_with(";.;outcome=.=allowed;.;decisions_total")
        });
        Count {
            what: "requests let through".to_owned(),
            counted: names.map(|name| self.rose(name)).sum(),
            right: i64::try_from(self.tally.of(Answer::Passed)).unwrap_or(i64::MAX),
        }
    }

    /// By how much a statistic rose.
    fn rose(&self, name: &str) -> i64 {
        let value = |stats: &BTreeMap<String, i64>| stats.get(name).copied().unwrap_or(0);
        value(&self.after) - value(&self.before)
    }
}
