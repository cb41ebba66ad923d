//! What became of the request of a case, and how it compares with what the case expects.

use super::difference::Difference;
use super::format::{Expect, Upstream};
use crate::reply::Reply;
use crate::request::Request;
use crate::verdict::{Allow, Change, Refusal};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What became of a request.
pub(super) struct Outcome {
    status: u16,
    reason: Option<String>,
    rule: Option<String>,
    body: Option<String>,
    trail: Option<String>,
    notes: Vec<String>,
    headers: BTreeMap<String, String>,
    set: BTreeMap<String, String>,
    removed: Vec<String>,
}

// === impl Outcome ===

impl Outcome {
    /// The same, with what policies that do not decide say.
    pub(super) fn with(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    pub(super) fn allowed(allow: &Allow) -> Self {
        let (mut set, mut removed) = (BTreeMap::new(), Vec::new());
        for change in &allow.changes {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            match change {
                Change::Remove(name) => removed.push(text(name)),
                Change::Set(name, value) => {
                    set.insert(text(name), text(value));
                }
            }
        }
        let rule = allow.rule.as_deref().map(str::to_owned);
        Self {
            status: 200,
            reason: None,
            rule,
            body: None,
            trail: None,
            notes: Vec::new(),
            headers: BTreeMap::new(),
            set,
            removed,
        }
    }

    pub(super) fn refused(refusal: &Refusal, request: Option<&Request<'_>>) -> Self {
        Self {
            reason: Some(refusal.reason.code().to_owned()),
            rule: refusal.rule.as_deref().map(str::to_owned),
            trail: refusal.closest.as_ref().map(ToString::to_string),
            ..Self::answered(Reply::to(refusal, request))
        }
    }

    pub(super) fn answered(reply: Reply) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut headers = BTreeMap::new();
        for (name, value) in &reply.headers {
            let lines: &mut String = headers.entry(name.to_string()).or_default();
            if !lines.is_empty() {
                lines.push('\n');
            }
            lines.push_str(&text(value));
        }
        Self {
            status: reply.status,
            reason: None,
            rule: None,
            body: Some(text(&reply.body)),
            trail: None,
            notes: Vec::new(),
            headers,
            set: BTreeMap::new(),
            removed: Vec::new(),
        }
    }
}

/// What differs from what a case expects; what it does not tell is not compared.
pub(super) fn compare(expect: &Expect, outcome: &Outcome) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut differ = |name: &str, expected: Value, got: Value| {
        differences.extend(Difference::of(name, expected, got));
    };
    differ("status", expect.status.into(), outcome.status.into());
    if let Some(reason) = &expect.reason {
        differ("reason", json!(reason), json!(outcome.reason));
    }
    if let Some(rule) = &expect.rule {
        differ("rule", json!(rule), json!(outcome.rule));
    }
    if let Some(body) = &expect.body {
        differ("body", json!(body), json!(outcome.body));
    }
    if let Some(trail) = &expect.trail {
        differ("trail", json!(trail), json!(outcome.trail));
    }
    if let Some(notes) = &expect.notes {
        differ("notes", json!(notes), json!(outcome.notes));
    }
    for (name, expected) in &expect.headers {
        let got = outcome.headers.get(&name.to_lowercase());
        if expected.as_deref() != Some("*") || got.is_none() {
            differ(&format!("headers.{name}"), json!(expected), json!(got));
        }
    }
    if let Some(Upstream { set, removed }) = &expect.upstream {
        differ("upstream.set", json!(set), json!(outcome.set));
        differ("upstream.removed", json!(removed), json!(outcome.removed));
    }
    differences
}
