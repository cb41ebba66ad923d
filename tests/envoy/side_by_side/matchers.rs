//! Envoy's matchers as Istio writes them for one value of a policy, and how they are combined.
//!
//! The words of `envoy.config.rbac.v3` and `envoy.type.matcher.v3`; no policy is known here.

use serde_json::{Value, json};

/// RBAC says the same things of what is asked for and of who asks, under different names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Permission,
    Principal,
}

// === impl Kind ===

impl Kind {
    fn combined(self, how: &str, parts: Vec<Value>) -> Value {
        let noun = match self {
            Kind::Permission => "rules",
            Kind::Principal => "ids",
        };
        json!({format!("{how}_{noun}"): {noun: parts}})
    }
}

/// All of them; anything goes if there are none.
pub fn all(kind: Kind, parts: Vec<Value>) -> Value {
    match parts.is_empty() {
        true => json!({"any": true}),
        false => kind.combined("and", parts),
    }
}

pub fn any_of(kind: Kind, parts: Vec<Value>) -> Value {
    kind.combined("or", parts)
}

pub fn negated(kind: Kind, part: Value) -> Value {
    match kind {
        Kind::Permission => json!({"not_rule": part}),
        Kind::Principal => json!({"not_id": part}),
    }
}

/// `*` is anything but nothing, `*x` a suffix, `x*` a prefix.
pub fn string_match(value: &str, ignore_case: bool) -> Value {
    let mut matcher = match (value.strip_prefix('*'), value.strip_suffix('*')) {
        (Some(""), _) => return regex(".+"),
        (Some(suffix), _) => json!({"suffix": suffix}),
        (None, Some(prefix)) => json!({"prefix": prefix}),
        (None, None) => json!({"exact": value}),
    };
    if ignore_case {
        matcher["ignore_case"] = json!(true);
    }
    matcher
}

/// The same of a text to which something is prepended first.
pub fn with_prefix(before: &str, value: &str) -> Value {
    match value.strip_suffix('*') {
        Some(prefix) => json!({"prefix": format!("{before}{prefix}")}),
        None => json!({"exact": format!("{before}{value}")}),
    }
}

/// A header, of which `*` demands only that it is there.
pub fn header(name: &str, value: &str, ignore_case: bool) -> Value {
    match value {
        "*" => json!({"header": {"name": name, "present_match": true}}),
        _ => json!({"header": {"name": name, "string_match": string_match(value, ignore_case)}}),
    }
}

pub fn path(value: &str) -> Value {
    if !value.contains("{*}") && !value.contains("{**}") {
        return json!({"url_path": {"path": string_match(value, false)}});
    }
    let template = value.replace("{**}", "**").replace("{*}", "*");
    json!({"uri_template": {
        "name": "uri-template",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
            "path_template": template,
        },
    }})
}

pub fn cidr(value: &str) -> Value {
    let whole = if value.contains(':') { 128 } else { 32 };
    let (address, length) = match value.split_once('/') {
        Some((address, length)) => (address, length.parse().expect("a prefix length")),
        None => (value, whole),
    };
    json!({"address_prefix": address, "prefix_len": length})
}

/// What a filter has written to the dynamic metadata of a request.
pub fn metadata(filter: &str, path: &[&str], value: &Value) -> Value {
    let path: Vec<Value> = path.iter().map(|key| json!({"key": key})).collect();
    json!({"metadata": {"filter": filter, "path": path, "value": value}})
}

pub fn text(matcher: Value) -> Value {
    json!({"string_match": matcher})
}

/// A claim may be a text or a list of texts.
pub fn text_or_list(matcher: Value) -> Value {
    let list = json!({"list_match": {"one_of": text(matcher.clone())}});
    json!({"or_match": {"value_matchers": [text(matcher), list]}})
}

pub fn regex(pattern: &str) -> Value {
    json!({"safe_regex": {"regex": pattern}})
}

/// A literal in RE2's syntax.
pub fn quoted(text: &str) -> String {
    let plain =
        |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || !letter.is_ascii();
    let escape = |letter: char| match plain(letter) {
        true => letter.to_string(),
        false => format!("\\{letter}"),
    };
    text.chars().map(escape).collect()
}

/// A literal but for its stars, each of which is the pattern.
pub fn starred(text: &str, star: &str) -> String {
    let parts: Vec<String> = text.split('*').map(quoted).collect();
    parts.join(star)
}
