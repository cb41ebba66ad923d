//! `mesh`: what the gateway's mesh is like, as far as a decision hangs on it (Istio's MeshConfig).

use super::reader::At;
use super::values::text;
use super::{hosts, paths};
use crate::policy::{AuthorityPattern, Within};
use crate::request::PathNormalization;
use std::rc::Rc;

/// `mesh`
#[derive(Debug)]
pub struct Mesh {
    /// Every name of the own trust domain, the first one its own.
    pub trust_domains: Vec<String>,
    /// What is done to a path before it is judged, and before it goes on.
    pub path_normalization: PathNormalization,
    /// Whether Envoy appends the address of its peer to `x-forwarded-for` (always in Istio).
    pub use_remote_address: bool,
    /// Where plain HTTP is redirected.
    pub https_redirect: Vec<HttpsRedirect>,
}

/// `httpsRedirect[]`: a request over plain HTTP is sent to HTTPS.
#[derive(Debug)]
pub struct HttpsRedirect {
    /// For these authorities.
    pub hosts: Vec<AuthorityPattern>,
    /// But not for `exceptPaths` (RFC 8555, 8.3: a certificate authority asks over plain HTTP).
    pub within: Rc<Within>,
}

/// Istio's names. Its own default is `BASE`, which Envoy has then done already.
const PATH_NORMALIZATIONS: [(&str, PathNormalization); 4] = [
    ("NONE", PathNormalization::None),
    ("BASE", PathNormalization::Base),
    ("MERGE_SLASHES", PathNormalization::MergeSlashes),
    (
        "DECODE_AND_MERGE_SLASHES",
        PathNormalization::DecodeAndMergeSlashes,
    ),
];

const DEFAULT_TRUST_DOMAIN: &str = "cluster.local";

pub(super) fn read(at: Option<At<'_>>) -> Mesh {
    at.and_then(mesh).unwrap_or_default()
}

fn mesh(at: At<'_>) -> Option<Mesh> {
    let mut fields = at.object()?;
    let domain = fields.optional("trustDomain").and_then(text);
    let aliases = fields
        .optional("trustDomainAliases")
        .map(|at| at.list(text));
    let path_normalization = fields
        .optional("pathNormalization")
        .and_then(|at| at.one_of(&PATH_NORMALIZATIONS));
    let use_remote_address = fields
        .optional("useRemoteAddress")
        .and_then(|at| at.boolean());
    let redirects = fields
        .optional("httpsRedirect")
        .map(|at| at.list(https_redirect));
    fields.finish();
    let domain = domain.unwrap_or_else(|| DEFAULT_TRUST_DOMAIN.to_owned());
    Some(Mesh {
        trust_domains: [vec![domain], aliases.unwrap_or_default()].concat(),
        path_normalization: path_normalization.unwrap_or_default(),
        use_remote_address: use_remote_address.unwrap_or(false),
        https_redirect: redirects.unwrap_or_default(),
    })
}

fn https_redirect(at: At<'_>) -> Option<HttpsRedirect> {
    let mut fields = at.object()?;
    let hosts = fields.required("hosts").map(hosts);
    let except = paths(&mut fields, "exceptPaths").unwrap_or_default();
    fields.finish();
    Some(HttpsRedirect {
        hosts: hosts?,
        within: Rc::new(Within {
            paths: Vec::new(),
            except,
        }),
    })
}

// === impl Mesh ===

impl Default for Mesh {
    fn default() -> Self {
        Self {
            trust_domains: vec![DEFAULT_TRUST_DOMAIN.to_owned()],
            path_normalization: PathNormalization::default(),
            use_remote_address: false,
            https_redirect: Vec::new(),
        }
    }
}
