//! One rule of an APIRule in version v1beta1, and what Kyma does not accept in it, in Kyma's words.

use super::mode::Mode;
use crate::cli::compile::kyma::jwt::uri_fault;
use crate::cli::compile::methods::Methods;
use crate::cli::compile::oathkeeper::config::{Handler, Value};
use crate::cli::compile::resource::Reading;
use crate::cli::compile::written::{Members, Request};
use crate::cli::yaml::Node;
use regex_lite::Regex;
use std::collections::HashSet;

/// A rule.
pub struct Rule<'a> {
    /// The whole of it.
    pub at: Value<'a>,
    /// `path`
    pub path: &'a str,
    /// Where it stands.
    pub path_at: Value<'a>,
    /// `methods`
    pub methods: Methods,
    /// Where it leads.
    pub kind: Kind,
    /// `accessStrategies`
    pub strategies: Vec<Handler<'a>>,
    /// Where they stand.
    pub strategies_at: Value<'a>,
    /// `mutators`
    pub mutators: Vec<Handler<'a>>,
    /// Where they stand.
    pub mutators_at: Value<'a>,
}

/// Where Kyma leads the requests of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To the service, whatever the method.
    Allow,
    /// To the service.
    NoAuth,
    /// To the service, where Istio demands a token.
    Jwt,
    /// To Oathkeeper.
    Oathkeeper,
}

/// Strategies without a configuration.
const PLAIN: [&str; 6] = [
    "allow",
    "no_auth",
    "noop",
    "unauthorized",
    "anonymous",
    "cookie_session",
];

/// Strategies that demand a credential.
const SECURE: [&str; 4] = [
    "oauth2_client_credentials",
    "oauth2_introspection",
    "jwt",
    "cookie_session",
];

/// Strategies that must be the only one of a rule; the last only with Istio's handler.
const EXCLUSIVE: [&str; 4] = ["allow", "no_auth", "noop", "jwt"];

/// Keys of `jwt` that only Istio's handler has, and those that only Oathkeeper's has.
const OF_ISTIO: [&str; 2] = ["authentications", "authorizations"];
const OF_ORY: [&str; 10] = [
    "jwks_urls",
    "trusted_issuers",
    "required_scope",
    "required_scopes",
    "target_audience",
    "allowed_algorithms",
    "scope_strategy",
    "token_from",
    "jwks_ttl",
    "jwks_max_wait",
];

const HOST: &str = "^([a-zA-Z0-9][a-zA-Z0-9_-]*\\.)*[a-zA-Z0-9]*[a-zA-Z0-9_-]*[a-zA-Z0-9]+$";

/// Notes a host that the API server would not take.
pub fn check_host(reading: Reading<'_>, host: &Node) {
    let Some(text) = host.text() else { return };
    let fits = Regex::new(HOST).is_ok_and(|it| it.is_match(text));
    if !fits || !(3..=256).contains(&text.len()) {
        reading.unexpected(
            host,
            "a host name of 3 to 256 letters, without wildcard and port",
        );
    }
}

/// Whether no two rules are for the same path and method; if not, that is noted.
pub fn are_apart(rules: &[Rule<'_>]) -> bool {
    let mut are_apart = true;
    let mut known: Vec<(&str, Methods)> = Vec::new();
    for rule in rules {
        let same = |(path, methods): &&(&str, Methods)| {
            *path == rule.path && !methods.and(rule.methods).is_empty()
        };
        if known.iter().any(|it| same(&it)) {
            let message = "multiple rules defined for the same path and method";
            let help = "join them, or leave the method out of one of them";
            rule.at.error(message, help);
            are_apart = false;
        }
        known.push((rule.path, rule.methods));
    }
    are_apart
}

/// What the mutators of a rule set for which Istio verifies the token; `None` if they cannot be read,
/// which has been noted.
pub fn literal_request(mutators: &[Handler<'_>]) -> Option<Request> {
    let mut request = Request::default();
    let mut known = HashSet::new();
    let mut is_whole = true;
    for mutator in mutators {
        if !known.insert(mutator.name) {
            let message = "mutator for same handler already exists";
            mutator.at.error(message, "join them");
        }
        let (key, into) = match mutator.name {
            "header" => ("headers", &mut request.headers),
            "cookie" => ("cookies", &mut request.cookies),
            "" => {
                mutator.at.error("mutator handler cannot be empty", "");
                continue;
            }
            other => {
                let message = format!("unsupported mutator: {}", other.escape_debug());
                let help = "with the JWT handler `istio`, `header` and `cookie` are known";
                mutator.at.error(message, help);
                continue;
            }
        };
        let read = literals(mutator, key);
        is_whole &= read.is_some();
        *into = read.unwrap_or_default();
    }
    is_whole.then_some(request)
}

fn literals(mutator: &Handler<'_>, key: &'static str) -> Option<Members<String>> {
    let place = mutator.place();
    let reading = place.reading;
    let values = match mutator.config {
        Some(config) => {
            let mut fields = reading.fields(config.node)?;
            let values = fields.get(key);
            fields.finish();
            values
        }
        None => None,
    };
    let members = values.map_or(&[][..], Node::members);
    if members.is_empty() {
        place.error(format!("{key} cannot be empty"), "name one");
        return None;
    }
    let read = members.iter().map(|(name, value)| {
        let text = reading.text(value)?;
        if name.name.is_empty() {
            reading.error(value, "cannot be empty", "give it a name");
        }
        Some((name.name.clone(), text.to_owned()))
    });
    let read: Vec<_> = read.collect();
    read.into_iter().collect::<Option<_>>().map(Members)
}

// === impl Rule ===

impl<'a> Rule<'a> {
    /// Reads a rule; `None` if that cannot be done, which has been noted.
    pub fn read(at: Value<'a>, mode: Mode) -> Option<Self> {
        let reading = at.reading;
        let mut fields = reading.fields(at.node)?;
        let path = fields.required("path").map(|node| at.with(node));
        let methods = fields.required("methods").map(|node| at.with(node));
        let strategies_at = fields.get("accessStrategies").map(|node| at.with(node));
        let mutators_at = fields.get("mutators").map(|node| at.with(node));
        fields.skip(&["service", "timeout"]);
        fields.finish();
        let (path_at, methods_at) = (path?, methods?);
        let path = path_at.text()?;
        let letter = |it: char| it.is_ascii_alphanumeric() || "./*()?!\\_-".contains(it);
        if !path.starts_with(letter) {
            path_at.unexpected("a regular expression that begins with `/`, such as `/.*`");
        }
        let methods = Methods::read(reading, methods_at.node, false);
        if methods_at.node.items().is_empty() {
            methods_at.unexpected("at least one method");
        }
        let strategies = strategies_at.map_or(Some(Vec::new()), Handler::read_all)?;
        let strategies_at = strategies_at.unwrap_or(at);
        let mutators = mutators_at.map_or(Some(Vec::new()), Handler::read_all)?;
        let rule = Self {
            at,
            path,
            path_at,
            methods,
            kind: Kind::of(&strategies, mode),
            strategies,
            strategies_at,
            mutators,
            mutators_at: mutators_at.unwrap_or(at),
        };
        rule.is_valid(mode).then_some(rule)
    }

    /// Where the `authentications` of `jwt` stand.
    pub fn authentications(&self) -> Vec<&'a Node> {
        let configs = self.strategies.iter().filter_map(|it| it.config);
        let lists = configs.filter_map(|it| it.node.get("authentications"));
        lists.flat_map(Node::items).collect()
    }

    /// Whether Kyma would take its strategies; if not, that is noted.
    fn is_valid(&self, mode: Mode) -> bool {
        let (at, strategies) = (self.strategies_at, self.strategies.as_slice());
        let mut is_valid = true;
        let mut fault = |at: Value<'_>, message: String, help: &str| {
            at.error(message, help);
            is_valid = false;
        };
        if strategies.is_empty() {
            fault(at, "No accessStrategies defined".to_owned(), "give one");
        }
        let exclusive = match mode {
            Mode::Ory => EXCLUSIVE.split_last().map_or(&[][..], |(_, rest)| rest),
            Mode::Istio => &EXCLUSIVE,
        };
        for handler in strategies.iter().filter(|_| strategies.len() > 1) {
            if exclusive.contains(&handler.name) {
                let message = format!(
                    "{} access strategy is not allowed in combination with other access strategies",
                    handler.name
                );
                fault(handler.at, message, "leave the others out");
            }
        }
        let secure = strategies.iter().any(|it| SECURE.contains(&it.name));
        let unsecure = |it: &Handler<'_>| PLAIN.contains(&it.name) && !SECURE.contains(&it.name);
        if secure && strategies.iter().any(unsecure) {
            let message = "Secure access strategies cannot be used in combination with unsecure \
                           access strategies";
            fault(at, message.to_owned(), "keep either of them");
        }
        for handler in strategies {
            let name = handler.name;
            if !PLAIN.contains(&name) && !SECURE.contains(&name) {
                let message = format!("Unsupported accessStrategy: {}", name.escape_debug());
                let help = "known are allow, no_auth, noop, unauthorized, anonymous, \
                            cookie_session, jwt, oauth2_introspection and \
                            oauth2_client_credentials";
                fault(handler.at, message, help);
            } else if PLAIN.contains(&name) {
                let config = handler.config;
                if let Some(config) =
                    config.filter(|it| !it.node.members().is_empty() || !it.node.is_map())
                {
                    let message = format!("strategy: {name} does not support configuration");
                    fault(config, message, "leave `config` out");
                }
            } else if name == "jwt" {
                let config = handler.config;
                let Some(config) = config.filter(|it| !it.node.members().is_empty()) else {
                    let message = "supplied config cannot be empty".to_owned();
                    fault(handler.place(), message, "say whose tokens are taken");
                    continue;
                };
                let (foreign, whose): (&[&str], _) = match mode {
                    Mode::Ory => (&OF_ISTIO, "Ory"),
                    Mode::Istio => (&OF_ORY, "Istio"),
                };
                for name in foreign {
                    if let Some(found) = config.member(name) {
                        let message = format!(
                            "Configuration for {name} is not supported with {whose} handler"
                        );
                        let help = "say which JWT handler the cluster has by `--jwt-handler`, or by \
                                    the ConfigMap kyma-system/api-gateway-config";
                        fault(found, message, help);
                    }
                }
                for name in ["trusted_issuers", "jwks_urls"] {
                    let list = config.node.get(name).filter(|_| mode == Mode::Ory);
                    for item in list.map_or(&[][..], Node::items) {
                        if let Some(why) = item.text().and_then(uri_fault) {
                            let message = format!("value is empty or not a valid uri err={why}");
                            fault(config.with(item), message, "");
                        }
                    }
                }
                if mode == Mode::Istio {
                    if config
                        .node
                        .at(&["authentications"])
                        .is_none_or(|it| it.items().is_empty())
                    {
                        let message = "Authentications are required when using JWT access handler";
                        fault(
                            config,
                            message.to_owned(),
                            "give `issuer` and `jwksUri` of one",
                        );
                    }
                    let authorizations = config.member("authorizations");
                    if let Some(empty) = authorizations.filter(|it| it.node.items().is_empty()) {
                        let help = "leave it out: then every valid token will do";
                        fault(empty, "value is empty".to_owned(), help);
                    }
                }
            }
        }
        is_valid
    }
}

// === impl Kind ===

impl Kind {
    fn of(strategies: &[Handler<'_>], mode: Mode) -> Self {
        let has = |name: &str| strategies.iter().any(|it| it.name == name);
        match mode {
            _ if has("allow") => Self::Allow,
            _ if has("no_auth") => Self::NoAuth,
            Mode::Istio if has("jwt") => Self::Jwt,
            _ => Self::Oathkeeper,
        }
    }
}
