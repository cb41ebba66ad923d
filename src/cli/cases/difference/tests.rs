//! Differences as one reads them.

use super::*;
use serde_json::json;

/// The lines of the difference between two values.
fn lines(expected: Value, got: Value) -> String {
    let difference = Difference::of("field", expected, got).unwrap();
    difference.to_string()
}

#[test]
fn what_is_the_same_is_no_difference() {
    for value in [json!(null), json!(200), json!("a\nb"), json!({"a": ["b"]})] {
        assert_eq!(Difference::of("field", value.clone(), value), None);
    }
}

#[test]
fn a_value_is_written_as_yaml_reads_it() {
    for (value, expected) in [
        (json!(200), "field: 200"),
        (json!("text"), "field: text"),
        (
            json!("ns[a]-policy[b]-rule[0]"),
            "field: ns[a]-policy[b]-rule[0]",
        ),
        (
            json!("RBAC: access denied"),
            r#"field: "RBAC: access denied""#,
        ),
        (json!("null"), r#"field: "null""#),
        (json!("200"), r#"field: "200""#),
        (json!("no"), r#"field: "no""#),
        (json!("*"), r#"field: "*""#),
        (json!(""), r#"field: """#),
        (json!("a "), r#"field: "a ""#),
        (json!("a #b"), r#"field: "a #b""#),
        (json!("\u{1b}[31m"), r#"field: "\u001b[31m""#),
        (json!([]), "field: []"),
        (json!(["a", "b"]), "field: [a, b]"),
        (json!(["a, b"]), "field:\n  - a, b"),
        (
            json!(["a".repeat(80)]),
            &format!("field:\n  - {}", "a".repeat(80)),
        ),
        (json!({}), "field: {}"),
        (json!({"a": "b", "c": "d"}), "field:\n  a: b\n  c: d"),
        (json!({"a": "b\nc"}), "field:\n  a: |-\n    b\n    c"),
        (json!("a\nb"), "field: |-\n  a\n  b"),
        (json!("a\nb\n"), "field: |\n  a\n  b"),
        (json!("a\n\u{7}b"), "field: |-\n  a\n  \\u{7}b"),
    ] {
        let found = field("field", &value).join("\n");
        assert_eq!(found, expected, "{value}");
        // As far as it is meant to be copied into a case file, it means the same there.
        if !expected.contains("u{7}") {
            let read: Value = serde_saphyr::from_str(&found).unwrap();
            assert_eq!(read, json!({"field": value}), "{found}");
        }
    }
}

#[test]
fn what_was_expected_stands_before_what_came() {
    for (name, expected, got, lines_of_it) in [
        (
            "a number",
            json!(200),
            json!(403),
            "- field: 200\n+ field: 403",
        ),
        (
            "nothing",
            json!("a"),
            json!(null),
            "- field: a\n+ field: null",
        ),
        (
            "a member",
            json!({"a": "x", "b": "y"}),
            json!({"a": "x", "b": "z"}),
            "  field:\n    a: x\n-   b: y\n+   b: z",
        ),
        (
            "a line",
            json!("a\nb\nc\n"),
            json!("a\nx\nc\n"),
            "  field: |\n    a\n-   b\n+   x\n    c",
        ),
        (
            "the end of the last line",
            json!("a\nb\n"),
            json!("a\nb"),
            "- field: |\n+ field: |-\n    a\n    b",
        ),
    ] {
        assert_eq!(lines(expected, got), lines_of_it, "{name}");
    }
}

#[test]
fn lines_far_from_a_difference_are_left_out() {
    let text = |changed: &[usize]| {
        let line = |at| match changed.contains(&at) {
            true => "changed".to_owned(),
            false => format!("line {at}"),
        };
        (0..40).map(line).collect::<Vec<_>>().join("\n")
    };
    let found = lines(text(&[]).into(), text(&[5, 30]).into());
    let gaps = found.lines().filter(|line| *line == "  …").count();
    assert_eq!(
        (gaps, found.lines().count()),
        (1, 2 * (3 + 2 + 3) + 1),
        "{found}"
    );
    assert!(
        found.contains("-   line 5\n+   changed\n    line 6"),
        "{found}"
    );
    assert!(!found.contains("line 20"), "{found}");
}

#[test]
fn a_long_json_text_is_compared_member_by_member() {
    let body = |scope: &str| {
        let body = json!({"active": true, "scope": scope, "sub": "a".repeat(60)});
        body.to_string()
    };
    assert_eq!(
        lines(body("read").into(), body("write").into()),
        format!(
            "  field: |-\n    {{\n      \"active\": true,\n-     \"scope\": \"read\",\n+     \"scope\": \"write\",\n      \
             \"sub\": \"{}\"\n    }}",
            "a".repeat(60)
        )
    );
    // What differs in spaces alone still differs.
    let spaced = body("read").replace(':', ": ");
    let found = lines(body("read").into(), spaced.into());
    assert_eq!(found.lines().count(), 2, "{found}");
    // A short one stays as it is.
    let found = lines(r#"{"a":1}"#.into(), r#"{"a":2}"#.into());
    assert_eq!(found.lines().count(), 2, "{found}");
}
