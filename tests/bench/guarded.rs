//! What is guarded: the issuer whose tokens count, and the rules, as few or as many as are asked for.
//!
//! The same for every contender; nothing here knows how one is told so.

/// What every contender but the first guards.
#[derive(Clone)]
pub struct Guarded {
    pub issuer: String,
    /// The key set, as text.
    pub jwks: String,
    pub rules: Vec<Rule>,
    /// Where the issuer introspects tokens, through the cluster `ISSUER`; id and secret of a client.
    pub introspection_url: String,
    pub client: (&'static str, &'static str),
}

/// Who may do what: any token of the issuer, this method, on this authority and path.
#[derive(Clone)]
pub struct Rule {
    pub authority: String,
    pub method: String,
    pub path: String,
}

/// Where the requests go that are measured.
pub const AUTHORITY: &str = "bench.example.com";
pub const PATH: &str = "/items/1";
/// Rules for each authority, if there are several authorities; [`PATH`] is one of theirs.
const RULES_EACH: u32 = 10;

// === impl Guarded ===

impl Guarded {
    /// The same with the one rule that is for the requests which are sent.
    pub fn one_rule(&self) -> Self {
        let sent = |rule: &&Rule| rule.authority == AUTHORITY && rule.path == PATH;
        Guarded {
            rules: self.rules.iter().filter(sent).cloned().collect(),
            ..self.clone()
        }
    }
}

/// One rule for the request that is sent; of more authorities ten each, with that one in the middle.
pub fn rules(authorities: u32) -> Vec<Rule> {
    let rule = |authority: &str, path: String| Rule {
        authority: authority.to_owned(),
        method: "GET".to_owned(),
        path,
    };
    if authorities == 1 {
        return vec![rule(AUTHORITY, PATH.to_owned())];
    }
    let names = (0..authorities).map(|index| match index == authorities / 2 {
        true => AUTHORITY.to_owned(),
        false => format!("service-{index}.example.com"),
    });
    let each =
        |name: String| (0..RULES_EACH).map(move |path| rule(&name, format!("/items/{path}")));
    names.flat_map(each).collect()
}
