//! What happens meanwhile: updates, key rotation, and troubles of everybody whom the gateway asks.
//!
//! Half a minute is a scene; the same happens in each, with the next trouble of each list. Every
//! change is told to the [`Truth`] before it begins. Nothing here looks at an answer.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use crate::{
    answers::Answer,
    authorization_server::{AuthorizationServer, Fault},
    authorizer::Authorizer,
    harness::{Envoy, Update},
    switch::Switch,
    world::{Configurations, Truth, changing},
};

/// When it began, and when it shall end.
#[derive(Clone, Copy)]
pub struct Clock {
    pub begun: Instant,
    pub until: Instant,
}

/// Updates that were made.
#[derive(Default)]
pub struct Updates {
    pub accepted: u32,
    pub rejected: u32,
    pub slowest: Duration,
    pub wrong: Vec<String>,
}

/// Rotations that were made.
#[derive(Default)]
pub struct Rotations {
    pub published: u32,
    pub dropped: u32,
}

/// How often each trouble was made, and how many questions of the gateway failed meanwhile.
pub type Troubles = BTreeMap<&'static str, Vec<i64>>;

/// A way not to answer, and what a client gets for it.
struct Trouble {
    name: &'static str,
    /// None: nobody listens.
    fault: Option<Fault>,
    answer: Answer,
}

/// Whoever can be in trouble.
pub trait Server {
    fn be_gone(&mut self);
    fn be_back(&mut self);
    fn misbehave(&mut self, fault: Fault);
}

const SCENE: Duration = Duration::from_secs(30);
const UPDATES: Duration = Duration::from_secs(3);
/// One of so many is faulty.
const FAULTY: usize = 10;
/// In each scene. After a trouble of 8 s a gateway asks for keys again within 10 s.
const IDP_TROUBLE: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];
const INTROSPECTOR_TROUBLE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(11)];
const AUTHORIZER_TROUBLE: [Duration; 2] = [Duration::from_secs(13), Duration::from_secs(17)];
const ROTATION: Duration = Duration::from_secs(22);
/// For workers to follow an update.
const FOLLOWED: Duration = Duration::from_millis(300);
/// For connections to go and to come.
const SETTLES: Duration = Duration::from_millis(300);
/// Within this time the gateway has told what it counts.
const TOLD: Duration = Duration::from_millis(1_500);
/// Longer than anybody waits for an answer.
const HANGS: Fault = Fault::Slow {
    milliseconds: 60_000,
};

// === impl Clock ===

impl Clock {
    /// Waits for a time; false if it is beyond the end.
    fn wait_for(&self, at: Duration) -> bool {
        let at = self.begun + at;
        if at < self.until {
            thread::sleep(at.saturating_duration_since(Instant::now()));
        }
        at < self.until
    }

    /// So long after the begin.
    fn has(&self, at: Duration) -> bool {
        self.begun + at < self.until
    }
}

/// Another configuration every few seconds, and a faulty one now and then.
pub fn update(
    clock: Clock,
    envoy: &Envoy,
    truth: &Truth,
    configurations: &Configurations,
) -> Updates {
    let mut updates = Updates::default();
    let mut in_force = 0;
    for number in 1.. {
        if !clock.wait_for(UPDATES * u32::try_from(number).unwrap_or(u32::MAX)) {
            break;
        }
        let asked = Instant::now();
        let faulty = number % FAULTY == 0;
        let (done, wanted) = if faulty {
            let mut configuration = configurations.number(number);
            configuration["apiRules"][0]["colour"] = "red".into();
            (envoy.update_plugin(&configuration), Update::Rejected)
        } else {
            in_force += 1;
            let configuration = configurations.number(in_force);
            let act = || envoy.update_plugin(&configuration);
            let done = truth.changing.change(changing(in_force), FOLLOWED, act);
            (done, Update::Accepted)
        };
        updates.slowest = updates.slowest.max(asked.elapsed());
        match done {
            Update::Accepted => updates.accepted += 1,
            Update::Rejected => updates.rejected += 1,
        }
        if done != wanted {
            let wrong = format!("update {number} was {done:?}, not {wanted:?}");
            updates.wrong.push(wrong);
        }
    }
    updates
}

/// New keys in one scene; in the next, the old ones are dropped.
pub fn rotate(clock: Clock, truth: &Truth) -> Rotations {
    let mut rotations = Rotations::default();
    for scene in 0.. {
        if !clock.wait_for(SCENE * scene + ROTATION) {
            break;
        }
        for keys in [&truth.north, &truth.south] {
            match scene % 2 {
                0 => keys.rotate(),
                _ => keys.drop_old(),
            }
        }
        match scene % 2 {
            0 => rotations.published += 1,
            _ => rotations.dropped += 1,
        }
    }
    rotations
}

/// Key sets are not to be had.
pub fn trouble_idp(clock: Clock, envoy: &Envoy, idp: &mut AuthorizationServer) -> Troubles {
    let huge = 10 * 1024 * 1024;
    // A known key serves on, so that nobody is to notice.
    let list = troubles(huge, Answer::Passed);
    let unnoticed = Switch::new(None);
    let failed = || failed(envoy, "key_fetches_total");
    make(clock, IDP_TROUBLE, &list, idp, &unnoticed, failed)
}

/// Nobody says anything of an opaque token.
pub fn trouble_introspector(
    clock: Clock,
    envoy: &Envoy,
    truth: &Truth,
    introspector: &mut AuthorizationServer,
) -> Troubles {
    let mut list = troubles(100_000, Answer::IntrospectionFailed);
    list.extend([
        Trouble::status("401", 401, Answer::IntrospectionUnauthorized),
        Trouble::status("429", 429, Answer::IntrospectionThrottled),
    ]);
    let failed = || failed(envoy, "introspections_total");
    let switch = &truth.introspection;
    make(
        clock,
        INTROSPECTOR_TROUBLE,
        &list,
        introspector,
        switch,
        failed,
    )
}

/// Nobody judges for the gateway.
pub fn trouble_authorizer(
    clock: Clock,
    envoy: &Envoy,
    truth: &Truth,
    authorizer: &mut Authorizer,
) -> Troubles {
    let mut list = troubles(0, Answer::AuthorizerFailed);
    // What it answers with 200 or 302 is a judgement, whatever is in it.
    list.retain(|trouble| {
        let fault = trouble.fault.as_ref();
        !matches!(
            fault,
            Some(Fault::Html | Fault::Redirect { .. } | Fault::Huge { .. })
        )
    });
    let failed = || failed(envoy, "authorizations_total");
    let switch = &truth.authorization;
    make(clock, AUTHORIZER_TROUBLE, &list, authorizer, switch, failed)
}

fn troubles(huge: usize, answer: Answer) -> Vec<Trouble> {
    let nowhere = "http://127.0.0.1:1/".to_owned();
    let trouble = |name, fault| Trouble {
        name,
        fault,
        answer,
    };
    vec![
        // First, since Envoy keeps the memory that it has needed for that.
        trouble("too much", Some(Fault::Huge { bytes: huge })),
        trouble("connection refused", None),
        trouble("hang", Some(HANGS)),
        trouble("500", Some(Fault::Status { status: 500 })),
        trouble("HTML", Some(Fault::Html)),
        trouble("half a response", Some(Fault::Reset)),
        trouble("redirect", Some(Fault::Redirect { location: nowhere })),
    ]
}

/// Makes one trouble of the list in each scene that is long enough for it.
fn make(
    clock: Clock,
    [from, to]: [Duration; 2],
    list: &[Trouble],
    server: &mut impl Server,
    switch: &Switch<Option<Answer>>,
    failed: impl Fn() -> i64,
) -> Troubles {
    let mut troubles = Troubles::new();
    for (scene, trouble) in (0..).zip(list.iter().cycle()) {
        let begun = SCENE * scene;
        if !clock.has(begun + to + TOLD) || !clock.wait_for(begun + from) {
            break;
        }
        let before = failed();
        switch.change(Some(trouble.answer), SETTLES, || match &trouble.fault {
            None => server.be_gone(),
            Some(fault) => server.misbehave(fault.clone()),
        });
        clock.wait_for(begun + to);
        switch.change(None, SETTLES, || match &trouble.fault {
            None => server.be_back(),
            Some(_) => server.misbehave(Fault::None),
        });
        thread::sleep(TOLD);
        let met = failed() - before;
        troubles.entry(trouble.name).or_default().push(met);
    }
    troubles
}

/// How many questions of this kind have failed so far.
fn failed(envoy: &Envoy, family: &str) -> i64 {
    const FAILED: [&str; 3] = ["failed", "unauthorized", "throttled"];
    let stats = envoy.stats().into_iter();
    let failed = stats.filter(|(name, _)| {
        let mut words = FAILED.iter();
        name.ends_with(family) && words.any(|word| name.contains(&format!("outcome=.={word};")))
    });
    failed.map(|(_, count)| count).sum()
}

// === impl Trouble ===

impl Trouble {
    fn status(name: &'static str, status: u16, answer: Answer) -> Self {
        Trouble {
            name,
            fault: Some(Fault::Status { status }),
            answer,
        }
    }
}

// === impl Server ===

impl Server for AuthorizationServer {
    fn be_gone(&mut self) {
        self.stop();
    }

    fn be_back(&mut self) {
        self.start_again();
    }

    fn misbehave(&mut self, fault: Fault) {
        self.fault_everywhere(fault);
    }
}

impl Server for Authorizer {
    fn be_gone(&mut self) {
        self.stop();
    }

    fn be_back(&mut self) {
        self.start_again();
    }

    fn misbehave(&mut self, fault: Fault) {
        self.fault(fault);
    }
}
