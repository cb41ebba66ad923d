//! What several authenticators are told: scopes, and where tokens stand.

use crate::cli::compile::oathkeeper::config::{Merged, Oathkeeper, Value};
use crate::cli::compile::written::{FromHeader, TokenFrom};
use crate::cli::report::{Note, Severity};

/// How granted scopes cover required ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scopes {
    /// Nobody compares them here.
    None,
    Exact,
    Hierarchic,
    Wildcard,
}

/// Where a token stands.
pub(super) enum Location<'a> {
    Header(&'a str),
    QueryParameter(&'a str),
    Cookie(&'a str),
}

/// Something that must be said is said nowhere.
pub(super) fn missing(at: Value<'_>, name: &str, handler: &str) {
    at.error(
        format!("no `{name}` for `{handler}`"),
        format!(
            "give it in the rule's `config`, or as `authenticators.{handler}.config.{name}` in \
             Oathkeeper's configuration: add its file, or the ConfigMap that holds it, to the input"
        ),
    );
}

/// A name that tells where a URL leads.
pub(super) fn name_of(url: &str) -> String {
    let uri = url.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    crate::cli::compile::oathkeeper::name(host)
}

pub(super) fn texts(values: &[Value<'_>]) -> Vec<String> {
    let texts = values.iter().filter_map(|it| it.node.text());
    texts.map(str::to_owned).collect()
}

// === impl Scopes ===

impl Scopes {
    pub(super) fn read(config: &mut Merged<'_>, by_default: impl FnOnce() -> Self) -> Option<Self> {
        let Some(found) = config.get("scope_strategy") else {
            return Some(by_default());
        };
        match found.text()? {
            "none" => Some(Self::None),
            "exact" => Some(Self::Exact),
            "hierarchic" => Some(Self::Hierarchic),
            "wildcard" => Some(Self::Wildcard),
            _ => {
                found.unexpected("`none`, `exact`, `hierarchic`, `wildcard`");
                None
            }
        }
    }

    /// Kyma installs Oathkeeper with settings of its own.
    pub(super) fn by_default(
        oathkeeper: &Oathkeeper<'_>,
        of_kyma: Self,
        required: &[Value<'_>],
    ) -> Self {
        if oathkeeper.has_file() || !oathkeeper.is_kymas {
            return Self::None;
        }
        // Without a place, so that it is told once.
        if let Some(first) = required.first() {
            first.reading.notes.push(Note {
                severity: Severity::Warning,
                message: "the input has no configuration of Oathkeeper; Kyma's own is assumed: \
                          scopes are compared by `exact` for `oauth2_introspection`, by `wildcard` \
                          for `jwt`"
                    .to_owned(),
                place: None,
                subject: String::new(),
                help: Some(
                    "add the ConfigMap that holds Oathkeeper's configuration to the input, or set \
                     `scope_strategy` in each rule"
                        .to_owned(),
                ),
            });
        }
        of_kyma
    }

    /// As our configuration has it; what it does by itself is not written.
    pub(super) fn written(self, required: &[Value<'_>]) -> Option<String> {
        let name = match self {
            Self::None | Self::Exact => return None,
            Self::Hierarchic => "hierarchic",
            Self::Wildcard => "wildcard",
        };
        (!required.is_empty()).then(|| name.to_owned())
    }
}

// === impl Location ===

impl<'a> Location<'a> {
    /// `token_from`; by default what RFC 6750 says.
    pub(super) fn read(config: &mut Merged<'a>) -> Option<Self> {
        let Some(mut from) = config.object("token_from") else {
            return Some(Self::Header("Authorization"));
        };
        let at = from.at();
        let mut text = |name: &'static str| from.get(name).and_then(|it| it.text());
        let found = (text("header"), text("query_parameter"), text("cookie"));
        from.finish();
        match found {
            (Some(name), None, None) => Some(Self::Header(name)),
            (None, Some(name), None) => Some(Self::QueryParameter(name)),
            (None, None, Some(name)) => Some(Self::Cookie(name)),
            _ => {
                at.error(
                    "`token_from` does not name one place",
                    "give one of `header`, `query_parameter` and `cookie`",
                );
                None
            }
        }
    }

    /// `fromHeaders`, `fromParams`, `fromCookies`.
    pub(super) fn of_jwt(&self) -> (Vec<FromHeader>, Vec<String>, Vec<String>) {
        match self {
            Self::Header(name) => {
                let is_bearer = name.eq_ignore_ascii_case("authorization");
                let header = FromHeader {
                    name: (*name).to_owned(),
                    prefix: is_bearer.then(|| "Bearer ".to_owned()),
                };
                (vec![header], Vec::new(), Vec::new())
            }
            Self::QueryParameter(name) => (Vec::new(), vec![(*name).to_owned()], Vec::new()),
            Self::Cookie(name) => (Vec::new(), Vec::new(), vec![(*name).to_owned()]),
        }
    }

    /// `tokenFrom`, unless it is the default.
    pub(super) fn of_introspection(&self) -> Option<TokenFrom> {
        let mut from = TokenFrom::default();
        match self {
            Self::Header(name) if name.eq_ignore_ascii_case("authorization") => return None,
            Self::Header(name) => from.header = Some((*name).to_owned()),
            Self::QueryParameter(name) => from.query_parameter = Some((*name).to_owned()),
            Self::Cookie(name) => from.cookie = Some((*name).to_owned()),
        }
        Some(from)
    }
}
