//! The tutorials, row by row, as the demo plays them.

use crate::{
    harness::Version,
    world::{World, tools},
};

on_every_envoy! {
    needs tools;

    /// Every request of every tutorial is answered as the tutorial says.
    fn the_tutorials(version) {
        let world = World::start(version);
        let client = world.client();
        let rows = world.tutorials.iter().flat_map(|tutorial| &tutorial.rows);
        let differing: Vec<_> = rows
            .flat_map(|row| match row.send(&client) {
                Ok(answer) => row.differences(&answer),
                Err(error) => vec![format!("no answer: {error}")],
            }
            .into_iter()
            .map(|difference| format!("{}: {difference}", row.request())))
            .collect();
        assert!(differing.is_empty(), "{}", differing.join("\n"));
        world.envoy.assert_no_wasm_failures();
    }
}
