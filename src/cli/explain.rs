//! x
use super::Exit;
#[derive(clap::Args)]
pub(super) struct Arguments {}
pub(super) fn run(_: &Arguments) -> Result<Exit, String> {
    Ok(Exit::Ok)
}
