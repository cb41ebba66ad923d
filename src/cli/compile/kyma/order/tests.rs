//! Rules as they come, beside a model of what Kyma makes of them: routes, and policies of which any
//! may allow. What is written is never more open than that.

use super::*;
use crate::cli::compile::kyma::conflicts;
use crate::cli::compile::notes::Notes;
use crate::cli::compile::resource::{NOTHING, Resource};
use crate::cli::compile::written::{Authorization, JwtRule, Strategy};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::Strategy as _;

/// A strategy by its number.
fn strategy(number: usize) -> Strategy {
    let token = |scope: &str| JwtDemand {
        authentications: vec![JwtRule::default()],
        authorizations: vec![Authorization {
            required_scopes: vec![scope.to_owned()],
            audiences: Vec::new(),
        }],
        scope_strategy: None,
    };
    let ext_auth = |name: &str, restrictions| {
        Strategy::ExtAuth(ExtAuth {
            authorizers: vec![name.to_owned()],
            restrictions,
        })
    };
    match number {
        0 => Strategy::NoAuth(True),
        1 => Strategy::Jwt(token("one")),
        2 => Strategy::Jwt(token("two")),
        3 => ext_auth("a", None),
        _ => ext_auth("b", Some(token("one"))),
    }
}

fn rule(path: String, methods: Vec<&'static str>, number: usize) -> Rule<'static> {
    Rule {
        node: NOTHING,
        path_node: NOTHING,
        pattern: ApiPath::parse(&path).unwrap(),
        path,
        methods: methods.into_iter().map(str::to_owned).collect(),
        strategy: strategy(number),
        authentications: Vec::new(),
        request: None,
        service: "shop/httpbin".to_owned(),
    }
}

fn rules() -> impl proptest::strategy::Strategy<Value = Vec<(String, Vec<&'static str>, usize)>> {
    let segments = prop::collection::vec(select(vec!["a", "b", "{*}", "{**}", ""]), 1..4);
    let path = segments.prop_map(|it| format!("/{}", it.join("/")));
    let path = path.prop_filter("a path", |it| ApiPath::parse(it).is_ok());
    let methods = subsequence(vec!["GET", "POST", "PUT"], 1..=3);
    prop::collection::vec((path, methods, 0..5_usize), 1..8)
}

/// What has to hold for a request: who is asked, and which demands on tokens, one of which has to
/// be met (none is met by everybody).
struct Kyma<'r> {
    has_route: bool,
    asked: Vec<&'r String>,
    demands: Vec<Option<&'r JwtDemand>>,
}

fn kyma<'r>(rules: &'r [Rule<'_>], method: &str, path: &str) -> Kyma<'r> {
    let fits = |rule: &Rule<'_>| {
        rule.pattern.matches(path.as_bytes()) && rule.methods.iter().any(|it| it == method)
    };
    let judging = rules.iter().filter(|rule| {
        let mut not_paths = rules
            .iter()
            .take_while(|it| it.path != rule.path)
            .filter(|it| {
                it.methods.iter().any(|it| rule.methods.contains(it))
                    && !["/", "/*", "/{**}"].contains(&&*it.path)
            });
        fits(rule) && !not_paths.any(|it| it.pattern.matches(path.as_bytes()))
    });
    let judging: Vec<_> = judging.collect();
    let asked = judging.iter().filter_map(|rule| match &rule.strategy {
        Strategy::ExtAuth(it) => Some(&it.authorizers),
        _ => None,
    });
    Kyma {
        has_route: rules.iter().any(fits),
        asked: asked.flatten().collect(),
        demands: judging.iter().map(|rule| demand(rule)).collect(),
    }
}

fn path_of(rule: &ApiRule) -> &str {
    match &rule.path {
        Path::Path(path) | Path::Regex(path) => path,
    }
}

/// Whether a rule is never reached, which the plugin would refuse.
fn is_unreached<'r>(rules: impl Iterator<Item = (&'r str, &'r Vec<String>)>) -> bool {
    let rules: Vec<_> = rules
        .map(|(path, methods)| (ApiPath::parse(path).unwrap(), methods))
        .collect();
    rules.iter().enumerate().any(|(index, (path, methods))| {
        let earlier = &rules[..index];
        let is_taken = |method| {
            earlier
                .iter()
                .any(|(it, methods)| methods.contains(method) && it.covers(path))
        };
        methods.iter().all(is_taken)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_written_is_never_more_open(given in rules()) {
        let resource = Resource::of_file(0, NOTHING.clone(), "APIRule", "generated");
        let notes = Notes::default();
        let reading = Reading { resource: &resource, notes: &notes };
        let mut rules = Vec::new();
        for (path, methods, strategy) in given {
            rules.push(rule(path, methods, strategy));
            // Kyma would not have it.
            if !conflicts::tell(reading, &rules) {
                rules.pop();
            }
        }
        let written = in_order(reading, &rules);
        let given = rules.iter().map(|it| (it.path.as_str(), &it.methods));
        let outcome = written.iter().map(|(it, _)| (path_of(it), &it.methods));
        prop_assert!(is_unreached(given) || !is_unreached(outcome));
        for path in ["/", "/a", "/b", "/c", "/a/", "/a/a", "/a/b", "/b/a", "/c/a", "/b/c", "//a", "/a/b/a", "/b/b/b", "/c/b/a", "/a/c/b", "/a/b/a/b"] {
            for method in ["GET", "POST", "PUT", "HEAD"] {
                let kyma = kyma(&rules, method, path);
                let fits = |rule: &&(ApiRule, &Rule<'_>)| {
                    let pattern = path_of(&rule.0);
                    let methods = &rule.0.methods;
                    ApiPath::parse(pattern).unwrap().matches(path.as_bytes())
                        && methods.iter().any(|it| it == method)
                };
                let first = written.iter().find(fits).map(|(rule, _)| &rule.strategy);
                prop_assert_eq!(first.is_some(), kyma.has_route, "{} {}", method, path);
                let (asked, demand) = match first {
                    None | Some(Strategy::Deny(_)) => continue,
                    Some(Strategy::ExtAuth(it)) => (&*it.authorizers, it.restrictions.as_ref()),
                    Some(Strategy::Jwt(demand)) => (&[][..], Some(demand)),
                    Some(_) => (&[][..], None),
                };
                prop_assert!(kyma.demands.contains(&demand), "{method} {path}: {demand:?}");
                prop_assert!(kyma.asked.iter().all(|it| asked.contains(it)), "{method} {path}: {asked:?}");
            }
        }
    }
}
