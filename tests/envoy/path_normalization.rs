//! [`PathNormalization`] is Envoy's own: for each option a real connection manager is asked the same.
//!
//! A fourth listener does not normalise. It shows which paths Envoy's HTTP parser refuses before there
//! is anything to normalise; only those are left out, and counted. Paths come from a table and from
//! a generator with a fixed seed.

use std::collections::BTreeMap;

use portcullis::request::PathNormalization;
use proptest::{
    collection::vec,
    sample::select,
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use serde_json::{Value, json};

use self::http2::Http2;
use crate::harness::{Builder, Client, Envoy, Listener, Tool, Version};

#[path = "path_normalization/http2.rs"]
mod http2;

const GENERATED: usize = 5000;
/// Fewer paths to compare than this would show little.
const MIN_COMPARED: usize = 4500;

/// What paths are made of, a space between any two; each path begins with a slash besides.
const PIECES: &[u8] = b"/ / / // \\ . . .. .. /.. /../ /./ ..; ... %2e %2E %2f %2F %5c %5C %25 %2 % % %0 \
    %zz %00 %61 %7e %7E %2d %32 %36 %65 %66 %41 %3b %3F %23 %ff %c3%a9 \x80 \xff \xc3\xa9 \xc0\xae ? # \
    a b e F 2 0 ~ ! [ ] | { } \" < > ^ ` : @ ; = & ' * + , $ _ -";

/// Paths, a space between any two.
const HAND_PICKED: &[u8] = b"/ // /// //a /a// /a//?b//c /a/..// /a//../b \
    /. /.. /a/. /a/.. /a/../ /../../a /a/b/../../../c /... /.a /a./b /a/..b \
    /%2e /a/%2E%2e/b /a/.%2e /a/%2e./b /a/%2e%2e%2e /a\\..\\b /a\\ /a/\\/b \
    /a%5c..%5Cb /a%2f..%2Fb /%2f /%5C //%2f /a%2F%2fb /a/%2e%2e%2fb /a%3Fb/..%2fc \
    /? /a?%2f..%00//\\ /a/..?x /a/.?x /a?b?c \
    /; /a;b/c /a/..;/b /a/.;x/b /a/..; /a/...;/b /a/..;x\\b/c /a\\..;\\b /a/%2e%2e;/b /a/..%3bx/b \
    /a%2f..;x%2fb /a%5c..;x/b /a/..;%2fb/c /a/..;x%00/b /a/..;x?y \
    /% /%0 /%zz /%00 /a%00/../b /%01 /%7f /%20 \
    /%%32%65%%32%65/a /%%32fa /%2%66a /%2%2f /%5%63x /%%%32%65 /%%30%30 /%%33 /%%33x /%4%%31 \
    /%/../ab%63 /%/../a%62c /%252e /%C3%a9%61 /%c0%af \
    /\xc3\xa9 /%2\xe9 /%%32\xff /\xff/../\x80 /\xc0\xae\xc0\xae/a \
    /a#b /a?b#c /a/..#?x /a/#/../b /# /a%23b#c";

/// No version of HTTP lets these pass.
const REFUSED_BY_THE_PARSER: &[&[u8]] = &[b"/a b", b"/a\x01", b"/a\0b", b"/a\x7f"];

const REJECT_FRAGMENTS: &str = "envoy.reloadable_features.http_reject_path_with_fragment";

/// The listener that does not normalise.
const AS_RECEIVED: &str = "as-received";

fn tools(version: Version) -> [Tool; 1] {
    [Tool::Envoy(version)]
}

/// The options, each with the name of its listener and what Istio has the connection manager do.
fn options() -> [(PathNormalization, &'static str, Value); 3] {
    [
        (
            PathNormalization::Base,
            "base",
            json!({"normalize_path": true}),
        ),
        (
            PathNormalization::MergeSlashes,
            "merge-slashes",
            json!({"normalize_path": true, "merge_slashes": true}),
        ),
        (
            PathNormalization::DecodeAndMergeSlashes,
            "decode-and-merge-slashes",
            json!({
                "normalize_path": true,
                "merge_slashes": true,
                "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
            }),
        ),
    ]
}

on_every_envoy! {
    needs tools;

    fn every_option_does_what_envoy_does(version) {
        // As the bootstrap of Istio's gateways has it.
        let envoy = builder(version).runtime(json!({REJECT_FRAGMENTS: false})).start();
        let mut as_received = Door::to(&envoy, AS_RECEIVED);
        let mut doors = options().map(|(option, name, _)| (option, Door::to(&envoy, name)));
        // CVE-2026-73551, which the oldest Envoy here still has.
        let reads_parameters = doors[0].1.seen(b"/a/..;/b").as_deref() == Some(b"/b");
        assert!(reads_parameters || version == Version::V1_36);

        let (mut counts, mut differences) = (BTreeMap::new(), Vec::new());
        let by_hand = words(HAND_PICKED).into_iter().chain(REFUSED_BY_THE_PARSER.iter().copied());
        for path in by_hand.map(<[u8]>::to_vec).chain(generated()) {
            let mut count = |what| *counts.entry(what).or_insert(0) += 1;
            let Some(received) = as_received.seen(&path) else {
                count("refused by the parser");
                continue;
            };
            let sent = path.split(|byte| *byte == b'#').next().expect("at least one part");
            assert_eq!(received, sent, "`{}`", path.escape_ascii());
            if !reads_parameters && has_dot_parameters(sent) {
                count("with parameters of dot segments");
                continue;
            }
            count("compared");
            for (option, door) in &mut doors {
                let ours = option.normalize(&path).ok();
                let envoys = door.seen(&path);
                match (&ours, &envoys) {
                    (None, _) => count("results that are 400"),
                    (Some(it), _) if **it != *sent => count("results that are changed"),
                    _ => count("results that are unchanged"),
                }
                if ours.as_deref() != envoys.as_deref() {
                    let text = |it: Option<&[u8]>| it.unwrap_or(b"400").escape_ascii().to_string();
                    differences.push(format!(
                        "{option:?}: `{}` becomes `{}` here, `{}` in Envoy",
                        path.escape_ascii(),
                        text(ours.as_deref()),
                        text(envoys.as_deref()),
                    ));
                }
            }
        }
        println!("Envoy {version}: {counts:?}");
        assert_eq!(differences, Vec::<String>::new(), "{counts:?}");
        let counted = |what| counts.get(what).copied().unwrap_or(0);
        assert_eq!(counted("refused by the parser"), REFUSED_BY_THE_PARSER.len(), "{counts:?}");
        assert!(counted("compared") >= MIN_COMPARED, "{counts:?}");
        for what in ["results that are 400", "results that are changed", "results that are unchanged"] {
            assert!(counted(what) >= 100, "{what}: {counts:?}");
        }
    }

    /// An Envoy left to itself; Istio's gateways are told to cut them off.
    fn fragments_are_refused(version) {
        let envoy = builder(version).start();
        for (_, name, _) in options() {
            let mut door = Door::to(&envoy, name);
            assert_eq!(door.seen(b"/a#b"), None, "{name}");
            assert_eq!(door.seen(b"/a%23b").as_deref(), Some(&b"/a%23b"[..]), "{name}");
        }
    }
}

/// One Envoy whose listeners answer with the `:path` that they see.
fn builder(version: Version) -> Builder {
    let echo = |name: &str, over: Value| {
        let echo = json!({"text_format_source": {"inline_string": "%REQ(:PATH)%"}});
        Listener::new(name)
            .connection_manager(json!({"local_reply_config": {"body_format": echo}}))
            .connection_manager(over)
            .direct_response(200, "")
    };
    let builder = Envoy::builder(version).listener(echo(AS_RECEIVED, json!({})));
    options()
        .into_iter()
        .fold(builder, |builder, (_, name, over)| {
            builder.listener(echo(name, over))
        })
}

/// The same paths on every run.
fn generated() -> impl Iterator<Item = Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    let pieces = vec(select(words(PIECES)), 0..10);
    (0..GENERATED).map(move |_| {
        let pieces = pieces
            .new_tree(&mut runner)
            .expect("nothing is filtered")
            .current();
        [&b"/"[..], &pieces.concat()].concat()
    })
}

fn words(text: &'static [u8]) -> Vec<&'static [u8]> {
    text.split(|byte| *byte == b' ')
        .filter(|it| !it.is_empty())
        .collect()
}

fn has_dot_parameters(path: &[u8]) -> bool {
    path.windows(2).any(|pair| pair == b".;")
}

/// One listener, by two versions of HTTP.
struct Door {
    http1: Client,
    http2: Http2,
}

// === impl Door ===

impl Door {
    fn to(envoy: &Envoy, listener: &str) -> Self {
        Door {
            http1: envoy.client(listener),
            http2: Http2::connect(envoy.port(listener)),
        }
    }

    /// The path that a filter behind this listener sees; `None` if Envoy answers 400 instead.
    ///
    /// Envoy's parser for HTTP/1 lets no byte beyond ASCII pass, its parser for HTTP/2 does.
    fn seen(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        let (status, body) = if path.is_ascii() {
            let answer = self.http1.get(path).send().expect("an answer");
            (answer.status, answer.body)
        } else {
            self.http2.get(path)
        };
        assert!(
            matches!(status, 200 | 400),
            "{status} for `{}`",
            path.escape_ascii()
        );
        (status == 200).then_some(body)
    }
}
