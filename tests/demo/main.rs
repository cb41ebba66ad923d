//! The demo: real requests through a real Envoy, allowed and refused as the tutorials say.
//!
//! Without `--play` it prints what is guarded and stays until Ctrl-C; with it, it plays every
//! tutorial as a table and exits 1 if an answer differs. It ends all it started.
//! `cargo run --example demo -- [--play] [--port PORT] [--envoy 1.36]`; `make run`, `make demo`.

#[path = "../authorization_server/mod.rs"]
mod authorization_server;
#[path = "../authorizer/mod.rs"]
mod authorizer;
#[path = "../harness/mod.rs"]
mod harness;
mod tutorials;
mod world;

use std::process::ExitCode;

use harness::Version;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tutorials::Credentials;
use world::{GATEWAY, TLS_GATEWAY, World};

/// What the command line asks for.
struct Arguments {
    play: bool,
    port: u16,
    version: Version,
}

const USAGE: &str = "usage: demo [--play] [--port PORT] [--envoy 1.40|1.36]";

#[tokio::main]
async fn main() -> ExitCode {
    let Some(arguments) = Arguments::read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Some(missing) = world::tools(arguments.version)
        .iter()
        .find(|tool| !tool.is_there())
    {
        eprintln!("the demo needs {missing}");
        return ExitCode::FAILURE;
    }
    // From here on a signal only ends the waiting below, so that nothing is left running.
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        eprintln!("cannot listen for Ctrl-C");
        return ExitCode::FAILURE;
    };
    let (play, port) = (arguments.play, arguments.port);
    let start =
        move || World::start_with(arguments.version, |_| (), |listener| listener.port(port));
    let Ok(world) = tokio::task::spawn_blocking(start).await else {
        return ExitCode::FAILURE;
    };
    // Certificates to try by hand; removed in the end.
    let Ok(folder) = tempfile::tempdir() else {
        eprintln!("cannot make a temporary folder");
        return ExitCode::FAILURE;
    };
    let as_expected = tokio::task::block_in_place(|| {
        if play {
            play_all(&world)
        } else {
            show(&world, &folder)
        }
    });
    if !play {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        println!();
    }
    tokio::task::block_in_place(|| drop(world));
    if as_expected {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Plays every row; false if an answer differs.
fn play_all(world: &World) -> bool {
    let mut differing = Vec::new();
    let mut count = 0;
    let rows = world.tutorials.iter().flat_map(|tutorial| &tutorial.rows);
    let width = rows.map(|row| row.request().len()).max().unwrap_or(0);
    println!(
        "{:<8}  {:<width$}  {:<8}  got",
        "tutorial", "request", "expected"
    );
    for tutorial in &world.tutorials {
        for row in &tutorial.rows {
            count += 1;
            let (got, differences) = match row.send(&world.client_for(row)) {
                Ok(answer) => (answer.status.to_string(), row.differences(&answer)),
                Err(error) => ("-".to_owned(), vec![format!("no answer: {error}")]),
            };
            let mark = if differences.is_empty() { "" } else { " !" };
            let (number, request, status) = (tutorial.number, row.request(), row.expected.status);
            println!("{number:<8}  {request:<width$}  {status:<8}  {got}{mark}");
            differing.extend(differences.iter().map(|one| format!("{request}\n  {one}")));
        }
    }
    if differing.is_empty() {
        println!("\n{count} requests, all as expected.");
    } else {
        println!("\nNot as expected:\n{}", differing.join("\n"));
    }
    differing.is_empty()
}

/// Says what is guarded and how to try it.
fn show(world: &World, folder: &TempDir) -> bool {
    let gateway = format!("http://127.0.0.1:{}", world.envoy.port(GATEWAY));
    println!("Portcullis guards httpbin at {gateway}\n");
    for tutorial in &world.tutorials {
        println!("  {}. {}", tutorial.number, tutorial.title);
        tutorial
            .guards
            .iter()
            .for_each(|line| println!("     {line}"));
    }
    println!("\nTokens, good for an hour, from {}:\n", world.server.url());
    for (name, token) in world.tutorials.iter().flat_map(|it| &it.tokens) {
        println!("{name}={token}");
    }
    println!("\nTry:\n");
    for line in world.tutorials.iter().flat_map(|it| it.tries) {
        // The token on a line of its own.
        println!(
            "curl -i {gateway}{}",
            line.replace(" -H \"", " \\\n  -H \"")
        );
    }
    let all = world.tutorials.iter();
    for credentials in all.filter_map(|it| it.credentials.as_ref()) {
        show_credentials(credentials, world.envoy.port(TLS_GATEWAY), folder);
    }
    println!("\nCtrl-C ends it all.");
    true
}

/// Writes the certificates, and says how to show them.
fn show_credentials(credentials: &Credentials, port: u16, folder: &TempDir) {
    let path = folder.path();
    for (name, text) in &credentials.files {
        if let Err(error) = std::fs::write(path.join(name), text) {
            eprintln!("cannot write {name}: {error}");
        }
    }
    let (authority, path) = (credentials.authority, path.display());
    println!("\nOver TLS, with the certificates in {path}:\n");
    for client in credentials.clients {
        println!(
            "curl -i https://{authority}:{port}{} --resolve {authority}:{port}:127.0.0.1 \\\n  \
             --cacert {path}/ca.crt --cert {path}/{client}.crt --key {path}/{client}.key",
            credentials.path
        );
    }
}

// === impl Arguments ===

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut arguments = Arguments {
            play: false,
            port: 0,
            version: Version::V1_40,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--play" => arguments.play = true,
                "--port" => arguments.port = words.next()?.parse().ok()?,
                "--envoy" => arguments.version = Version::parse(&words.next()?)?,
                _ => return None,
            }
        }
        Some(arguments)
    }
}
