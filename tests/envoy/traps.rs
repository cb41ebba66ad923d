//! What Envoy does when the module traps: it is closed until the decisions are right again.
//!
//! The module is the real one with a trap added; see `trapping.rs`. `LONG=1` lasts longer.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::trapping::{Then, Trapping, When};
use crate::{
    authorization_server::{
        AuthorizationServer, Fault, IssuerOptions, Key, Options, now, sign_with,
    },
    harness::{Client, Envoy, Listener, Plugin, Tool, Update, Version, requirements, wait},
};

const WORKERS: u32 = 2;
const FOLLOW: Duration = Duration::from_secs(10);
/// Envoy waits a second before it loads a module again, and somewhat more.
const SEVERAL_RELOADS: Duration = Duration::from_millis(2_500);
/// What a worker answers while its VM has failed.
const FAILED: u16 = 503;
/// Without a token and with one.
const RIGHT: [u16; 2] = [403, 200];

fn tools(version: Version) -> [Tool; 2] {
    [Tool::Envoy(version), Tool::Plugin]
}

/// The first request traps, wherever it is; and what becomes of configurations after that.
fn first_request(then: Then) -> Trapping {
    let callback = "proxy_on_request_headers";
    Trapping {
        callback,
        when: When::Once,
        then,
    }
}

/// The call of this number traps in each VM, and in those that come after it.
fn nth(callback: &'static str, nth: i32) -> Trapping {
    Trapping {
        callback,
        when: When::Nth(nth),
        then: Then::AsEver,
    }
}

on_every_envoy! {
    needs tools;

    /// `FAIL_CLOSED`: a worker that has trapped refuses whatever comes, until another configuration
    /// is in force; one that is refused changes nothing.
    fn fail_closed(version) {
        for (then, said) in [
            (Then::AsEver, Update::Accepted),
            (Then::Faulty, Update::Rejected),
            (Then::Traps, Update::Rejected),
        ] {
            let gate = Gate::start(version, first_request(then), Policy::Closed);
            let trapped = gate.trapped_client();
            gate.stays_failed(&trapped, Duration::from_secs(2));
            assert_eq!(gate.envoy.update_plugin(&gate.other()), said, "{then:?}");
            match said {
                Update::Accepted => gate.becomes_right(&trapped),
                Update::Rejected => gate.stays_failed(&trapped, Duration::from_secs(2)),
            }
            assert_eq!(gate.reloads(), [0, 0]);
        }
    }

    /// `FAIL_RELOAD`: after the reload the decisions are right, and before it all are refused.
    fn fail_reload(version) {
        let gate = Gate::start(version, first_request(Then::AsEver), Policy::Reload);
        let trapped = gate.trapped_client();
        let since = Instant::now();
        gate.becomes_right(&trapped);
        println!("{version} right again after {:?}", since.elapsed());
        assert_eq!(gate.reloads(), [1, 0]);
    }

    /// `FAIL_RELOAD`, and then the configuration is faulty or traps: all are refused, however often
    /// Envoy tries, and also when an update of the configuration is refused.
    fn fail_reload_of_what_is_then_faulty(version) {
        for then in [Then::Faulty, Then::Traps] {
            let gate = Gate::start(version, first_request(then), Policy::Reload);
            let trapped = gate.trapped_client();
            gate.stays_failed(&trapped, SEVERAL_RELOADS);
            assert_eq!(gate.envoy.update_plugin(&gate.other()), Update::Rejected, "{then:?}");
            gate.stays_failed(&trapped, SEVERAL_RELOADS);
            let [successes, failures] = gate.reloads();
            println!("{version} {then:?}: {failures} reloads failed");
            assert!(successes == 0 && failures >= 3, "{then:?}: {successes}, {failures}");
        }
    }

    /// A trap in the tick, where no request is at hand: the same.
    fn in_the_tick(version) {
        for policy in [Policy::Closed, Policy::Reload] {
            // It comes some seconds after the start.
            let gate = Gate::start(version, nth("proxy_on_tick", 5), policy);
            let clients = gate.envoy.clients_on_every_worker("gateway", WORKERS);
            for client in &clients {
                assert_eq!(gate.ask_closed(client), RIGHT);
            }
            for client in &clients {
                let failed = || gate.ask_closed(client) == [FAILED; 2];
                let reloaded = || gate.reloads()[0] > 0;
                let trapped = wait::becomes_true(FOLLOW, || failed() || reloaded());
                assert!(trapped, "{policy:?}: no trap in the tick");
                match policy {
                    Policy::Closed => gate.stays_failed(client, Duration::from_millis(500)),
                    Policy::Reload => gate.becomes_right(client),
                }
            }
            let [successes, failures] = gate.reloads();
            assert_eq!((successes > 0, failures), (policy == Policy::Reload, 0), "{policy:?}");
        }
    }

    /// A trap when the keys come that a request waits for: the request is not let through, nor is any
    /// later one that is not right.
    fn in_a_reply(version) {
        let issuer = IssuerOptions::new("demo");
        let server = AuthorizationServer::start(Options::default().issuer(issuer));
        server.fault_everywhere(Fault::Slow { milliseconds: 1_000 });
        for policy in [Policy::Closed, Policy::Reload] {
            let trapping = nth("proxy_on_http_call_response", 1);
            let gate = Gate::start_with(version, trapping, policy, Some(&server));
            let client = gate.envoy.client("gateway").timeout(Duration::from_secs(4));
            let waiting = client.get("/").bearer(&gate.token).send();
            // Envoy has nobody left who resumes it: it hangs until a timeout of the connection manager.
            let error = waiting.expect_err("no answer").kind();
            assert_eq!(error, ErrorKind::TimedOut, "{policy:?}");
            let client = gate.envoy.client("gateway").timeout(Duration::from_secs(2));
            for _ in 0..10 {
                let answer = client.get("/").send();
                assert!(answer.as_ref().is_ok_and(|it| [403, FAILED].contains(&it.status)), "{answer:?}");
            }
        }
    }

    /// Traps again and again on two workers under load, with nothing but reloads between them.
    fn reloads_under_load(version) {
        let gate = Gate::start(version, nth("proxy_on_request_headers", 200), Policy::Reload);
        gate.under_load(version, "reloads", || thread::sleep(Duration::from_millis(100)));
        let [successes, failures] = gate.reloads();
        println!("{version} {successes} reloads");
        assert!(successes >= 4 && failures == 0, "{successes}, {failures}");
    }

    /// The same with reloads whose configuration is then faulty: closed from the first trap of each
    /// worker on.
    fn faulty_reloads_under_load(version) {
        let trapping = Trapping { then: Then::Faulty, ..nth("proxy_on_request_headers", 200) };
        let gate = Gate::start(version, trapping, Policy::Reload);
        gate.under_load(version, "faulty reloads", || thread::sleep(Duration::from_millis(100)));
        let clients = gate.envoy.clients_on_every_worker("gateway", WORKERS);
        clients.iter().for_each(|client| gate.stays_failed(client, Duration::from_millis(500)));
        let [successes, failures] = gate.reloads();
        assert!(successes == 0 && failures >= 4, "{successes}, {failures}");
    }

    /// The same with updates between traps, which bring a worker back under either policy.
    fn updates_and_traps_under_load(version) {
        for policy in [Policy::Closed, Policy::Reload] {
            let gate = Gate::start(version, nth("proxy_on_request_headers", 200), policy);
            let configurations = [gate.other(), gate.configuration.clone()];
            let mut updates = configurations.iter().cycle();
            gate.under_load(version, &format!("updates, {policy:?}"), || {
                let update = updates.next().expect("an endless list");
                assert_eq!(gate.envoy.update_plugin(update), Update::Accepted);
                thread::sleep(Duration::from_millis(200));
            });
        }
    }

    /// Where Envoy opens, whatever its policy: if a configuration passes on the main thread and fails
    /// on a worker alone, that worker has no filter any more. So the module calls a configuration faulty
    /// for what is written in it alone, which is the same on every thread. Should this test fail, Envoy
    /// has been mended.
    fn a_worker_alone_that_cannot_configure(version) {
        for policy in [Policy::Closed, Policy::Reload] {
            // A thread's second configuration, but the first in the VM that only tries it.
            let gate = Gate::start(version, nth("proxy_on_configure", 2), policy);
            let client = gate.envoy.client("gateway");
            assert_eq!(gate.ask(&client), RIGHT);
            assert_eq!(gate.envoy.update_plugin(&gate.other()), Update::Accepted);
            let opened = wait::becomes_true(FOLLOW, || gate.ask(&client) == [200, 200]);
            assert!(opened, "{policy:?}: Envoy does not open any more: {:?}", gate.ask(&client));
        }
    }
}

/// So often a client under load asks by the same connection.
const PER_CONNECTION: usize = 100;

/// What Envoy does after a trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Closed,
    Reload,
}

/// A gate that demands a token, before an upstream that answers 200 to everyone.
struct Gate {
    envoy: Envoy,
    token: String,
    configuration: Value,
    /// Holds the module.
    _folder: TempDir,
}

// === impl Gate ===

impl Gate {
    fn start(version: Version, trapping: Trapping, policy: Policy) -> Self {
        Gate::start_with(version, trapping, policy, None)
    }

    /// With the keys of an issuer, which are fetched, or with others.
    fn start_with(
        version: Version,
        trapping: Trapping,
        policy: Policy,
        server: Option<&AuthorizationServer>,
    ) -> Self {
        let issuer = server.map(|server| server.issuer("demo"));
        let key = issuer.map_or_else(|| Key::stranger("k"), |it| it.keys().es256.clone());
        let rule = match issuer {
            None => json!({"issuer": "i", "jwks": json!({"keys": [key.jwk()]}).to_string()}),
            Some(it) => json!({"issuer": "i", "jwksUri": it.jwks_uri(), "cluster": "idp"}),
        };
        let configuration = json!({
            "version": 1,
            "jwtRules": [rule],
            "authorizationPolicies": [{"name": "somebody", "namespace": "test",
                "rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}]}],
        });
        let folder = tempfile::tempdir().expect("a temporary folder");
        let plugin = Plugin::new(configuration.clone()).module(trapping.module(&folder));
        let plugin = match policy {
            Policy::Closed => plugin,
            Policy::Reload => plugin.reload_on_failure(),
        };
        let gateway = Listener::new("gateway").filter(plugin.discovered());
        let mut builder = Envoy::builder(version).concurrency(WORKERS);
        if let Some(server) = server {
            builder = builder.cluster("idp", server.port());
        }
        let envoy = builder
            .listener(gateway.direct_response(200, "open"))
            .start();
        let claims = json!({"iss": "i", "sub": "u", "exp": now() + 3600});
        let token = sign_with(&key, &claims, json!({}));
        Gate {
            envoy,
            token,
            configuration,
            _folder: folder,
        }
    }

    /// Another configuration that decides the same.
    fn other(&self) -> Value {
        let mut other = self.configuration.clone();
        other["mesh"] = json!({"trustDomain": "other"});
        other
    }

    /// The statuses without a token and with one.
    #[track_caller]
    fn ask(&self, client: &Client) -> [u16; 2] {
        [None, Some(&*self.token)].map(|token| {
            let answer = client.get("/").maybe_bearer(token).send();
            answer.expect("an answer").status
        })
    }

    /// The same; panics unless each is right or that of a failed VM.
    #[track_caller]
    fn ask_closed(&self, client: &Client) -> [u16; 2] {
        let got = self.ask(client);
        for (got, right) in got.into_iter().zip(RIGHT) {
            assert!([right, FAILED].contains(&got), "{got} in place of {right}");
        }
        got
    }

    /// A client of a worker whose VM has just trapped. The other workers go on.
    fn trapped_client(&self) -> Client {
        let trapped = self.envoy.client("gateway");
        let answer = trapped
            .get("/")
            .bearer(&self.token)
            .send()
            .expect("an answer");
        assert_eq!(answer.status, FAILED, "the request that traps");
        let others = self.envoy.clients_on_every_worker("gateway", WORKERS);
        let others: Vec<_> = others.iter().map(|it| self.ask_closed(it)).collect();
        assert!(others.contains(&RIGHT), "the other worker: {others:?}");
        trapped
    }

    #[track_caller]
    fn stays_failed(&self, client: &Client, time: Duration) {
        let since = Instant::now();
        while since.elapsed() < time {
            assert_eq!(self.ask(client), [FAILED; 2], "after {:?}", since.elapsed());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Until the decisions are right; none of before is open.
    #[track_caller]
    fn becomes_right(&self, client: &Client) {
        let right = wait::becomes_true(FOLLOW, || self.ask_closed(client) == RIGHT);
        assert!(right, "not right after {FOLLOW:?}");
    }

    /// How many reloads were good and bad.
    fn reloads(&self) -> [i64; 2] {
        let stats = self.envoy.stats();
        ["success", "failure"].map(|what| stats[&format!("wasm.portcullis.vm_reload_{what}")])
    }

    /// Four clients ask with and without a token while something is done again and again. All answers
    /// are right or those of a failed VM, and there are some of either kind.
    fn under_load(&self, version: Version, name: &str, mut act: impl FnMut()) {
        let seen = Mutex::new(BTreeMap::new());
        let done = AtomicBool::new(false);
        let time = Duration::from_secs(if requirements::long() { 30 } else { 4 });
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut client = self.envoy.client("gateway");
                    for turn in 1_usize.. {
                        if done.load(Ordering::Relaxed) {
                            break;
                        }
                        // Now and then by another connection, which the kernel may give to a worker
                        // that has none yet.
                        if turn.is_multiple_of(PER_CONNECTION) {
                            client = self.envoy.client("gateway");
                        }
                        let statuses = self.ask_closed(&client);
                        let mut seen = seen.lock().expect("no panic while held");
                        for (place, status) in statuses.into_iter().enumerate() {
                            *seen.entry((place, status)).or_insert(0) += 1;
                        }
                    }
                });
            }
            let since = Instant::now();
            while since.elapsed() < time {
                act();
            }
            done.store(true, Ordering::Relaxed);
        });
        let seen = seen.into_inner().expect("no panic while held");
        let traps = self
            .envoy
            .log()
            .matches("Uncaught RuntimeError: unreachable")
            .count();
        println!("{version} {name}: {traps} traps; without a token (0) and with one (1): {seen:?}");
        let kinds: Vec<_> = seen.keys().copied().collect();
        assert_eq!(
            kinds,
            [(0, RIGHT[0]), (0, FAILED), (1, RIGHT[1]), (1, FAILED)]
        );
        assert!(traps >= WORKERS as usize, "{traps} traps");
    }
}
