//! The real ones at the other end of each conversation, where the tests have stand-ins of ours.
//!
//! Each peer is played as a part of one table; the exit is 1 if anything differs. A peer that is not
//! built is skipped with a line. `make test-peers` builds them; `PEERS="istiod istioctl"` chooses.

#[path = "../authorization_server/mod.rs"]
mod authorization_server;
#[path = "../authorizer/mod.rs"]
mod authorizer;
mod gateway;
#[path = "../harness/mod.rs"]
mod harness;
mod hydra;
mod image_fetcher;
mod istioctl;
mod istiod;
mod kubernetes;
mod mesh;
mod native;
mod oauth2_proxy;
mod table;
#[path = "../demo/tutorials/mod.rs"]
mod tutorials;

use std::{env, process::ExitCode};

use harness::{
    Tool, Version, registry,
    requirements::{FETCH_IMAGE, HYDRA, ISTIOCTL, OAUTH2_PROXY, PILOT_DISCOVERY, met},
};
use table::Line;

/// Someone else's program, and what is played with it.
struct Peer {
    name: &'static str,
    version: &'static str,
    needs: &'static [Tool],
    play: fn() -> Vec<Line>,
}

const GATEWAY: [Tool; 4] = [
    PILOT_DISCOVERY,
    Tool::Envoy(Version::V1_40),
    Tool::Httpbin,
    Tool::Plugin,
];

const PEERS: [Peer; 6] = [
    Peer {
        name: "istiod",
        version: "1.31",
        needs: &GATEWAY,
        play: gateway::play,
    },
    Peer {
        name: "native",
        version: "1.31",
        needs: &GATEWAY,
        play: native::play,
    },
    Peer {
        name: "image-fetcher",
        version: "1.31",
        needs: &[FETCH_IMAGE, registry::TOOL, Tool::Plugin],
        play: image_fetcher::play,
    },
    Peer {
        name: "istioctl",
        version: "1.31",
        needs: &[ISTIOCTL, Tool::Kubectl],
        play: istioctl::play,
    },
    Peer {
        name: "oauth2-proxy",
        version: "7.15.6",
        needs: &[
            OAUTH2_PROXY,
            Tool::Envoy(Version::V1_40),
            Tool::Httpbin,
            Tool::Plugin,
        ],
        play: oauth2_proxy::play,
    },
    Peer {
        name: "hydra",
        version: "2.3.0",
        needs: &[
            HYDRA,
            Tool::Envoy(Version::V1_40),
            Tool::Httpbin,
            Tool::Plugin,
        ],
        play: hydra::play,
    },
];

/// Set in the environment, it makes this program `portcullis`, whose own an example cannot find.
pub const COMMAND: &str = "PORTCULLIS_COMMAND";

fn main() -> ExitCode {
    if env::var_os(COMMAND).is_some() {
        return portcullis::cli::run().into();
    }
    let chosen = env::var("PEERS").unwrap_or_default();
    let chosen: Vec<_> = chosen.split_whitespace().collect();
    let unknown = |name: &&&str| PEERS.iter().all(|peer| peer.name != **name);
    if let Some(name) = chosen.iter().find(unknown) {
        eprintln!("no peer `{name}`");
        return ExitCode::from(2);
    }
    let mut as_expected = true;
    for peer in &PEERS {
        let wanted = chosen.is_empty() || chosen.contains(&peer.name);
        if wanted && met(peer.name, peer.needs) {
            as_expected &= table::print(peer.name, peer.version, &(peer.play)());
        }
    }
    if as_expected {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
