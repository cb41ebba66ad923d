//! Who is measured: the filters of each listener, the tokens it gets, and whom it is compared with.
//!
//! All guard the same rules for the same issuer. A further contender is one more line in [`all`];
//! another number of rules is another [`Guarded`]. What our filter needs is in `portcullis.rs`, what
//! Envoy's need in `envoy_native.rs`; nothing here measures.

use std::path::PathBuf;

use crate::{
    authorizer,
    empty_filter::{self, EmptyFilters},
    envoy_native::{self, JwtAuthn},
    guarded::Guarded,
    harness::{Filter, Listener},
    portcullis,
    tokens::Tokens,
};

/// One line of the result.
#[derive(Clone)]
pub struct Contender {
    pub name: String,
    pub tokens: Tokens,
    filters: Vec<Filter>,
    /// Whether it refuses who has no token; nothing if that does not matter.
    pub guards: Option<bool>,
    /// Envoy's own way to do the same, by its name.
    pub counterpart: Option<&'static str>,
}

/// What all others are compared with.
pub const NO_FILTER: &str = "no filter";
pub const EMPTY: &str = "empty wasm filter, no callback";
const EMPTY_WITH_HEADERS: &str = "empty wasm filter, on_request_headers";
pub const NATIVE_WARM: &str = "jwt_authn with cache + rbac, warm";
pub const NATIVE_AS_IN_ISTIO: &str = "jwt_authn as in Istio with cache + rbac, warm";
pub const NATIVE_REMEMBERED: &str = "jwt_authn with cache + rbac, 9,000 tokens";
const NATIVE_UNCACHED: &str = "jwt_authn without cache + rbac, warm";
const NATIVE_COLD_RS256: &str = "jwt_authn without cache + rbac, cold RS256";
const NATIVE_COLD_ES256: &str = "jwt_authn without cache + rbac, cold ES256";
pub const WARM: &str = "Portcullis, warm";
pub const REMEMBERED: &str = "Portcullis, 9,000 tokens";
const INTROSPECTED: &str = "Portcullis, introspected before";
/// Measured where there are more rules, to see what all the others cost.
pub const ONE_RULE: &str = "Portcullis with one rule, warm";
pub const COLD_RS256: &str = "Portcullis, cold RS256";
pub const COLD_ES256: &str = "Portcullis, cold ES256";
pub const ASKING: &str = "ext_authz to a local HTTP authorizer, warm";

/// All of them, in the order in which they are measured; `others` are other builds of the plugin.
pub fn all(guarded: &Guarded, empty: &EmptyFilters, others: &[PathBuf]) -> Vec<Contender> {
    use JwtAuthn::{Cached, CachedAsInIstio, Uncached};
    use Tokens::{ManyEs256, ManyRs256, One, Remembered};
    let native =
        |name, tokens, how| Contender::new(name, tokens, envoy_native::filters(guarded, how));
    let ours = |name, tokens| {
        let filter = portcullis::filter(guarded, None, name);
        Contender::new(name, tokens, vec![filter])
    };
    let does_nothing = |name, module| {
        let contender = Contender::new(name, One, vec![empty_filter::filter(module, name)]);
        contender.guarding(Some(false))
    };
    let mut all = vec![
        Contender::new(NO_FILTER, One, Vec::new()).guarding(Some(false)),
        does_nothing(EMPTY, &empty.without_callbacks),
        does_nothing(EMPTY_WITH_HEADERS, &empty.with_headers),
        native(NATIVE_WARM, One, Cached),
        native(NATIVE_AS_IN_ISTIO, One, CachedAsInIstio),
        ours(WARM, One).against(NATIVE_WARM),
        Contender::new(ASKING, One, vec![authorizer::ext_authz()]).against(NATIVE_WARM),
        Contender::new(INTROSPECTED, One, vec![portcullis::introspecting(guarded)])
            .against(NATIVE_WARM),
    ];
    if guarded.rules.len() > 1 {
        let filter = portcullis::filter(&guarded.one_rule(), None, ONE_RULE);
        all.push(Contender::new(ONE_RULE, One, vec![filter]).against(NATIVE_WARM));
    }
    // To see what a change gives; they may do less, such as nothing.
    for module in others {
        let stem = module.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("Portcullis {stem}, warm");
        let filter = portcullis::filter(guarded, Some(module), &name);
        let contender = Contender::new(&name, One, vec![filter]);
        all.push(contender.guarding(None).against(NATIVE_WARM));
    }
    all.extend([
        native(NATIVE_REMEMBERED, Remembered, Cached),
        ours(REMEMBERED, Remembered).against(NATIVE_REMEMBERED),
        native(NATIVE_UNCACHED, One, Uncached),
        native(NATIVE_COLD_RS256, ManyRs256, Uncached),
        ours(COLD_RS256, ManyRs256).against(NATIVE_COLD_RS256),
        native(NATIVE_COLD_ES256, ManyEs256, Uncached),
        ours(COLD_ES256, ManyEs256).against(NATIVE_COLD_ES256),
    ]);
    all
}

// === impl Contender ===

impl Contender {
    fn new(name: &str, tokens: Tokens, filters: Vec<Filter>) -> Self {
        Contender {
            name: name.to_owned(),
            tokens,
            filters,
            guards: Some(true),
            counterpart: None,
        }
    }

    fn guarding(mut self, guards: Option<bool>) -> Self {
        self.guards = guards;
        self
    }

    fn against(mut self, counterpart: &'static str) -> Self {
        self.counterpart = Some(counterpart);
        self
    }

    /// Its listener, which answers 200 to what the filters let pass.
    pub fn listener(&self) -> Listener {
        let listener = Listener::new(&self.name).direct_response(200, "ok");
        self.filters
            .iter()
            .cloned()
            .fold(listener, Listener::filter)
    }
}
