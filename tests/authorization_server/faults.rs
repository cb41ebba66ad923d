//! Run-time switches: how the server misbehaves, and how often it was asked.
//!
//! Faults stand in front of the OAuth2 endpoints and never touch `/healthz`, `/faults`, `/counts`.
//! Set by tests through Rust and by hand through `PUT /faults`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;

/// One way to misbehave. In JSON: `{"fault": "slow", "milliseconds": 500}`, `{"fault": "none"}`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(tag = "fault", rename_all = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// Answers as it should.
    #[default]
    None,
    /// Answers as it should, later.
    Slow { milliseconds: u64 },
    /// Answers this status with a short text.
    Status { status: u16 },
    /// Answers 200 with a page, where JSON is due.
    Html,
    /// Answers 200 with this document.
    Json { document: serde_json::Value },
    /// Answers 200 with so many bytes of JSON white space.
    Huge { bytes: usize },
    /// Answers 302 to another place.
    Redirect { location: String },
    /// Closes the connection in the middle of the body.
    Reset,
}

/// The faults that are on, and the number of requests so far, both by path.
#[derive(Clone, Default)]
pub struct Switches(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    everywhere: Fault,
    by_path: BTreeMap<String, Fault>,
    counts: BTreeMap<String, u64>,
}

/// The body of `PUT /faults`: without a path, the fault holds everywhere and replaces all others.
#[derive(Debug, Deserialize)]
pub struct Order {
    pub path: Option<String>,
    #[serde(flatten)]
    pub fault: Fault,
}

// === impl Switches ===

impl Switches {
    pub fn set(&self, order: Order) {
        self.with(|inner| match order.path {
            Some(path) => {
                inner.by_path.insert(path, order.fault);
            }
            None => {
                inner.by_path.clear();
                inner.everywhere = order.fault;
            }
        });
    }

    /// Requests so far by path, those answered with a fault included.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.with(|inner| inner.counts.clone())
    }

    /// Counts a request and tells how to misbehave to it.
    fn arrived(&self, path: &str) -> Fault {
        self.with(|inner| {
            *inner.counts.entry(path.to_owned()).or_default() += 1;
            inner.by_path.get(path).unwrap_or(&inner.everywhere).clone()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().expect("no panic while held"))
    }
}

/// The middleware before every OAuth2 endpoint, and before the authorizer next door.
pub async fn misbehave(State(switches): State<Switches>, request: Request, next: Next) -> Response {
    match switches.arrived(request.uri().path()) {
        Fault::None => next.run(request).await,
        Fault::Slow { milliseconds } => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            next.run(request).await
        }
        Fault::Status { status } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            match status {
                // Such an answer has no body (RFC 9110, 15.3.5).
                StatusCode::NO_CONTENT => status.into_response(),
                status => (status, "a fault was ordered\n").into_response(),
            }
        }
        Fault::Html => Html("<!doctype html><title>Sign in</title><p>Not JSON.").into_response(),
        Fault::Json { document } => axum::Json(document).into_response(),
        Fault::Huge { bytes } => (
            [(header::CONTENT_TYPE, "application/json")],
            vec![b' '; bytes],
        )
            .into_response(),
        Fault::Redirect { location } => {
            (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
        }
        Fault::Reset => {
            // A stream has no length of its own, so the promised one is sent, and then not kept.
            // Less than this would still be in a buffer when the connection closes.
            let half = Body::from_stream(Body::from(vec![b' '; 512 * 1024]).into_data_stream());
            let promise = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CONTENT_LENGTH, "1048576"),
            ];
            (promise, half).into_response()
        }
    }
}
