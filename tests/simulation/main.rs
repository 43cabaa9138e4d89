//! Clients and a hub with a bad network between them, under virtual time and from a seed.
//!
//! The network delays, reorders nothing and cuts connections, with what is on its way lost; the
//! server may learn of a cut much later than the client. Connections fall half open, in one
//! direction or both: whatever is sent is swallowed, and nobody is told. Clients read late, or not
//! at all for a while, or forget to acknowledge; much is said to one of them at once; they stay
//! away for longer than they may, and thieves come with what they had proven themselves with
//! before. The server is stopped or dies, and
//! another one begins with the keys of the tickets and nothing else. Some clients are strict: they
//! do what `docs/protocol.md` tells them, and check everything that they are told ([`client`]).
//! The others are the library of this crate ([`library`]).
//!
//! After every step: what is confirmed has been heard, once and in order, by whom it was said to
//! ([`ledger`]); everything said has its fate in time, dead connections are found in time
//! ([`check`]); what is kept is bounded, and who acknowledges nothing is not waited for
//! ([`kept`]); who comes back in time has its session, and nobody else has ([`proof`]). Five seconds after the last fault all agree on who is
//! there.

mod check;
mod client;
mod history;
mod kept;
mod ledger;
mod library;
mod membership;
mod person;
mod proof;
mod random;
mod rooms;
mod walk;
mod wire;
mod words;
mod world;

use std::collections::BTreeMap;

use walk::Walk;
use world::World;

/// So many histories, in as many tests as may run at a time.
const SEEDS: u64 = 10_000;
const SHARDS: u64 = 4;
/// In each shard, so many kinds of things happen.
const HAPPENS: usize = 20;

fn whatever_happens(shard: u64) {
    let mut happened: BTreeMap<_, u32> = BTreeMap::new();
    for seed in (0..SEEDS).filter(|seed| seed % SHARDS == shard) {
        for (what, times) in lived(seed).happened() {
            *happened.entry(what).or_default() += times;
        }
    }
    // A simulation in which nothing happens would find nothing.
    assert_eq!(happened.len(), HAPPENS, "{happened:?}");
    assert!(happened.values().all(|&times| times > 5), "{happened:?}");
}

fn lived(seed: u64) -> World {
    let mut world = World::new(seed);
    world.run(80);
    world.heal();
    world
}

#[test]
fn whatever_the_network_does_nothing_is_lost_repeated_or_told_to_the_wrong_room() {
    whatever_happens(0);
}

#[test]
fn nor_in_the_second_quarter_of_all_histories() {
    whatever_happens(1);
}

#[test]
fn nor_in_the_third() {
    whatever_happens(2);
}

#[test]
fn nor_in_the_fourth() {
    whatever_happens(3);
}

#[test]
fn one_seed_gives_one_history() {
    for seed in 0..20 {
        let [one, other] = [lived(seed), lived(seed)].map(|world| world.ledger.heard());
        assert_eq!(one, other, "seed {seed}");
    }
}

/// How many operations a walk has.
const OPERATIONS: u64 = 1_000_000;

#[test]
fn nothing_reaches_anybody_who_is_no_member_at_that_moment() {
    let mut walk = Walk::new(21);
    for _ in 0..OPERATIONS {
        walk.step();
    }
    assert_eq!(walk.seen.len(), 8, "{:?}", walk.seen);
    assert!(
        walk.seen.values().all(|&times| times > 1_000),
        "{:?}",
        walk.seen
    );
}
