//! Oathkeeper's authenticators, as the strategies of our rules.
//!
//! Of several in a rule Oathkeeper asks the next one where one is not responsible. Here one decides
//! alone, so that whatever needs more is refused by name, and never guessed.

mod introspection;
mod jwt;
mod values;

use super::config::{Handler, Oathkeeper, Value};
use crate::cli::compile::draft::Draft;
use crate::cli::compile::template::Extra;
use crate::cli::compile::written::{Strategy, True};

/// What the authenticators of a rule come to.
pub struct Authenticated {
    /// Who may send its requests.
    pub strategy: Strategy,
    /// What templates know of the caller.
    pub extra: Extra,
}

const SECTION: &str = "authenticators";

/// What to do instead of an authenticator that has no counterpart here.
const UNSUPPORTED: [(&str, &str); 5] = [
    (
        "anonymous",
        "it lets everybody in who sends no `Authorization`; use `noop` if anybody may come in, or \
         demand a token",
    ),
    (
        "cookie_session",
        "let an authorizer judge sessions: `extAuth` of an APIRule in version v2, or a CUSTOM \
         AuthorizationPolicy",
    ),
    (
        "bearer_token",
        "let an authorizer judge the token: `extAuth` of an APIRule in version v2, or a CUSTOM \
         AuthorizationPolicy; or use `oauth2_introspection` or `jwt`",
    ),
    (
        "oauth2_client_credentials",
        "let callers fetch a token with their credentials, and demand that by \
         `oauth2_introspection` or `jwt`",
    ),
    (
        "remote_json",
        "let an authorizer judge the request: a CUSTOM AuthorizationPolicy",
    ),
];

/// What the authenticators of a rule come to; `None` if that cannot be told, which has been noted.
/// `at` is where they stand.
pub fn authenticate<'a>(
    oathkeeper: &Oathkeeper<'a>,
    draft: &mut Draft,
    at: Value<'a>,
    handlers: &[Handler<'a>],
) -> Option<Authenticated> {
    // What comes behind one that is always responsible is never asked.
    let last = handlers
        .iter()
        .position(|it| matches!(it.name, "noop" | "unauthorized"));
    let asked = last.map_or(handlers.len(), |last| last.saturating_add(1));
    let (asked, unheard) = handlers.split_at_checked(asked)?;
    if let Some(unheard) = unheard.first() {
        let message = format!("`{}` is never asked", unheard.name);
        unheard.at.warning(message, "leave it out");
    }
    // Whoever has no credential is refused anyway.
    let deciding = match asked {
        [first, .., last] if last.name == "unauthorized" => {
            oathkeeper
                .configured(SECTION, last)?
                .finish_empty(last.name);
            asked.split_last().map_or(&[][..], |(_, asked)| asked)
        }
        asked => asked,
    };
    let [handler] = deciding else {
        let message = match deciding {
            [] => "no authenticator, which Oathkeeper answers 500",
            _ => "several authenticators, of which one may pass a request on to the next",
        };
        at.error(
            message,
            "write one rule for each, with methods or paths that tell them apart",
        );
        return None;
    };
    if let Some((name, help)) = UNSUPPORTED.iter().find(|(name, _)| *name == handler.name) {
        let message = format!("the authenticator `{name}` has no counterpart here");
        handler.at.error(message, *help);
        return None;
    }
    let known = ["noop", "unauthorized", "jwt", "oauth2_introspection"];
    if !known.contains(&handler.name) {
        let message = format!(
            "unknown authenticator `{}`; known: {}",
            handler.name.escape_debug(),
            known.map(|name| format!("`{name}`")).join(", ")
        );
        handler.at.error(message, "");
        return None;
    }
    let config = oathkeeper.configured(SECTION, handler)?;
    let (strategy, extra) = match handler.name {
        "jwt" => (
            jwt::strategy(oathkeeper, draft, handler, config)?,
            Extra::Claims,
        ),
        "oauth2_introspection" => (
            introspection::strategy(oathkeeper, draft, handler, config)?,
            Extra::Reply,
        ),
        name => {
            config.finish_empty(name);
            let strategy = match name {
                "noop" => Strategy::NoAuth(True),
                _ => Strategy::Deny(True),
            };
            (strategy, Extra::Unknown)
        }
    };
    Some(Authenticated { strategy, extra })
}
