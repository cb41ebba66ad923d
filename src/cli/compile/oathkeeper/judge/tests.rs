//! The list decides as Kyma's routes and Oathkeeper do together, which are played here as they are.

use super::*;
use crate::cli::compile::expression::Expression;
use crate::cli::compile::notes::Notes;
use crate::cli::compile::resource::{NOTHING, Reading, Resource};
use crate::cli::compile::written::Members;
use crate::cli::compile::written::Strategy;
use crate::cli::report::Severity;
use crate::policy::ApiPath;
use proptest::prelude::{ProptestConfig, prop_assert, proptest};
use proptest::strategy::Strategy as Generator;

/// A rule of an APIRule: its path, its methods, and where it leads.
#[derive(Clone, Debug)]
struct Rule {
    path: &'static str,
    methods: &'static [&'static str],
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// To the service, whatever the method.
    Allow,
    /// To the service.
    NoAuth,
    /// To Oathkeeper, which lets it through.
    Noop,
    /// To Oathkeeper, which does not.
    Unauthorized,
}

const PATHS: [&str; 13] = [
    "/", "/a", "/a/", "/a/.*", "/a.*", "/b", "/.*", "/a/b", "/.*b", "/a|/b", "/a/[a-z]", "/a/?",
    "/ab?/.*",
];

const METHODS: [&[&str]; 4] = [&["GET"], &["POST"], &["GET", "POST"], &["PUT"]];

/// No two slashes in a row: these are read in two ways, of which both must lead to one rule.
const ASKED: [&str; 11] = [
    "/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/ab/", "/b", "/b/", "/a/[", "/c/b",
];

/// Which rule lets a request through.
fn upstream(rules: &[Rule], path: &str, method: &str, istio: bool) -> Option<usize> {
    let matches = |rule: &Rule, path: &str| {
        ApiPath::parse_regex(rule.path)
            .unwrap()
            .matches(path.as_bytes())
    };
    let mut routed = std::collections::HashSet::new();
    let routes = rules.iter().enumerate();
    let mut routes = routes.filter(|(_, rule)| routed.insert(rule.path));
    let (index, route) = routes.find(|(_, rule)| {
        let restricted = rule.kind == Kind::NoAuth || (istio && rule.kind != Kind::Allow);
        matches(rule, path) && (!restricted || rule.methods.contains(&method))
    })?;
    if matches!(route.kind, Kind::Allow | Kind::NoAuth) {
        return Some(index);
    }
    let clean = path.strip_suffix('/').filter(|it| !it.is_empty());
    let clean = clean.unwrap_or(path);
    let mut found = rules.iter().enumerate().filter(|(_, rule)| {
        matches!(rule.kind, Kind::Noop | Kind::Unauthorized)
            && matches(rule, clean)
            && rule.methods.contains(&method)
    });
    let (index, rule) = found.next().filter(|_| found.next().is_none())?;
    (rule.kind == Kind::Noop).then_some(index)
}

/// Which rule lets a request through here.
fn ours(judged: &[Judged<'_>], path: &str, method: &str) -> Option<usize> {
    let found = judged.iter().find(|it| {
        let paths = match &it.rule.path {
            Path::Path(path) => ApiPath::parse(path),
            Path::Regex(regex) => ApiPath::parse_regex(regex),
        };
        let methods = &it.rule.methods;
        paths.unwrap().matches(path.as_bytes())
            && (methods.is_empty() || methods.iter().any(|it| it == method))
    })?;
    // `/*` takes such paths and refuses them.
    if found.rule.path == Path::Path("/*".to_owned()) && path.contains('[') {
        return None;
    }
    let request = found.rule.request.as_ref()?;
    request.headers.0.first()?.1.parse().ok()
}

fn methods(names: &[&str]) -> Methods {
    let text = serde_json::to_string(names).unwrap();
    let node = crate::cli::yaml::documents(&text).unwrap().remove(0);
    let resource = Resource::of_file(0, NOTHING.clone(), "Test", "");
    let notes = Notes::default();
    let reading = Reading {
        resource: &resource,
        notes: &notes,
    };
    Methods::read(reading, &node, false)
}

/// What was judged, unless there was an error.
fn compiled<R>(rules: &[Rule], istio: bool, then: impl FnOnce(&[Judged<'_>]) -> R) -> Option<R> {
    let resource = Resource::of_file(0, NOTHING.clone(), "Test", "");
    let notes = Notes::default();
    let reading = Reading {
        resource: &resource,
        notes: &notes,
    };
    let at = Value {
        reading,
        node: &resource.root,
    };
    let (mut routes, mut access) = (Vec::new(), Vec::new());
    let mut routed = std::collections::HashSet::new();
    for (index, rule) in rules.iter().enumerate() {
        let paths = Paths::new(rule.path, Expression::regex(rule.path).unwrap());
        let paths = Rc::new(paths);
        let demand = Demand {
            strategy: match rule.kind {
                Kind::Unauthorized => Strategy::Deny(True),
                _ => Strategy::NoAuth(True),
            },
            error_style: None,
            request: Request {
                headers: Members(vec![("x-rule".to_owned(), index.to_string())]),
                ..Request::default()
            },
            places: Vec::new(),
        };
        let is_direct = matches!(rule.kind, Kind::Allow | Kind::NoAuth);
        let restricted = rule.kind == Kind::NoAuth || (istio && rule.kind != Kind::Allow);
        if routed.insert(rule.path) {
            routes.push(Route {
                at,
                paths: Rc::clone(&paths),
                methods: if restricted {
                    methods(rule.methods)
                } else {
                    Methods::ALL
                },
                direct: Some(demand.clone()).filter(|_| is_direct),
            });
        }
        if !is_direct {
            access.push(AccessRule {
                guarded: false,
                at,
                paths,
                methods: methods(rule.methods),
                demand,
            });
        }
    }
    let judged = judge(&routes, &access);
    let done = then(&judged);
    let is_error = |note: &crate::cli::report::Note| note.severity == Severity::Error;
    let failed = notes.into_sorted().iter().any(is_error);
    (!failed).then_some(done)
}

fn rule() -> impl Generator<Value = Rule> {
    let kinds = [
        Kind::Allow,
        Kind::NoAuth,
        Kind::Noop,
        Kind::Unauthorized,
        Kind::Noop,
    ];
    let parts = (
        proptest::sample::select(&PATHS[..]),
        proptest::sample::select(&METHODS[..]),
        proptest::sample::select(kinds.to_vec()),
    );
    parts.prop_map(|(path, methods, kind)| Rule {
        path,
        methods,
        kind,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn decides_as_the_original(rules in proptest::collection::vec(rule(), 1..6), istio: bool) {
        compiled(&rules, istio, |judged| {
            let mut answers = Vec::new();
            for path in ASKED {
                for method in ["GET", "POST", "PUT", "PATCH"] {
                    answers.push((path, method, ours(judged, path, method)));
                }
            }
            answers
        })
        .into_iter()
        .flatten()
        .try_for_each(|(path, method, found)| {
            let expected = upstream(&rules, path, method, istio);
            // Of what ends with a slash more is refused, and a rule may also be for its own paths.
            let own = found.is_some_and(|index| expected.is_none() && {
                let clean = path.trim_end_matches('/');
                let fits = |rule: &Rule| {
                    ApiPath::parse_regex(rule.path).unwrap().matches(clean.as_bytes())
                        && rule.methods.contains(&method)
                        && matches!(rule.kind, Kind::Noop | Kind::Unauthorized)
                };
                rules[index].kind == Kind::Noop && !rules.iter().any(fits)
            });
            let slashed = path.len() > 1 && path.ends_with('/') && (found.is_none() || own);
            // What no template takes is refused.
            let odd = path.contains('[') && found.is_none();
            prop_assert!(
                found == expected || slashed || odd,
                "{method} {path}: {found:?}, but {expected:?}"
            );
            Ok(())
        })?;
    }
}
