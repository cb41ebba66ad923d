//! gRPC callers learn of a refusal in gRPC's own way: HTTP 200 and a `grpc-status`.

use serde_json::json;

use crate::{
    authorization_server::now,
    harness::Version,
    world::{World, tools},
};

on_every_envoy! {
    needs tools;

    /// 7 is PERMISSION_DENIED, 16 is UNAUTHENTICATED.
    fn refusals_of_grpc_calls(version) {
        let world = World::start(version);
        let client = world.client();
        let expired = world.server.issuer("demo").token(json!({"exp": now() - 3600}));
        let call = || {
            let call = client.post("/package.Service/Method", "").authority("httpbin.example.com");
            call.header("content-type", "application/grpc").header("te", "trailers")
        };
        for (answer, status, message) in [
            (call().send(), "7", "RBAC: access denied"),
            (call().bearer(&expired).send(), "16", "Jwt is expired"),
        ] {
            let answer = answer.expect("an answer");
            let text = |name: &str| answer.header(name);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(text("grpc-status").as_deref(), Some(status));
            assert_eq!(text("grpc-message").as_deref(), Some(message));
        }
        world.envoy.assert_no_wasm_failures();
    }
}
