//! The command `portcullis`. What it does is in [`portcullis::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis::cli::run().into()
}
