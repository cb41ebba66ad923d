//! The report as JSON, for machines.

use super::{Report, Verdicts, changed};
use crate::cli::explain::advice::{Advice, advice};
use crate::cli::explain::secrets::Secrets;
use crate::verdict::Refusal;
use serde_json::{Value, json};

// === impl Report ===

impl Report {
    /// All of it, without secrets.
    pub(in crate::cli::explain) fn masked_json(&self) -> Value {
        masked(self.json(), &self.secrets)
    }

    fn json(&self) -> Value {
        let mut json = json!({
            "request": self.asked,
            "supposed": self.supposed,
            "steps": self.steps,
            "notes": self.notes,
        });
        let more = match &self.verdict {
            Verdicts::Allowed(allow) => {
                let (removed, set) = changed(allow);
                json!({
                    "verdict": "allowed",
                    "rule": allow.rule.as_deref(),
                    "upstream": {"removed": removed, "set": set},
                })
            }
            Verdicts::Preflight(status) => json!({"verdict": "preflight", "status": status}),
            Verdicts::Refused(refused) => {
                let Refusal {
                    reason,
                    rule,
                    closest,
                    ..
                } = &refused.refusal;
                let Advice { means, act } = advice(*reason);
                json!({
                    "verdict": "refused",
                    "reason": reason.code(),
                    "status": refused.reply.status,
                    "body": String::from_utf8_lossy(&refused.reply.body),
                    "details": refused.reply.details,
                    "rule": rule.as_deref(),
                    "closest": closest.as_ref().map(ToString::to_string),
                    "means": means,
                    "act": act,
                })
            }
            Verdicts::Undecided(undecided) => json!({
                "verdict": "undecided",
                "asked": {"whom": undecided.whom, "what": undecided.what},
                "act": undecided.give,
            }),
        };
        if let (Some(json), Value::Object(more)) = (json.as_object_mut(), more) {
            json.extend(more);
        }
        json
    }
}

/// The same without secrets.
fn masked(value: Value, secrets: &Secrets) -> Value {
    match value {
        Value::String(text) => Value::String(secrets.masked(&text)),
        Value::Array(items) => items.into_iter().map(|it| masked(it, secrets)).collect(),
        Value::Object(members) => {
            let members = members.into_iter();
            let members = members.map(|(name, value)| (name, masked(value, secrets)));
            Value::Object(members.collect())
        }
        other => other,
    }
}
