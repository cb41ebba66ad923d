//! The tokens that are sent, made before anything is measured and kept in files for wrk.
//!
//! They differ in `jti` alone, and are good for longer than a benchmark runs. Called by `main.rs`.

use std::{cell::LazyCell, fs, path::PathBuf, thread};

use serde_json::json;
use tempfile::TempDir;

use crate::authorization_server::{Issuer, Key, now, sign_with};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tokens {
    /// The same token in every request, signed with RS256.
    One,
    /// As many tokens in rotation as are all remembered, signed with RS256.
    Remembered,
    /// So many tokens in rotation that each is new when it comes, signed with RS256.
    ManyRs256,
    /// The same, signed with ES256.
    ManyEs256,
}

/// The files; dropping it removes them.
pub struct TokenFiles {
    folder: TempDir,
}

/// Fewer than a worker remembers (10,000): with exactly as many, a single other token would push out
/// the next one that is needed, and that one the next after it.
const REMEMBERED: usize = 9_000;
/// More than a worker remembers, and in rotation: whichever comes was forgotten before.
const MANY: usize = 12_000;
const GOOD_FOR_SECONDS: i64 = 24 * 3600;

// === impl Tokens ===

impl Tokens {
    /// How many there are.
    pub fn count(self) -> usize {
        match self {
            Tokens::One => 1,
            Tokens::Remembered => REMEMBERED,
            Tokens::ManyRs256 | Tokens::ManyEs256 => MANY,
        }
    }

    /// Whether each is to be unknown when it comes.
    pub fn are_new(self) -> bool {
        matches!(self, Tokens::ManyRs256 | Tokens::ManyEs256)
    }
}

// === impl TokenFiles ===

impl TokenFiles {
    /// Makes the tokens of these kinds; signing takes up to a minute.
    pub fn make(issuer: &Issuer, kinds: impl Iterator<Item = Tokens>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = TokenFiles { folder };
        let rs256 = LazyCell::new(|| signed(issuer, &issuer.keys().rs256, MANY));
        for kind in kinds {
            let text = match kind {
                Tokens::One => signed(issuer, &issuer.keys().rs256, kind.count()).join("\n"),
                Tokens::Remembered | Tokens::ManyRs256 => rs256[..kind.count()].join("\n"),
                Tokens::ManyEs256 => signed(issuer, &issuer.keys().es256, kind.count()).join("\n"),
            };
            fs::write(files.path(kind), text).expect("a file in a temporary folder");
        }
        files
    }

    pub fn path(&self, kind: Tokens) -> PathBuf {
        self.folder.path().join(format!("{kind:?}.txt"))
    }

    /// All of them.
    pub fn all(&self, kind: Tokens) -> Vec<String> {
        let text = fs::read_to_string(self.path(kind)).expect("a file that was written");
        text.lines().map(str::to_owned).collect()
    }

    /// The first of them.
    pub fn first(&self, kind: Tokens) -> String {
        self.all(kind).swap_remove(0)
    }
}

fn signed(issuer: &Issuer, key: &Key, count: usize) -> Vec<String> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let part = |worker: usize| {
        let numbers = (0..count).filter(move |number| number % workers == worker);
        let token = |number: usize| {
            let over = json!({
                "exp": now() + GOOD_FOR_SECONDS,
                "jti": format!("{number:08}"),
                "aud": "bench",
                "scope": "items.read items.write",
            });
            sign_with(key, &issuer.claims(over), json!({}))
        };
        numbers.map(token).collect::<Vec<_>>()
    };
    let part = &part;
    thread::scope(|scope| {
        let parts: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || part(worker)))
            .collect();
        let tokens = parts.into_iter().map(|part| part.join().expect("signing"));
        tokens.flatten().collect()
    })
}
