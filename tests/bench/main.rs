//! What a filter adds to a request: ours, and Envoy's own, with the same policies in one Envoy.
//!
//! Each contender has a listener of its own, gets the same requests in turn for a moment, and again
//! in every round; then the same in another Envoy with more rules. Nothing is asserted but that all
//! of them do their work: what is slow is for the reader to say. `make bench`; see `README.md`.

#[path = "../authorization_server/mod.rs"]
mod authorization_server;
mod authorizer;
mod checklist;
mod contenders;
mod empty_filter;
mod envoy_native;
mod guarded;
#[path = "../harness/mod.rs"]
mod harness;
mod machine;
mod memory;
mod output;
mod plots;
mod portcullis;
mod report;
mod rounds;
mod settings;
mod summary;
mod tokens;
mod usage;
mod wrk;

use std::{collections::BTreeSet, fs, time::Instant};

use authorization_server::{
    AuthorizationServer, Client as OauthClient, Issuer, IssuerOptions, Options,
};
use contenders::{Contender, NO_FILTER};
use empty_filter::EmptyFilters;
use guarded::Guarded;
use harness::{Envoy, Tool, Version, requirements};
use report::Report;
use rounds::Surroundings;
use serde_json::json;
use settings::Settings;
use summary::Size;
use tokens::{TokenFiles, Tokens};
use usage::Elsewhere;

const CLIENT: (&str, &str) = ("bench", "bench-secret");

fn main() {
    let version = Version::V1_40;
    let [taskset, load] = ["taskset", "wrk"].map(Tool::Program);
    let tools = [Tool::Envoy(version), Tool::Plugin, taskset, load];
    if !requirements::met("bench", &tools) {
        return;
    }
    let settings = Settings::from_environment();
    let client = OauthClient::new(CLIENT.0, CLIENT.1);
    let issuer = IssuerOptions::new("bench").client(client);
    let server = AuthorizationServer::start(Options::default().issuer(issuer));
    let issuer = server.issuer("bench");
    let authorizer = authorizer::start(version);
    let (begun, before) = (Instant::now(), Elsewhere::so_far(&authorizer));

    let contenders = contenders(issuer, &settings);
    let tokens = tokens(issuer, &contenders);
    let around = Surroundings {
        version,
        settings: &settings,
        issuer: server.port(),
        authorizer: &authorizer,
        tokens: &tokens,
    };
    let sizes = contenders.iter().map(|(authorities, contenders)| {
        eprintln!("bench: {authorities} authorities");
        let measured = rounds::measure(contenders.clone(), &around);
        Size::new(*authorities, guarded::rules(*authorities).len(), &measured)
    });
    let sizes: Vec<_> = sizes.collect();
    let memory = memory::measure(&contenders, &around);

    let (seconds, after) = (
        begun.elapsed().as_secs_f64(),
        Elsewhere::so_far(&authorizer),
    );
    let taken = |what: fn(&Elsewhere) -> f64| {
        // The kernel counts all programs in ticks and each to the nanosecond: none may be below none.
        let taken = (what(&after) - what(&before)).max(0.0);
        format!("{taken:.1} s of {seconds:.0} s")
    };
    let mut about = about(&settings, &authorizer);
    about.extend([
        (
            "CPU time taken by other guests of the host",
            taken(|it| it.other_guests),
        ),
        (
            "CPU time taken by other programs",
            taken(|it| it.other_programs),
        ),
    ]);
    let module_bytes = fs::metadata(Tool::Plugin.path()).map_or(0, |file| file.len());
    let report = Report {
        checklist: checklist::checklist(&sizes, &memory, module_bytes),
        about,
        sizes,
        memory,
    };
    println!("{}", report.markdown());
    output::write_result("results.md", &report.markdown());
    output::write_result("results.json", &report.json());
    draw(&report, &settings, &caption(&authorizer));
}

/// All contenders that take part, by the number of authorities.
fn contenders(issuer: &Issuer, settings: &Settings) -> Vec<(u32, Vec<Contender>)> {
    let empty = EmptyFilters::make();
    let sizes = settings.authorities.iter().map(|authorities| {
        let guarded = Guarded {
            issuer: issuer.iss.clone(),
            jwks: issuer.jwks().to_string(),
            introspection_url: format!("{}/oauth2/introspect", issuer.url),
            client: CLIENT,
            rules: guarded::rules(*authorities),
        };
        let mut contenders = contenders::all(&guarded, &empty, &settings.modules);
        contenders.retain(|one| one.name == NO_FILTER || settings.chooses(&one.name));
        (*authorities, contenders)
    });
    sizes.collect()
}

/// All tokens that they and the measurement of memory send.
fn tokens(issuer: &Issuer, contenders: &[(u32, Vec<Contender>)]) -> TokenFiles {
    eprintln!("bench: signing tokens");
    let all = contenders.iter().flat_map(|(_, all)| all);
    let mut kinds: BTreeSet<_> = all.map(|one| one.tokens).collect();
    kinds.insert(Tokens::Remembered);
    let tokens = TokenFiles::make(issuer, kinds.into_iter());
    // The one token of the warm contenders is one that can be introspected, too.
    issuer.remember(&tokens.first(Tokens::One), issuer.claims(json!({})));
    tokens
}

/// Where, with what and how it was measured.
fn about(settings: &Settings, envoy: &Envoy) -> Vec<(&'static str, String)> {
    let Settings {
        rounds,
        seconds,
        rate,
        ..
    } = settings;
    let envoy = machine::envoys_version(envoy);
    vec![
        ("machine", machine::machine()),
        ("Envoy", format!("{envoy}, one worker")),
        ("wrk", machine::wrks_version()),
        ("Portcullis", format!("commit {}", machine::commit())),
        ("day", machine::today()),
        (
            "rounds",
            format!(
                "{rounds} of {seconds} s at full speed and {seconds} s at {rate} requests/s, medians"
            ),
        ),
    ]
}

/// The same in short.
fn caption(envoy: &Envoy) -> String {
    format!(
        "{}; Envoy {}, one worker; Portcullis {}, {}",
        machine::machine(),
        machine::envoys_version(envoy),
        machine::commit(),
        machine::today()
    )
}

/// The pictures of what is there.
fn draw(report: &Report, settings: &Settings, caption: &str) {
    if let Some(one) = report.sizes.iter().find(|size| size.authorities == 1) {
        let title = "CPU time that a filter adds to a request, one rule";
        let picture = plots::bars(title, one, |it| it.added_cpu_microseconds, caption);
        output::write_result("added-cpu.svg", &picture);
        let rate = settings.rate;
        let title = format!("Time in which 99 % of {rate} requests/s are answered, one rule");
        let picture = plots::bars(&title, one, |it| it.p99, caption);
        output::write_result("p99.svg", &picture);
    }
    let title = "CPU time that a filter adds to a request, by the number of rules";
    if let Some(picture) = plots::by_rules(title, &report.sizes, caption) {
        output::write_result("by-rules.svg", &picture);
    }
}
