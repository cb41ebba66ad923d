//! What `portcullis compile` makes of APIRules, held against a model of how Kyma itself evaluates them:
//! over thousands of generated requests, nothing is allowed that Kyma refuses, but for the differences
//! that are named.

use crate::compiled;
use crate::kyma::differences::{Difference, Differences, explained};
use crate::kyma::generate::Draw;
use crate::kyma::tokens::Tokens;
use crate::kyma::{Answer, ApiRules, Cluster, JwtHandler, Request};
use crate::ours::{Gateway, Ours};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use Difference::{
    BearerInside, EscapedLetters, HeaderLines, HostSpelling, IncompleteEscape, IssuedInFuture,
    KeyId, LiteralLetters, OtherHosts, OwnPlaces, PathsAsExpressions, SchemeCase, ScopeClaims,
    ScopesAsText, SharedWorkload, TrailingSlash, UnneededToken,
};

const API_RULES: usize = 200;
const REQUESTS: usize = 10_000;
/// So many failing requests are told.
const TOLD: usize = 3;

pub static TOKENS: LazyLock<Tokens> = LazyLock::new(Tokens::mint);

#[test]
fn nothing_is_allowed_that_kyma_refuses_under_v2() {
    let meant = [
        UnneededToken,
        ScopesAsText,
        SchemeCase,
        LiteralLetters,
        OtherHosts,
        HostSpelling,
        EscapedLetters,
        IncompleteEscape,
        BearerInside,
        OwnPlaces,
    ];
    play("v2 and v2alpha1", &meant, Draw::v2);
}

#[test]
fn nothing_is_allowed_that_kyma_refuses_under_v1beta1_by_oathkeeper() {
    let meant = [
        HostSpelling,
        TrailingSlash,
        IncompleteEscape,
        IssuedInFuture,
        KeyId,
        ScopeClaims,
        HeaderLines,
    ];
    play("v1beta1, jwtHandler ory", &meant, |draw| {
        draw.v1beta1(JwtHandler::Ory)
    });
}

#[test]
fn nothing_is_allowed_that_kyma_refuses_under_v1beta1_by_istio() {
    let meant = [
        UnneededToken,
        ScopesAsText,
        SchemeCase,
        HostSpelling,
        TrailingSlash,
        PathsAsExpressions,
        SharedWorkload,
        IncompleteEscape,
        BearerInside,
        HeaderLines,
    ];
    play("v1beta1, jwtHandler istio", &meant, |draw| {
        draw.v1beta1(JwtHandler::Istio)
    });
}

/// What has been seen.
#[derive(Default)]
struct Counts {
    api_rules: usize,
    asked: usize,
    both_allow: usize,
    both_refuse: usize,
    /// We refuse what Kyma allows, by our reason.
    stricter: BTreeMap<&'static str, usize>,
    /// How often, and the first request for which it was alone.
    differences: BTreeMap<Difference, (usize, String)>,
    /// Clusters that the compiler does not carry over, by what it says.
    not_compiled: BTreeMap<String, usize>,
    failures: Vec<String>,
}

/// Asks both sides about requests under generated APIRules. `meant` are the only differences that may
/// occur, and each has to.
fn play(kind: &str, meant: &[Difference], cluster: impl Fn(&mut Draw) -> Cluster) {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    let mut draw = Draw(Rng::with_seed(seed));
    let mut counts = Counts::default();
    while counts.api_rules < API_RULES {
        let cluster = cluster(&mut draw);
        let manifests = cluster.manifests();
        let policy = match compiled(&manifests) {
            Ok(policy) => policy,
            Err(error) => {
                *counts.not_compiled.entry(error).or_default() += 1;
                continue;
            }
        };
        let mut gateway = Gateway::new(&policy, &TOKENS);
        let here = cluster.len();
        counts.api_rules += here;
        for _ in 0..here * REQUESTS / API_RULES {
            let request = draw.request(&cluster, &TOKENS);
            let ours = gateway.ask(&request);
            counts.compare(&cluster, &request, &ours, meant);
        }
    }
    counts.tell(kind);
    counts.assert_meaningful(meant);
}

// === impl Cluster ===

impl Cluster {
    fn len(&self) -> usize {
        match &self.rules {
            ApiRules::V2(mesh) => mesh.apis().len(),
            ApiRules::V1beta1(mesh) => mesh.apis().len(),
        }
    }
}

// === impl Counts ===

impl Counts {
    fn compare(&mut self, cluster: &Cluster, request: &Request, ours: &Ours, meant: &[Difference]) {
        self.asked += 1;
        let theirs = cluster.judge(request, &TOKENS, Differences::NONE);
        match (ours, &theirs) {
            (Ours::Allowed(_), Answer::Allowed) => self.both_allow += 1,
            (Ours::Refused(..), Answer::Refused(..)) => self.both_refuse += 1,
            (Ours::Refused(_, reason), Answer::Allowed) => {
                *self.stricter.entry(reason).or_default() += 1;
            }
            (Ours::Allowed(rule), Answer::Refused(status, by)) => {
                match explained(cluster, request, &TOKENS, meant) {
                    Some(differences) => {
                        for difference in &differences {
                            let (count, example) = self.differences.entry(*difference).or_default();
                            *count += 1;
                            if example.is_empty() && differences.len() == 1 {
                                *example = format!(
                                    "{}\n  ours: allowed by {rule}; Kyma: {status} ({by})",
                                    TOKENS.told(request)
                                );
                            }
                        }
                    }
                    None => {
                        let others = explained(cluster, request, &TOKENS, &Difference::ALL);
                        self.failures.push(format!(
                            "{}\n{}\nours: allowed by {rule}\nKyma: {status} ({by})\n\
                             differences that are not meant here but would explain it: {others:?}",
                            cluster.manifests(),
                            TOKENS.told(request),
                        ));
                    }
                }
            }
        }
    }

    fn tell(&self, kind: &str) {
        let stricter: usize = self.stricter.values().sum();
        println!(
            "{kind}: {} requests under {} APIRules; both allow {}, both refuse {}, ours alone refuses \
             {stricter}: {:?}",
            self.asked, self.api_rules, self.both_allow, self.both_refuse, self.stricter
        );
        for (difference, (count, example)) in &self.differences {
            println!("{count:6} {difference:?}: {}", difference.about());
            println!("       {}", example.replace('\n', "\n       "));
        }
        for (error, count) in &self.not_compiled {
            println!("{count:6} not compiled: {error}");
        }
    }

    /// Nothing is open, and enough was asked, of every kind, to say so.
    fn assert_meaningful(&self, meant: &[Difference]) {
        let told = self
            .failures
            .iter()
            .take(TOLD)
            .map(|it| format!("\n=== open ===\n{it}\n"));
        let told = told.collect::<String>();
        assert!(
            self.failures.is_empty(),
            "{} requests\n{told}",
            self.failures.len()
        );
        assert!(self.asked >= REQUESTS, "{} requests", self.asked);
        let share = |count: usize| count * 100 / self.asked;
        assert!(
            share(self.both_allow) >= 15,
            "both allow {}",
            self.both_allow
        );
        assert!(
            share(self.both_refuse) >= 20,
            "both refuse {}",
            self.both_refuse
        );
        let stricter: usize = self.stricter.values().sum();
        assert!(share(stricter) <= 20, "ours alone refuses {stricter}");
        let not_compiled: usize = self.not_compiled.values().sum();
        assert!(
            not_compiled * 5 <= self.api_rules,
            "{:?}",
            self.not_compiled
        );
        for difference in meant {
            let occurs = self.differences.contains_key(difference);
            assert!(
                occurs,
                "{difference:?} never occurs, so it is none: take it out"
            );
        }
    }
}
