//! How many instructions one request takes, and how much memory a configuration: no clock, no noise.
//!
//! Those of the module are WebAssembly's, those of the native core the processor's, counted by
//! Valgrind: there each case runs in a process of its own, once with so many requests and once with
//! twice as many; the difference is theirs alone. All are compared with those that are kept in
//! `instructions.json`, so that a change shows what it costs. `make bench`; `BENCH_SAVE=1` keeps them.

#[path = "core/counted.rs"]
mod counted;
#[path = "core/gateway.rs"]
mod gateway;
#[path = "../harness/mod.rs"]
mod harness;
#[path = "core/module.rs"]
mod module;

use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::Command,
};

use gateway::{Gateway, Issuer, name, request};
use harness::{Tool, environment, requirements};
use module::Worker;
use portcullis::request::Headers;
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

/// What was counted, by what it is of; nothing if a tool is missing.
type Count = fn() -> Option<Counts>;
type Counts = BTreeMap<&'static str, i64>;

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
    let (configuration, headers) = case.played();
    let gateway = Gateway::new(&configuration);
    let mut gateway = gateway.knowing(&headers, case.is_allowed);
    for _ in 0..requests {
        black_box(gateway.decide(&headers));
    }
}

/// Counts, compares and prints.
fn report() {
    let kept = kept();
    let built = format!("{}, {}", compiler(), env::consts::ARCH);
    if kept["built"] != json!(built) {
        println!("kept are the counts of {}; this is {built}", kept["built"]);
    }
    let mut found = json!({"built": built});
    for (what, count) in [
        (
            "instructions of the module for one request",
            of_module as Count,
        ),
        ("instructions of the native core for one request", of_core),
        ("KiB of the module's memory", of_memory),
    ] {
        let Some(counts) = count() else { continue };
        compare(what, &kept[what], &counts);
        found[what] = json!(counts);
    }
    if environment::is_on("BENCH_SAVE") {
        fs::write(path(), format!("{found:#}\n")).expect("the file can be written");
    }
}

fn compare(what: &str, kept: &Value, counts: &Counts) {
    println!("\n| {what} | kept | now | change |");
    println!("|---|---:|---:|---:|");
    for (name, now) in counts {
        let before = kept[name].as_i64();
        let change = before.map(|before| (*now as f64 / before as f64 - 1.0) * 100.0);
        let change = change.map_or(String::new(), |change| format!("{change:+.1} %"));
        let before = before.map_or(String::new(), |before| before.to_string());
        println!("| {name} | {before} | {now} | {change} |");
    }
}

fn of_module() -> Option<Counts> {
    requirements::met("instructions", &[Tool::Plugin]).then_some(())?;
    let counts = CASES.iter().map(|case| {
        let (configuration, headers) = case.played();
        let mut worker = Worker::new(&Tool::Plugin.path());
        worker.configure(&configuration.to_string());
        // The first verifies the token; what is counted has seen it before.
        let decided = [(); 3].map(|()| worker.decide(&headers));
        let [(first, _), (second, _), (third, instructions)] = decided;
        assert_eq!(
            [first, second, third],
            [case.is_allowed; 3],
            "{}",
            case.name
        );
        (case.name, instructions)
    });
    Some(counts.collect())
}

fn of_core() -> Option<Counts> {
    requirements::met("instructions", &[Tool::Program("valgrind")]).then_some(())?;
    let counts = CASES.iter().map(|Case { name, .. }| {
        let counted = counted(name, 2 * REQUESTS) - counted(name, REQUESTS);
        (*name, (counted / REQUESTS).cast_signed())
    });
    Some(counts.collect())
}

/// Of a worker with this many rules, and of one that has got two such configurations.
fn of_memory() -> Option<Counts> {
    requirements::met("memory", &[Tool::Plugin]).then_some(())?;
    let issuer = Issuer::new();
    let mut counts = Counts::new();
    for (authorities, once, twice) in [
        (0, "1 rule", "1 rule, updated"),
        (1_000, "10,000 rules", "10,000 rules, updated"),
    ] {
        let mut worker = Worker::new(&Tool::Plugin.path());
        for name in [once, twice] {
            worker.configure(&issuer.configuration(authorities).to_string());
            counts.insert(name, (worker.memory() / 1024).cast_signed());
        }
    }
    Some(counts)
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

    /// Its configuration, and its request.
    fn played(&self) -> (Value, Headers) {
        let issuer = Issuer::new();
        let (header, before) = self.header;
        let value = format!("{before}{}", issuer.token(0));
        let headers = request(0, self.path, (header, &value));
        ((self.configuration)(&issuer), headers)
    }
}
