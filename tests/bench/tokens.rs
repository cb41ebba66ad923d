//! The tokens that are sent, made before anything is measured and kept in files for wrk.
//!
//! They differ in `jti` alone, and are good for longer than a benchmark runs. Called by `main.rs`.

use std::{fs, path::PathBuf, thread};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    authorization_server::{Issuer, sign_with},
    contenders::Tokens,
};

/// The files; dropping it removes them.
pub struct TokenFiles {
    folder: TempDir,
}

/// More than a worker remembers (10,000), and in rotation: whichever comes was forgotten before.
const MANY: usize = 12_000;
const GOOD_FOR_SECONDS: i64 = 24 * 3600;

// === impl TokenFiles ===

impl TokenFiles {
    /// Makes the tokens of these kinds; signing takes up to a minute.
    pub fn make(issuer: &Issuer, kinds: impl Iterator<Item = Tokens>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = TokenFiles { folder };
        for kind in kinds {
            let text = signed(issuer, kind).join("\n");
            fs::write(files.path(kind), text).expect("a file in a temporary folder");
        }
        files
    }

    pub fn path(&self, kind: Tokens) -> PathBuf {
        self.folder.path().join(format!("{kind:?}.txt"))
    }

    /// The first of them.
    pub fn first(&self, kind: Tokens) -> String {
        let text = fs::read_to_string(self.path(kind)).expect("a file that was written");
        text.lines().next().expect("one token at least").to_owned()
    }
}

fn signed(issuer: &Issuer, kind: Tokens) -> Vec<String> {
    let keys = issuer.keys();
    let (key, count) = match kind {
        Tokens::One => (&keys.rs256, 1),
        Tokens::ManyRs256 => (&keys.rs256, MANY),
        Tokens::ManyEs256 => (&keys.es256, MANY),
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let part = |worker: usize| {
        let numbers = (0..count).filter(move |number| number % workers == worker);
        let token = |number: usize| {
            let over = json!({
                "exp": crate::authorization_server::now() + GOOD_FOR_SECONDS,
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
