//! The token of the request, so that it can be judged without a connection to its issuer: made from
//! claims, or signed anew where its keys are not at hand.
//!
//! What is supposed of a signature is said; no token is ever printed.

use super::Arguments;
use super::given::{Given, TOKEN};
use crate::cli::cases::format::TokenSpec;
use crate::cli::cases::mint::Keyring;
use crate::keys::{KeySet, KeySource};
use crate::policy::{JwtRule, Policy};
use crate::request::{Connection, Request};
use crate::token::jwt;
use crate::token::signature::{Algorithm, Provenance, PureRust};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Map, Value};
use std::rc::Rc;

/// Whose keys there are.
pub(super) struct Credential {
    /// Where keys come from, in place of the sources of the policy.
    pub sources: Vec<KeySource>,
    /// What was supposed of tokens and keys.
    pub supposed: Vec<String>,
}

/// The name of the key that tokens are signed with here.
const KEY: &str = "explain";

// === impl Credential ===

impl Credential {
    /// Puts the token into the request, and keys where they are needed.
    pub(super) fn ready(
        arguments: &Arguments,
        policy: &Policy,
        given: &mut Given,
        connection: &Connection,
    ) -> Result<Self, String> {
        let mut credential = Self {
            sources: policy.key_sources.clone(),
            supposed: Vec::new(),
        };
        if let Some(file) = &arguments.jwks {
            let text =
                std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let keys = KeySet::read(&text, Provenance::Fetched);
            let (keys, skipped) = keys.map_err(|error| format!("{}: {error}", file.display()))?;
            let skipped = skipped.iter().map(|it| format!("{}: {it}", file.display()));
            credential.supposed.extend(skipped);
            credential.serve(&Rc::new(keys), |_| true);
        }
        if let Some(text) = &arguments.claims {
            credential.make(text, policy, given, connection)?;
        } else {
            if let Some(token) = &arguments.token {
                place(token, given);
            }
            if arguments.jwks.is_none() && !arguments.keys_unavailable {
                credential.sign_anew(policy, given, connection)?;
            }
        }
        if arguments.keys_unavailable {
            let text = "no keys can be fetched (`--keys-unavailable`)";
            credential.supposed.push(text.to_owned());
        }
        Ok(credential)
    }

    /// Keys for every source that is fetched and wanted.
    fn serve(&mut self, keys: &Rc<KeySet>, wanted: impl Fn(usize) -> bool) {
        for (index, source) in self.sources.iter_mut().enumerate() {
            if matches!(source, KeySource::Remote(_)) && wanted(index) {
                *source = KeySource::Inline(Rc::clone(keys));
            }
        }
    }

    /// Makes a token with these claims that the rules of its issuer can verify.
    fn make(
        &mut self,
        text: &str,
        policy: &Policy,
        given: &mut Given,
        connection: &Connection,
    ) -> Result<(), String> {
        let claims: Map<String, Value> = match text.strip_prefix('@') {
            Some(file) => {
                let read = std::fs::read_to_string(file);
                let read = read.map_err(|error| format!("{file}: {error}"))?;
                serde_json::from_str(&read).map_err(|error| format!("{file}: {error}"))?
            }
            None => serde_json::from_str(text).map_err(|error| {
                format!("`--claims`: {error}; allowed: a JSON object, or `@FILE` with one")
            })?,
        };
        let issuer = claims.get("iss").and_then(Value::as_str).map(str::to_owned);
        let headers = given.headers()?;
        let rules = match policy.read(&headers, connection) {
            Ok(request) => in_scope(policy, &request),
            Err(_) => Vec::new(),
        };
        let of_issuer = |rule: &&&JwtRule| rule.issuer.is_none() || rule.issuer == issuer;
        let rules: Vec<&&JwtRule> = rules.iter().filter(of_issuer).collect();
        let allowed = rules.iter().find_map(|it| it.demands.algorithms.as_ref());
        let mut allowed = allowed.into_iter().flatten().copied();
        let algorithm = allowed.find(|it| *it != Algorithm::Es512);
        let keyring = Keyring::fresh(KEY, algorithm.unwrap_or(Algorithm::Es256))?;
        let header = Map::new();
        let spec = TokenSpec::Signed {
            key: KEY.to_owned(),
            header,
            claims,
        };
        let token = keyring.token(&spec, given.now.as_secs())?;
        let keys = keys_of(&keyring, Provenance::Configuration)?;
        for rule in rules {
            if let Some(source) = self.sources.get_mut(rule.keys.0) {
                *source = KeySource::Inline(Rc::clone(&keys));
            }
        }
        place(&token, given);
        let text = "a token was made with these claims, and its signature is good";
        self.supposed.push(text.to_owned());
        Ok(())
    }

    /// Signs each token anew whose keys would have to be fetched.
    fn sign_anew(
        &mut self,
        policy: &Policy,
        given: &mut Given,
        connection: &Connection,
    ) -> Result<(), String> {
        let headers = given.headers()?;
        let Ok(request) = policy.read(&headers, connection) else {
            return Ok(());
        };
        let rules = in_scope(policy, &request);
        let mut anew: Vec<(String, String)> = Vec::new();
        for rule in &rules {
            for found in rule.locations.find(&request) {
                let Ok(token) = std::str::from_utf8(&found.token) else {
                    continue;
                };
                if anew.iter().any(|(known, _)| known == token) {
                    continue;
                }
                let Ok(parsed) = jwt::parse(token.as_bytes()) else {
                    continue;
                };
                let issuer = parsed.claims.issuer();
                let of_issuer =
                    |it: &&&JwtRule| it.issuer.is_none() || it.issuer.as_deref() == issuer;
                let sources = rules.iter().filter(of_issuer).map(|it| it.keys.0);
                let sources: Vec<usize> = sources.collect();
                let is_good = |index: &usize| match policy.key_sources.get(*index) {
                    Some(KeySource::Inline(keys)) => jwt::verify(&parsed, keys, &PureRust).is_ok(),
                    _ => false,
                };
                let is_remote = |index: &usize| {
                    matches!(policy.key_sources.get(*index), Some(KeySource::Remote(_)))
                };
                if sources.iter().any(is_good) || !sources.iter().any(is_remote) {
                    continue;
                }
                if parsed.algorithm() == Algorithm::Es512 {
                    return Err(
                        "the token is signed with ES512, which only the gateway verifies; \
                                give its content with `--claims`"
                            .to_owned(),
                    );
                }
                let id = parsed.key_id().unwrap_or_default();
                let keyring = Keyring::fresh(id, parsed.algorithm())?;
                let keys = keys_of(&keyring, Provenance::Fetched)?;
                self.serve(&keys, |index| sources.contains(&index));
                let message = token.rsplit_once('.').map_or(token, |(message, _)| message);
                anew.push((token.to_owned(), keyring.signed(id, message)?));
                self.supposed.push(
                    "the signature of the token was not checked, since its keys are not at hand: \
                     it is taken as good; give the key set of its issuer with `--jwks` to check it"
                        .to_owned(),
                );
            }
        }
        for (old, new) in anew {
            let spec = &mut given.spec;
            spec.url = spec.url.replace(&old, &new);
            for (_, value) in &mut spec.headers {
                *value = value.replace(&old, &new);
            }
            for token in given.tokens.values_mut() {
                *token = token.replace(&old, &new);
            }
            given.secrets.push(old);
        }
        self.supposed.dedup();
        Ok(())
    }
}

/// The keys of a ring.
fn keys_of(keyring: &Keyring, provenance: Provenance) -> Result<Rc<KeySet>, String> {
    let keys = KeySet::read(keyring.all().as_bytes(), provenance);
    Ok(Rc::new(keys.map_err(|error| error.to_string())?.0))
}

/// Sends a token where `{token}` stands, or as a bearer token.
fn place(token: &str, given: &mut Given) {
    let spec = &mut given.spec;
    let stands = |text: &str| text.contains(TOKEN);
    let placed = stands(&spec.url) || spec.headers.iter().any(|(_, value)| stands(value));
    if !placed {
        let value = format!("Bearer {TOKEN}");
        spec.headers.push(("authorization".to_owned(), value));
    }
    given.tokens.insert(TOKEN.to_owned(), token.to_owned());
    given.secrets.push(token.to_owned());
}

/// The rules on tokens that could judge the request, of whatever path.
fn in_scope<'p>(policy: &'p Policy, request: &Request<'_>) -> Vec<&'p JwtRule> {
    let sites: Vec<_> = policy.sites(&request.authority_name).into_vec();
    let api = sites.iter().find_map(|site| site.api.as_deref());
    let own = api.into_iter().flat_map(|api| api.rules.iter());
    let own = own.filter_map(|entry| entry.item.jwt());
    let own = own.flat_map(|demand| demand.authentications.iter().map(Rc::as_ref));
    let attached = sites.iter().flat_map(|site| &site.jwt_rules);
    own.chain(attached.map(|entry| entry.item.as_ref()))
        .collect()
}

/// The claims of a token as JSON, of which nothing is known yet; for the values that conditions saw.
pub(super) fn claims_of(token: &[u8]) -> Option<Value> {
    let payload = token.split(|byte| *byte == b'.').nth(1)?;
    let payload = BASE64URL.decode(payload).ok()?;
    serde_json::from_slice(&payload).ok()
}
