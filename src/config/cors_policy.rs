//! `corsPolicy`: what scripts of other origins may do, as Kyma's APIRule and Istio write it.
//!
//! Reads and checks; [`crate::policy::Cors`] answers by it.

use super::reader::At;
use super::values::{self, texts};
use crate::policy::OriginMatch;

/// The whole policy.
#[derive(Debug)]
pub struct CorsPolicy {
    /// `allowOrigins`
    pub origins: Vec<OriginMatch>,
    /// `allowMethods`
    pub methods: Vec<String>,
    /// `allowHeaders`
    pub headers: Vec<String>,
    /// `exposeHeaders`
    pub expose_headers: Vec<String>,
    /// `allowCredentials`
    pub credentials: bool,
    /// `maxAge`, in seconds.
    pub max_age: Option<u64>,
}

pub(super) fn read(at: At<'_>) -> Option<CorsPolicy> {
    let mut fields = at.object()?;
    let origins = fields.required("allowOrigins");
    let origins = origins.map(|at| at.non_empty_list(origin));
    let methods = texts(&mut fields, "allowMethods");
    let headers = texts(&mut fields, "allowHeaders");
    let expose_headers = texts(&mut fields, "exposeHeaders");
    let credentials = fields.optional("allowCredentials");
    let credentials = credentials.and_then(|at| at.boolean());
    let max_age = fields.optional("maxAge").and_then(seconds);
    fields.finish();
    for text in methods.iter().chain(&headers).chain(&expose_headers) {
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',')
        {
            let text = text.escape_default();
            at.fault(format!("`{text}` is no name of a method or header"));
        }
    }
    Some(CorsPolicy {
        origins: origins?,
        methods,
        headers,
        expose_headers,
        credentials: credentials.unwrap_or(false),
        max_age,
    })
}

/// Kyma writes whole seconds, Istio a duration.
fn seconds(at: At<'_>) -> Option<u64> {
    match at.value().as_u64() {
        Some(seconds) => Some(seconds),
        None => at.duration().map(|it| it.as_secs()),
    }
}

fn origin(at: At<'_>) -> Option<OriginMatch> {
    let mut fields = at.object()?;
    let exact = fields.optional("exact").and_then(values::text);
    let prefix = fields.optional("prefix").and_then(values::text);
    let regex = fields.optional("regex");
    fields.finish();
    match (exact, prefix, regex) {
        (Some(exact), None, None) => Some(OriginMatch::Exact(exact)),
        (None, Some(prefix), None) => Some(OriginMatch::Prefix(prefix)),
        (None, None, Some(regex)) => regex.parsed(OriginMatch::regex),
        _ => {
            at.fault("give one of `exact`, `prefix` and `regex`");
            None
        }
    }
}
