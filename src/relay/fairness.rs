//! Who gets how much of a worker that has more to do than it can.
//!
//! All clients of a listener wait in one queue of the system. When that overflows everybody loses,
//! and whoever sends most keeps most. So when a listener has not been found empty for long, its
//! arrivals are counted by client, and what is beyond a client's share is dropped before it costs
//! the sending on, which is most of what a packet costs.
//!
//! The share shrinks as long as the queue stays, but never to less than what the usual client
//! sends: where all send alike, nobody is singled out, and the system's queue drops what is too
//! much without any work here.

use std::net::SocketAddr;

use ahash::RandomState;

/// After how many arrivals without a pause clients are counted, and after how many more the
/// shares are dealt anew.
const EPOCH: usize = 4_096;

/// Clients that fall into one slot share a share.
const SLOTS: usize = 4_096;

/// No share is smaller than this.
const LEAST: u32 = 8;

/// As long as no more have come since a listener was last found empty, all are let through: there
/// is no harm in them, and after a flood nobody is held to a share of it.
const HARMLESS: usize = 256;

/// Counts arrivals by client, when there is cause to.
pub(super) struct Fairness {
    hasher: RandomState,
    /// Arrivals since a listener was last found empty.
    backlog: usize,
    epoch: Option<Epoch>,
    counts: Box<[u32; SLOTS]>,
    /// The slots that are not zero.
    touched: Vec<u16>,
}

/// A stretch of overload.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    arrivals: usize,
    /// How many arrivals of each client are let through.
    share: u32,
    /// Whether somebody has had more.
    has_shed: bool,
    /// Whether a listener was found empty.
    was_drained: bool,
}

impl Fairness {
    /// Everybody gets all they want so far.
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            backlog: 0,
            epoch: None,
            counts: Box::new([0; SLOTS]),
            touched: Vec::with_capacity(SLOTS),
        }
    }

    /// So many arrivals have been taken from a listener, which has been drained or not.
    pub(super) fn note(&mut self, arrivals: usize, is_drained: bool) {
        self.backlog = if is_drained {
            0
        } else {
            self.backlog + arrivals
        };
        let Some(epoch) = &mut self.epoch else {
            if self.backlog >= EPOCH {
                self.epoch = Some(Epoch::first());
            }
            return;
        };
        epoch.arrivals += arrivals;
        epoch.was_drained |= is_drained;
        if epoch.arrivals >= EPOCH {
            let epoch = *epoch;
            self.epoch = self.next(epoch);
        }
    }

    /// Whether an arrival from `client` is within its share. Requests are counted apart from
    /// data: a client that sends too much can still keep its allocation.
    pub(super) fn admits(&mut self, client: SocketAddr, bytes: &[u8]) -> bool {
        let Some(epoch) = &mut self.epoch else {
            return true;
        };
        let hash = self.hasher.hash_one((client, is_request(bytes)));
        let slot = (hash >> 52) as u16;
        let count = &mut self.counts[usize::from(slot)];
        if *count == 0 {
            self.touched.push(slot);
        }
        *count = count.saturating_add(1);
        let is_within = *count <= epoch.share || self.backlog < HARMLESS;
        epoch.has_shed |= !is_within;
        is_within
    }

    /// What follows after `epoch`: none, if nobody had more than their share and all was served.
    fn next(&mut self, epoch: Epoch) -> Option<Epoch> {
        let (usual, most) = self.usual_and_most();
        for slot in self.touched.drain(..) {
            self.counts[usize::from(slot)] = 0;
        }
        let share = match (epoch.was_drained, epoch.has_shed) {
            (true, false) => return None,
            (true, true) => epoch.share.saturating_add(epoch.share / 4),
            (false, _) => (epoch.share.min(most) / 2).max(usual + usual / 4),
        };
        Some(Epoch {
            share: share.max(LEAST),
            ..Epoch::first()
        })
    }

    /// How much the median of the clients has sent, and the most that any has.
    fn usual_and_most(&mut self) -> (u32, u32) {
        let counts = &self.counts;
        let Some(middle) = self.touched.len().checked_sub(1).map(|last| last / 2) else {
            return (0, 0);
        };
        let count = |slot: &u16| counts[usize::from(*slot)];
        let (_, median, above) = self.touched.select_nth_unstable_by_key(middle, count);
        let usual = count(median);
        (usual, above.iter().map(count).max().unwrap_or(usual))
    }
}

impl Epoch {
    /// One in which all is let through.
    fn first() -> Self {
        Self {
            arrivals: 0,
            share: u32::MAX,
            has_shed: false,
            was_drained: false,
        }
    }
}

/// Whether it is a STUN request, by the bits that say so (RFC 8489 section 5).
fn is_request(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..] if first & 0xc1 == 0 && second & 0x10 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &[u8] = &[0x40, 0, 0, 0];
    const REFRESH: &[u8] = &[0, 4, 0, 0];
    const SEND: &[u8] = &[0, 0x16, 0, 0];

    fn client(number: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 1_000 + number))
    }

    /// A worker that can relay so many of 32 arrivals in the time in which these come; what is
    /// shed costs it a quarter.
    struct World {
        fairness: Fairness,
        relays: f64,
        waiting: f64,
    }

    impl World {
        fn new(relays: f64) -> Self {
            Self {
                fairness: Fairness::new(),
                relays,
                waiting: 0.0,
            }
        }

        /// Lets 32 arrivals come, as often as this, and gives how many of each client passed.
        fn run(&mut self, rounds: usize, senders: &[u16], bytes: &[u8]) -> Vec<usize> {
            let mut passed = vec![0; 1_000];
            let mut sender = senders.iter().cycle();
            for _ in 0..rounds {
                let mut cost = 0.0;
                for &number in sender.by_ref().take(32) {
                    let is_admitted = self.fairness.admits(client(number), bytes);
                    passed[usize::from(number)] += usize::from(is_admitted);
                    cost += if is_admitted { 1.0 } else { 0.25 };
                }
                // Where more is done than there was time for, more has come meanwhile.
                self.waiting = (self.waiting + cost - self.relays).max(0.0);
                self.fairness.note(32, self.waiting == 0.0);
            }
            passed
        }
    }

    /// Client 0 sends nine times as much as the ten others together.
    fn a_flood() -> Vec<u16> {
        (0..100)
            .map(|n| if n % 10 == 0 { 1 + n / 10 } else { 0 })
            .collect()
    }

    #[test]
    fn nobody_is_counted_as_long_as_all_can_be_served() {
        let mut world = World::new(32.0);
        let passed = world.run(10_000, &a_flood(), DATA);
        assert_eq!(passed.iter().sum::<usize>(), 320_000);
        assert!(world.fairness.epoch.is_none());
    }

    #[test]
    fn a_flood_takes_nothing_from_the_others() {
        let mut world = World::new(16.0);
        world.run(1_000, &a_flood(), DATA);
        let passed = world.run(10_000, &a_flood(), DATA);
        assert!(
            passed[1..=10].iter().all(|&count| count == 3_200),
            "{passed:?}"
        );
        // The rest is the flooding client's: there is time for 75,000, beside what is dropped.
        let rest = passed[0];
        assert!((50_000..=75_000).contains(&rest), "{rest}");
    }

    #[test]
    fn a_flood_leaves_the_other_of_two_clients_alone() {
        let mut world = World::new(16.0);
        let senders: Vec<u16> = (0..20).map(|n| u16::from(n == 0)).collect();
        world.run(1_000, &senders, DATA);
        let passed = world.run(1_000, &senders, DATA);
        assert_eq!(passed[1], 1_600);
    }

    #[test]
    fn where_all_send_alike_hardly_anything_is_dropped() {
        let mut world = World::new(16.0);
        let senders: Vec<u16> = (0..100).collect();
        let passed: usize = world.run(10_000, &senders, DATA).iter().sum();
        assert!(passed > 300_000, "{passed}");
    }

    #[test]
    fn requests_are_counted_apart_from_data() {
        let mut world = World::new(16.0);
        world.run(1_000, &a_flood(), SEND);
        assert!(!(0..10_000).all(|_| world.fairness.admits(client(0), SEND)));
        assert!((0..LEAST).all(|_| world.fairness.admits(client(0), REFRESH)));
    }

    #[test]
    fn who_comes_after_a_flood_loses_nothing_however_little_comes() {
        let mut world = World::new(16.0);
        world.run(1_000, &a_flood(), DATA);
        assert!(world.fairness.epoch.is_some());
        for _ in 0..1_000 {
            world.fairness.note(1, true);
            assert!(world.fairness.admits(client(1), DATA));
        }
    }

    #[test]
    fn it_ends_with_the_flood() {
        let mut world = World::new(16.0);
        world.run(1_000, &a_flood(), DATA);
        assert!(world.fairness.epoch.is_some());
        world.relays = 32.0;
        world.waiting = 0.0;
        world.run(10_000, &a_flood(), DATA);
        assert!(world.fairness.epoch.is_none());
        let passed: usize = world.run(100, &a_flood(), DATA).iter().sum();
        assert_eq!(passed, 3_200);
    }
}
