//! What a filter adds to a request: ours, and Envoy's own, with the same policies in one Envoy.
//!
//! Each contender has a listener of its own, gets the same requests in turn for a few seconds, and
//! again in every round. Nothing is asserted but that all of them do their work: what is slow is
//! for the reader to say. `cargo run --example bench`; `make bench`; see `README.md`.

#[path = "../authorization_server/mod.rs"]
mod authorization_server;
mod authorizer;
mod contenders;
mod envoy_native;
mod guarded;
#[path = "../harness/mod.rs"]
mod harness;
mod portcullis;
mod report;
mod tokens;
mod usage;
mod wrk;

use std::{collections::BTreeSet, env, fs, path::Path, path::PathBuf, time::Instant};

use authorization_server::{AuthorizationServer, Client as OauthClient, IssuerOptions, Options};
use authorizer::AUTHORIZER;
use contenders::{Contender, NO_FILTER, Tokens};
use guarded::{AUTHORITY, Guarded, PATH, Rule};
use harness::{Envoy, Tool, Version, environment, requirements};
use portcullis::ISSUER;
use report::Measured;
use serde_json::json;
use tokens::TokenFiles;
use wrk::Target;

const CLIENT: (&str, &str) = ("bench", "bench-secret");
const WARM_UP_SECONDS: u32 = 1;
/// More than the requests that wrk has under way when it ends.
const UNCOUNTED: usize = 64;

fn main() {
    let version = Version::V1_40;
    let [taskset, load] = ["taskset", "wrk"].map(Tool::Program);
    if !requirements::met(
        "bench",
        &[Tool::Envoy(version), Tool::Plugin, taskset, load],
    ) {
        return;
    }
    let rounds = environment::number("BENCH_ROUNDS", 3);
    let seconds = environment::number("BENCH_SECONDS", 3);
    let only = env::var("BENCH_ONLY").unwrap_or_default();

    let client = OauthClient::new(CLIENT.0, CLIENT.1);
    let issuer = IssuerOptions::new("bench").client(client);
    let server = AuthorizationServer::start(Options::default().issuer(issuer));
    let issuer = server.issuer("bench");
    let guarded = Guarded {
        issuer: issuer.iss.clone(),
        jwks: issuer.jwks().to_string(),
        introspection_url: format!("{}/oauth2/introspect", issuer.url),
        client: CLIENT,
        rules: guarded::rules(environment::number("BENCH_AUTHORITIES", 1)),
    };
    let rules = guarded.rules.len();
    let sent = |rule: &Rule| rule.authority == AUTHORITY && rule.path == PATH;
    let mut contenders = contenders::all(&guarded, sent);
    contenders.retain(|one| one.name == NO_FILTER || one.name.contains(&only));
    eprintln!("bench: signing tokens");
    let kinds: BTreeSet<_> = contenders.iter().map(|one| one.tokens).collect();
    let files = TokenFiles::make(issuer, kinds.into_iter());
    // The one token of the warm contenders is one that can be introspected, too.
    if contenders.iter().any(|one| one.tokens == Tokens::One) {
        issuer.remember(&files.first(Tokens::One), issuer.claims(json!({})));
    }
    let authorizer = authorizer::start();
    let listeners = contenders.iter().map(Contender::listener);
    let envoy = listeners
        .fold(
            Envoy::builder(version)
                .cluster(ISSUER, server.port())
                .cluster(AUTHORIZER, authorizer.port()),
            harness::Builder::listener,
        )
        .start();
    usage::pin(&envoy);
    for contender in &contenders {
        assert_guards(&envoy, contender, &files.first(contender.tokens));
    }
    let memory_before = usage::resident_mebibytes(&envoy);
    let (begun, stolen_before) = (Instant::now(), usage::stolen_seconds());

    let mut measured: Vec<_> = contenders.into_iter().map(Measured::new).collect();
    for round in 0..=rounds {
        let length = if round == 0 { WARM_UP_SECONDS } else { seconds };
        for one in &mut measured {
            eprintln!("bench: round {round} of {rounds}, {}", one.contender.name);
            let run = wrk::run(
                &Target {
                    envoy: &envoy,
                    listener: &one.contender.name,
                    authority: AUTHORITY,
                    path: PATH,
                    tokens: &files.path(one.contender.tokens),
                    start: one.sent,
                },
                length,
            );
            one.sent += run.requests + UNCOUNTED;
            if round > 0 {
                one.runs.push(run);
            }
        }
    }
    envoy.assert_no_wasm_failures();

    let stolen = usage::stolen_seconds() - stolen_before;
    let stolen = format!("{stolen:.1} s of {:.0} s", begun.elapsed().as_secs_f64());
    let memory_after = usage::resident_mebibytes(&envoy);
    let (table, json) = report::report(
        &measured,
        &[
            ("machine", machine()),
            ("Envoy", format!("{version}, one worker")),
            ("rules", rules.to_string()),
            ("rounds", format!("{rounds} of {seconds} s, medians")),
            ("CPU time taken by other guests of the host", stolen),
            (
                "Envoy's memory, all listeners",
                format!("{memory_before:.0} MiB before, {memory_after:.0} MiB after"),
            ),
        ],
    );
    println!("{table}");
    write_results("results.md", &table);
    write_results("results.json", &format!("{json:#}\n"));
}

/// Nothing is worth measuring that does not let a good token in and keep out who has none.
fn assert_guards(envoy: &Envoy, contender: &Contender, token: &str) {
    let client = envoy.client(&contender.name);
    let request = || client.get(PATH).authority(AUTHORITY);
    let with = request().bearer(token).send().expect("an answer").status;
    assert_eq!(with, 200, "{} and a good token", contender.name);
    let without = request().send().expect("an answer").status;
    let refuses = without == 403;
    assert!(
        refuses || !contender.guards,
        "{} and no token: {without}",
        contender.name
    );
    if !refuses && contender.name != NO_FILTER {
        eprintln!("bench: {} lets in who has no token", contender.name);
    }
}

fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut models = text.lines().filter(|line| line.starts_with("model name"));
    let model = models.next().and_then(|line| line.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = model.map_or(env::consts::ARCH, |(_, model)| model);
    format!("{model}, {cores} cores")
}

fn write_results(name: &str, text: &str) {
    let target = env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(target)
        .join("bench");
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(name), text));
    written.unwrap_or_else(|error| panic!("cannot write to {}: {error}", folder.display()));
}
