//! Names of keys that an issuer does not have, so that a flood of them costs it nothing.
//!
//! A token whose key is not in the set may be signed with a new one: then the set is fetched again,
//! but at most once in a while, whatever tokens say, and never for a name that was looked for in
//! vain.

use lru::LruCache;
use std::num::NonZeroUsize;
use std::time::Duration;

/// What one source remembers of such names.
#[derive(Clone)]
pub(super) struct UnknownKeys {
    /// Each with the time until which it is remembered.
    names: LruCache<Box<str>, Duration>,
    /// When the set was last fetched for one.
    asked: Option<Duration>,
}

/// So long a name is known to be unknown.
pub(super) const REMEMBERED: Duration = Duration::from_secs(300);
const MAX_NAMES: NonZeroUsize = match NonZeroUsize::new(128) {
    Some(most) => most,
    None => NonZeroUsize::MIN,
};

// === impl UnknownKeys ===

impl Default for UnknownKeys {
    fn default() -> Self {
        Self {
            names: LruCache::new(MAX_NAMES),
            asked: None,
        }
    }
}

impl UnknownKeys {
    /// Whether a name was looked for in vain not long ago.
    pub fn contains(&mut self, name: &str, now: Duration) -> bool {
        self.names.get(name).is_some_and(|until| now < *until)
    }

    /// Remembers a name that was looked for in vain.
    pub fn insert(&mut self, name: &str, now: Duration) {
        self.names.put(name.into(), now.saturating_add(REMEMBERED));
    }

    /// Forgets all names: there is another set.
    pub fn clear(&mut self) {
        self.names.clear();
    }

    /// Whether the set may be fetched for an unknown name now; if so, not again before `cooldown`.
    pub fn ask(&mut self, cooldown: Duration, now: Duration) -> bool {
        // A clock that was set back must not put it off for long.
        let may = self
            .asked
            .is_none_or(|asked| now.abs_diff(asked) >= cooldown);
        if may {
            self.asked = Some(now);
        }
        may
    }
}
