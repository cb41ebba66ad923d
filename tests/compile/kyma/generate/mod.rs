//! APIRules that Kyma's own validation accepts, and requests that are likely to meet them. The same
//! seed gives the same.
//!
//! The alphabets are small, so that rules overlap and requests hit more than one of them.

mod requests;
mod v1beta1;
mod v2;

use super::istio::FromHeader;
use fastrand::Rng;
use std::collections::BTreeSet;

/// Draws clusters and requests.
pub struct Draw(pub Rng);

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

/// Where the tokens of an issuer are looked for: headers, parameters; by default if there are none.
#[derive(Clone, Default)]
struct Locations(Vec<FromHeader>, Vec<String>);

// === impl Draw ===

impl Draw {
    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.0.usize(..words.len())]
    }

    /// One time in so many.
    fn once_in(&mut self, times: usize) -> bool {
        self.0.usize(..times) == 0
    }

    /// Some of them, at least one, in their order.
    fn some(&mut self, words: &[&str], most: usize) -> Vec<String> {
        let count = 1 + self.0.usize(..most);
        let drawn: Vec<_> = (0..count).map(|_| self.pick(words)).collect();
        let known: BTreeSet<_> = drawn.into_iter().collect();
        known.into_iter().map(str::to_owned).collect()
    }
}

// === impl Locations ===

impl Locations {
    fn is_own(&self) -> bool {
        !self.0.is_empty() || !self.1.is_empty()
    }
}
