//! Secrets that stand in the configuration, where everybody reads them who may read WasmPlugins.
//!
//! The lint warns of them; whatever is printed of a file has them covered.

use super::{Lint, below, token_rules};
use crate::cli::yaml::Node;
use std::ops::Range;

/// A secret in clear.
pub(in crate::cli::check) struct Secret<'a> {
    /// Its text.
    pub node: &'a Node,
    path: String,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// In a place that also takes `{env: NAME}`.
    Replaceable,
    /// In a header that is sent as it is written.
    Header,
    /// A key that signs as well as it verifies.
    SymmetricKey,
}

/// Names of headers that carry credentials, or parts of them.
const CREDENTIALS: [&str; 6] = [
    "authorization",
    "cookie",
    "secret",
    "token",
    "password",
    "api-key",
];

pub(super) fn check(lint: &mut Lint<'_>) {
    for secret in literals(lint.root) {
        match secret.kind {
            Kind::Replaceable => lint.warn(
                secret.path,
                "a secret in clear: whoever may read WasmPlugins reads it",
                "write `{env: NAME}`, and `vmConfig: {env: [{name: NAME, valueFrom: HOST}]}` with \
                 the variable in the gateway's container",
            ),
            Kind::Header => lint.warn(
                secret.path,
                "a credential in clear: whoever may read WasmPlugins reads it",
                "let the other side know the gateway by its client certificate instead",
            ),
            Kind::SymmetricKey => lint.warn(
                secret.path,
                "a symmetric key in clear: whoever may read WasmPlugins can sign tokens",
                "have the issuer sign with a key pair (RS256, ES256, EdDSA), and give `jwksUri`",
            ),
        }
    }
}

/// Every secret in a configuration, also in one with faults.
pub(in crate::cli::check) fn literals(root: &Node) -> Vec<Secret<'_>> {
    let mut found = Vec::new();
    for (path, provider) in below(root, "$", "introspectionProviders") {
        let own = provider.get("clientSecret");
        if let Some(own) = own.filter(|it| it.text().is_some()) {
            let path = format!("{path}.clientSecret");
            found.push(Secret::new(own, path, Kind::Replaceable));
        }
        headers(
            provider,
            &path,
            "requestHeaders",
            Kind::Replaceable,
            &mut found,
        );
    }
    let section = "includeAdditionalHeadersInCheck";
    for (path, provider) in below(root, "$", "extensionProviders") {
        if let Some(http) = provider.get("envoyExtAuthzHttp") {
            let path = format!("{path}.envoyExtAuthzHttp");
            headers(http, &path, section, Kind::Header, &mut found);
        }
    }
    for (path, rule) in token_rules(root) {
        found.extend(symmetric_keys(rule, &path));
    }
    for (path, entry) in below(root, "$", "apiRules") {
        for (path, rule) in below(entry, &path, "rules") {
            if let Some(request) = rule.get("request") {
                let path = format!("{path}.request");
                headers(request, &path, "headers", Kind::Header, &mut found);
            }
        }
    }
    found
}

/// What may be a secret in a text that cannot be read: the rest of each line that tells of one.
pub(in crate::cli::check) fn likely(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut begin = 0_usize;
    text.split_inclusive('\n').filter_map(move |line| {
        let end = begin.saturating_add(line.len());
        let lower = line.to_ascii_lowercase();
        let told = CREDENTIALS.iter().chain(&["\"k\""]);
        let told = told.filter_map(|name| {
            let at = lower.find(name)?;
            let colon = lower.get(at..)?.find(':')?;
            Some(at.saturating_add(colon).saturating_add(1))
        });
        let secret = told.min().map(|at| begin.saturating_add(at)..end);
        begin = end;
        secret
    })
}

/// The members of `section` that carry credentials, unless they are filled from the request.
fn headers<'a>(node: &'a Node, path: &str, section: &str, kind: Kind, found: &mut Vec<Secret<'a>>) {
    let members = node.get(section).map_or(&[][..], Node::members);
    for (key, value) in members {
        let name = key.name.to_lowercase().replace('_', "-");
        let is_credential = CREDENTIALS.iter().any(|it| name.contains(it));
        let is_literal = value.text().is_some_and(|text| !text.contains('%'));
        if is_credential && is_literal {
            let path = format!("{path}.{section}.{}", key.name);
            found.push(Secret::new(value, path, kind));
        }
    }
}

fn symmetric_keys<'a>(rule: &'a Node, path: &str) -> Option<Secret<'a>> {
    let node = rule.get("jwks")?;
    let text = node.text()?;
    let set: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let keys = set.as_ref().and_then(|set| set.get("keys")?.as_array());
    let is_symmetric = |key: &serde_json::Value| {
        key.get("kty").is_some_and(|it| it == "oct") || key.get("k").is_some()
    };
    let is_secret = match keys {
        Some(keys) => keys.iter().any(is_symmetric),
        // No key set; nobody knows what it is.
        None => text.contains("oct") || text.contains("\"k\""),
    };
    is_secret.then(|| Secret::new(node, format!("{path}.jwks"), Kind::SymmetricKey))
}

// === impl Secret ===

impl<'a> Secret<'a> {
    fn new(node: &'a Node, path: String, kind: Kind) -> Self {
        Self { node, path, kind }
    }
}
