//! What holds for any policies and any request, over few hosts, methods and odd paths.

use super::*;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const HOSTS: [&str; 7] = ["a.com", "*.a.com", "b.com:80", "b.com:*", "*com", "a*", "*"];
const ATTACHED: [&str; 3] = ["a.com", "*.a.com", "b.com"];
const METHODS: [&str; 4] = ["GET", "PUT", "P*", "*"];
const PATHS: [&str; 7] = ["/", "/a", "/a*", "/a/b", "*b", "/a;b", "*"];
const PRINCIPALS: [&str; 4] = ["*", "i/s", "i/*", "j/*"];

const AUTHORITIES: [&str; 8] = [
    "a.com",
    "A.com",
    "x.a.com",
    "x.A.com.",
    "b.com",
    "b.com:80",
    "b.com.:80",
    "c.org",
];
const PIECES: [&str; 14] = [
    "/", "//", "a", "b", "..", ".", ";", ";x", "%2f", "%2e", "\\", "%61", "%5c", "?a",
];

fn few(values: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(values, 0..=2)
}

fn rule() -> impl Strategy<Value = Value> {
    let fields = (few(&HOSTS), few(&METHODS), few(&PATHS), few(&PRINCIPALS));
    fields.prop_map(|(hosts, methods, paths, principals)| {
        let mut rule = json!({});
        let mut operation = json!({});
        for (name, values) in [("hosts", hosts), ("methods", methods), ("paths", paths)] {
            if !values.is_empty() {
                operation[name] = json!(values);
            }
        }
        if operation != json!({}) {
            rule["to"] = json!([{"operation": operation}]);
        }
        if !principals.is_empty() {
            rule["from"] = json!([{"source": {"requestPrincipals": principals}}]);
        }
        rule
    })
}

fn policy(action: &'static str) -> impl Strategy<Value = Value> {
    let rules = proptest::collection::vec(rule(), 1..3);
    let attached = (few(&ATTACHED), few(&PATHS), few(&PATHS));
    (rules, attached).prop_map(move |(rules, (hosts, paths, except))| {
        let mut policy = json!({"namespace": "n", "action": action, "rules": rules});
        let mut entry = json!({});
        for (name, values) in [("hosts", hosts), ("paths", paths), ("exceptPaths", except)] {
            if !values.is_empty() {
                entry[name] = json!(values);
            }
        }
        if entry != json!({}) {
            policy["appliesTo"] = json!([entry]);
        }
        policy
    })
}

fn policies() -> impl Strategy<Value = Vec<Value>> {
    let policy = prop_oneof![policy("ALLOW"), policy("DENY")];
    proptest::collection::vec(policy, 0..4)
}

/// A request; one in two carries a token of `i/s`.
fn requests() -> impl Strategy<Value = Vec<Headers>> {
    let path = proptest::collection::vec(select(&PIECES[..]), 0..6);
    let overridden = proptest::option::weighted(0.2, select(&["PUT", "GET"][..]));
    let parts = (
        select(&["GET", "PUT"][..]),
        select(&AUTHORITIES[..]),
        path,
        overridden,
        any::<bool>(),
    );
    let one = parts.prop_map(|(method, authority, path, overridden, bearer)| {
        let mut lines = Vec::new();
        lines.extend(overridden.map(|method| ("x-http-method-override", method)));
        lines.extend(bearer.then_some(("authorization", "Bearer TOKEN")));
        request(method, authority, &format!("/{}", path.concat()), &lines)
    });
    proptest::collection::vec(one, 1..12)
}

/// Decides with a key that the token is signed with, so that both are made once.
struct Issuer {
    jwks: String,
    token: String,
}

impl Issuer {
    fn new() -> Self {
        let key = ES256KeyPair::generate();
        Self {
            jwks: jwks(&key),
            token: token(&key, &json!({"iss": "i", "sub": "s"})),
        }
    }

    fn world(&self, policies: &[Value], matching: &str, default: &str) -> World {
        let named = policies
            .iter()
            .cloned()
            .enumerate()
            .map(|(index, mut policy)| {
                policy["name"] = json!(index.to_string());
                policy
            });
        World::new(json!({
            "defaultAction": default,
            "pathMatching": matching,
            "jwtRules": [{"issuer": "i", "jwks": self.jwks}],
            "authorizationPolicies": named.collect::<Vec<_>>(),
        }))
    }

    fn allows(&self, world: &mut World, headers: &Headers) -> bool {
        let mut with_token = Headers::default();
        for (name, value) in headers.iter() {
            let value = String::from_utf8(value.to_vec())
                .unwrap()
                .replace("TOKEN", &self.token);
            with_token.push(std::str::from_utf8(name).unwrap(), value.as_bytes());
        }
        world.asks(&with_token) == "allow"
    }

    /// No request is allowed by `narrow` and refused by `wide`.
    fn never_wider(
        &self,
        mut narrow: World,
        mut wide: World,
        requests: &[Headers],
    ) -> Result<(), TestCaseError> {
        for headers in requests {
            if self.allows(&mut narrow, headers) {
                prop_assert!(self.allows(&mut wide, headers), "{:?}", shown(headers));
            }
        }
        Ok(())
    }
}

fn shown(headers: &Headers) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers
        .iter()
        .map(|(name, value)| format!("{}: {}", text(name), text(value)))
        .collect()
}

thread_local! {
    static ISSUER: Issuer = Issuer::new();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn one_more_deny_policy_never_allows_more(
        policies in policies(), deny in policy("DENY"), requests in requests(),
        matching in select(&["STRICT", "ISTIO"][..])
    ) {
        ISSUER.with(|issuer| {
            let more = [&policies[..], &[deny]].concat();
            let narrow = issuer.world(&more, matching, "ALLOW");
            issuer.never_wider(narrow, issuer.world(&policies, matching, "ALLOW"), &requests)
        })?;
    }

    #[test]
    fn one_more_rule_in_an_allow_policy_never_refuses_more(
        policies in policies(), allow in policy("ALLOW"), rule in rule(), requests in requests(),
        matching in select(&["STRICT", "ISTIO"][..]), default in select(&["ALLOW", "DENY"][..])
    ) {
        ISSUER.with(|issuer| {
            let mut wider = allow.clone();
            wider["rules"].as_array_mut().unwrap().push(rule);
            let with = |policy: Value| [&policies[..], &[policy]].concat();
            let wide = issuer.world(&with(wider), matching, default);
            issuer.never_wider(issuer.world(&with(allow), matching, default), wide, &requests)
        })?;
    }

    #[test]
    fn strict_never_allows_what_istio_refuses(
        policies in policies(), requests in requests(), default in select(&["ALLOW", "DENY"][..])
    ) {
        ISSUER.with(|issuer| {
            let strict = issuer.world(&policies, "STRICT", default);
            issuer.never_wider(strict, issuer.world(&policies, "ISTIO", default), &requests)
        })?;
    }

    #[test]
    fn where_nothing_is_excepted_a_deny_policy_never_allows_more(
        policies in policies(), deny in policy("DENY"), requests in requests(),
        matching in select(&["STRICT", "ISTIO"][..])
    ) {
        let mut wider = deny.clone();
        let entry = wider.pointer_mut("/appliesTo/0").and_then(Value::as_object_mut);
        // An entry must say something; `*` is every path.
        entry.into_iter().for_each(|entry| {
            entry.remove("exceptPaths");
            entry.entry("paths").or_insert_with(|| json!(["*"]));
        });
        ISSUER.with(|issuer| {
            let with = |policy: Value| [&policies[..], &[policy]].concat();
            let narrow = issuer.world(&with(wider), matching, "ALLOW");
            issuer.never_wider(narrow, issuer.world(&with(deny), matching, "ALLOW"), &requests)
        })?;
    }

    #[test]
    fn deny_by_default_never_allows_more(policies in policies(), requests in requests()) {
        ISSUER.with(|issuer| {
            let narrow = issuer.world(&policies, "STRICT", "DENY");
            issuer.never_wider(narrow, issuer.world(&policies, "STRICT", "ALLOW"), &requests)
        })?;
    }

    #[test]
    fn where_a_rule_is_filed_changes_nothing(
        policies in policies(), requests in requests(), matching in select(&["STRICT", "ISTIO"][..])
    ) {
        // The same rules with a source that every request has (an operation without hosts that
        // never matches) are filed at the widest site, so that every request meets them.
        let mut everywhere = policies.clone();
        for policy in &mut everywhere {
            for rule in policy["rules"].as_array_mut().unwrap() {
                if let Some(operations) = rule.get_mut("to").and_then(Value::as_array_mut) {
                    operations.push(json!({"operation": {"methods": ["NEVER"]}}));
                }
            }
        }
        ISSUER.with(|issuer| {
            let world = |policies| issuer.world(policies, matching, "ALLOW");
            issuer.never_wider(world(&policies), world(&everywhere), &requests)?;
            issuer.never_wider(world(&everywhere), world(&policies), &requests)
        })?;
    }
}
