//! The little of Kubernetes' API that Istio's control plane reads: objects are applied, listed and
//! watched.
//!
//! It checks and defaults nothing, keeps no users, and refuses whatever writes: istiod then goes on
//! without. Each kind of Istio's that it has counts as installed. Used by `istiod.rs`.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, Request, State},
    http::{HeaderMap, Method, StatusCode, header::ACCEPT},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch::Sender;

use crate::authorization_server::{Serving, bind};

/// A running API; dropping it stops it.
pub struct Kubernetes {
    history: Arc<History>,
    serving: Serving,
}

/// Everything that happened, in order: version N of the cluster is what the first N events made.
type History = Sender<Vec<Event>>;

#[derive(Clone)]
struct Event {
    /// `ADDED` or `MODIFIED`.
    what: &'static str,
    resource: Resource,
    object: Value,
}

/// A kind as it stands in a path: `networking.istio.io` and `gateways`; the core's group is empty.
#[derive(Clone, PartialEq, Eq)]
struct Resource {
    group: String,
    plural: String,
}

/// What a path asks for.
struct Asked {
    resource: Resource,
    version: String,
    namespace: Option<String>,
    name: Option<String>,
    /// Only names and labels, for informers that want no more.
    metadata_only: bool,
}

/// The kinds of Istio's that are installed.
const INSTALLED: [(&str, &[&str]); 4] = [
    (
        "networking.istio.io",
        &[
            "DestinationRule",
            "EnvoyFilter",
            "Gateway",
            "ProxyConfig",
            "ServiceEntry",
            "Sidecar",
            "VirtualService",
            "WorkloadEntry",
            "WorkloadGroup",
        ],
    ),
    (
        "security.istio.io",
        &[
            "AuthorizationPolicy",
            "PeerAuthentication",
            "RequestAuthentication",
        ],
    ),
    ("extensions.istio.io", &["TrafficExtension", "WasmPlugin"]),
    ("telemetry.istio.io", &["Telemetry"]),
];

// === impl Kubernetes ===

impl Kubernetes {
    /// Starts it; it answers when this returns.
    pub fn start() -> Self {
        let history = Arc::new(History::new(Vec::new()));
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&history));
        let kubernetes = Kubernetes {
            history,
            serving: Serving::start(bind(0), router),
        };
        for (group, kinds) in INSTALLED {
            for kind in kinds {
                let name = format!("{}.{group}", plural(kind));
                kubernetes.apply_object(json!({
                    "apiVersion": "apiextensions.k8s.io/v1",
                    "kind": "CustomResourceDefinition",
                    "metadata": {"name": name},
                }));
            }
        }
        kubernetes
    }

    /// As `kubectl apply` does with manifests in YAML.
    pub fn apply(&self, manifests: &str) {
        let documents: Result<Vec<Value>, _> = serde_saphyr::from_multiple(manifests);
        for object in documents.unwrap_or_else(|error| panic!("{error}\n{manifests}")) {
            self.apply_object(object);
        }
    }

    /// The same with one object.
    pub fn apply_object(&self, object: Value) {
        self.history.send_modify(|history| append(history, object));
    }

    /// How to reach it, for a program's `--kubeconfig`.
    pub fn kubeconfig(&self) -> Value {
        let server = format!("http://127.0.0.1:{}", self.serving.port());
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": server}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "users": [{"name": "test", "user": {}}],
        })
    }
}

fn append(history: &mut Vec<Event>, mut object: Value) {
    let text = |name: &str| object[name].as_str().expect("kind and version").to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let resource = Resource {
        group: version.split_once('/').map_or("", |it| it.0).to_owned(),
        plural: plural(&kind),
    };
    let before = current(history, &resource).remove(&key(&object));
    let revision = history.len() + 1;
    let metadata = &mut object["metadata"];
    metadata["uid"] = match &before {
        Some(before) => before["metadata"]["uid"].clone(),
        None => json!(format!("00000000-0000-0000-0000-{revision:012}")),
    };
    metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    metadata["generation"] = json!(revision);
    metadata["resourceVersion"] = json!(revision.to_string());
    history.push(Event {
        what: if before.is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        },
        resource,
        object,
    });
}

/// The objects of a kind that there are now.
fn current(history: &[Event], resource: &Resource) -> BTreeMap<String, Value> {
    let mut objects = BTreeMap::new();
    for event in history.iter().filter(|it| it.resource == *resource) {
        objects.insert(key(&event.object), event.object.clone());
    }
    objects
}

fn key(object: &Value) -> String {
    let part = |name: &str| {
        object["metadata"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    format!("{}/{}", part("namespace"), part("name"))
}

/// `Policy` is `policies`, `Ingress` is `ingresses`, `Gateway` is `gateways`.
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if kind.ends_with('s') => format!("{kind}es"),
        _ => format!("{kind}s"),
    }
}

async fn answer(
    State(history): State<Arc<History>>,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Response {
    let path = request.uri().path();
    if path == "/version" {
        let version = json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0"});
        return Json(version).into_response();
    }
    let Some(asked) = Asked::read(path, request.headers()) else {
        return refusal(StatusCode::NOT_FOUND, "NotFound");
    };
    if request.method() != Method::GET {
        return refusal(StatusCode::FORBIDDEN, "Forbidden");
    }
    let is = |name: &str| query.get(name).is_some_and(|it| it == "true" || it == "1");
    if is("watch") && is("sendInitialEvents") {
        // Who asks for a list by way of a watch then asks for the two one by one.
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, "Invalid");
    }
    if is("watch") {
        let from = query.get("resourceVersion").and_then(|it| it.parse().ok());
        return asked.watch(&history, from.unwrap_or(0));
    }
    let (objects, revision) = {
        let history = history.borrow();
        (current(&history, &asked.resource), history.len())
    };
    if let Some(name) = &asked.name {
        let key = format!("{}/{name}", asked.namespace.as_deref().unwrap_or_default());
        return match objects.get(&key) {
            Some(object) => Json(asked.shown(object)).into_response(),
            None => refusal(StatusCode::NOT_FOUND, "NotFound"),
        };
    }
    let objects = objects.values().filter(|it| asked.covers(it));
    let mut list = json!({
        "metadata": {"resourceVersion": revision.to_string()},
        "items": objects.map(|it| asked.shown(it)).collect::<Vec<_>>(),
    });
    if asked.metadata_only {
        list["apiVersion"] = json!("meta.k8s.io/v1");
        list["kind"] = json!("PartialObjectMetadataList");
    }
    Json(list).into_response()
}

fn refusal(status: StatusCode, reason: &str) -> Response {
    let body = json!({
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "reason": reason,
        "code": status.as_u16(),
    });
    (status, Json(body)).into_response()
}

// === impl Asked ===

impl Asked {
    /// `/apis/GROUP/VERSION[/namespaces/NAMESPACE]/PLURAL[/NAME]`; the core's are under `/api/VERSION`.
    fn read(path: &str, headers: &HeaderMap) -> Option<Self> {
        let mut words: Vec<&str> = path.split('/').skip(1).collect();
        let (group, version) = match words.as_slice() {
            ["api", version, ..] => ("", *version),
            ["apis", group, version, ..] => (*group, *version),
            _ => return None,
        };
        words.drain(..if group.is_empty() { 2 } else { 3 });
        let (namespace, plural, name) = match words.as_slice() {
            ["namespaces", namespace, plural, rest @ ..] => {
                (Some(*namespace), *plural, rest.first())
            }
            [plural, rest @ ..] => (None, *plural, rest.first()),
            [] => return None,
        };
        let accept = headers.get(ACCEPT).and_then(|it| it.to_str().ok());
        Some(Asked {
            resource: Resource {
                group: group.to_owned(),
                plural: plural.to_owned(),
            },
            version: version.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.map(|it| (*it).to_owned()),
            metadata_only: accept.is_some_and(|it| it.contains("as=PartialObjectMetadata")),
        })
    }

    fn covers(&self, object: &Value) -> bool {
        let namespace = object["metadata"]["namespace"].as_str();
        self.namespace.is_none() || self.namespace.as_deref() == namespace
    }

    /// An object in the version that was asked for: all versions of a kind here are alike.
    fn shown(&self, object: &Value) -> Value {
        if self.metadata_only {
            return json!({
                "apiVersion": "meta.k8s.io/v1",
                "kind": "PartialObjectMetadata",
                "metadata": object["metadata"],
            });
        }
        let mut object = object.clone();
        object["apiVersion"] = match self.resource.group.as_str() {
            "" => json!(self.version),
            group => json!(format!("{group}/{}", self.version)),
        };
        object
    }

    /// What happens after an event, a line each, without end.
    fn watch(self, history: &History, from: usize) -> Response {
        let changes = history.subscribe();
        let lines = stream::unfold(
            (self, changes, from),
            |(asked, mut changes, from)| async move {
                let news = changes
                    .wait_for(|history| history.len() > from)
                    .await
                    .ok()?;
                let to = news.len();
                let events = news[from..].iter();
                let events =
                    events.filter(|it| it.resource == asked.resource && asked.covers(&it.object));
                let lines: String = events
                    .map(|it| json!({"type": it.what, "object": asked.shown(&it.object)}))
                    .map(|it| format!("{it}\n"))
                    .collect();
                drop(news);
                Some((
                    Ok::<_, Infallible>(Bytes::from(lines)),
                    (asked, changes, to),
                ))
            },
        );
        let headers = [("content-type", "application/json")];
        (headers, Body::from_stream(lines)).into_response()
    }
}
