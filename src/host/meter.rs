//! Counters and gauges of the host: each is defined once in a VM's life, and known by its number.
//!
//! This is the one state that all configurations of a VM share: a host that is told to define a
//! metric again keeps both, so a name must be defined only once, however often policies change.

use super::abi;
use crate::meter::{Counter, PARKED};
use std::cell::RefCell;
use std::collections::HashMap;

/// Numbers by name.
#[derive(Default)]
struct Defined {
    numbers: HashMap<String, u32>,
    /// How many of them are named after something in a configuration.
    named: usize,
}

/// So many names from configurations are told apart in a VM's life: further policies count together,
/// further gauges are not set.
const MAX_NAMED: usize = 500;

thread_local! {
    static DEFINED: RefCell<Defined> = RefCell::default();
}

/// Counts one.
pub fn count(counter: Counter<'_>) {
    let number = with(|defined| {
        let named = match counter.is_fixed() {
            true => defined.fixed(counter.name(), abi::define_counter),
            false => defined.named(counter.name(), abi::define_counter),
        };
        named.or_else(|| defined.fixed(counter.other().to_owned(), abi::define_counter))
    });
    number
        .into_iter()
        .for_each(|number| abi::increment_metric(number, 1));
}

/// Counts requests that begin to wait, or that wait no more.
pub fn parked(by: i64) {
    let number = with(|defined| defined.fixed(PARKED.to_owned(), abi::define_gauge));
    number
        .into_iter()
        .for_each(|number| abi::increment_metric(number, by));
}

/// Sets a gauge that is named after something in a configuration.
pub fn gauge(name: String, value: u64) {
    let number = with(|defined| defined.named(name, abi::define_gauge));
    number
        .into_iter()
        .for_each(|number| abi::set_gauge(number, value));
}

fn with(find: impl FnOnce(&mut Defined) -> Option<u32>) -> Option<u32> {
    DEFINED.with(|defined| find(&mut *defined.try_borrow_mut().ok()?))
}

// === impl Defined ===

impl Defined {
    /// One of a fixed list.
    fn fixed(&mut self, name: String, define: fn(&str) -> Option<u32>) -> Option<u32> {
        if let Some(number) = self.numbers.get(&name) {
            return Some(*number);
        }
        let number = define(&name)?;
        self.numbers.insert(name, number);
        Some(number)
    }

    /// One of those of which there may be too many.
    fn named(&mut self, name: String, define: fn(&str) -> Option<u32>) -> Option<u32> {
        if !self.numbers.contains_key(&name) {
            if self.named >= MAX_NAMED {
                return None;
            }
            self.named = self.named.saturating_add(1);
        }
        self.fixed(name, define)
    }
}
