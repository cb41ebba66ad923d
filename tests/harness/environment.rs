//! What whoever starts a program gives it in the environment: numbers and switches.
//!
//! What tools are there, and which tests shall run, is told by `requirements.rs`.

use std::env;

/// Whether the switch of this name is on, which is 1.
pub fn is_on(name: &str) -> bool {
    env::var(name).as_deref() == Ok("1")
}

/// A number above 0 of this name; `otherwise` if there is none. Panics at anything else.
pub fn number(name: &str, otherwise: u32) -> u32 {
    env::var(name).map_or(otherwise, |text| read(name, &text))
}

/// The same for one number or several with spaces between them.
pub fn numbers(name: &str, otherwise: &[u32]) -> Vec<u32> {
    let Ok(text) = env::var(name) else {
        return otherwise.to_vec();
    };
    let numbers: Vec<_> = text
        .split_whitespace()
        .map(|text| read(name, text))
        .collect();
    assert!(!numbers.is_empty(), "{name} is empty");
    numbers
}

fn read(name: &str, text: &str) -> u32 {
    match text.parse() {
        Ok(number) if number > 0 => number,
        _ => panic!("{name} is a number above 0, not `{text}`"),
    }
}
