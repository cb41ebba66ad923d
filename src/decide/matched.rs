//! Which rules a request matched, also those that did not decide it.
//!
//! For the command alone, which tells what no case ever matched; in the plugin these are empty
//! functions. Nothing is judged by it.

use super::Look;
use crate::policy::{Entry, JwtRule};
use crate::verdict::Refusal;
use std::rc::Rc;

#[cfg(not(target_arch = "wasm32"))]
use crate::verdict::{Matched, Note};

/// The rule that allows, if one is needed, or a refusal.
type Evaluated = Result<Option<Rc<str>>, Box<Refusal>>;

// === impl Look ===

#[cfg(not(target_arch = "wasm32"))]
impl Look<'_> {
    /// A rule matched.
    pub(super) fn note_match(&mut self, rule: &Rc<str>) {
        if self.answers.trail && !self.matched.rules.contains(rule) {
            self.matched.rules.push(Rc::clone(rule));
        }
    }

    /// A rule allows, if one was needed.
    pub(super) fn noted(&mut self, evaluated: Evaluated) -> Evaluated {
        if let Ok(Some(rule)) = &evaluated {
            self.note_match(rule);
        }
        evaluated
    }

    /// A token was verified by this rule, which may also be one of an API rule.
    pub(super) fn note_verified(&mut self, attached: &[&Entry<JwtRule>], by: &JwtRule) {
        let entry = attached
            .iter()
            .find(|entry| std::ptr::eq(entry.item.as_ref(), by));
        if let Some(entry) = entry.filter(|_| self.answers.trail) {
            self.matched.jwt_rules.push(entry.order);
        }
    }

    /// All of them, with those that a refusal and the notes name.
    pub(super) fn matched(&mut self, refusal: Option<&Refusal>) -> Matched {
        let told = self.notes.iter().filter_map(|note| match note {
            Note::WouldRefuse(refusal) => refusal.rule.clone(),
            Note::Audited(rule) | Note::WouldAsk(rule, _) => Some(Rc::clone(rule)),
        });
        let refusing = refusal.and_then(|refusal| refusal.rule.clone());
        for rule in told.chain(refusing).collect::<Vec<_>>() {
            self.note_match(&rule);
        }
        std::mem::take(&mut self.matched)
    }
}

#[cfg(target_arch = "wasm32")]
impl Look<'_> {
    pub(super) fn note_match(&mut self, _: &Rc<str>) {}

    pub(super) fn noted(&mut self, evaluated: Evaluated) -> Evaluated {
        evaluated
    }

    pub(super) fn note_verified(&mut self, _: &[&Entry<JwtRule>], _: &JwtRule) {}
}
