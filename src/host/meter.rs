//! Counters of the host: each is defined once in a VM's life and incremented by its number.
//!
//! This is the one state that all configurations of a VM share: a host that is told to define a
//! counter again keeps both, so a name must be defined only once, however often policies change.

use super::abi;
use crate::meter::Counter;
use std::cell::RefCell;
use std::collections::HashMap;

/// Numbers by name.
#[derive(Default)]
struct Defined {
    numbers: HashMap<String, u32>,
    /// How many of them are named after policies.
    policies: usize,
}

/// So many names of policies are told apart in a VM's life; those of further ones count together.
const MAX_POLICIES: usize = 500;

thread_local! {
    static DEFINED: RefCell<Defined> = RefCell::default();
}

/// Counts one.
pub fn count(counter: Counter<'_>) {
    DEFINED.with(|defined| {
        if let Ok(mut defined) = defined.try_borrow_mut()
            && let Some(number) = defined.number(counter)
        {
            abi::increment_counter(number);
        }
    });
}

// === impl Defined ===

impl Defined {
    fn number(&mut self, counter: Counter<'_>) -> Option<u32> {
        let name = counter.name();
        if let Some(number) = self.numbers.get(&name) {
            return Some(*number);
        }
        if counter.is_fixed() {
            return self.define(name);
        }
        if self.policies < MAX_POLICIES {
            self.policies = self.policies.saturating_add(1);
            return self.define(name);
        }
        match self.numbers.get(counter.other()) {
            Some(number) => Some(*number),
            None => self.define(counter.other().to_owned()),
        }
    }

    fn define(&mut self, name: String) -> Option<u32> {
        let number = abi::define_counter(&name)?;
        self.numbers.insert(name, number);
        Some(number)
    }
}
