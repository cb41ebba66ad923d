//! One port of an Envoy: its HTTP filters, routes and connection manager, as JSON.
//!
//! It holds defaults that suit a test and lets every one be replaced. Callers give it to a
//! `Builder`; `bootstrap.rs` puts it into the whole.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{bootstrap::address, plugin::Plugin};

/// One port of an Envoy, with its filters and routes.
#[derive(Clone, Debug)]
pub struct Listener {
    pub(super) name: String,
    port: u16,
    pub(super) filters: Vec<Filter>,
    routes: Vec<Value>,
    connection_manager: Value,
    transport_socket: Option<Value>,
}

/// One HTTP filter of a listener; the router need not be named.
#[derive(Clone, Debug)]
pub enum Filter {
    /// As it stands in the listener: `name` and `typed_config`.
    Json(Value),
    /// A plugin whose configuration lies in a watched file.
    Discovered(Plugin),
}

// === impl Listener ===

impl Listener {
    /// A listener on a free port, which sends to the cluster `httpbin`, if there is one,
    /// whatever no route took.
    pub fn new(name: &str) -> Self {
        Listener {
            name: name.to_owned(),
            port: 0,
            filters: Vec::new(),
            routes: Vec::new(),
            connection_manager: json!({}),
            transport_socket: None,
        }
    }

    /// A port of the caller's choice; 0 takes a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Appends a filter before the router.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Appends a route of Envoy's form, `match` and action; the first that matches is taken.
    pub fn route(mut self, route: Value) -> Self {
        self.routes.push(route);
        self
    }

    /// Answers everything that no earlier route took, without an upstream.
    pub fn direct_response(self, status: u16, body: &str) -> Self {
        self.route(json!({
            "match": {"prefix": "/"},
            "direct_response": {"status": status, "body": {"inline_string": body}},
        }))
    }

    /// Lays fields over those of the connection manager, such as
    /// `{"max_request_headers_kb": 8192, "normalize_path": true}`.
    pub fn connection_manager(mut self, over: Value) -> Self {
        lay_over(&mut self.connection_manager, over);
        self
    }

    /// Room for 8 MiB of request headers on 10,000 lines.
    pub fn huge_headers(self) -> Self {
        self.connection_manager(json!({
            "max_request_headers_kb": 8192,
            "common_http_protocol_options": {"max_headers_count": 10_000},
        }))
    }

    /// Writes a line of this format for every request to Envoy's log.
    pub fn access_log(self, format: &str) -> Self {
        self.connection_manager(json!({"access_log": [{
            "name": "envoy.access_loggers.stdout",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
                "log_format": {"text_format_source": {"inline_string": format!("{format}\n")}},
            },
        }]}))
    }

    /// A transport socket of Envoy's form, such as TLS.
    pub fn transport_socket(mut self, socket: Value) -> Self {
        self.transport_socket = Some(socket);
        self
    }

    /// `otherwise` is the route for what no other one takes.
    pub(super) fn json(&self, otherwise: Option<&Value>, folder: &Path) -> Value {
        let filters = self.filters.iter().map(|filter| match filter {
            Filter::Json(value) => value.clone(),
            Filter::Discovered(plugin) => plugin.discovery(folder),
        });
        let router = json!({
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        });
        let mut manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": self.name,
            "route_config": {"virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": self.routes.iter().cloned().chain(otherwise.cloned()).collect::<Vec<_>>(),
            }]},
            "http_filters": filters.chain([router]).collect::<Vec<_>>(),
        });
        lay_over(&mut manager, self.connection_manager.clone());
        let mut chain = json!({"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]});
        if let Some(socket) = &self.transport_socket {
            chain["transport_socket"] = socket.clone();
        }
        // Tells the filters which server name the client asks for.
        let inspector = self.transport_socket.as_ref().map(|_| json!({
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
        }));
        json!({
            "name": self.name,
            "address": address(self.port),
            "listener_filters": inspector.into_iter().collect::<Vec<_>>(),
            "filter_chains": [chain],
        })
    }
}

/// Objects are merged member by member; anything else is replaced.
fn lay_over(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            let under: &mut Map<_, _> = under;
            for (name, value) in over {
                lay_over(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}
