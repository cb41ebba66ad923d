//! The tutorials' world in Istio's terms: what a cluster has besides Portcullis, and the real istiod
//! that makes it serve.
//!
//! The manifests are the ones of `wasmplugin/tutorials`; what they only name is added here: Gateways,
//! the pods behind the Services, `/healthz`. It judges nothing.

use std::{sync::Arc, time::Duration};

use portcullis::cli::compile::compile_text;
use serde_json::{Value, json};

use crate::{
    authorization_server::{AuthorizationServer, Options, bind},
    harness::{Client, Envoy, Httpbin, Tool, Version, httpbin, tls::Authority},
    istiod::Istiod,
    tutorials::{self, Tutorial},
};

/// A running mesh; dropping it ends all of it but the gateways.
pub struct Mesh {
    pub istiod: Istiod,
    pub server: AuthorizationServer,
    httpbin: Arc<Httpbin>,
    /// The first two, whose manifests it holds.
    pub tutorials: Vec<Tutorial>,
}

/// A gateway with its port for HTTP.
pub struct Gateway {
    pub envoy: Envoy,
    port: u16,
}

/// A namespace that is exposed at a gateway.
pub struct Exposed {
    pub namespace: &'static str,
    /// The Gateway resource that the VirtualService there names.
    pub gateway: &'static str,
    pub hosts: &'static [&'static str],
    pub manifests: &'static str,
}

/// What the first two tutorials expose.
pub const EXPOSED: [Exposed; 2] = [
    Exposed {
        namespace: "jwt",
        gateway: "httpbin-gateway",
        hosts: &["httpbin.example.com"],
        manifests: include_str!("../../wasmplugin/tutorials/1-jwt/original/httpbin.yaml"),
    },
    Exposed {
        namespace: "issuers",
        gateway: "gateway",
        hosts: &["example.com", "another-host.com"],
        manifests: include_str!(
            "../../wasmplugin/tutorials/2-issuers-hosts-paths/original/httpbin.yaml"
        ),
    },
];

const PATIENCE: Duration = Duration::from_secs(15);

// === impl Mesh ===

impl Mesh {
    /// Starts istiod, the authorization server and httpbin; nothing is exposed yet.
    pub fn start() -> Self {
        let server = AuthorizationServer::start(Options::tutorials());
        let all = tutorials::all(&server, &Authority::new());
        let mesh = Mesh {
            istiod: Istiod::start(),
            httpbin: httpbin::shared(),
            tutorials: all.into_iter().take(EXPOSED.len()).collect(),
            server,
        };
        for exposed in &EXPOSED {
            mesh.apply(&[mesh.pods(exposed.namespace)]);
        }
        mesh
    }

    /// The manifests of a tutorial, with this authorization server in place of the one that they
    /// name. Istio knows no host that is an address, so its keys are at `localhost`.
    pub fn manifests(&self, exposed: &Exposed) -> String {
        let keys = format!("jwksUri: http://localhost:{}", self.server.port());
        let manifests = exposed
            .manifests
            .replace("jwksUri: https://idp.example.com", &keys);
        manifests.replace("https://idp.example.com", &self.server.url())
    }

    /// What `portcullis compile` makes of manifests: the WasmPlugin, and what its calls need.
    pub fn compiled(&self, manifests: &str) -> String {
        let module = format!("--url=file://{}", Tool::Plugin.path().display());
        let compiled = compile_text("manifests.yaml", manifests, &[&module]);
        let compiled = compiled.expect("options of the command");
        let notes = compiled.notes;
        compiled.text.unwrap_or_else(|| panic!("{notes:#?}"))
    }

    pub fn apply(&self, objects: &[Value]) {
        for object in objects {
            self.istiod.kubernetes.apply_object(object.clone());
        }
    }

    /// Opens a port for what is exposed, at gateways with such labels.
    pub fn open(&self, exposed: &Exposed, gateway: &str, labels: &Value, port: u16) {
        let object = json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"name": gateway, "namespace": exposed.namespace},
            "spec": {
                "selector": labels,
                "servers": [{
                    "port": {"number": port, "name": "http", "protocol": "HTTP"},
                    "bind": "127.0.0.1",
                    "hosts": exposed.hosts,
                }],
            },
        });
        self.apply(&[object]);
    }

    /// Answers `/healthz`, which httpbin has not.
    pub fn answer_healthz(&self, exposed: &Exposed) {
        let object = json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            // Before the one that takes any path, which Istio sorts by name.
            "metadata": {"name": "healthz", "namespace": exposed.namespace},
            "spec": {
                "hosts": ["another-host.com"],
                "gateways": [exposed.gateway],
                "http": [{
                    "match": [{"uri": {"exact": "/healthz"}}],
                    "directResponse": {"status": 200, "body": {"string": "healthy\n"}},
                }],
            },
        });
        self.apply(&[object]);
    }

    /// A gateway that Portcullis guards: the ingress gateway as istioctl labels it, with what
    /// `portcullis compile` makes of all manifests.
    pub fn with_portcullis(&self) -> Gateway {
        let labels = json!({"istio": "ingressgateway"});
        let port = free_port();
        let manifests = EXPOSED.each_ref().map(|it| self.manifests(it));
        for (exposed, manifests) in EXPOSED.iter().zip(&manifests) {
            self.open(exposed, exposed.gateway, &labels, port);
            self.istiod.kubernetes.apply(manifests);
        }
        let compiled = self.compiled(&manifests.join("\n---\n"));
        self.istiod.kubernetes.apply(&compiled);
        self.gateway("istio-system", &labels, port)
    }

    /// A gateway that Istio guards: one with the labels that the policies of a namespace select.
    pub fn with_native_filters(&self, exposed: &Exposed) -> Gateway {
        let (gateway, port) = ("native", free_port());
        let labels = json!({"app": "httpbin", "exposes": exposed.namespace});
        self.open(exposed, gateway, &labels, port);
        let service = format!("httpbin.{}.svc.cluster.local", exposed.namespace);
        self.apply(&[json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "native", "namespace": exposed.namespace},
            "spec": {
                "hosts": exposed.hosts,
                "gateways": [gateway],
                "http": [{"route": [{"destination": {"host": service, "port": {"number": 8000}}}]}],
            },
        })]);
        self.gateway(exposed.namespace, &labels, port)
    }

    /// Starts a gateway whose port was opened.
    pub fn gateway(&self, namespace: &str, labels: &Value, port: u16) -> Gateway {
        let envoy = self.istiod.gateway(Version::V1_40, namespace, labels);
        // istiod gathers what is new for a moment, so that Envoy may be ready without a port.
        let listeners = "listener_manager.total_listeners_active";
        envoy.wait_for_stat(listeners, |it| it == 1, PATIENCE);
        Gateway { envoy, port }
    }

    /// httpbin, as the pod that a Service named `httpbin` selects.
    fn pods(&self, namespace: &str) -> Value {
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "httpbin",
                "namespace": namespace,
                "labels": {"kubernetes.io/service-name": "httpbin"},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": self.httpbin.port(), "protocol": "TCP"}],
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}],
        })
    }
}

// === impl Gateway ===

impl Gateway {
    pub fn client(&self) -> Client {
        Client::new(self.port)
    }
}

/// A port of 127.0.0.1 that nobody had just now: a Gateway has to name one.
pub fn free_port() -> u16 {
    let socket = bind(0).local_addr();
    socket.expect("a bound socket").port()
}
