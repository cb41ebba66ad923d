//! What policies say of the other end of a TLS connection: principals and their kin, and the server
//! name.
//!
//! The status that is written here is that of Envoy's own filters. Before Envoy 1.38 a gateway tells us
//! only the first URI name, the first DNS name and the subject; where another one could matter, ours
//! refuses.

use serde_json::{Value, json};

use super::{
    differences::explained,
    pair::{Asked, PEER, Pair, Setting, listeners},
    tokens::Tokens,
};
use crate::harness::{Envoy, Tool, Version, tls::Authority};

fn tools(version: Version) -> [Tool; 3] {
    [Tool::Envoy(version), Tool::Plugin, Tool::Address(PEER)]
}

/// Certificates by name: URI names, DNS names, common name.
const CERTIFICATES: [(&str, &[&str], &[&str], &str); 6] = [
    ("foo", &["spiffe://cluster.local/ns/foo/sa/bar"], &[], "foo"),
    (
        "nested",
        &["spiffe://cluster.local/x/ns/foo/y/sa/bar/z"],
        &[],
        "nested",
    ),
    (
        "other",
        &["spiffe://other.example/ns/shop/sa/web"],
        &[],
        "other",
    ),
    (
        "two",
        &[
            "spiffe://other.example/ns/shop/sa/web",
            "spiffe://cluster.local/ns/foo/sa/bar",
        ],
        &[],
        "two",
    ),
    ("dns", &[], &["client.example.com", "spiffe"], "dns"),
    ("plain", &[], &[], "client"),
];

/// The difference where the one name that matters may be among those that we are not told.
const UNSEEN: &str = "names of the peer";

/// A source, and of which certificates Envoy lets it through, whether in an ALLOW policy or against a
/// DENY policy; `!` before it where ours refuses, too.
type Case = (&'static str, &'static str, &'static [&'static str]);

const ALLOWED: [Case; 17] = [
    (
        "principals",
        "*",
        &["foo", "nested", "other", "two", "dns", "plain"],
    ),
    (
        "principals",
        "cluster.local/ns/foo/sa/bar",
        &["foo", "!two"],
    ),
    ("principals", "cluster.local/ns/foo/*", &["foo", "!two"]),
    ("principals", "*/sa/bar", &["foo", "!two"]),
    ("principals", "*sa/web", &["other", "two"]),
    ("principals", "cluster.local/ns/f.o/sa/bar", &[]),
    ("namespaces", "foo", &["foo", "nested", "!two"]),
    ("namespaces", "f*", &["foo", "nested", "!two"]),
    ("namespaces", "*", &["foo", "nested", "other", "two"]),
    ("namespaces", "f.o", &[]),
    ("serviceAccounts", "foo/bar", &["foo", "nested", "!two"]),
    ("serviceAccounts", "bar", &["foo", "nested", "!two"]),
    ("serviceAccounts", "shop/bar", &[]),
    ("trustDomains", "cluster.local", &["foo", "nested", "!two"]),
    ("trustDomains", "*", &["foo", "nested", "other", "two"]),
    ("trustDomains", "oth*ple", &["other", "two"]),
    ("trustDomains", "cluster", &[]),
];

on_every_envoy! {
    needs tools;

    fn sources(version) {
        let authority = Authority::new();
        let tokens = Tokens::mint();
        let mut builder = Envoy::builder(version);
        let setting = Setting { tls: Some(authority.gateway()), ..Setting::default() };
        for (index, (field, value, _)) in ALLOWED.iter().enumerate() {
            for action in ["ALLOW", "DENY"] {
                let config = config(action, &json!({*field: [value]}));
                let pair = listeners(&format!("{action} {index}"), &config, &setting, &tokens);
                builder = pair.into_iter().fold(builder, |builder, it| builder.listener(it));
            }
        }
        let envoy = builder.start();
        let mut failures = Vec::new();
        let mut asked = 0;
        for (index, (field, value, matching)) in ALLOWED.iter().enumerate() {
            for (name, uris, dns, common_name) in CERTIFICATES {
                let identity = authority.client(uris, dns, common_name);
                let client = authority.client_config(Some(&identity));
                let matches = matching.iter().any(|it| it.trim_start_matches('!') == name);
                let unseen = matching.contains(&format!("!{name}").as_str());
                for action in ["ALLOW", "DENY"] {
                    let pair = Pair::of(&envoy, &format!("{action} {index}"));
                    let pair = pair.over_tls(&client, "gateway.test");
                    let mut question = Asked::new("GET", "gateway.test", "/");
                    question.certificate = true;
                    let (theirs, ours) = pair.ask(&question, &tokens);
                    let expected = if matches == (action == "ALLOW") { 200 } else { 403 };
                    let found = (theirs != ours).then(|| {
                        let known = explained(&json!({}), &question, &theirs, &ours, version);
                        known.map_or("nothing known", |it| it.name)
                    });
                    // Where nothing seen matches, something unseen may. Since 1.38 Envoy shows the
                    // whole certificate; before that, the first name of each kind.
                    let shown = version == Version::V1_40 || (uris.is_empty() && dns.is_empty());
                    let hidden = !shown && match action {
                        "ALLOW" => unseen,
                        _ => !matches,
                    };
                    let difference = hidden.then_some(UNSEEN);
                    asked += 1;
                    if theirs.status != expected || found != difference {
                        failures.push(format!(
                            "{action} {field} {value}, {name}: expected {expected} and {difference:?}, \
                             theirs {}, ours {}, {found:?}", theirs.status, ours.status
                        ));
                    }
                }
            }
        }
        assert!(failures.is_empty(), "{} of {asked}\n{}", failures.len(), failures.join("\n"));
        envoy.assert_no_wasm_failures();
    }

    /// Without a certificate nothing is demanded in vain, and the server name is seen.
    fn server_names_and_no_certificate(version) {
        let authority = Authority::new();
        let tokens = Tokens::mint();
        let when = |key: &str, name: &str, value: &str| json!([{"when": [{"key": key, name: [value]}]}]);
        let cases = [
            ("the server name", when("connection.sni", "values", "gateway.test"), 200),
            ("another server name", when("connection.sni", "values", "other.test"), 403),
            ("a suffix", when("connection.sni", "values", "*.test"), 200),
            ("any server name", when("connection.sni", "values", "*"), 200),
            ("not the server name", when("connection.sni", "notValues", "gateway.test"), 403),
            ("a principal", when("source.principal", "values", "*"), 403),
            ("no principal", when("source.principal", "notValues", "*"), 200),
            ("a namespace", when("source.namespace", "values", "*"), 403),
        ];
        let setting = Setting { tls: Some(authority.gateway()), ..Setting::default() };
        let mut builder = Envoy::builder(version);
        for (name, rules, _) in &cases {
            let policy = json!({"name": "p", "namespace": "foo", "rules": rules});
            let config = json!({"authorizationPolicies": [policy]});
            for listener in listeners(name, &config, &setting, &tokens) {
                builder = builder.listener(listener);
            }
        }
        let envoy = builder.start();
        let client = authority.client_config(None);
        for (name, rules, status) in &cases {
            let pair = Pair::of(&envoy, name).over_tls(&client, "gateway.test");
            let (theirs, ours) = pair.ask(&Asked::new("GET", "gateway.test", "/"), &tokens);
            assert_eq!((theirs.status, ours.status), (*status, *status), "{name}: {rules}");
        }
        envoy.assert_no_wasm_failures();
    }
}

fn config(action: &str, source: &Value) -> Value {
    let rules = json!([{"from": [{"source": source}]}]);
    let policy = json!({"name": "p", "namespace": "foo", "action": action, "rules": rules});
    json!({"authorizationPolicies": [policy]})
}
