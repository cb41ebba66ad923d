//! The authorization server by itself: `cargo run --example authorization-server -- --port 8089`.
//!
//! It has the issuers of the tutorials and stays until Ctrl-C. See `mod.rs` for what it answers.

#[path = "mod.rs"]
mod authorization_server;

use std::process::ExitCode;

use authorization_server::{AuthorizationServer, Options};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Some(0),
        ["--port", port] => port.parse().ok(),
        _ => None,
    };
    let Some(port) = port else {
        eprintln!("usage: authorization-server [--port PORT]");
        return ExitCode::from(2);
    };
    let server =
        tokio::task::block_in_place(|| AuthorizationServer::start(Options::tutorials().port(port)));
    let url = server.url();
    println!("authorization server on {url}, issuers demo, foo and bar; a token:\n");
    println!(
        "curl -s {url}/oauth2/token -u demo-client:demo-secret -d grant_type=client_credentials"
    );
    let stopped = tokio::signal::ctrl_c().await;
    tokio::task::block_in_place(|| drop(server));
    if stopped.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
