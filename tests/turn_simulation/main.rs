//! The TURN server and many clients on a network that loses, repeats and reorders, under virtual
//! time and from a seed.
//!
//! The clients do what RFC 8656 tells them: they send a request again until it is answered, and
//! take a new nonce when theirs is old. At the door of the server every datagram is also shown to
//! a small reference ([`model`]): it says what has to be answered and what has to be relayed, and
//! after every step both must know the same allocations, ports and quotas ([`world`]).

mod ask;
mod client;
mod host;
mod model;
#[path = "../simulation/random.rs"]
mod random;
mod world;

use world::World;

fn run(seed: u64) -> World {
    // Shown when a test fails.
    println!("seed {seed}");
    let mut world = World::new(seed);
    world.run(400);
    world.heal();
    world.check_that_all_ends();
    world
}

#[test]
fn whatever_the_network_does_the_server_does_what_the_reference_says() {
    for seed in 0..1_500 {
        run(seed);
    }
}

/// A simulation in which nothing happens would find nothing.
#[test]
fn everything_happens_in_the_simulation() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 10_000..10_200 {
        for (what, count) in run(seed).seen() {
            *seen.entry(what.clone()).or_default() += count;
        }
    }
    for what in [
        "allocated",
        "allocated before",
        "both families",
        "one family of two",
        "reserved",
        "redeemed",
        "refreshed",
        "ended",
        "expired",
        "done",
        "401",
        "403",
        "437",
        "438",
        "441",
        "443",
        "486",
        "508",
        "400",
        "to a peer",
        "to a client",
        "through a channel",
        "dropped",
        "lost",
        "repeated",
    ] {
        let count: u64 = seen.get(what).copied().unwrap_or_default();
        assert!(count > 10, "{what} happened {count} times: {seen:?}");
    }
}

#[test]
fn one_seed_gives_one_history() {
    for seed in 0..20 {
        assert_eq!(run(seed).history(), run(seed).history(), "seed {seed}");
    }
}
