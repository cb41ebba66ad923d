//! An hour of a gateway in ten minutes: tokens of every kind that come and go, updates, new keys, and
//! everybody whom the gateway asks in trouble in turn.
//!
//! Every answer is judged by what must be answered just then, the counters by the answers, and memory
//! must be flat in the last half; it exits 1 with what differs. `cargo run --example soak`;
//! `make soak`; see `README.md`.

mod answers;
mod asks;
#[path = "../authorization_server/mod.rs"]
mod authorization_server;
#[path = "../authorizer/mod.rs"]
mod authorizer;
mod crowd;
mod events;
#[path = "../harness/mod.rs"]
mod harness;
mod issuers;
mod memory;
mod report;
mod switch;
mod verdict;
mod world;

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use events::Clock;
use harness::{environment, requirements, wait};
use verdict::Seen;
use world::{LISTENER, World};

/// Ten minutes, and the shortest that has a scene in it.
const SECONDS: u32 = 600;
const LEAST_SECONDS: u32 = 30;
/// Requests a second; modest, since what happens meanwhile counts.
const RATE: u32 = 1_500;
/// For who still waits when it ends.
const AFTER: Duration = Duration::from_secs(5);
/// Within this time the gateway has told what it counts.
const TOLD: Duration = Duration::from_millis(1_500);

fn main() -> ExitCode {
    if !requirements::met("soak", &world::tools()) {
        return ExitCode::SUCCESS;
    }
    let seconds = environment::number("SOAK_SECONDS", SECONDS);
    let rate = environment::number("SOAK_RATE", RATE);
    if seconds < LEAST_SECONDS {
        eprintln!("soak: in less than {LEAST_SECONDS} s nothing would happen that it is for");
        return ExitCode::FAILURE;
    }
    let (mut world, truth, configurations) = World::start();
    let World {
        envoy,
        idp,
        introspector,
        authorizer,
    } = &mut world;
    let envoy = &*envoy;
    if envoy.resident_kib().is_none() {
        eprintln!("soak: this system does not tell how much memory a process has; Linux does");
        return ExitCode::FAILURE;
    }
    eprintln!("soak: {seconds} s with {rate} requests/s");
    let before = envoy.stats();
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds.into());
    let clock = Clock { begun, until };
    let mut seen = thread::scope(|scope| {
        let truth = &truth;
        let memory = scope.spawn(move || memory::watch(clock, envoy));
        let updates = scope.spawn(|| events::update(clock, envoy, truth, &configurations));
        let rotations = scope.spawn(|| events::rotate(clock, truth));
        let keys = scope.spawn(|| events::trouble_idp(clock, envoy, idp));
        let opaque =
            scope.spawn(|| events::trouble_introspector(clock, envoy, truth, introspector));
        let asked = scope.spawn(|| events::trouble_authorizer(clock, envoy, truth, authorizer));
        let tally = crowd::run(truth, envoy.port(LISTENER), rate, until);
        Seen {
            seconds,
            tally,
            updates: updates.join().expect("no panic"),
            rotations: rotations.join().expect("no panic"),
            troubles: [
                ("issuer of keys", keys.join().expect("no panic")),
                ("introspection endpoint", opaque.join().expect("no panic")),
                ("authorizer", asked.join().expect("no panic")),
            ],
            memory: memory.join().expect("no panic"),
            before,
            after: envoy.stats(),
            wasm_failures: Vec::new(),
        }
    });
    let parked = "wasmcustom.portcullis.parked_requests";
    wait::becomes_true(AFTER, || envoy.stat(parked) == 0);
    thread::sleep(TOLD);
    seen.after = envoy.stats();
    seen.wasm_failures = envoy.wasm_failures();

    println!("{}", report::tables(&seen));
    let faults = seen.faults();
    if faults.is_empty() {
        println!("Everything as it must be.");
        return ExitCode::SUCCESS;
    }
    println!("Not as it must be:\n{}", faults.join("\n"));
    ExitCode::FAILURE
}
