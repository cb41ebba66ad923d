//! The fields of a WasmPlugin around its configuration: those that decide whether the plugin judges
//! every request at all.
//!
//! What Istio makes of them is not ours to change; here is told what opens the gate.

use super::Finding;
use crate::cli::likely::likely;
use crate::cli::yaml::Node;
use crate::config::Config;

/// Fields of `spec`; others are dropped by the API server.
const FIELDS: [&str; 16] = [
    "failStrategy",
    "imagePullPolicy",
    "imagePullSecret",
    "match",
    "phase",
    "pluginConfig",
    "pluginName",
    "priority",
    "selector",
    "sha256",
    "targetRef",
    "targetRefs",
    "type",
    "url",
    "verificationKey",
    "vmConfig",
];

const ATTACH: &str = "name the gateway: `selector: {matchLabels: {istio: ingressgateway}}`";

const PHASE: &str = "write `phase: AUTHN`";

/// What is wrong around the configuration.
pub(super) fn check(plugin: &Node) -> Vec<Finding> {
    let Some(spec) = plugin.get("spec").filter(|spec| spec.is_map()) else {
        return vec![Finding::error("$", "`spec` is missing", "")];
    };
    let mut found = Vec::new();
    for (key, _) in spec.members() {
        let name = key.name.as_str();
        if !FIELDS.contains(&name) {
            let help = match likely(name, FIELDS.into_iter()) {
                Some(likely) => format!("did you mean `{likely}`?"),
                None => String::new(),
            };
            let message = "unknown field; the API server drops it";
            found.push(Finding::warning(path(name), message, help));
        }
    }
    if spec.get("pluginConfig").is_none() {
        let help = "the plugin does not start without one";
        let message = "`spec.pluginConfig` is missing";
        found.push(Finding::error("$.spec", message, help));
    }
    found.extend(attachment(spec));
    found.extend(phase(spec));
    found.extend(fail_strategy(spec));
    found.extend(kind(spec));
    matching(spec, &mut found);
    found.extend(module(spec));
    found
}

/// Secrets of the configuration that the environment of the module does not have.
pub(super) fn secrets(config: &mut Config, plugin: &Node) -> Vec<Finding> {
    let env = plugin.at(&["spec", "vmConfig", "env"]);
    let env = env.map_or(&[][..], Node::items);
    let text = |entry: &Node, name: &str| entry.get(name).and_then(Node::text).map(str::to_owned);
    let look_up = |name: &str| {
        let mut entries = env.iter();
        let entry = entries.find(|it| text(it, "name").as_deref() == Some(name))?;
        match text(entry, "valueFrom").as_deref() {
            // Of the gateway's own container, which is not in the file.
            Some("HOST") => Some(name.to_owned()),
            _ => text(entry, "value"),
        }
    };
    let missing = config.resolve_secrets(look_up).err().unwrap_or_default();
    let help = "such as `vmConfig: {env: [{name: NAME, valueFrom: HOST}]}`, with the variable in \
                the gateway's container";
    let missing = missing.into_iter();
    missing
        .map(|fault| Finding::error(fault.path, fault.message, help))
        .collect()
}

fn path(name: &str) -> String {
    format!("$.spec.{name}")
}

fn text<'a>(spec: &'a Node, name: &str) -> Option<&'a str> {
    spec.get(name).and_then(Node::text)
}

fn one_of(name: &str, found: &Node, allowed: &[&str]) -> Finding {
    let words: Vec<_> = allowed.iter().map(|it| format!("`{it}`")).collect();
    let likely = found.text();
    let likely = likely.and_then(|it| likely_of(it, allowed));
    let message = format!("found {}; allowed: {}", found.described(), words.join(", "));
    Finding::error(path(name), message, likely.unwrap_or_default())
}

fn likely_of(found: &str, allowed: &[&str]) -> Option<String> {
    let likely = likely(found, allowed.iter().copied())?;
    Some(format!("did you mean `{likely}`?"))
}

fn attachment(spec: &Node) -> Option<Finding> {
    let refers = spec.get("targetRef").is_some();
    let refers = refers
        || spec
            .get("targetRefs")
            .is_some_and(|it| !it.items().is_empty());
    let labels = spec.at(&["selector", "matchLabels"]);
    let selects = labels.is_some_and(|it| !it.members().is_empty());
    let message = "neither `selector` nor `targetRefs`: the plugin is put into every workload of the \
                   namespace, and of the root namespace into every one of the mesh";
    (!refers && !selects).then(|| Finding::warning("$.spec", message, ATTACH))
}

fn phase(spec: &Node) -> Option<Finding> {
    let late = "the plugin runs after Istio's own policies, which judge requests with whatever their \
                headers say";
    match spec.get("phase") {
        None => {
            let message = format!("`phase` is missing: {late}");
            Some(Finding::warning("$.spec", message, PHASE))
        }
        Some(it) => match it.text() {
            Some("AUTHN" | "AUTHZ") => None,
            Some(phase @ ("STATS" | "UNSPECIFIED_PHASE")) => {
                let message = format!("`{phase}`: {late}");
                Some(Finding::warning(path("phase"), message, PHASE))
            }
            _ => Some(one_of("phase", it, &["AUTHN", "AUTHZ"])),
        },
    }
}

fn fail_strategy(spec: &Node) -> Option<Finding> {
    let allowed = ["FAIL_CLOSE", "FAIL_RELOAD"];
    let found = spec.get("failStrategy")?;
    match found.text() {
        Some("FAIL_OPEN") => Some(Finding::error(
            path("failStrategy"),
            "`FAIL_OPEN` opens the gate: every request goes on while the module cannot be fetched or \
             fails",
            "write `failStrategy: FAIL_CLOSE`",
        )),
        Some(strategy) if allowed.contains(&strategy) => None,
        _ => Some(one_of("failStrategy", found, &allowed)),
    }
}

fn kind(spec: &Node) -> Option<Finding> {
    let found = spec.get("type")?;
    match found.text() {
        Some("HTTP" | "UNSPECIFIED_PLUGIN_TYPE") => None,
        _ => Some(one_of("type", found, &["HTTP"])),
    }
}

/// `match`: a traffic selector that lets the plugin out of the way.
fn matching(spec: &Node, found: &mut Vec<Finding>) {
    let entries = spec.get("match").map_or(&[][..], Node::items);
    let never = |entry: &Node| text(entry, "mode") == Some("SERVER");
    let all_never = !entries.is_empty() && entries.iter().all(never);
    for (index, entry) in entries.iter().enumerate() {
        let place = format!("match[{index}]");
        match entry.get("mode").map(|mode| (mode, mode.text())) {
            None | Some((_, Some("CLIENT" | "CLIENT_AND_SERVER" | "UNDEFINED"))) => {}
            Some((_, Some("SERVER"))) => {
                let message = "`SERVER` never matches at a gateway, whose listeners are of the class \
                               `CLIENT`";
                let at = path(&format!("{place}.mode"));
                found.push(match all_never {
                    true => {
                        let message = format!("{message}: the plugin judges nothing");
                        Finding::error(at, message, "leave `match` out")
                    }
                    false => Finding::warning(at, message, "leave the entry out"),
                });
            }
            Some((mode, _)) => {
                let allowed = ["CLIENT", "CLIENT_AND_SERVER"];
                found.push(one_of(&format!("{place}.mode"), mode, &allowed));
            }
        }
        let ports = entry.get("ports").map_or(&[][..], Node::items);
        for (number, port) in ports.iter().enumerate() {
            let port = port.get("number").map(Node::to_json);
            let of_the_service = |port: &serde_json::Value| *port == 80 || *port == 443;
            if let Some(port) = port.filter(of_the_service) {
                found.push(Finding::warning(
                    path(&format!("{place}.ports[{number}].number")),
                    format!(
                        "`{port}` is a port of the gateway's Service rather than one that it listens on \
                         (`targetPort`), and on every other port nothing is judged"
                    ),
                    "leave `match` out, or give the gateway's own ports, such as `8080` and `8443`",
                ));
            }
        }
    }
}

/// `url`, `sha256`: whether the module is the one that was meant.
fn module(spec: &Node) -> Option<Finding> {
    let Some(url) = text(spec, "url") else {
        return Some(Finding::error("$.spec", "`url` is missing", ""));
    };
    let sha256 = spec.get("sha256");
    let hexadecimal = |text: &str| {
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        text.len() == 64 && text.bytes().all(lower)
    };
    if let Some(sha256) = sha256.filter(|it| !it.text().is_some_and(hexadecimal)) {
        let message = format!(
            "found {}; allowed: 64 hexadecimal digits in lower case",
            sha256.described()
        );
        return Some(Finding::error(path("sha256"), message, ""));
    }
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None => {
            return Some(Finding::warning(
                path("url"),
                "no scheme: Istio takes it for an image, unless there is a port in it, which it then \
                 takes for a scheme that it does not know",
                format!("write `oci://{url}`"),
            ));
        }
    };
    let pin = match scheme {
        // Istio's agent looks at none of these.
        "file" => return None,
        "oci" => {
            "pin it: `@sha256:…` behind the name, the digest of the image's manifest (not that \
                  of an index)"
        }
        "http" | "https" => "pin it: `sha256`, that of the module",
        _ => {
            let message = format!("scheme `{scheme}`; allowed: `oci`, `https`, `http`, `file`");
            return Some(Finding::error(path("url"), message, ""));
        }
    };
    if sha256.is_some() || rest.contains("@sha256:") {
        return None;
    }
    let message = match (scheme, rest.ends_with(":latest")) {
        ("oci", true) => {
            "`:latest` is whatever was pushed last: the gateway's judge may change \
             unnoticed"
        }
        ("http", _) => {
            "no digest: the module can be exchanged at its server, and on the way from it"
        }
        _ => "no digest: the module can be exchanged where it is served",
    };
    Some(Finding::warning(path("url"), message, pin))
}
