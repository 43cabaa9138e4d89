//! The channels of an allocation (RFC 8656 section 12).

use std::net::SocketAddr;
use std::time::Duration;

use crate::stun::{ChannelNumber, Family};
use crate::time::Instant;

/// How long a binding lasts.
const LIFETIME: Duration = Duration::from_secs(600);

/// How many an allocation may have.
const MAX: usize = 128;

/// Why a channel was not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindError {
    /// The number is bound to another peer, or the peer to another number.
    Conflict,
    /// There are as many channels as there may be.
    Full,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    number: ChannelNumber,
    peer: SocketAddr,
    target: Target,
    expires: Instant,
}

/// Where a channel's peer is, found out when it is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Beyond the relay's socket.
    Outside(SocketAddr),
    /// An address of ours, as bound: perhaps another allocation's relayed address.
    Here(SocketAddr),
}

/// Bindings of numbers to peers, found from either side.
#[derive(Clone, Debug, Default)]
pub(super) struct Channels {
    /// In the order of numbers.
    by_number: Vec<Channel>,
    /// In the order of peers.
    by_peer: Vec<(SocketAddr, ChannelNumber)>,
}

impl Channels {
    /// Where packets for `number` go.
    pub(super) fn target(&self, number: ChannelNumber, now: Instant) -> Option<Target> {
        self.live(number, now).map(|channel| channel.target)
    }

    fn peer(&self, number: ChannelNumber, now: Instant) -> Option<SocketAddr> {
        self.live(number, now).map(|channel| channel.peer)
    }

    fn live(&self, number: ChannelNumber, now: Instant) -> Option<&Channel> {
        let channel = &self.by_number[self.place(number).ok()?];
        (channel.expires > now).then_some(channel)
    }

    /// The number that `peer` is bound to.
    pub(super) fn number(&self, peer: SocketAddr, now: Instant) -> Option<ChannelNumber> {
        let at = self
            .by_peer
            .binary_search_by_key(&peer, |&(peer, _)| peer)
            .ok()?;
        let number = self.by_peer[at].1;
        self.peer(number, now).map(|_| number)
    }

    /// Whether [`Channels::bind`] would take the pair.
    pub(super) fn check(
        &self,
        number: ChannelNumber,
        peer: SocketAddr,
        now: Instant,
    ) -> Result<(), BindError> {
        match (self.peer(number, now), self.number(peer, now)) {
            (Some(bound), _) if bound != peer => Err(BindError::Conflict),
            (_, Some(bound)) if bound != number => Err(BindError::Conflict),
            (Some(_), _) => Ok(()),
            (None, _) => {
                let live = self
                    .by_number
                    .iter()
                    .filter(|channel| channel.expires > now)
                    .count();
                if live < MAX {
                    Ok(())
                } else {
                    Err(BindError::Full)
                }
            }
        }
    }

    /// Binds `number` to `peer`, who is at `target`, or renews the binding.
    pub(super) fn bind(
        &mut self,
        number: ChannelNumber,
        peer: SocketAddr,
        target: Target,
        now: Instant,
    ) -> Result<(), BindError> {
        self.check(number, peer, now)?;
        self.keep(|channel| channel.expires > now);
        let channel = Channel {
            number,
            peer,
            target,
            expires: now + LIFETIME,
        };
        match self.place(number) {
            Ok(at) => self.by_number[at] = channel,
            Err(at) => {
                // Not a place more than needed: most allocations have one or two.
                self.by_number.reserve_exact(1);
                self.by_peer.reserve_exact(1);
                self.by_number.insert(at, channel);
                let at = self.by_peer.partition_point(|&(other, _)| other < peer);
                self.by_peer.insert(at, (peer, number));
            }
        }
        Ok(())
    }

    /// Unbinds the channels of all peers of `family`.
    pub(super) fn forget(&mut self, family: Family) {
        self.keep(|channel| Family::of(channel.peer.ip()) != family);
    }

    /// Unbinds the channels that `keep` does not name; gives whether there were any.
    pub(super) fn keep_reachable(&mut self, keep: impl Fn(SocketAddr, Target) -> bool) -> bool {
        let before = self.by_number.len();
        self.keep(|channel| keep(channel.peer, channel.target));
        self.by_number.len() < before
    }

    fn keep(&mut self, keep: impl Fn(&Channel) -> bool) {
        self.by_number.retain(keep);
        let by_number = &self.by_number;
        self.by_peer.retain(|(_, number)| {
            by_number
                .binary_search_by_key(number, |channel| channel.number)
                .is_ok()
        });
    }

    fn place(&self, number: ChannelNumber) -> Result<usize, usize> {
        self.by_number
            .binary_search_by_key(&number, |channel| channel.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    fn number(offset: u16) -> ChannelNumber {
        ChannelNumber::new(0x4000 + offset).expect("in range")
    }

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn a_binding_is_found_from_both_sides_for_ten_minutes() {
        let mut channels = Channels::default();
        channels
            .bind(number(1), peer(7), Target::Outside(peer(7)), at(0))
            .expect("free");
        assert_eq!(channels.peer(number(1), at(599)), Some(peer(7)));
        assert_eq!(channels.number(peer(7), at(599)), Some(number(1)));
        assert_eq!(channels.peer(number(1), at(600)), None);
        assert_eq!(channels.number(peer(7), at(600)), None);
    }

    #[test]
    fn a_number_and_a_peer_stay_with_each_other() {
        let mut channels = Channels::default();
        channels
            .bind(number(1), peer(7), Target::Outside(peer(7)), at(0))
            .expect("free");
        channels
            .bind(number(1), peer(7), Target::Outside(peer(7)), at(10))
            .expect("renewed");
        assert_eq!(
            channels.bind(number(1), peer(8), Target::Outside(peer(8)), at(10)),
            Err(BindError::Conflict)
        );
        assert_eq!(
            channels.bind(number(2), peer(7), Target::Outside(peer(7)), at(10)),
            Err(BindError::Conflict)
        );
        channels
            .bind(number(1), peer(8), Target::Outside(peer(8)), at(610))
            .expect("expired before");
    }

    #[test]
    fn there_is_an_end_to_channels() {
        let mut channels = Channels::default();
        for offset in 0..128 {
            channels
                .bind(
                    number(offset),
                    peer(offset),
                    Target::Outside(peer(offset)),
                    at(0),
                )
                .expect("free");
        }
        assert_eq!(
            channels.bind(number(200), peer(200), Target::Outside(peer(200)), at(0)),
            Err(BindError::Full)
        );
        channels
            .bind(number(5), peer(5), Target::Outside(peer(5)), at(0))
            .expect("renewed");
        channels
            .bind(number(200), peer(200), Target::Outside(peer(200)), at(600))
            .expect("the others are gone");
    }

    proptest! {
        #[test]
        fn both_sides_agree_with_a_simple_model(
            steps in prop::collection::vec((0..6_u16, 0..6_u16, 0..200_u64), 1..60),
        ) {
            let (mut channels, mut now) = (Channels::default(), 0);
            let mut model: BTreeMap<u16, (u16, u64)> = BTreeMap::new();
            for (offset, port, passed) in steps {
                now += passed;
                model.retain(|_, &mut (_, expires)| expires > now);
                let free = model.get(&offset).is_none_or(|&(bound, _)| bound == port)
                    && model.iter().all(|(&n, &(bound, _))| bound != port || n == offset);
                prop_assert_eq!(channels.bind(number(offset), peer(port), Target::Outside(peer(port)), at(now)).is_ok(), free);
                if free {
                    model.insert(offset, (port, now + 600));
                }
                for n in 0..6 {
                    let expected = model.get(&n).map(|&(port, _)| peer(port));
                    prop_assert_eq!(channels.peer(number(n), at(now)), expected);
                    let expected = model.iter().find(|(_, (port, _))| *port == n);
                    let expected = expected.map(|(&offset, _)| number(offset));
                    prop_assert_eq!(channels.number(peer(n), at(now)), expected);
                }
            }
        }
    }
}
