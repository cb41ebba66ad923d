//! What the connection manager makes of paths, option by option, and laws that hold for any path.

use super::PathNormalization::{Base, DecodeAndMergeSlashes, MergeSlashes, None as Nothing};
use super::*;
use proptest::prelude::*;

const ALL: [PathNormalization; 3] = [Base, MergeSlashes, DecodeAndMergeSlashes];

/// The path under each of [`ALL`]; `400` where there is none.
fn results(path: &[u8]) -> [String; 3] {
    ALL.map(|it| match it.normalize(path) {
        Ok(path) => path.escape_ascii().to_string(),
        Err(UnreadablePath) => "400".to_owned(),
    })
}

#[test]
fn paths_that_say_one_thing_are_borrowed() {
    for path in [
        "/",
        "/a",
        "/a/b.html",
        "/a/",
        "/a./b",
        "/a..b",
        "/...",
        "/.a/..b",
        "/a/...;/b",
        "/;a",
        "/a;b=c/d",
        "/!$&'()*+,-:=@[]_~",
        "/?",
        "/a?//..\\%2e%00\"{|",
        "/%20%2B%22%25%3f%c3%a9%ff%7f",
        "/%",
        "/%0",
        "/%zz",
        "/%252e%252e/a",
        "/a/..%3bx/b",
        "//",
        "*",
        "",
        "a/../b",
        "%2fa",
        "?/../a",
        "#",
    ] {
        for it in ALL {
            let result = it.normalize(path.as_bytes());
            let expected = Ok(Cow::Borrowed(path.as_bytes()));
            assert_eq!(result, expected, "`{path}` {it:?}");
            assert!(
                matches!(result, Ok(Cow::Borrowed(_))),
                "`{path}` {it:?} is copied"
            );
        }
    }
}

#[test]
fn none_changes_nothing() {
    let path = b"//a\\..\\%2e\xff%00?b#c";
    assert_eq!(Nothing.normalize(path), Ok(Cow::Borrowed(&path[..])));
    assert_eq!(PathNormalization::default(), Nothing);
}

#[test]
fn dots_and_escapes_are_the_same_for_all() {
    for (path, expected) in [
        ("/.", "/"),
        ("/..", "/"),
        ("/../../a", "/a"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/../../../c", "/c"),
        ("/%2e", "/"),
        ("/a/%2E%2e/b", "/b"),
        ("/a/.%2e", "/"),
        ("/a/%2e./b", "/b"),
        ("/a/%2e%2e%2e", "/a/..."),
        ("/a%2eb/%2ec", "/a.b/.c"),
        ("/a\\b", "/a/b"),
        ("/a\\..\\b", "/b"),
        ("/a/..?..//", "/?..//"),
        ("/%61%5A%30%2d%5f%7e%7E", "/aZ0-_~~"),
        ("/%C3%a9%61", "/%C3%a9a"),
        ("/%252e%61", "/%252ea"),
        ("/a\"b<c>d^e`f{g|h}", "/a%22b%3Cc%3Ed%5Ee%60f%7Bg%7Ch%7D"),
        ("/a b\t\u{7f}\u{e9}", "/a%20b%09%7F%C3%A9"),
        ("/a/b/..;/c", "/a/c"),
        ("/a/.;x=y/b", "/a/b"),
        ("/a/..;x", "/"),
        ("/a/..;x%00/b", "/b"),
        ("/a/%2e%2e;/b", "/a/..;/b"),
        ("/a\\..;\\b", "/a/..;/b"),
        ("/a/..;x\\b/c", "/c"),
        ("/%%32%65%%32%65/a", "/%252e%252e/a"),
        ("/%%32fa", "/%252fa"),
        ("/%2%66a", "/%252fa"),
        ("/%5%63x", "/%255cx"),
        ("/%%%32%65", "/%%252e"),
        ("/%%30%30", "/%2500"),
        ("/%%33", "/%3"),
        ("/%%33x", "/%3x"),
        ("/%4%%31", "/%4%1"),
        ("/%/../ab%63", "/abc"),
        ("/a#b", "/a"),
        ("/a?b#c", "/a?b"),
        ("/a/..#?x", "/"),
        ("/a%23b#c", "/a%23b"),
    ] {
        let expected = [expected; 3].map(str::to_owned);
        assert_eq!(results(path.as_bytes()), expected, "`{path}`");
    }
}

#[test]
fn slashes_are_merged_and_decoded_where_the_option_says_so() {
    for (path, expected) in [
        ("//a", ["//a", "/a", "/a"]),
        ("///", ["///", "//", "//"]),
        ("/a//", ["/a//", "/a/", "/a/"]),
        (
            "/a///b//?c//d",
            ["/a///b//?c//d", "/a/b/?c//d", "/a/b/?c//d"],
        ),
        ("/a//../b", ["/a/b", "/a/b", "/a/b"]),
        ("/a/..//", ["//", "//", "//"]),
        ("/a/\\/b", ["/a///b", "/a/b", "/a/b"]),
        ("/a%2f..%2Fb", ["/a%2f..%2Fb", "/a%2f..%2Fb", "/b"]),
        ("/a%5c..%5Cb", ["/a%5c..%5Cb", "/a%5c..%5Cb", "/b"]),
        ("/%2f", ["/%2f", "/%2f", "//"]),
        ("//%2F", ["//%2F", "/%2F", "//"]),
        ("/a%2F%2fb", ["/a%2F%2fb", "/a%2F%2fb", "/a/b"]),
        ("/a/%2e%2e%2fb", ["/a/..%2fb", "/a/..%2fb", "/b"]),
        ("/a%2f..;x%2fb", ["/a%2f..;x%2fb", "/a%2f..;x%2fb", "/b"]),
        ("/a/..;%2fb/c", ["/c", "/c", "/b/c"]),
        ("/a%5c..;x/b", ["/a%5c..;x/b", "/a%5c..;x/b", "/a/..;x/b"]),
        ("/%252fa", ["/%252fa", "/%252fa", "/%252fa"]),
        ("/%2%2f", ["/%2%2f", "/%2%2f", "/%2/"]),
        ("/a?%2f", ["/a?%2f", "/a?%2f", "/a?%2f"]),
    ] {
        assert_eq!(results(path.as_bytes()), expected, "`{path}`");
    }
}

#[test]
fn a_nul_is_refused_before_the_query_alone() {
    for path in ["/%00", "/a%00b", "/a\0b", "/%00/../b", "/a/..%00"] {
        assert_eq!(results(path.as_bytes()), ["400"; 3], "`{path}`");
    }
    for path in ["/?%00", "/#%00", "/%0", "/%01", "/%2500"] {
        assert_ne!(results(path.as_bytes()), ["400"; 3], "`{path}`");
    }
}

#[test]
fn bytes_beyond_ascii_are_escaped_one_by_one() {
    assert_eq!(results(b"/\xc3\xa9"), ["/%C3%A9"; 3]);
    assert_eq!(results(b"/\xff\x80"), ["/%FF%80"; 3]);
    assert_eq!(results(b"/\xc0\xae\xc0\xae/a"), ["/%C0%AE%C0%AE/a"; 3]);
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(&b"/.%%25eEfF;\\0?#a"[..]);
    let byte = prop_oneof![9 => piece, 1 => any::<u8>()];
    proptest::collection::vec(byte, 0..40).prop_map(|path| [&b"/"[..], &path].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn results_are_bounded_and_leave_the_query_alone(path in hostile()) {
        let query = split(split(&path, b'#').0, b'?').1;
        for it in ALL {
            let Ok(normal) = it.normalize(&path) else { continue };
            prop_assert!(normal.len() <= path.len().saturating_mul(3));
            prop_assert!(normal.starts_with(b"/"));
            prop_assert_eq!(split(&normal, b'?').1, query);
        }
    }

    #[test]
    fn what_is_normal_stays_as_it_is(path in hostile()) {
        for it in ALL {
            let Ok(normal) = it.normalize(&path) else { continue };
            // Envoy is not idempotent here: see `normalize`.
            let uncovered = split(&normal, b'?').0.split(|byte| *byte == b'/')
                .any(|it| it.starts_with(b".;") || it.starts_with(b"..;"));
            if !uncovered {
                let again = it.normalize(&normal);
                prop_assert!(matches!(again, Ok(Cow::Borrowed(_))), "{:?}", again);
                prop_assert_eq!(again.as_ref(), Ok(&normal));
            }
        }
    }

    #[test]
    fn no_dot_segment_is_left(path in hostile()) {
        for it in ALL {
            let Ok(normal) = it.normalize(&path) else { continue };
            let segments = || split(&normal, b'?').0.split(|byte| *byte == b'/').skip(1);
            prop_assert!(segments().all(|it| it != b"." && it != b".."));
        }
    }
}
