//! Everything that a worker remembers has a limit; two configurations that have reached all of theirs
//! at once fit into the memory that an operator can plan with.

use std::{
    io::Write as _,
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use serde_json::{Value, json};

use super::memory::{LARGEST, resident_mib, small_values};
use crate::{
    authorization_server::{
        AuthorizationServer, Client as OauthClient, Fault, IssuerOptions, Key, Options, now,
        sign_with,
    },
    harness::{Client, Envoy, Listener, Plugin, Tool, Version},
};

/// For a worker. Envoy itself keeps the requests that wait, too, and the text of configurations.
const MOST_MIB: u64 = 256;

/// Of all that two configurations remember, 104 MiB, what does not fit into memory that is free after
/// they were read.
const LEAST_REMEMBERED_MIB: u64 = 50;

const NAMES: [&str; 2] = ["first", "second"];
const HOST: &str = "gateway.example.com";
const INTROSPECT: &str = "/issuers/demo/oauth2/introspect";
const PARKED: &str = "wasmcustom.portcullis.parked_requests";
/// As many as have room in a configuration of 4 MiB.
const RULES: usize = 27_000;
/// Each takes 64 KiB in memory, of 32 MiB.
const VERIFIED: usize = 600;
/// Each is as long, of 4 MiB.
const REFUSED: usize = 400;
/// Each takes two MiB in memory, of 16 MiB.
const INTROSPECTED: usize = 12;
/// Of 64 KiB.
const LONGEST_REPLY: usize = 60_000;
/// Each has so many bytes of headers, of 16 MiB.
const WAITING: usize = 350;
const HEADERS: usize = 50_000;
/// Long after all have come, who wait for it.
const ANSWERED_AFTER: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(10);

fn tools(version: Version) -> [Tool; 2] {
    [Tool::Envoy(version), Tool::Plugin]
}

on_every_envoy! {
    needs tools;

    fn of_two_configurations(version) {
        let client = OauthClient::new("gateway", "s3cret").scopes("read");
        let issuer = IssuerOptions::new("demo").client(client);
        let server = AuthorizationServer::start(Options::default().issuer(issuer));
        let key = Key::stranger("k");
        let start = |configuration: &Value| {
            let builder = Envoy::builder(version).cluster("idp", server.port());
            let builder = NAMES.iter().fold(builder, |builder, name| {
                let plugin = Plugin::new(configuration.clone()).name(name);
                let listener = Listener::new(name).filter(plugin.inline());
                builder.listener(listener.direct_response(200, ""))
            });
            builder.start()
        };
        let Some(without) = resident_mib(&start(&json!({"version": 1}))) else {
            return; // Not Linux.
        };
        let envoy = start(&configuration(&key, &server));
        // Of the only worker; the main thread has another one, in which nothing is remembered.
        let worker_mib = || envoy.vm_memories_kib().expect("Linux")[0] / 1024;
        let configured = worker_mib();
        for client in NAMES.map(|name| envoy.client(name)) {
            verified(&client, &key);
            refused(&client, &key);
            introspected(&client, &server);
        }
        let remembered = worker_mib();

        server.fault(INTROSPECT, Fault::Slow { milliseconds: ANSWERED_AFTER.as_millis() as u64 });
        let waiting = NAMES.map(|name| waiting(envoy.port(name)));
        // Somewhat less than have come, since the limit is in bytes.
        let all_wait = |parked| parked >= 2 * (16 * 1024 * 1024 / HEADERS as i64 - 10);
        envoy.wait_for_stat(PARKED, all_wait, ANSWERED_AFTER);
        let full = worker_mib();
        let resident = resident_mib(&envoy).expect("Linux");
        println!(
            "memory of a worker: {configured} MiB with two configurations of {RULES} rules, \
             {remembered} with all that is remembered, {full} with all that wait; of all of Envoy: \
             {without} MiB without rules, {resident} with all of it"
        );
        // Else nothing was filled, and nothing is shown.
        assert!(remembered > configured + LEAST_REMEMBERED_MIB, "{configured} MiB, then {remembered}");
        assert!(full <= MOST_MIB, "{full} MiB");
        drop(waiting);
        envoy.wait_for_stat(PARKED, |parked| parked == 0, ANSWERED_AFTER + PATIENCE);
        envoy.assert_no_wasm_failures();
    }
}

fn configuration(key: &Key, server: &AuthorizationServer) -> Value {
    let jwks = json!({"keys": [key.jwk()]}).to_string();
    let rules = (0..RULES).map(|number| {
        json!({
            "from": [{"source": {"requestPrincipals": ["bench/*"]}}],
            "to": [{"operation": {
                "hosts": [format!("s{}.test", number / 10)],
                "methods": ["GET"],
                "paths": [format!("/path-{}", number % 10)],
            }}],
        })
    });
    json!({
        "version": 1,
        "defaultAction": "DENY",
        "limits": {"parkedFor": "30s"},
        "introspectionProviders": [{
            "name": "demo",
            "introspectionUrl": format!("{}{INTROSPECT}", server.url()),
            "cluster": "idp",
            "clientId": "gateway",
            "clientSecret": "s3cret",
            "timeout": "20s",
        }],
        "apiRules": [{
            "name": "demo",
            "hosts": [HOST],
            "rules": [
                {"path": "/jwt",
                    "jwt": {"authentications": [{"name": "demo", "issuer": "i", "jwks": jwks}]}},
                {"path": "/opaque", "oauth2Introspection": {"provider": "demo"}},
            ],
        }],
        "authorizationPolicies": [{"name": "many", "namespace": "ns", "action": "DENY", "rules": rules.collect::<Vec<_>>()}],
    })
}

/// Tokens that are good, of many small values, which take most memory once they are read.
fn verified(client: &Client, key: &Key) {
    let small = small_values(LARGEST);
    for number in 0..VERIFIED {
        let token = token(key, number, &small);
        assert_eq!(status(client, "/jwt", &token), 200, "{number}");
    }
}

/// Tokens that are signed with another key.
fn refused(client: &Client, key: &Key) {
    let other = Key::stranger(key.kid());
    for number in 0..REFUSED {
        let token = token(&other, number, &json!("x".repeat(LARGEST)));
        assert_eq!(status(client, "/jwt", &token), 401, "{number}");
    }
}

/// Tokens of which a server says very much.
fn introspected(client: &Client, server: &AuthorizationServer) {
    let document = json!({"active": true, "small": small_values(LONGEST_REPLY)});
    server.fault(INTROSPECT, Fault::Json { document });
    for number in 0..INTROSPECTED {
        assert_eq!(
            status(client, "/opaque", &format!("token-{number}")),
            200,
            "{number}"
        );
    }
}

/// Requests that wait for what is said of one token.
fn waiting(port: u16) -> Vec<TcpStream> {
    let more = format!("x-more: {}\r\n", "x".repeat(HEADERS / 10)).repeat(10);
    let request = format!(
        "GET /opaque HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer unknown\r\n{more}\r\n"
    );
    let connections = (0..WAITING).map(|_| {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
        connection.write_all(request.as_bytes()).expect("a request");
        connection
    });
    connections.collect()
}

fn token(key: &Key, number: usize, filling: &Value) -> String {
    let claims = json!({
        "iss": "i", "sub": number.to_string(), "exp": now() + 3600, "filling": filling,
    });
    sign_with(key, &claims, json!({}))
}

fn status(client: &Client, path: &str, token: &str) -> u16 {
    let request = client.get(path).authority(HOST).bearer(token);
    request.send().expect("an answer").status
}
