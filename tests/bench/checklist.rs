//! What was to be reached, and what was: each line with its target and the ratio of this run.
//!
//! It judges by CPU time, which a busy neighbour distorts least. A target that is missed fails
//! nothing: it is said by how much. Called by `main.rs`.

use std::fmt;

use serde::Serialize;

use crate::{
    contenders::{ASKING, COLD_ES256, COLD_RS256, NATIVE_AS_IN_ISTIO, NATIVE_WARM, ONE_RULE, WARM},
    memory::Memory,
    summary::{Line, Size},
};

/// One line.
#[derive(Serialize)]
pub struct Check {
    pub what: &'static str,
    pub target: Target,
    pub unit: &'static str,
    /// Nothing if this run did not measure it.
    pub measured: Option<f64>,
    pub reached: Option<bool>,
}

/// What a number must be.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

const MANY: u32 = 1_000;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// All lines, from what was measured in this run.
pub fn checklist(sizes: &[Size], memory: &[Memory], module_bytes: u64) -> Vec<Check> {
    use Target::{AtLeast, AtMost};
    let size = |authorities| sizes.iter().find(move |it| it.authorities == authorities);
    let (one, many) = (size(1), size(MANY));
    let ratio = |size: Option<&Size>, of, to| size?.ratio(of, to, |it| it.added_cpu_microseconds);
    let to_counterpart = |of| ratio(one, of, one?.line(of)?.counterpart?);
    let asking = |what: fn(&Line) -> f64| one?.ratio(ASKING, WARM, what);
    let in_memory = memory
        .iter()
        .find(|it| it.contender == WARM && it.authorities == MANY);
    let memory = in_memory.map(|it| it.further_worker_mebibytes);
    vec![
        Check::new(
            "a token seen before, one rule: of jwt_authn with its cache + rbac",
            AtMost(1.0),
            "",
            to_counterpart(WARM),
        ),
        Check::new(
            "the same: of jwt_authn as in Istio with its cache + rbac",
            AtMost(1.0),
            "",
            ratio(one, WARM, NATIVE_AS_IN_ISTIO),
        ),
        Check::new(
            "an RS256 token never seen before: of jwt_authn without cache + rbac",
            AtMost(1.1),
            "",
            to_counterpart(COLD_RS256),
        ),
        Check::new(
            "an ES256 token never seen before: the same",
            AtMost(1.1),
            "",
            to_counterpart(COLD_ES256),
        ),
        Check::new(
            "1,000 authorities with ten rules each: of our own cost with one rule",
            AtMost(1.2),
            "",
            ratio(many, WARM, ONE_RULE),
        ),
        Check::new(
            "the same: of jwt_authn with its cache + rbac with the same policies",
            AtMost(0.03),
            "",
            ratio(many, WARM, NATIVE_WARM),
        ),
        Check::new(
            "ext_authz to a local authorizer: of our cost, by Envoy's CPU time alone",
            AtLeast(10.0),
            "",
            asking(|it| it.added_cpu_microseconds),
        ),
        Check::new(
            "the same, with the authorizer's own CPU time",
            AtLeast(10.0),
            "",
            asking(Line::cpu_with_authorizer),
        ),
        Check::new(
            "the module",
            AtMost(1.0),
            " MiB",
            Some(module_bytes as f64 / MEBIBYTE),
        ),
        Check::new(
            "memory of another worker with 10,000 rules",
            AtMost(32.0),
            " MiB",
            memory,
        ),
    ]
}

// === impl Check ===

impl Check {
    fn new(what: &'static str, target: Target, unit: &'static str, measured: Option<f64>) -> Self {
        Check {
            what,
            target,
            unit,
            measured,
            reached: measured.map(|measured| target.is_reached(measured)),
        }
    }

    /// In words.
    pub fn verdict(&self) -> String {
        match (self.measured, self.reached) {
            (Some(_), Some(true)) => "reached".to_owned(),
            (Some(measured), _) => {
                let (target, where_) = match self.target {
                    Target::AtMost(target) => (target, "above"),
                    Target::AtLeast(target) => (target, "below"),
                };
                let percent = (measured / target - 1.0).abs() * 100.0;
                format!("not reached: {percent:.0} % {where_}")
            }
            (None, _) => "not measured".to_owned(),
        }
    }
}

// === impl Target ===

impl Target {
    fn is_reached(self, measured: f64) -> bool {
        match self {
            Target::AtMost(most) => measured <= most,
            Target::AtLeast(least) => measured >= least,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtMost(most) => write!(f, "at most {most:?}"),
            Target::AtLeast(least) => write!(f, "at least {least:?}"),
        }
    }
}
