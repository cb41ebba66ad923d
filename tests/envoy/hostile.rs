//! Requests that must not hurt: each gets an answer, and the VM lives on.

use std::io;

use serde_json::json;

use crate::{
    harness::{Response, Version},
    world::{World, tools},
};

const HTTPBIN: &str = "httpbin.example.com";

on_every_envoy! {
    needs tools;

    /// A byte that is no UTF-8, in any header and in the token's own.
    fn obs_text_in_a_header_value(version) {
        let (world, token) = open_world(version);
        let client = world.client();
        let get = || client.get("/status/200").authority(HTTPBIN);
        assert_answer(get().bearer(&token).header("x-bytes", b"\xff").send(), 200..=200);
        assert_answer(get().header("x-bytes", b"\xff").send(), 403..=403);
        assert_answer(get().header("authorization", b"Bearer \xff").send(), 401..=403);
        assert_answer(get().header("authorization", b"\xff").send(), 401..=403);
        assert_answer(get().header("cookie", b"a=\xff").bearer(&token).send(), 200..=200);
        assert_well(&world, &token);
    }

    /// Two thousand lines of cookies.
    fn two_thousand_cookies(version) {
        let (world, token) = open_world(version);
        let client = world.client();
        let request = || (0..2000).fold(client.get("/status/200").authority(HTTPBIN), |request, n| {
            request.header("cookie", format!("cookie-{n}=value"))
        });
        assert_answer(request().bearer(&token).send(), 200..=200);
        assert_answer(request().send(), 403..=403);
        assert_well(&world, &token);
    }

    /// Two thousand headers of different names, more than the host takes back in one map.
    fn two_thousand_headers(version) {
        let (world, token) = open_world(version);
        let client = world.client();
        let request = || (0..2000).fold(client.get("/status/200").authority(HTTPBIN), |request, n| {
            request.header(format!("x-header-{n}"), "value")
        });
        assert_answer(request().bearer(&token).send(), 200..=200);
        assert_answer(request().send(), 403..=403);
        assert_well(&world, &token);
    }

    /// CONNECT has an authority and no `:path`. Envoy itself would answer 404, for want of a route.
    fn connect_without_a_path(version) {
        let (world, token) = open_world(version);
        let client = world.client();
        let head = format!("CONNECT {HTTPBIN}:443 HTTP/1.1\r\nHost: {HTTPBIN}:443\r\n");
        assert_answer(client.raw(format!("{head}\r\n")), 400..=400);
        assert_answer(client.raw(format!("{head}Authorization: Bearer {token}\r\n\r\n")), 400..=400);
        assert_well(&world, &token);
    }

    /// A token of one megabyte, in a form that could be one and in one that could not.
    fn a_token_of_one_megabyte(version) {
        let (world, token) = open_world(version);
        let client = world.client();
        let long = "a".repeat(1024 * 1024);
        let (input, signature) = token.rsplit_once('.').expect("a token in compact form");
        for token in [long.clone(), format!("{input}.{signature}{long}"), format!("{long}.{long}.{long}")] {
            let answer = client.get("/status/200").authority(HTTPBIN).bearer(&token).send();
            // 431 would be Envoy's own answer, and the plugin would not have been asked.
            assert_answer(answer, 400..=430);
        }
        assert_well(&world, &token);
    }
}

/// A world that lets large requests through to the plugin, and a valid token for it.
fn open_world(version: Version) -> (World, String) {
    let world = World::start_with(version, |_| (), |listener| listener.huge_headers());
    let token = world.server.issuer("demo").token(json!({}));
    (world, token)
}

#[track_caller]
fn assert_answer(answer: io::Result<Response>, expected: std::ops::RangeInclusive<u16>) {
    let answer = answer.expect("an answer");
    assert!(
        expected.contains(&answer.status),
        "expected a status in {expected:?}, got {} `{}`",
        answer.status,
        answer.text()
    );
}

/// The gateway goes on deciding, and no VM has failed.
#[track_caller]
fn assert_well(world: &World, token: &str) {
    let client = world.client();
    assert_answer(
        client
            .get("/status/200")
            .authority(HTTPBIN)
            .bearer(token)
            .send(),
        200..=200,
    );
    assert_answer(
        client.get("/status/200").authority(HTTPBIN).send(),
        403..=403,
    );
    world.envoy.assert_no_wasm_failures();
}
