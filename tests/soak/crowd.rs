//! The clients: lanes with a connection each, or with a new one for each request, that ask at a steady
//! rate and judge every answer.
//!
//! What a lane could not send while it waited is not made up for, so a gateway in trouble gets no
//! flood on top.

use std::{
    collections::BTreeMap,
    ops::AddAssign,
    thread,
    time::{Duration, Instant},
};

use crate::{
    answers::Answer,
    asks::{ASKING, Kind, Memory, QUICK, draw},
    harness::Client,
    issuers::Span,
    world::Truth,
};

/// What was asked and answered.
#[derive(Default)]
pub struct Tally {
    pub answers: BTreeMap<(Kind, Answer), u64>,
    /// Answers that were right, and another one would have been, too.
    pub ambiguous: BTreeMap<Kind, u64>,
    pub slowest: BTreeMap<Kind, Duration>,
    /// Answers that took longer than [`LATE`].
    pub late: BTreeMap<Kind, u64>,
    /// Opened connections.
    pub connections: u64,
    /// Wrong answers, and the first of them in words, with the time since the begin.
    pub wrong: u64,
    pub told: Vec<(Duration, String)>,
}

/// A group of lanes.
struct Lanes {
    kinds: &'static [(Kind, u32)],
    /// So many keep their connection, and so many do not.
    keeping: u32,
    anew: u32,
    /// Of a hundred requests.
    share: u32,
}

const LANES: [Lanes; 2] = [
    Lanes {
        kinds: &QUICK,
        keeping: 14,
        anew: 2,
        share: 88,
    },
    Lanes {
        kinds: &ASKING,
        keeping: 22,
        anew: 2,
        share: 12,
    },
];

/// Shorter than the time that the gateway waits for somebody who does not answer.
pub const LATE: Duration = Duration::from_millis(500);
/// Longer than anybody has to wait.
const PATIENCE: Duration = Duration::from_secs(10);
const CATCHES_UP: Duration = Duration::from_secs(1);
const MOST_TOLD: usize = 20;

/// Asks so many times in a second until then.
pub fn run(truth: &Truth, port: u16, rate: u32, until: Instant) -> Tally {
    let begun = Instant::now();
    thread::scope(|scope| {
        let mut lanes = Vec::new();
        for group in &LANES {
            let count = group.keeping + group.anew;
            let every = Duration::from_secs(100) * count / (group.share * rate);
            for number in 0..count {
                let mut lane = Lane {
                    truth,
                    port,
                    kept: (number < group.keeping).then(|| client(port)),
                    memory: Memory::new(),
                    begun,
                    tally: Tally::default(),
                };
                lanes.push(scope.spawn(move || {
                    lane.run(group.kinds, every, until);
                    lane.tally
                }));
            }
        }
        let tallies = lanes.into_iter().map(|lane| lane.join().expect("no panic"));
        tallies.fold(Tally::default(), |mut all, one| {
            all += one;
            all
        })
    })
}

fn client(port: u16) -> Client {
    Client::new(port).timeout(PATIENCE)
}

/// One client.
struct Lane<'t> {
    truth: &'t Truth,
    port: u16,
    /// Its connection; none if it opens one for each request.
    kept: Option<Client>,
    memory: Memory,
    begun: Instant,
    tally: Tally,
}

// === impl Lane ===

impl Lane<'_> {
    fn run(&mut self, kinds: &[(Kind, u32)], every: Duration, until: Instant) {
        self.tally.connections += u64::from(self.kept.is_some());
        let mut due = Instant::now() + every.mul_f64(fastrand::f64());
        while due < until {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.ask(draw(kinds));
            due = (due + every).max(Instant::now() - CATCHES_UP);
        }
    }

    fn ask(&mut self, kind: Kind) {
        // Which worker knows an opaque token, is known of a connection alone.
        if kind == Kind::KnownOpaque && self.kept.is_none() {
            return;
        }
        let Some(ask) = self.memory.ask(kind, self.truth) else {
            return;
        };
        let anew;
        let client = match &self.kept {
            Some(client) => client,
            None => {
                self.tally.connections += 1;
                anew = client(self.port);
                &anew
            }
        };
        let request = client.get(ask.path).authority(ask.authority);
        let sent = Instant::now();
        let response = request.maybe_bearer(ask.token.as_deref()).send();
        let answered = Instant::now();
        let expected = (ask.judge)(&Span { sent, answered });
        let took = answered - sent;
        let slowest = self.tally.slowest.entry(ask.kind).or_default();
        *slowest = took.max(*slowest);
        *self.tally.late.entry(ask.kind).or_default() += u64::from(took > LATE);
        let got = match &response {
            Ok(response) => expected.iter().find(|answer| answer.is(response)),
            Err(_) => None,
        };
        if let Some(got) = got {
            *self.tally.answers.entry((ask.kind, *got)).or_default() += 1;
            let ambiguous = self.tally.ambiguous.entry(ask.kind).or_default();
            *ambiguous += u64::from(expected.len() > 1);
            if *got == Answer::Passed {
                self.memory.remember(ask.remember, sent);
            }
            return;
        }
        self.tally.wrong += 1;
        if self.tally.told.len() < MOST_TOLD {
            let at = sent - self.begun;
            let got = response.map_or_else(
                |error| format!("no answer: {error}"),
                |response| format!("{} `{}`", response.status, response.text()),
            );
            let told = format!(
                "at {at:.1?} {:?} {} {}: {expected:?} expected, got {got} after {took:.1?}",
                ask.kind, ask.authority, ask.path
            );
            self.tally.told.push((at, told));
        }
    }
}

// === impl Tally ===

impl Tally {
    pub fn total(&self) -> u64 {
        self.answers.values().sum()
    }

    /// How many of this kind were answered rightly.
    pub fn of_kind(&self, wanted: Kind) -> u64 {
        let all = self.answers.iter().filter(|((kind, _), _)| *kind == wanted);
        all.map(|(_, count)| count).sum()
    }

    /// How many were answered so.
    pub fn of(&self, wanted: Answer) -> u64 {
        let all = self.answers.iter();
        let all = all.filter(|((_, answer), _)| *answer == wanted);
        all.map(|(_, count)| count).sum()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        for (key, count) in other.answers {
            *self.answers.entry(key).or_default() += count;
        }
        for (kind, count) in other.ambiguous {
            *self.ambiguous.entry(kind).or_default() += count;
        }
        for (kind, count) in other.late {
            *self.late.entry(kind).or_default() += count;
        }
        for (kind, took) in other.slowest {
            let slowest = self.slowest.entry(kind).or_default();
            *slowest = took.max(*slowest);
        }
        self.connections += other.connections;
        self.wrong += other.wrong;
        self.told.extend(other.told);
        self.told.sort();
        self.told.truncate(MOST_TOLD);
    }
}
