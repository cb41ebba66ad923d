//! Policies and requests that nobody thought of: from a seed, so that a failure can be had again.
//!
//! `SEED=7` in the environment takes another seed than the fixed one, `LONG=1` many times as many
//! policies. Words are drawn from short lists, so that policies and requests often nearly meet.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::{
    differences::{DIFFERENCES, Difference, explained},
    pair::{Asked, PEER, Pair, Setting, listeners},
    tokens::{TWO, Tokens},
};
use crate::harness::{Envoy, Tool, Version, requirements};

fn tools(version: Version) -> [Tool; 3] {
    [Tool::Envoy(version), Tool::Plugin, Tool::Address(PEER)]
}

on_every_envoy! {
    needs tools;

    /// What both sides answer to thousands of requests.
    fn policies_and_requests(version) {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        let rounds = if requirements::long() { ROUNDS_LONG } else { ROUNDS };
        let mut counts = Counts::default();
        let mut failures = Vec::new();
        for round in 0..rounds {
            play(version, seed + round, &mut counts, &mut failures);
        }
        let told = failures.iter().take(3).cloned().collect::<Vec<_>>().join("\n");
        assert!(failures.is_empty(), "{} failures, {counts:?}\n{told}", failures.len());
        counts.assert_meaningful();
        counts.tell();
    }
}

/// In each round: so many configurations, and to each of them so many requests.
const CONFIGURATIONS: usize = 170;
const REQUESTS: usize = 40;
const ROUNDS: u64 = 3;
const ROUNDS_LONG: u64 = 60;

/// What has been seen: statuses of both sides when they agree, and differences by name.
#[derive(Debug, Default)]
struct Counts {
    asked: usize,
    agreed: BTreeMap<u16, usize>,
    differences: BTreeMap<&'static str, usize>,
}

fn play(version: Version, seed: u64, counts: &mut Counts, failures: &mut Vec<String>) {
    let mut draw = Draw(Rng::with_seed(seed));
    let tokens = Tokens::mint();
    let configs: Vec<Value> = (0..CONFIGURATIONS).map(|_| draw.configuration()).collect();
    let mut builder = Envoy::builder(version).component_log_level("wasm:error");
    for (index, config) in configs.iter().enumerate() {
        let path_normalization = Some(draw.pick(&PATH_NORMALIZATIONS));
        let setting = Setting {
            path_normalization,
            ..Setting::default()
        };
        for listener in listeners(&index.to_string(), config, &setting, &tokens) {
            builder = builder.listener(listener);
        }
    }
    let envoy = builder.start();
    let names = tokens.names();
    for (index, config) in configs.iter().enumerate() {
        let pair = Pair::of(&envoy, &index.to_string());
        for _ in 0..REQUESTS {
            let asked = draw.request(&names);
            let (theirs, ours) = pair.ask(&asked, &tokens);
            counts.asked += 1;
            if theirs == ours {
                *counts.agreed.entry(ours.status).or_default() += 1;
                continue;
            }
            match explained(config, &asked, &theirs, &ours, version) {
                Some(difference) => *counts.differences.entry(difference.name).or_default() += 1,
                None => failures.push(format!(
                    "seed {seed}: {config}\n  {asked:?}\n  theirs: {theirs:?}\n  ours:   {ours:?}"
                )),
            }
        }
    }
    envoy.assert_no_wasm_failures();
}

// === impl Counts ===

impl Counts {
    /// Enough was asked, every kind of answer came often, and what differs is the exception.
    fn assert_meaningful(&self) {
        assert!(self.asked >= 20_000, "{self:?}");
        for status in [200, 401, 403] {
            let often = self.agreed.get(&status).copied().unwrap_or(0);
            assert!(often * 20 > self.asked, "{status} is rare: {self:?}");
        }
        let differing: usize = self.differences.values().sum();
        assert!(differing * 5 < self.asked, "{self:?}");
    }

    fn tell(&self) {
        println!(
            "{} requests; both sides agreed: {:?}",
            self.asked, self.agreed
        );
        for Difference { name, why, .. } in &DIFFERENCES {
            let count = self.differences.get(name).copied().unwrap_or(0);
            println!("{count:6} {name}: {why}");
        }
    }
}

/// Draws things that could stand in a configuration or a request.
struct Draw(Rng);

const PATH_NORMALIZATIONS: [&str; 4] =
    ["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"];
const HOSTS: [&str; 9] = [
    "a.com",
    "*.a.com",
    "A.com",
    "a.com:*",
    "b.com:8080",
    "a*",
    "*com",
    "*",
    "x.a.com",
];
const METHODS: [&str; 5] = ["GET", "POST", "P*", "*T", "*"];
const PATHS: [&str; 17] = [
    "/",
    "/a",
    "/a*",
    "/a/*",
    "/a/b",
    "*b",
    "*.js",
    "*",
    "/a/{*}",
    "/a/{**}",
    "/{*}/b",
    "/{**}/b",
    "/a/{*}/c/{**}",
    "/%61",
    "/a;x",
    "*a*",
    "//a",
];
const PORTS: [&str; 3] = ["PORT", "1", "8080"];
const PRINCIPALS: [&str; 14] = [
    "*",
    "one/u",
    "one/*",
    "https://two.example.com/*",
    "https://two.example.com/w",
    "on*",
    "one/u*",
    "*u",
    "*/u",
    "*.com/w",
    "*admin",
    "other/*",
    "one/*v",
    "*/w",
];
const BLOCKS: [&str; 7] = [
    "127.0.0.2",
    "127.0.0.0/8",
    "192.0.2.0/24",
    "192.0.2.7",
    "10.0.0.0/8",
    "::/0",
    "0.0.0.0/0",
];
const SOURCE: [(&str, &[&str]); 7] = [
    ("requestPrincipals", &PRINCIPALS),
    ("requestPrincipals", &PRINCIPALS),
    ("ipBlocks", &BLOCKS),
    ("remoteIpBlocks", &BLOCKS),
    ("principals", &["*", "cluster.local/ns/foo/sa/bar"]),
    ("namespaces", &["foo", "*"]),
    ("trustDomains", &["*", "cluster.local"]),
];
const OPERATION: [(&str, &[&str]); 6] = [
    ("hosts", &HOSTS),
    ("methods", &METHODS),
    ("paths", &PATHS),
    ("paths", &PATHS),
    ("paths", &PATHS),
    ("ports", &PORTS),
];
/// Keys of `when` that know nothing of the caller.
const WHEN_ASKED: [(&str, &[&str]); 9] = [
    (
        "request.headers[x-role]",
        &["admin", "user", "adm*", "*er", "*", "user,admin"],
    ),
    ("request.headers[X-Role]", &["admin", "user"]),
    ("request.headers[:path]", &["/a", "/a?*", "*", "*x=1"]),
    ("request.headers[:authority]", &["a.com", "A.com", "*"]),
    ("request.headers[host]", &["a.com", "*"]),
    ("source.ip", &BLOCKS),
    ("remote.ip", &BLOCKS),
    ("destination.port", &PORTS),
    ("connection.sni", &["*", "a.com"]),
];
const WHEN_CALLER: [(&str, &[&str]); 14] = [
    ("request.auth.principal", &PRINCIPALS),
    (
        "request.auth.audiences",
        &["orders", "x*", "*", "https://api.example.com/"],
    ),
    ("request.auth.presenter", &["app", "*"]),
    ("request.auth.claims[iss]", &["one", "*", "https*"]),
    ("request.auth.claims[sub]", &["u", "*", "ad*", "u/v"]),
    (
        "request.auth.claims[groups]",
        &["staff", "ops team", "*", "7"],
    ),
    (
        "request.auth.claims[roles]",
        &["admin", "admin user", "user"],
    ),
    (
        "request.auth.claims[scope]",
        &["read", "write", "read write", "*"],
    ),
    ("request.auth.claims[permission]", &["p1", "p2", "", "*"]),
    ("request.auth.claims[nested][role]", &["lead", "*"]),
    ("request.auth.claims[nested][list]", &["a", "*b"]),
    ("request.auth.claims[level]", &["7", "*"]),
    ("request.auth.claims[a.b]", &["dotted"]),
    ("source.namespace", &["foo"]),
];

// === impl Draw ===

impl Draw {
    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.0.usize(..words.len())]
    }

    /// One time in so many.
    fn once_in(&mut self, times: usize) -> bool {
        self.0.usize(..times) == 0
    }

    /// One or two of them.
    fn values(&mut self, words: &[&str]) -> Value {
        let count = 1 + self.0.usize(..2);
        let drawn: Vec<&str> = (0..count).map(|_| self.pick(words)).collect();
        json!(
            drawn
                .into_iter()
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
        )
    }

    fn configuration(&mut self) -> Value {
        let rules: Vec<Value> = (0..self.0.usize(..4))
            .map(|index| self.jwt_rule(index))
            .collect();
        let policies: Vec<Value> = (0..self.0.usize(..5))
            .map(|index| self.policy(index))
            .collect();
        json!({"jwtRules": rules, "authorizationPolicies": policies})
    }

    fn jwt_rule(&mut self, index: usize) -> Value {
        let mut rule = match self.0.usize(..8) {
            0..5 => json!({"issuer": "one", "jwks": "KEYS ONE"}),
            5..7 => json!({"issuer": TWO, "jwks": "KEYS TWO"}),
            _ => json!({"jwks": "KEYS ONE"}),
        };
        rule["name"] = json!(format!("rule-{index}"));
        let rare = [
            ("audiences", json!(["orders", "https://api.example.com"])),
            ("fromHeaders", json!([{"name": "x-token"}])),
            (
                "fromHeaders",
                json!([{"name": "x-token", "prefix": "jwt "}, {"name": "authorization", "prefix": "Bearer "}]),
            ),
            ("fromParams", json!(["t", "access_token"])),
            ("fromCookies", json!(["c"])),
            ("forwardOriginalToken", json!(true)),
            ("spaceDelimitedClaims", json!(["roles"])),
            ("outputPayloadToHeader", json!("x-payload")),
            (
                "outputClaimToHeaders",
                json!([
                    {"header": "x-claim-sub", "claim": "sub"},
                    {"header": "x-claim-level", "claim": "level"},
                    {"header": "x-claim-role", "claim": "nested.role"},
                    {"header": "x-claim-list", "claim": "nested.list"},
                    {"header": "x-claim-admin", "claim": "admin"},
                ]),
            ),
        ];
        for (name, value) in rare {
            if self.once_in(5) {
                rule[name] = value;
            }
        }
        rule
    }

    fn policy(&mut self, index: usize) -> Value {
        let action = match self.0.usize(..16) {
            0..9 => "ALLOW",
            9..13 => "DENY",
            13 => "AUDIT",
            _ => "CUSTOM",
        };
        let least = usize::from(action != "ALLOW");
        let count = least + self.0.usize(..4 - least);
        let rules: Vec<Value> = (0..count).map(|_| self.rule(action)).collect();
        let mut policy = json!({
            "name": format!("p{index}"), "namespace": "foo", "action": action, "rules": rules,
        });
        if action == "CUSTOM" {
            policy["provider"] = json!({"name": "unknown"});
        }
        policy
    }

    fn rule(&mut self, action: &str) -> Value {
        let mut rule = json!({});
        if !self.once_in(3) {
            rule["to"] = self.alternatives("operation", &OPERATION);
        }
        let knows_caller = action != "CUSTOM";
        if knows_caller && !self.once_in(3) {
            rule["from"] = self.alternatives("source", &SOURCE);
        }
        if self.once_in(3) {
            let conditions = (0..1 + self.0.usize(..2)).map(|_| {
                let table: &[_] = if knows_caller && !self.once_in(3) {
                    &WHEN_CALLER
                } else {
                    &WHEN_ASKED
                };
                let (key, words) = table[self.0.usize(..table.len())];
                let name = if self.once_in(4) {
                    "notValues"
                } else {
                    "values"
                };
                let mut values = self.values(words);
                if values == json!([]) {
                    values = json!(["x"]);
                }
                json!({"key": key, name: values})
            });
            rule["when"] = conditions.collect();
        }
        rule
    }

    /// One or two sources or operations, each with one or two fields.
    fn alternatives(&mut self, inner: &str, fields: &[(&str, &[&str])]) -> Value {
        let one = |draw: &mut Draw| {
            let mut members = Map::new();
            for _ in 0..1 + draw.0.usize(..2) {
                let (name, words) = fields[draw.0.usize(..fields.len())];
                let negative = format!("not{}{}", name[..1].to_uppercase(), &name[1..]);
                let name = if draw.once_in(5) {
                    negative
                } else {
                    name.to_owned()
                };
                members.insert(name, draw.values(words));
            }
            json!({inner: members})
        };
        (0..1 + self.0.usize(..2)).map(|_| one(self)).collect()
    }

    fn request(&mut self, tokens: &[&str]) -> Asked {
        let method = self.pick(&["GET", "GET", "GET", "POST", "PUT", "OPTIONS", "DELETE"]);
        let authority = self.pick(&[
            "a.com",
            "a.com",
            "a.com",
            "A.COM",
            "x.a.com",
            "b.com",
            "b.com:8080",
            "a.com:80",
            "a.com.",
            "c.org",
            "a_b.com",
            "a.com,b.com",
            "[::1]:80",
        ]);
        let mut target = match self.once_in(3) {
            true => self.pick(&["/", "/a", "/a/b", "/b", "/x.js"]).to_owned(),
            false => {
                let pieces = (0..1 + self.0.usize(..4)).map(|_| {
                    self.pick(&[
                        "/", "/a", "/b", "/c", "/a/", "//", "/.", "/..", "/%61", ";x", "*", "%2f",
                        ".js",
                    ])
                });
                format!("/{}", pieces.collect::<String>().trim_start_matches('/'))
            }
        };
        let mut query = Vec::new();
        if self.once_in(6) {
            query.push("x=1".to_owned());
        }
        if self.once_in(12) {
            let name = self.pick(&["access_token", "t"]);
            query.push(format!("{name}=${{{}}}", self.token(tokens)));
        }
        if !query.is_empty() {
            target = format!("{target}?{}", query.join("&"));
        }
        let mut asked = Asked::new(method, authority, &target);
        if !self.once_in(3) {
            let scheme = self.pick(&[
                "Bearer ", "Bearer ", "Bearer ", "Bearer ", "Bearer ", "Bearer ", "bearer ",
                "Basic ", "jwt ",
            ]);
            asked = asked.line(
                "authorization",
                &format!("{scheme}${{{}}}", self.token(tokens)),
            );
        }
        if self.once_in(8) {
            let prefix = self.pick(&["", "jwt ", "JWT "]);
            asked = asked.line("x-token", &format!("{prefix}${{{}}}", self.token(tokens)));
        }
        if self.once_in(10) {
            asked = asked.line("cookie", &format!("a=b; c=${{{}}}; d", self.token(tokens)));
        }
        for _ in 0..self.0.usize(..3) {
            asked = asked.line(
                "x-role",
                self.pick(&["admin", "user", "user,admin", "", "other"]),
            );
        }
        if self.once_in(10) {
            asked = asked
                .line("x-claim-sub", "forged")
                .line("x-payload", "forged");
        }
        if self.once_in(6) {
            asked = asked
                .line("origin", "https://x.com")
                .line("access-control-request-method", "PUT");
        }
        asked
    }

    /// Two times in three one that is good for something.
    fn token<'a>(&mut self, tokens: &[&'a str]) -> &'a str {
        let good = [
            "one",
            "one-rich",
            "one-orders",
            "two",
            "two-rich",
            "one-admin",
            "one-no-sub",
        ];
        match self.once_in(3) {
            true => self.pick(tokens),
            false => self.pick(&good),
        }
    }
}
