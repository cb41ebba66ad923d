//! From a request that fails in some mesh to a smaller one, for whoever has to read it.

use super::model::Request;
use super::world::World;

/// What of a mesh and a request can go: each takes the part of that number out, if there is one.
const PARTS: [fn(&mut World, &mut Request, usize) -> bool; 12] = [
    |world, _, at| without(&mut world.policies, at),
    |world, _, at| without(&mut world.authentications, at),
    |world, _, at| without(&mut world.virtual_services, at),
    |world, _, at| without(&mut world.gateways, at),
    |world, _, at| without(&mut world.services, at),
    |world, _, at| without(&mut world.deployments, at),
    |_, request, at| without(&mut request.headers, at),
    |world, _, at| within(world.virtual_services.iter_mut().map(|it| &mut it.http), at),
    |world, _, at| {
        within(
            world.virtual_services.iter_mut().map(|it| &mut it.hosts),
            at,
        )
    },
    |world, _, at| within(world.policies.iter_mut().map(|it| &mut it.rules), at),
    |world, _, at| within(world.authentications.iter_mut().map(|it| &mut it.rules), at),
    |world, _, at| within(world.gateways.iter_mut().map(|it| &mut it.servers), at),
];

/// The smallest that still fails, as far as one gets by taking out one part after the other.
pub fn shrunk(
    mut world: World,
    mut request: Request,
    fails: impl Fn(&World, &Request) -> bool,
) -> (World, Request) {
    let mut smaller = true;
    while smaller {
        smaller = false;
        for take_out in PARTS {
            let mut at = 0;
            loop {
                let (mut less, mut asked) = (world.clone(), request.clone());
                if !take_out(&mut less, &mut asked, at) {
                    break;
                }
                if fails(&less, &asked) {
                    (world, request) = (less, asked);
                    smaller = true;
                } else {
                    at += 1;
                }
            }
        }
    }
    (world, request)
}

fn without<T>(items: &mut Vec<T>, at: usize) -> bool {
    let there = at < items.len();
    if there {
        items.remove(at);
    }
    there
}

/// The same of all lists together, of which none becomes empty.
fn within<'w, T: 'w>(lists: impl Iterator<Item = &'w mut Vec<T>>, mut at: usize) -> bool {
    for list in lists.filter(|it| it.len() > 1) {
        if at < list.len() {
            list.remove(at);
            return true;
        }
        at -= list.len();
    }
    false
}
