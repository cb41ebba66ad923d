//! The tutorials, row by row, as the demo plays them.

use std::collections::BTreeSet;

use crate::{
    authorizer::Seen,
    harness::{Version, module_server::ModuleServer, plugin::Fetched},
    world::{World, tools},
};

on_every_envoy! {
    needs tools;

    /// Every request of every tutorial is answered as the tutorial says.
    fn the_tutorials(version) {
        let world = World::start(version);
        assert_plays(&world);
        // Where tokens are verified inline, nobody else is asked.
        let asked: BTreeSet<_> = world.authorizer.seen().iter().map(host).collect();
        assert_eq!(asked, BTreeSet::from(["ext-auth.example.com".to_owned()]));
        world.envoy.assert_no_wasm_failures();
    }

    /// The same where Envoy itself fetches the module, by HTTP, and checks what it got.
    fn the_tutorials_with_a_module_from_a_server(version) {
        let modules = ModuleServer::start();
        let world = World::start_fetching(version, &modules, modules.module());
        assert_plays(&world);
        world.envoy.assert_no_wasm_failures();
        let log = modules.log();
        let fetches = log.matches("\"GET /plugin.wasm HTTP/1.1\" 200").count();
        // Each of the two listeners asks, unless it finds what the other one got.
        assert!((1..=2).contains(&fetches), "{log}");
    }

    /// A module that is not what it must be does not decide, and then nothing goes on.
    fn a_module_with_another_checksum(version) {
        let modules = ModuleServer::start();
        let sha256 = "0".repeat(64);
        let module = Fetched { sha256, ..modules.module() };
        let world = World::start_fetching(version, &modules, module);
        for row in world.tutorials.iter().flat_map(|it| &it.rows) {
            let answer = row.send(&world.client_for(row)).expect("an answer");
            assert_eq!(answer.status, 503, "{}", row.request());
        }
    }
}

/// Every request of every tutorial is answered as the tutorial says.
fn assert_plays(world: &World) {
    let rows = world.tutorials.iter().flat_map(|tutorial| &tutorial.rows);
    let differing: Vec<_> = rows
        .flat_map(|row| {
            match row.send(&world.client_for(row)) {
                Ok(answer) => row.differences(&answer),
                Err(error) => vec![format!("no answer: {error}")],
            }
            .into_iter()
            .map(|difference| format!("{}: {difference}", row.request()))
        })
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

fn host(seen: &Seen) -> String {
    String::from_utf8_lossy(seen.headers["host"].as_bytes()).into_owned()
}
