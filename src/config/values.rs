//! Values that several sections have: header names, secrets, texts, lists of texts.
//!
//! Reads and checks; knows no section.

use super::reader::{At, Fields};
use crate::format::Format;
use std::collections::HashSet;
use std::fmt;

/// Something that no log, error or dump shows.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Given in the configuration.
    Literal(String),
    /// `{env: NAME}`: in the environment of the module (`vmConfig.env`).
    Env(String),
}

/// Headers that nobody may set: they frame the request or route it.
const OWNED_BY_HTTP: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

pub(super) fn text(at: At<'_>) -> Option<String> {
    at.text().map(str::to_owned)
}

/// A list of texts, none of them empty; absent, it is empty.
pub(super) fn texts(fields: &mut Fields<'_>, name: &'static str) -> Vec<String> {
    let at = fields.optional(name);
    at.map(|at| at.non_empty_list(text)).unwrap_or_default()
}

/// A list of things that are known by their names.
pub(super) fn named<T>(
    at: Option<At<'_>>,
    read: fn(At<'_>) -> Option<T>,
    name: fn(&T) -> &String,
) -> Vec<T> {
    let mut names = HashSet::new();
    let item = |at: At<'_>| {
        let item = read(at)?;
        if !names.insert(name(&item).clone()) {
            at.fault("another one has the same `name`; give it a name of its own");
        }
        Some(item)
    };
    at.map(|at| at.list(item)).unwrap_or_default()
}

/// A header name in lower case.
pub(super) fn header_name(at: &At<'_>) -> Option<String> {
    at.parsed(read_header_name)
}

fn read_header_name(text: &str) -> Result<String, String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!#$%&'*+^`|".contains(&byte);
    let allowed = || "a header name (RFC 9110, 5.1)".to_owned();
    let valid = !text.is_empty() && text.bytes().all(token);
    valid.then(|| text.to_ascii_lowercase()).ok_or_else(allowed)
}

/// Whether a header, by its name in lower case, frames a request or routes it.
#[must_use]
pub fn is_owned_by_http(name: &str) -> bool {
    name.starts_with(':') || OWNED_BY_HTTP.contains(&name)
}

/// The name of a header that may be set, in lower case; faults stand at `at`.
pub(super) fn settable(name: &str, at: &At<'_>) -> Option<String> {
    match read_header_name(name) {
        Ok(name) if !is_owned_by_http(&name) => Some(name),
        Ok(name) => {
            at.fault(format!(
                "`{name}` may not be set: it frames the request or routes it"
            ));
            None
        }
        Err(allowed) => {
            at.fault(format!("the name is not allowed: it must be {allowed}"));
            None
        }
    }
}

/// An object of header names and values that a request fills.
pub(super) fn header_formats(at: At<'_>) -> Vec<(String, Format)> {
    at.members(|name, at| {
        let name = settable(name, &at)?;
        // An empty one removes the header.
        let is_empty = at.value().as_str() == Some("");
        let format = is_empty.then(Format::default);
        Some((name, format.or_else(|| at.parsed(Format::parse))?))
    })
}

/// A string, or `{env: NAME}`.
pub(super) fn secret(at: At<'_>) -> Option<Secret> {
    if at.value().as_str().is_some() {
        // What was found is not told.
        let text = at.value().as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            at.fault("empty; a secret is a string that is not empty, or `{env: NAME}`");
        }
        return text.map(|text| Secret::Literal(text.to_owned()));
    }
    let mut fields = at.object()?;
    let name = fields.required("env").and_then(text);
    fields.finish();
    name.map(Secret::Env)
}

// === impl Secret ===

impl Secret {
    /// Its text; a name in the environment that nobody has looked up is empty.
    #[must_use]
    pub fn expose(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::Env(_) => "",
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("Secret(…)"),
            Self::Env(name) => write!(f, "Secret(env {name})"),
        }
    }
}
