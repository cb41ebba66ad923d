//! The rules of one site and action, found by path: a request meets only those that it could match.
//!
//! Which rules are looked at is all that the index decides; whether one matches is its condition's.

use super::site::Entry;
use super::{PathPattern, Rule};
use std::collections::{BTreeSet, HashMap};

/// Rules in the order of their names, which is that in which Envoy reports them.
#[derive(Debug, Default)]
pub struct Rules {
    entries: Vec<Entry<Rule>>,
    /// By the whole path.
    exact: HashMap<Box<[u8]>, Vec<usize>>,
    /// By what the path begins with.
    prefixes: HashMap<Box<[u8]>, Vec<usize>>,
    prefix_lengths: BTreeSet<usize>,
    /// Those that no path rules out.
    anywhere: Vec<usize>,
}

/// So few rules are looked at one by one: that costs less than to find them.
const FEW: usize = 8;

// === impl Rules ===

impl Rules {
    pub(super) fn push(&mut self, entry: Entry<Rule>) {
        self.entries.push(entry);
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<Rule>> {
        self.entries.iter()
    }

    /// Sorts and indexes the rules; after that, nothing is added.
    pub(super) fn finish(&mut self) {
        self.entries.sort_by(|a, b| a.item.id.cmp(&b.item.id));
        if self.entries.len() <= FEW {
            return;
        }
        for (index, entry) in self.entries.iter().enumerate() {
            let keys = entry.item.paths.iter().map(PathPattern::head);
            let keys: Option<Vec<_>> = keys
                .map(|(head, whole)| (whole || !head.is_empty()).then_some((head, whole)))
                .collect();
            match keys.filter(|keys| !keys.is_empty()) {
                None => self.anywhere.push(index),
                Some(keys) => {
                    for (head, whole) in keys {
                        let map = if whole {
                            &mut self.exact
                        } else {
                            &mut self.prefixes
                        };
                        map.entry(head.into()).or_default().push(index);
                        if !whole {
                            self.prefix_lengths.insert(head.len());
                        }
                    }
                }
            }
        }
    }

    /// The rules that are attached to the path, those first that the index finds for it.
    pub fn near(&self, path: &[u8]) -> impl Iterator<Item = &Rule> {
        let candidates = self.candidates(path);
        let found = candidates.clone().into_iter();
        let others = (0..self.entries.len()).filter(move |index| !candidates.contains(index));
        let entries = found
            .chain(others)
            .filter_map(|index| self.entries.get(index));
        let covering = entries.filter(|entry| entry.covers(path));
        covering.map(|entry| entry.item.as_ref())
    }

    /// The first rule, by name, that is attached to the path and fulfils `matches`.
    pub fn first_match(&self, path: &[u8], matches: impl Fn(&Rule) -> bool) -> Option<&Rule> {
        let matching = |entry: &&Entry<Rule>| entry.covers(path) && matches(&entry.item);
        if self.entries.len() <= FEW {
            return self
                .entries
                .iter()
                .find(matching)
                .map(|entry| entry.item.as_ref());
        }
        let candidates = self.candidates(path);
        let mut entries = candidates
            .iter()
            .filter_map(|index| self.entries.get(*index));
        entries.find(matching).map(|entry| entry.item.as_ref())
    }

    /// Where those stand that the path does not rule out, in order.
    fn candidates(&self, path: &[u8]) -> Vec<usize> {
        let within = self.prefix_lengths.range(..=path.len());
        let begins = within.filter_map(|length| self.prefixes.get(path.get(..*length)?));
        let lists = self
            .exact
            .get(path)
            .into_iter()
            .chain(begins)
            .chain([&self.anywhere]);
        let mut candidates: Vec<usize> = lists.flatten().copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Condition;
    use std::rc::Rc;

    /// Rules whose condition is their paths alone, one with each of the patterns.
    fn rules(patterns: &[&[&str]]) -> Rules {
        let mut rules = Rules::default();
        for (index, patterns) in patterns.iter().enumerate() {
            let paths: Vec<_> = patterns
                .iter()
                .map(|it| PathPattern::parse(it).unwrap())
                .collect();
            let condition = Condition::All(Vec::new());
            let item = Rc::new(Rule {
                id: format!("{index:03}").into(),
                condition,
                paths,
            });
            rules.push(Entry {
                order: index,
                within: Vec::new(),
                item,
            });
        }
        rules.finish();
        rules
    }

    #[test]
    fn the_index_finds_what_a_walk_over_all_rules_finds() {
        let patterns: [&[&str]; 12] = [
            &["/a"],
            &["/a*"],
            &["/a/*"],
            &["*/b"],
            &["/a/{*}"],
            &["/{*}/b"],
            &["/a/b", "/c"],
            &["/c*", "*d"],
            &["*"],
            &[],
            &["/a/{**}/b"],
            &["/zz/*"],
        ];
        let rules = rules(&patterns);
        assert!(rules.entries.len() > FEW, "the index is in use");
        for path in [
            "/a", "/ab", "/a/", "/a/b", "/a/x/b", "/x/b", "/c", "/cd", "/d", "/", "", "/zz/1",
        ] {
            let path = path.as_bytes();
            for skip in 0..patterns.len() {
                // Ask for the first from the skipped one on, so that each is the answer once.
                let wanted = |rule: &Rule| {
                    rule.id.parse::<usize>().unwrap() >= skip
                        && (rule.paths.is_empty() || rule.paths.iter().any(|it| it.matches(path)))
                };
                let walked = rules
                    .entries
                    .iter()
                    .map(|entry| entry.item.as_ref())
                    .find(|rule| wanted(rule));
                let found = rules.first_match(path, wanted);
                assert_eq!(
                    found.map(|it| &it.id),
                    walked.map(|it| &it.id),
                    "{}",
                    String::from_utf8_lossy(path)
                );
            }
        }
    }

    #[test]
    fn rules_for_other_paths_are_not_looked_at() {
        let patterns: Vec<String> = (0..1_000).map(|index| format!("/path-{index}")).collect();
        let patterns: Vec<[&str; 1]> = patterns.iter().map(|it| [it.as_str()]).collect();
        let patterns: Vec<&[&str]> = patterns.iter().map(<[&str; 1]>::as_slice).collect();
        let rules = rules(&patterns);
        let looked_at = std::cell::Cell::new(0);
        let found = rules.first_match(b"/path-500", |_| {
            looked_at.set(looked_at.get() + 1);
            true
        });
        assert_eq!((found.unwrap().id.as_ref(), looked_at.get()), ("500", 1));
    }
}
