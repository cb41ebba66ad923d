//! The tutorials, row by row, as the demo plays them.

use std::collections::BTreeSet;

use crate::{
    authorizer::Seen,
    harness::Version,
    world::{World, tools},
};

on_every_envoy! {
    needs tools;

    /// Every request of every tutorial is answered as the tutorial says.
    fn the_tutorials(version) {
        let world = World::start(version);
        let rows = world.tutorials.iter().flat_map(|tutorial| &tutorial.rows);
        let differing: Vec<_> = rows
            .flat_map(|row| match row.send(&world.client_for(row)) {
                Ok(answer) => row.differences(&answer),
                Err(error) => vec![format!("no answer: {error}")],
            }
            .into_iter()
            .map(|difference| format!("{}: {difference}", row.request())))
            .collect();
        assert!(differing.is_empty(), "{}", differing.join("\n"));
        // Where tokens are verified inline, nobody else is asked.
        let asked: BTreeSet<_> = world.authorizer.seen().iter().map(host).collect();
        assert_eq!(asked, BTreeSet::from(["ext-auth.example.com".to_owned()]));
        world.envoy.assert_no_wasm_failures();
    }
}

fn host(seen: &Seen) -> String {
    String::from_utf8_lossy(seen.headers["host"].as_bytes()).into_owned()
}
