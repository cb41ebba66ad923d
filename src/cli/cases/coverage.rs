//! Which rules of a configuration some case has matched, and which none has.

use crate::policy::RuleNames;
use crate::verdict::Matched;
use std::path::{Component, Path, PathBuf};

/// The rules of one configuration.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// The file that it stands in: the case file itself, if it is written there.
    pub config: PathBuf,
    /// Each with whether a case has matched it.
    rules: Vec<(String, bool)>,
    /// How many of them are not `jwtRules`; those stand behind.
    others: usize,
}

// === impl Coverage ===

impl Coverage {
    /// Nothing matched yet.
    pub(super) fn new(config: &Path, names: &RuleNames) -> Self {
        let mut rules: Vec<(String, bool)> = Vec::new();
        for (index, name) in names.jwt_rules.iter().enumerate() {
            let before = names.jwt_rules.iter().take(index);
            let before = before.filter(|it| *it == name).count();
            rules.push(match before {
                0 => (format!("jwtRules[{name}]"), false),
                // Two may have one issuer, and no name.
                _ => (
                    format!("jwtRules[{name}] ({})", before.saturating_add(1)),
                    false,
                ),
            });
        }
        let others = names.rules.iter().map(|name| (name.to_string(), false));
        rules.splice(0..0, others);
        Self {
            config: plain(config),
            rules,
            others: names.rules.len(),
        }
    }

    /// A case has matched these.
    pub(super) fn note(&mut self, matched: &Matched) {
        let others = self.others;
        for (index, (name, known)) in self.rules.iter_mut().enumerate() {
            *known |= match index.checked_sub(others) {
                Some(jwt_rule) => matched.jwt_rules.contains(&jwt_rule),
                None => matched.rules.iter().any(|it| **it == **name),
            };
        }
    }

    /// Joins what the cases of other files have matched, if they have the same configuration.
    pub fn join(all: &mut Vec<Self>, one: Self) {
        let same = |known: &&mut Self| known.config == one.config && known.len() == one.len();
        match all.iter_mut().find(same) {
            Some(known) => {
                for ((_, known), (_, more)) in known.rules.iter_mut().zip(&one.rules) {
                    *known |= more;
                }
            }
            None => all.push(one),
        }
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules that some case has matched, or those that none has.
    pub fn rules(&self, matched: bool) -> impl Iterator<Item = &str> {
        let rules = self.rules.iter().filter(move |(_, it)| *it == matched);
        rules.map(|(name, _)| name.as_str())
    }
}

/// A path without detours, so that one file has one name.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(plain.components().next_back(), Some(Component::Normal(_))) =>
            {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}
