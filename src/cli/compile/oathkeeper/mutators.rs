//! Oathkeeper's mutators, as what our rules set for the upstream.

use super::config::{Handler, Oathkeeper, Value};
use crate::cli::compile::template::{Extra, Translated};
use crate::cli::compile::written::Request;

const SECTION: &str = "mutators";

/// What to do instead of a mutator that has no counterpart here.
const UNSUPPORTED: [(&str, &str); 2] = [
    (
        "id_token",
        "no token is signed here; let the upstream verify the caller's own, which it is sent, or \
         tell it of claims by the mutator `header`",
    ),
    (
        "hydrator",
        "nobody is asked about the caller here; let an authorizer add headers (`extAuth` of an \
         APIRule in version v2), or ask behind the gateway",
    ),
];

/// What the mutators of a rule set; `None` if that cannot be told, which has been noted.
pub fn mutate<'a>(
    oathkeeper: &Oathkeeper<'a>,
    handlers: &[Handler<'a>],
    extra: Extra,
) -> Option<Request> {
    let mut request = Request::default();
    let mut is_whole = true;
    for handler in handlers {
        is_whole &= add(oathkeeper, handler, extra, &mut request).is_some();
    }
    is_whole.then_some(request)
}

fn add<'a>(
    oathkeeper: &Oathkeeper<'a>,
    handler: &Handler<'a>,
    extra: Extra,
    request: &mut Request,
) -> Option<()> {
    if let Some((name, help)) = UNSUPPORTED.iter().find(|(name, _)| *name == handler.name) {
        let message = format!("the mutator `{name}` has no counterpart here");
        handler.at.error(message, *help);
        return None;
    }
    let name = match handler.name {
        "noop" => {
            oathkeeper
                .configured(SECTION, handler)?
                .finish_empty("noop");
            return Some(());
        }
        "header" => "headers",
        "cookie" => "cookies",
        other => {
            let other = other.escape_debug();
            let message = format!("unknown mutator `{other}`; known: `header`, `cookie`, `noop`");
            handler.at.error(message, "");
            return None;
        }
    };
    let mut config = oathkeeper.configured(SECTION, handler)?;
    let at = config.at();
    let templates = config.object(name);
    config.finish();
    let Some(templates) = templates else {
        at.error(format!("`{name}` is missing"), "");
        return None;
    };
    let into = match name {
        "headers" => &mut request.headers.0,
        _ => {
            // Those of the caller stay.
            request.keep_cookies = Some(true);
            &mut request.cookies.0
        }
    };
    let mut is_whole = true;
    for (name, template) in templates.into_texts() {
        let Some(value) = translated(template, extra) else {
            is_whole = false;
            continue;
        };
        match into.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => into.push((name.to_owned(), value)),
        }
    }
    is_whole.then_some(())
}

fn translated(template: Value<'_>, extra: Extra) -> Option<String> {
    match Translated::read(template.text()?, extra) {
        Ok(translated) => {
            for note in translated.notes {
                template.warning(note, "");
            }
            Some(translated.value)
        }
        Err(why) => {
            template.error(why, "");
            None
        }
    }
}
