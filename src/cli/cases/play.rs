//! Plays a case file: every case on its own, with the plugin's core and fresh caches.

use super::format::{Case, CaseFile, Expect, Upstream};
use super::mint::Keyring;
use super::outside::World;
use crate::cli::worker::Worker;
use crate::cli::{plugin_config, read_yaml};
use crate::config::Config;
use crate::policy::Policy;
use crate::reply::Reply;
use crate::request::Request;
use crate::verdict::{Change, Decision, Refusal, Verdict};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// How a case ended.
pub struct CaseResult {
    /// Its name.
    pub name: String,
    /// What was expected and what came instead; empty if nothing differs.
    pub differences: Vec<String>,
}

/// What became of a request.
struct Outcome {
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

/// Plays every case of a file.
///
/// # Errors
/// The file, or something in it, is not what it must be.
pub fn play(path: &Path) -> Result<Vec<CaseResult>, String> {
    play_watched(path, &mut |_, _, _, _, _| {})
}

/// What somebody is told of each case whose request can be read: its name, and how it was judged.
pub(in crate::cli) type Watch<'w> =
    &'w mut dyn FnMut(&str, &Policy, &Worker, &Request<'_>, &Decision);

/// The same, watched.
pub(in crate::cli) fn play_watched(
    path: &Path,
    watch: Watch<'_>,
) -> Result<Vec<CaseResult>, String> {
    let file: CaseFile = read_yaml(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let now = humantime::parse_rfc3339(&file.now).map_err(|error| format!("`now`: {error}"))?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let keyring = Keyring::open(folder, &file.keys)?;
    let config = match (file.config, file.config_file) {
        (Some(config), None) => config,
        (None, Some(path)) => plugin_config(read_yaml(&folder.join(path))?)?,
        _ => return Err("give one of `config` and `configFile`".to_owned()),
    };
    let config = with_jwks(config, &keyring)?.to_string();
    let config = || {
        Config::read(config.as_bytes()).map_err(|faults| {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            format!("`config` has faults:\n    {}", faults.join("\n    "))
        })
    };
    let mut results = Vec::new();
    for case in file.cases {
        let outcome = outcome(&Policy::compile(config()?), &case, &keyring, now, watch);
        let differences = match outcome {
            Ok(outcome) => compare(&case.expect, &outcome),
            Err(error) => vec![error],
        };
        results.push(CaseResult {
            name: case.name,
            differences,
        });
    }
    Ok(results)
}

fn outcome(
    policy: &Policy,
    case: &Case,
    keyring: &Keyring,
    now: Duration,
    watch: Watch<'_>,
) -> Result<Outcome, String> {
    let mut tokens = BTreeMap::new();
    for (name, spec) in &case.tokens {
        tokens.insert(format!("${{{name}}}"), keyring.token(spec, now.as_secs())?);
    }
    let connection = case.request.connection();
    let headers = policy.with_derived(case.request.headers(&tokens)?, &connection);
    let request = match policy.read(&headers, &connection) {
        Ok(request) => request,
        Err(reason) => return Ok(Outcome::refused(&reason.into(), None)),
    };
    let mut world = World {
        calls: case.calls.iter(),
        keyring,
        tokens: &tokens,
    };
    let mut worker = Worker::new(policy, &policy.key_sources, now);
    let decision = worker.judge(policy, &request, &mut world)?;
    watch(&case.name, policy, &worker, &request, &decision);
    let Decision { verdict, notes } = decision;
    let outcome = match verdict {
        Verdict::Allow(allow) => Outcome::allowed(&allow),
        Verdict::Refuse(refusal) => Outcome::refused(&refusal, Some(&request)),
        Verdict::Preflight(response) => Outcome::answered(Reply::to_preflight(&response)),
    };
    let notes = notes.iter().map(ToString::to_string).collect();
    Ok(Outcome { notes, ..outcome })
}

/// Puts the text of a key set in place of each string `${jwks:KEY,KEY}`.
pub(super) fn with_jwks(value: Value, keyring: &Keyring) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => {
            let names = text
                .strip_prefix("${jwks:")
                .and_then(|rest| rest.strip_suffix('}'));
            Value::String(
                names
                    .map(|names| keyring.jwks(names))
                    .transpose()?
                    .unwrap_or(text),
            )
        }
        Value::Array(items) => items
            .into_iter()
            .map(|item| with_jwks(item, keyring))
            .collect::<Result<_, _>>()?,
        Value::Object(members) => {
            let members = members.into_iter();
            let members = members.map(|(name, value)| Ok((name, with_jwks(value, keyring)?)));
            Value::Object(members.collect::<Result<_, String>>()?)
        }
        other => other,
    })
}

fn compare(expect: &Expect, outcome: &Outcome) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differ = |what: &str, expected: &dyn Debug, got: &dyn Debug| {
        let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
        if expected != got {
            differences.push(format!("{what}: expected {expected}, got {got}"));
        }
    };
    differ("status", &expect.status, &outcome.status);
    if let Some(reason) = &expect.reason {
        differ("reason", reason, &outcome.reason);
    }
    if let Some(rule) = &expect.rule {
        differ("rule", rule, &outcome.rule);
    }
    if let Some(body) = &expect.body {
        differ("body", &Some(body), &outcome.body.as_ref());
    }
    if let Some(trail) = &expect.trail {
        differ("trail", &Some(trail), &outcome.trail.as_ref());
    }
    if let Some(notes) = &expect.notes {
        differ("notes", notes, &outcome.notes);
    }
    for (name, expected) in &expect.headers {
        let got = outcome.headers.get(&name.to_lowercase());
        if expected.as_deref() != Some("*") || got.is_none() {
            differ(&format!("header {name}"), &expected.as_ref(), &got);
        }
    }
    if let Some(Upstream { set, removed }) = &expect.upstream {
        differ("upstream.set", set, &outcome.set);
        differ("upstream.removed", removed, &outcome.removed);
    }
    differences
}

// === impl Outcome ===

impl Outcome {
    fn allowed(allow: &crate::verdict::Allow) -> Self {
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

    fn refused(refusal: &Refusal, request: Option<&Request<'_>>) -> Self {
        Self {
            reason: Some(refusal.reason.code().to_owned()),
            rule: refusal.rule.as_deref().map(str::to_owned),
            trail: refusal.closest.as_ref().map(ToString::to_string),
            ..Self::answered(Reply::to(refusal, request))
        }
    }

    fn answered(reply: Reply) -> Self {
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
