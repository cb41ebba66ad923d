//! Rules that an earlier rule leaves nothing to match, told as Kyma tells them.
//!
//! Kyma keeps the paths of a method in a tree of segments. It is approximate: what it takes for a
//! conflict is one here too, since Kyma would not serve the APIRule; what it misses is left to the
//! check of the whole.

use super::v2::Rule;
use crate::cli::compile::resource::Reading;
use std::collections::{BTreeSet, HashMap};

/// The paths that begin with the same segments.
#[derive(Default)]
struct Branch {
    /// Whether a path ended here when it was made; one that ends here later does not count.
    ends: bool,
    children: HashMap<String, Branch>,
    /// Of `{**}`: what stands behind it, in each path.
    suffixes: Vec<Vec<String>>,
}

const ONE: &str = "{*}";
const REST: &str = "{**}";

/// Notes every rule that conflicts with one before it; whether there is none.
pub(super) fn tell(reading: Reading<'_>, rules: &[Rule<'_>]) -> bool {
    let methods: BTreeSet<&String> = rules.iter().flat_map(|it| &it.methods).collect();
    let mut told = BTreeSet::new();
    for method in methods {
        let mut tree = Branch::default();
        for (index, rule) in rules.iter().enumerate() {
            for _ in rule.methods.iter().filter(|it| *it == method) {
                let path = standard(&rule.path);
                if tree.insert(&segments(path)) || !told.insert(index) {
                    continue;
                }
                let mut earlier = rules.iter().take(index);
                let help = match earlier.any(|it| takes_all(it, rule, method)) {
                    true => {
                        format!("put the narrower path first, or take {method} out of one of them")
                    }
                    false => format!(
                        "it only looks so to Kyma, which takes `{{*}}` for any segment, `{{**}}` \
                         too; take {method} out of one of them"
                    ),
                };
                let message = format!(
                    "Path {path} with method {method} conflicts with at least one of the previous \
                     rule paths"
                );
                reading.error(rule.path_node, message, help);
            }
        }
    }
    told.is_empty()
}

fn takes_all(earlier: &Rule<'_>, rule: &Rule<'_>, method: &String) -> bool {
    earlier.methods.contains(method) && earlier.pattern.covers(&rule.pattern)
}

/// `/*` is another way to write `/{**}`.
fn standard(path: &str) -> &str {
    match path {
        "/*" => "/{**}",
        path => path,
    }
}

fn segments(path: &str) -> Vec<&str> {
    path.trim_start_matches('/').split('/').collect()
}

// === impl Branch ===

impl Branch {
    /// Adds a path; false, if an earlier one covers it.
    fn insert(&mut self, path: &[&str]) -> bool {
        let free = !self.covers(path);
        if free {
            self.add(path);
        }
        free
    }

    fn add(&mut self, path: &[&str]) {
        let Some((first, behind)) = path.split_first() else {
            return;
        };
        let made = !self.children.contains_key(*first);
        let child = self.children.entry((*first).to_owned()).or_default();
        child.ends |= made && behind.is_empty();
        if *first == REST {
            let suffix = behind.iter().map(|&it| it.to_owned());
            child.suffixes.push(suffix.collect());
        }
        child.add(behind);
    }

    fn covers(&self, path: &[&str]) -> bool {
        let Some((first, behind)) = path.split_first() else {
            return self.ends;
        };
        let mut next = [*first, ONE].into_iter();
        if next.any(|it| self.children.get(it).is_some_and(|it| it.covers(behind))) {
            return true;
        }
        let rest = self.children.get(REST).map_or(&[][..], |it| &it.suffixes);
        rest.iter().any(|suffix| {
            let taken = path.len().checked_sub(suffix.len());
            let tail = taken.and_then(|at| path.get(at..));
            suffix.is_empty() || tail.is_some_and(|tail| tail.iter().eq(suffix))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_paths_that_an_earlier_one_covers() {
        for (paths, conflicting) in [
            (&["/{**}"][..], &[][..]),
            (&["/abc", "/abc/{**}"], &[]),
            (&["/abc/{**}", "/abc"], &[]),
            (&["/abc/", "/abc/{*}"], &[]),
            (&["/abc/{*}", "/abc/"], &["/abc/"]),
            (&["/abc/def/ghi", "/abc/{*}/ghi"], &[]),
            (&["/abc/{*}/ghi", "/abc/def/ghi"], &["/abc/def/ghi"]),
            (
                &["/abc/def", "/abc/def/ghi", "/abc/def/ghi", "/abc/def"],
                &["/abc/def/ghi", "/abc/def"],
            ),
            (&["/{**}", "/{**}/def/ghi"], &["/{**}/def/ghi"]),
            (&["/abc/{**}/ghi", "/{*}/{*}/ghi"], &[]),
            (&["/abc/{**}/ghi", "/abc/{*}/ghi"], &["/abc/{*}/ghi"]),
            (&["/abc/{**}/def/ghi", "/abc/{**}/ghi", "/abc/{**}"], &[]),
            (
                &["/abc/{**}", "/abc/{**}/ghi", "/abc/{**}/def/ghi"],
                &["/abc/{**}/ghi", "/abc/{**}/def/ghi"],
            ),
            (&["/abc/{*}", "/abc/def"], &["/abc/def"]),
            (&["/abc/{**}", "/bca/{**}/abc"], &[]),
            (
                &["/abc/{**}/def", "/abc/def/{**}/def"],
                &["/abc/def/{**}/def"],
            ),
            (&["/a/{**}/abc", "/a/b/{**}/abc/abcd"], &[]),
            (&["/", "/{**}"], &[]),
            (&["/*", "/"], &["/"]),
            // It does not see the second `/a`, since something else came by before.
            (&["/a/b", "/a", "/a"], &[]),
        ] {
            let mut tree = Branch::default();
            let found = paths
                .iter()
                .filter(|path| !tree.insert(&segments(standard(path))));
            assert_eq!(
                found.collect::<Vec<_>>(),
                conflicting.iter().collect::<Vec<_>>(),
                "{paths:?}"
            );
        }
    }
}
