//! Where secrets stand in the files that people have, so that none is shown beside a note.
//!
//! Told by the names that systems have for them, also within a text that is itself a file.

use std::ops::Range;

/// Names of members whose text is a secret, without `-` and `_`.
const NAMES: [&str; 4] = ["clientsecret", "cookiesecret", "password", "authorization"];

/// The places of what stands behind such a name in one line.
pub(super) fn places(text: &str) -> Vec<Range<usize>> {
    let mut begin = 0_usize;
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        let colons = line.match_indices(':').map(|(at, _)| at);
        let secret = colons.filter_map(|at| {
            let (name, value) = line.split_at_checked(at)?;
            let value = value.get(1..)?.trim();
            let given = !value.is_empty() && !value.starts_with(['[', '{']);
            (given && is_secret(name)).then_some(at)
        });
        if let Some(at) = secret.min() {
            let at = begin.saturating_add(at).saturating_add(1);
            found.push(at..begin.saturating_add(line.len()));
        }
        begin = begin.saturating_add(line.len());
    }
    found
}

/// Whether the last word is the name of a secret.
fn is_secret(name: &str) -> bool {
    let name = name.trim_end_matches(['"', '\'', ' ']);
    let word = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    let word = name.rsplit(|letter| !word(letter)).next();
    let plain = word
        .unwrap_or_default()
        .to_lowercase()
        .replace(['-', '_'], "");
    NAMES.contains(&plain.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_the_name_of_a_secret() {
        for (line, expected) in [
            ("  clientSecret: s3cret\n", Some(" s3cret\n")),
            ("client_secret = 1\n", None),
            ("  \"cookie-secret\": \"x\", b: c", Some(" \"x\", b: c")),
            ("{authorization: Basic eDp5}", Some(" Basic eDp5}")),
            ("authorization: {a: b}", None),
            ("authorizations:\n", None),
            ("clientSecret:\n", None),
            ("tokens: [a]\n", None),
        ] {
            let found = places(line);
            let found = found.first().and_then(|it| line.get(it.clone()));
            assert_eq!(found, expected, "{line}");
        }
    }
}
