//! What policies know of a connection comes from the host's properties: each is there and right.
//!
//! A fact that cannot be read makes a DENY match, so a DENY for another value that lets a request
//! through shows that the fact was read.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::harness::{Envoy, Listener, Plugin, Tool, Version};

/// To a peer at 127.0.0.1 Envoy gives the gateway's own address in `x-forwarded-for`.
const PEER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn tools(version: Version) -> [Tool; 3] {
    [Tool::Envoy(version), Tool::Plugin, Tool::Address(PEER)]
}

on_every_envoy! {
    needs tools;

    /// The client as one trusted proxy tells, the proxy itself, and the gateway's own end.
    fn addresses_and_ports(version) {
        let source = |source: Value| json!({"from": [{"source": source}]});
        let when = |key: &str, value: &str| json!({"when": [{"key": key, "values": [value]}]});
        let port = |port: &str| json!({"to": [{"operation": {"ports": [port]}}]});
        let cases = [
            ("the client", source(json!({"remoteIpBlocks": ["192.0.2.0/24"]})), true),
            ("another client", source(json!({"remoteIpBlocks": ["198.51.100.0/24"]})), false),
            ("any but the client", source(json!({"notRemoteIpBlocks": ["192.0.2.7"]})), false),
            ("the peer", source(json!({"ipBlocks": ["127.0.0.2"]})), true),
            ("another peer", source(json!({"ipBlocks": ["127.0.0.1"]})), false),
            ("the client is not the peer", source(json!({"ipBlocks": ["192.0.2.7"]})), false),
            ("remote.ip", when("remote.ip", "192.0.2.7"), true),
            ("source.ip", when("source.ip", "127.0.0.0/8"), true),
            ("destination.ip", when("destination.ip", "127.0.0.1"), true),
            ("another destination.ip", when("destination.ip", "127.0.0.2"), false),
            ("another port", port("1"), false),
            ("no TLS, no server name", when("connection.sni", "*"), false),
            ("no TLS, no principal", source(json!({"principals": ["*"]})), false),
            ("no TLS, not that principal", source(json!({"notPrincipals": ["td/x"]})), true),
            ("a header line among several", when("request.headers[X-Role]", "admin"), true),
            ("lines are not joined", when("request.headers[x-role]", "user,admin"), false),
        ];
        // One Envoy with a listener for each case.
        let builder = cases.iter().fold(Envoy::builder(version), |builder, (name, rule, _)| {
            builder.listener(gateway(name, rule))
        });
        let envoy = builder.start();
        for (name, rule, denied) in &cases {
            let client = envoy.client(name).from(PEER);
            let request = client.get("/").authority("example.com")
                .header("x-forwarded-for", "192.0.2.7")
                .header("x-role", "user").header("x-role", "admin");
            let answer = request.send().expect("an answer");
            assert_eq!(answer.status, if *denied { 403 } else { 200 }, "{name}: {rule}");
        }
        envoy.assert_no_wasm_failures();
    }
}

/// A gateway behind one trusted proxy, with one DENY rule.
fn gateway(name: &str, rule: &Value) -> Listener {
    let policy = json!({"name": "p", "namespace": "ns", "action": "DENY", "rules": [rule]});
    let plugin = Plugin::new(json!({
        "version": 1,
        "mesh": {"useRemoteAddress": true},
        "authorizationPolicies": [policy],
    }));
    Listener::new(name)
        .filter(plugin.inline())
        .connection_manager(json!({"use_remote_address": true, "xff_num_trusted_hops": 1}))
        .direct_response(200, "")
}
