//! Clients that lose their connections against a hub, under virtual time and from a seed.
//!
//! The network delays, reorders nothing and cuts connections, with what is on its way lost; the
//! server may learn of a cut much later than the client. The clients do what `docs/protocol.md`
//! tells them: they acknowledge, resume, and send again what they are unsure of. They check
//! everything that they are told ([`client`]); at the end the network heals, and all must agree
//! ([`world`]).

mod client;
mod random;
mod world;

use std::collections::BTreeMap;

use world::World;

#[test]
fn whatever_the_network_does_nothing_is_lost_repeated_or_told_to_the_wrong_room() {
    let mut seen: BTreeMap<_, u32> = BTreeMap::new();
    for seed in 0..10_000 {
        let mut world = World::new(seed);
        world.run(150);
        world.heal();
        world.check();
        for (what, happened) in world.seen() {
            *seen.entry(what).or_default() += u32::from(happened);
        }
    }
    // A simulation in which nothing happens would find nothing.
    assert!(seen.values().all(|&count| count > 100), "{seen:?}");
}

#[test]
fn one_seed_gives_one_history() {
    let history = |seed| {
        let mut world = World::new(seed);
        world.run(150);
        world.heal();
        world.received()
    };
    for seed in 0..20 {
        assert_eq!(history(seed), history(seed), "seed {seed}");
    }
}
