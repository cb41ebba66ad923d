//! A thousand authorities with ten rules each: configured in time, and each decided by its own.

use serde_json::{Value, json};

use crate::harness::{Envoy, Listener, Plugin, Tool, Version};

const AUTHORITIES: usize = 1_000;
const RULES_EACH: usize = 10;
/// For all of it, on every worker.
const MOST_MILLISECONDS: u64 = 300;
const MOST_KIB: u64 = 32 * 1024;

fn tools(version: Version) -> [Tool; 2] {
    [Tool::Envoy(version), Tool::Plugin]
}

on_every_envoy! {
    needs tools;

    fn a_thousand_authorities(version) {
        let plugin = Plugin::new(configuration());
        let gateway = Listener::new("gateway").filter(plugin.inline());
        let envoy = Envoy::builder(version).listener(gateway.direct_response(200, "")).start();
        let client = envoy.client("gateway");
        for (authority, path, status) in [
            ("service-0.example.com", "/path-0", 200),
            ("service-999.example.com", "/path-9", 200),
            ("service-500.example.com", "/path-5?x=1", 200),
            ("SERVICE-500.example.com", "/path-5", 200),
            ("service-500.example.com", "/path-10", 403),
            ("service-500.example.com:80", "/path-5", 403),
            ("service-1000.example.com", "/path-5", 403),
            ("example.com", "/path-5", 403),
        ] {
            let answer = client.get(path).authority(authority).send().expect("an answer");
            assert_eq!(answer.status, status, "{authority}{path}");
        }
        let log = envoy.log();
        let times: Vec<u64> = log.split(" bytes in force after ").skip(1)
            .map(|rest| rest.split(' ').next().and_then(|ms| ms.parse().ok()).expect("a number"))
            .collect();
        println!("{} rules configured after {times:?} ms", AUTHORITIES * RULES_EACH);
        assert!(times.len() >= 2, "the main thread and a worker: {times:?}");
        let least = times.iter().min().expect("some");
        // The least, since tests share two cores with each other.
        assert!(*least <= MOST_MILLISECONDS, "{times:?} ms");
        if let Some(memories) = envoy.vm_memories_kib() {
            println!("memory of each VM: {memories:?} KiB");
            assert!(memories.iter().all(|kib| *kib <= MOST_KIB), "{memories:?} KiB");
        }
        envoy.assert_no_wasm_failures();
    }
}

fn configuration() -> Value {
    let rules = (0..AUTHORITIES * RULES_EACH).map(|number| {
        let (authority, path) = (number / RULES_EACH, number % RULES_EACH);
        json!({"to": [{"operation": {
            "hosts": [format!("service-{authority}.example.com")],
            "methods": ["GET"],
            "paths": [format!("/path-{path}")],
        }}]})
    });
    let rules = rules.collect::<Vec<_>>();
    json!({"version": 1, "authorizationPolicies": [{"name": "many", "namespace": "ns", "rules": rules}]})
}
