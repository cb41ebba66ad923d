//! Portcullis at a gateway of Istio's: our WasmPlugin and the tutorials' VirtualServices go into the
//! real istiod, and an Envoy that knows nothing else serves the tutorials.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    harness::{Tool, wait},
    mesh::{EXPOSED, Gateway, Mesh},
    table::Line,
};

/// What istiod calls the filter of our WasmPlugin, since it makes a TrafficExtension of it.
const FILTER: &str =
    "extensions.istio.io/trafficextension/istio-system.portcullis~istio-translated-wasmplugin";

const PATIENCE: Duration = Duration::from_secs(15);

/// Plays it all.
pub fn play() -> Vec<Line> {
    let mesh = Mesh::start();
    let gateway = mesh.with_portcullis();
    mesh.answer_healthz(&EXPOSED[1]);
    let play_tutorials = || -> Vec<Line> {
        let client = gateway.client();
        let rows = mesh.tutorials.iter().flat_map(|it| &it.rows);
        rows.map(|row| Line::of_row(row, &client)).collect()
    };
    // Until keys and routes are there.
    wait::until(PATIENCE, || {
        play_tutorials()
            .iter()
            .all(Line::is_as_expected)
            .then_some(())
    });
    let mut lines = vec![first_filter(&gateway), module(&gateway)];
    lines.extend(play_tutorials());
    lines.extend(updates(&mesh, &gateway));
    lines.push(server_with_tls(&mesh));
    gateway.envoy.assert_no_wasm_failures();
    lines
}

/// Ours comes before all that could judge a request.
fn first_filter(gateway: &Gateway) -> Line {
    let dump = config_dump(gateway);
    let filters = members(&dump, "http_filters").remove(0);
    let got = filters[0]["name"].as_str().unwrap_or_default();
    Line::new("first filter of the listener", FILTER, got)
}

/// The filter by ECDS, with the module by `file://`.
fn module(gateway: &Gateway) -> Line {
    let dump = config_dump(gateway);
    let discovered = members(&dump, "ecds_filter");
    let got = discovered.iter().map(|filter| {
        let code = members(filter, "filename");
        format!(
            "{} {}",
            filter["name"],
            code.first().unwrap_or(&Value::Null)
        )
    });
    let path = json!(Tool::Plugin.path());
    Line::new(
        "filters by ECDS, and their modules",
        format!("{} {path}", json!(FILTER)),
        got.collect::<Vec<_>>().join(", "),
    )
}

/// One connection, on which the answers change as the WasmPlugin does.
fn updates(mesh: &Mesh, gateway: &Gateway) -> [Line; 3] {
    let client = gateway.client();
    let ask = || {
        let request = client.get("/status/200").authority("httpbin.example.com");
        let answer = request.send();
        answer.map_or_else(|error| error.to_string(), |it| it.status.to_string())
    };
    let becomes = |what: &str, expected: &str| {
        wait::becomes_true(PATIENCE, || ask() == expected);
        Line::new(what, expected, ask())
    };
    let manifests = EXPOSED.map(|it| mesh.manifests(&it)).join("\n---\n");
    let rule = "- from:\n    - source: {requestPrincipals: [\"*\"]}";
    let opened = manifests.replace(rule, "- {}");
    assert_ne!(opened, manifests, "no rule to replace");
    let (closed, opened) = (mesh.compiled(&manifests), mesh.compiled(&opened));
    let apply = |manifests: &str| mesh.istiod.kubernetes.apply(manifests);

    apply(&opened);
    let open = becomes("WasmPlugin updated to let in anybody: no token", "200");

    apply(&opened.replacen("version: 1", "version: 1\n    misspelt: true", 1));
    let rejected = format!("extension_config_discovery.http_filter.{FILTER}.config_fail");
    let rejected = wait::until(PATIENCE, || {
        Some(gateway.envoy.stat(&rejected)).filter(|it| *it > 0)
    });
    let kept = Line::new(
        "WasmPlugin updated with a fault: rejected, and the one before stays",
        "1 rejected; 200",
        format!("{} rejected; {}", rejected.unwrap_or(0), ask()),
    );

    apply(&closed);
    [open, kept, becomes("WasmPlugin as it was: no token", "403")]
}

/// The cluster of a server that is called with TLS. Envoy itself cannot have it here: the authorities
/// that it trusts would come from Istio's agent.
fn server_with_tls(mesh: &Mesh) -> Line {
    let compiled = mesh.compiled(EXPOSED[0].manifests);
    mesh.istiod.kubernetes.apply(&compiled);
    let cluster = || {
        let dump = mesh.istiod.config_dump("istio-system");
        let mut clusters = members(&dump, "cluster").into_iter();
        clusters.find(|it| it["name"] == "outbound|443||idp.example.com")
    };
    let cluster = wait::until(PATIENCE, cluster).unwrap_or_default();
    let found = |name: &str| {
        members(&cluster, name)
            .into_iter()
            .next()
            .unwrap_or_default()
    };
    let names = members(&found("matchSubjectAltNames"), "exact");
    let authorities = &found("validationContextSdsSecretConfig")["name"];
    Line::new(
        "server with TLS: server name, name in its certificate, authorities",
        r#""idp.example.com", ["idp.example.com"], "file-root:system""#,
        format!("{}, {}, {authorities}", found("sni"), json!(names)),
    )
}

fn config_dump(gateway: &Gateway) -> Value {
    let answer = gateway.envoy.admin().get("/config_dump").send();
    answer.expect("an answer of Envoy's admin port").json()
}

/// All members of this name, wherever they are.
fn members(value: &Value, name: &str) -> Vec<Value> {
    match value {
        Value::Object(all) => {
            let here = all.get(name).cloned();
            let below = all.values().flat_map(|it| members(it, name));
            here.into_iter().chain(below).collect()
        }
        Value::Array(items) => items.iter().flat_map(|it| members(it, name)).collect(),
        _ => Vec::new(),
    }
}
