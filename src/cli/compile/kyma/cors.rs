//! `corsPolicy` of an APIRule. Both versions have it; they differ in `maxAge` and in the default.

use crate::cli::compile::resource::Reading;
use crate::cli::compile::written::{CorsPolicy, OriginMatch};
use crate::cli::yaml::Node;

/// How `maxAge` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MaxAge {
    /// v1beta1: `10m0s`
    Duration,
    /// v2: whole seconds.
    Seconds,
}

/// What v1beta1 allows by default.
pub(super) fn v1beta1_default() -> CorsPolicy {
    let texts = |texts: &[&str]| texts.iter().map(|&it| it.to_owned()).collect();
    CorsPolicy {
        allow_origins: vec![OriginMatch::Regex(".*".to_owned())],
        allow_methods: texts(&["GET", "POST", "PUT", "DELETE", "PATCH"]),
        allow_headers: texts(&["Authorization", "Content-Type", "*"]),
        ..CorsPolicy::default()
    }
}

/// Reads `corsPolicy`; `None` if it allows nothing, or cannot be read, which has been noted.
pub(super) fn policy(reading: Reading<'_>, node: &Node, unit: MaxAge) -> Option<CorsPolicy> {
    let mut fields = reading.fields(node)?;
    let mut texts = |name| {
        let node = fields.get(name);
        node.map(|node| reading.texts(node)).unwrap_or_default()
    };
    let allow_methods = texts("allowMethods");
    let allow_headers = texts("allowHeaders");
    let expose_headers = texts("exposeHeaders");
    let credentials = fields.get("allowCredentials");
    let max_age = fields.get("maxAge");
    let origins = fields.get("allowOrigins");
    fields.finish();
    let items = origins.map_or(&[][..], |origins| reading.items(origins));
    let allow_origins: Vec<_> = items
        .iter()
        .flat_map(|item| origin(reading, item))
        .collect();
    if items.is_empty() {
        reading.warning(
            node,
            "without `allowOrigins` a corsPolicy has no effect: other origins may do nothing",
            "Kyma makes nothing of it either; name the origins, or leave it out",
        );
        return None;
    }
    // Whatever is wrong was said already.
    (!allow_origins.is_empty()).then(|| CorsPolicy {
        allow_origins,
        allow_methods,
        allow_headers,
        expose_headers,
        allow_credentials: credentials.and_then(|node| reading.flag(node)),
        max_age: max_age.and_then(|node| seconds(reading, node, unit)),
    })
}

fn origin(reading: Reading<'_>, node: &Node) -> Vec<OriginMatch> {
    if !node.is_map() {
        reading.unexpected(node, "one of `exact`, `prefix` and `regex` with its text");
    }
    let matches = node.members().iter().filter_map(|(key, value)| {
        let text = reading.text(value)?.to_owned();
        Some(match key.name.as_str() {
            "exact" => OriginMatch::Exact(text),
            "regex" => OriginMatch::Regex(text),
            "prefix" => OriginMatch::Prefix(text),
            other => {
                let message = format!("Kyma takes `{}` for `prefix`", other.escape_debug());
                let help = "known are `exact`, `prefix` and `regex`; write `prefix` if it is meant";
                reading.warning(value, message, help);
                OriginMatch::Prefix(text)
            }
        })
    });
    matches.collect()
}

fn seconds(reading: Reading<'_>, node: &Node, unit: MaxAge) -> Option<u64> {
    if unit == MaxAge::Seconds {
        let seconds = reading.number(node)?;
        if seconds == 0 {
            reading.unexpected(node, "a whole number of seconds, at least 1");
        }
        return Some(seconds);
    }
    let duration = humantime::parse_duration(reading.text(node)?);
    if duration.is_err() {
        reading.unexpected(node, "a duration such as `10m` or `1h30m`");
    }
    Some(duration.ok()?.as_secs())
}
