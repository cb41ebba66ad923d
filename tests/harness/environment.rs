//! Numbers that whoever starts a program gives it in the environment.
//!
//! What tools are there, and which tests shall run, is told by `requirements.rs`.

use std::env;

/// A number above 0 of this name; `otherwise` if there is none. Panics at anything else.
pub fn number(name: &str, otherwise: u32) -> u32 {
    let Ok(text) = env::var(name) else {
        return otherwise;
    };
    match text.parse() {
        Ok(number) if number > 0 => number,
        _ => panic!("{name} is a number above 0, not `{text}`"),
    }
}
