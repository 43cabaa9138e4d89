//! The sockets of a worker.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::coalescing::Coalescing;
use super::ports::RelayedPorts;
use crate::net::{ReceiveBatch, UdpSocket, Undelivered};
use crate::stun::Family;
use crate::time::Instant;
use crate::turn::{AllocationId, FiveTuple};

/// How often a random port is tried before the range is searched from one end to the other.
const RANDOM_TRIES: usize = 16;

/// The tokens that are not a socket's.
pub(super) const WAKE: Token = Token(0);
pub(super) const ALARM: Token = Token(1);
/// After how many full turns in a row a socket is asked what it has dropped.
const FULL_TURNS: u32 = 32;

const FIRST_LISTENER: usize = 2;

/// A socket to take datagrams from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Listener(usize),
    Relay(RelayPlace),
}

/// Which relay socket: an allocation has one of each family at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RelayPlace {
    /// The index of the allocation.
    pub(super) index: usize,
    pub(super) family: Family,
}

impl RelayPlace {
    /// That of `allocation` for peers, or an own address, of the family of `address`.
    pub(super) fn of(allocation: AllocationId, address: SocketAddr) -> Self {
        Self {
            index: allocation.index(),
            family: Family::of(address.ip()),
        }
    }

    fn number(self) -> usize {
        self.index * 2 + usize::from(self.family == Family::V6)
    }

    fn numbered(number: usize) -> Self {
        let family = if number.is_multiple_of(2) {
            Family::V4
        } else {
            Family::V6
        };
        Self {
            index: number / 2,
            family,
        }
    }
}

/// A relay socket, and whose it is.
type Relay = Option<Box<(Inlet, AllocationId)>>;

/// A socket, and what is known of what arrives at it.
#[derive(Debug)]
struct Inlet {
    socket: UdpSocket,
    coalescing: Coalescing,
    /// Whether it stands in the queue of those that may have something.
    is_queued: bool,
    /// How often in a row it has had as much as could be taken.
    full_turns: u32,
    /// What the system has told of drops.
    dropped: u32,
}

/// What sockets tell and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reception {
    /// Whether datagrams are taken and given many a call, and trains may arrive joined.
    pub(super) batching: bool,
    /// Whether each arrival tells its traffic class, so that what leaves can have it.
    pub(super) traffic_class: bool,
}

impl Inlet {
    fn new(socket: UdpSocket, reception: Reception) -> Self {
        if reception.traffic_class {
            // Without it, what leaves has the system's default.
            let _ = socket.tell_traffic_class();
        }
        let coalescing = if reception.batching {
            Coalescing::start(&socket)
        } else {
            Coalescing::never()
        };
        Self {
            socket,
            coalescing,
            is_queued: false,
            full_turns: 0,
            dropped: 0,
        }
    }

    /// It has had as much as could be taken, or less. Gives how many datagrams have found no room
    /// in its buffer since this was asked last: only sockets that had much are asked, and those
    /// not at every turn.
    fn drops_after_turn(&mut self, is_full: bool) -> u32 {
        let is_due = if is_full {
            self.full_turns = self.full_turns.wrapping_add(1);
            self.full_turns.is_multiple_of(FULL_TURNS)
        } else {
            std::mem::take(&mut self.full_turns) > 0
        };
        if !is_due {
            return 0;
        }
        let before = std::mem::replace(&mut self.dropped, self.socket.dropped());
        self.dropped.wrapping_sub(before)
    }
}

/// Listeners and relay sockets, known to the poller by their tokens.
#[derive(Debug)]
pub(super) struct Sockets {
    /// Those for plain datagrams, and behind them those for DTLS.
    listeners: Vec<Inlet>,
    plain: usize,
    /// By the index of the allocation.
    relays_v4: Vec<Relay>,
    relays_v6: Vec<Relay>,
    dropped: u64,
    reception: Reception,
}

impl Sockets {
    /// Registers the listeners for plain datagrams and for DTLS. Trains of plain ones only may
    /// arrive joined.
    pub(super) fn new(
        listeners: Vec<UdpSocket>,
        dtls: Vec<UdpSocket>,
        reception: Reception,
        registry: &Registry,
    ) -> io::Result<Self> {
        let plain = listeners.len();
        for (index, listener) in listeners.iter().chain(&dtls).enumerate() {
            register(registry, listener, FIRST_LISTENER + index)?;
        }
        let listeners = listeners.into_iter();
        let listeners = listeners.map(|listener| Inlet::new(listener, reception));
        let one_by_one = Reception {
            batching: false,
            traffic_class: false,
        };
        let dtls = dtls.into_iter();
        let dtls = dtls.map(|listener| Inlet::new(listener, one_by_one));
        Ok(Self {
            listeners: listeners.chain(dtls).collect(),
            plain,
            relays_v4: Vec::new(),
            relays_v6: Vec::new(),
            dropped: 0,
            reception,
        })
    }

    /// Whether a listener is one for DTLS.
    pub(super) fn is_for_dtls(&self, listener: usize) -> bool {
        listener >= self.plain
    }

    /// Whose `token` it is; `None` if it is no socket's.
    pub(super) fn source(&self, token: Token) -> Option<Source> {
        let number = token.0.checked_sub(FIRST_LISTENER)?;
        Some(match number.checked_sub(self.listeners.len()) {
            None => Source::Listener(number),
            Some(number) => Source::Relay(RelayPlace::numbered(number)),
        })
    }

    /// Notes that `source` stands in the queue, or no more. Gives whether it did before; `None` if
    /// there is no such socket any more.
    pub(super) fn set_queued(&mut self, source: Source, is_queued: bool) -> Option<bool> {
        let inlet = self.inlet_mut(source)?;
        Some(std::mem::replace(&mut inlet.is_queued, is_queued))
    }

    /// Takes datagrams from `source` into `inbox`. Gives how many arrivals there were, fewer than
    /// `limit` only if there is nothing more.
    pub(super) fn receive(
        &mut self,
        source: Source,
        inbox: &mut ReceiveBatch,
        limit: usize,
        now: Instant,
    ) -> io::Result<usize> {
        let Some(inlet) = self.inlet_mut(source) else {
            return Ok(0);
        };
        let first = inbox.len();
        let count = inbox.receive(&inlet.socket, limit)?;
        // Only where trains may come joined is there anything to count.
        let datagrams = if inlet.coalescing.is_on() {
            (first..first + count)
                .map(|number| inbox.datagrams(number))
                .sum()
        } else {
            count
        };
        inlet.coalescing.note(count, datagrams, now, &inlet.socket);
        self.dropped += u64::from(inlet.drops_after_turn(count == limit));
        Ok(count)
    }

    pub(super) fn listener(&self, index: usize) -> Option<&UdpSocket> {
        self.listeners.get(index).map(|inlet| &inlet.socket)
    }

    pub(super) fn relay(&self, place: RelayPlace) -> Option<&UdpSocket> {
        let relay = self.relays(place.family).get(place.index)?.as_deref()?;
        Some(&relay.0.socket)
    }

    /// Takes out the next report of a datagram that did not arrive, with whose it was; within, it
    /// is `None` if it is of no use. `None` if there are no more.
    pub(super) fn take_undelivered(
        &self,
        place: RelayPlace,
    ) -> Option<(AllocationId, Option<Undelivered>)> {
        let allocation = self.allocation(place)?;
        let report = self.relay(place)?.take_undelivered().ok()?;
        Some((allocation, report))
    }

    /// Whose relayed address a relay socket is.
    pub(super) fn allocation(&self, place: RelayPlace) -> Option<AllocationId> {
        let relay = self.relays(place.family).get(place.index)?.as_deref()?;
        Some(relay.1)
    }

    fn relays(&self, family: Family) -> &[Relay] {
        match family {
            Family::V4 => &self.relays_v4,
            Family::V6 => &self.relays_v6,
        }
    }

    fn relays_mut(&mut self, family: Family) -> &mut Vec<Relay> {
        match family {
            Family::V4 => &mut self.relays_v4,
            Family::V6 => &mut self.relays_v6,
        }
    }

    /// The listener that a client speaks to.
    pub(super) fn listener_of(&self, client: FiveTuple) -> Option<usize> {
        self.listeners.iter().position(|inlet| {
            let local = inlet.socket.local();
            let is_its_address = local.ip() == client.server.ip()
                || (local.ip().is_unspecified() && local.is_ipv4() == client.server.is_ipv4());
            is_its_address && local.port() == client.server.port()
        })
    }

    /// The socket of the listener that a client speaks to.
    pub(super) fn socket_of(&self, client: FiveTuple) -> Option<&UdpSocket> {
        self.listener(self.listener_of(client)?)
    }

    /// Takes in the socket of an allocation.
    pub(super) fn insert_relay(
        &mut self,
        allocation: AllocationId,
        socket: UdpSocket,
        registry: &Registry,
    ) -> io::Result<()> {
        let place = RelayPlace::of(allocation, socket.local());
        register(
            registry,
            &socket,
            FIRST_LISTENER + self.listeners.len() + place.number(),
        )?;
        let inlet = Inlet::new(socket, self.reception);
        let relays = self.relays_mut(place.family);
        if relays.len() <= place.index {
            relays.resize_with(place.index + 1, || None);
        }
        relays[place.index] = Some(Box::new((inlet, allocation)));
        Ok(())
    }

    /// How many datagrams have found no room in the buffers of sockets, as far as is known.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Closes the socket of the relayed address `relayed` of an allocation, if it has one.
    pub(super) fn remove_relay(
        &mut self,
        allocation: AllocationId,
        relayed: SocketAddr,
        registry: &Registry,
    ) {
        let place = RelayPlace::of(allocation, relayed);
        let relay = self.relays_mut(place.family).get_mut(place.index);
        if let Some(relay) = relay.and_then(Option::take) {
            // Closing would do it, too; an error here changes nothing.
            let _ = registry.deregister(&mut SourceFd(&relay.0.socket.as_raw_fd()));
        }
    }

    fn inlet_mut(&mut self, source: Source) -> Option<&mut Inlet> {
        match source {
            Source::Listener(index) => self.listeners.get_mut(index),
            Source::Relay(place) => {
                let relays = self.relays_mut(place.family);
                let relay = relays.get_mut(place.index)?.as_deref_mut()?;
                Some(&mut relay.0)
            }
        }
    }
}

fn register(registry: &Registry, socket: &UdpSocket, token: usize) -> io::Result<()> {
    registry.register(
        &mut SourceFd(&socket.as_raw_fd()),
        Token(token),
        Interest::READABLE,
    )
}

/// Something on a random free port of the range (RFC 6056), or on any free one where the range is
/// crowded. `make` is asked for ports that no worker has, and says whether it could use one.
pub(super) fn take_port<T>(
    ports: &RelayedPorts,
    range: &RangeInclusive<u16>,
    even: bool,
    mut make: impl FnMut(IpAddr, u16) -> Option<T>,
) -> Option<T> {
    let (first, last) = (*range.start(), *range.end());
    let count = u32::from(last.checked_sub(first)?) + 1;
    let port = |n: u32| first + u16::try_from(n % count).expect("less than the range is long");
    let mut try_port = |port: u16| {
        if (even && !port.is_multiple_of(2)) || !ports.take(port) {
            return None;
        }
        let made = make(ports.address(), port);
        if made.is_none() {
            ports.give_back(port);
        }
        made
    };
    for _ in 0..RANDOM_TRIES {
        if let Some(made) = try_port(port(getrandom::u32().ok()? % count)) {
            return Some(made);
        }
    }
    let start = getrandom::u32().ok()? % count;
    (0..count).find_map(|step| try_port(port(start + step)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_port_of_a_crowded_range_is_found_once() {
        let ports = RelayedPorts::new(IpAddr::from([127, 0, 0, 1]), 50_000..=50_009);
        let take = |even| take_port(&ports, &(50_000..=50_009), even, |_, port| Some(port));
        let even: BTreeSet<u16> = (0..5).filter_map(|_| take(true)).collect();
        assert!(even.iter().all(|port| port.is_multiple_of(2)) && even.len() == 5);
        assert_eq!(take(true), None);
        let odd: BTreeSet<u16> = (0..5).filter_map(|_| take(false)).collect();
        assert_eq!(odd.len(), 5);
        assert_eq!(take(false), None);
    }

    /// How far 256 counts are from all being alike: about 255, and in one of a thousand million
    /// cases above 413, if chance has made them.
    fn chi_square(counts: &[u32; 256]) -> f64 {
        let expected = f64::from(counts.iter().sum::<u32>()) / 256.0;
        let squares = counts
            .iter()
            .map(|&count| (f64::from(count) - expected).powi(2));
        squares.sum::<f64>() / expected
    }

    #[test]
    fn who_sees_many_ports_learns_nothing_of_the_next() {
        let range = 49_152..=65_535;
        let ports = RelayedPorts::new(IpAddr::from([127, 0, 0, 1]), range.clone());
        // The upper and the lower bits, and in what they differ from those of the port before.
        let (mut counts, mut before) = ([[0; 256]; 4], 0);
        for _ in 0..100_000 {
            let taken = take_port(&ports, &range, false, |_, port| Some(port));
            let port = taken.expect("all are free");
            ports.give_back(port);
            let difference = port.wrapping_sub(before);
            for (at, bits) in [port >> 6, port, difference >> 6, difference]
                .into_iter()
                .enumerate()
            {
                counts[at][usize::from(bits & 0xff)] += 1;
            }
            before = port;
        }
        for counts in &counts {
            let distance = chi_square(counts);
            assert!(distance < 413.0, "{distance}");
        }
    }

    #[test]
    fn a_port_that_cannot_be_used_is_not_lost() {
        let ports = RelayedPorts::new(IpAddr::from([127, 0, 0, 1]), 50_000..=50_009);
        let range = 50_000..=50_000;
        assert_eq!(take_port(&ports, &range, false, |_, _| None::<u16>), None);
        assert_eq!(
            take_port(&ports, &range, false, |_, port| Some(port)),
            Some(50_000)
        );
    }
}
