//! The table that `make test-peers` prints: what was done with a peer, expected of it, and got.

use std::io::{self, Write as _};

use crate::{harness::Client, tutorials::Row};

/// One thing that was done with a peer.
pub struct Line {
    pub what: String,
    pub expected: String,
    pub got: String,
}

// === impl Line ===

impl Line {
    pub fn new(
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Line {
            what: what.into(),
            expected: expected.into(),
            got: got.into(),
        }
    }

    /// Sends a request of a tutorial.
    pub fn of_row(row: &Row, client: &Client) -> Self {
        let expected = row.expected.status.to_string();
        let got = match row.send(client) {
            Ok(answer) => match row.differences(&answer).as_slice() {
                [] => expected.clone(),
                differences => differences.join("; "),
            },
            Err(error) => error.to_string(),
        };
        Line::new(row.request(), expected, got)
    }

    pub fn is_as_expected(&self) -> bool {
        self.expected == self.got
    }
}

/// So many characters of a cell are shown where all is as expected.
const SHOWN: usize = 64;

/// Prints the lines of a peer, marked where they are not as expected; false if one is.
pub fn print(peer: &str, version: &str, lines: &[Line]) -> bool {
    let width = |of: fn(&Line) -> &str| lines.iter().map(|it| cut(of(it)).chars().count()).max();
    let what = width(|it| &it.what).unwrap_or(0);
    let expected = width(|it| &it.expected).unwrap_or(0);
    let mut out = io::stdout().lock();
    for line in lines {
        let row = match line.is_as_expected() {
            true => [&line.what, &line.expected, &line.got].map(|it| cut(it)),
            false => [
                line.what.clone(),
                line.expected.clone(),
                format!("{} !", line.got),
            ],
        };
        let [doing, wanted, got] = row;
        let _ = writeln!(
            out,
            "{peer:<13}  {version:<7}  {doing:<what$}  {wanted:<expected$}  {got}"
        );
    }
    lines.iter().all(Line::is_as_expected)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
