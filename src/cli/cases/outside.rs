//! The outside world of a case: it answers, in order, what the case says, and only to the calls that the
//! case expects.

use super::difference::{Difference, Halt};
use super::format::CallSpec;
use super::mint::Keyring;
use super::play::with_jwks;
use crate::call::{Call, HttpCall, HttpReply};
use crate::cli::request::filled;
use crate::cli::worker::Outside;
use crate::keys::{self, Endpoint, FetchFailure, Keys};
use crate::request::Headers;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The answers that a case gives, in order.
pub(super) struct World<'c> {
    pub calls: std::iter::Enumerate<std::slice::Iter<'c, CallSpec>>,
    pub keyring: &'c Keyring,
    pub tokens: &'c BTreeMap<String, String>,
}

// === impl World ===

impl Outside for World<'_> {
    type Halt = Halt;

    fn fetch_keys(&mut self, keys: &mut Keys, now: Duration) -> Result<(), Halt> {
        fetch_keys(keys, self.calls.by_ref(), self.keyring, now)
    }

    fn reply(&mut self, call: &Call) -> Result<Option<HttpReply>, Halt> {
        let nobody = || {
            let cluster = &call.http.cluster;
            format!("`calls`: nobody answers for `{cluster}`; add what it answers")
        };
        let spec = self.calls.next().ok_or_else(nobody)?;
        reply(spec, &call.http, self.tokens)
    }
}

/// Fetches the keys that are due, from the answers that the case gives.
fn fetch_keys<'c>(
    store: &mut Keys,
    mut calls: impl Iterator<Item = (usize, &'c CallSpec)>,
    keyring: &Keyring,
    now: Duration,
) -> Result<(), Halt> {
    let mut due = store.due(now);
    while !due.is_empty() {
        for fetch in std::mem::take(&mut due) {
            let Some((index, call)) = calls.next() else {
                store.fetched(fetch.source, Err(FetchFailure::NotSent), now);
                continue;
            };
            let Endpoint { cluster, path, .. } = &fetch.from;
            let mut wrong = Vec::new();
            let mut differ = |what: &str, expected: &str, got: &str| {
                wrong.extend(Difference::of(&field(index, what), expected, got));
            };
            differ("to", &call.to, cluster);
            differ("path", call.expect.path.as_ref().unwrap_or(path), path);
            if !wrong.is_empty() {
                return Err(Halt(wrong));
            }
            let body = match with_jwks(call.answer.body.clone(), keyring)? {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let reply = keys::Reply {
                status: call.answer.status,
                ..keys::Reply::ok(body.as_bytes())
            };
            store.fetched(fetch.source, Ok(reply), now);
        }
        // A discovery document leads to the next fetch.
        due = store.due(now);
    }
    Ok(())
}

/// What the case answers to a call, which must be the one that it expects.
fn reply(
    (index, spec): (usize, &CallSpec),
    call: &HttpCall,
    tokens: &BTreeMap<String, String>,
) -> Result<Option<HttpReply>, Halt> {
    let sent = |name: &str| {
        let values = call.headers.iter().filter(|(known, _)| &**known == name);
        let values: Vec<_> = values.map(|(_, value)| value.as_slice()).collect();
        let text = String::from_utf8_lossy(&values.join(&b","[..])).into_owned();
        (!values.is_empty()).then_some(text)
    };
    let mut wrong = Vec::new();
    let mut differ = |what: &str, expected: Option<&str>, got: Option<String>| {
        let expected = expected.map(|text| filled(text, tokens));
        wrong.extend(Difference::of(&field(index, what), expected, got));
    };
    let expect = &spec.expect;
    differ("to", Some(&spec.to), Some(call.cluster.to_string()));
    for (name, expected) in [(":path", &expect.path), (":method", &expect.method)] {
        if let Some(expected) = expected {
            differ(name.trim_start_matches(':'), Some(expected), sent(name));
        }
    }
    for (name, expected) in &expect.headers {
        let got = sent(&name.to_lowercase());
        if expected.as_deref() != Some("*") || got.is_none() {
            differ(&format!("headers.{name}"), expected.as_deref(), got);
        }
    }
    if let Some(body) = &expect.body {
        let got = String::from_utf8_lossy(&call.body).into_owned();
        differ("body", Some(body), Some(got));
    }
    if !wrong.is_empty() {
        return Err(Halt(wrong));
    }
    let mut headers = Headers::default();
    for (name, value) in &spec.answer.headers {
        headers.push(name, value.as_bytes());
    }
    let body = match &spec.answer.body {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let reply = HttpReply {
        status: spec.answer.status,
        headers,
        body: body.into_bytes(),
    };
    Ok((!spec.answer.unreachable).then_some(reply))
}

/// Where a case says what it expects of a call.
fn field(index: usize, what: &str) -> String {
    format!("calls[{index}].{what}")
}
