//! Servers that are trusted, and asked without TLS over a network that nobody vouches for.
//!
//! Within the cluster the mesh encrypts, and `http://` is how it wants to be asked.

use super::{Lint, below, token_rules};
use crate::cli::yaml::Node;
use http::Uri;
use std::net::IpAddr;

/// How names end that only a cluster knows, or a machine.
const INSIDE: [&str; 5] = [".svc", ".local", ".internal", ".localhost", ".test"];

pub(super) fn check(lint: &mut Lint<'_>) {
    for (path, rule) in token_rules(lint.root) {
        if let Some(url) = rule.get("jwksUri") {
            warn(
                lint,
                format!("{path}.jwksUri"),
                rule,
                url,
                "keys are fetched",
                "can put in keys of their own, and sign any token",
            );
        }
    }
    for (path, provider) in below(lint.root, "$", "introspectionProviders") {
        if let Some(url) = provider.get("introspectionUrl") {
            warn(
                lint,
                format!("{path}.introspectionUrl"),
                provider,
                url,
                "tokens are sent",
                "reads them, and can answer that any token is good",
            );
        }
    }
}

/// Warns of a URL, unless whoever wrote it has named a cluster for it, which may bring TLS.
fn warn(lint: &mut Lint<'_>, path: String, asks: &Node, url: &Node, what: &str, danger: &str) {
    let host = url.text().and_then(outside);
    if let Some(host) = host.filter(|_| asks.get("cluster").is_none()) {
        lint.warn(
            path,
            format!("{what} without TLS: whoever is on the way to `{host}` {danger}"),
            "write `https://`; a service of the cluster by its whole name, such as \
             `http://NAME.NAMESPACE.svc.cluster.local`",
        );
    }
}

/// The host of a URL with `http://`, if it is not known to be inside.
fn outside(url: &str) -> Option<String> {
    let url: Uri = url.parse().ok()?;
    let host = url.host().filter(|_| url.scheme_str() == Some("http"))?;
    let name = host.trim_start_matches('[').trim_end_matches([']', '.']);
    let is_inside = match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_private() || address.is_loopback(),
        Ok(IpAddr::V6(address)) => address.is_unique_local() || address.is_loopback(),
        Err(_) => !name.contains('.') || INSIDE.iter().any(|end| name.ends_with(end)),
    };
    (!is_inside).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_outside_is_warned_of() {
        for (url, expected) in [
            ("http://idp.example.com/keys", Some("idp.example.com")),
            ("http://idp.example.com:8080/keys", Some("idp.example.com")),
            ("http://idp.example.com./keys", Some("idp.example.com")),
            ("HTTP://idp.example.com/keys", Some("idp.example.com")),
            ("http://192.0.2.1/keys", Some("192.0.2.1")),
            ("http://[2001:db8::1]/keys", Some("2001:db8::1")),
            ("https://idp.example.com/keys", None),
            ("http://keycloak/keys", None),
            ("http://keycloak.iam.svc/keys", None),
            ("http://keycloak.iam.svc.cluster.local:8080/keys", None),
            ("http://localhost:9000/keys", None),
            ("http://127.0.0.1:9000/keys", None),
            ("http://10.0.0.1/keys", None),
            ("http://[::1]/keys", None),
            ("http://[fd00::1]/keys", None),
            ("keys", None),
            ("", None),
        ] {
            assert_eq!(outside(url).as_deref(), expected, "`{url}`");
        }
    }
}
