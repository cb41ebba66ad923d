//! What policies that do not decide leave behind: counters, and a line in the log.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Envoy, Listener, Plugin, Tool, Version};

const PATIENCE: Duration = Duration::from_secs(10);

fn tools(version: Version) -> [Tool; 2] {
    [Tool::Envoy(version), Tool::Plugin]
}

on_every_envoy! {
    needs tools;

    /// A dry run changes nothing for the client, and is told and counted by policy.
    fn told_and_counted(version) {
        let envoy = envoy(version);
        let client = envoy.client("gateway");
        let get = |path: &str| client.get(path).authority("a.com").send().expect("an answer").status;
        assert_eq!([get("/"), get("/closed"), get("/closed/2")], [200, 200, 200]);
        let put = client.request("PUT", "/").authority("a.com").send().expect("an answer");
        assert_eq!(put.status, 200);
        assert_eq!(client.request("DELETE", "/really").authority("a.com").send().expect("an answer").status, 403);

        for (counter, count) in [
            ("rule=.=shop/closed;.;outcome=.=policy;.;dry_run_refusals_total", 2),
            ("rule=.=none;.;outcome=.=policy;.;dry_run_refusals_total", 2),
            ("rule=.=shop/seen;.;audits_total", 1),
            ("reason=.=policy_denied;.;refusals_total", 1),
            ("reason=.=policy_not_allowed;.;refusals_total", 0),
        ] {
            let counter = format!("wasmcustom.portcullis.{counter}");
            envoy.wait_for_stat(&counter, |found| found == count, PATIENCE);
        }
        for line in [
            "dry run: would be refused: policy_denied, matched rule ns[shop]-policy[closed]-rule[0]",
            "dry run: would be refused: policy_not_allowed, matched rule none; \
             ns[shop]-policy[get]-rule[0] came closest: `methods` does not",
            "audit: ns[shop]-policy[seen]-rule[0]",
        ] {
            envoy.wait_for_log(line, PATIENCE);
        }
        envoy.assert_no_wasm_failures();
    }

    /// At debug level, which an operator can set while traffic flows, each refusal tells its cause.
    fn refusals_are_explained_on_demand(version) {
        let envoy = envoy(version);
        let client = envoy.client("gateway");
        let refused = || {
            let answer = client.get("/really").authority("a.com").send().expect("an answer");
            assert_eq!(answer.status, 403);
        };
        let told = "refused: policy_denied, matched rule ns[shop]-policy[really]-rule[0]";
        refused();
        assert!(!envoy.log().contains(told), "nobody has asked");
        envoy.admin().post("/logging?wasm=debug", "").send().expect("an answer");
        // The plugin follows within a second.
        let explained = crate::harness::wait::becomes_true(PATIENCE, || {
            refused();
            envoy.log().contains(told)
        });
        assert!(explained, "no line `{told}`");
    }
}

/// A gateway with policies that decide, and others that do not.
fn envoy(version: Version) -> Envoy {
    let policy = |name: &str, action: &str, operation| {
        let rules = json!([{"to": [{"operation": operation}]}]);
        json!({"name": name, "namespace": "shop", "action": action, "rules": rules})
    };
    let dry = |mut policy: serde_json::Value| {
        policy["dryRun"] = json!(true);
        policy
    };
    let plugin = Plugin::new(json!({"version": 1, "authorizationPolicies": [
        dry(policy("closed", "DENY", json!({"paths": ["/closed*"]}))),
        dry(policy("get", "ALLOW", json!({"methods": ["GET"]}))),
        policy("really", "DENY", json!({"paths": ["/really"]})),
        policy("seen", "AUDIT", json!({"methods": ["DELETE"]})),
    ]}));
    let gateway = Listener::new("gateway").filter(plugin.inline());
    Envoy::builder(version)
        .listener(gateway.direct_response(200, ""))
        .start()
}
