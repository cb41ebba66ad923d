//! URLs of rules: what they are taken apart into, and what is refused.

use super::*;
use crate::cli::compile::expression::PathText;
use crate::policy::ApiPath;
use proptest::prelude::*;

const BOTH: &[&str] = &["http", "https"];

fn path(text: &str) -> PathText {
    PathText::Path(text.into())
}

fn regex(text: &str) -> PathText {
    PathText::Regex(text.into())
}

#[test]
fn urls_are_taken_apart() {
    use MatchingStrategy::{Glob, Regexp};
    for (url, strategy, schemes, host, paths, notes) in [
        (
            "https://a.com/b",
            Regexp,
            &["https"][..],
            "a.com",
            path("/b"),
            0,
        ),
        ("http://a.com/b", Regexp, &["http"], "a.com", path("/b"), 0),
        ("<http|https>://a.com/", Regexp, BOTH, "a.com", path("/"), 0),
        ("<https?>://a.com/", Regexp, BOTH, "a.com", path("/"), 0),
        ("http<s?>://a.com/", Regexp, BOTH, "a.com", path("/"), 0),
        (
            "<(https|http)>://a.com/",
            Regexp,
            BOTH,
            "a.com",
            path("/"),
            0,
        ),
        // As Kyma's controller writes it.
        (
            "<http|https>://a.com</.*>",
            Regexp,
            BOTH,
            "a.com",
            path("/*"),
            0,
        ),
        (
            "<http|https>://a.com</b/.*>",
            Regexp,
            BOTH,
            "a.com",
            path("/b/{**}"),
            0,
        ),
        (
            "<http|https>://a.com</b>",
            Regexp,
            BOTH,
            "a.com",
            path("/b"),
            0,
        ),
        (
            "<http|https>://a.com</b.c>",
            Regexp,
            BOTH,
            "a.com",
            regex("/b.c"),
            0,
        ),
        (
            "https://a.com<(/.*)?>",
            Regexp,
            &["https"],
            "a.com",
            regex("(/.*)?"),
            0,
        ),
        (
            "https://a.com/<.*>",
            Regexp,
            &["https"],
            "a.com",
            path("/*"),
            0,
        ),
        (
            "https://a.com/b/<.*>",
            Regexp,
            &["https"],
            "a.com",
            path("/b/{**}"),
            0,
        ),
        (
            "https://a.com/b.c",
            Regexp,
            &["https"],
            "a.com",
            path("/b.c"),
            0,
        ),
        (
            "https://a.com/b(c)",
            Regexp,
            &["https"],
            "a.com",
            path("/b(c)"),
            0,
        ),
        (
            "https://a.com/b-c/<[0-9]+>",
            Regexp,
            &["https"],
            "a.com",
            regex("/b-c/[0-9]+"),
            0,
        ),
        (
            "https://a.com/<b|c>/d",
            Regexp,
            &["https"],
            "a.com",
            regex("/(b|c)/d"),
            0,
        ),
        (
            "https://a.com/<(?i)b>/d",
            Regexp,
            &["https"],
            "a.com",
            regex("/((?i)b)/d"),
            0,
        ),
        (
            "https://a.com/b.<c>",
            Regexp,
            &["https"],
            "a.com",
            path("/b.c"),
            0,
        ),
        (
            "https://a.com/<(?P<x>b+)>",
            Regexp,
            &["https"],
            "a.com",
            regex("/((?P<x>b+))"),
            0,
        ),
        ("https://A.com/", Regexp, &["https"], "a.com", path("/"), 0),
        (
            "https://a.com:8443/",
            Regexp,
            &["https"],
            "a.com",
            path("/"),
            1,
        ),
        (
            "https://[::1]:80/",
            Regexp,
            &["https"],
            "[::1]",
            path("/"),
            1,
        ),
        ("https://[::1]/", Regexp, &["https"], "[::1]", path("/"), 0),
        (
            "https://a.com/b/",
            Regexp,
            &["https"],
            "a.com",
            path("/b/"),
            1,
        ),
        (
            "https://<[^/]+>.a.com/",
            Regexp,
            &["https"],
            "*.a.com",
            path("/"),
            0,
        ),
        (
            "https://<[^/:]*>.a.com:1/",
            Regexp,
            &["https"],
            "*.a.com",
            path("/"),
            1,
        ),
        (
            "https://<[\\w.-]+>.a.com</b>",
            Regexp,
            &["https"],
            "*.a.com",
            path("/b"),
            0,
        ),
        ("<{http,https}>://a.com/", Glob, BOTH, "a.com", path("/"), 0),
        (
            "https://a.com/<**>",
            Glob,
            &["https"],
            "a.com",
            path("/*"),
            0,
        ),
        (
            "https://a.com/<*>",
            Glob,
            &["https"],
            "a.com",
            regex("/[^./]*"),
            0,
        ),
        (
            "https://a.com/<{b,c?}>/*",
            Glob,
            &["https"],
            "a.com",
            regex("/((?:b|c[^./]))/\\*"),
            0,
        ),
        (
            "https://a.com/<[!a-c]>",
            Glob,
            &["https"],
            "a.com",
            regex("/[^a-c]"),
            0,
        ),
        (
            "https://a.com/<[a,.]>",
            Glob,
            &["https"],
            "a.com",
            regex("/[a\\x{2c}\\x{2e}]"),
            0,
        ),
        (
            "https://a.com/<\\*a,b>",
            Glob,
            &["https"],
            "a.com",
            regex("/\\*a,b"),
            0,
        ),
    ] {
        let found = OathkeeperUrl::parse(url, strategy).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(found.schemes, schemes, "`{url}`");
        assert_eq!(found.host.to_string(), host, "`{url}`");
        assert_eq!(*found.paths.simplest(), paths, "`{url}`");
        assert_eq!(found.notes.len(), notes, "`{url}`: {:?}", found.notes);
    }
}

#[test]
fn what_cannot_be_taken_apart_is_named() {
    use MatchingStrategy::{Glob, Regexp};
    for (url, strategy, named) in [
        ("a.com/b", Regexp, "`<http|https>://`"),
        ("<https?://>a.com/", Regexp, "`<http|https>://`"),
        ("<https?:>//a.com/", Regexp, "`<http|https>://`"),
        ("://a.com/", Regexp, "scheme ``"),
        ("ftp://a.com/", Regexp, "scheme `ftp`"),
        ("<.*>://a.com/", Regexp, "scheme `<.*>`"),
        (
            "<http|https|ws>://a.com/",
            Regexp,
            "scheme `<http|https|ws>`",
        ),
        ("<http|https>://a.com/", Glob, "scheme `<http|https>`"),
        ("https://a.com", Regexp, "no path"),
        ("https:///b", Regexp, "host ``"),
        ("https://*.a.com/", Regexp, "host `*.a.com`"),
        ("https://a_b@c.com/", Regexp, "host `a_b@c.com`"),
        ("https://a.com:http/", Regexp, "host `a.com:http`"),
        ("https://<.*>/", Regexp, "host `<.*>`"),
        ("https://<[^/]+>/", Regexp, "host `<[^/]+>`"),
        // It takes slashes, and so other hosts.
        ("https://<.*>.a.com/", Regexp, "host `<.*>.a.com`"),
        ("https://<[^.]+>.a.com/", Regexp, "host `<[^.]+>.a.com`"),
        ("https://<[^/:]+>a.com/", Regexp, "host `<[^/:]+>a.com`"),
        ("https://<[a-z]+>.a.com/", Regexp, "host `<[a-z]+>.a.com`"),
        ("https://<(a|b)>.a.com/", Regexp, "`<[^/]+>.`"),
        ("https://<**>.a.com/", Glob, "host `<**>.a.com`"),
        ("https://<*>.a.com/", Glob, "host `<*>.a.com`"),
        ("https://<a.com|b.com>/", Regexp, "host `<a.com|b.com>`"),
        (
            "https://a.com<.*>",
            Regexp,
            "`<.*>`, does not always begin with `/`",
        ),
        ("https://a<[0-9]>.com/b", Regexp, "a rule for each host"),
        ("https://a.com<>", Regexp, "no path is in `<>`"),
        ("https://a.com/b?c=d", Regexp, "no path is in `/b?c=d`"),
        ("https://a.com/<(?!b).*>", Regexp, "look-around"),
        ("https://a.com/<(a)\\1>", Regexp, "back reference"),
        ("https://a.com/<a)|(b>", Regexp, "`<a)|(b>`"),
        ("https://a.com/a<*>", Regexp, "`<*>`"),
        ("https://a.com/<b", Regexp, "in pairs"),
        ("https://a.com/b>", Regexp, "in pairs"),
        ("https://a.com/<(?<=b)c>", Regexp, "in pairs"),
        ("https://a.com/<{b,c>", Glob, "`{`"),
        ("https://a.com/<[b>", Glob, "list of letters"),
        ("https://a.com/<[]>", Glob, "list of letters"),
        ("https://a.com/<[a-]>", Glob, "list of letters"),
        ("https://a.com/<[b-a]>", Glob, "list of letters"),
        ("https://a.com/<a\\>", Glob, "at its end"),
    ] {
        let fault = OathkeeperUrl::parse(url, strategy).unwrap_err();
        assert!(
            fault.contains(url) && fault.contains(named),
            "`{url}`: {fault}"
        );
    }
}

/// Whether a glob matches, by trying every way.
fn glob_matches(glob: &[char], text: &[char]) -> bool {
    let is_plain = |letter: &char| !matches!(letter, '.' | '/');
    match glob {
        [] => text.is_empty(),
        ['*', '*', rest @ ..] => (0..=text.len()).any(|at| glob_matches(rest, &text[at..])),
        ['*', rest @ ..] => (0..=text.len())
            .take_while(|at| text[..*at].iter().all(is_plain))
            .any(|at| glob_matches(rest, &text[at..])),
        ['?', rest @ ..] => text.first().is_some_and(is_plain) && glob_matches(rest, &text[1..]),
        [letter, rest @ ..] => text.first() == Some(letter) && glob_matches(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn globs_match_what_they_should(glob in "[ab./*?]{0,6}", text in "[ab./]{0,6}") {
        let url = format!("https://a.com/<{glob}>");
        let found = OathkeeperUrl::parse(&url, MatchingStrategy::Glob).unwrap();
        let matches = match found.paths.simplest() {
            PathText::Path(path) => ApiPath::parse(path),
            PathText::Regex(regex) => ApiPath::parse_regex(regex),
        };
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(
            matches.unwrap().matches(format!("/{text}").as_bytes()),
            glob_matches(&chars(&glob), &chars(&text)),
            "`{}` and `{}`", glob, text
        );
    }

    #[test]
    fn text_outside_stands_for_itself(text in "[a-z.+*()\\[{|^$\\\\-]{0,8}", asked in "[a-z.+*]{0,8}") {
        let url = format!("https://a.com/{text}<b|c>");
        let found = OathkeeperUrl::parse(&url, MatchingStrategy::Regexp).unwrap();
        let PathText::Regex(regex) = found.paths.simplest() else { panic!("{found:?}") };
        let regex = ApiPath::parse_regex(regex).unwrap();
        let matches = |text: &str, end: &str| regex.matches(["/", text, end].concat().as_bytes());
        prop_assert!(matches(&text, "b") && matches(&text, "c") && !matches(&text, "d"));
        prop_assert_eq!(matches(&asked, "b"), asked == text);
    }
}
