//! The least that an external authorizer can be, over HTTP, for Envoy's ext_authz filter.
//!
//! It lets in whoever shows a bearer token and judges nothing, so what is measured is how Envoy asks.
//! Its own time does not count: only that of Envoy's threads does. Started by `main.rs`.

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
};
use serde_json::json;

use crate::{
    authorization_server::{Serving, bind},
    harness::Filter,
};

/// The cluster that reaches it.
pub const AUTHORIZER: &str = "authorizer";

/// Starts it on a free port; it stops when this is dropped.
pub fn start() -> Serving {
    let router = Router::new().fallback(async |headers: HeaderMap| {
        let bearer = |value: &&[u8]| value.starts_with(b"Bearer ");
        let token = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        match token.filter(bearer) {
            Some(_) => StatusCode::OK,
            None => StatusCode::FORBIDDEN,
        }
    });
    Serving::start(bind(0), router)
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
