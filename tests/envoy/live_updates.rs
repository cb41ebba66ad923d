//! Configurations that change while requests come: each is judged by the one in force or by the one
//! before, nothing that is still good is asked anew, and nothing is left behind.
//!
//! `LONG=1` updates for a minute and a thousand times, otherwise a few seconds and 200 times.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::updated::{
    FOLLOW, Gateway, HASH, INTROSPECT, JWKS, PARKED, REJECTED, WORKERS, hash, outcome,
};
use crate::{
    authorization_server::{Fault, now},
    harness::{Response, Tool, Update, Version, requirements, wait},
};

/// Between two updates under load.
const PACE: Duration = Duration::from_millis(200);

fn tools(version: Version) -> [Tool; 2] {
    [Tool::Envoy(version), Tool::Plugin]
}

on_every_envoy! {
    needs tools;

    /// What a worker knows of tokens and keys outlives an update: with the server gone, the tokens
    /// pass at once under the new policy, and nobody is asked or verified again.
    fn what_is_known_survives(version) {
        let mut gateway = Gateway::start(version);
        let clients = gateway.envoy.clients_on_every_worker("gateway", WORKERS);
        gateway.let_all_know(&clients);
        let before = gateway.work();
        gateway.server.stop();
        assert_eq!(gateway.envoy.update_plugin(&gateway.policy("B")), Update::Accepted);
        gateway.wait_for_policy("B", &clients);
        for (worker, client) in clients.iter().enumerate() {
            for (path, token) in [("/jwt", &gateway.jwt), ("/opaque", &gateway.opaque)] {
                assert_eq!(gateway.seen(client, path, token), (200, "B ada".to_owned()), "client {worker}, {path}");
            }
        }
        assert_eq!(gateway.work(), before, "signatures, requests and connections to the server");
        gateway.assert_nothing_failed();
    }

    /// Keys and answers of another origin, or that were asked for in another way, are not those that
    /// are known. The server is gone, so that nothing can be learned anew.
    fn what_changed_starts_from_nothing(version) {
        let mut gateway = Gateway::start(version);
        let clients = gateway.envoy.clients_on_every_worker("gateway", WORKERS);
        let jwks_elsewhere = format!("{}?elsewhere", gateway.server.issuer("demo").jwks_uri());
        let asked_elsewhere = format!("{}{INTROSPECT}?elsewhere", gateway.server.url());
        let (known, forgotten) = (200, 503);
        for (name, source, provider, [jwt, opaque]) in [
            ("nothing", json!({}), json!({}), [known, known]),
            ("audiences", json!({"audiences": ["shop"]}), json!({}), [known, known]),
            ("refresh", json!({"refresh": "7m"}), json!({}), [known, known]),
            ("timeout", json!({}), json!({"timeout": "3s"}), [known, known]),
            ("jwksUri", json!({"jwksUri": jwks_elsewhere}), json!({}), [forgotten, known]),
            ("its cluster", json!({"cluster": "other"}), json!({}), [forgotten, known]),
            ("the secret", json!({}), json!({"clientSecret": "another"}), [known, forgotten]),
            ("the client", json!({}), json!({"clientId": "another"}), [known, forgotten]),
            ("ttl", json!({}), json!({"cache": {"ttl": "9m"}}), [known, forgotten]),
            ("negativeTtl", json!({}), json!({"cache": {"ttl": "10m", "negativeTtl": "9s"}}), [known, forgotten]),
            ("introspectionUrl", json!({}), json!({"introspectionUrl": asked_elsewhere}), [known, forgotten]),
            ("the cluster of the provider", json!({}), json!({"cluster": "other"}), [known, forgotten]),
        ] {
            gateway.let_all_know(&clients);
            gateway.server.stop();
            let policy = gateway.policy_with("B", &source, &provider);
            assert_eq!(gateway.envoy.update_plugin(&policy), Update::Accepted, "{name}");
            gateway.wait_for_policy("B", &clients);
            for client in &clients {
                let got = [("/jwt", &gateway.jwt), ("/opaque", &gateway.opaque)];
                let got = got.map(|(path, token)| gateway.seen(client, path, token).0);
                assert_eq!(got, [jwt, opaque], "{name}: the JWT and the opaque token");
            }
            gateway.server.start_again();
            assert_eq!(gateway.envoy.update_plugin(&gateway.policy("A")), Update::Accepted);
            gateway.wait_for_policy("A", &clients);
        }
        gateway.envoy.assert_no_wasm_failures();
    }

    /// Two policies in turn, every fifth of a second, under load: every answer is one that either of
    /// them gives, nobody loses a connection, and the issuer is not bothered.
    fn two_policies_in_turn_under_load(version) {
        let gateway = Gateway::start(version);
        let clients = gateway.envoy.clients_on_every_worker("gateway", WORKERS);
        let policies = ["A", "B"].map(|name| gateway.policy(name));
        let asks = gateway.asks();
        let mut alone: [Vec<Response>; 2] = Default::default();
        for (name, (policy, answers)) in ["A", "B"].iter().zip(policies.iter().zip(&mut alone)) {
            assert_eq!(gateway.envoy.update_plugin(policy), Update::Accepted);
            gateway.wait_for_policy(name, &clients);
            *answers = asks.iter().map(|ask| ask.send(&clients[0])).collect();
        }
        for (ask, (a, b)) in asks.iter().zip(alone[0].iter().zip(&alone[1])) {
            assert_eq!([outcome(a), outcome(b)], ask.alone.map(|(status, seen)| (status, seen.to_owned())), "{}", ask.name);
        }
        for ask in &asks {
            clients.iter().for_each(|client| _ = ask.send(client));
        }
        let connections = || gateway.envoy.stat("http.gateway.downstream_cx_total");
        let (fetched, introspected) = (gateway.server.count(JWKS), gateway.server.count(INTROSPECT));

        let crowd: Vec<_> = (0..4).map(|_| gateway.envoy.client("gateway")).collect();
        let opened = connections();
        let done = AtomicBool::new(false);
        let tallies: Vec<_> = asks.iter().map(|_| [0; 2].map(AtomicUsize::new)).collect();
        // A minute of them, or some seconds, and longer on a machine that is busy.
        let updates: u32 = if requirements::long() { 300 } else { 30 };
        let (mut slowest, began) = (Duration::ZERO, Instant::now());
        thread::scope(|scope| {
            for (number, client) in crowd.iter().enumerate() {
                let (asks, alone, tallies) = (&asks, &alone, &tallies);
                let done = &done;
                scope.spawn(move || {
                    for (at, ask) in asks.iter().enumerate().cycle().skip(number) {
                        if done.load(Ordering::Relaxed) {
                            break;
                        }
                        let answer = ask.send(client);
                        let of = [0, 1].map(|policy| alone[policy][at] == answer);
                        assert!(of != [false; 2], "{}: neither policy answers this: {answer:?}", ask.name);
                        for (count, is_of) in tallies[at].iter().zip(of) {
                            count.fetch_add(usize::from(is_of), Ordering::Relaxed);
                        }
                    }
                });
            }
            let _ended = End(&done);
            for (number, policy) in (0..updates).zip(policies.iter().cycle()) {
                let due = began + PACE * number;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let asked = Instant::now();
                assert_eq!(gateway.envoy.update_plugin(policy), Update::Accepted);
                slowest = slowest.max(asked.elapsed());
            }
        });
        for (ask, tally) in asks.iter().zip(&tallies) {
            let [a, b] = [0, 1].map(|policy: usize| tally[policy].load(Ordering::Relaxed));
            println!("{version} {:<34} as A {a:>6}, as B {b:>6}", ask.name);
            assert!(a > 0 && b > 0, "{}: both are seen", ask.name);
        }
        let fetches = gateway.server.count(JWKS) - fetched;
        let calls = gateway.server.count(INTROSPECT) - introspected;
        println!("{version} {updates} updates in {:?}, the slowest in {slowest:?}; {fetches} fetches of keys, {calls} introspections", began.elapsed());
        assert_eq!(connections() - opened, crowd.len() as i64, "no connection was lost and opened again");
        assert_eq!((fetches, calls), (0, 0));
        gateway.assert_nothing_failed();
    }

    /// A configuration that comes back at once, of which Envoy may still have an instance that it does
    /// not tell so: the gauge follows all the same, as soon as requests do.
    fn a_quick_return(version) {
        let gateway = Gateway::start(version);
        let clients = gateway.envoy.clients_on_every_worker("gateway", WORKERS);
        let policies = ["B", "A"].map(|name| gateway.policy(name));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for client in &clients {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        assert_eq!(gateway.seen(client, "/jwt", &gateway.jwt).0, 200);
                        thread::sleep(Duration::from_millis(2));
                    }
                });
            }
            let _ended = End(&done);
            for round in 0..20 {
                for policy in &policies {
                    assert_eq!(gateway.envoy.update_plugin(policy), Update::Accepted);
                }
                let is_told = || gateway.envoy.stat(HASH) == hash(&policies[1]);
                let told = wait::becomes_true(FOLLOW, is_told);
                assert!(told, "round {round}: the gauge tells of another configuration");
            }
        });
        let again = gateway.envoy.log().matches("in force again").count();
        println!("{version} {again} times in force again");
        gateway.assert_nothing_failed();
    }

    /// However many configurations have come and gone, the memory is that of a few.
    fn many_updates(version) {
        let gateway = Gateway::start(version);
        let clients = gateway.envoy.clients_on_every_worker("gateway", WORKERS);
        gateway.let_all_know(&clients);
        let most = if requirements::long() { 1_000 } else { 200 };
        let done = AtomicBool::new(false);
        let mut resident = [None; 2];
        thread::scope(|scope| {
            for client in &clients {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        for (path, token) in [("/jwt", &gateway.jwt), ("/opaque", &gateway.opaque)] {
                            let (status, seen) = gateway.seen(client, path, token);
                            assert_eq!((status, &seen[1..]), (200, " ada"));
                        }
                        assert_eq!(gateway.seen(client, "/neither", &gateway.jwt).0, 403);
                        thread::sleep(Duration::from_millis(5));
                    }
                });
            }
            let _ended = End(&done);
            for number in 1..=most {
                // No two are alike.
                let mut policy = gateway.policy(if number % 2 == 0 { "A" } else { "B" });
                policy["mesh"] = json!({"trustDomain": format!("td{number}")});
                assert_eq!(gateway.envoy.update_plugin(&policy), Update::Accepted, "{number}");
                if number == 50 || number == most {
                    // What is gone is noticed with the next tick.
                    thread::sleep(Duration::from_millis(2_500));
                    resident[usize::from(number == most)] = gateway.envoy.resident_kib();
                }
            }
        });
        if let [Some(early), Some(late)] = resident {
            println!("{version} resident: {early} KiB after 50 updates, {late} KiB after {most}");
            assert!(late * 100 <= early * 105, "{early} KiB, then {late} KiB");
        }
        gateway.assert_nothing_failed();
    }

    /// A faulty update among good ones is rejected: the one before decides, and is what the gauge and
    /// the log tell of.
    fn a_faulty_update_among_good_ones(version) {
        let gateway = Gateway::start(version);
        let clients = gateway.envoy.clients_on_every_worker("gateway", WORKERS);
        let told = |policy: &Value| {
            let text = policy.to_string();
            let line = format!("configuration {:012x} of {} bytes in force", hash(policy), text.len());
            (gateway.envoy.stat(HASH) == hash(policy), gateway.envoy.log().contains(&line))
        };
        let [a, b] = ["A", "B"].map(|name| gateway.policy(name));
        assert_eq!((told(&a), told(&b)), ((true, true), (false, false)));

        let mut faulty = gateway.policy("B");
        faulty["apiRules"][0]["rules"][0]["colour"] = "red".into();
        assert_eq!(gateway.envoy.update_plugin(&faulty), Update::Rejected);
        assert_eq!(gateway.envoy.stat(REJECTED), 1);
        assert_eq!((told(&a).0, told(&faulty)), (true, (false, false)));
        for client in &clients {
            assert_eq!(gateway.seen(client, "/jwt", &gateway.jwt), (200, "A ada".to_owned()));
            assert_eq!(gateway.seen(client, "/neither", &gateway.jwt).0, 403);
        }

        assert_eq!(gateway.envoy.update_plugin(&b), Update::Accepted);
        gateway.wait_for_policy("B", &clients);
        assert_eq!((told(&a).0, told(&b)), (false, (true, true)));
        // The same text again is the same hash again.
        assert_eq!(gateway.envoy.update_plugin(&a), Update::Accepted);
        gateway.wait_for_policy("A", &clients);
        assert_eq!((told(&a).0, told(&b).0), (true, false));
        assert_eq!(gateway.envoy.stat(REJECTED), 1);
        let loaded = gateway.envoy.stat(&HASH.replace("hash", "loaded_at_seconds"));
        assert!((now() - 60..=now()).contains(&loaded), "{loaded}");
        gateway.envoy.assert_no_wasm_failures();
    }

    /// Who waits for keys or for an introspection while policies come and go is judged by the one
    /// that it met; who comes later, by the last.
    fn updates_while_requests_wait(version) {
        let slow = Fault::Slow { milliseconds: 3_500 };
        let gateway = Gateway::start_with(version, |server| server.fault_everywhere(slow));
        let asked = Instant::now();
        thread::scope(|scope| {
            let ask = |path: &'static str, token| {
                let gateway = &gateway;
                scope.spawn(move || gateway.seen(&gateway.envoy.client("gateway"), path, token))
            };
            let waiting: Vec<_> = (0..10)
                .flat_map(|_| [ask("/jwt", &gateway.jwt), ask("/opaque", &gateway.opaque)])
                .collect();
            let all = wait::becomes_true(Duration::from_secs(2), || gateway.envoy.stat(PARKED) == 20);
            assert!(all, "{} wait", gateway.envoy.stat(PARKED));
            let mut closed = gateway.policy("C");
            closed["apiRules"][0]["rules"] = json!([{"path": "/*", "deny": true}]);
            for (policy, said) in [
                (&gateway.policy("B"), Update::Accepted),
                (&json!({"version": 2}), Update::Rejected),
                (&closed, Update::Accepted),
            ] {
                assert_eq!(gateway.envoy.update_plugin(policy), said);
            }
            assert!(asked.elapsed() < Duration::from_millis(3_000), "too late: {:?}", asked.elapsed());
            for waiting in waiting {
                assert_eq!(waiting.join().expect("no panic"), (200, "A ada".to_owned()));
            }
        });
        assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
        let client = gateway.envoy.client("gateway");
        assert_eq!(gateway.seen(&client, "/jwt", &gateway.jwt).0, 403, "under the last policy");
        let none = wait::becomes_true(FOLLOW, || gateway.envoy.stat(PARKED) == 0);
        assert!(none, "{} still wait", gateway.envoy.stat(PARKED));
        gateway.envoy.assert_no_wasm_failures();
    }
}

/// Ends the load with the scope, also when an update fails.
struct End<'d>(&'d AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
