//! The compiled policy: what [`crate::decide`] judges by. It is immutable and cannot be wrong.
//!
//! [`Policy::compile`] makes it from a checked configuration once; a request then only meets the rules
//! that its authority could match. Nothing here knows which section of the configuration a rule
//! came from.

mod api;
mod api_path;
mod authority;
mod compile;
mod condition;
#[cfg(not(target_arch = "wasm32"))]
mod display;
mod glob;
mod path;
mod peer;
mod predicate;
mod principal;
mod rules;
mod scope;
mod site;
mod string_match;

pub use api::{
    Api, ApiRule, Authorization, Cors, IntrospectionDemand, JwtDemand, OriginMatch, Strategy,
};
pub use api_path::ApiPath;
pub use authority::{AuthorityPattern, normalize as normalize_authority};
pub use condition::{Condition, Truth};
pub use path::{PathPattern, Within};
pub use peer::{PeerFact, PeerPrincipal};
pub use predicate::{Facts, Predicate};
pub use principal::RequestPrincipal;
pub use rules::{Indexed, Rules};
pub use scope::{RequiredScopes, ScopeStrategy};
pub use site::{Covering, Entry, RuleSet, Site};
pub use string_match::StringMatch;

use crate::authorizer::Authorizer;
use crate::config::{
    AccessLog, ClientCertificate, DefaultAction, Limits, PathMatching, TrustedProxy,
};
use crate::introspection::Provider;
use crate::keys::{KeySource, SourceId};
use crate::request::{Connection, Headers, Needs, OwnedHeaders, PathNormalization, Peer, Request};
use crate::token::Locations;
use crate::token::jwt::Demands;
use crate::verdict::Reason;
use site::Sites;
use std::rc::Rc;

/// Everything that decides, made once from a configuration.
pub struct Policy {
    /// Which readings of a path a decision must hold for.
    pub path_matching: PathMatching,
    /// What is done to a path before it is judged, and before it goes on.
    pub path_normalization: PathNormalization,
    /// What access logs are told of.
    pub access_log: AccessLog,
    /// What becomes of an authority that nothing names.
    pub default_action: DefaultAction,
    /// Where keys come from; a [`SourceId`] is an index into it.
    pub key_sources: Vec<KeySource>,
    /// For each of them, the name of the first rule that uses it.
    pub key_source_names: Vec<Rc<str>>,
    /// Authorization servers that are asked about tokens.
    pub introspection_providers: Vec<Provider>,
    /// Authorizers that are asked about requests.
    pub authorizers: Vec<Authorizer>,
    /// How much is remembered, and for how long one waits.
    pub limits: Limits,
    /// Which facts about a connection its rules are about.
    pub needs: Needs,
    /// Headers that no upstream may see as a client wrote them.
    pub owned_headers: OwnedHeaders,
    /// What becomes of client certificates.
    pub client_certificate: ClientCertificate,
    /// Names of the headers that tell of them.
    derived_headers: OwnedHeaders,
    sites: Sites,
    /// What its rules are called.
    #[cfg(not(target_arch = "wasm32"))]
    pub rule_names: RuleNames,
}

/// What the rules of a policy are called. Only the command tells those that nothing matched.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Default)]
pub struct RuleNames {
    /// Rules of `apiRules`, then of policies, in the order of the configuration.
    pub rules: Vec<Rc<str>>,
    /// The `jwtRules` by [`Entry::order`].
    pub jwt_rules: Vec<Rc<str>>,
}

/// A rule about tokens.
#[derive(Debug)]
pub struct JwtRule {
    /// Its name in the configuration.
    pub name: Rc<str>,
    /// `iss` must be exactly this; without one, an issuer that no other rule in scope names.
    pub issuer: Option<String>,
    /// What it demands of every token.
    pub demands: Demands,
    /// One of them must be in `aud`, each without scheme and trailing slash; empty: no demand.
    pub audiences: Vec<String>,
    /// Whose keys its tokens are signed with.
    pub keys: SourceId,
    /// Where its tokens are looked for.
    pub locations: Locations,
    /// Whether the token goes on to the upstream.
    pub forward_original_token: bool,
    /// Claims whose text is a list separated by spaces.
    pub space_delimited: Rc<[String]>,
    /// Whether a request without a token is refused.
    pub required: bool,
    /// Where the payload goes, as it was sent.
    pub payload_header: Option<Rc<str>>,
    /// Where claims go.
    pub claim_headers: Vec<ClaimHeader>,
}

/// A header that tells the upstream a claim.
#[derive(Debug)]
pub struct ClaimHeader {
    /// Lower case.
    pub name: Rc<str>,
    /// The names on the way to the claim.
    pub claim: Vec<String>,
}

/// A rule of a policy.
#[derive(Debug)]
pub struct Rule {
    /// `ns[<namespace>]-policy[<name>]-rule[<index>]`, as Envoy's RBAC filter names it in Istio;
    /// of a CUSTOM policy with `istio-ext-authz-<provider>-` before it, and Istio's words behind it.
    pub id: Rc<str>,
    /// When it matches.
    pub condition: Condition,
    /// The only paths that it could match; empty means every path.
    pub paths: Vec<PathPattern>,
    /// Of a CUSTOM policy: the authorizer that judges what it matches (an index), if it is known.
    pub authorizer: Option<usize>,
}

// === impl Policy ===

impl Policy {
    /// The headers of a request with those about a client certificate as this connection proves
    /// them: what a client wrote under such a name is taken out.
    #[must_use]
    pub fn with_derived(&self, mut headers: Headers, connection: &Connection) -> Headers {
        let certificate = &self.client_certificate;
        if certificate.headers.is_empty() && certificate.trust_forwarded.is_empty() {
            return headers;
        }
        let peer = connection.peer.as_ref();
        let trusted = certificate.trust_forwarded.iter();
        let trusted = trusted.filter(|it| peer.is_some_and(|peer| is_trusted(&it.by, peer)));
        let trusted: Vec<_> = trusted.flat_map(|it| &it.headers).collect();
        headers.take(|name| {
            let kept = trusted.iter().any(|it| it.as_bytes() == name);
            !kept && self.derived_headers.contains(name)
        });
        for (name, format) in &certificate.headers {
            let value = peer.and_then(|peer| format.of_peer(peer));
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                headers.push(name, &value);
            }
        }
        headers
    }

    /// Reads a request as the mesh does.
    ///
    /// # Errors
    /// It cannot be read; see [`Request::read`].
    pub fn read<'a>(
        &self,
        headers: &'a Headers,
        connection: &'a Connection,
    ) -> Result<Request<'a>, Reason> {
        Request::read(headers, connection)?.normalized(self.path_normalization)
    }

    /// The sites that an authority belongs to, the narrowest first; the last covers everything.
    #[must_use]
    pub fn sites(&self, authority: &str) -> Covering<'_> {
        self.sites.covering(authority)
    }
}

fn is_trusted(proxy: &TrustedProxy, peer: &Peer) -> bool {
    match proxy {
        TrustedProxy::Sha256(digest) => peer.sha256.as_ref() == Some(digest),
        TrustedProxy::Subject(subject) => peer.subject == subject.as_bytes(),
        TrustedProxy::UriSan(uri) => peer.uris().any(|known| known == uri.as_bytes()),
    }
}

#[cfg(test)]
mod tests;
