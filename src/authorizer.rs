//! External authorizers: Envoy's ext_authz protocol over HTTP, for everything but the body.
//!
//! What is asked is built from the request as it arrived; what is answered is a stranger's, too:
//! only headers that may be set are passed on, and only as far as the configuration names them.

use crate::call::{HttpCall, HttpReply, MAX_REPLY, no_answer};
use crate::config::{ExtensionProvider, is_owned_by_http};
use crate::policy::StringMatch;
use crate::request::Request;
use crate::verdict::{Change, Reason, Refusal, Response};
use std::fmt;
use std::rc::Rc;

/// An authorizer.
pub struct Authorizer {
    source: ExtensionProvider,
}

/// What an authorizer says of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It may go on, so changed.
    Allowed(Vec<Change>),
    /// It is answered so.
    Denied(Response),
    /// The authorizer failed, so.
    Failed(Rc<str>),
}

/// What a refusal always brings along, where only some of its headers are passed on.
const ALWAYS_DOWNSTREAM: [&str; 2] = ["www-authenticate", "location"];

/// By which an authorizer names headers to take out of a request it allows.
const TO_REMOVE: &str = "x-envoy-auth-headers-to-remove";

// === impl Authorizer ===

impl Authorizer {
    /// From a checked configuration.
    #[must_use]
    pub fn new(source: ExtensionProvider) -> Self {
        Self { source }
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// The headers that only it may set, wherever it is asked.
    #[must_use]
    pub fn to_upstream(&self) -> &[StringMatch] {
        &self.source.to_upstream
    }

    /// The request that asks about a request.
    #[must_use]
    pub fn ask(&self, request: &Request<'_>) -> HttpCall {
        let source = &self.source;
        let path = match &source.check_path {
            Some(path) => path.clone().into_bytes(),
            None => [source.path_prefix.as_bytes(), &request.path].concat(),
        };
        let mut headers: Vec<(Box<str>, Vec<u8>)> = vec![
            (":method".into(), request.method.to_vec()),
            (":path".into(), path),
            (":authority".into(), request.authority.to_vec()),
            ("content-length".into(), b"0".to_vec()),
        ];
        for (name, value) in request.headers.iter() {
            let Ok(name) = std::str::from_utf8(name) else {
                continue;
            };
            let included = || matches_any(&source.include_headers, name);
            if name == "authorization" || (!is_owned_by_http(name) && included()) {
                headers.push((name.into(), value.to_vec()));
            }
        }
        for (name, format) in &source.additional_headers {
            headers.retain(|(known, _)| **known != **name);
            let value = format.value(request, None);
            headers.extend(value.map(|value| (name.as_str().into(), value)));
        }
        HttpCall {
            cluster: source.cluster.as_str().into(),
            headers,
            body: Vec::new(),
            timeout: source.timeout,
        }
    }

    /// Reads the reply.
    #[must_use]
    pub fn read(&self, reply: Option<HttpReply>) -> Ruling {
        let reply = match reply {
            Some(reply) if reply.status < 500 => reply,
            other => return Ruling::Failed(no_answer(other.as_ref())),
        };
        match self.source.allow_statuses.contains(&reply.status) {
            true => Ruling::Allowed(self.changes(&reply)),
            false => Ruling::Denied(self.response(reply)),
        }
    }

    /// What becomes of a request whose authorizer failed; nothing, if it goes on.
    #[must_use]
    pub fn failed(&self) -> Option<Refusal> {
        (!self.source.fail_open).then(|| Refusal {
            status: Some(self.source.status_on_error),
            ..Reason::AuthorizerFailed.into()
        })
    }

    fn changes(&self, reply: &HttpReply) -> Vec<Change> {
        let removed = reply
            .headers
            .all(TO_REMOVE)
            .flat_map(|it| it.split(|byte| *byte == b','));
        let removed = removed.map(|name| name.trim_ascii().to_ascii_lowercase());
        let removed = removed.filter(|name| may_be_set(name));
        let removed = removed.map(|name| Change::Remove(name.into()));
        let set = reply.headers.iter().filter(|(name, _)| {
            let text = std::str::from_utf8(name).unwrap_or_default();
            may_be_set(name) && matches_any(&self.source.to_upstream, text)
        });
        let set = set.map(|(name, value)| Change::Set(name.into(), value.to_vec()));
        removed.chain(set).collect()
    }

    fn response(&self, reply: HttpReply) -> Response {
        let passes = |name: &str| match &self.source.to_downstream {
            None => true,
            Some(names) => ALWAYS_DOWNSTREAM.contains(&name) || matches_any(names, name),
        };
        let headers = reply.headers.iter().filter_map(|(name, value)| {
            let name = std::str::from_utf8(name).ok()?;
            let passes = may_be_set(name.as_bytes()) && passes(name);
            passes.then(|| (name.to_owned(), value.to_vec()))
        });
        Response {
            // A status that is none, or that Envoy would not send, is a plain refusal.
            status: Some(reply.status)
                .filter(|it| (200..600).contains(it))
                .unwrap_or(403),
            headers: headers.collect(),
            // Half a page helps nobody.
            body: Some(reply.body)
                .filter(|it| it.len() <= MAX_REPLY)
                .unwrap_or_default(),
        }
    }
}

/// For the log: its name, and the cluster.
impl fmt::Display for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` (cluster {})",
            self.source.name, self.source.cluster
        )
    }
}

fn matches_any(names: &[StringMatch], name: &str) -> bool {
    names.iter().any(|it| it.matches(name.as_bytes()))
}

/// Whether a header may be set or removed by somebody else.
fn may_be_set(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(|name| !name.is_empty() && !is_owned_by_http(name))
}
