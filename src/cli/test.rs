//! `portcullis test`: plays case files against their configurations, and tells how they ended.

mod json;
mod junit;
mod text;

use super::cases::{self, CaseResult, Coverage, Unplayable};
use super::output::Output;
use super::progress::Progress;
use super::{Exit, output};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Play case files: requests, and what becomes of each under a configuration.
///
/// A case that fails is shown as a difference between what it expects (`-`) and what came (`+`), in
/// the words of the case file.
///
/// The rules of a configuration that no case of any of the files matched are told by `--coverage`:
/// those of `apiRules` and of policies, and the `jwtRules` by which no token was verified. A policy
/// with `dryRun` counts as any other.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  portcullis test tests/cases
  portcullis test --require-coverage cases.yaml
  portcullis test --junit report.xml --json cases/

Exit status:
  0  every case ended as it says
  1  a file could not be played, or there is no case
  3  a configuration has faults
  4  a case failed, or a rule is not covered and `--require-coverage` is given")]
pub(super) struct Arguments {
    /// Case files, or folders of them (every `*.yaml` below that is a case file).
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print JSON, for machines.
    #[arg(long)]
    json: bool,
    /// Also write the results to FILE, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Tell which rules no case matched.
    #[arg(long)]
    coverage: bool,
    /// Fail if there is a rule that no case matched.
    #[arg(long)]
    require_coverage: bool,
}

/// How all of it ended.
struct Report {
    files: Vec<File>,
    /// Of each configuration.
    coverage: Vec<Coverage>,
    /// Whether a rule that no case matched is a failure.
    demands_coverage: bool,
    took: Duration,
}

/// How a case file ended.
struct File {
    path: PathBuf,
    played: Result<Vec<CaseResult>, Unplayable>,
    /// Where its configuration stands.
    config: Option<PathBuf>,
    took: Duration,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, String> {
    let report = Report::of(&arguments.paths, arguments.require_coverage)?;
    for file in &report.files {
        if let Err(error) = &file.played {
            output::error(format_args!("{}: {error}", file.path.display()));
        }
    }
    let exit = report.exit();
    let mut output = Output::new();
    if arguments.json {
        writeln!(output, "{:#}", json::of(&report));
    } else {
        let coverage = arguments.coverage || arguments.require_coverage;
        text::write(&mut output, &report, coverage);
    }
    output.finish()?;
    if exit == Exit::CouldNotRun && report.unplayable() == 0 {
        output::error("no cases found");
    }
    if let Some(path) = &arguments.junit {
        let written = junit::of(&report)
            .and_then(|text| std::fs::write(path, text).map_err(|error| error.to_string()));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(exit)
}

// === impl Report ===

impl Report {
    /// Plays every file.
    fn of(paths: &[PathBuf], demands_coverage: bool) -> Result<Self, String> {
        let since = Instant::now();
        let paths = cases::files(paths)?;
        let progress = Progress::of(paths.len(), "files");
        let (mut files, mut coverage) = (Vec::new(), Vec::new());
        for path in paths {
            let since = Instant::now();
            let (config, played) = match cases::play(&path) {
                Ok(played) => {
                    let config = played.coverage.config.clone();
                    Coverage::join(&mut coverage, played.coverage);
                    (Some(config), Ok(played.cases))
                }
                Err(error) => (None, Err(error)),
            };
            files.push(File {
                path,
                played,
                config,
                took: since.elapsed(),
            });
            progress.step();
        }
        Ok(Self {
            files,
            coverage,
            demands_coverage,
            took: since.elapsed(),
        })
    }

    fn cases(&self) -> impl Iterator<Item = &CaseResult> {
        self.files.iter().flat_map(File::cases)
    }

    /// How many cases passed, or failed.
    fn count(&self, passed: bool) -> usize {
        let cases = self.cases();
        let cases = cases.filter(|case| case.differences.is_empty() == passed);
        cases.count()
    }

    /// How many files could not be played.
    fn unplayable(&self) -> usize {
        let files = self.files.iter();
        files.filter(|file| file.played.is_err()).count()
    }

    /// How many rules no case matched.
    fn unmatched(&self) -> usize {
        let coverage = self.coverage.iter();
        coverage.flat_map(|it| it.rules(false)).count()
    }

    /// What is worst.
    fn exit(&self) -> Exit {
        let errors = || {
            self.files
                .iter()
                .filter_map(|file| file.played.as_ref().err())
        };
        let broken = |error: &Unplayable| matches!(error, Unplayable::Broken(_));
        if errors().any(broken) {
            Exit::CouldNotRun
        } else if errors().next().is_some() {
            Exit::InvalidConfiguration
        } else if self.cases().next().is_none() {
            Exit::CouldNotRun
        } else if self.count(false) > 0 || (self.demands_coverage && self.unmatched() > 0) {
            Exit::CasesFailed
        } else {
            Exit::Ok
        }
    }
}

// === impl File ===

impl File {
    fn cases(&self) -> impl Iterator<Item = &CaseResult> {
        self.played.iter().flatten()
    }
}
