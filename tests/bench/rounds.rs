//! One Envoy with a listener for each contender, and all contenders in turn, round by round.
//!
//! Nothing is asserted but that all of them do their work: what is slow is for the reader to say.
//! Called by `main.rs`, once for each number of authorities.

use crate::{
    authorizer::AUTHORIZER,
    contenders::Contender,
    guarded::{AUTHORITY, PATH},
    harness::{Builder, Envoy, Version},
    portcullis::ISSUER,
    settings::Settings,
    tokens::TokenFiles,
    usage,
    wrk::{self, Latency, Run, Target},
};

/// What all contenders share.
pub struct Surroundings<'a> {
    pub version: Version,
    pub settings: &'a Settings,
    /// The port of the issuer.
    pub issuer: u16,
    pub authorizer: &'a Envoy,
    pub tokens: &'a TokenFiles,
}

/// A contender with its runs, one of each kind for each round.
pub struct Measured {
    pub contender: Contender,
    pub runs: Vec<Run>,
    pub latencies: Vec<Latency>,
    /// Requests so far, with those that were not counted.
    sent: usize,
}

const WARM_UP_SECONDS: u32 = 1;
/// More than the requests that wrk has under way when it ends.
const UNCOUNTED: usize = 128;

/// Measures them all; panics if one does not guard, or a request fails.
pub fn measure(contenders: Vec<Contender>, around: &Surroundings<'_>) -> Vec<Measured> {
    let Settings {
        rounds,
        seconds,
        rate,
        ..
    } = *around.settings;
    let envoy = around.envoy(&contenders).start();
    usage::pin(&envoy, usage::MEASURED_CORE);
    for contender in &contenders {
        assert_guards(&envoy, contender, &around.tokens.first(contender.tokens));
    }
    let mut measured: Vec<_> = contenders.into_iter().map(Measured::new).collect();
    for one in &mut measured {
        eprintln!("bench: warming up {}", one.contender.name);
        one.warm_up(&envoy, around);
    }
    for round in 1..=rounds {
        // Forth and back, so that a machine that gets slower or faster favours nobody.
        measured.reverse();
        for one in &mut measured {
            eprintln!("bench: round {round} of {rounds}, {}", one.contender.name);
            let run = wrk::at_full_speed(&one.target(&envoy, around), seconds);
            one.has_sent(run.requests);
            one.runs.push(run);
            let latency = wrk::at_rate(&one.target(&envoy, around), seconds, rate);
            one.has_sent(latency.requests);
            one.latencies.push(latency);
        }
    }
    envoy.assert_no_wasm_failures();
    if rounds % 2 == 1 {
        measured.reverse();
    }
    measured
}

/// Nothing is worth measuring that does not let a good token in and keep out who has none.
fn assert_guards(envoy: &Envoy, contender: &Contender, token: &str) {
    let client = envoy.client(&contender.name);
    let request = || client.get(PATH).authority(AUTHORITY);
    let with = request().bearer(token).send().expect("an answer").status;
    assert_eq!(with, 200, "{} and a good token", contender.name);
    let without = request().send().expect("an answer").status;
    match contender.guards {
        Some(true) => assert_eq!(without, 403, "{} and no token", contender.name),
        Some(false) => assert_eq!(without, 200, "{} and no token", contender.name),
        None => eprintln!("bench: {} and no token: {without}", contender.name),
    }
}

// === impl Surroundings ===

impl Surroundings<'_> {
    /// An Envoy with a listener for each of them.
    pub fn envoy<'a>(&self, contenders: impl IntoIterator<Item = &'a Contender>) -> Builder {
        let builder = Envoy::builder(self.version)
            .cluster(ISSUER, self.issuer)
            .cluster(AUTHORIZER, self.authorizer.port(AUTHORIZER));
        let listeners = contenders.into_iter().map(Contender::listener);
        listeners.fold(builder, Builder::listener)
    }
}

// === impl Measured ===

impl Measured {
    fn new(contender: Contender) -> Self {
        Measured {
            contender,
            runs: Vec::new(),
            latencies: Vec::new(),
            sent: 0,
        }
    }

    fn target<'a>(&'a self, envoy: &'a Envoy, around: &'a Surroundings<'_>) -> Target<'a> {
        Target {
            envoy,
            authorizer: around.authorizer,
            listener: &self.contender.name,
            authority: AUTHORITY,
            path: PATH,
            tokens: around.tokens.path(self.contender.tokens),
            start: self.sent,
        }
    }

    /// Until each token has been seen that is to be remembered.
    fn warm_up(&mut self, envoy: &Envoy, around: &Surroundings<'_>) {
        let tokens = self.contender.tokens;
        let enough = if tokens.are_new() { 1 } else { tokens.count() };
        while self.sent < enough {
            let run = wrk::at_full_speed(&self.target(envoy, around), WARM_UP_SECONDS);
            self.has_sent(run.requests);
        }
    }

    /// What is to be new is never sent twice in a row, though wrk may have sent it uncounted.
    fn has_sent(&mut self, requests: usize) {
        let are_new = self.contender.tokens.are_new();
        self.sent += requests + if are_new { UNCOUNTED } else { 0 };
    }
}
