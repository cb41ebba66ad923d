//! What a contender adds to the memory of an Envoy that has it alone.
//!
//! An Envoy with one worker and one with two each answer the same requests; the same without a filter
//! is taken away. Called by `main.rs` after all else.

use std::thread;

use serde::Serialize;

use crate::{
    contenders::{Contender, EMPTY, NATIVE_WARM, NO_FILTER, WARM},
    guarded::{AUTHORITY, PATH},
    harness::{Client, Envoy},
    rounds::Surroundings,
    tokens::Tokens,
    usage,
};

/// One line of the result, in MiB.
#[derive(Serialize)]
pub struct Memory {
    pub contender: String,
    pub authorities: u32,
    /// What an Envoy with one worker has more, with what its main thread keeps.
    pub first_worker_mebibytes: f64,
    /// What another worker brings.
    pub further_worker_mebibytes: f64,
    /// What a worker has more after as many tokens as are all remembered.
    pub tokens_mebibytes: f64,
}

/// The memory of an Envoy with one worker and with two, and of the latter after many tokens, in MiB.
#[derive(Clone, Copy)]
struct Resident {
    one_worker: f64,
    two_workers: f64,
    two_workers_after_tokens: f64,
}

/// With the same token, before anything is read.
const REQUESTS: usize = 1_000;
/// Whose memory is told; that of the empty filter does not depend on rules.
const WHO: [&str; 3] = [EMPTY, NATIVE_WARM, WARM];

/// Measures those of [`WHO`] that are there, by the number of authorities.
pub fn measure(sizes: &[(u32, Vec<Contender>)], around: &Surroundings<'_>) -> Vec<Memory> {
    let all = sizes
        .iter()
        .flat_map(|(authorities, all)| all.iter().map(move |one| (*authorities, one)));
    let mut chosen: Vec<_> = all
        .clone()
        .filter(|(_, one)| WHO.contains(&&*one.name))
        .collect();
    let mut has_empty = false;
    chosen.retain(|(_, one)| one.name != EMPTY || !std::mem::replace(&mut has_empty, true));
    let none = all.clone().find(|(_, one)| one.name == NO_FILTER);
    let (Some((_, none)), false) = (none, chosen.is_empty()) else {
        return Vec::new();
    };
    let tokens = around.tokens.all(Tokens::Remembered);
    let resident = |one: &Contender| {
        eprintln!("bench: memory, {}", one.name);
        Resident::measure(one, &tokens, around)
    };
    let none = resident(none);
    let added = chosen
        .into_iter()
        .map(|(authorities, one)| Memory::new(one, authorities, resident(one), none));
    added.collect()
}

// === impl Resident ===

impl Resident {
    fn measure(contender: &Contender, tokens: &[String], around: &Surroundings<'_>) -> Self {
        let envoys = [1, 2].map(|workers| {
            let envoy = around.envoy([contender]).concurrency(workers).start();
            let clients = envoy.clients_on_every_worker(&contender.name, workers);
            send(&clients, std::iter::repeat_n(&tokens[0], REQUESTS));
            (envoy, clients)
        });
        let [one_worker, two_workers] = envoys
            .each_ref()
            .map(|(envoy, _)| usage::resident_mebibytes(envoy));
        let [_, (envoy, clients)]: [(Envoy, Vec<Client>); 2] = envoys;
        send(&clients, tokens.iter());
        Resident {
            one_worker,
            two_workers,
            two_workers_after_tokens: usage::resident_mebibytes(&envoy),
        }
    }
}

/// Each client sends each token, all clients at the same time.
fn send<'t>(clients: &[Client], tokens: impl Iterator<Item = &'t String> + Clone + Send) {
    thread::scope(|scope| {
        for client in clients {
            let tokens = tokens.clone();
            scope.spawn(move || {
                for token in tokens {
                    let request = client.get(PATH).authority(AUTHORITY).bearer(token);
                    assert_eq!(request.send().expect("an answer").status, 200);
                }
            });
        }
    });
}

// === impl Memory ===

impl Memory {
    fn new(contender: &Contender, authorities: u32, with: Resident, without: Resident) -> Self {
        let added = |what: fn(Resident) -> f64| what(with) - what(without);
        Memory {
            contender: contender.name.clone(),
            authorities,
            first_worker_mebibytes: added(|it| it.one_worker),
            further_worker_mebibytes: added(|it| it.two_workers - it.one_worker),
            tokens_mebibytes: added(|it| (it.two_workers_after_tokens - it.two_workers) / 2.0),
        }
    }
}
