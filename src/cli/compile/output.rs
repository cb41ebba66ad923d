//! What is handed out: the WasmPlugin, and the resources that its calls need.

use super::Context;
use super::draft::{Draft, Endpoint};
use super::written::{Config, Members};
use serde::Serialize;

/// A Kubernetes object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<S> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    spec: S,
}

#[derive(Serialize)]
struct Metadata {
    name: String,
    namespace: String,
}

/// `WasmPlugin.spec`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WasmPlugin<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<Selector<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    target_refs: Vec<TargetRef<'a>>,
    phase: &'static str,
    priority: i32,
    fail_strategy: &'static str,
    url: &'a str,
    plugin_config: &'a Config,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Selector<'a> {
    match_labels: Members<&'a str>,
}

#[derive(Serialize)]
struct TargetRef<'a> {
    group: &'static str,
    kind: &'static str,
    name: &'a str,
}

/// Before other plugins of the phase, which are last unless they say otherwise.
const PRIORITY: i32 = 1_000;

/// For the gateway alone: who calls the same server from within the mesh has TLS of its own.
const EXPORT_TO: [&str; 1] = ["."];

/// `ServiceEntry.spec`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceEntry<'a> {
    export_to: [&'static str; 1],
    hosts: [&'a str; 1],
    ports: Vec<Port>,
    resolution: &'static str,
    location: &'static str,
}

#[derive(Serialize)]
struct Port {
    number: u16,
    name: String,
    protocol: &'static str,
}

/// `DestinationRule.spec`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DestinationRule<'a> {
    export_to: [&'static str; 1],
    host: &'a str,
    traffic_policy: TrafficPolicy<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TrafficPolicy<'a> {
    port_level_settings: Vec<PortLevel<'a>>,
}

#[derive(Serialize)]
struct PortLevel<'a> {
    port: PortNumber,
    tls: Tls<'a>,
}

#[derive(Serialize)]
struct PortNumber {
    number: u16,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tls<'a> {
    mode: &'static str,
    sni: &'a str,
    subject_alt_names: [&'a str; 1],
}

/// A document, before it is known as what it is written.
enum Document<'a> {
    Config(&'a Config),
    WasmPlugin(Object<WasmPlugin<'a>>),
    ServiceEntry(Object<ServiceEntry<'a>>),
    DestinationRule(Object<DestinationRule<'a>>),
}

/// How the result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// The WasmPlugin and the resources that its calls need.
    #[default]
    Wasmplugin,
    /// The pluginConfig alone.
    Config,
}

/// The language that the result is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// YAML, a document each.
    #[default]
    Yaml,
    /// JSON; several resources are a List.
    Json,
}

/// The text of the result.
///
/// # Errors
/// It cannot be written as YAML.
pub fn write(draft: &Draft, context: &Context<'_>) -> Result<String, String> {
    let settings = context.settings;
    let documents = match settings.output {
        Output::Config => vec![Document::Config(&draft.config)],
        Output::Wasmplugin => {
            let mut documents = vec![wasm_plugin(&draft.config, context)];
            documents.extend(reachable(&draft.endpoints, context));
            documents
        }
    };
    match settings.format {
        Format::Yaml => {
            // A long URL stays in one line.
            let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
            let written = documents.iter();
            let written =
                written.map(|it| serde_saphyr::to_string_with_options(it, options.clone()));
            let written: Result<Vec<String>, _> = written.collect();
            let written = written.map_err(|error| error.to_string())?;
            Ok(remarks(draft) + &written.join("---\n"))
        }
        Format::Json => {
            let text = match documents.as_slice() {
                [one] => serde_json::to_string_pretty(one),
                several => serde_json::to_string_pretty(&serde_json::json!({
                    "apiVersion": "v1", "kind": "List", "items": several,
                })),
            };
            text.map(|text| text + "\n")
                .map_err(|error| error.to_string())
        }
    }
}

/// What becomes of hosts that no rule is for, as comments.
fn remarks(draft: &Draft) -> String {
    let mut remarks = String::new();
    if draft.config.default_action == Some("DENY") && !draft.wildcards.is_empty() {
        remarks.push_str("# `defaultAction: DENY` answers 404 for every host that nothing names, of those that come by\n");
        for (host, gateway) in &draft.wildcards {
            remarks.push_str(&format!("#   {host} ({gateway})\n"));
        }
    }
    if !draft.open_hosts.is_empty() {
        remarks.push_str("# Open to all, since no policy is for them, as they were:\n");
        for host in &draft.open_hosts {
            remarks.push_str(&format!("#   {host}\n"));
        }
    }
    remarks
}

fn wasm_plugin<'a>(config: &'a Config, context: &Context<'a>) -> Document<'a> {
    let settings = context.settings;
    let labels = settings.selector.iter();
    let labels = labels.map(|(name, value)| (name.clone(), value.as_str()));
    let selector = Selector {
        match_labels: Members(labels.collect()),
    };
    let gateway = settings.gateway_name.as_deref();
    Document::WasmPlugin(Object {
        api_version: "extensions.istio.io/v1alpha1",
        kind: "WasmPlugin",
        metadata: Metadata {
            name: settings.name.clone(),
            namespace: settings.namespace.clone(),
        },
        spec: WasmPlugin {
            selector: gateway.is_none().then_some(selector),
            target_refs: gateway
                .into_iter()
                .map(|name| TargetRef {
                    group: "gateway.networking.k8s.io",
                    kind: "Gateway",
                    name,
                })
                .collect(),
            phase: "AUTHN",
            priority: PRIORITY,
            fail_strategy: "FAIL_CLOSE",
            url: &settings.url,
            plugin_config: config,
        },
    })
}

/// The ServiceEntry and the DestinationRule of every server outside the mesh, unless the input has
/// them.
fn reachable<'a>(endpoints: &'a [Endpoint], context: &Context<'_>) -> Vec<Document<'a>> {
    let mut endpoints: Vec<_> = endpoints.iter().collect();
    endpoints.sort();
    let mut documents = Vec::new();
    for of_host in endpoints.chunk_by(|one, other| one.host == other.host) {
        let Some(first) = of_host.first() else {
            continue;
        };
        let host = first.host.as_str();
        if context.is_in_mesh(host) || !first.has_name() {
            continue;
        }
        let metadata = || Metadata {
            name: resource_name(host),
            namespace: context.settings.namespace.clone(),
        };
        let ports = of_host.iter().filter(|it| !context.has_port(host, it.port));
        let ports: Vec<_> = ports
            .map(|it| {
                let protocol = if it.tls { "HTTPS" } else { "HTTP" };
                Port {
                    number: it.port,
                    name: format!("{}-{}", protocol.to_lowercase(), it.port),
                    protocol,
                }
            })
            .collect();
        if !ports.is_empty() {
            documents.push(Document::ServiceEntry(Object {
                api_version: "networking.istio.io/v1",
                kind: "ServiceEntry",
                metadata: metadata(),
                spec: ServiceEntry {
                    export_to: EXPORT_TO,
                    hosts: [host],
                    ports,
                    resolution: "DNS",
                    location: "MESH_EXTERNAL",
                },
            }));
        }
        let tls: Vec<_> = of_host.iter().filter(|it| it.tls).collect();
        if tls.is_empty() || context.has_destination_rule(host) {
            continue;
        }
        let settings = tls.iter().map(|it| PortLevel {
            port: PortNumber { number: it.port },
            tls: Tls {
                mode: "SIMPLE",
                sni: host,
                subject_alt_names: [host],
            },
        });
        documents.push(Document::DestinationRule(Object {
            api_version: "networking.istio.io/v1",
            kind: "DestinationRule",
            metadata: metadata(),
            spec: DestinationRule {
                export_to: EXPORT_TO,
                host,
                traffic_policy: TrafficPolicy {
                    port_level_settings: settings.collect(),
                },
            },
        }));
    }
    documents
}

/// A name of a resource for a host.
fn resource_name(host: &str) -> String {
    format!(
        "portcullis-{}",
        host.replace(['.', ':', '[', ']', '*'], "-")
    )
}

// === impl Document ===

impl Serialize for Document<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Config(it) => it.serialize(serializer),
            Self::WasmPlugin(it) => it.serialize(serializer),
            Self::ServiceEntry(it) => it.serialize(serializer),
            Self::DestinationRule(it) => it.serialize(serializer),
        }
    }
}
