//! Where the command writes: in colour only where somebody sees it, and never with a panic.
//!
//! `print!` and `println!` panic when whoever reads has gone; everything in [`crate::cli`] writes
//! through here instead.

use anstream::ColorChoice;
use std::fmt;
use std::io::{self, ErrorKind, Write};

/// Standard output, or standard error. `writeln!(output, …)` never fails; [`Output::finish`] tells whether it did.
///
/// Styles ([`style`]) are written as they are and taken out where they have no place.
pub(super) struct Output {
    to: Box<dyn Write>,
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
        Self::to(anstream::stdout())
    }

    /// Standard error, for what is not the result itself.
    pub(super) fn errors() -> Self {
        Self::to(anstream::stderr())
    }

    fn to(to: impl Write + 'static) -> Self {
        Self {
            to: Box::new(to),
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
    use std::cell::Cell;
    use std::rc::Rc;

    /// Fails from the second write on, and counts them.
    struct Failing(ErrorKind, Rc<Cell<usize>>);

    impl Write for Failing {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.1.set(self.1.get().saturating_add(1));
            match self.1.get() {
                1 => Ok(text.len()),
                _ => Err(self.0.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_stops_reading_is_no_failure_and_is_written_to_no_more() {
        for (name, kind, finishes) in [
            ("`| head`", ErrorKind::BrokenPipe, true),
            ("a full disk", ErrorKind::StorageFull, false),
        ] {
            let writes = Rc::new(Cell::new(0));
            let mut output = Output::to(Failing(kind, Rc::clone(&writes)));
            for _ in 0..5 {
                write!(output, "text");
            }
            assert_eq!(output.finish().is_ok(), finishes, "{name}");
            assert_eq!(writes.get(), 2, "{name}");
        }
    }

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
