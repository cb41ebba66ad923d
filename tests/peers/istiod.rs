//! Istio's control plane, the real one, over the Kubernetes API of a test; and gateways that obey it.
//!
//! It is `pilot-discovery` as Istio ships it. Envoy is not Istio's build, so what only that build has
//! is switched off: [`WITHOUT_ISTIOS_ENVOY`]. Nothing here knows what is played.

use std::{fs, process::Command, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{
        Client, ControlPlane, Envoy, Version, process::Process, requirements::PILOT_DISCOVERY, wait,
    },
    kubernetes::Kubernetes,
};

/// A running istiod with its cluster; dropping it ends both.
pub struct Istiod {
    port: u16,
    /// Where it tells what it gives to whom.
    debug: Client,
    _process: Process,
    pub kubernetes: Kubernetes,
    /// What it is started with, and its log; removed after the process has ended.
    _folder: TempDir,
}

/// Filters of Istio's own Envoy: upstream Envoy would reject every listener and cluster with them.
/// They carry telemetry between workloads, and choose protocols of mutual TLS within the mesh.
const WITHOUT_ISTIOS_ENVOY: [(&str, &str); 2] = [
    ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
    ("PILOT_ENABLE_ALPN_FILTER", "false"),
];

/// What a test has no use for: certificates of workloads, sidecars put into pods.
const WITHOUT_WORKLOADS: [(&str, &str); 2] =
    [("ENABLE_CA_SERVER", "false"), ("INJECT_ENABLED", "false")];

const PATIENCE: Duration = Duration::from_secs(30);

/// Mutual TLS within the mesh needs certificates that Istio's agent would bring; without them a
/// cluster would wait for ever.
fn mesh_config() -> Value {
    json!({"enableAutoMtls": false})
}

// === impl Istiod ===

impl Istiod {
    /// Starts it; gateways can connect when this returns.
    pub fn start() -> Self {
        let program = PILOT_DISCOVERY.path();
        let kubernetes = Kubernetes::start();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, text: &Value| {
            let path = folder.path().join(name);
            fs::write(&path, text.to_string()).expect("a file in a temporary folder");
            path
        };
        let mut command = Command::new(&program);
        command.arg("discovery");
        command
            .arg("--kubeconfig")
            .arg(write("kubeconfig", &kubernetes.kubeconfig()));
        command
            .arg("--meshConfig")
            .arg(write("mesh", &mesh_config()));
        command.args(["--grpcAddr=127.0.0.1:0", "--httpAddr=127.0.0.1:0"]);
        command.args(["--secureGRPCAddr=", "--httpsAddr=", "--monitoringAddr="]);
        command.args(["--ctrlz_port=0"]);
        command.envs(WITHOUT_ISTIOS_ENVOY).envs(WITHOUT_WORKLOADS);
        let mut process = Process::start(&mut command, &folder.path().join("istiod.log"))
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let ports = wait::until(PATIENCE, || {
            let ended = process.ended().is_some();
            assert!(!ended, "istiod ended:\n{}", process.log_tail(20));
            let log = process.log();
            let port = |what: &str| {
                let (_, rest) =
                    log.split_once(&format!("starting {what} service at 127.0.0.1:"))?;
                rest.split_once('\n')?.0.trim().parse().ok()
            };
            Some((port("gRPC discovery")?, port("HTTP")?))
        });
        let Some((port, debug)) = ports else {
            panic!("istiod did not say its ports:\n{}", process.log_tail(20));
        };
        Istiod {
            port,
            debug: Client::new(debug),
            _process: process,
            kubernetes,
            _folder: folder,
        }
    }

    /// A gateway that istiod gives whatever it has for a workload of this namespace with such labels;
    /// ready when this returns.
    pub fn gateway(&self, version: Version, namespace: &str, labels: &Value) -> Envoy {
        let node = json!({
            "id": format!("router~127.0.0.1~gateway.{namespace}~{namespace}.svc.cluster.local"),
            "cluster": "gateway",
            "metadata": {"NAMESPACE": namespace, "LABELS": labels, "ISTIO_VERSION": "1.31.0"},
        });
        let port = self.port;
        let builder = Envoy::builder(version).control_plane(ControlPlane { port, node });
        builder.start()
    }

    /// Everything that it gives to the gateway of a namespace, in the form of Envoy's own dump.
    pub fn config_dump(&self, namespace: &str) -> Value {
        let target = format!("/debug/config_dump?proxyID=gateway.{namespace}");
        let answer = self.debug.get(target).send();
        answer.expect("an answer of istiod").json()
    }
}
