//! When keys are fetched, kept, and given up.

use super::*;
use crate::token::signature::PureRust;

/// RFC 7515, A.3.1.
const ONE_KEY: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

const START: Duration = Duration::from_secs(1_767_225_600);
const DAY: u64 = 24 * 60 * 60;
const A: SourceId = SourceId(0);
const B: SourceId = SourceId(1);

fn remote(name: &str) -> KeySource {
    KeySource::Remote(RemoteKeys {
        authority: format!("{name}.example.com"),
        path: "/jwks".to_owned(),
        cluster: name.to_owned(),
        timeout: Duration::from_secs(5),
        refresh: Duration::from_secs(300),
    })
}

fn inline() -> KeySource {
    KeySource::Inline(std::rc::Rc::new(
        KeySet::read(ONE_KEY.as_bytes()).unwrap().0,
    ))
}

/// Keys, and a clock in seconds since [`START`].
struct World {
    keys: Keys,
    now: Duration,
}

impl World {
    fn new(sources: &[KeySource]) -> Self {
        let keys = Keys::new(sources, Box::new(PureRust), 7);
        Self { keys, now: START }
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = START.saturating_add(Duration::from_secs(seconds));
        self
    }

    fn due(&mut self) -> Vec<usize> {
        let due = self.keys.due(self.now);
        due.into_iter().map(|(id, _)| id.0).collect()
    }

    fn answer(&mut self, id: SourceId, body: &str) -> Outcome {
        self.keys
            .fetched(id, Ok(body.as_bytes()), self.now)
            .unwrap()
    }

    /// Fails a fetch, and tells after how many seconds the next one is due.
    fn fail(&mut self, id: SourceId) -> f32 {
        let failure = Err(FetchFailure::Status(500));
        match self.keys.fetched(id, failure, self.now) {
            Some(Outcome::Failed { retry_in, .. }) => retry_in.as_secs_f32(),
            other => panic!("{other:?}"),
        }
    }

    fn of(&self, id: SourceId) -> &'static str {
        match self.keys.of(id, self.now) {
            Availability::Ready(..) => "ready",
            Availability::Pending => "pending",
            Availability::Failing => "failing",
        }
    }

    fn generation(&self, id: SourceId) -> u64 {
        match self.keys.of(id, self.now) {
            Availability::Ready(_, generation) => generation,
            _ => panic!("no keys"),
        }
    }
}

#[test]
fn keys_of_the_configuration_are_there_and_never_fetched() {
    let mut world = World::new(&[inline()]);
    assert_eq!((world.of(A), world.due()), ("ready", vec![]));
    world.at(400 * DAY);
    assert_eq!((world.of(A), world.due()), ("ready", vec![]));
    assert_eq!(world.of(B), "failing", "a source that does not exist");
}

#[test]
fn keys_are_fetched_at_once_and_then_every_five_minutes() {
    let mut world = World::new(&[remote("a")]);
    assert_eq!((world.of(A), world.due()), ("pending", vec![0]));
    assert_eq!(
        (world.of(A), world.due()),
        ("pending", vec![]),
        "it is under way"
    );
    world.at(1).answer(A, ONE_KEY);
    assert_eq!(
        (world.of(A), world.generation(A), world.due()),
        ("ready", 1, vec![])
    );
    assert_eq!(
        world.at(1 + 269).due(),
        Vec::<usize>::new(),
        "a tenth early is the earliest"
    );
    assert_eq!(world.at(1 + 331).due(), [0], "a tenth late is the latest");
    assert_eq!(world.of(A), "ready", "while they are fetched");
    world.answer(A, ONE_KEY);
    assert_eq!(world.generation(A), 2);
}

#[test]
fn without_keys_failures_are_retried_after_one_two_and_then_four_seconds() {
    let mut world = World::new(&[remote("a")]);
    let mut now = 0;
    for expected in [1.0, 2.0, 4.0, 4.0, 4.0, 4.0] {
        assert_eq!(world.at(now).due(), [0]);
        let retry = world.fail(A);
        assert!(
            (expected * 0.9..=expected * 1.1).contains(&retry),
            "{retry} for {expected}"
        );
        assert_eq!((world.of(A), world.due()), ("failing", vec![]));
        now += 5;
    }
    world.at(now).answer(A, ONE_KEY);
    assert_eq!(world.of(A), "ready");
    assert_eq!(world.at(now + 331).due(), [0]);
    assert!(world.fail(A) <= 1.1, "after a success it begins anew");
}

#[test]
fn with_keys_failures_are_retried_within_a_minute_and_the_old_keys_serve() {
    let mut world = World::new(&[remote("a")]);
    world.due();
    world.answer(A, ONE_KEY);
    let mut last = 0.0;
    for attempt in 0..40 {
        world.at(400 + attempt * 70);
        assert_eq!(world.due(), [0], "attempt {attempt}");
        last = world.fail(A);
        assert!(last <= 66.0, "{last}");
        assert_eq!((world.of(A), world.generation(A)), ("ready", 1));
    }
    assert!(last >= 54.0, "{last}");
}

#[test]
fn old_keys_serve_for_a_day_and_then_no_more() {
    let mut world = World::new(&[remote("a")]);
    world.due();
    world.answer(A, ONE_KEY);
    world.at(400).due();
    world.fail(A);
    assert_eq!(world.at(DAY - 1).of(A), "ready");
    assert_eq!(world.at(DAY).of(A), "failing");
    assert_eq!(world.at(DAY + 1).due(), [0]);
    world.answer(A, ONE_KEY);
    assert_eq!((world.of(A), world.generation(A)), ("ready", 2));
}

#[test]
fn keys_that_are_too_old_to_serve_are_none() {
    let mut world = World::new(&[remote("a")]);
    world.due();
    world.answer(A, ONE_KEY);
    for attempt in 0..10 {
        world.at(400 + attempt * 70).due();
        world.fail(A);
    }
    world.at(DAY + 1).due();
    let failed = world
        .keys
        .fetched(A, Err(FetchFailure::Status(503)), world.now)
        .unwrap();
    let Outcome::Failed {
        retry_in, serving, ..
    } = &failed
    else {
        panic!("{failed:?}")
    };
    assert!(
        retry_in.as_secs_f32() <= 4.4,
        "tokens are refused: {retry_in:?}"
    );
    assert_eq!(*serving, None, "they do not go on serving");
}

#[test]
fn a_body_that_is_no_usable_key_set_is_a_failure_and_the_old_keys_stay() {
    let huge = " ".repeat(super::super::MAX_BYTES + 1);
    let many = format!(r#"{{"keys":[{}]}}"#, vec!["{}"; 101].join(","));
    for (name, body, said) in [
        ("nothing", "", "no key set: not JSON"),
        ("HTML", "<html>500</html>", "no key set: not JSON"),
        (
            "cut",
            ONE_KEY.strip_suffix('}').unwrap(),
            "no key set: not JSON",
        ),
        (
            "a list",
            "[]",
            "no key set: not an object with a list `keys`",
        ),
        (
            "an OAuth error",
            r#"{"error":"x"}"#,
            "no key set: not an object with a list `keys`",
        ),
        ("no key", r#"{"keys":[]}"#, "no usable key"),
        (
            "no usable key",
            r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
            "no usable key: key 0",
        ),
        ("too many", &many, "no key set: 101 keys"),
        ("too long", &huge, "no key set: 262145 bytes"),
    ] {
        let mut world = World::new(&[remote("a")]);
        world.due();
        assert!(
            world.answer(A, body).to_string().starts_with(said),
            "{name}: without keys"
        );
        assert_eq!(world.of(A), "failing", "{name}");
        world.at(5).due();
        world.answer(A, ONE_KEY);
        world.at(400).due();
        let outcome = world.answer(A, body);
        assert!(outcome.to_string().starts_with(said), "{name}: {outcome}");
        assert!(
            outcome.to_string().ends_with("go on serving"),
            "{name}: {outcome}"
        );
        assert_eq!((world.of(A), world.generation(A)), ("ready", 1), "{name}");
    }
}

#[test]
fn one_failing_source_touches_no_other() {
    let mut world = World::new(&[remote("a"), remote("b"), inline()]);
    assert_eq!(world.due(), [0, 1]);
    world.fail(A);
    assert_eq!(
        (world.of(A), world.of(B), world.of(SourceId(2))),
        ("failing", "pending", "ready")
    );
    world.answer(B, ONE_KEY);
    assert_eq!((world.of(A), world.of(B)), ("failing", "ready"));
    assert_eq!(world.at(5).due(), [0], "only the failing one is due");
    world.answer(A, "<html>");
    assert_eq!(
        (world.of(A), world.of(B), world.generation(B)),
        ("failing", "ready", 1)
    );
    world.at(10).due();
    world.answer(A, ONE_KEY);
    assert_eq!((world.of(A), world.of(B)), ("ready", "ready"));
}

#[test]
fn a_fetch_that_is_never_answered_is_repeated() {
    let mut world = World::new(&[remote("a")]);
    assert_eq!(world.due(), [0]);
    assert_eq!(
        world.at(15).due(),
        Vec::<usize>::new(),
        "three times its timeout"
    );
    assert_eq!(world.at(16).due(), [0]);
    assert_eq!(world.at(17).due(), Vec::<usize>::new());
    assert_eq!(world.of(A), "pending");
    world.answer(A, ONE_KEY);
    assert_eq!(world.of(A), "ready");
}

#[test]
fn a_clock_that_was_set_back_stops_neither_fetches_nor_keys() {
    let mut world = World::new(&[remote("a"), remote("b")]);
    world.at(30 * DAY).due();
    world.answer(A, ONE_KEY);
    world.at(29 * DAY);
    assert_eq!(world.of(A), "ready");
    assert_eq!(
        world.due(),
        [0, 1],
        "b was under way before, by the other clock"
    );
    world.answer(A, ONE_KEY);
    assert_eq!(world.at(29 * DAY + 331).due(), [0, 1]);
    // By less than two refreshes: the next attempt is as much later at most.
    let mut world = World::new(&[remote("a")]);
    world.at(DAY).due();
    world.answer(A, ONE_KEY);
    assert_eq!(world.at(DAY - 60).due(), Vec::<usize>::new());
    assert_eq!(world.at(DAY + 331).due(), [0]);
}

#[test]
fn a_clock_that_was_set_forward_makes_old_keys_unusable_until_the_next_fetch() {
    let mut world = World::new(&[remote("a")]);
    world.due();
    world.answer(A, ONE_KEY);
    assert_eq!(world.at(2 * DAY).of(A), "pending");
    assert_eq!(world.due(), [0]);
    world.answer(A, ONE_KEY);
    assert_eq!(world.of(A), "ready");
}

#[test]
fn outcomes_are_told_in_one_line() {
    let mut world = World::new(&[remote("a")]);
    let mut said = Vec::new();
    for failure in [
        FetchFailure::NotSent,
        FetchFailure::Status(404),
        FetchFailure::Status(503),
        FetchFailure::Status(504),
        FetchFailure::Reset,
    ] {
        let outcome = world
            .keys
            .fetched(A, Err(failure), world.now)
            .unwrap()
            .to_string();
        said.push(outcome.split_once(';').unwrap().0.to_owned());
        assert!(
            outcome.ends_with("tokens of this issuer are refused until then"),
            "{outcome}"
        );
    }
    assert_eq!(
        said,
        [
            "the cluster is unknown or has no healthy host",
            "status 404; 200 is expected".split_once(';').unwrap().0,
            "status 503, or no connection",
            "status 504, or no answer in time",
            "the reply broke off or was too large to buffer",
        ]
    );
    let six = format!(r#"{{"keys":[{}]}}"#, [r#"{"kty":"oct"}"#; 6].join(","));
    let outcome = world.answer(A, &six).to_string();
    assert!(
        outcome.contains("key 4 skipped: not supported: kty `oct`; 1 more skipped"),
        "{outcome}"
    );
    let odd = ONE_KEY.replacen("[", r#"[{"kty":"x\ny","kid":"a\u001b"},"#, 1);
    let outcome = world.answer(A, &odd).to_string();
    assert_eq!(
        outcome,
        r"1 keys; key 0 (kid `a\u{1b}`) skipped: not supported: kty `x\ny`"
    );
}

#[test]
fn attempts_are_spread() {
    let mut seen = std::collections::HashSet::new();
    for seed in 0..100 {
        let waits = Jitter(seed).around(Duration::from_secs(100)).as_secs();
        assert!((90..=110).contains(&waits), "{waits}");
        seen.insert(waits);
    }
    assert!(seen.len() > 10, "{seen:?}");
}
