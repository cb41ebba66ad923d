//! What two paths of API rules have in common.
//!
//! A path is a list of segments, of which `{*}` is one that is not empty and `{**}`, once at most,
//! stands for one or more. Behind it there are only literal ones.

const ONE: &str = "{*}";
const REST: &str = "{**}";

/// The paths that two paths have in common.
pub(super) fn meet(one: &str, other: &str) -> Vec<String> {
    let (one, other) = (segments(one), segments(other));
    let (of_one, of_other) = (split(&one), split(&other));
    let mut found = Vec::new();
    let lengths = match (of_one, of_other) {
        (None, None) => one.len()..=one.len(),
        (Some(_), None) => other.len()..=other.len(),
        (None, Some(_)) => one.len()..=one.len(),
        (Some((before, behind)), Some((other_before, other_behind))) => {
            let begin = merged(
                &longer(before, other_before),
                &shorter(before, other_before),
                false,
            );
            let end = merged(
                &longer(behind, other_behind),
                &shorter(behind, other_behind),
                true,
            );
            if let (Some(begin), Some(end)) = (begin, end) {
                found.push([begin, vec![REST], end].concat());
            }
            // Paths so short that the beginning of one is the end of the other.
            let most = before.len().max(other_before.len());
            one.len().max(other.len())..=most.saturating_add(behind.len().max(other_behind.len()))
        }
    };
    for length in lengths {
        let (one, other) = (filled(&one, length), filled(&other, length));
        let both = one
            .zip(other)
            .and_then(|(one, other)| merged(&one, &other, false));
        found.extend(both);
    }
    found
        .iter()
        .map(|it| format!("/{}", it.join("/")))
        .collect()
}

fn segments(path: &str) -> Vec<&str> {
    match path {
        "/*" => vec![REST],
        path => path.strip_prefix('/').unwrap_or(path).split('/').collect(),
    }
}

/// What stands before and behind `{**}`.
fn split<'s, 'p>(path: &'s [&'p str]) -> Option<(&'s [&'p str], &'s [&'p str])> {
    let at = path.iter().position(|it| *it == REST)?;
    Some((path.get(..at)?, path.get(at.saturating_add(1)..)?))
}

/// So many segments of a path; those of `{**}` are `{**}` each.
fn filled<'p>(path: &[&'p str], length: usize) -> Option<Vec<&'p str>> {
    let Some((before, behind)) = split(path) else {
        return (path.len() == length).then(|| path.to_vec());
    };
    let between = length
        .checked_sub(before.len())?
        .checked_sub(behind.len())?;
    (between > 0).then(|| [before, &vec![REST; between], behind].concat())
}

fn longer<'p>(one: &[&'p str], other: &[&'p str]) -> Vec<&'p str> {
    if one.len() > other.len() {
        one.to_vec()
    } else {
        other.to_vec()
    }
}

fn shorter<'p>(one: &[&'p str], other: &[&'p str]) -> Vec<&'p str> {
    if one.len() > other.len() {
        other.to_vec()
    } else {
        one.to_vec()
    }
}

/// Two runs of segments as one, of which the second may be shorter: laid against the beginning of
/// the first or its end.
fn merged<'p>(one: &[&'p str], other: &[&'p str], at_end: bool) -> Option<Vec<&'p str>> {
    let missing = one.len().checked_sub(other.len())?;
    let filler = vec![REST; missing];
    let other = match at_end {
        true => [&filler, other].concat(),
        false => [other, &filler].concat(),
    };
    let merged = one
        .iter()
        .zip(&other)
        .map(|(&one, &other)| match (one, other) {
            (REST, any) | (any, REST) => Some(any),
            (ONE, some) | (some, ONE) => (!some.is_empty()).then_some(some),
            (one, other) => (one == other).then_some(one),
        });
    merged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_two_paths_have_in_common() {
        for (one, other, expected) in [
            ("/a", "/a", &["/a"][..]),
            ("/a", "/b", &[]),
            ("/a", "/{*}", &["/a"]),
            ("/", "/{*}", &[]),
            ("/", "/{**}", &["/"]),
            ("/", "/*", &["/"]),
            ("/a", "/a/{**}", &[]),
            ("/a/{*}/c", "/a/b/{*}", &["/a/b/c"]),
            ("/a/{*}/c", "/a/b/{**}", &["/a/b/c"]),
            ("/a/{*}", "/{*}/{*}", &["/a/{*}"]),
            ("/a/{**}", "/a/b/{**}", &["/a/b/{**}"]),
            ("/{**}/c", "/{**}/b/c", &["/{**}/b/c"]),
            ("/{**}/c", "/{**}/d", &[]),
            ("/a/{**}", "/{**}/c", &["/a/{**}/c", "/a/c"]),
            (
                "/a/b/{**}",
                "/{**}/b/c",
                &["/a/b/{**}/b/c", "/a/b/c", "/a/b/b/c"],
            ),
        ] {
            assert_eq!(meet(one, other), expected, "`{one}` and `{other}`");
            let mut mirrored = meet(other, one);
            mirrored.sort();
            let mut expected = expected.to_vec();
            expected.sort();
            assert_eq!(mirrored, expected, "`{other}` and `{one}`");
        }
    }
}
