//! The tutorials as they were published: their manifests, unedited but for the placeholders, go through
//! `portcullis compile`, and the gateway then answers as they say.
//!
//! Their texts are not part of the project; without them these tests are skipped with a line.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{
    authorization_server::DEMO_CLIENT,
    harness::{Client, Update, Version},
    tutorials::{client_certificate, compiled, fetched_token},
    world::{TLS_GATEWAY, World, tools},
};

/// Where the texts are, if they are there.
fn text(name: &str) -> Option<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/tutorials");
    let text = std::fs::read_to_string(folder.join(name)).ok();
    if text.is_none() {
        println!("skipped: {}: needs the text of {name}", module_path!());
    }
    text
}

/// What a tutorial gives to `cat <<EOF`, and to `kubectl patch`, in order.
fn manifests(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some((_, patch)) = line.split_once("--patch '") {
            found.push(patch.trim_end().trim_end_matches('\'').to_owned());
        }
        if !line.contains("<<EOF") {
            continue;
        }
        let block: Vec<_> = lines.by_ref().take_while(|it| it.trim() != "EOF").collect();
        let filled = block.iter().filter(|it| !it.trim().is_empty());
        let indent = filled.map(|it| it.len() - it.trim_start().len()).min();
        let block = block.iter().map(|it| it.get(indent.unwrap_or(0)..));
        let block: Vec<_> = block.map(Option::unwrap_or_default).collect();
        found.push(block.join("\n"));
    }
    assert!(!found.is_empty(), "no manifests");
    found
}

/// The placeholders `$NAME`, `${NAME}` and `{NAME}` filled.
fn filled(text: &str, values: &[(&str, &str)]) -> String {
    let mut values = values.to_vec();
    // `$NAMESPACE` begins as `$NAME` does.
    values.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    values.iter().fold(text.to_owned(), |text, (name, value)| {
        [
            format!("${{{name}}}"),
            format!("{{{name}}}"),
            format!("${name}"),
        ]
        .iter()
        .fold(text, |text, placeholder| text.replace(placeholder, value))
    })
}

/// Puts what compile makes of manifests in force.
#[track_caller]
fn enforce(world: &World, manifests: &[String], options: &[&str]) {
    let manifests: Vec<_> = manifests.iter().map(String::as_str).collect();
    let config: Value = compiled(&world.server, &manifests, options);
    assert_eq!(world.envoy.update_plugin(&config), Update::Accepted);
}

/// Asks for `METHOD HOST/PATH` until the answer has this status: an update takes its time.
#[track_caller]
fn expect(client: &Client, what: &str, token: Option<&str>, status: u16) {
    let (method, target) = what.split_once(' ').expect("METHOD HOST/PATH");
    let (host, path) = target.split_once('/').expect("HOST/PATH");
    let ask = || {
        let request = client.request(method, format!("/{path}")).authority(host);
        let answer = request.maybe_bearer(token).send().expect("an answer");
        answer.status
    };
    let patience = std::time::Duration::from_secs(5);
    crate::harness::wait::becomes_true(patience, || ask() == status);
    assert_eq!(
        ask(),
        status,
        "{what}, {}",
        token.map_or("no token", |_| "token")
    );
}

on_every_envoy! {
    needs tools;

    fn jwt(version) {
        let Some(text) = text("1-jwt.md") else { return };
        let world = World::start(version);
        let issuer = world.server.issuer("demo");
        let values = [
            ("NAMESPACE", "shop"),
            ("DOMAIN_TO_EXPOSE_WORKLOADS", "published.example.com"),
            ("GATEWAY", "shop/httpbin-gateway"),
            ("ISSUER", &issuer.iss),
            ("JWKS_URI", &issuer.jwks_uri()),
        ];
        let [httpbin, function, secure_httpbin, secure_function] =
            <[String; 4]>::try_from(manifests(&filled(&text, &values))).expect("two for each tab");
        let token = issuer.token(json!({}));
        for (host, tab) in [
            ("httpbin", [httpbin, secure_httpbin]),
            ("function", [function, secure_function]),
        ] {
            enforce(&world, &tab, &[]);
            let what = format!("GET {host}.published.example.com/status/200");
            expect(&world.client(), &what, None, 403);
            expect(&world.client(), &what, Some(&token), 200);
        }
    }

    fn issuers_hosts_paths(version) {
        let Some(text) = text("2-issuers-hosts-paths.md") else { return };
        let world = World::start(version);
        let issuers = ["foo", "bar"].map(|name| world.server.issuer(name));
        // The second snippet has issuers without keys, which Istio cannot find either.
        let options = issuers.map(|it| format!("--jwks-uri={}={}", it.iss, it.jwks_uri()));
        let options = options.each_ref().map(String::as_str);
        let manifests = manifests(&filled(&text, &[("NAMESPACE", "shop")]));
        enforce(&world, &manifests, &options);
        let [of_foo, of_bar] = issuers.map(|it| it.token(json!({})));
        for (what, token, status) in [
            ("GET example.com/status/200", &of_foo, 200),
            ("GET example.com/status/200", &of_bar, 403),
            ("GET another-host.com/healthz", &of_bar, 200),
            ("GET another-host.com/healthz", &of_foo, 403),
            ("GET another-host.com/status/200", &of_bar, 403),
        ] {
            expect(&world.client(), what, Some(token), status);
        }
    }

    fn client_certificates(version) {
        let Some(text) = text("3-client-certificate.md") else { return };
        let world = World::start(version);
        let values = [
            ("MTLS_TEST_NAMESPACE", "mtls-test"),
            ("MTLS_GATEWAY_NAME", "mtls-gateway"),
            ("CUSTOM_DOMAIN", "mtls-gw.goat.build.kyma-project.io"),
        ];
        let manifests = manifests(&filled(&text, &values));
        assert_eq!(manifests.len(), 6, "an APIRule, a VirtualService and a policy for each tab");
        let client = |name, host: &str| {
            let identity = client_certificate::client(&world.authority, name, false);
            let config = world.authority.client_config(Some(&identity));
            world.envoy.client(TLS_GATEWAY).tls(config, host)
        };
        let domain = "mtls-gw.goat.build.kyma-project.io";
        // Exposed without a policy.
        enforce(&world, &manifests[..1], &[]);
        expect(&world.client(), &format!("GET httpbin.{domain}/ip"), None, 200);
        expect(&world.client(), &format!("POST httpbin.{domain}/post"), None, 200);
        expect(&world.client(), &format!("DELETE httpbin.{domain}/ip"), None, 404);
        // The policy is for every workload of the namespace, also by the first way.
        enforce(&world, &manifests[..3], &[]);
        let [host, _] = client_certificate::OTHER_HOSTS;
        let what = format!("GET {host}/headers");
        expect(&client("client2.example.com", host), &what, None, 200);
        expect(&client("client.example.com", host), &what, None, 403);
        expect(&world.client(), &what, None, 403);
        expect(&world.client(), &format!("GET httpbin.{domain}/ip"), None, 403);
    }

    fn ext_auth(version) {
        let Some(text) = text("4-ext-auth.md") else { return };
        let world = World::start(version);
        let issuer = world.server.issuer("demo");
        let values = [
            ("CLIENT_ID", DEMO_CLIENT),
            ("CLIENT_SECRET", "demo-secret"),
            ("COOKIE_SECRET", "bm90LWEtc2VjcmV0LW5vdC1hLXNlY3JldC1ub3QtYS0="),
            ("DOMAIN_TO_EXPOSE_WORKLOADS", "published.example.com"),
            ("OIDC_ISSUER_URL", &issuer.iss),
            ("TOKEN_SCOPES", "openid"),
            ("APIRULE_NAME", "httpbin"),
            ("APIRULE_NAMESPACE", "shop"),
            ("SUBDOMAIN", "httpbin"),
            ("SERVICE_NAME", "httpbin"),
            ("SERVICE_PORT", "8000"),
            ("GATEWAY_NAME", "kyma-gateway"),
            ("GATEWAY_NAMESPACE", "kyma-system"),
        ];
        enforce(&world, &manifests(&filled(&text, &values)), &[]);
        let token = issuer.token(json!({"aud": DEMO_CLIENT}));
        let what = "GET httpbin.published.example.com/headers";
        expect(&world.client(), what, None, 401);
        expect(&world.client(), what, Some(&token), 200);
    }

    fn oauth2_scopes(version) {
        let Some(text) = text("5-oauth2-scopes.md") else { return };
        let world = World::start(version);
        let issuer = world.server.issuer("demo");
        let values = [
            ("CLIENT_NAME", "demo"),
            ("NAMESPACE", "shop"),
            ("DOMAIN_TO_EXPOSE_WORKLOADS", "published.example.com"),
        ];
        let mut manifests = manifests(&filled(&text, &values));
        // The rules say nothing of the authorization server: Oathkeeper's own configuration does.
        let oathkeeper =
            include_str!("../../wasmplugin/tutorials/5-oauth2-scopes/original/oathkeeper.yaml");
        manifests.push(oathkeeper.to_owned());
        enforce(&world, &manifests, &[]);
        let [read, write] = ["read", "write"].map(|it| fetched_token(&world.server, issuer, it));
        let client = world.client();
        for (what, token, status) in [
            ("GET httpbin.published.example.com/headers", None, 401),
            ("GET httpbin.published.example.com/headers", Some(&read), 200),
            ("GET httpbin.published.example.com/headers", Some(&write), 403),
            ("POST httpbin.published.example.com/post", None, 401),
            ("POST httpbin.published.example.com/post", Some(&write), 200),
            ("POST httpbin.published.example.com/post", Some(&read), 403),
            ("GET function-example.published.example.com/function", None, 401),
            // Let through: httpbin has no such path, and a rule that has none says so in JSON.
            ("GET function-example.published.example.com/function", Some(&read), 404),
            ("GET function-example.published.example.com/function", Some(&write), 403),
        ] {
            expect(&client, what, token.map(String::as_str), status);
        }
        let request = client.get("/function").authority("function-example.published.example.com");
        let answer = request.bearer(&read).send().expect("an answer");
        assert!(answer.text().contains("<title>404 Not Found</title>"), "{}", answer.text());
    }
}
