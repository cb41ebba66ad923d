//! `portcullis completions` and `portcullis man`: what shells and manuals must know of the command.
//!
//! Both are made from the arguments themselves, so they cannot differ from them.

use super::Exit;
use super::output::Output;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::io;

/// Print a script that completes the command's arguments in a shell.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  portcullis completions bash > ~/.local/share/bash-completion/completions/portcullis
  portcullis completions zsh > \"${fpath[1]}/_portcullis\"
  portcullis completions fish > ~/.config/fish/completions/portcullis.fish")]
pub(super) struct CompletionsArguments {
    /// The shell.
    shell: Shell,
}

/// Print a manual page.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  portcullis man | man -l -
  portcullis man test > /usr/local/share/man/man1/portcullis-test.1")]
pub(super) struct ManArguments {
    /// The verb that the page is about; the whole command, if absent.
    verb: Option<String>,
}

pub(super) fn completions(arguments: &CompletionsArguments) -> Result<Exit, String> {
    // Into memory, since it panics where it cannot write.
    let mut script = Vec::new();
    let mut command = super::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "portcullis", &mut script);
    print(&String::from_utf8_lossy(&script))
}

pub(super) fn man(arguments: &ManArguments) -> Result<Exit, String> {
    // Whoever reads a manual needs no verb that prints help.
    let mut command = super::Arguments::command().disable_help_subcommand(true);
    command.build();
    let page = match &arguments.verb {
        None => page(command),
        Some(verb) => page(verb_of(&command, verb)?),
    };
    print(&page.map_err(|error| error.to_string())?)
}

fn print(text: &str) -> Result<Exit, String> {
    let mut output = Output::new();
    write!(output, "{text}");
    output.finish().map(|()| Exit::Ok)
}

fn verb_of(command: &Command, name: &str) -> Result<Command, String> {
    let found = command.find_subcommand(name);
    found.cloned().ok_or_else(|| {
        let verbs = command.get_subcommands();
        let verbs: Vec<_> = verbs.map(|verb| format!("`{}`", verb.get_name())).collect();
        format!("no verb `{name}`; give one of {}", verbs.join(", "))
    })
}

/// The page of a command: what it does, its options, and what its help says at the end.
fn page(command: Command) -> io::Result<String> {
    let after = command
        .get_after_long_help()
        .or_else(|| command.get_after_help());
    let after = after.map(ToString::to_string);
    let verbs = command.has_subcommands();
    let version = command.get_version().unwrap_or(env!("CARGO_PKG_VERSION"));
    let source = format!("portcullis {version}");
    let name = command.get_display_name().unwrap_or("portcullis");
    let (title, manual) = (name.to_uppercase(), "Portcullis");
    // There is no date; its place in the page must not be taken by what follows it.
    let man = Man::new(command).title(title).date(" ");
    let man = man.source(source).manual(manual);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if verbs {
        man.render_subcommands_section(&mut page)?;
    }
    sections(&after.unwrap_or_default()).to_writer(&mut page)?;
    // Each part begins with what the page needs once.
    let preamble = Roff::new().render();
    let page = String::from_utf8_lossy(&page).replace(&preamble, "");
    Ok(format!("{preamble}{page}"))
}

/// The sections of a text: a line that ends with a colon is a heading, what is below it stays as it
/// is written.
fn sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    let (mut literal, mut blank) = (false, false);
    for line in text.lines() {
        let heading = line.strip_suffix(':').filter(|it| !it.starts_with(' '));
        if let Some(heading) = heading {
            if literal {
                roff.control("fi", []);
            }
            let heading = heading.to_uppercase();
            roff.control("SH", [heading.as_str()]).control("nf", []);
            (literal, blank) = (true, false);
        } else if line.trim().is_empty() {
            blank = true;
        } else {
            if std::mem::take(&mut blank) {
                roff.text([roman("")]);
            }
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
    }
    if literal {
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_a_heading_stays_as_it_is() {
        let text = "Examples:\n  one:\n    portcullis test\n\n  .two\n\nExit status:\n  0  good";
        assert_eq!(
            sections(text).to_roff(),
            ".SH EXAMPLES\n.nf\none:\n  portcullis test\n\n\\&.two\n.fi\n.SH \"EXIT STATUS\"\n.nf\n0  good\n.fi\n"
        );
    }
}
