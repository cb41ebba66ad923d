//! The results of `portcullis test` for people.

use super::Report;
use crate::cli::cases::{Coverage, Line};
use crate::cli::output::Output;
use crate::cli::output::style::{BAD, FAINT, GOOD, STRONG, WARNING};

/// Writes each failure as a difference, then what was covered, then how many there are.
pub(super) fn write(output: &mut Output, report: &Report, coverage: bool) {
    for file in &report.files {
        for case in file.cases().filter(|case| !case.differences.is_empty()) {
            let (path, line) = (file.path.display(), case.line);
            let failed = BAD.bold();
            let name = &case.name;
            writeln!(
                output,
                "{failed}FAILED{failed:#} {STRONG}{path}:{line}{STRONG:#}: {name}"
            );
            for line in case.differences.iter().flat_map(|it| it.lines()) {
                let style = match &line {
                    Line::Expected(_) | Line::Error(_) => BAD,
                    Line::Got(_) => GOOD,
                    Line::Same(_) | Line::Gap => FAINT,
                };
                writeln!(output, "    {style}{line}{style:#}");
            }
        }
    }
    if coverage {
        report.coverage.iter().for_each(|it| covered(output, it));
    }
    let (passed, failed) = (report.count(true), report.count(false));
    if passed == 0 && failed == 0 && report.unplayable() == 0 {
        return;
    }
    let style = match failed {
        0 => GOOD,
        _ => BAD,
    };
    write!(output, "{style}{passed} passed, {failed} failed{style:#}");
    match report.unmatched() {
        1 if report.demands_coverage => write!(output, "{BAD}, 1 rule never matched{BAD:#}"),
        more if report.demands_coverage && more > 0 => {
            write!(output, "{BAD}, {more} rules never matched{BAD:#}");
        }
        _ => {}
    }
    match report.unplayable() {
        0 => {}
        1 => write!(output, "{BAD}, 1 file could not be played{BAD:#}"),
        more => write!(output, "{BAD}, {more} files could not be played{BAD:#}"),
    }
    writeln!(output);
}

fn covered(output: &mut Output, coverage: &Coverage) {
    let (config, rules) = (coverage.config.display(), coverage.len());
    let matched = coverage.rules(true).count();
    writeln!(output, "{config}: {matched} of {rules} rules matched");
    for rule in coverage.rules(false) {
        writeln!(output, "    {WARNING}never matched{WARNING:#}: {rule}");
    }
}
