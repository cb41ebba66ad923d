//! `jwt`, and `restrictions` of `extAuth`: whose tokens are taken, and what they must carry.
//!
//! The messages are Kyma's own.

use crate::cli::compile::draft::Draft;
use crate::cli::compile::resource::Reading;
use crate::cli::compile::written::{Authorization, FromHeader, JwtDemand, JwtRule, Strategy};
use crate::cli::yaml::Node;

/// Reads it, and the places of its authentications.
pub(super) fn demand<'a>(
    draft: &mut Draft,
    reading: Reading<'a>,
    node: &'a Node,
) -> Option<(JwtDemand, Vec<&'a Node>)> {
    let mut fields = reading.fields(node)?;
    let authentications = fields.get("authentications");
    let authorizations = fields.get("authorizations");
    fields.finish();
    let authorizations = authorizations.map(|list| self::authorizations(reading, list));
    let nodes = authentications.map_or(&[][..], |list| reading.items(list));
    if nodes.is_empty() {
        let message = "A JWT config must have at least one authentication";
        let place = authentications.unwrap_or(node);
        reading.error(
            place,
            message,
            "give `issuer` and `jwksUri` of whoever issues the tokens",
        );
        return None;
    }
    tell_mixed(reading, nodes);
    let read = nodes.iter().map(|node| authentication(reading, node));
    let read: Option<Vec<_>> = read.collect::<Vec<_>>().into_iter().collect();
    let demand = JwtDemand {
        authentications: read?,
        authorizations: match authorizations {
            Some(authorizations) => authorizations?,
            None => Vec::new(),
        },
        scope_strategy: None,
    };
    for uri in demand
        .authentications
        .iter()
        .filter_map(|it| it.jwks_uri.as_ref())
    {
        draft.reach_url(uri);
    }
    Some((demand, nodes.iter().collect()))
}

/// Rules of an APIRule must not look for the tokens of one issuer in different places.
pub(super) fn tell_differences<'r>(
    reading: Reading<'_>,
    rules: impl IntoIterator<Item = (&'r Strategy, &'r [&'r Node])>,
) {
    let mut known: Vec<&JwtRule> = Vec::new();
    for (strategy, nodes) in rules {
        let Strategy::Jwt(demand) = strategy else {
            continue;
        };
        for (of_rule, node) in demand.authentications.iter().zip(nodes) {
            let same =
                |it: &&&JwtRule| it.issuer == of_rule.issuer && it.jwks_uri == of_rule.jwks_uri;
            match known.iter().find(same) {
                Some(known) if *known != of_rule => reading.error(
                    node,
                    "multiple jwt configurations that differ for the same issuer",
                    "give `fromHeaders` and `fromParams` alike wherever this issuer is named",
                ),
                Some(_) => {}
                None => known.push(of_rule),
            }
        }
    }
}

fn authentication<'a>(reading: Reading<'a>, node: &'a Node) -> Option<JwtRule> {
    let mut fields = reading.fields(node)?;
    let issuer_node = fields.get("issuer");
    let uri_node = fields.get("jwksUri");
    let headers = fields.get("fromHeaders");
    let params = fields.get("fromParams");
    fields.finish();
    let issuer = issuer_node.map_or(Some(""), |node| reading.text(node))?;
    let uri = uri_node.map_or(Some(""), |node| reading.text(node))?;
    let issuer_fault = match issuer.contains(':') || issuer.is_empty() {
        true => uri_fault(issuer),
        false => None,
    };
    let uri_fault = uri_fault(uri);
    for (fault, place, name) in [
        (&issuer_fault, issuer_node, "issuer"),
        (&uri_fault, uri_node, "jwksUri"),
    ] {
        if let Some(fault) = fault {
            reading.error(
                place.unwrap_or(node),
                format!("value is empty or not a valid uri err={fault}"),
                format!("give `{name}` as a URL such as `https://idp.example.com`"),
            );
        }
    }
    let from_headers = headers.map(|list| {
        let headers = reading.items(list).iter();
        let headers: Vec<_> = headers.map(|node| header(reading, node)).collect();
        headers.into_iter().collect::<Option<Vec<_>>>()
    });
    let from_params = params.map(|list| reading.texts(list)).unwrap_or_default();
    let from_headers = from_headers.unwrap_or_else(|| Some(Vec::new()))?;
    for (count, place, name) in [
        (from_headers.len(), headers, "fromHeaders"),
        (from_params.len(), params, "fromParams"),
    ] {
        if count > 1 {
            let message = format!("multiple {name} are not supported");
            reading.error(place.unwrap_or(node), message, "give one");
        }
    }
    (issuer_fault.is_none() && uri_fault.is_none()).then(|| JwtRule {
        issuer: Some(issuer.to_owned()),
        jwks_uri: Some(uri.to_owned()),
        from_headers,
        from_params,
        ..JwtRule::default()
    })
}

fn header<'a>(reading: Reading<'a>, node: &'a Node) -> Option<FromHeader> {
    let mut fields = reading.fields(node)?;
    let name = fields.required("name").and_then(|node| reading.text(node));
    let prefix = fields.get("prefix").map(|node| reading.text(node));
    fields.finish();
    Some(FromHeader {
        name: name?.to_owned(),
        prefix: match prefix {
            Some(prefix) => Some(prefix?.to_owned()).filter(|it| !it.is_empty()),
            None => None,
        },
    })
}

/// Headers and parameters cannot be mixed, not even over several authentications.
fn tell_mixed(reading: Reading<'_>, nodes: &[Node]) {
    let mut seen: Option<&str> = None;
    for node in nodes {
        for name in ["fromHeaders", "fromParams"] {
            let Some(list) = node.get(name).filter(|it| !it.items().is_empty()) else {
                continue;
            };
            if *seen.get_or_insert(name) != name {
                let message = "mixture of multiple fromHeaders and fromParams is not supported";
                reading.error(list, message, "give either of them, the same for all");
            }
        }
    }
}

fn authorizations<'a>(reading: Reading<'a>, list: &'a Node) -> Option<Vec<Authorization>> {
    let items = reading.items(list);
    if items.is_empty() {
        let message = "authorizations defined, but no configuration exists";
        reading.error(
            list,
            message,
            "leave it out: then every valid token will do",
        );
    }
    let read = items.iter().map(|node| {
        if node.is_null() {
            let help = "leave it out, or write `{}`: every valid token will do";
            reading.error(node, "authorization is empty", help);
            return None;
        }
        let mut fields = reading.fields(node)?;
        let mut values = |name, what| {
            let list = fields.get(name)?;
            let values = reading.texts(list);
            if list.items().is_empty() {
                reading.error(list, "value is empty", "leave it out, or name one");
            }
            for (node, _) in list
                .items()
                .iter()
                .zip(&values)
                .filter(|(_, it)| it.is_empty())
            {
                reading.error(node, format!("{what} value is empty"), "");
            }
            Some(values)
        };
        let required_scopes = values("requiredScopes", "scope").unwrap_or_default();
        let audiences = values("audiences", "audience").unwrap_or_default();
        fields.finish();
        Some(Authorization {
            required_scopes,
            audiences,
        })
    });
    read.collect::<Vec<_>>().into_iter().collect()
}

/// Why Go's `url.ParseRequestURI`, by which Kyma judges, would not take a text.
pub(super) fn uri_fault(text: &str) -> Option<String> {
    let fault = |why: &str| Some(format!("parse {text:?}: {why}"));
    if text.is_empty() {
        return Some("value is empty".to_owned());
    }
    if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return fault("net/url: invalid control character in URL");
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_scheme =
        |it: &str| it.starts_with(|it: char| it.is_ascii_alphabetic()) && it.bytes().all(letter);
    let (scheme, rest) = match text.split_once(':') {
        Some(("", _)) => return fault("missing protocol scheme"),
        Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
        _ => ("", text),
    };
    if !rest.starts_with('/') {
        return match scheme.is_empty() {
            true => fault("invalid URI for request"),
            false => None,
        };
    }
    let mut escapes = rest.split('%').skip(1);
    let hex = |it: &str| it.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !escapes.all(hex) {
        return fault("invalid URL escape");
    }
    let authority = rest.strip_prefix("//").filter(|_| !scheme.is_empty());
    let authority = authority
        .and_then(|it| it.split(['/', '?']).next())
        .unwrap_or("");
    let host = authority.rsplit('@').next().unwrap_or("");
    if host.contains([' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}']) {
        return fault("invalid character in host name");
    }
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let is_address = host.starts_with('[') && host.ends_with(']');
    if !is_address && !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return fault("invalid port after host");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_for_a_uri_what_go_takes() {
        for (text, valid) in [
            ("https://idp.example.com", true),
            ("http://idp.example.com:8080/keys?a=b", true),
            ("https://[::1]/keys", true),
            ("https://user@idp.example.com/", true),
            ("file:///etc/keys", true),
            ("urn:issuer", true),
            ("/keys", true),
            ("/a:b", true),
            ("", false),
            ("keys", false),
            ("keys/a:b", false),
            ("://idp.example.com", false),
            ("1http://idp.example.com", false),
            ("https://idp.example.com:port/", false),
            ("https://idp example.com", false),
            ("https://idp.example.com/%2", false),
            ("https://idp.example.com/\n", false),
        ] {
            assert_eq!(uri_fault(text).is_none(), valid, "`{text}`");
        }
    }
}
