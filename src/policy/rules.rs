//! The rules of one site and action, found by path: a request meets only those that it could match.
//!
//! Which rules are looked at is all that the index decides; whether one matches is its condition's.

use super::site::Entry;
use super::{PathPattern, Rule};
use crate::request::ReadPath;
use hashbrown::HashMap;
use std::collections::BinaryHeap;
use std::rc::Rc;

/// Rules in the order in which they are tried.
#[derive(Debug)]
pub struct Rules<T = Rule> {
    entries: Vec<Entry<T>>,
    /// By the whole path.
    exact: HashMap<Box<[u8]>, Vec<usize>>,
    /// By what the path begins with.
    prefixes: HashMap<Box<[u8]>, Vec<usize>>,
    /// In ascending order.
    prefix_lengths: Vec<usize>,
    /// Those that no path rules out.
    anywhere: Vec<usize>,
}

/// What the index must know of a rule.
pub trait Indexed {
    /// The only paths that it could match; empty means every path.
    fn paths(&self) -> &[PathPattern];
}

/// So few rules are looked at one by one: that costs less than to find them.
const FEW: usize = 8;

// === impl Rules ===

impl<T: Indexed> Rules<T> {
    pub(super) fn push(&mut self, entry: Entry<T>) {
        self.entries.push(entry);
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn iter(&self) -> impl Iterator<Item = &Entry<T>> {
        self.entries.iter()
    }

    /// Indexes the rules in the order in which they are; after that, nothing is added.
    pub(super) fn finish(&mut self) {
        if self.entries.len() <= FEW {
            return;
        }
        for (index, entry) in self.entries.iter().enumerate() {
            let keys = entry.item.paths().iter().map(PathPattern::head);
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
                            let length = head.len();
                            if let Err(at) = self.prefix_lengths.binary_search(&length) {
                                self.prefix_lengths.insert(at, length);
                            }
                        }
                    }
                }
            }
        }
    }

    /// The rules that are attached to the path, those first that the index finds for it.
    pub fn near(&self, path: ReadPath<'_>) -> impl Iterator<Item = &T> {
        let candidates = self.candidates(path.bytes);
        let found = candidates.clone().into_iter();
        let others = (0..self.entries.len()).filter(move |index| !candidates.contains(index));
        let entries = found
            .chain(others)
            .filter_map(|index| self.entries.get(index));
        let covering = entries.filter(move |entry| entry.covers(path));
        covering.map(|entry| entry.item.as_ref())
    }

    /// The first rule that is attached to the path and fulfils `matches`.
    pub fn first_match(&self, path: ReadPath<'_>, matches: impl Fn(&T) -> bool) -> Option<&T> {
        let matching = |entry: &&Entry<T>| entry.covers(path) && matches(&entry.item);
        if self.entries.len() <= FEW {
            return self
                .entries
                .iter()
                .find(matching)
                .map(|entry| entry.item.as_ref());
        }
        let candidates = self.candidates(path.bytes);
        let mut entries = candidates
            .iter()
            .filter_map(|index| self.entries.get(*index));
        entries.find(matching).map(|entry| entry.item.as_ref())
    }

    /// Every rule that is attached to the path and fulfils `matches`.
    pub fn matching<'r>(
        &'r self,
        path: ReadPath<'_>,
        matches: impl Fn(&T) -> bool,
    ) -> impl Iterator<Item = &'r T> {
        let entries = self.candidates(path.bytes).into_iter();
        let entries = entries.filter_map(|index| self.entries.get(index));
        let covering = entries.filter(move |entry| entry.covers(path));
        let rules = covering.map(|entry| entry.item.as_ref());
        rules.filter(move |rule| matches(rule))
    }

    /// Where those stand that the path does not rule out, in order.
    fn candidates(&self, path: &[u8]) -> Vec<usize> {
        if self.entries.len() <= FEW {
            return (0..self.entries.len()).collect();
        }
        let lengths = self.prefix_lengths.iter();
        let within = lengths.take_while(|length| **length <= path.len());
        let begins = within.filter_map(|length| self.prefixes.get(path.get(..*length)?));
        let lists = self.exact.get(path).into_iter().chain(begins);
        // Those of every path first, which are the most and in order already.
        let mut candidates = self.anywhere.clone();
        for index in lists.flatten() {
            if let Err(at) = candidates.binary_search(index) {
                candidates.insert(at, *index);
            }
        }
        candidates
    }
}

impl<T> Default for Rules<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            exact: HashMap::new(),
            prefixes: HashMap::new(),
            prefix_lengths: Vec::new(),
            anywhere: Vec::new(),
        }
    }
}

impl Indexed for Rule {
    fn paths(&self) -> &[PathPattern] {
        &self.paths
    }
}

impl Rules {
    /// The same, sorted by name, in which order Envoy reports them.
    pub(super) fn finish_by_name(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        self.entries = by_name(entries, |entry| Rc::clone(&entry.item.id));
        self.finish();
    }
}

/// Sorts by name; what has the same name stays in order. Of all that is sorted only names are
/// compared and moved, so that there is one such code in the module.
pub(super) fn by_name<T>(items: Vec<T>, name: impl Fn(&T) -> Rc<str>) -> Vec<T> {
    let names = items.iter().enumerate();
    // A heap, since its code is a tenth of what sorts a list as fast as can be.
    let names: BinaryHeap<_> = names.map(|(at, item)| (name(item), at)).collect();
    let names = names.into_sorted_vec();
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let taken = names
        .iter()
        .filter_map(|(_, at)| items.get_mut(*at).and_then(Option::take));
    taken.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Condition, Within};
    use std::rc::Rc;

    /// Rules whose condition is their paths alone, one with each of the patterns; every other one is
    /// not attached to `/a/b`.
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
                authorizer: None,
            });
            let mut within = Within::default();
            if index % 2 == 1 {
                within.except.push(PathPattern::exact("/a/b"));
            }
            rules.push(Entry {
                order: index,
                within: Rc::new(within),
                item,
            });
        }
        rules.finish_by_name();
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
                    .filter(|entry| entry.covers(path.into()))
                    .map(|entry| entry.item.as_ref())
                    .find(|rule| wanted(rule));
                let found = rules.first_match(path.into(), wanted);
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
        let found = rules.first_match(b"/path-500"[..].into(), |_| {
            looked_at.set(looked_at.get() + 1);
            true
        });
        assert_eq!((found.unwrap().id.as_ref(), looked_at.get()), ("500", 1));
    }
}
