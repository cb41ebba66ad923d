//! What an Envoy is started with, put together step by step and written as JSON.
//!
//! It holds defaults that suit a test and lets every one be replaced; it starts nothing. Callers
//! build with [`super::Envoy::builder`]; `envoy.rs` writes the result and runs it.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use super::{
    envoy::{Envoy, StartFailure},
    listener::{Filter, Listener},
    plugin::Plugin,
    requirements::Version,
};

/// An Envoy to be.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) version: Version,
    pub(super) concurrency: u32,
    pub(super) component_log_level: String,
    listeners: Vec<Listener>,
    clusters: BTreeMap<String, u16>,
    runtime: Value,
    stats_config: Value,
    control_plane: Option<ControlPlane>,
}

/// Whoever gives an Envoy its listeners, routes, clusters and filters over xDS.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    /// Where it is on 127.0.0.1, without TLS.
    pub port: u16,
    /// What Envoy says to it of itself, in Envoy's form: `id`, `cluster`, `metadata`.
    pub node: Value,
}

const CONTROL_PLANE: &str = "control-plane";

// === impl Builder ===

impl Builder {
    pub(super) fn new(version: Version) -> Self {
        Builder {
            version,
            concurrency: 1,
            component_log_level: "wasm:info".to_owned(),
            listeners: Vec::new(),
            clusters: BTreeMap::new(),
            runtime: json!({}),
            stats_config: json!({}),
            control_plane: None,
        }
    }

    /// The number of worker threads; 1 otherwise.
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// Such as `wasm:debug,http:trace`; everything else logs at info.
    pub fn component_log_level(mut self, levels: &str) -> Self {
        self.component_log_level = levels.to_owned();
        self
    }

    pub fn listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// A cluster with one endpoint on 127.0.0.1.
    pub fn cluster(mut self, name: &str, port: u16) -> Self {
        self.clusters.insert(name.to_owned(), port);
        self
    }

    /// Switches of Envoy's runtime, such as `{"envoy.reloadable_features.…": false}`.
    pub fn runtime(mut self, switches: Value) -> Self {
        self.runtime = switches;
        self
    }

    /// Which statistics there are, and what is a tag in their names; Envoy's defaults otherwise.
    pub fn stats_config(mut self, config: Value) -> Self {
        self.stats_config = config;
        self
    }

    /// Gets whatever it serves from there; what this builder holds comes on top.
    pub fn control_plane(mut self, control_plane: ControlPlane) -> Self {
        self.control_plane = Some(control_plane);
        self
    }

    /// Starts it; panics with Envoy's log if it does not get ready.
    pub fn start(self) -> Envoy {
        self.try_start()
            .unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Starts it, for a configuration that may be faulty.
    pub fn try_start(self) -> Result<Envoy, StartFailure> {
        Envoy::start(self)
    }

    pub(super) fn listeners(&self) -> impl Iterator<Item = &str> {
        self.listeners.iter().map(|listener| listener.name.as_str())
    }

    /// The plugins whose configuration is to be written to the watched folder.
    pub(super) fn discovered(&self) -> impl Iterator<Item = &Plugin> {
        self.listeners
            .iter()
            .flat_map(|listener| &listener.filters)
            .filter_map(|filter| match filter {
                Filter::Json(_) => None,
                Filter::Discovered(plugin) => Some(plugin),
            })
    }

    pub(super) fn json(&self, folder: &Path) -> Value {
        let to_httpbin = json!({"match": {"prefix": "/"}, "route": {"cluster": "httpbin"}});
        let to_httpbin = self.clusters.contains_key("httpbin").then_some(to_httpbin);
        let listeners = self
            .listeners
            .iter()
            .map(|one| one.json(to_httpbin.as_ref(), folder));
        let mut json = json!({
            "node": {"id": "test", "cluster": "test"},
            "admin": {"address": address(0)},
            "stats_config": self.stats_config,
            "layered_runtime": {"layers": [{"name": "test", "static_layer": self.runtime}]},
            "static_resources": {
                "listeners": listeners.collect::<Vec<_>>(),
                "clusters": self.clusters.iter().map(cluster).collect::<Vec<_>>(),
            },
        });
        if let Some(control_plane) = &self.control_plane {
            control_plane.lay_over(&mut json);
        }
        json
    }
}

// === impl ControlPlane ===

impl ControlPlane {
    fn lay_over(&self, bootstrap: &mut Value) {
        const HTTP: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        let mut cluster = cluster((&CONTROL_PLANE.to_owned(), &self.port));
        cluster["typed_extension_protocol_options"] = json!({HTTP: {
            "@type": format!("type.googleapis.com/{HTTP}"),
            "explicit_http_config": {"http2_protocol_options": {}},
        }});
        let clusters = bootstrap["static_resources"]["clusters"].as_array_mut();
        clusters.expect("a list").push(cluster);
        let ads = json!({"ads": {}, "resource_api_version": "V3"});
        bootstrap["node"] = self.node.clone();
        bootstrap["dynamic_resources"] = json!({
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": CONTROL_PLANE}}],
            },
            "cds_config": ads,
            "lds_config": ads,
        });
    }
}

pub(super) fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn cluster((name, port): (&String, &u16)) -> Value {
    json!({
        "name": name,
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(*port)}}]}],
        },
    })
}
