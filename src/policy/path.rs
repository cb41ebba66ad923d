//! Patterns for paths, in Istio's grammar.
//!
//! A pattern is compared with one reading of a path at a time; which readings there are is
//! [`crate::request`]'s business.

use super::StringMatch;

/// A value of `paths`: exact, prefix, suffix or presence, compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(StringMatch);

impl PathPattern {
    /// Reads a value.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("{*}") || text.contains("{**}") {
            return Err(
                "`*`, `/exact`, `/prefix*` or `*suffix`; templates are not supported yet".into(),
            );
        }
        Ok(Self(StringMatch::parse(text)))
    }

    /// Whether a reading of a path matches.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        self.0.matches(path)
    }
}
