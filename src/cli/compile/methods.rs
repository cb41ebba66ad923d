//! Sets of HTTP methods, as Kyma and Oathkeeper name them.

use super::resource::Reading;
use crate::cli::yaml::Node;
use std::fmt;

/// Some methods, or all there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods(u16);

const NAMES: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

// === impl Methods ===

impl Methods {
    /// Every method.
    pub const ALL: Self = Self(0x1ff);
    /// No method.
    pub const NONE: Self = Self(0);

    /// Reads a list of methods. What is none of them is an error.
    pub fn read(reading: Reading<'_>, node: &Node, ignore_case: bool) -> Self {
        let mut methods = Self::NONE;
        for item in reading.items(node) {
            let Some(text) = reading.text(item) else {
                continue;
            };
            let same = |name: &&str| match ignore_case {
                true => name.eq_ignore_ascii_case(text),
                false => *name == text,
            };
            match NAMES.iter().position(same) {
                Some(index) => methods.0 |= 1 << index,
                None => reading.unexpected(item, &NAMES.map(|name| format!("`{name}`")).join(", ")),
            }
        }
        methods
    }

    /// Those in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in the other.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// As `methods` of a rule has them: all of them are not named.
    pub fn written(self) -> Vec<String> {
        match self {
            Self::ALL => Vec::new(),
            some => some.names().map(str::to_owned).collect(),
        }
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        let names = NAMES.into_iter().enumerate();
        names.filter_map(move |(index, name)| (self.0 & (1 << index) != 0).then_some(name))
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ALL => f.write_str("every method"),
            some => f.write_str(&some.names().collect::<Vec<_>>().join(", ")),
        }
    }
}
