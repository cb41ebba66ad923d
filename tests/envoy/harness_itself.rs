//! The harness tested without Portcullis: what it reports must be what is there.
//!
//! Its plugins are modules of a few instructions that are made here.

use std::{fs, path::PathBuf, time::Duration};

use serde_json::json;
use tempfile::TempDir;
use walrus::{FunctionBuilder, Module, ModuleConfig, ValType, ir::BinaryOp};

use crate::{
    authorization_server::{AuthorizationServer, Fault, Options},
    harness::{Envoy, Listener, Plugin, Tool, Update, Version, httpbin, wait},
};

on_every_envoy! {
    needs |version| [Tool::Envoy(version), Tool::Httpbin];

    /// Requests reach httpbin byte by byte, over a connection that is kept.
    fn a_client_reaches_httpbin(version) {
        let httpbin = httpbin::shared();
        let builder = Envoy::builder(version).cluster("httpbin", httpbin.port());
        let envoy = builder.listener(Listener::new("plain").huge_headers()).start();
        let client = envoy.client("plain");

        let answer = client.get("/headers").authority("a.example").header("X-Mixed", "Case").send();
        let answer = answer.expect("an answer").json();
        assert_eq!(answer["headers"]["Host"], "a.example");
        assert_eq!(answer["headers"]["X-Mixed"], "Case");
        let posted = client.post("/post", "hello").send().expect("an answer").json();
        assert_eq!(posted["data"], "hello");
        let chunked = client.get("/stream/3").send().expect("an answer");
        assert_eq!(chunked.text().lines().count(), 3, "{}", chunked.text());
        assert_eq!(client.request("HEAD", "/get").send().expect("an answer").body, b"");
        assert_eq!(client.raw("BROKEN\r\n\r\n").expect("an answer").status, 400);
        assert_eq!(envoy.stat("http.plain.downstream_cx_total"), 2);
        envoy.assert_no_wasm_failures();
    }

    /// Envoy's own filter takes the tokens and the key set of the authorization server.
    fn tokens_are_real(version) {
        let mut server = AuthorizationServer::start(Options::tutorials());
        let issuer = server.issuer("foo");
        let verifier = json!({
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                "providers": {"foo": {
                    "issuer": issuer.iss,
                    "local_jwks": {"inline_string": issuer.jwks().to_string()},
                }},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "foo"}}],
            },
        });
        let listener = Listener::new("jwt").direct_response(200, "in");
        let listener = listener.filter(crate::harness::listener::Filter::Json(verifier));
        let envoy = Envoy::builder(version).listener(listener).start();
        let client = envoy.client("jwt");
        let ask = |token: &str| {
            let answer = client.get("/").bearer(token).send().expect("an answer");
            (answer.status, answer.text())
        };

        let claims = issuer.claims(json!({}));
        let es256 = json!({"alg": "ES256", "kid": issuer.keys().es256.kid()});
        assert_eq!(ask(&issuer.token(json!({}))), (200, "in".to_owned()));
        assert_eq!(ask(&issuer.sign(claims.clone(), es256)), (200, "in".to_owned()));
        assert_eq!(ask(&issuer.token(json!({"exp": 1}))).1, "Jwt is expired");
        assert_eq!(ask(&issuer.sign(claims, json!({"alg": "none"}))).0, 401);
        assert_eq!(ask(&server.issuer("bar").token(json!({}))).1, "Jwt issuer is not configured");
        issuer.rotate_keys(false);
        assert_eq!(ask(&issuer.token(json!({}))).0, 401);

        let own = crate::harness::Client::new(server.port());
        server.fault("/jwks", Fault::Status { status: 500 });
        assert_eq!(own.get("/jwks").send().expect("an answer").status, 500);
        server.fault("/jwks", Fault::Reset);
        assert!(own.get("/jwks").send().is_err(), "half an answer passed for a whole one");
        assert_eq!(server.count("/jwks"), 2);
        server.stop();
        assert!(own.get("/healthz").send().is_err(), "a stopped server answered");
        server.start_again();
        assert_eq!(own.get("/healthz").send().expect("an answer").status, 200);
    }

    /// A module that traps is told of, by the log alone where no statistic counts.
    fn a_trap_is_seen(version) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let trapping = module(&folder, Trap::OnRequestHeaders);
        let plugin = Plugin::new(json!({})).module(trapping);
        for plugin in [plugin.clone(), plugin.reload_on_failure()] {
            let listener = Listener::new("trap").direct_response(200, "open").filter(plugin.inline());
            let envoy = Envoy::builder(version).listener(listener).start();
            envoy.assert_no_wasm_failures();
            assert_eq!(envoy.client("trap").get("/").send().expect("an answer").status, 503);
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                envoy.assert_no_wasm_failures();
            }));
            assert!(checked.is_err(), "a trap went unseen:\n{}", envoy.log());
        }
    }

    /// An Envoy that has ended is not one in which nothing has failed.
    fn an_end_is_seen(version) {
        let envoy = Envoy::builder(version).listener(Listener::new("open").direct_response(200, "")).start();
        envoy.assert_no_wasm_failures();
        assert_eq!(envoy.admin().post("/quitquitquit", "").send().expect("an answer").status, 200);
        let ended = || envoy.admin().get("/ready").send().is_err();
        assert!(wait::becomes_true(Duration::from_secs(10), ended), "Envoy still answers");
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            envoy.assert_no_wasm_failures();
        }));
        assert!(checked.is_err(), "an end went unseen");
    }

    /// Updates are told apart by what Envoy says to them; without any good one it answers 500.
    fn updates_are_told_apart(version) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let plugin = Plugin::new(json!({})).module(module(&folder, Trap::Never));
        let start = |configuration: &str| {
            let plugin = plugin.clone().configuration(configuration);
            let listener = Listener::new("open").direct_response(200, "open").filter(plugin.discovered());
            Envoy::builder(version).listener(listener).try_start()
        };
        let envoy = start("short").expect("a start");
        assert_eq!(envoy.update_plugin_text("longer than allowed"), Update::Rejected);
        assert_eq!(envoy.update_plugin_text("longer, again"), Update::Rejected);
        assert_eq!(envoy.update_plugin_text("fine"), Update::Accepted);
        assert_eq!(envoy.client("open").get("/").send().expect("an answer").status, 200);
        envoy.assert_no_wasm_failures();
        let envoy = start("longer than allowed").expect("a start");
        envoy.wait_for_log("Filesystem config update rejected", Duration::from_secs(5));
        assert_eq!(envoy.client("open").get("/").send().expect("an answer").status, 500);
    }
}

/// Where a module traps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trap {
    Never,
    OnRequestHeaders,
}

/// The least module that Envoy takes; it rejects configurations of ten bytes and more.
fn module(folder: &TempDir, trap: Trap) -> PathBuf {
    let mut module = Module::with_config(ModuleConfig::new());
    let memory = module.memories.add_local(false, false, 1, None, None);
    module.exports.add("memory", memory);
    let mut export =
        |name: &str,
         parameters: usize,
         results: &[ValType],
         body: &dyn Fn(&mut walrus::InstrSeqBuilder<'_>, &[walrus::LocalId])| {
            let locals: Vec<_> = (0..parameters)
                .map(|_| module.locals.add(ValType::I32))
                .collect();
            let mut function =
                FunctionBuilder::new(&mut module.types, &vec![ValType::I32; parameters], results);
            body(&mut function.func_body(), &locals);
            let function = function.finish(locals, &mut module.funcs);
            module.exports.add(name, function);
        };
    let i32 = [ValType::I32];
    export("proxy_abi_version_0_2_1", 0, &[], &|_, _| {});
    export("malloc", 1, &i32, &|body, _| {
        body.i32_const(1024);
    });
    export("proxy_on_context_create", 2, &[], &|_, _| {});
    export("proxy_on_configure", 2, &i32, &|body, locals| {
        body.local_get(locals[1])
            .i32_const(10)
            .binop(BinaryOp::I32LtU);
    });
    if trap == Trap::OnRequestHeaders {
        export("proxy_on_request_headers", 3, &i32, &|body, _| {
            body.unreachable();
        });
    }
    let path = folder.path().join("module.wasm");
    fs::write(&path, module.emit_wasm()).expect("a file in a temporary folder");
    path
}
