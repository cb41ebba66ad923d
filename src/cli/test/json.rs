//! The results of `portcullis test` for machines.

use super::{File, Report};
use crate::cli::cases::{CaseResult, Coverage, Difference};
use serde_json::{Value, json};

/// All results, in the order in which they came.
pub(super) fn of(report: &Report) -> Value {
    json!({
        "passed": report.count(true),
        "failed": report.count(false),
        "unplayable": report.unplayable(),
        "seconds": report.took.as_secs_f64(),
        "files": report.files.iter().map(file).collect::<Vec<_>>(),
        "coverage": report.coverage.iter().map(coverage).collect::<Vec<_>>(),
    })
}

fn file(file: &File) -> Value {
    json!({
        "file": file.path.to_string_lossy(),
        "config": file.config.as_ref().map(|it| it.to_string_lossy()),
        "error": file.played.as_ref().err().map(ToString::to_string),
        "seconds": file.took.as_secs_f64(),
        "cases": file.cases().map(case).collect::<Vec<_>>(),
    })
}

fn case(case: &CaseResult) -> Value {
    json!({
        "name": case.name,
        "line": case.line,
        "passed": case.differences.is_empty(),
        "seconds": case.took.as_secs_f64(),
        "differences": case.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}

fn difference(difference: &Difference) -> Value {
    match difference {
        Difference::Field {
            name,
            expected,
            got,
        } => json!({"field": name, "expected": expected, "got": got}),
        Difference::Error(why) => json!({"error": why}),
    }
}

fn coverage(coverage: &Coverage) -> Value {
    json!({
        "config": coverage.config.to_string_lossy(),
        "matched": coverage.rules(true).collect::<Vec<_>>(),
        "unmatched": coverage.rules(false).collect::<Vec<_>>(),
    })
}
