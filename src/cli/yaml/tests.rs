//! Where things stand in a document.

use super::*;

const TEXT: &str = "\
# é
kind: APIRule
spec:
  rules:
  - path: /a
    methods: [GET, \"POST\"]
  - path: /b # ü
  empty:
  a.b: {c: 1}
---
{\"kind\": \"List\", \"items\": []}
---
";

#[allow(
    clippy::string_slice,
    reason = "places that are known to be whole letters"
)]
fn at(text: &str, span: Range<usize>) -> &str {
    text.get(span).unwrap()
}

#[test]
fn everything_is_where_it_stands() {
    let documents = documents(TEXT).unwrap();
    assert_eq!(documents.len(), 2);
    let first = &documents[0];
    for (path, expected) in [
        ("$.kind", "APIRule"),
        ("$.spec", "spec"),
        ("$.spec.rules", "rules"),
        ("$.spec.rules[0].path", "/a"),
        ("$.spec.rules[0].methods", "methods"),
        ("$.spec.rules[0].methods[1]", "\"POST\""),
        ("$.spec.rules[1].path", "/b"),
        ("$.spec.rules[1].nothing", "path"),
        ("$.spec.empty", "empty"),
        ("$.spec.a.b.c", "1"),
        ("$.spec.nothing.there", "spec"),
    ] {
        let found = at(TEXT, first.place(path));
        assert!(
            found == expected || path.ends_with("nothing"),
            "{path}: {found:?}"
        );
    }
    let post = first.get("spec").and_then(|it| it.get("rules")).unwrap();
    let post = &post.items()[0].get("methods").unwrap().items()[1];
    let path = first.path_to(post).unwrap();
    assert_eq!(path, ".spec.rules[0].methods[1]");
    assert_eq!(at(TEXT, documents[1].place("$.kind")), "\"List\"");
}

#[test]
fn the_order_of_a_file_is_kept() {
    let text = "b: 1\na: [true, null, 1.5, x]\n";
    let documents = documents(text).unwrap();
    assert_eq!(
        serde_json::to_string(&documents[0]).unwrap(),
        r#"{"b":1,"a":[true,null,1.5,"x"]}"#
    );
}

#[test]
fn what_is_no_yaml_is_told_with_its_place() {
    for (text, at) in [
        ("a: [1", None),
        ("a: 1\nb: 'x\n", None),
        ("a: 1\na: 2\n", Some(5)),
        ("a: *nowhere\n", Some(3)),
        ("a:\n\t- b\n", None),
    ] {
        let error = documents(text).unwrap_err();
        assert!(!error.message.is_empty());
        if at.is_some() {
            assert_eq!(error.at, at, "{text:?}: {error:?}");
        }
    }
}
