//! The results of `portcullis test` as JUnit XML, which build servers show.

use super::{File, Report};
use crate::cli::cases::{CaseResult, Coverage};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

/// The text of the report: a suite for each case file, and one for the coverage if it is demanded.
pub(super) fn of(report: &Report) -> Result<String, String> {
    let mut junit = quick_junit::Report::new("portcullis test");
    junit.set_time(report.took);
    for file in &report.files {
        let coverage = report.coverage.iter();
        let coverage = coverage.filter(|it| Some(&it.config) == file.config.as_ref());
        let mut suite = suite(file);
        coverage.for_each(|it| properties(&mut suite, it));
        junit.add_test_suite(suite);
    }
    if report.demands_coverage {
        let mut suite = TestSuite::new("coverage");
        suite.add_test_cases(report.coverage.iter().map(demanded));
        junit.add_test_suite(suite);
    }
    junit.to_string().map_err(|error| error.to_string())
}

fn suite(file: &File) -> TestSuite {
    let path = file.path.to_string_lossy();
    let mut suite = TestSuite::new(&*path);
    suite.set_time(file.took);
    suite.add_test_cases(file.cases().map(|it| case(&path, it)));
    if let Err(error) = &file.played {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message("it could not be played");
        status.set_description(error.to_string());
        let mut case = TestCase::new(&*path, status);
        case.set_classname(&*path);
        suite.add_test_case(case);
    }
    suite
}

fn case(path: &str, result: &CaseResult) -> TestCase {
    let mut status = TestCaseStatus::success();
    if let Some((first, others)) = result.differences.split_first() {
        let mut message = first.summary();
        if !others.is_empty() {
            message.push_str(&format!(", and {} more", others.len()));
        }
        let lines: Vec<_> = result.differences.iter().map(ToString::to_string).collect();
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type("difference");
        status.set_message(message);
        status.set_description(lines.join("\n"));
    }
    let mut case = TestCase::new(result.name.as_str(), status);
    case.set_classname(path);
    case.set_time(result.took);
    let attributes = [("file", path.to_owned()), ("line", result.line.to_string())];
    let attributes = attributes.map(|(name, value)| (name.into(), value.into()));
    case.extra.extend(attributes);
    case
}

/// What all cases of a configuration covered.
fn properties(suite: &mut TestSuite, coverage: &Coverage) {
    suite.add_property(("coverage.config", &*coverage.config.to_string_lossy()));
    suite.add_property(("coverage.rules", &*coverage.len().to_string()));
    let unmatched = coverage.rules(false);
    suite.add_properties(unmatched.map(|rule| ("coverage.unmatched", rule)));
}

fn demanded(coverage: &Coverage) -> TestCase {
    let unmatched: Vec<_> = coverage.rules(false).collect();
    let mut status = TestCaseStatus::success();
    if !unmatched.is_empty() {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type("coverage");
        status.set_message(format!(
            "{} of {} rules never matched",
            unmatched.len(),
            coverage.len()
        ));
        status.set_description(unmatched.join("\n"));
    }
    let mut case = TestCase::new(&*coverage.config.to_string_lossy(), status);
    case.set_classname("coverage");
    case
}
