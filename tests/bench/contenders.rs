//! Who is measured: the filters of each listener, the tokens it gets, and whom it is compared with.
//!
//! All guard the same rules for the same issuer. A further contender is one more line in [`all`];
//! another number of rules is another [`Guarded`]. What our filter needs is in `portcullis.rs`, what
//! Envoy's need in `envoy_native.rs`; nothing here measures.

use std::{env, path::Path};

use crate::{
    authorizer, envoy_native,
    guarded::{Guarded, Rule},
    harness::{Filter, Listener},
    portcullis,
};

/// One line of the result.
pub struct Contender {
    pub name: String,
    pub tokens: Tokens,
    filters: Vec<Filter>,
    /// Whether it must refuse who has no token.
    pub guards: bool,
    /// Envoy's own way to do the same, by its name.
    pub counterpart: Option<&'static str>,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tokens {
    /// The same token in every request.
    One,
    /// So many tokens in rotation that each is new when it comes, signed with RS256.
    ManyRs256,
    /// The same, signed with ES256.
    ManyEs256,
}

/// What all others are compared with.
pub const NO_FILTER: &str = "no filter";
const NATIVE_WARM: &str = "jwt_authn with cache + rbac, warm";
const WARM: &str = "Portcullis, warm";
const ASKING: &str = "ext_authz to a local HTTP authorizer, warm";
const NATIVE_COLD_RS256: &str = "jwt_authn without cache + rbac, cold RS256";
const NATIVE_COLD_ES256: &str = "jwt_authn without cache + rbac, cold ES256";

/// All of them, in the order in which they are measured; `sent` tells the rule that is for the
/// requests which they get.
pub fn all(guarded: &Guarded, sent: impl Fn(&Rule) -> bool) -> Vec<Contender> {
    use Tokens::{ManyEs256, ManyRs256, One};
    let native = |cached| envoy_native::filters(guarded, cached);
    let ours = |module: Option<&str>, name: &str| vec![portcullis::filter(guarded, module, name)];
    let mut all = vec![
        Contender::new(NO_FILTER, One, Vec::new()),
        Contender::new(NATIVE_WARM, One, native(true)),
        Contender::new(WARM, One, ours(None, "warm")).against(NATIVE_WARM),
        Contender::new(ASKING, One, vec![authorizer::ext_authz()]).against(NATIVE_WARM),
        Contender::new(
            "Portcullis, introspected before",
            One,
            portcullis::introspecting(guarded),
        )
        .against(WARM),
    ];
    // What all the other rules cost us.
    if guarded.rules.len() > 1 {
        let rules = guarded.rules.iter().filter(|rule| sent(rule)).cloned();
        let one = Guarded {
            rules: rules.collect(),
            ..guarded.clone()
        };
        let ours = vec![portcullis::filter(&one, None, "one-rule")];
        all.push(Contender::new("Portcullis with one rule, warm", One, ours).against(NATIVE_WARM));
    }
    // Other builds of the module, to see what a change gives; they may do less, such as nothing.
    for module in env::var("BENCH_MODULES")
        .unwrap_or_default()
        .split_whitespace()
    {
        let stem = Path::new(module)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let name = format!("Portcullis {stem}, warm");
        let contender = Contender::new(&name, One, ours(Some(module), &stem));
        all.push(Contender {
            guards: false,
            ..contender.against(NATIVE_WARM)
        });
    }
    all.extend([
        Contender::new(NATIVE_COLD_RS256, ManyRs256, native(false)),
        Contender::new(
            "Portcullis, cold RS256",
            ManyRs256,
            ours(None, "cold-rs256"),
        )
        .against(NATIVE_COLD_RS256),
        Contender::new(NATIVE_COLD_ES256, ManyEs256, native(false)),
        Contender::new(
            "Portcullis, cold ES256",
            ManyEs256,
            ours(None, "cold-es256"),
        )
        .against(NATIVE_COLD_ES256),
    ]);
    all
}

// === impl Contender ===

impl Contender {
    fn new(name: &str, tokens: Tokens, filters: Vec<Filter>) -> Self {
        Contender {
            name: name.to_owned(),
            tokens,
            guards: !filters.is_empty(),
            filters,
            counterpart: None,
        }
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
