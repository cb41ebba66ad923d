//! A small mesh: the resources of Istio and Kubernetes that decide about a request, and their YAML.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Labels, or a selector.
pub type Labels = BTreeMap<&'static str, &'static str>;

/// Fields of a `source` or an `operation`, with their values.
pub type Fields = BTreeMap<&'static str, Vec<String>>;

/// Everything that was applied.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub gateway_namespace: &'static str,
    pub gateways: Vec<Gateway>,
    pub virtual_services: Vec<VirtualService>,
    pub services: Vec<Service>,
    pub deployments: Vec<Deployment>,
    pub authentications: Vec<RequestAuthentication>,
    pub policies: Vec<AuthorizationPolicy>,
    /// Names of `extensionProviders`.
    pub providers: Vec<&'static str>,
}

/// What `metadata` says.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    pub namespace: &'static str,
    pub name: String,
    /// `creationTimestamp`, in seconds of a minute.
    pub created: Option<u32>,
}

#[derive(Clone, Debug, Default)]
pub struct Gateway {
    pub meta: Meta,
    /// Whether its selector selects the gateway that is asked.
    pub ours: bool,
    pub servers: Vec<Server>,
}

#[derive(Clone, Debug, Default)]
pub struct Server {
    /// 80, which is plain HTTP, or 443.
    pub port: u16,
    pub hosts: Vec<String>,
    pub redirects: bool,
}

#[derive(Clone, Debug, Default)]
pub struct VirtualService {
    pub meta: Meta,
    pub hosts: Vec<String>,
    /// `namespace/name`
    pub gateways: Vec<String>,
    pub http: Vec<Http>,
    /// `exportTo: ["."]`
    pub private: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Http {
    pub matches: Vec<Match>,
    /// Full names of services.
    pub destinations: Vec<String>,
    /// A VirtualService, by namespace and name.
    pub delegate: Option<(&'static str, String)>,
    pub redirects: bool,
    pub rewrite: Option<Rewrite>,
    /// `headers.request`
    pub set: Vec<(&'static str, &'static str)>,
    pub remove: Vec<&'static str>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Match {
    pub uri: Option<Uri>,
    pub method: Option<&'static str>,
    pub header: Option<(&'static str, &'static str)>,
    pub port: Option<u16>,
    pub gateways: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Uri {
    Exact(String),
    Prefix(String),
}

#[derive(Clone, Debug, Default)]
pub struct Rewrite {
    pub uri: Option<String>,
    pub authority: Option<&'static str>,
}

#[derive(Clone, Debug, Default)]
pub struct Service {
    pub meta: Meta,
    pub selector: Labels,
}

#[derive(Clone, Debug, Default)]
pub struct Deployment {
    pub meta: Meta,
    pub labels: Labels,
}

#[derive(Clone, Debug, Default)]
pub struct RequestAuthentication {
    pub meta: Meta,
    pub selector: Labels,
    pub rules: Vec<JwtRule>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct JwtRule {
    pub issuer: &'static str,
    pub audience: Option<&'static str>,
    /// The place where its tokens are, if not by default.
    pub from_header: Option<&'static str>,
    pub forward: bool,
    /// A header, and the claim that it tells.
    pub output: Option<(&'static str, &'static str)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    #[default]
    Allow,
    Deny,
    Custom(&'static str),
}

#[derive(Clone, Debug, Default)]
pub struct AuthorizationPolicy {
    pub meta: Meta,
    pub selector: Labels,
    pub action: Action,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, Default)]
pub struct Rule {
    pub from: Vec<Fields>,
    pub to: Vec<Fields>,
    pub when: Vec<When>,
}

#[derive(Clone, Debug, Default)]
pub struct When {
    pub key: String,
    pub values: Vec<String>,
    pub not_values: Vec<String>,
}

/// Istio's root namespace.
pub const ROOT: &str = "istio-system";

/// The labels of the pods of the gateway.
pub const GATEWAY_LABELS: [(&str, &str); 2] =
    [("istio", "ingressgateway"), ("app", "istio-ingressgateway")];

// === impl World ===

impl World {
    /// The manifests, as one text.
    pub fn manifests(&self, jwks: &dyn Fn(&str) -> String) -> String {
        let gateways = self.gateways.iter().map(Gateway::to_json);
        let services = self.virtual_services.iter().map(VirtualService::to_json);
        let selected = self.services.iter().map(Service::to_json);
        let deployments = self.deployments.iter().map(Deployment::to_json);
        let authentications = self.authentications.iter().map(|it| it.to_json(jwks));
        let policies = self.policies.iter().map(AuthorizationPolicy::to_json);
        let mesh = (!self.providers.is_empty()).then(|| self.mesh());
        let all = mesh
            .into_iter()
            .chain(gateways)
            .chain(services)
            .chain(selected);
        let all = all
            .chain(deployments)
            .chain(authentications)
            .chain(policies);
        let texts = all.map(|it| serde_saphyr::to_string(&it).unwrap());
        texts.collect::<Vec<_>>().join("---\n")
    }

    /// The ConfigMap of the mesh.
    fn mesh(&self) -> Value {
        let providers = self.providers.iter().map(|name| {
            json!({"name": name, "envoyExtAuthzHttp": {
                "service": format!("{name}.auth.svc.cluster.local"), "port": 8080,
                "headersToUpstreamOnAllow": ["x-role"],
            }})
        });
        let mesh = json!({"extensionProviders": providers.collect::<Vec<_>>()});
        let mesh = serde_saphyr::to_string(&mesh).unwrap();
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": ROOT},
               "data": {"mesh": mesh}})
    }
}

impl Meta {
    fn object(&self, api_version: &str, kind: &str, spec: Value) -> Value {
        let mut metadata = json!({"name": self.name, "namespace": self.namespace});
        if let Some(created) = self.created {
            metadata["creationTimestamp"] = json!(format!("2026-01-01T00:00:{created:02}Z"));
        }
        json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
    }
}

/// A map without what is empty.
fn without_empty(mut map: Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    if let Some(members) = map.as_object_mut() {
        members.retain(|_, value| !is_empty(value));
    }
    map
}

const NETWORKING: &str = "networking.istio.io/v1";
const SECURITY: &str = "security.istio.io/v1";

impl Gateway {
    fn to_json(&self) -> Value {
        let servers = self.servers.iter().enumerate().map(|(index, server)| {
            let protocol = if server.port == 80 { "HTTP" } else { "HTTPS" };
            let tls = match (server.port, server.redirects) {
                (80, false) => Value::Null,
                (80, true) => json!({"httpsRedirect": true}),
                _ => json!({"mode": "SIMPLE", "credentialName": "cert"}),
            };
            let name = format!("{}-{index}", protocol.to_lowercase());
            without_empty(json!({
                "port": {"number": server.port, "name": name, "protocol": protocol},
                "hosts": server.hosts, "tls": tls,
            }))
        });
        let istio = if self.ours {
            "ingressgateway"
        } else {
            "egressgateway"
        };
        let spec = json!({"selector": {"istio": istio}, "servers": servers.collect::<Vec<_>>()});
        self.meta.object(NETWORKING, "Gateway", spec)
    }
}

impl VirtualService {
    fn to_json(&self) -> Value {
        let http: Vec<_> = self.http.iter().map(Http::to_json).collect();
        let export_to = if self.private {
            json!(["."])
        } else {
            Value::Null
        };
        let spec = json!({"hosts": self.hosts, "gateways": self.gateways, "http": http,
                          "exportTo": export_to});
        self.meta
            .object(NETWORKING, "VirtualService", without_empty(spec))
    }
}

impl Http {
    fn to_json(&self) -> Value {
        let matches: Vec<_> = self.matches.iter().map(Match::to_json).collect();
        let weight = 100 / self.destinations.len().max(1);
        let route = self.destinations.iter().map(|host| {
            let destination = json!({"host": host, "port": {"number": 8000}});
            json!({"destination": destination, "weight": weight})
        });
        let delegate = self.delegate.as_ref();
        let delegate = delegate.map_or(
            Value::Null,
            |(namespace, name)| json!({"namespace": namespace, "name": name}),
        );
        let redirect = if self.redirects {
            json!({"authority": "elsewhere.test"})
        } else {
            Value::Null
        };
        let rewrite = self.rewrite.as_ref().map_or(Value::Null, |it| {
            without_empty(json!({"uri": it.uri, "authority": it.authority}))
        });
        let set: Map<_, _> = self
            .set
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let request = without_empty(json!({"set": set, "remove": self.remove}));
        without_empty(json!({
            "match": matches, "route": route.collect::<Vec<_>>(), "delegate": delegate,
            "redirect": redirect, "rewrite": rewrite,
            "headers": without_empty(json!({"request": request})),
        }))
    }
}

impl Match {
    fn to_json(&self) -> Value {
        let uri = match &self.uri {
            None => Value::Null,
            Some(Uri::Exact(path)) => json!({"exact": path}),
            Some(Uri::Prefix(path)) => json!({"prefix": path}),
        };
        let method = self.method.map_or(Value::Null, |it| json!({"exact": it}));
        let headers = self
            .header
            .map_or(Value::Null, |(name, value)| json!({name: {"exact": value}}));
        without_empty(
            json!({"uri": uri, "method": method, "headers": headers, "port": self.port,
                             "gateways": self.gateways}),
        )
    }
}

impl Service {
    fn to_json(&self) -> Value {
        let spec = json!({"selector": self.selector, "ports": [{"name": "http", "port": 8000}]});
        self.meta.object("v1", "Service", spec)
    }
}

impl Deployment {
    fn to_json(&self) -> Value {
        let spec = json!({"selector": {"matchLabels": self.labels},
                          "template": {"metadata": {"labels": self.labels}}});
        self.meta.object("apps/v1", "Deployment", spec)
    }
}

fn selector(labels: &Labels) -> Value {
    if labels.is_empty() {
        Value::Null
    } else {
        json!({"matchLabels": labels})
    }
}

impl RequestAuthentication {
    fn to_json(&self, jwks: &dyn Fn(&str) -> String) -> Value {
        let rules = self.rules.iter().map(|rule| {
            let audiences: Vec<_> = rule.audience.into_iter().collect();
            let headers: Vec<_> = rule
                .from_header
                .iter()
                .map(|name| json!({"name": name}))
                .collect();
            let output = rule
                .output
                .iter()
                .map(|(header, claim)| json!({"header": header, "claim": claim}));
            let forward = if rule.forward {
                json!(true)
            } else {
                Value::Null
            };
            without_empty(json!({
                "issuer": rule.issuer, "jwks": jwks(rule.issuer), "audiences": audiences,
                "fromHeaders": headers, "forwardOriginalToken": forward,
                "outputClaimToHeaders": output.collect::<Vec<_>>(),
            }))
        });
        let spec =
            json!({"selector": selector(&self.selector), "jwtRules": rules.collect::<Vec<_>>()});
        self.meta
            .object(SECURITY, "RequestAuthentication", without_empty(spec))
    }
}

impl AuthorizationPolicy {
    fn to_json(&self) -> Value {
        let rules: Vec<_> = self.rules.iter().map(Rule::to_json).collect();
        let (action, provider) = match self.action {
            Action::Allow => (Value::Null, Value::Null),
            Action::Deny => (json!("DENY"), Value::Null),
            Action::Custom(name) => (json!("CUSTOM"), json!({"name": name})),
        };
        let spec = json!({"selector": selector(&self.selector), "action": action, "provider": provider,
                          "rules": rules});
        self.meta
            .object(SECURITY, "AuthorizationPolicy", without_empty(spec))
    }
}

impl Rule {
    fn to_json(&self) -> Value {
        let from: Vec<_> = self.from.iter().map(|it| json!({"source": it})).collect();
        let to: Vec<_> = self.to.iter().map(|it| json!({"operation": it})).collect();
        let when = self.when.iter().map(|it| {
            without_empty(json!({"key": it.key, "values": it.values, "notValues": it.not_values}))
        });
        without_empty(json!({"from": from, "to": to, "when": when.collect::<Vec<_>>()}))
    }
}
