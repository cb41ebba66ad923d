//! Headers that are ours to write: whatever a client sends under such a name is taken out first.
//!
//! Many servers behind a gateway fold `-` and `_`, so names that differ only in that are the same.

use super::names::{Names, fold_byte};
use crate::policy::StringMatch;

/// A set of header names, compared in lower case with `_` the same as `-`.
#[derive(Debug, Default)]
pub struct OwnedHeaders {
    names: Vec<Box<[u8]>>,
    /// Names of which only a part is given.
    patterns: Vec<StringMatch>,
    /// Those names; most headers are told apart by it.
    filter: Names,
}

/// Headers that gateways and applications live by: they are read, and overwritten where somebody
/// sets them, but a client may send them.
const SHARED: [&str; 5] = [
    "authorization",
    "cookie",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
];

/// Headers by which a client could make an upstream read another path than we judge.
const PATH_HEADERS: [&str; 3] = ["x-original-url", "x-rewrite-url", "x-envoy-original-path"];

// === impl OwnedHeaders ===

impl OwnedHeaders {
    /// Those that are always owned.
    #[must_use]
    pub fn always() -> Self {
        let mut owned = Self::default();
        PATH_HEADERS.iter().for_each(|name| owned.insert(name));
        owned
    }

    /// Adds a name.
    pub fn insert(&mut self, name: &str) {
        let folded: Box<[u8]> = fold(name.as_bytes()).collect();
        self.filter.insert(&folded);
        if let Err(at) = self.names.binary_search(&folded) {
            self.names.insert(at, folded);
        }
    }

    /// Adds what an authorizer may set, but for headers that a client may send all the same.
    pub fn insert_all(&mut self, names: &[StringMatch]) {
        for name in names {
            match name.as_exact() {
                Some(name) if SHARED.contains(&name) => {}
                Some(name) => self.insert(name),
                None => self.patterns.push(name.map(|it| it.replace('_', "-"))),
            }
        }
    }

    /// Adds a name that a rule sets, unless a client may send such a header all the same.
    pub fn insert_set(&mut self, name: &str) {
        if !SHARED.contains(&name) {
            self.insert(name);
        }
    }

    /// Whether any header of these names may be ours.
    #[must_use]
    pub fn may_own(&self, names: Names) -> bool {
        self.filter.may_meet(names) || !self.patterns.is_empty()
    }

    /// Whether a header of that name is ours.
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        let known = self.filter.may_contain(name)
            && self
                .names
                .binary_search_by(|known| known.iter().copied().cmp(fold(name)))
                .is_ok();
        known || (!self.patterns.is_empty() && self.matches(name))
    }

    fn matches(&self, name: &[u8]) -> bool {
        let folded: Vec<u8> = fold(name).collect();
        let shared = SHARED.iter().any(|it| it.as_bytes() == folded);
        // Of pseudo-headers nothing is anybody's to set.
        !shared
            && folded.first() != Some(&b':')
            && self.patterns.iter().any(|it| it.matches(&folded))
    }
}

/// A header name as many servers behind a gateway see it: lower case, `_` the same as `-`.
pub(super) fn fold(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(|byte| fold_byte(*byte))
}

/// Whether two header names are the same to such a server.
#[must_use]
pub fn is_same_header(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && fold(one).eq(fold(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded() {
        let mut owned = OwnedHeaders::always();
        owned.insert("X-User");
        for (name, contained) in [
            ("x-user", true),
            ("X_USER", true),
            ("x-users", false),
            ("x-usar", false),
            ("x-original-url", true),
            ("x_original-URL", true),
            ("authorization", false),
        ] {
            assert_eq!(owned.contains(name.as_bytes()), contained, "`{name}`");
        }
    }
}
