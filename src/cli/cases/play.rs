//! Plays a case file: every case on its own, with the plugin's core and fresh caches.

use super::coverage::{Coverage, plain};
use super::difference::{Difference, Halt};
use super::format::{Case, CaseFile};
use super::mint::Keyring;
use super::outcome::{Outcome, compare};
use super::outside::World;
use crate::cli::worker::Worker;
use crate::cli::{read_config, read_yaml};
use crate::config::{Config, Fault};
use crate::policy::Policy;
use crate::reply::Reply;
use crate::request::Request;
use crate::verdict::{Decision, Matched, Verdict};
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// A case file that was played.
#[derive(Debug)]
pub struct Played {
    /// How each case ended.
    pub cases: Vec<CaseResult>,
    /// Which rules of its configuration they matched.
    pub coverage: Coverage,
}

/// How a case ended.
#[derive(Debug)]
pub struct CaseResult {
    /// Its name.
    pub name: String,
    /// Where it begins in its file.
    pub line: u64,
    /// How long it took.
    pub took: Duration,
    /// What came instead of what it expects; empty if nothing differs.
    pub differences: Vec<Difference>,
}

/// Why a case file could not be played.
#[derive(Debug)]
pub enum Unplayable {
    /// It is not what it must be.
    Broken(String),
    /// Its configuration has faults.
    Faulty {
        /// Where the configuration stands, if in a file of its own.
        config: Option<PathBuf>,
        /// Each with its place.
        faults: Vec<Fault>,
    },
}

/// Plays every case of a file.
///
/// # Errors
/// The file, or something in it, is not what it must be.
pub fn play(path: &Path) -> Result<Played, Unplayable> {
    play_watched(path, &mut |_, _, _, _, _| {})
}

/// What somebody is told of each case whose request can be read: its name, and how it was judged.
pub(in crate::cli) type Watch<'w> =
    &'w mut dyn FnMut(&str, &Policy, &Worker, &Request<'_>, &Decision);

/// The same, watched.
pub(in crate::cli) fn play_watched(path: &Path, watch: Watch<'_>) -> Result<Played, Unplayable> {
    let file: CaseFile = read_yaml(path).map_err(|error| {
        // Whoever asked knows which file it is.
        let name = format!("{}: ", path.display());
        error.strip_prefix(&name).unwrap_or(&error).to_owned()
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let now = humantime::parse_rfc3339(&file.now).map_err(|error| format!("`now`: {error}"))?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let keyring = Keyring::open(folder, &file.keys)?;
    let config_file = file.config_file.map(|it| folder.join(it));
    let config = match (file.config, &config_file) {
        (Some(config), None) => config,
        (None, Some(path)) => read_config(path)?,
        _ => return Err("give one of `config` and `configFile`".to_owned().into()),
    };
    let config = with_jwks(config, &keyring)?.to_string();
    let policy = || match Config::read(config.as_bytes()) {
        Ok(config) => Ok(Policy::compile(config)),
        Err(faults) => Err(Unplayable::Faulty {
            config: config_file.as_deref().map(plain),
            faults,
        }),
    };
    let config_path = config_file.as_deref().unwrap_or(path);
    let mut played = Played {
        cases: Vec::new(),
        coverage: Coverage::new(config_path, &policy()?.rule_names),
    };
    for Spanned {
        value: case,
        referenced,
        ..
    } in file.cases
    {
        let since = Instant::now();
        let differences = match outcome(&policy()?, &case, &keyring, now, watch) {
            Ok((outcome, matched)) => {
                played.coverage.note(&matched);
                compare(&case.expect, &outcome)
            }
            Err(Halt(differences)) => differences,
        };
        played.cases.push(CaseResult {
            name: case.name,
            line: referenced.line(),
            took: since.elapsed(),
            differences,
        });
    }
    Ok(played)
}

fn outcome(
    policy: &Policy,
    case: &Case,
    keyring: &Keyring,
    now: Duration,
    watch: Watch<'_>,
) -> Result<(Outcome, Matched), Halt> {
    let mut tokens = BTreeMap::new();
    for (name, spec) in &case.tokens {
        tokens.insert(format!("${{{name}}}"), keyring.token(spec, now.as_secs())?);
    }
    let connection = case.request.connection();
    let headers = policy.with_derived(case.request.headers(&tokens)?, &connection);
    let request = match policy.read(&headers, &connection) {
        Ok(request) => request,
        Err(reason) => {
            let outcome = Outcome::refused(&reason.into(), None);
            return Ok((outcome, Matched::default()));
        }
    };
    let mut world = World {
        calls: case.calls.iter().enumerate(),
        keyring,
        tokens: &tokens,
    };
    let mut worker = Worker::new(policy, &policy.key_sources, now);
    let decision = worker.judge(policy, &request, &mut world)?;
    watch(&case.name, policy, &worker, &request, &decision);
    let Decision {
        verdict,
        notes,
        matched,
    } = decision;
    let outcome = match verdict {
        Verdict::Allow(allow) => Outcome::allowed(&allow),
        Verdict::Refuse(refusal) => Outcome::refused(&refusal, Some(&request)),
        Verdict::Preflight(response) => Outcome::answered(Reply::to_preflight(&response)),
    };
    let notes = notes.iter().map(ToString::to_string).collect();
    Ok((outcome.with(notes), matched))
}

// === impl Unplayable ===

impl fmt::Display for Unplayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (config, faults) = match self {
            Self::Broken(why) => return f.write_str(why),
            Self::Faulty { config, faults } => (config, faults),
        };
        match config {
            Some(config) => write!(f, "`configFile` ({}) has faults:", config.display())?,
            None => f.write_str("`config` has faults:")?,
        }
        faults
            .iter()
            .try_for_each(|fault| write!(f, "\n    {fault}"))
    }
}

impl From<String> for Unplayable {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
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
