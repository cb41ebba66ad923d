//! Where the command writes: in colour only where somebody sees it, and never with a panic.
//!
//! `print!` and `println!` panic when whoever reads has gone; everything in [`crate::cli`] writes
//! through here instead.

use anstream::{AutoStream, ColorChoice};
use std::fmt;
use std::io::{self, ErrorKind, Stdout, Write as _};

/// Standard output. `writeln!(output, …)` never fails; [`Output::finish`] tells whether it did.
///
/// Styles ([`style`]) are written as they are and taken out where they have no place.
pub(super) struct Output {
    to: AutoStream<Stdout>,
    failed: Option<io::Error>,
}

/// What is shown how: `writeln!(output, "{GOOD}text{GOOD:#}")`.
pub(super) mod style {
    use anstyle::{AnsiColor, Style};

    /// What is as it should be, and what came.
    pub const GOOD: Style = AnsiColor::Green.on_default();
    /// What is not, and what was expected.
    pub const BAD: Style = AnsiColor::Red.on_default();
    /// What is worth a look.
    pub const WARNING: Style = AnsiColor::Yellow.on_default();
    /// What matters most.
    pub const STRONG: Style = Style::new().bold();
    /// What matters least.
    pub const FAINT: Style = Style::new().dimmed();
}

/// Says on standard error why something could not be done.
pub(super) fn error(what: impl fmt::Display) {
    let label = style::BAD.bold();
    // Where nobody can be told, nobody is.
    let _ = writeln!(anstream::stderr(), "{label}error:{label:#} {what}");
}

/// What `--color` says, told before the arguments are read: their own help and errors have colours.
pub(super) fn color_of(arguments: impl Iterator<Item = std::ffi::OsString>) -> ColorChoice {
    let mut choice = None;
    let mut arguments = arguments.skip(1).peekable();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--") => break,
            Some("--color") => choice = arguments.peek().and_then(|it| by_name(it.to_str()?)),
            Some(other) => choice = other.strip_prefix("--color=").and_then(by_name).or(choice),
            None => {}
        }
    }
    choice.unwrap_or(ColorChoice::Auto)
}

fn by_name(name: &str) -> Option<ColorChoice> {
    match name {
        "always" => Some(ColorChoice::Always),
        "never" => Some(ColorChoice::Never),
        _ => None,
    }
}

// === impl Output ===

impl Output {
    pub(super) fn new() -> Self {
        Self {
            to: anstream::stdout(),
            failed: None,
        }
    }

    /// What `write!` and `writeln!` call. After the first failure it does nothing.
    pub(super) fn write_fmt(&mut self, text: fmt::Arguments<'_>) {
        if self.failed.is_none() {
            self.failed = self.to.write_fmt(text).err();
        }
    }

    /// Ends the output. Whoever stops reading (`| head`) has seen enough, which is no failure.
    pub(super) fn finish(mut self) -> Result<(), String> {
        let failed = self.failed.take().or_else(|| self.to.flush().err());
        match failed {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(format!("standard output: {error}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_color_of_the_arguments_counts() {
        for (arguments, expected) in [
            ("", ColorChoice::Auto),
            ("test --color always", ColorChoice::Always),
            ("test --color=never", ColorChoice::Never),
            ("--color=always test --color never", ColorChoice::Never),
            ("--color=always test a.yaml", ColorChoice::Always),
            ("--color green", ColorChoice::Auto),
            ("test -- --color always", ColorChoice::Auto),
        ] {
            let words = ["portcullis"].into_iter().chain(arguments.split(' '));
            assert_eq!(color_of(words.map(Into::into)), expected, "{arguments}");
        }
    }
}
