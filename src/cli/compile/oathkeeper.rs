//! Ory Oathkeeper: its configuration, and its access rules, from files and as Kubernetes objects.
//!
//! A rule becomes one of our API rules for its host. That exactly one rule must fit, and what is
//! refused otherwise, is written out.

pub mod config;
pub mod handlers;
pub mod judge;
pub mod mutators;
mod rules;

pub(super) use rules::compile;

use config::Value;

/// Which parts of a rule are made from its authenticators and mutators.
pub fn places<'a>(
    authenticators: Value<'a>,
    mutators: Value<'a>,
) -> Vec<(&'static str, Value<'a>)> {
    vec![
        ("jwt", authenticators),
        ("oauth2Introspection", authenticators),
        ("request", mutators),
    ]
}

/// A name for a host, of the letters that names may have.
fn name(host: &str) -> String {
    let host = host.to_ascii_lowercase().replace("*.", "wildcard.");
    let letter = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '.';
    let name: String = host
        .chars()
        .map(|it| if letter(it) { it } else { '-' })
        .collect();
    let name = name.trim_matches(['-', '.']);
    match name {
        "" => "unnamed".to_owned(),
        name => name.to_owned(),
    }
}
