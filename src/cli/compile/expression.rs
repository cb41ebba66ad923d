//! Paths as sets of texts: which of two expressions holds every path of the other, and whether
//! there is a path in both.
//!
//! The importers ask it about rules that overlap. It judges paths as they are sent, and never
//! guesses: where an expression is too big to tell, there is no answer.

mod syntax;

use crate::policy::ApiPath;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::{Hir, HirKind};
use std::collections::HashSet;

/// A set of paths.
#[derive(Clone, Debug)]
pub struct Expression {
    simplest: PathText,
    /// `None` if it would be too big.
    automaton: Option<Box<Automata>>,
}

/// How a rule says which paths it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathText {
    /// `path`
    Path(String),
    /// `pathRegex`
    Regex(String),
}

type Automata = dense::DFA<Vec<u32>>;

/// How much memory an automaton may take, and making it, in bytes.
const MAX_AUTOMATON: usize = 4 * 1024 * 1024;

/// How many pairs of states are looked at.
const MAX_PAIRS: usize = 1 << 18;

// === impl Expression ===

impl Expression {
    /// The paths that a regular expression matches as a whole.
    ///
    /// # Errors
    /// `pathRegex` does not take it, or would read it in another way; what to write instead.
    pub fn regex(text: &str) -> Result<Self, String> {
        let fault = |why| format!("the expression `{text}` has {why}");
        let hir = syntax::parse(text).map_err(fault)?;
        ApiPath::parse_regex(text).map_err(|_| {
            fault(
                "something that `pathRegex` does not take, or is too long; write it simpler".into(),
            )
        })?;
        let simplest = as_path(&hir).map_or_else(|| PathText::Regex(text.into()), PathText::Path);
        Ok(Self {
            simplest,
            automaton: automaton(&hir),
        })
    }

    /// The paths that `path` of a rule is for.
    ///
    /// # Errors
    /// It is no such path; what is allowed instead.
    pub fn path(text: &str) -> Result<Self, String> {
        ApiPath::parse(text)
            .map_err(|allowed| format!("the path `{text}` is not allowed; allowed is {allowed}"))?;
        Ok(Self {
            simplest: PathText::Path(text.into()),
            automaton: automaton(&syntax::path(text)),
        })
    }

    /// Whether every path of `other` is one of it; `None` if that is too much to tell.
    #[must_use]
    pub fn covers(&self, other: &Self) -> Option<bool> {
        let beyond = self.example(other, |in_self, in_other| in_other && !in_self)?;
        Some(beyond.is_none())
    }

    /// Whether a path is in both; `None` if that is too much to tell.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> Option<bool> {
        let common = self.example(other, |in_self, in_other| in_other && in_self)?;
        Some(common.is_some())
    }

    /// The plainest way to write it: `path` where that has the same meaning, but for letters that
    /// no template takes, else `pathRegex`.
    #[must_use]
    pub fn simplest(&self) -> &PathText {
        &self.simplest
    }

    /// A shortest path of `other` that is `wanted`, given whether it is in either.
    #[expect(
        clippy::option_option,
        reason = "no path is an answer, too much to tell is none"
    )]
    fn example(
        &self,
        other: &Self,
        wanted: impl Fn(bool, bool) -> bool,
    ) -> Option<Option<Vec<u8>>> {
        let (one, other) = (self.automaton.as_deref()?, other.automaton.as_deref()?);
        let letters = letters(one, other);
        let next = |(left, right): (StateID, StateID), byte: u8| {
            (one.next_state(left, byte), other.next_state(right, byte))
        };
        // Each pair, with the one from which a byte leads to it.
        let mut pairs = vec![(next((start(one)?, start(other)?), b'/'), None, b'/')];
        let mut known = HashSet::from([pairs.first()?.0]);
        let mut at = 0_usize;
        while let Some(&(pair, ..)) = pairs.get(at) {
            if one.is_quit_state(pair.0) || other.is_quit_state(pair.1) || at >= MAX_PAIRS {
                return None;
            }
            if wanted(ends(one, pair.0), ends(other, pair.1)) {
                return Some(Some(spell(&pairs, at)));
            }
            for &byte in &letters {
                let pair = next(pair, byte);
                if !other.is_dead_state(pair.1) && known.insert(pair) {
                    pairs.push((pair, Some(at), byte));
                }
            }
            at = at.saturating_add(1);
        }
        Some(None)
    }
}

fn automaton(hir: &Hir) -> Option<Box<Automata>> {
    let config = thompson::Config::new()
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(MAX_AUTOMATON));
    let nfa = NFA::compiler().configure(config).build_from_hir(hir).ok()?;
    let config = dense::Config::new()
        // An alternative that matches early hides no longer one.
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .accelerate(false)
        .dfa_size_limit(Some(MAX_AUTOMATON))
        .determinize_size_limit(Some(MAX_AUTOMATON));
    let mut builder = dense::Builder::new();
    let built = builder.configure(config).build_from_nfa(&nfa).ok()?;
    Some(Box::new(built))
}

fn start(automaton: &Automata) -> Option<StateID> {
    let config = start::Config::new().anchored(Anchored::Yes);
    automaton.start_state(&config).ok()
}

/// Whether the text that led to a state matches as a whole. Automata tell that one step late.
fn ends(automaton: &Automata, state: StateID) -> bool {
    automaton.is_match_state(automaton.next_eoi_state(state))
}

/// The bytes that a path may hold: one for each way in which these automata take them.
fn letters(one: &Automata, other: &Automata) -> Vec<u8> {
    let mut known = HashSet::new();
    let classes = |byte| (one.byte_classes().get(byte), other.byte_classes().get(byte));
    (0x21..=0xff)
        .filter(|byte| !matches!(byte, b'?' | b'#'))
        .filter(|byte| known.insert(classes(*byte)))
        .collect()
}

/// The bytes that lead to a pair.
fn spell<P>(pairs: &[(P, Option<usize>, u8)], at: usize) -> Vec<u8> {
    let mut text = Vec::new();
    let mut place = Some(at);
    while let Some((_, from, byte)) = place.and_then(|at| pairs.get(at)) {
        text.push(*byte);
        place = *from;
    }
    text.reverse();
    text
}

/// `path` for an expression that is a text, or one that ends with a slash and `.*`.
fn as_path(hir: &Hir) -> Option<String> {
    let (text, anything_follows) = match hir.kind() {
        HirKind::Literal(text) => (&text.0, false),
        HirKind::Concat(parts) => match parts.as_slice() {
            [head, tail] if *tail == syntax::anything() => match head.kind() {
                HirKind::Literal(text) => (&text.0, true),
                _ => return None,
            },
            _ => return None,
        },
        _ => return None,
    };
    let text = std::str::from_utf8(text).ok()?;
    // An operator here is a letter there; and what `path` escapes, it also takes decoded.
    if text.contains(['*', '{', '}', '%']) {
        return None;
    }
    let path = match anything_follows {
        false => text.to_owned(),
        true if text == "/" => "/*".to_owned(),
        true => format!("{}/{{**}}", text.strip_suffix('/')?),
    };
    ApiPath::parse(&path).is_ok().then_some(path)
}

#[cfg(test)]
mod tests;
