//! What an operator sees of the plugin: metrics with labels as Istio cuts them out, the dashboard and
//! the alerts that name them, and the line in the access log.

mod promql;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    authorization_server::{
        AuthorizationServer, Client as OauthClient, DEMO_CLIENT, Fault, IssuerOptions, Options, now,
    },
    authorizer::Authorizer,
    harness::{Envoy, Listener, Plugin, Tool, Update, Version, requirements, wait},
};
use promql::{Series, page, selectors};

/// As Istio (1.26 to 1.29) names the plugin's configuration.
const PLUGIN: &str = "extensions.istio.io/wasmplugin/istio-system.portcullis";
/// As Istio names the statistics of a gateway's port.
const GATEWAY: &str = "outbound_0.0.0.0_8443;";
/// A port whose module could not be loaded.
const UNLOADED: &str = "outbound_0.0.0.0_8080;";
const INTROSPECT: &str = "/issuers/demo/oauth2/introspect";
const API: &str = "api.example.com";
const SHOP: &str = "shop.example.com";
const PATIENCE: Duration = Duration::from_secs(5);
/// Envoy writes its access log every ten seconds.
const LOG_PATIENCE: Duration = Duration::from_secs(15);

fn tools(version: Version) -> [Tool; 2] {
    [Tool::Envoy(version), Tool::Plugin]
}

on_every_envoy! {
    needs tools;

    /// With the settings of the README in Istio's own, each decision counts under its labels; every
    /// metric that dashboard, alerts or README name is there, with the labels that they want; and
    /// there is none that the README does not name.
    fn what_is_told_and_what_is_named(version) {
        let gateway = Gateway::start(version, Some(istio_stats()));
        gateway.some_of_everything();
        for (expression, value) in [
            (r#"portcullis_decisions_total{rule="shop/readers", outcome="allowed"}"#, 5.0),
            (r#"portcullis_decisions_total{rule="none", outcome="token"}"#, 1.0),
            (r#"portcullis_decisions_total{rule="none", outcome="policy"}"#, 1.0),
            (r#"portcullis_decisions_total{rule="none", outcome="gateway"}"#, 2.0),
            (r#"portcullis_decisions_total{rule="shop", outcome="allowed"}"#, 4.0),
            (r#"portcullis_decisions_total{rule="shop", outcome="opaque_token"}"#, 1.0),
            (r#"portcullis_decisions_total{rule="shop", outcome="gateway"}"#, 2.0),
            (r#"portcullis_refusals_total{reason="token_expired"}"#, 1.0),
            (r#"portcullis_refusals_total{reason="authority_unknown"}"#, 2.0),
            (r#"portcullis_dry_run_refusals_total{rule="shop/closed", outcome="policy"}"#, 1.0),
            (r#"portcullis_dry_run_calls_total{rule="trial"}"#, 1.0),
            (r#"portcullis_audits_total{rule="shop/seen"}"#, 1.0),
            (r#"portcullis_signatures_total{verifier="host"}"#, 1.0),
            (r#"portcullis_verified_token_lookups_total{outcome="hit"}"#, 4.0),
            (r#"portcullis_verified_token_lookups_total{outcome="miss"}"#, 1.0),
            (r#"portcullis_introspected_token_lookups_total{provider="hydra", outcome="hit"}"#, 1.0),
            (r#"portcullis_introspected_token_lookups_total{provider="hydra", outcome="miss"}"#, 3.0),
            (r#"portcullis_introspections_total{provider="hydra", outcome="active"}"#, 1.0),
            (r#"portcullis_introspections_total{provider="hydra", outcome="inactive"}"#, 1.0),
            (r#"portcullis_introspections_total{provider="hydra", outcome="failed"}"#, 1.0),
            (r#"portcullis_authorizations_total{provider="proxy", outcome="allowed"}"#, 1.0),
            (r#"portcullis_authorizations_total{provider="proxy", outcome="denied"}"#, 1.0),
            (r#"portcullis_keys_usable{rule="demo"}"#, 2.0),
            (r#"portcullis_host_algorithms"#, 6.0),
            (r#"portcullis_parked_requests"#, 0.0),
            (r#"portcullis_parked_requests_limit"#, 1000.0),
            (r#"{__name__=~"envoy_http_.*rbac_wasm_default_deny_denied"}"#, 1.0),
            (r#"{__name__=~"envoy_extension_config_discovery_.*portcullis.*_update_rejected"}"#, 1.0),
        ] {
            let got = wait::becomes_true(PATIENCE, || gateway.value(expression) == Some(value));
            assert!(got, "{expression}: {:?}, not {value}", gateway.value(expression));
        }
        let page = page(&gateway.envoy.prometheus());
        for Named { place, expression, labels } in named() {
            let mut all = selectors(&expression);
            assert!(!all.is_empty(), "{place}: `{expression}` names no metric");
            all.retain(|selector| !selector.name.contains("___"));
            for mut selector in all {
                selector.labels.extend(labels.iter().map(|label| (label.clone(), None)));
                // A counter of what did not happen is not there; another one of its family is.
                let values = selector.labels.iter_mut();
                values.for_each(|(_, value)| *value = None);
                let found = page.iter().any(|series| selector.selects(series));
                assert!(found, "{place}: Envoy does not tell {selector:?}");
            }
        }
        let told: BTreeMap<_, BTreeSet<_>> = page
            .iter()
            .filter(|series| series.name.starts_with("portcullis_"))
            .map(|series| (series.name.clone(), series.labels.keys().cloned().collect()))
            .collect();
        assert_eq!(told, documented());
        gateway.envoy.assert_no_wasm_failures();
    }

    /// Without any settings the labels are in the names, and an alert says so.
    fn without_settings(version) {
        let gateway = Gateway::start(version, None);
        let token = gateway.token();
        assert_eq!(gateway.ask(API, "/", Some(&token)), 200);
        let flat = "portcullis_rule___shop_readers___outcome___allowed___decisions_total";
        assert!(documentation().contains(flat));
        assert!(wait::becomes_true(PATIENCE, || gateway.value(flat) == Some(1.0)));
        let alert = named().into_iter().find(|it| it.place == "PortcullisLabelsMissing");
        let page = page(&gateway.envoy.prometheus());
        let selector = selectors(&alert.expect("the alert").expression).remove(0);
        assert!(page.iter().any(|series| selector.selects(series)));
        gateway.envoy.assert_no_wasm_failures();
    }

    /// The format of the README, in an access log, which is told of requests that go on where an
    /// operator wants it.
    fn access_log(version) {
        let gateway = Gateway::start(version, None);
        let token = gateway.token();
        gateway.ask(API, "/untold", Some(&token));
        let untold = "\"GET HTTP/1.1\" api.example.com 200 direct_response -\n";
        gateway.envoy.wait_for_log(untold, LOG_PATIENCE);
        let mut configuration = gateway.configuration.clone();
        configuration["accessLog"] = json!("ALL");
        assert_eq!(gateway.envoy.update_plugin(&configuration), Update::Accepted);
        let expired = gateway.server.issuer("demo").token(json!({"exp": now() - 3600}));
        gateway.ask(API, "/", Some(&token));
        gateway.ask(API, "/", Some(&expired));
        gateway.ask(API, "/really", Some(&token));
        gateway.ask(SHOP, "/", None);
        gateway.ask("unknown.example.com", "/", None);
        let opaque = gateway.opaque();
        gateway.ask(SHOP, "/", Some(&opaque));
        for end in [
            "api.example.com 200 direct_response allowed,none,ns[shop]-policy[readers]-rule[0]",
            "api.example.com 401 jwt_authn_access_denied{Jwt_is_expired} token,token_expired,none",
            "api.example.com 403 rbac_access_denied_matched_policy[ns[shop]-policy[really]-rule[0]] \
             policy,policy_denied,ns[shop]-policy[really]-rule[0]",
            "shop.example.com 401 portcullis{credential_missing} \
             policy,credential_missing,api[shop]-rule[2]",
            "unknown.example.com 404 portcullis{authority_unknown} gateway,authority_unknown,none",
            // One that has waited for an answer.
            "shop.example.com 200 direct_response allowed,none,api[shop]-rule[2]",
        ] {
            gateway.envoy.wait_for_log(&format!("\"GET HTTP/1.1\" {end}\n"), LOG_PATIENCE);
        }
        gateway.envoy.assert_no_wasm_failures();
    }

    /// The module tells on how many threads it is alive: on each worker, and on the main thread.
    fn alive(version) {
        let gateway = Gateway::start(version, None);
        let alive = || gateway.value("portcullis_alive_seconds_total").unwrap_or_default();
        assert!(wait::becomes_true(PATIENCE, || alive() > 0.0));
        let (before, since) = (alive(), Instant::now());
        thread::sleep(Duration::from_secs(6));
        let rate = (alive() - before) / since.elapsed().as_secs_f64();
        let threads = gateway.value("envoy_server_concurrency").expect("a number") + 1.0;
        println!("alive on {rate:.2} of {threads} threads");
        // Each tells it in whole seconds.
        assert!((rate - threads).abs() < threads / 6.0 + 0.1, "{rate}");
    }

    /// What is measured of a rule that is no longer there does not stay as it was.
    fn a_rule_that_is_gone(version) {
        let gateway = Gateway::start(version, Some(istio_stats()));
        let usable = || gateway.value(r#"portcullis_keys_usable{rule="demo"}"#);
        assert!(wait::becomes_true(PATIENCE, || usable() == Some(2.0)), "{:?}", usable());
        let mut configuration = gateway.configuration.clone();
        configuration["jwtRules"] = json!([]);
        configuration["authorizationPolicies"] = json!([]);
        assert_eq!(gateway.envoy.update_plugin(&configuration), Update::Accepted);
        assert!(wait::becomes_true(PATIENCE, || usable() == Some(0.0)), "{:?}", usable());
        gateway.envoy.assert_no_wasm_failures();
    }

    /// However many names there are in configurations, so many are told apart.
    fn too_many_names(version) {
        let policies = (0..600).map(|number| json!({
            "name": format!("p{number}"), "namespace": "n", "action": "DENY",
            "rules": [{"to": [{"operation": {"paths": [format!("/{number}")]}}]}],
        }));
        let plugin = Plugin::new(json!({
            "version": 1,
            "authorizationPolicies": policies.collect::<Vec<_>>(),
        }));
        let listener = Listener::new("gateway").filter(plugin.inline()).direct_response(200, "");
        let envoy = Envoy::builder(version).stats_config(istio_stats()).listener(listener).start();
        let client = envoy.client("gateway");
        for number in (0..600).chain(0..600) {
            let answer = client.get(format!("/{number}")).send().expect("an answer");
            assert_eq!(answer.status, 403);
        }
        let counted = || {
            let mut by_rule = BTreeMap::new();
            for series in page(&envoy.prometheus()) {
                if series.name == "portcullis_decisions_total" {
                    by_rule.insert(series.labels["rule"].clone(), series.value);
                }
            }
            by_rule
        };
        let all = wait::becomes_true(PATIENCE, || counted().values().sum::<f64>() == 1_200.0);
        let counted = counted();
        assert!(all, "{} counted", counted.values().sum::<f64>());
        assert!((490..=501).contains(&counted.len()), "{} names", counted.len());
        assert!((200.0..220.0).contains(&counted["other"]), "{}", counted["other"]);
        assert_eq!(counted["n/p0"], 2.0);
        envoy.assert_no_wasm_failures();
    }
}

/// Rules are as Prometheus wants them, fire when they shall, and the queries of the dashboard can be
/// read.
#[test]
fn promtool() {
    let promtool = Tool::Program("promtool");
    if !requirements::met("metrics::promtool", &[promtool]) {
        return;
    }
    let run = |arguments: &[&Path]| {
        let output = Command::new(promtool.path()).args(arguments).output();
        let output = output.expect("promtool can be started");
        let text = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&text)
        );
    };
    run(&["check".as_ref(), "rules".as_ref(), &file("alerts.yaml")]);
    run(&["test".as_ref(), "rules".as_ref(), &file("alerts-test.yaml")]);
    // As rules of their own.
    let queries = dashboard_queries().into_iter().enumerate();
    let rules = queries.map(|(index, named)| {
        let expression = named.expression.replace("$__rate_interval", "5m");
        json!({"record": format!("query_{index}"), "expr": expression})
    });
    let rules = json!({"groups": [{"name": "dashboard", "rules": rules.collect::<Vec<_>>()}]});
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("dashboard.yaml");
    fs::write(&path, rules.to_string()).expect("a file in a temporary folder");
    run(&["check".as_ref(), "rules".as_ref(), &path]);
}

/// Each alert says what to do, and is tested.
#[test]
fn alerts_are_complete() {
    let tests = fs::read_to_string(file("alerts-test.yaml")).expect("the tests of the alerts");
    for alert in alerts() {
        let name = alert["alert"].as_str().expect("a name");
        let text = |of: &str, what: &str| alert[of][what].as_str().unwrap_or_default().to_owned();
        assert!(
            ["critical", "warning"].contains(&&*text("labels", "severity")),
            "{name}"
        );
        assert!(!text("annotations", "summary").is_empty(), "{name}");
        assert!(text("annotations", "description").len() > 20, "{name}");
        assert!(
            tests.contains(&format!("alertname=\"{name}\"")),
            "{name} has no test"
        );
    }
}

/// A gateway with something of everything that is counted.
struct Gateway {
    // Envoy goes first, so that it does not log the loss of the others.
    envoy: Envoy,
    server: AuthorizationServer,
    _authorizer: Authorizer,
    configuration: Value,
}

// === impl Gateway ===

impl Gateway {
    fn start(version: Version, stats: Option<Value>) -> Self {
        let client = OauthClient::new("gateway", "secret").scopes("read");
        let issuer = IssuerOptions::new("demo").client(client);
        let server = AuthorizationServer::start(Options::default().issuer(issuer));
        let authorizer = Authorizer::start(server.issuer("demo").clone(), DEMO_CLIENT);
        let configuration = configuration(&server);
        let mut plugin = Plugin::new(configuration.clone()).reload_on_failure();
        plugin.name = PLUGIN.to_owned();
        let unloaded = crate::harness::Filter::Json(json!({
            "name": "unloaded",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                "rules": {},
                "rules_stat_prefix": "wasm-default-deny",
            },
        }));
        let listener = |name: &str| Listener::new(name).direct_response(200, "");
        let envoy = Envoy::builder(version)
            .stats_config(stats.unwrap_or_else(|| json!({})))
            .cluster("idp", server.port())
            .cluster("proxy", authorizer.port())
            .listener(
                listener(GATEWAY)
                    .filter(plugin.discovered())
                    .access_log(&access_log_format()),
            )
            .listener(listener(UNLOADED).filter(unloaded))
            .start();
        Gateway {
            envoy,
            server,
            _authorizer: authorizer,
            configuration,
        }
    }

    fn some_of_everything(&self) {
        let token = self.token();
        let expired = self
            .server
            .issuer("demo")
            .token(json!({"exp": now() - 3600}));
        for (token, path, status) in [
            (Some(&token), "/", 200),
            (Some(&token), "/", 200),
            (Some(&token), "/", 200),
            (Some(&token), "/closed", 200),
            (Some(&expired), "/", 401),
            (None, "/", 403),
        ] {
            assert_eq!(
                self.ask(API, path, token.map(String::as_str)),
                status,
                "{path}"
            );
        }
        let client = self.envoy.client(GATEWAY);
        let deleted = client
            .request("DELETE", "/")
            .authority(API)
            .bearer(&token)
            .send();
        assert_eq!(deleted.expect("an answer").status, 200);
        let opaque = self.opaque();
        for (token, path, status) in [
            (None, "/healthz", 200),
            (Some(&*opaque), "/", 200),
            (Some(&*opaque), "/", 200),
            (Some("unknown"), "/", 401),
            (Some(&*self.accepted()), "/ext", 200),
            (None, "/ext", 401),
        ] {
            assert_eq!(self.ask(SHOP, path, token), status, "{path}");
        }
        self.server.fault(INTROSPECT, Fault::Html);
        assert_eq!(self.ask(SHOP, "/", Some("another")), 503);
        self.server.fault(INTROSPECT, Fault::None);
        for host in ["unknown.example.com", "trial.example.com"] {
            assert_eq!(self.ask(host, "/", None), 404, "{host}");
        }
        assert_eq!(
            self.envoy.update_plugin(&json!({"version": 0})),
            Update::Rejected
        );
        let refused = self
            .envoy
            .client(UNLOADED)
            .get("/")
            .send()
            .expect("an answer");
        assert_eq!(refused.status, 403);
    }

    /// Of the one series that an expression selects.
    fn value(&self, expression: &str) -> Option<f64> {
        let selector = selectors(expression).remove(0);
        let mut page = page(&self.envoy.prometheus());
        page.retain(|series| selector.selects(series));
        let [Series { value, .. }] = page.as_slice() else {
            return None;
        };
        Some(*value)
    }

    fn token(&self) -> String {
        self.server.issuer("demo").token(json!({}))
    }

    fn opaque(&self) -> String {
        let claims = json!({"scope": "read", "sub": "u", "exp": now() + 600});
        self.server.issuer("demo").opaque(claims)
    }

    /// A token that the authorizer accepts.
    fn accepted(&self) -> String {
        let claims = json!({"aud": DEMO_CLIENT, "email": "ada@example.com"});
        self.server.issuer("demo").token(claims)
    }

    fn ask(&self, host: &str, path: &str, token: Option<&str>) -> u16 {
        let client = self.envoy.client(GATEWAY);
        let request = client.get(path).authority(host).maybe_bearer(token);
        request.send().expect("an answer").status
    }
}

fn configuration(server: &AuthorizationServer) -> Value {
    let introspected = json!({"path": "/*", "oauth2Introspection": {"provider": "hydra", "requiredScopes": ["read"]}});
    json!({
        "version": 1,
        "defaultAction": "DENY",
        "introspectionProviders": [{
            "name": "hydra",
            "introspectionUrl": format!("{}{INTROSPECT}", server.url()),
            "cluster": "idp",
            "clientId": "gateway",
            "clientSecret": "secret",
        }],
        "extensionProviders": [{
            "name": "proxy",
            "cluster": "proxy",
            "envoyExtAuthzHttp": {"service": "proxy.example.com", "port": 80},
        }],
        "jwtRules": [{
            "name": "demo",
            "issuer": server.issuer("demo").iss,
            "jwksUri": server.issuer("demo").jwks_uri(),
            "cluster": "idp",
            "appliesTo": [{"hosts": [API]}],
        }],
        "apiRules": [
            {"name": "shop", "hosts": [SHOP], "rules": [
                {"path": "/healthz", "noAuth": true},
                {"path": "/ext", "extAuth": {"authorizers": ["proxy"]}},
                introspected,
            ]},
            {"name": "trial", "hosts": ["trial.example.com"], "dryRun": true, "rules": [
                {"path": "/*", "extAuth": {"authorizers": ["proxy"]}},
            ]},
        ],
        "authorizationPolicies": [
            {"name": "readers", "namespace": "shop", "appliesTo": [{"hosts": [API]}],
                "rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}]},
            {"name": "really", "namespace": "shop", "action": "DENY",
                "rules": [{"to": [{"operation": {"paths": ["/really"]}}]}]},
            {"name": "closed", "namespace": "shop", "action": "DENY", "dryRun": true,
                "rules": [{"to": [{"operation": {"paths": ["/closed"]}}]}]},
            {"name": "seen", "namespace": "shop", "action": "AUDIT",
                "rules": [{"to": [{"operation": {"methods": ["DELETE"]}}]}]},
        ],
    })
}

/// What Istio's gateways are started with, and the settings of the README in it.
fn istio_stats() -> Value {
    let settings = yaml_block("extraStatTags");
    let strings = |value: &Value| -> Vec<String> {
        serde_json::from_value(value.clone()).expect("a list of strings")
    };
    let tag = |name: &str, regex: &str| json!({"tag_name": name, "regex": regex});
    let mut tags = vec![
        tag(
            "cluster_name",
            r"^cluster\.((.+?(\..+?\.svc\.cluster\.local)?)\.)",
        ),
        tag("tcp_prefix", r"^tcp\.((.*?)\.)\w+?$"),
        tag("response_code", r"_rq(_(\d{3}))$"),
        tag("response_code_class", r"_rq(_(\dxx))$"),
        tag(
            "listener_address",
            r"^listener\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)",
        ),
        tag(
            "http_conn_manager_prefix",
            r"^http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)",
        ),
    ];
    let extra = strings(&settings["extraStatTags"]);
    tags.extend(
        extra
            .iter()
            .map(|name| tag(name, &format!(r"({name}=\.=(.*?);\.;)"))),
    );
    tags.extend([
        tag("cache", r"(cache\.(.+?)\.)"),
        tag("component", r"(component\.(.+?)\.)"),
        tag("tag", r"(tag\.(.+?);\.)"),
        tag("wasm_filter", r"(wasm_filter\.(.+?)\.)"),
        tag("authz_enforce_result", r"rbac(\.(allowed|denied))"),
        tag("authz_dry_run_action", r"(\.istio_dry_run_(allow|deny)_)"),
        tag("authz_dry_run_result", r"(\.shadow_(allowed|denied))"),
    ]);
    let matcher = &settings["proxyStatsMatcher"];
    let mut prefixes = strings(&matcher["inclusionPrefixes"]);
    let istios = [
        "reporter=",
        "cluster_manager",
        "listener_manager",
        "server",
        "cluster.xds-grpc",
        "wasm",
        "component",
        "istio",
    ];
    prefixes.extend(istios.map(str::to_owned));
    let mut suffixes = strings(&matcher["inclusionSuffixes"]);
    suffixes.extend(
        [
            "rbac.allowed",
            "rbac.denied",
            "shadow_allowed",
            "shadow_denied",
        ]
        .map(str::to_owned),
    );
    let prefixes = prefixes.into_iter().map(|it| json!({"prefix": it}));
    let suffixes = suffixes.into_iter().map(|it| json!({"suffix": it}));
    json!({
        "use_all_default_tags": false,
        "stats_tags": tags,
        "stats_matcher": {"inclusion_list": {"patterns": prefixes.chain(suffixes).collect::<Vec<_>>()}},
    })
}

fn access_log_format() -> String {
    let settings = yaml_block("accessLogFormat");
    let format = settings["meshConfig"]["accessLogFormat"].as_str();
    format.expect("a format").trim_end().to_owned()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("wasmplugin/observability")
        .join(name)
}

fn documentation() -> String {
    fs::read_to_string(file("README.md")).expect("the documentation")
}

/// The YAML of the documentation that holds this field.
fn yaml_block(field: &str) -> Value {
    let documentation = documentation();
    let mut blocks = documentation.split("```yaml\n").skip(1);
    let block = blocks.find_map(|rest| rest.split("```").next().filter(|it| it.contains(field)));
    serde_saphyr::from_str(block.expect("a block of YAML")).expect("YAML")
}

/// The metrics of the documentation, with their labels.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let documentation = documentation();
    let rows = documentation
        .lines()
        .filter(|line| line.starts_with("| `portcullis_"));
    let quoted = |cell: &str| -> Vec<String> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').collect();
        (
            quoted(cells[1]).remove(0),
            quoted(cells[2]).into_iter().collect(),
        )
    };
    rows.map(row).collect()
}

/// A query, and labels that it is told with.
struct Named {
    place: String,
    expression: String,
    labels: Vec<String>,
}

/// Every query of the alerts and of the dashboard.
fn named() -> Vec<Named> {
    let mut all = dashboard_queries();
    all.extend(alerts().into_iter().map(|alert| {
        let texts = ["summary", "description"].map(|it| alert["annotations"][it].to_string());
        Named {
            place: alert["alert"].as_str().expect("a name").to_owned(),
            expression: alert["expr"].as_str().expect("an expression").to_owned(),
            labels: placeholders(&texts.concat(), "$labels."),
        }
    }));
    all
}

fn alerts() -> Vec<Value> {
    let text = fs::read_to_string(file("alerts.yaml")).expect("the alerts");
    let alerts: Value = serde_saphyr::from_str(&text).expect("YAML");
    let groups = alerts["groups"].as_array().expect("a list").iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().expect("a list"));
    let rules: Vec<_> = rules.cloned().collect();
    assert!(rules.len() >= 10, "{}", rules.len());
    rules
}

fn dashboard_queries() -> Vec<Named> {
    let text = fs::read_to_string(file("dashboard.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("a list").iter();
    let queries = panels.flat_map(|panel| {
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|target| Named {
            place: panel["title"].to_string(),
            expression: target["expr"].as_str().expect("an expression").to_owned(),
            labels: placeholders(target["legendFormat"].as_str().unwrap_or_default(), ""),
        })
    });
    let queries: Vec<_> = queries.collect();
    assert!(queries.len() >= 10, "{}", queries.len());
    queries
}

/// The labels in `{{…}}`, but for those that Prometheus or the query itself adds.
fn placeholders(text: &str, before: &str) -> Vec<String> {
    let inner = text
        .split("{{")
        .skip(1)
        .filter_map(|rest| rest.split("}}").next());
    let labels = inner.filter_map(|it| it.trim().strip_prefix(before));
    let own =
        labels.filter(|label| !["instance", "stat"].contains(label) && !label.starts_with('$'));
    own.map(str::to_owned).collect()
}
