//! The HTTP face: discovery, key set, token and introspection endpoints, and the switches.
//!
//! The same routes answer for every issuer under `/issuers/NAME`, and for the first at the root.
//! It keeps no state of its own; `mod.rs` hands it the issuers and serves the router.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Form, FromRequest as _, Multipart, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::{Value, json};

use super::{
    client_auth::{Refusal, authenticate},
    codes::{authorize, redeem},
    faults::{Order, Switches, misbehave},
    options::TokenFormat,
    tokens::{Issuer, now, random},
};

/// Form fields in the order in which they came; OAuth2 forbids to repeat one.
pub(super) type Fields = Vec<(String, String)>;

const TOKEN_LIFETIME_SECONDS: i64 = 3600;

/// All routes of a server with these issuers.
pub(super) fn router(issuers: &[Arc<Issuer>], switches: Switches) -> Router {
    let mut oauth = Router::new();
    if let Some(first) = issuers.first() {
        oauth = oauth.merge(issuer_routes(first.clone()));
    }
    for issuer in issuers {
        oauth = oauth.nest(
            &format!("/issuers/{}", issuer.name),
            issuer_routes(issuer.clone()),
        );
    }
    let own = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route(
            "/faults",
            put(
                |State(s): State<Switches>, Json(order): Json<Order>| async move {
                    s.set(order);
                    StatusCode::NO_CONTENT
                },
            ),
        )
        .route(
            "/counts",
            get(|State(s): State<Switches>| async move { Json(s.counts()) }),
        )
        .with_state(switches.clone());
    oauth
        .layer(middleware::from_fn_with_state(switches, misbehave))
        .merge(own)
}

fn issuer_routes(issuer: Arc<Issuer>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route(
            "/jwks",
            get(|State(issuer): State<Arc<Issuer>>| async move { Json(issuer.jwks()) }),
        )
        .route("/oauth2/authorize", get(authorize))
        .route("/oauth2/token", post(token))
        .route("/oauth2/introspect", post(introspect))
        .route("/rotate-keys", post(rotate_keys))
        .with_state(issuer)
}

async fn discovery(State(issuer): State<Arc<Issuer>>) -> Json<Value> {
    let url = &issuer.url;
    Json(json!({
        "issuer": issuer.iss,
        "jwks_uri": issuer.jwks_uri(),
        "authorization_endpoint": format!("{url}/oauth2/authorize"),
        "token_endpoint": format!("{url}/oauth2/token"),
        "introspection_endpoint": format!("{url}/oauth2/introspect"),
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "response_types_supported": ["code", "token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }))
}

/// RFC 6749 4.1.3, a code; and 4.4, client credentials; besides the standard fields, `audience` and `token_format`.
async fn token(State(issuer): State<Arc<Issuer>>, request: Request) -> Result<Response, Refusal> {
    let (headers, fields) = read_form(request).await?;
    let client = authenticate(&issuer.clients, &headers, &fields)?;
    let id_token = match field(&fields, "grant_type")? {
        Some("client_credentials") => None,
        Some("authorization_code") => Some(redeem(&issuer, client, &fields)?),
        Some(_) => {
            return Err(Refusal::new(
                "unsupported_grant_type",
                "authorization_code and client_credentials are known",
            ));
        }
        None => return Err(Refusal::new("invalid_request", "grant_type is missing")),
    };
    let format = match field(&fields, "token_format")? {
        None => client.tokens,
        Some(text) => TokenFormat::parse(text)
            .ok_or_else(|| Refusal::new("invalid_request", "token_format is jwt or opaque"))?,
    };
    let scope = match field(&fields, "scope")? {
        None => client.scopes.join(" "),
        Some(asked) => asked.to_owned(),
    };
    if !scope
        .split_whitespace()
        .all(|one| client.scopes.iter().any(|allowed| allowed == one))
    {
        return Err(Refusal::new(
            "invalid_scope",
            "a scope is not registered for this client",
        ));
    }

    let claims = issuer.claims(json!({
        "sub": client.id,
        "client_id": client.id,
        "scope": scope,
        "aud": field(&fields, "audience")?,
        "exp": now() + TOKEN_LIFETIME_SECONDS,
        "jti": random(),
    }));
    let token = match format {
        TokenFormat::Jwt => issuer.sign(claims.clone(), json!({})),
        TokenFormat::Opaque => random(),
    };
    issuer.remember(&token, claims);
    let mut answer = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME_SECONDS,
        "scope": scope,
    });
    if let Some(id_token) = id_token {
        answer["id_token"] = id_token.into();
    }
    Ok((
        [
            (header::CACHE_CONTROL, "no-store"),
            (header::PRAGMA, "no-cache"),
        ],
        Json(answer),
    )
        .into_response())
}

/// RFC 7662; the caller is a registered client, or shows an active token of this issuer.
async fn introspect(
    State(issuer): State<Arc<Issuer>>,
    request: Request,
) -> Result<Json<Value>, Refusal> {
    let (headers, fields) = read_form(request).await?;
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let bearer = authorization.and_then(|text| text.strip_prefix("Bearer "));
    if bearer.and_then(|token| issuer.active(token)).is_none() {
        authenticate(&issuer.clients, &headers, &fields)?;
    }
    let Some(token) = field(&fields, "token")? else {
        return Err(Refusal::new("invalid_request", "token is missing"));
    };
    let Some(mut claims) = issuer.active(token) else {
        return Ok(Json(json!({"active": false})));
    };
    claims["active"] = true.into();
    claims["token_type"] = "Bearer".into();
    Ok(Json(claims))
}

/// `?keep_old=true` leaves the old keys in the key set.
async fn rotate_keys(State(issuer): State<Arc<Issuer>>, request: Request) -> StatusCode {
    let keep_old = request.uri().query() == Some("keep_old=true");
    // Making an RSA key is slow; other requests go on meanwhile.
    let rotated = tokio::task::spawn_blocking(move || issuer.rotate_keys(keep_old)).await;
    if rotated.is_ok() {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

/// The form of a request, be it urlencoded or multipart (`curl -F`).
async fn read_form(request: Request) -> Result<(HeaderMap, Fields), Refusal> {
    let unreadable = || Refusal::new("invalid_request", "the body is not a form");
    let headers = request.headers().clone();
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    if !kind.starts_with("multipart/form-data") {
        let Form(fields) = Form::from_request(request, &())
            .await
            .map_err(|_| unreadable())?;
        return Ok((headers, fields));
    }
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|_| unreadable())?;
    let mut fields = Fields::new();
    while let Some(part) = parts.next_field().await.map_err(|_| unreadable())? {
        let name = part.name().unwrap_or_default().to_owned();
        fields.push((name, part.text().await.map_err(|_| unreadable())?));
    }
    Ok((headers, fields))
}

/// The value of a field that may be there once; an empty one counts as absent (RFC 6749 3.1).
pub(super) fn field<'f>(fields: &'f Fields, name: &str) -> Result<Option<&'f str>, Refusal> {
    let mut found = fields
        .iter()
        .filter(|(key, value)| key == name && !value.is_empty());
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(Refusal::new("invalid_request", "a field is repeated")),
        (first, None) => Ok(first.map(|(_, value)| value.as_str())),
    }
}
