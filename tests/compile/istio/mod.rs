//! Istio's resources: what `portcullis compile` makes of them, and what Istio does with the same
//! requests. The policies of workloads are gone in ours; the routes stay.

mod generate;
mod model;
mod ours;
mod policies;
mod routes;
mod shrink;
mod stdin;
mod tokens;
mod world;

use fastrand::Rng;
use generate::Draw;
use model::{Answer, Request, answer};
use ours::{Gateway, Ours};
use portcullis::cli::compile::{Compiled, compile_text};
use portcullis::cli::report::Severity;
use portcullis::config::Config;
use portcullis::policy::Policy;
use shrink::shrunk;
use std::collections::BTreeMap;
use tokens::{Tokens, jwks};
use world::World;

const WORLDS: usize = 1000;
const REQUESTS: usize = 40;
/// So many failing requests are told.
const TOLD: usize = 5;

/// What has been seen.
#[derive(Default)]
struct Counts {
    worlds: usize,
    asked: usize,
    both_allow: usize,
    both_refuse: usize,
    nowhere: usize,
    /// We refuse what Istio allows, by our reason, with an example.
    stricter: BTreeMap<&'static str, (usize, String)>,
    /// Worlds that are not carried over, by what is said.
    not_compiled: BTreeMap<String, usize>,
    /// How often we allow what Istio refuses, and some of these.
    open: usize,
    failures: Vec<String>,
}

#[test]
fn nothing_is_allowed_that_istio_refuses() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    let mut draw = Draw(Rng::with_seed(seed));
    let tokens = Tokens::mint();
    let mut counts = Counts::default();
    while counts.worlds < WORLDS {
        let world = draw.world();
        let manifests = world.manifests(&jwks);
        let config = match compiled(&world, &manifests) {
            Ok(config) => config,
            Err(error) => {
                *counts.not_compiled.entry(error).or_default() += 1;
                continue;
            }
        };
        counts.worlds += 1;
        let mut gateway = gateway_of(&config);
        for _ in 0..REQUESTS {
            let request = draw.request(&world, &tokens);
            let ours = gateway.ask(&request);
            let theirs = answer(&world, &request, &tokens);
            counts.compare(&ours, &theirs, || told(&world, &request, &tokens));
        }
    }
    counts.tell();
    counts.assert_meaningful();
}

fn gateway_of(config: &str) -> Gateway {
    let config = Config::read(config.as_bytes()).unwrap_or_else(|faults| panic!("{faults:?}"));
    Gateway::new(Policy::compile(config))
}

/// A request that is judged differently, in the smallest mesh in which it is.
fn told(world: &World, request: &Request, tokens: &Tokens) -> String {
    let both = |world: &World, request: &Request| {
        let config = compiled(world, &world.manifests(&jwks)).ok()?;
        let ours = gateway_of(&config).ask(request);
        Some((config, ours, answer(world, request, tokens)))
    };
    let kind = |(_, ours, theirs): (String, Ours, Answer)| {
        let reason = match ours {
            Ours::Allowed(_) => None,
            Ours::Refused(reason, _) => Some(reason),
        };
        (
            reason,
            matches!(theirs, Answer::Refused(_)),
            theirs == Answer::Nowhere,
        )
    };
    let wanted = both(world, request).map(kind);
    let (world, request) = shrunk(world.clone(), request.clone(), |world, request| {
        both(world, request).map(kind) == wanted
    });
    let (config, ours, theirs) = both(&world, &request).unwrap();
    let manifests = world.manifests(&|issuer| format!("KEYS OF {issuer}"));
    format!(
        "{manifests}\n{config}\n{}\nours: {ours:?}\nIstio: {theirs:?}",
        tokens.told(&request)
    )
}

/// The configuration that a mesh is compiled into.
///
/// # Errors
/// What cannot be carried over.
fn compiled(world: &World, manifests: &str) -> Result<String, String> {
    let arguments = [
        "--output",
        "config",
        "--format",
        "json",
        "--namespace",
        world.gateway_namespace,
    ];
    let Compiled { notes, text } = compile_text("mesh.yaml", manifests, &arguments).unwrap();
    text.ok_or_else(|| {
        let error = notes.iter().find(|note| note.severity == Severity::Error);
        let message = &error.unwrap().message;
        // Names are drawn.
        let digit = |letter: char| if letter.is_ascii_digit() { 'N' } else { letter };
        message.chars().map(digit).collect()
    })
}

// === impl Tokens ===

impl Tokens {
    /// A request as one can read it: the names of tokens in place of their texts.
    fn told(&self, request: &Request) -> String {
        let Request {
            port,
            sni,
            method,
            authority,
            path,
            headers,
            refused_by,
        } = request;
        let lines = headers
            .iter()
            .map(|(name, value)| format!("\n  {name}: {value}"));
        let mut told = format!(
            "{method} {authority}{path} (port {port}, SNI {sni}, refused by {refused_by:?}){}",
            lines.collect::<String>()
        );
        for token in &self.0 {
            told = told.replace(&token.text, &format!("<{}>", token.name));
        }
        told
    }
}

// === impl Counts ===

impl Counts {
    fn compare(&mut self, ours: &Ours, theirs: &Answer, told: impl Fn() -> String) {
        self.asked += 1;
        match (ours, theirs) {
            (_, Answer::Nowhere) => self.nowhere += 1,
            (Ours::Allowed(_), Answer::Allowed) => self.both_allow += 1,
            (Ours::Refused(..), Answer::Refused(_)) => self.both_refuse += 1,
            (Ours::Refused(reason, _), Answer::Allowed) => {
                let (count, example) = self.stricter.entry(reason).or_default();
                *count += 1;
                let wanted = std::env::var("STRICTER").is_ok_and(|wanted| wanted == *reason);
                if wanted && *count <= TOLD {
                    example.push_str(&format!("{}\n\n", told()));
                }
            }
            (Ours::Allowed(_), Answer::Refused(_)) => {
                self.open += 1;
                if self.failures.len() < TOLD {
                    self.failures.push(told());
                }
            }
        }
    }

    fn tell(&self) {
        let Self {
            worlds,
            asked,
            both_allow,
            both_refuse,
            nowhere,
            ..
        } = self;
        println!(
            "{asked} requests in {worlds} meshes; both allow {both_allow}, both refuse {both_refuse}, \
             {nowhere} reach no workload"
        );
        for (reason, (count, example)) in &self.stricter {
            println!("{count:6} ours alone refuses: {reason}");
            print!("{example}");
        }
        for (error, count) in &self.not_compiled {
            println!("{count:6} not compiled: {error}");
        }
    }

    /// Nothing is open, and enough was asked to say so.
    fn assert_meaningful(&self) {
        let told = self
            .failures
            .iter()
            .map(|it| format!("\n=== open ===\n{it}\n"));
        let told = told.collect::<String>();
        assert!(self.open == 0, "{} requests{told}", self.open);
        assert!(self.asked >= 20_000, "{} requests", self.asked);
        let share = |count: usize| count * 100 / self.asked;
        assert!(
            share(self.both_allow) >= 20,
            "both allow {}",
            self.both_allow
        );
        assert!(
            share(self.both_refuse) >= 15,
            "both refuse {}",
            self.both_refuse
        );
        let stricter: usize = self.stricter.values().map(|(count, _)| count).sum();
        assert!(share(stricter) <= 10, "ours alone refuses {stricter}");
        let not_compiled: usize = self.not_compiled.values().sum();
        assert!(
            not_compiled <= 2 * self.worlds,
            "{not_compiled} meshes do not compile"
        );
    }
}
