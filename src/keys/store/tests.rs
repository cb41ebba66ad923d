//! When keys are fetched, kept, and given up.

use super::*;
use crate::config::Limits;
use crate::keys::Endpoint;
use crate::token::signature::{Algorithm, PROBES, Provenance, PureRust};
use std::rc::Rc;

/// RFC 7515, A.3.1.
const ONE_KEY: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

/// The same key, and one that is not supported.
const TWO_KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},{"kty":"odd"}]}"#;

const START: Duration = Duration::from_secs(1_767_225_600);
const DAY: u64 = 24 * 60 * 60;
const A: SourceId = SourceId(0);
const B: SourceId = SourceId(1);

fn remote(name: &str) -> KeySource {
    KeySource::Remote(RemoteKeys {
        origin: Origin::Uri(endpoint(name)),
        timeout: Duration::from_secs(5),
        refresh: Duration::from_secs(300),
    })
}

fn endpoint(name: &str) -> Endpoint {
    Endpoint::parse(&format!("https://{name}.example.com/jwks"), Some(name)).unwrap()
}

/// Keys that an issuer tells the place of.
fn discovered(name: &str) -> KeySource {
    let issuer = format!("https://{name}.example.com");
    KeySource::Remote(RemoteKeys {
        origin: Origin::Discovery(crate::keys::Discovery::of(&issuer, None).unwrap()),
        timeout: Duration::from_secs(5),
        refresh: Duration::from_secs(300),
    })
}

fn inline() -> KeySource {
    KeySource::Inline(Rc::new(
        KeySet::read(ONE_KEY.as_bytes(), Provenance::Fetched)
            .unwrap()
            .0,
    ))
}

/// Keys, and a clock in seconds since [`START`].
struct World {
    keys: Keys,
    now: Duration,
}

impl World {
    fn new(sources: &[KeySource]) -> Self {
        let keys = Keys::new(sources, &Limits::default(), Box::new(PureRust), 7, &[]);
        Self { keys, now: START }
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = START.saturating_add(Duration::from_secs(seconds));
        self
    }

    fn due(&mut self) -> Vec<usize> {
        let due = self.keys.due(self.now);
        due.into_iter().map(|fetch| fetch.source.0).collect()
    }

    fn answer(&mut self, id: SourceId, body: &str) -> Outcome {
        self.reply(id, Reply::ok(body.as_bytes()))
    }

    fn reply(&mut self, id: SourceId, reply: Reply<'_>) -> Outcome {
        self.keys.fetched(id, Ok(reply), self.now).unwrap()
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

    fn number(&self, id: SourceId) -> u64 {
        match self.keys.of(id, self.now) {
            Availability::Ready(_, KeySetId(number)) => number,
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
        (world.of(A), world.number(A), world.due()),
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
    assert_eq!(world.number(A), 1, "they are the same");
    world.answer(A, TWO_KEYS);
    assert_eq!(world.number(A), 2);
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
        assert_eq!((world.of(A), world.number(A)), ("ready", 1));
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
    assert_eq!((world.of(A), world.number(A)), ("ready", 1));
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
        ("no key", r#"{"keys":[]}"#, "no key in the set"),
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
        assert_eq!((world.of(A), world.number(A)), ("ready", 1), "{name}");
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
        (world.of(A), world.of(B), world.number(B)),
        ("failing", "ready", 2)
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
        outcome.contains(
            "key 4 skipped: a symmetric key (kty `oct`), which only `jwks` may hold; 1 more skipped"
        ),
        "{outcome}"
    );
    let odd = ONE_KEY.replacen("[", r#"[{"kty":"x\ny","kid":"a\u001b"},"#, 1);
    let outcome = world.answer(A, &odd).to_string();
    assert_eq!(
        outcome,
        r"1 keys; key 0 (kid `a\u{1b}`) skipped: not supported: kty `x\ny`"
    );
}

/// ES512 is verified by hosts alone, and by none here.
#[test]
fn keys_that_nobody_here_verifies_with_are_named_and_do_not_count() {
    let es512 = PROBES.iter().find(|it| it.algorithm == Algorithm::Es512);
    let es512 = es512.unwrap().jwk;
    let mut world = World::new(&[remote("a"), inline()]);
    let both = ONE_KEY.replacen("[", &format!("[{es512},"), 1);
    let outcome = world.answer(A, &both).to_string();
    assert_eq!(outcome, "1 keys; key 0 skipped: no ES512 on this host");
    assert_eq!(world.keys.health(A, world.now).unwrap().usable, 1);
    let alone = format!(r#"{{"keys":[{es512}]}}"#);
    let outcome = world.answer(A, &alone).to_string();
    assert!(
        outcome.contains("key 0 skipped: no ES512 on this host"),
        "{outcome}"
    );
    assert_eq!(world.of(A), "ready", "those of before go on serving");
    assert_eq!(world.keys.unserved().count(), 0);

    let (keys, skipped) = KeySet::read(alone.as_bytes(), Provenance::Configuration).unwrap();
    assert!(skipped.is_empty(), "any host may read it");
    let world = World::new(&[inline(), KeySource::Inline(Rc::new(keys))]);
    let named: Vec<_> = world.keys.unserved().collect();
    let named: Vec<_> = named.iter().map(|(id, it)| (*id, it.to_string())).collect();
    let expected = "key 0 skipped: no ES512 on this host".to_owned();
    assert_eq!(named, [(B, expected)]);
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

// === unknown names of keys ===

#[test]
fn an_unknown_key_is_worth_one_fetch_in_a_while() {
    let mut world = World::new(&[remote("a")]);
    world.due();
    world.answer(A, ONE_KEY);
    let waits = |world: &mut World, kid: &str| world.keys.wait_for(A, Some(kid), world.now);
    assert!(waits(world.at(10), "new"), "the first");
    assert!(waits(&mut world, "other"), "for the fetch that is due");
    assert_eq!(world.due(), [0]);
    assert!(waits(&mut world, "other"), "for the fetch under way");
    world.answer(A, ONE_KEY);
    world.keys.waited_in_vain(A, Some("new"), world.now);
    for (second, kid, expected) in [
        (11, "new", false),
        (11, "third", false),
        (39, "third", false),
        (40, "new", false),
        (40, "third", true),
        (41, "fourth", true),
        (400, "new", true),
    ] {
        assert_eq!(
            waits(world.at(second), kid),
            expected,
            "{kid} after {second} s"
        );
    }
}

#[test]
fn other_keys_are_a_reason_to_look_again() {
    let mut world = World::new(&[remote("a")]);
    world.due();
    world.answer(A, ONE_KEY);
    world.keys.waited_in_vain(A, Some("new"), world.now);
    assert!(!world.keys.wait_for(A, Some("new"), world.now));
    world.at(400).due();
    world.answer(A, TWO_KEYS);
    assert!(world.keys.wait_for(A, Some("new"), world.now));
}

#[test]
fn nobody_waits_for_keys_that_are_not_fetched_or_an_issuer_that_is_away() {
    let mut world = World::new(&[remote("a"), inline()]);
    assert!(!world.keys.wait_for(B, Some("new"), world.now), "inline");
    world.due();
    world.answer(A, ONE_KEY);
    world.at(400).due();
    world.fail(A);
    assert!(!world.keys.wait_for(A, Some("new"), world.now));
    world.keys.waited_in_vain(A, Some("new"), world.now);
    world.at(500).due();
    world.answer(A, ONE_KEY);
    assert!(
        world.keys.wait_for(A, Some("new"), world.now),
        "it was not known to be unknown"
    );
}

#[test]
fn a_flood_of_unknown_keys_costs_one_fetch_in_half_a_minute() {
    let mut world = World::new(&[remote("a")]);
    world.due();
    world.answer(A, ONE_KEY);
    let mut fetches = 0;
    for tenth in 0..3_000_u64 {
        world.now = START + Duration::from_millis(1_000 + tenth * 100);
        let kid = tenth.to_string();
        world.keys.wait_for(A, Some(&kid), world.now);
        for fetch in world.keys.due(world.now) {
            fetches += 1;
            world.answer(fetch.source, ONE_KEY);
            world.keys.waited_in_vain(A, Some(&kid), world.now);
        }
    }
    // Ten times half a minute, the regular refresh among them.
    assert!((9..=11).contains(&fetches), "{fetches}");
}

// === what a server says of its keys ===

#[test]
fn keys_that_have_not_changed_need_not_be_sent_again() {
    let mut world = World::new(&[remote("a")]);
    let etag = |world: &mut World| world.keys.due(world.now).pop().unwrap().etag;
    assert_eq!(etag(&mut world), None);
    let tagged = |body: &'static str, etag: &'static str| Reply {
        etag: Some(etag.as_bytes()),
        ..Reply::ok(body.as_bytes())
    };
    world.reply(A, tagged(ONE_KEY, "\"1\""));
    assert_eq!(etag(world.at(331)).as_deref(), Some("\"1\""));
    let not_modified = Reply {
        status: 304,
        ..Reply::default()
    };
    let outcome = world.reply(A, not_modified);
    assert!(matches!(outcome, Outcome::Unchanged { recovered: false }));
    assert_eq!((world.of(A), world.number(A)), ("ready", 1));
    world.at(332);
    let health = world.keys.health(A, world.now).unwrap();
    assert_eq!(
        (health.usable, health.age.as_secs()),
        (1, 1),
        "they are fresh again"
    );
    assert_eq!(etag(world.at(700)).as_deref(), Some("\"1\""), "it stays");
    world.reply(A, tagged(TWO_KEYS, "\"2\""));
    assert_eq!(etag(world.at(1100)).as_deref(), Some("\"2\""));

    let mut world = World::new(&[remote("a")]);
    world.due();
    let outcome = world.reply(A, not_modified).to_string();
    assert!(
        outcome.starts_with("status 304; 200 is expected"),
        "{outcome}"
    );
}

#[test]
fn a_server_may_ask_for_earlier_refreshes_within_bounds() {
    for (header, seconds) in [
        ("max-age=60", 60),
        ("max-age=1", 30),
        ("max-age=0", 30),
        ("max-age=86400", 300),
        ("no-store", 300),
    ] {
        let mut world = World::new(&[remote("a")]);
        world.due();
        world.reply(
            A,
            Reply {
                cache_control: Some(header.as_bytes()),
                ..Reply::ok(ONE_KEY.as_bytes())
            },
        );
        let next = world
            .keys
            .health(A, world.now)
            .unwrap()
            .next_attempt
            .as_secs();
        let (least, most) = (seconds * 9 / 10, seconds * 11 / 10);
        assert!((least..=most).contains(&next), "{header}: {next}");
    }
}

// === discovery ===

#[test]
fn an_issuer_tells_where_its_keys_are_and_may_move_them() {
    let mut world = World::new(&[discovered("a")]);
    let from = |world: &mut World| {
        let fetch = world.keys.due(world.now).pop();
        fetch.map(|fetch| format!("{}{}", fetch.from.authority, fetch.from.path))
    };
    let document = "a.example.com/.well-known/openid-configuration";
    let says = |path: &str| {
        format!(r#"{{"issuer":"https://a.example.com","jwks_uri":"https://a.example.com/{path}"}}"#)
    };
    assert_eq!(from(&mut world).as_deref(), Some(document));
    assert_eq!(world.of(A), "pending");
    let outcome = world.answer(A, &says("one")).to_string();
    assert_eq!(
        outcome,
        "keys are at a.example.com/one (cluster outbound|443||a.example.com)"
    );
    assert_eq!(world.of(A), "pending", "they are not there yet");
    assert_eq!(
        from(&mut world).as_deref(),
        Some("a.example.com/one"),
        "at once"
    );
    world.answer(A, ONE_KEY);
    assert_eq!(world.of(A), "ready");
    assert_eq!(from(world.at(331)).as_deref(), Some("a.example.com/one"));
    world.fail(A);
    assert_eq!(world.of(A), "ready", "while it is asked anew");
    assert_eq!(from(world.at(340)).as_deref(), Some(document));
    world.answer(A, &says("two"));
    assert_eq!(from(&mut world).as_deref(), Some("a.example.com/two"));
    world.answer(A, ONE_KEY);
    assert_eq!((world.of(A), world.number(A)), ("ready", 1));
}

#[test]
fn a_document_that_is_not_believed_is_a_failure() {
    let mut world = World::new(&[discovered("a")]);
    world.due();
    let other = r#"{"issuer":"https://b.example.com","jwks_uri":"https://a.example.com/x"}"#;
    let outcome = world.answer(A, other).to_string();
    assert!(
        outcome.starts_with("no discovery document to be believed: its `issuer` is another; next"),
        "{outcome}"
    );
    assert_eq!(world.of(A), "failing");
}

/// What decides after another configuration has the keys at once, and fetches as that one would have.
#[test]
fn a_later_configuration_takes_the_keys_over() {
    let mut world = World::new(&[remote("a"), inline(), remote("b")]);
    world.due();
    world.answer(A, ONE_KEY);
    let number = world.number(A);
    let after = |sources: &[KeySource], before: &World| World {
        keys: Keys::new(
            sources,
            &Limits::default(),
            Box::new(PureRust),
            7,
            &[&before.keys],
        ),
        now: before.now,
    };
    let mut later = after(&[remote("c"), remote("a"), inline()], &world);
    let [c, a, of_configuration] = [SourceId(0), SourceId(1), SourceId(2)];
    assert_eq!((later.of(c), later.of(a)), ("pending", "ready"));
    assert_eq!(later.number(a), number);
    assert_eq!(later.number(of_configuration), world.number(SourceId(1)));
    assert_eq!(later.due(), vec![0], "only what is new");
    later.answer(c, ONE_KEY);
    assert_ne!(later.number(c), number, "of another issuer");
    // What one of them fetches is nothing to the other.
    later.at(400);
    later.due();
    later.answer(a, TWO_KEYS);
    assert_ne!(later.number(a), number, "another text");
    assert_eq!(world.number(A), number);
    // Other keys in the configuration are others.
    let other = format!(r#"{{"keys":[{}]}}"#, PROBES[0].jwk);
    let other = KeySet::read(other.as_bytes(), Provenance::Configuration).unwrap();
    let other = KeySource::Inline(Rc::new(other.0));
    let last = after(&[other], &later);
    assert_ne!(last.number(A), world.number(SourceId(1)));
}
