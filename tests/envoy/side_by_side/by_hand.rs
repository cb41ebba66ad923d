//! The cases of `by_hand.yaml`: a configuration for each field and each trap, and what Istio answers
//! to near and far requests.
//!
//! The status that is written there is that of Envoy's own filters. Ours must be the same, with the
//! same body, challenge and request for the upstream, or the difference that is named.

use serde_json::{Value, json};

use super::{
    differences::explained,
    pair::{Asked, PEER, Pair, Setting, listeners},
    tokens::Tokens,
};
use crate::harness::{Envoy, Tool, Version};

fn tools(version: Version) -> [Tool; 3] {
    [Tool::Envoy(version), Tool::Plugin, Tool::Address(PEER)]
}

on_every_envoy! {
    needs tools;

    /// Every case of every group; failures are told together.
    fn fields_and_traps(version) {
        let tokens = Tokens::mint();
        let groups = groups();
        let builder = groups.iter().fold(Envoy::builder(version), |builder, group| {
            let pair = listeners(&group.name, &group.config, &group.setting, &tokens);
            pair.into_iter().fold(builder, |builder, listener| builder.listener(listener))
        });
        let envoy = builder.start();
        let mut failures = Vec::new();
        let mut asked = 0;
        for group in &groups {
            let pair = Pair::of(&envoy, &group.name);
            for case in &group.cases {
                asked += 1;
                let wrong = case.play(&group.config, &pair, &tokens, version);
                failures.extend(wrong.map(|wrong| format!("{}: {wrong}", group.name)));
            }
        }
        assert!(failures.is_empty(), "{} of {asked}\n{}", failures.len(), failures.join("\n"));
        assert!(asked > 300, "only {asked} cases");
        envoy.assert_no_wasm_failures();
    }
}

/// A configuration and questions to it.
struct Group {
    name: String,
    config: Value,
    setting: Setting,
    cases: Vec<Case>,
}

struct Case {
    asked: Asked,
    status: u16,
    differs: Option<String>,
}

fn groups() -> Vec<Group> {
    let groups: Value = serde_saphyr::from_str(include_str!("by_hand.yaml")).expect("YAML");
    let groups = groups.as_array().expect("a list of groups");
    groups.iter().map(Group::read).collect()
}

// === impl Group ===

impl Group {
    fn read(group: &Value) -> Self {
        let mut config = json!({});
        let policies = &group["policies"];
        let of = |action: &str| {
            let rules = group.get(action)?;
            let action = action.to_uppercase();
            Some(json!({"name": "p", "namespace": "foo", "action": action, "rules": rules}))
        };
        let short: Vec<Value> = ["allow", "deny", "audit"]
            .into_iter()
            .filter_map(of)
            .collect();
        let policies = if policies.is_null() {
            json!(short)
        } else {
            policies.clone()
        };
        config["authorizationPolicies"] = policies;
        if let Some(rules) = group.get("jwtRules") {
            config["jwtRules"] = rules.clone();
        }
        let cases = group["asked"].as_array().expect("what is asked");
        Group {
            name: group["name"].as_str().expect("a name").to_owned(),
            config,
            setting: Setting {
                metadata: group["metadata"].clone(),
                ..Setting::default()
            },
            cases: cases
                .iter()
                .map(|case| Case::read(case, !group["metadata"].is_null()))
                .collect(),
        }
    }
}

// === impl Case ===

impl Case {
    /// `STATUS METHOD AUTHORITY/PATH`, or an object with that as `ask`.
    fn read(case: &Value, metadata: bool) -> Self {
        let ask = case.as_str().or(case["ask"].as_str()).expect("what to ask");
        let mut words = ask.splitn(3, ' ');
        let mut word = || words.next().expect("STATUS METHOD URL");
        let (status, method, url) = (word(), word(), word());
        let (authority, target) = url.split_at(url.find('/').expect("a path"));
        let mut asked = Asked::new(method, authority, target);
        if let Some(token) = case["bearer"].as_str() {
            asked = asked.line("authorization", &format!("Bearer ${{{token}}}"));
        }
        for line in case["headers"].as_array().into_iter().flatten() {
            let text = |at: usize| line[at].as_str().expect("a name and a value");
            asked = asked.line(text(0), text(1));
        }
        asked.metadata = metadata;
        Case {
            asked,
            status: status.parse().expect("a status"),
            differs: case["differs"].as_str().map(str::to_owned),
        }
    }

    /// What is not as it should be.
    fn play(
        &self,
        config: &Value,
        pair: &Pair,
        tokens: &Tokens,
        version: Version,
    ) -> Option<String> {
        let (theirs, ours) = pair.ask(&self.asked, tokens);
        let difference =
            (theirs != ours).then(|| explained(config, &self.asked, &theirs, &ours, version));
        let found = difference.map(|it| it.map_or("no difference that is known", |it| it.name));
        // This one depends on the version, and is Envoy's mistake.
        let joined = version == Version::V1_36 && self.asked.values("x-role").count() > 1;
        let wrong = if joined && (found.is_none() || found == Some("lines of one header joined")) {
            return None;
        } else if found != self.differs.as_deref() {
            format!(
                "expected the difference {:?}, found {found:?}",
                self.differs
            )
        } else if theirs.status != self.status {
            format!("expected of Istio {}, found {}", self.status, theirs.status)
        } else {
            return None;
        };
        Some(format!(
            "{:?}\n  {wrong}\n  theirs: {theirs:?}\n  ours:   {ours:?}",
            self.asked
        ))
    }
}
