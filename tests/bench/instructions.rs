//! How many instructions the core runs for one request, counted by Valgrind: no clock, no noise.
//!
//! Each case runs in a process of its own, once with so many requests and once with twice as many;
//! the difference is theirs alone. The counts are compared with those that are kept in
//! `instructions.json`, so that a change shows what it costs. They are those of the native code: the
//! module's are others, and rise and fall with them. `make bench`; `BENCH_SAVE=1` keeps them.

#[path = "core/gateway.rs"]
mod gateway;
#[path = "../harness/mod.rs"]
mod harness;

use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::Command,
};

use gateway::{Gateway, Issuer, name, request};
use harness::{Tool, requirements};
use serde_json::{Value, json};

/// One line of the result.
struct Case {
    name: &'static str,
    configuration: fn(&Issuer) -> Value,
    /// Of the request.
    path: &'static str,
    /// The header that the token is in, and what stands before it.
    header: (&'static str, &'static str),
    is_allowed: bool,
}

const REQUESTS: u64 = 2_000;
const KEPT: &str = "tests/bench/instructions.json";

const BEARER: (&str, &str) = ("authorization", "Bearer ");
const COOKIE: (&str, &str) = ("cookie", "theme=dark; session=");
const ELSEWHERE: (&str, &str) = ("x-token", "");

const CASES: [Case; 6] = [
    Case::new("one rule", one_rule, "/path-0", BEARER, true),
    Case::new("10,000 rules", many_rules, "/path-0", BEARER, true),
    Case::new(
        "a path with an escape",
        one_rule,
        "/path%2D0",
        BEARER,
        false,
    ),
    Case::new("refused by policy", one_rule, "/another", BEARER, false),
    Case::new("no token", one_rule, "/path-0", ELSEWHERE, false),
    Case::new(
        "a token in a cookie, an API rule with a scope",
        api_rule,
        "/path-0",
        COOKIE,
        true,
    ),
];

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        [case, requests] => run(case, requests.parse().expect("a number")),
        _ => report(),
    }
}

fn one_rule(issuer: &Issuer) -> Value {
    issuer.configuration(0)
}

fn many_rules(issuer: &Issuer) -> Value {
    issuer.configuration(1_000)
}

/// One API rule, which demands a scope of a token that is in a cookie.
fn api_rule(issuer: &Issuer) -> Value {
    let mut jwt_rule = issuer.jwt_rule();
    jwt_rule["fromCookies"] = json!(["session"]);
    json!({
        "version": 1,
        "defaultAction": "DENY",
        "apiRules": [{
            "name": "bench",
            "hosts": [name(0)],
            "rules": [{
                "path": "/path-0",
                "methods": ["GET"],
                "jwt": {
                    "authentications": [jwt_rule],
                    "authorizations": [{"requiredScopes": ["read"]}],
                },
            }],
        }],
    })
}

/// Decides on so many requests of a case.
fn run(case: &str, requests: u64) {
    let case = CASES.iter().find(|it| it.name == case).expect("a case");
    let issuer = Issuer::new();
    let (header, before) = case.header;
    let value = format!("{before}{}", issuer.token(0));
    let headers = request(0, case.path, (header, &value));
    let gateway = Gateway::new(&(case.configuration)(&issuer));
    let mut gateway = gateway.knowing(&headers, case.is_allowed);
    for _ in 0..requests {
        black_box(gateway.decide(&headers));
    }
}

/// Counts, compares and prints.
fn report() {
    if !requirements::met("instructions", &[Tool::Program("valgrind")]) {
        return;
    }
    let kept = kept();
    let built = format!("{}, {}", compiler(), env::consts::ARCH);
    let comparable = kept["built"] == json!(built);
    if !comparable {
        println!("kept are the counts of {}; this is {built}", kept["built"]);
    }
    println!("| instructions for one request | kept | now | change |");
    println!("|---|---:|---:|---:|");
    let mut counts = BTreeMap::new();
    for Case { name, .. } in CASES {
        let now = (counted(name, 2 * REQUESTS) - counted(name, REQUESTS)) / REQUESTS;
        let before = kept["instructions"][name].as_u64();
        let change = before.map(|before| (now as f64 / before as f64 - 1.0) * 100.0);
        let change = change.map_or(String::new(), |change| format!("{change:+.1} %"));
        let before = before.map_or(String::new(), |before| before.to_string());
        println!("| {name} | {before} | {now} | {change} |");
        counts.insert(name, now);
    }
    if env::var_os("BENCH_SAVE").is_some() {
        let text = format!("{:#}\n", json!({"built": built, "instructions": counts}));
        fs::write(path(), text).expect("the file can be written");
    }
}

/// The instructions of a whole process.
fn counted(case: &str, requests: u64) -> u64 {
    let itself = env::current_exe().expect("the path of this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(itself)
        .args([case, &requests.to_string()])
        .output()
        .expect("valgrind can be started");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    let count = line.and_then(|(_, count)| count.trim().parse().ok());
    count.unwrap_or_else(|| panic!("{case}: {text}"))
}

fn kept() -> Value {
    let text = fs::read_to_string(path()).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT)
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let text = output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    text.unwrap_or_default()
}

// === impl Case ===

impl Case {
    const fn new(
        name: &'static str,
        configuration: fn(&Issuer) -> Value,
        path: &'static str,
        header: (&'static str, &'static str),
        is_allowed: bool,
    ) -> Self {
        Case {
            name,
            configuration,
            path,
            header,
            is_allowed,
        }
    }
}
