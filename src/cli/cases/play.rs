//! Plays a case file: every case on its own, with the plugin's core and fresh caches.

use super::coverage::{Coverage, plain};
use super::difference::{Difference, Halt};
use super::format::{Case, CaseFile, RequestSpec};
use super::mint::Keyring;
use super::outcome::{Outcome, compare};
use super::outside::{fetch_keys, reply};
use crate::cache::Caches;
use crate::call::answered;
use crate::cli::{plugin_config, read_yaml};
use crate::config::{Config, Fault};
use crate::decide::{Answers, Step, decide};
use crate::keys::Keys;
use crate::peer::Certificate;
use crate::policy::Policy;
use crate::reply::Reply;
use crate::request::{Connection, Headers, MetadataKey, Peer};
use crate::token::signature::PureRust;
use crate::verdict::{Decision, Matched, Verdict};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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

/// More looks than this at one request mean that it would never end.
const MAX_LOOKS: usize = 16;

/// Plays every case of a file.
///
/// # Errors
/// The file, or something in it, is not what it must be.
pub fn play(path: &Path) -> Result<Played, Unplayable> {
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
        (None, Some(path)) => plugin_config(read_yaml(path)?)
            .map_err(|error| format!("{}: {error}", path.display()))?,
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
        let differences = match outcome(&policy()?, &case, &keyring, now) {
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
) -> Result<(Outcome, Matched), Halt> {
    let mut tokens = BTreeMap::new();
    for (name, spec) in &case.tokens {
        tokens.insert(format!("${{{name}}}"), keyring.token(spec, now.as_secs())?);
    }
    let connection = connection(&case.request);
    let headers = policy.with_derived(headers(&case.request, &tokens)?, &connection);
    let request = match policy.read(&headers, &connection) {
        Ok(request) => request,
        Err(reason) => {
            let outcome = Outcome::refused(&reason.into(), None);
            return Ok((outcome, Matched::default()));
        }
    };
    let mut keys = Keys::new(&policy.key_sources, &policy.limits, Box::new(PureRust), 0);
    let (mut caches, mut answers) = (
        Caches::new(&policy.limits, &policy.introspection_providers),
        Answers::default(),
    );
    answers.trail = true;
    let mut calls = case.calls.iter().enumerate();
    for _ in 0..MAX_LOOKS {
        match decide(policy, &mut keys, &mut caches, &request, &answers, now) {
            Step::Done(Decision {
                verdict,
                notes,
                matched,
            }) => {
                let outcome = match verdict {
                    Verdict::Allow(allow) => Outcome::allowed(&allow),
                    Verdict::Refuse(refusal) => Outcome::refused(&refusal, Some(&request)),
                    Verdict::Preflight(response) => {
                        Outcome::answered(Reply::to_preflight(&response))
                    }
                };
                let notes = notes.iter().map(ToString::to_string).collect();
                return Ok((outcome.with(notes), matched));
            }
            Step::Peer => return Err("nobody is gathered".to_owned().into()),
            Step::Wait(source) => {
                fetch_keys(&mut keys, calls.by_ref(), keyring, now)?;
                answers.waited.push(source);
            }
            Step::Call(call) => {
                let nobody = || {
                    let cluster = &call.http.cluster;
                    format!("`calls`: nobody answers for `{cluster}`; add what it answers")
                };
                let spec = calls.next().ok_or_else(nobody)?;
                let reply = reply(spec, &call.http, &tokens)?;
                let answer = answered(policy, &mut caches, &call.question, reply, now);
                answers.given.extend(answer);
            }
        }
    }
    Err(format!("undecided after {MAX_LOOKS} looks").into())
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

/// A text with the tokens of the case in place of `${name}`.
pub(super) fn filled(text: &str, tokens: &BTreeMap<String, String>) -> String {
    tokens.iter().fold(text.to_owned(), |text, (name, token)| {
        text.replace(name, token)
    })
}

/// What a gateway would know of the connection.
fn connection(spec: &RequestSpec) -> Connection {
    let peer = spec.peer.as_ref().map(|peer| {
        let bytes = |text: &String| text.clone().into_bytes();
        let pem = peer.pem.as_ref().map(|pem| pem.as_bytes());
        let certificate = pem.and_then(Certificate::from_pem);
        let digest = peer.sha256.as_ref();
        let digest = digest.and_then(|it| crate::peer::digest(it.as_bytes()));
        Peer {
            subject: bytes(&peer.subject),
            uri: bytes(&peer.uri_san),
            dns: bytes(&peer.dns_san),
            sha256: digest.or_else(|| certificate.as_ref().map(|it| it.sha256)),
            certificate: certificate.map(Arc::new),
        }
    });
    let metadata = spec.metadata.iter().flat_map(|(filter, values)| {
        values.iter().map(move |(key, value)| {
            let (filter, key) = (filter.clone(), key.clone());
            (MetadataKey { filter, key }, value.clone().into_bytes())
        })
    });
    Connection {
        remote: spec.source.map(|address| address.ip()),
        destination: spec.destination,
        sni: spec.sni.clone().into_bytes(),
        peer,
        peer_known: true,
        metadata: metadata.collect(),
    }
}

/// The headers of a request as Envoy would hand them over.
fn headers(spec: &RequestSpec, tokens: &BTreeMap<String, String>) -> Result<Headers, String> {
    let decoded = |text: &str| {
        BASE64
            .decode(text)
            .map_err(|error| format!("base64: {error}"))
    };
    let filled = |text: &str| filled(text, tokens);
    let (scheme, rest) = spec
        .url
        .split_once("://")
        .ok_or("`url` must begin with http:// or https://")?;
    let path_start = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(path_start).unwrap_or((rest, ""));
    let path = match &spec.path_base64 {
        Some(path) => decoded(path)?,
        None => filled(path).into_bytes(),
    };
    let mut headers = Headers::default();
    headers.push(":method", spec.method.as_bytes());
    headers.push(":scheme", scheme.as_bytes());
    headers.push(":authority", authority.as_bytes());
    if !path.is_empty() {
        headers.push(":path", &path);
    }
    for (name, value) in &spec.headers {
        headers.push(name, filled(value).as_bytes());
    }
    for (name, value) in &spec.headers_base64 {
        headers.push(name, &decoded(value)?);
    }
    Ok(headers)
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
