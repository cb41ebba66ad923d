//! The login of a browser (RFC 6749 4.1): the user is `demo-user`, and never asked.
//!
//! A code is good once, for the client and the address that it was made for. Called by `endpoints.rs`.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::{
    client_auth::Refusal,
    endpoints::{Fields, field},
    options::Client,
    tokens::{Issuer, now, random},
};

/// What a code was made for.
pub(super) struct Login {
    client_id: String,
    redirect_uri: String,
    nonce: Option<String>,
}

/// Sends the browser back with a code.
pub(super) async fn authorize(
    State(issuer): State<Arc<Issuer>>,
    Query(query): Query<Fields>,
) -> Result<Response, Refusal> {
    let missing = |name| move || Refusal::new("invalid_request", name);
    let redirect_uri = field(&query, "redirect_uri")?;
    let redirect_uri = redirect_uri.ok_or_else(missing("redirect_uri is missing"))?;
    let client_id = field(&query, "client_id")?;
    let client_id = client_id.ok_or_else(missing("client_id is missing"))?;
    if field(&query, "response_type")? != Some("code") {
        return Err(Refusal::new("invalid_request", "response_type is code"));
    }
    let code = random();
    let login = Login {
        client_id: client_id.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        nonce: field(&query, "nonce")?.map(str::to_owned),
    };
    issuer.logins().insert(code.clone(), login);
    let state = field(&query, "state")?.unwrap_or_default();
    let state = utf8_percent_encode(state, NON_ALPHANUMERIC);
    let location = format!("{redirect_uri}?code={code}&state={state}");
    Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

/// The identity of the user, signed, in exchange for a code.
pub(super) fn redeem(issuer: &Issuer, client: &Client, fields: &Fields) -> Result<String, Refusal> {
    let code = field(fields, "code")?.unwrap_or_default();
    let redirect_uri = field(fields, "redirect_uri")?.unwrap_or_default();
    let login = issuer.logins().remove(code);
    let login = login.filter(|it| it.client_id == client.id && it.redirect_uri == redirect_uri);
    let login = login.ok_or_else(|| Refusal::new("invalid_grant", "no such code"))?;
    Ok(issuer.token(json!({
        "aud": client.id,
        "email": "demo-user@example.com",
        "email_verified": true,
        "exp": now() + 3600,
        "nonce": login.nonce,
    })))
}
