//! What to do about a fault of the configuration, where its message does not say it all.
//!
//! Messages are short, since they are part of the module in the gateway; hints are here alone.

use crate::cli::likely::likely;
use crate::config::Fault;

/// Fields that a newcomer writes in a place where they are unknown: what the path contains and how
/// it ends, and what to do.
const MISPLACED: [(&str, &[&str], &str); 10] = [
    (
        ".rules[",
        &["appliesTo"],
        "`appliesTo` stands beside `rules` and attaches the whole policy; the condition of one rule \
         is `to: [{operation: {hosts: […], paths: […]}}]`",
    ),
    (
        "$.authorizationPolicies[",
        &["selector", "targetRef", "targetRefs"],
        "the plugin judges at the gateway alone; attach the policy by \
         `appliesTo: [{hosts: […], paths: […]}]`, or leave that out too for everything",
    ),
    (
        "$.jwtRules[",
        &["selector", "targetRef", "targetRefs", "hosts", "paths"],
        "a rule is attached by `appliesTo: [{hosts: […], paths: […]}]`; without it, everywhere",
    ),
    (
        ".rules[",
        &[
            "principals",
            "requestPrincipals",
            "namespaces",
            "serviceAccounts",
            "ipBlocks",
            "remoteIpBlocks",
            "source",
        ],
        "who may call stands in `from: [{source: {…}}]`",
    ),
    (
        "$.authorizationPolicies[",
        &["hosts", "methods", "paths", "ports", "operation"],
        "what may be called stands in a rule, as `to: [{operation: {…}}]`; what a policy is \
         attached to, beside `rules`, as `appliesTo: [{hosts: […], paths: […]}]`",
    ),
    (
        "$.authorizationPolicies[",
        &["from", "to", "when"],
        "these are members of a rule: `rules: [{from: […], to: […], when: […]}]`",
    ),
    (
        "$.apiRules[",
        &["service", "gateway", "timeout", "externalGateway"],
        "that is for the route; leave it to the VirtualService",
    ),
    (
        "$.apiRules[",
        &["accessStrategies", "mutators"],
        "that is an APIRule of version v1beta1; `portcullis compile` reads those",
    ),
    (
        "$.spec",
        &["spec"],
        "this is read as a pluginConfig; of a resource, give the WasmPlugin with its `apiVersion` \
         and `kind`, or compile it with `portcullis compile`",
    ),
    (
        "$.rules",
        &["rules"],
        "rules stand in `authorizationPolicies: [{name: …, namespace: …, rules: […]}]` or in \
         `apiRules: [{name: …, hosts: […], rules: […]}]`",
    ),
];

const UNKNOWN: &str = "unknown field; allowed here: ";

/// What the end of a path, and a part of the message, call for.
const TOLD: [(&str, &str, &str); 11] = [
    (
        "",
        "`ISSUER/SUBJECT`",
        "the value is split at its last `/`, the issuer must be that of the token to the letter, and \
         `*` may stand at the end or, for any token, alone",
    ),
    (
        "",
        "`version` is missing",
        "write `version: 1`; it says by which rules the rest is read",
    ),
    (
        "",
        "0 strategies",
        "who may send such requests is said in each rule; for everybody, `noAuth: true`",
    ),
    (
        "",
        "without port",
        "an entry is for every port of the host; a single port is a condition, \
         `operation.hosts: [\"HOST:PORT\"]`",
    ),
    (
        "",
        "is not among `introspectionProviders`",
        "define it: `introspectionProviders: [{name: …, introspectionUrl: https://…}]`",
    ),
    (
        "",
        "is not among `extensionProviders`",
        "define it: `extensionProviders: [{name: …, envoyExtAuthzHttp: {service: …, port: …}}]`",
    ),
    (
        "",
        "can never match",
        "the first rule whose path and method fit decides alone, so narrow rules stand first",
    ),
    (
        ".jwks",
        "a string that is not empty",
        "`jwks` is the JSON text of a key set, such as '{\"keys\": […]}' in quotes; or give `jwksUri`",
    ),
    (
        "path",
        "operators",
        "below a folder is `/folder/{**}`, one segment is `{*}`, an expression goes into `pathRegex`",
    ),
    (
        "",
        "unless `mesh.useRemoteAddress` is true",
        "set `mesh: {useRemoteAddress: true}`, which is Istio's default at gateways, or use \
         `remoteIpBlocks`",
    ),
    (
        "",
        "no values; give",
        "`values` must hold, `notValues` must not; a value may be `x*`, `*x` or `*`",
    ),
];

/// What to do about a fault, if there is more to say than it says.
pub(super) fn hint(fault: &Fault) -> Option<String> {
    let Fault { path, message } = fault;
    let name = path.rsplit('.').next().unwrap_or_default();
    if let Some(known) = message.strip_prefix(UNKNOWN) {
        let misplaced = MISPLACED.iter().find(|(within, names, _)| {
            let is_below = path.contains(within) && !path.ends_with(within.trim_end_matches('['));
            (is_below || path == within) && names.contains(&name)
        });
        let known: Vec<_> = words(known).collect();
        let likely = likely(name, known.into_iter());
        return match (misplaced, likely) {
            (Some((.., help)), _) => Some((*help).to_owned()),
            (None, Some(likely)) => Some(format!("did you mean `{likely}`?")),
            (None, None) => None,
        };
    }
    let told = TOLD
        .iter()
        .find(|(end, part, _)| path.ends_with(end) && message.contains(part));
    if let Some((.., help)) = told {
        return Some((*help).to_owned());
    }
    let (found, allowed) = message
        .strip_prefix("found `")?
        .split_once("`; allowed: ")?;
    if allowed.starts_with("a string that is not empty") && !["", "null"].contains(&found) {
        return Some("write it in quotes".to_owned());
    }
    if allowed.starts_with("a name of at most") {
        let name = found.to_lowercase().replace(['_', ' ', '/'], "-");
        return Some(format!("such as `{name}`"));
    }
    let likely = likely(found, words(allowed))?;
    Some(format!("did you mean `{likely}`?"))
}

/// Where a fault stands: of an unknown field, its name; of a list whose items get in each other's
/// way, the item.
pub(super) fn place(fault: &Fault) -> String {
    let Fault { path, message } = fault;
    if message.starts_with(UNKNOWN) {
        // What would be below it is not there, so that its name is the place.
        return format!("{path}.");
    }
    let number = message.strip_prefix("rule ").and_then(|rest| {
        let (number, _) = rest.split_once(' ')?;
        number.parse::<usize>().ok()
    });
    match number.filter(|_| path.ends_with(".rules")) {
        Some(number) => format!("{path}[{number}]"),
        None => path.clone(),
    }
}

/// Words in backticks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
