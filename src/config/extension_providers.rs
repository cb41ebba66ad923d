//! `extensionProviders[]`: external authorizers, as Istio's MeshConfig defines them.
//!
//! Reads and checks; [`crate::authorizer`] asks them.

use super::reader::{At, Fields};
use super::values;
use crate::format::Format;
use crate::policy::StringMatch;
use std::ops::RangeInclusive;
use std::time::Duration;

/// One authorizer, asked over HTTP (Envoy's ext_authz with an `http_service`).
#[derive(Clone, Debug)]
pub struct ExtensionProvider {
    /// By which rules and policies name it.
    pub name: String,
    /// The Envoy cluster that reaches it.
    pub cluster: String,
    /// How long one call may take.
    pub timeout: Duration,
    /// Before the path of the request, query and all.
    pub path_prefix: String,
    /// In place of the path of the request.
    pub check_path: Option<String>,
    /// Whether a request goes on while the authorizer fails.
    pub fail_open: bool,
    /// The status of the answer while it fails.
    pub status_on_error: u16,
    /// Statuses by which it allows.
    pub allow_statuses: Vec<u16>,
    /// `includeRequestHeadersInCheck`
    pub include_headers: Vec<StringMatch>,
    /// `includeAdditionalHeadersInCheck`: lower case names.
    pub additional_headers: Vec<(String, Format)>,
    /// `headersToUpstreamOnAllow`
    pub to_upstream: Vec<StringMatch>,
    /// `headersToDownstreamOnDeny`; `None` is every one.
    pub to_downstream: Option<Vec<StringMatch>>,
}

/// Istio's default is ten minutes, for which no client waits.
const TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(60);

const STATUS_ON_ERROR: u16 = 403;

pub(super) fn read(at: Option<At<'_>>) -> Vec<ExtensionProvider> {
    values::named(at, provider, |provider| &provider.name)
}

fn provider(at: At<'_>) -> Option<ExtensionProvider> {
    let mut fields = at.object()?;
    let name = fields.required("name").and_then(|at| at.name());
    if let Some(grpc) = fields.optional("envoyExtAuthzGrpc") {
        grpc.fault("not supported; an authorizer is asked over HTTP: `envoyExtAuthzHttp`");
    }
    let http = fields.required("envoyExtAuthzHttp");
    let cluster = fields.optional("cluster").and_then(values::text);
    let allow_statuses = fields.optional("allowStatuses").map(|at| {
        let status = |at: At<'_>| at.number_in(&(200..=299));
        at.non_empty_list(|at| u16::try_from(status(at)?).ok())
    });
    let check_path = fields.optional("checkPath").and_then(path);
    fields.finish();
    let http = http?;
    let mut fields = http.object()?;
    let provider = http_service(&mut fields, name, cluster, allow_statuses, check_path);
    fields.finish();
    provider
}

fn http_service(
    fields: &mut Fields<'_>,
    name: Option<String>,
    cluster: Option<String>,
    allow_statuses: Option<Vec<u16>>,
    check_path: Option<String>,
) -> Option<ExtensionProvider> {
    let service = fields.required("service").and_then(|at| at.text());
    let port = fields
        .required("port")
        .and_then(|at| at.number_in(&(1..=65_535)));
    let timeout = fields.optional("timeout");
    let timeout = timeout.and_then(|at| at.duration_in(&TIMEOUTS));
    let path_prefix = fields.optional("pathPrefix").and_then(path);
    let fail_open = fields.optional("failOpen").and_then(|at| at.boolean());
    let status = fields.optional("statusOnError").and_then(status);
    let include = names(fields, "includeRequestHeadersInCheck");
    let deprecated = names(fields, "includeHeadersInCheck");
    let additional = fields.optional("includeAdditionalHeadersInCheck");
    let additional = additional.map(values::header_formats);
    if let Some(body) = fields.optional("includeRequestBodyInCheck") {
        body.fault(
            "not supported: a request is decided before its body arrives; leave it out, or judge \
             the body behind the gateway",
        );
    }
    let to_upstream = names(fields, "headersToUpstreamOnAllow");
    let to_downstream = names(fields, "headersToDownstreamOnDeny");
    if let Some(allowed) = fields.optional("headersToDownstreamOnAllow") {
        allowed.fault(
            "not supported: it would cost every response of the gateway a call into the module; \
             have the upstream set these headers from those of `headersToUpstreamOnAllow`",
        );
    }
    // `[namespace/]host`
    let host = service.map(|it| it.rsplit_once('/').map_or(it, |(_, host)| host));
    let derived = || Some(format!("outbound|{}||{}", port?, host?));
    Some(ExtensionProvider {
        name: name?,
        cluster: cluster.or_else(derived)?,
        timeout: timeout.unwrap_or(TIMEOUT),
        path_prefix: path_prefix.unwrap_or_default(),
        check_path,
        fail_open: fail_open.unwrap_or(false),
        status_on_error: status.unwrap_or(STATUS_ON_ERROR),
        allow_statuses: allow_statuses.unwrap_or_else(|| vec![200]),
        include_headers: include.or(deprecated).unwrap_or_default(),
        additional_headers: additional.unwrap_or_default(),
        to_upstream: to_upstream.unwrap_or_default(),
        to_downstream,
    })
}

fn path(at: At<'_>) -> Option<String> {
    at.parsed(|text| {
        let printable = text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        let valid = text.starts_with('/') && printable;
        let allowed = || "a path that begins with `/`".to_owned();
        valid.then(|| text.to_owned()).ok_or_else(allowed)
    })
}

/// Istio writes a status as a string.
fn status(at: At<'_>) -> Option<u16> {
    let number = at.value().as_str().and_then(|text| text.parse().ok());
    let number = number.or_else(|| at.value().as_u64());
    let number = number.and_then(|it| u16::try_from(it).ok());
    let status = number.filter(|it| (400..=599).contains(it));
    if status.is_none() {
        at.unexpected("a status from `400` to `599`");
    }
    status
}

/// Names of headers: exact, `x-*` or `*-x`, in any case.
fn names(fields: &mut Fields<'_>, field: &'static str) -> Option<Vec<StringMatch>> {
    let names = fields.optional(field)?.list(|at| {
        at.parsed(|text| {
            let name = text.strip_prefix('*').or_else(|| text.strip_suffix('*'));
            let name = name.unwrap_or(text);
            let valid = !name.is_empty() && !name.contains(['*', ':', ' ']) && name.is_ascii();
            let allowed = || "a header name, `prefix-*` or `*-suffix`".to_owned();
            valid
                .then(|| StringMatch::parse_ignoring_case(text))
                .ok_or_else(allowed)
        })
    });
    Some(names)
}
