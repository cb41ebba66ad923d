//! The least that an external authorizer can be, over HTTP, for Envoy's ext_authz filter.
//!
//! It lets in whoever shows a bearer token and judges nothing, so what is measured is how Envoy asks.
//! It is an Envoy itself, since hardly anything answers faster, and has a process of its own, so that
//! its CPU time can be told from that of the Envoy that asks. Started by `main.rs`.

use serde_json::json;

use crate::{
    harness::{Envoy, Filter, Listener, Version},
    usage,
};

/// The cluster that reaches it; also the name of its listener.
pub const AUTHORIZER: &str = "authorizer";

/// Starts it on a free port, on the core of the load; it ends when this is dropped.
pub fn start(version: Version) -> Envoy {
    let bearer = json!({"name": "authorization", "string_match": {"prefix": "Bearer "}});
    let listener = Listener::new(AUTHORIZER)
        .route(json!({
            "match": {"prefix": "/", "headers": [bearer]},
            "direct_response": {"status": 200},
        }))
        .direct_response(403, "");
    let envoy = Envoy::builder(version).listener(listener).start();
    usage::pin(&envoy, usage::LOADS_CORE);
    envoy
}

/// The filter that asks it about every request.
pub fn ext_authz() -> Filter {
    Filter::Json(json!({
        "name": "envoy.filters.http.ext_authz",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
            "http_service": {
                "server_uri": {"uri": "http://127.0.0.1", "cluster": AUTHORIZER, "timeout": "10s"},
            },
            "allowed_headers": {"patterns": [{"exact": "authorization"}]},
        },
    }))
}
