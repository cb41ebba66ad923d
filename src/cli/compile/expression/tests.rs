//! What paths mean together: tables, and agreement with the code that judges requests.

use super::*;
use proptest::prelude::*;

/// An expression, or a path if it is a template.
fn read(text: &str) -> Expression {
    match text.contains("{*") || text == "/*" {
        true => Expression::path(text),
        false => Expression::regex(text),
    }
    .unwrap()
}

#[test]
fn covers_and_intersects() {
    for (wide, narrow, covered, intersecting) in [
        ("/a", "/a", true, true),
        ("/a", "/b", false, false),
        ("/a", "/aa", false, false),
        ("/.*", "/a", true, true),
        ("/a", "/.*", false, true),
        ("/a|/ab", "/ab", true, true),
        ("/(a|ab)(c|bcd)", "/abcd", true, true),
        ("/a.b", "/a/b", true, true),
        ("/a.b", "/a\\.b", true, true),
        ("/a\\.b", "/a.b", false, true),
        ("/a*", "/a+", true, true),
        ("/a+", "/a*", false, true),
        ("/[ab]*", "/(a|b)*", true, true),
        ("/[0-9]+", "/\\d{1,3}", true, true),
        ("/\\d", "/\u{663}", false, false),
        ("/\\D", "/\u{663}", true, true),
        ("/[^/]", "/\u{e9}", true, true),
        ("/(?i)ab", "/aB", true, true),
        ("/(?i:a)b", "/AB", false, false),
        ("/(?i)k", "/\u{212a}", false, false),
        ("/[[:alpha:]]+", "/[a-zA-Z]+", true, true),
        ("/[[:^alpha:]]", "/a", false, false),
        ("/\\w+\\b.*", "/a-", true, true),
        ("/\\w+\\b.*", "/-", false, false),
        // Neither `?` nor `#` nor a control character is in a path.
        ("/[!-~]*", "/[\\x00-~]*", true, true),
        ("/", "/[ -!?#]?", false, true),
        ("/", "/[ ?#]?", true, true),
        // No path begins otherwise.
        ("/.*", ".*", true, true),
        ("a", "a", true, false),
        ("/{*}", "/a", true, true),
        ("/{*}", "/", false, false),
        ("/{*}", "/\\[", false, false),
        ("/{*}", "/[^/]+", false, true),
        ("/[^/]+", "/{*}", true, true),
        ("/{**}", "/{*}", true, true),
        ("/a/{**}", "/a/.*", false, true),
        ("/a/.*", "/a/{**}", true, true),
        ("/*", "/a/.*", true, true),
        ("/*", "/{**}", true, true),
        ("/{*}/b", "/{**}/b", false, true),
        ("/{**}/b", "/{*}/b", true, true),
    ] {
        let found = (
            read(wide).covers(&read(narrow)),
            read(wide).intersects(&read(narrow)),
        );
        let expected = (Some(covered), Some(intersecting));
        assert_eq!(found, expected, "`{wide}` and `{narrow}`");
    }
}

#[test]
fn a_path_with_an_escape_is_also_for_what_it_stands_for() {
    let path = Expression::path("/a%41").unwrap();
    for (regex, covered) in [("/a%41", true), ("/aA", true), ("/aa", false)] {
        assert_eq!(path.covers(&read(regex)), Some(covered), "`{regex}`");
    }
}

#[test]
fn what_is_too_big_has_no_answer() {
    let big = read("/.*a.{14}");
    assert_eq!(big.covers(&read("/a")), None);
    assert_eq!(read("/a").intersects(&big), None);
    assert_eq!(read("/.*a.{4}").covers(&read("/ab/cd")), Some(true));
}

#[test]
fn the_plainest_way_to_write_it() {
    for (regex, expected) in [
        ("/", Some("/")),
        ("/foo", Some("/foo")),
        ("/foo/", Some("/foo/")),
        ("/foo-bar/_baz~", Some("/foo-bar/_baz~")),
        ("/.*", Some("/*")),
        ("(/.*)", Some("/*")),
        ("/foo/.*", Some("/foo/{**}")),
        ("/foo/bar/(.*)", Some("/foo/bar/{**}")),
        ("/foo//.*", Some("/foo//{**}")),
        ("/v1\\.0", Some("/v1.0")),
        ("/v1.0", None),
        ("/foo.*", None),
        ("/foo/.+", None),
        ("/foo/.*/bar", None),
        ("/foo/(.*|a)", None),
        ("/a|/b", None),
        ("/a%20b", None),
        ("/a%20b/.*", None),
        ("/\\*", None),
        ("/\\{\\*\\}", None),
        ("/\u{e9}", None),
        ("/a b", None),
        (".*", None),
        ("foo", None),
        ("(?i)/1", Some("/1")),
        ("(?i)/a", None),
        ("", None),
    ] {
        let expected = expected.map_or_else(
            || PathText::Regex(regex.into()),
            |path| PathText::Path(path.into()),
        );
        assert_eq!(*read(regex).simplest(), expected, "`{regex}`");
    }
    let path = Expression::path("/a/{*}").unwrap();
    assert_eq!(*path.simplest(), PathText::Path("/a/{*}".into()));
}

#[test]
fn what_is_not_supported_is_named() {
    for (regex, named) in [
        ("/(?!admin).*", "look-around"),
        ("/(?=a).*", "look-around"),
        ("/(?<!a)b", "look-around"),
        ("/(a)\\1", "back reference"),
        ("/\\pL", "`\\pL`"),
        ("/[\\p{Greek}a]", "`\\p{Greek}`"),
        ("/[a-z&&[^b]]", "`a-z&&[^b]`"),
        ("/[a[b]]", "`[b]`"),
        ("/(?x) a", "`x`"),
        ("/(?-u:a)", "`u`"),
        ("/\\b{start}a", "`\\b{start}`"),
        ("/a{,3}", "a fault"),
        ("/(?>a)", "a fault"),
        ("/(", "a fault"),
        ("/a)|(b", "a fault"),
        ("/*{", "a fault"),
        (&"(a{100}){100}".repeat(10), "too long"),
    ] {
        let fault = Expression::regex(regex).unwrap_err();
        assert!(fault.contains(named), "`{regex}`: {fault}");
    }
    let fault = Expression::path("/a*").unwrap_err();
    assert!(
        fault.contains("`/a*`") && fault.contains("`{*}`"),
        "{fault}"
    );
}

/// Every path of up to five letters, of those that the random expressions use.
fn short_paths() -> Vec<String> {
    let mut paths = vec!["/".to_owned()];
    let mut from = 0;
    for _ in 0..4 {
        let longer: Vec<_> = paths[from..]
            .iter()
            .flat_map(|path| ["/", "a", "B", ".", "\u{e9}"].map(|letter| format!("{path}{letter}")))
            .collect();
        from = paths.len();
        paths.extend(longer);
    }
    paths
}

fn regexes() -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        Just("a"),
        Just("b"),
        Just("B"),
        Just("/"),
        Just("\\."),
        Just("."),
        Just("[^/]"),
        Just("[a-b]"),
        Just("[^a.]"),
        Just("\\w"),
        Just("\\W"),
        Just("[\\d/]"),
        Just("\u{e9}"),
        Just("\\b"),
        Just("$"),
        Just("(?i)"),
        Just("(?i:A)"),
        Just("[[:^upper:]]"),
        Just("[A-z]"),
        Just("(?i:[Z-b])"),
    ];
    let regex = letter
        .prop_map(str::to_owned)
        .prop_recursive(4, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                (inner.clone(), inner.clone())
                    .prop_map(|(one, other)| format!("(?:{one}|{other})")),
                (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("{one}|{other}")),
                (
                    inner,
                    prop_oneof![Just("*"), Just("+"), Just("?"), Just("{2}"), Just("{1,}?")]
                )
                    .prop_map(|(part, times)| format!("({part}){times}")),
            ]
        });
    prop_oneof![regex.clone().prop_map(|it| format!("/(?:{it})")), regex]
}

fn templates() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        Just("a"),
        Just("aB"),
        Just("."),
        Just("{*}"),
        Just(""),
        Just("%61")
    ];
    let segments = prop::collection::vec(segment, 1..4);
    let plain = segments.prop_map(|segments| format!("/{}", segments.join("/")));
    let ended = plain.clone().prop_map(|path| format!("{path}/{{**}}"));
    prop_oneof![plain, ended, Just("/*".to_owned())]
}

/// What a rule is for, by the code that judges requests, and by this module.
fn both() -> impl Strategy<Value = (String, ApiPath, Expression)> {
    let of_regex = regexes().prop_filter_map("not an expression", |text| {
        let path = ApiPath::parse_regex(&text).ok()?;
        let expression = Expression::regex(&text).ok()?;
        Some((text, path, expression))
    });
    let of_template = templates().prop_map(|text| {
        let (path, expression) = (ApiPath::parse(&text), Expression::path(&text));
        (text, path.unwrap(), expression.unwrap())
    });
    prop_oneof![3 => of_regex, 1 => of_template]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn agrees_with_the_code_that_judges(
        (left, left_path, one) in both(),
        (right, right_path, other) in both(),
    ) {
        let matches = |path: &ApiPath, text: &[u8]| path.matches(text);
        let beyond = one.example(&other, |in_one, in_other| in_other && !in_one);
        let common = one.example(&other, |in_one, in_other| in_other && in_one);
        let (beyond, common) = (beyond.unwrap(), common.unwrap());
        // An example must be one ...
        for (example, in_one) in [(&beyond, false), (&common, true)] {
            let Some(text) = example else { continue };
            prop_assert!(text.starts_with(b"/"));
            prop_assert_eq!(matches(&left_path, text), in_one, "`{}` and {:?}", left, text);
            prop_assert!(matches(&right_path, text), "`{}` and {:?}", right, text);
        }
        // ... and where there is none, no short path may be one.
        for text in short_paths() {
            let found = (
                matches(&left_path, text.as_bytes()),
                matches(&right_path, text.as_bytes()),
            );
            let told = (beyond.is_none(), common.is_none());
            prop_assert!(!(told.0 && found == (false, true)), "`{left}`, `{right}`: `{text}`");
            prop_assert!(!(told.1 && found == (true, true)), "`{left}`, `{right}`: `{text}`");
        }
        prop_assert_eq!(one.covers(&other), Some(beyond.is_none()));
        prop_assert_eq!(one.intersects(&other), Some(common.is_some()));
    }

    #[test]
    fn the_plainest_way_means_the_same((text, path, expression) in both()) {
        let PathText::Path(simple) = expression.simplest() else { return Ok(()) };
        let simple = ApiPath::parse(simple).unwrap();
        for asked in short_paths() {
            // No template takes letters beyond ASCII.
            let is_same = path.matches(asked.as_bytes()) == simple.matches(asked.as_bytes());
            prop_assert!(is_same || !asked.is_ascii(), "`{text}`: `{asked}`");
        }
    }
}
