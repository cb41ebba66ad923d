//! Who asks: OAuth2 client authentication, and the shape of every refusal.
//!
//! Compares secrets as plain text; it guards test data alone. Called by `endpoints.rs`.

use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{
    endpoints::{Fields, field},
    options::Client,
};

/// An error answer of RFC 6749 5.2.
#[derive(Debug)]
pub(super) struct Refusal {
    error: &'static str,
    description: &'static str,
}

/// The registered client whose id and secret the request shows, by Basic or in the body.
pub(super) fn authenticate<'c>(
    clients: &'c [Client],
    headers: &HeaderMap,
    fields: &Fields,
) -> Result<&'c Client, Refusal> {
    let unknown = || Refusal::new("invalid_client", "client authentication failed");
    let (id, secret) = match (basic(headers)?, field(fields, "client_secret")?) {
        (Some(_), Some(_)) => {
            return Err(Refusal::new(
                "invalid_request",
                "two ways of client authentication at once",
            ));
        }
        (Some(credentials), None) => credentials,
        (None, secret) => {
            let id = field(fields, "client_id")?.ok_or_else(unknown)?;
            (id.to_owned(), secret.ok_or_else(unknown)?.to_owned())
        }
    };
    clients
        .iter()
        .find(|client| client.id == id && client.secret == secret)
        .ok_or_else(unknown)
}

/// Id and secret of an `Authorization: Basic` header, each form-urlencoded (RFC 6749 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let read = || {
        let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
        let pair = STANDARD
            .decode(scheme.eq_ignore_ascii_case("basic").then_some(encoded)?)
            .ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (id, secret) = pair.split_once(':')?;
        Some((form_decoded(id)?, form_decoded(secret)?))
    };
    read().map(Some).ok_or(Refusal::new(
        "invalid_client",
        "the Authorization header cannot be read",
    ))
}

fn form_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn new(error: &'static str, description: &'static str) -> Self {
        Refusal { error, description }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({"error": self.error, "error_description": self.description}));
        let no_store = [(header::CACHE_CONTROL, "no-store")];
        if self.error != "invalid_client" {
            return (StatusCode::BAD_REQUEST, no_store, body).into_response();
        }
        let challenge = [(
            header::WWW_AUTHENTICATE,
            "Basic realm=\"authorization server\"",
        )];
        (StatusCode::UNAUTHORIZED, no_store, challenge, body).into_response()
    }
}
