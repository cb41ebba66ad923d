//! What Kubernetes checks of an object of Istio's: the schemas in `tests/crds`, and their rules.
//!
//! Stricter than the API server in two points: a field that no schema has is a fault, though the
//! server drops it in silence, and an object has a namespace, which nobody then has to remember.

use std::{collections::HashMap, fs, path::Path};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// The schemas that there are, by `apiVersion` and `kind`.
pub struct Schemas(HashMap<(String, String), Schema>);

struct Schema {
    /// As it was written, for the rules in it.
    written: Value,
    validator: Validator,
}

// === impl Schemas ===

impl Schemas {
    /// Reads `tests/crds`.
    pub fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crds");
        let files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|it| it == "yaml"));
        Self(files.flat_map(|path| definition(&path)).collect())
    }

    /// Everything that is wrong with an object, each with its place.
    pub fn faults(&self, object: &Value) -> Vec<String> {
        let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        let key = (text("apiVersion"), text("kind"));
        let Some(schema) = self.0.get(&key) else {
            return vec![format!("no schema of {} {}", key.0, key.1)];
        };
        let errors = schema.validator.iter_errors(object);
        let mut faults: Vec<_> = errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        break_rules(&schema.written, object, "", &mut faults);
        faults
    }
}

/// The schemas of a CustomResourceDefinition.
fn definition(path: &Path) -> Vec<((String, String), Schema)> {
    let read: Value = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let spec = &read["spec"];
    let group = spec["group"].as_str().unwrap();
    let kind = spec["names"]["kind"].as_str().unwrap();
    let versions = spec["versions"].as_array().unwrap().iter();
    let schemas = versions.map(|version| {
        let written = version["schema"]["openAPIV3Schema"].clone();
        let validator = jsonschema::validator_for(&of_object(&written)).unwrap();
        let api_version = format!("{group}/{}", version["name"].as_str().unwrap());
        let schema = Schema { written, validator };
        ((api_version, kind.to_owned()), schema)
    });
    schemas.collect()
}

/// The schema of a whole object; those of resources leave out what all of them have.
fn of_object(written: &Value) -> Value {
    let mut schema = closed(written);
    let properties = schema["properties"].as_object_mut().unwrap();
    properties.remove("status");
    for name in ["apiVersion", "kind"] {
        properties.insert(name.to_owned(), json!({"type": "string"}));
    }
    let name = json!({"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"});
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let metadata = json!({
        "type": "object",
        "properties": {"name": name, "namespace": name, "labels": texts, "annotations": texts},
        "required": ["name", "namespace"],
        "additionalProperties": false,
    });
    properties.insert("metadata".to_owned(), metadata);
    schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    schema
}

/// The same as a JSON Schema, in which a field that is not named is a fault.
fn closed(written: &Value) -> Value {
    let mut schema = written.as_object().unwrap().clone();
    let each = |schemas: &Value| {
        let schemas = schemas.as_object().unwrap().iter();
        Value::Object(
            schemas
                .map(|(name, it)| (name.clone(), closed(it)))
                .collect(),
        )
    };
    if let Some(properties) = schema.get("properties") {
        let properties = each(properties);
        schema.insert("properties".to_owned(), properties);
        if !keeps_unknown_fields(&schema) {
            schema.insert("additionalProperties".to_owned(), json!(false));
        }
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(name).filter(|it| it.is_object()) {
            let inner = closed(inner);
            schema.insert(name.to_owned(), inner);
        }
    }
    if schema.get("nullable") == Some(&json!(true)) {
        schema["type"] = json!([schema["type"], "null"]);
    }
    Value::Object(schema)
}

fn keeps_unknown_fields(schema: &Map<String, Value>) -> bool {
    schema.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true))
}

/// The rules that an object breaks, here and below.
fn break_rules(schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    let rules = schema["x-kubernetes-validations"].as_array();
    for rule in rules.into_iter().flatten() {
        let text = |name: &str| rule[name].as_str().unwrap_or_default();
        let told = match holds(text("rule"), value) {
            Some(true) => continue,
            Some(false) => text("message").to_owned(),
            None => format!("a rule that is not known here: {}", text("rule")),
        };
        faults.push(format!("{path}: {told}"));
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let inner = schema["properties"].get(name);
                let inner = inner.unwrap_or(&schema["additionalProperties"]);
                break_rules(inner, field, &format!("{path}/{name}"), faults);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                break_rules(&schema["items"], item, &format!("{path}/{index}"), faults);
            }
        }
        _ => {}
    }
}

/// Whether a value keeps a rule, which is written in the Common Expression Language; nothing, if
/// the rule is none of those that matter here.
fn holds(rule: &str, it: &Value) -> Option<bool> {
    let has = |name: &str| it.get(name).is_some();
    let count = |names: &[&str]| names.iter().filter(|name| has(name)).count();
    let text = it.as_str().unwrap_or_default();
    let texts = |name: &str| {
        let texts = it[name].as_array().into_iter().flatten();
        texts.filter_map(Value::as_str)
    };
    let resolution = it["resolution"].as_str().unwrap_or("NONE");
    let rule = rule.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(match rule.as_str() {
        r#"!self.contains("*")"# => !text.contains('*'),
        r#"self != "*""# => text != "*",
        "self.size() == 0" => text.is_empty(),
        r#"self.all(key, !key.contains("*"))"# => keys(it).all(|key| !key.contains('*')),
        "self.all(key, key.size() != 0)" => keys(it).all(|key| !key.is_empty()),
        "0 < self && self <= 65535" => it.as_u64().is_some_and(|it| (1..=65535).contains(&it)),
        "self.all(l1, self.exists_one(l2, l1.number == l2.number))" => {
            let ports = it
                .as_array()
                .into_iter()
                .flatten()
                .map(|port| &port["number"]);
            let ports: Vec<_> = ports.collect();
            let mut each = ports.iter().enumerate();
            each.all(|(at, port)| !ports.iter().take(at).any(|other| other == port))
        }
        "(has(self.selector) ? 1 : 0) + (has(self.targetRef) ? 1 : 0) + (has(self.targetRefs) ? 1 : 0) <= 1" => {
            count(&["selector", "targetRef", "targetRefs"]) <= 1
        }
        "(has(self.workloadSelector) ? 1 : 0) + (has(self.endpoints) ? 1 : 0) <= 1" => {
            count(&["workloadSelector", "endpoints"]) <= 1
        }
        r#"(has(self.valueFrom) ? self.valueFrom : "") != "HOST" || !has(self.value)"# => {
            it["valueFrom"] != "HOST" || !has("value")
        }
        r#"!((has(self.addresses) ? self.addresses : []).exists(k, k.contains("/")) && !((has(self.resolution) ? self.resolution : "NONE") in ["STATIC", "NONE"]))"# => {
            !texts("addresses").any(|it| it.contains('/'))
                || ["STATIC", "NONE"].contains(&resolution)
        }
        r#"((has(self.resolution) ? self.resolution : "NONE") == "NONE") ? !has(self.endpoints) : true"# => {
            resolution != "NONE" || !has("endpoints")
        }
        r#"((has(self.resolution) ? self.resolution : "") == "DNS_ROUND_ROBIN") ? ((has(self.endpoints) ? self.endpoints : []).size() <= 1) : true"# =>
        {
            let endpoints = it["endpoints"].as_array().map_or(0, Vec::len);
            resolution != "DNS_ROUND_ROBIN" || endpoints <= 1
        }
        rule if rule.starts_with("isURL(self) ? (url(self).getScheme() in [") => {
            let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
            ["", "http", "https", "oci", "file"].contains(&scheme)
        }
        _ => return None,
    })
}

fn keys(it: &Value) -> impl Iterator<Item = &String> {
    it.as_object().into_iter().flat_map(Map::keys)
}
