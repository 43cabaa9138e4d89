//! The reference: what the server has to answer and to relay, written down once more without a
//! byte, a table or a timer. What has expired is found out by looking at the time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use peerage::stun::Family;

use super::ask::{Answer, Ask, Port, Time, Token, Wanted, What};
use super::host::{SERVER, Setting};

const SECOND: Time = 1_000;
/// How long a permission lasts.
const PERMISSION: Time = 300 * SECOND;
/// How long a channel lasts.
const CHANNEL: Time = 600 * SECOND;
/// How long a reservation is kept.
const RESERVATION: Time = 30 * SECOND;
/// How long a nonce may be used.
const NONCE: Time = 600;
/// What a client gets that asks for less, and for more than the most.
const LIFETIMES: (u32, u32) = (600, 3_600);

#[derive(Clone, Debug)]
struct Allocation {
    user: usize,
    /// One of each family at most, and until when.
    relayed: Vec<(SocketAddr, Time)>,
    made_by: u64,
    permissions: BTreeMap<IpAddr, Time>,
    channels: BTreeMap<u16, (SocketAddr, Time)>,
}

/// What must become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Refused(u16),
    /// A new allocation, with addresses of these families.
    Allocated {
        families: Vec<Family>,
        /// The one that was asked for in addition and cannot be had.
        refused: Option<Family>,
        port: Port,
        lifetime: u32,
    },
    /// A new allocation, with the address that was reserved.
    Redeemed {
        relayed: SocketAddr,
        lifetime: u32,
    },
    /// The one that the same request has made before.
    AllocatedBefore {
        relayed: Vec<SocketAddr>,
        lifetime: u32,
    },
    Refreshed {
        lifetime: u32,
    },
    Done,
}

/// What must become of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    ToPeer {
        relayed: SocketAddr,
        peer: SocketAddr,
    },
    /// By which channel, or from whom in a Data indication.
    ToClient {
        client: SocketAddr,
        channel: Option<u16>,
        peer: SocketAddr,
    },
}

/// A relayed address that waits for whoever shows the token.
struct Reservation {
    relayed: SocketAddr,
    user: usize,
    until: Time,
}

pub(crate) struct Model {
    setting: Setting,
    reservations: BTreeMap<Token, Reservation>,
    allocations: BTreeMap<SocketAddr, Allocation>,
    /// To whom each nonce was given, and when.
    nonces: BTreeMap<(SocketAddr, Vec<u8>), Time>,
}

impl Model {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self {
            setting: setting.clone(),
            reservations: BTreeMap::new(),
            allocations: BTreeMap::new(),
            nonces: BTreeMap::new(),
        }
    }

    /// The server has given `client` a nonce.
    pub(crate) fn note_nonce(&mut self, client: SocketAddr, nonce: &[u8], now: Time) {
        let given = self.nonces.entry((client, nonce.to_vec()));
        given.or_insert(now);
    }

    /// Forgets what has come to its end.
    pub(crate) fn pass_to(&mut self, now: Time) {
        for known in self.allocations.values_mut() {
            for family in [Family::V4, Family::V6] {
                let relayed = known.relayed_of(family);
                if relayed.is_some_and(|(_, until)| until <= now) {
                    known.forget(family);
                }
            }
        }
        self.allocations
            .retain(|_, known| !known.relayed.is_empty());
        self.reservations.retain(|_, known| known.until > now);
    }

    pub(crate) fn relayed(&self) -> impl Iterator<Item = SocketAddr> {
        let all = self.allocations.values().flat_map(|known| &known.relayed);
        all.map(|(relayed, _)| *relayed)
    }

    pub(crate) fn allocations(&self) -> usize {
        self.allocations.len()
    }

    pub(crate) fn reservations(&self) -> usize {
        self.reservations.len()
    }

    /// When the next thing ends.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        let all = self.allocations.values().flat_map(|known| &known.relayed);
        let reserved = self.reservations.values().map(|known| known.until);
        all.map(|(_, until)| *until).chain(reserved).min()
    }

    /// What must become of a request of `client` now.
    pub(crate) fn outcome(&self, client: SocketAddr, ask: &Ask, now: Time) -> Outcome {
        let Some(nonce) = &ask.nonce else {
            return Outcome::Refused(401);
        };
        if !ask.knows_password {
            return Outcome::Refused(401);
        }
        let made = self.nonces.get(&(client, nonce.clone()));
        // The server counts whole seconds.
        if made.is_none_or(|made| now / SECOND - made / SECOND > NONCE) {
            return Outcome::Refused(438);
        }
        let known = self.allocations.get(&client);
        if let What::Allocate(wanted) = &ask.what {
            return match known {
                Some(known) if known.made_by == ask.id => Outcome::AllocatedBefore {
                    relayed: known.relayed.iter().map(|(relayed, _)| *relayed).collect(),
                    lifetime: u32::try_from((known.relayed[0].1 - now) / SECOND).expect("short"),
                },
                Some(_) => Outcome::Refused(437),
                None => self.allocate(ask.user, wanted),
            };
        }
        let Some(known) = known else {
            return Outcome::Refused(437);
        };
        if known.user != ask.user {
            return Outcome::Refused(441);
        }
        self.of_owner(known, &ask.what, now)
    }

    fn allocate(&self, user: usize, wanted: &Wanted) -> Outcome {
        let Wanted { family, port, .. } = *wanted;
        let lifetime = granted(wanted.lifetime);
        if let Some(token) = wanted.token {
            if family.is_some() || wanted.both || port != Port::Any {
                return Outcome::Refused(400);
            }
            return self.redeem(user, token, lifetime);
        }
        if wanted.both && (family.is_some() || port == Port::Pair) {
            return Outcome::Refused(400);
        }
        if self.used(user) >= self.setting.quota {
            return Outcome::Refused(486);
        }
        let asked = match wanted.both {
            true => vec![Family::V4, Family::V6],
            false => vec![family.unwrap_or(Family::V4)],
        };
        let (families, missing): (Vec<_>, Vec<_>) = asked
            .into_iter()
            .partition(|&family| self.has_port(family, port));
        if families.is_empty() {
            return Outcome::Refused(508);
        }
        // The reserved port counts, too.
        if port == Port::Pair && self.used(user) + 1 >= self.setting.quota {
            return Outcome::Refused(486);
        }
        Outcome::Allocated {
            families,
            refused: missing.first().copied(),
            port,
            lifetime,
        }
    }

    fn redeem(&self, user: usize, token: Token, lifetime: u32) -> Outcome {
        let Some(reservation) = self.reservations.get(&token) else {
            return Outcome::Refused(508);
        };
        let own = usize::from(reservation.user == user);
        if self.used(user) - own >= self.setting.quota {
            return Outcome::Refused(486);
        }
        Outcome::Redeemed {
            relayed: reservation.relayed,
            lifetime,
        }
    }

    /// What counts against the quota of `user`.
    fn used(&self, user: usize) -> usize {
        let allocations = self.allocations.values().filter(|known| known.user == user);
        let reservations = self.reservations.values();
        allocations.count() + reservations.filter(|known| known.user == user).count()
    }

    fn has_port(&self, family: Family, wanted: Port) -> bool {
        let reserved = self.reservations.values().map(|known| known.relayed);
        let taken: BTreeSet<_> = self
            .relayed()
            .chain(reserved)
            .filter(|at| Family::of(at.ip()) == family)
            .map(|at| at.port())
            .collect();
        let ports = &self.setting.ports;
        let is_free = |port: u16| ports.contains(&port) && !taken.contains(&port);
        ports.clone().any(|port| {
            is_free(port)
                && (wanted == Port::Any || port.is_multiple_of(2))
                && (wanted != Port::Pair || is_free(port + 1))
        })
    }

    fn of_owner(&self, known: &Allocation, what: &What, now: Time) -> Outcome {
        match what {
            What::Allocate(_) => unreachable!("handled before"),
            What::Refresh {
                family: Some(family),
                ..
            } if known.relayed_of(*family).is_none() => Outcome::Refused(443),
            What::Refresh {
                lifetime: Some(0), ..
            } => Outcome::Refreshed { lifetime: 0 },
            What::Refresh { lifetime, .. } => Outcome::Refreshed {
                lifetime: granted(*lifetime),
            },
            What::CreatePermission { peers } => {
                let refused = peers.iter().find_map(|peer| self.refused(known, peer.ip()));
                refused.map_or(Outcome::Done, Outcome::Refused)
            }
            What::ChannelBind { number, peer } => {
                if let Some(code) = self.refused(known, peer.ip()) {
                    return Outcome::Refused(code);
                }
                // Of our own ports only those may be reached that are relayed addresses.
                if is_own(peer.ip()) && !self.relayed().any(|at| at == *peer) {
                    return Outcome::Refused(403);
                }
                let mut live = known.channels.iter().filter(|(_, (_, until))| *until > now);
                let conflict = live.any(|(bound, (to, _))| (bound == number) != (to == peer));
                if conflict {
                    return Outcome::Refused(400);
                }
                Outcome::Done
            }
        }
    }

    /// With which code the server refuses a permission for `peer`.
    fn refused(&self, known: &Allocation, peer: IpAddr) -> Option<u16> {
        if known.relayed_of(Family::of(peer)).is_none() {
            Some(443)
        } else if is_own(peer) {
            None
        } else if self.setting.portless || is_private(peer) {
            Some(403)
        } else {
            None
        }
    }

    /// The server has done what was asked; a new allocation got the addresses, and perhaps the
    /// token, of `answer`.
    pub(crate) fn apply(
        &mut self,
        client: SocketAddr,
        ask: &Ask,
        outcome: &Outcome,
        answer: &Answer,
        now: Time,
    ) {
        match outcome {
            Outcome::Refused(_) | Outcome::AllocatedBefore { .. } => {}
            Outcome::Redeemed { relayed, lifetime } => {
                self.reservations
                    .retain(|_, known| known.relayed != *relayed);
                self.insert(client, ask, answer, now + granted_time(*lifetime));
            }
            Outcome::Allocated { port, lifetime, .. } => {
                if *port == Port::Pair {
                    self.reserve(ask.user, answer, now);
                }
                self.insert(client, ask, answer, now + granted_time(*lifetime));
            }
            Outcome::Refreshed { .. } | Outcome::Done => {
                let known = self.allocations.get_mut(&client).expect("it was there");
                known.change(&ask.what, outcome, now);
                if known.relayed.is_empty() {
                    self.allocations.remove(&client);
                }
            }
        }
    }

    fn insert(&mut self, client: SocketAddr, ask: &Ask, answer: &Answer, until: Time) {
        let relayed = answer.relayed.iter();
        let allocation = Allocation {
            user: ask.user,
            relayed: relayed.map(|&relayed| (relayed, until)).collect(),
            made_by: ask.id,
            permissions: BTreeMap::new(),
            channels: BTreeMap::new(),
        };
        self.allocations.insert(client, allocation);
    }

    fn reserve(&mut self, user: usize, answer: &Answer, now: Time) {
        let mut relayed = answer.relayed[0];
        relayed.set_port(relayed.port() + 1);
        let reservation = Reservation {
            relayed,
            user,
            until: now + RESERVATION,
        };
        let token = answer.token.expect("a token");
        let before = self.reservations.insert(token, reservation);
        assert!(before.is_none(), "no two tokens are alike");
    }

    /// What must become of ChannelData of `client`.
    pub(crate) fn channel_data(
        &self,
        client: SocketAddr,
        number: u16,
        now: Time,
    ) -> Option<Delivery> {
        let known = self.allocations.get(&client)?;
        let &(peer, until) = known.channels.get(&number)?;
        (until > now)
            .then(|| self.deliver(known, peer, now))
            .flatten()
    }

    /// What must become of a Send indication of `client`.
    pub(crate) fn send(&self, client: SocketAddr, peer: SocketAddr, now: Time) -> Option<Delivery> {
        let known = self.allocations.get(&client)?;
        known
            .permits(peer.ip(), now)
            .then(|| self.deliver(known, peer, now))
            .flatten()
    }

    fn deliver(&self, from: &Allocation, peer: SocketAddr, now: Time) -> Option<Delivery> {
        let (relayed, _) = from.relayed_of(Family::of(peer.ip()))?;
        if is_own(peer.ip()) {
            return self.peer_data(relayed, peer, now);
        }
        Some(Delivery::ToPeer { relayed, peer })
    }

    /// What must become of a datagram from `peer` at the relayed address `relayed`.
    pub(crate) fn peer_data(
        &self,
        peer: SocketAddr,
        relayed: SocketAddr,
        now: Time,
    ) -> Option<Delivery> {
        let mut all = self.allocations.iter();
        let (&client, known) = all.find(|(_, known)| known.has(relayed))?;
        if !known.permits(peer.ip(), now) {
            return None;
        }
        let mut live = known.channels.iter().filter(|(_, (_, until))| *until > now);
        let channel = live
            .find(|(_, (to, _))| *to == peer)
            .map(|(&number, _)| number);
        Some(Delivery::ToClient {
            client,
            channel,
            peer,
        })
    }
}

impl Allocation {
    fn permits(&self, peer: IpAddr, now: Time) -> bool {
        self.permissions
            .get(&peer)
            .is_some_and(|&until| until > now)
    }

    fn relayed_of(&self, family: Family) -> Option<(SocketAddr, Time)> {
        let mut all = self.relayed.iter();
        all.find(|(own, _)| Family::of(own.ip()) == family).copied()
    }

    fn has(&self, relayed: SocketAddr) -> bool {
        self.relayed.iter().any(|(own, _)| *own == relayed)
    }

    /// The relayed address of `family` is gone, and with it what belongs to it.
    fn forget(&mut self, family: Family) {
        let is_other = |ip: IpAddr| Family::of(ip) != family;
        self.relayed.retain(|(own, _)| is_other(own.ip()));
        self.permissions.retain(|peer, _| is_other(*peer));
        self.channels.retain(|_, (peer, _)| is_other(peer.ip()));
    }

    fn refresh(&mut self, family: Option<Family>, lifetime: u32, now: Time) {
        for each in [Family::V4, Family::V6] {
            if family.is_some_and(|family| family != each) {
                continue;
            }
            if lifetime == 0 {
                self.forget(each);
            }
            for (own, until) in &mut self.relayed {
                if Family::of(own.ip()) == each {
                    *until = now + granted_time(lifetime);
                }
            }
        }
    }

    fn change(&mut self, what: &What, outcome: &Outcome, now: Time) {
        match what {
            What::Refresh { family, .. } => {
                if let Outcome::Refreshed { lifetime } = outcome {
                    self.refresh(*family, *lifetime, now);
                }
            }
            What::CreatePermission { peers } => {
                let until = now + PERMISSION;
                self.permissions
                    .extend(peers.iter().map(|peer| (peer.ip(), until)));
            }
            What::ChannelBind { number, peer } => {
                self.permissions.insert(peer.ip(), now + PERMISSION);
                self.channels.insert(*number, (*peer, now + CHANNEL));
            }
            What::Allocate(_) => {}
        }
    }
}

fn granted_time(lifetime: u32) -> Time {
    Time::from(lifetime) * SECOND
}

fn granted(requested: Option<u32>) -> u32 {
    let (least, most) = LIFETIMES;
    requested.unwrap_or(least).max(least).min(most)
}

fn is_own(peer: IpAddr) -> bool {
    SERVER.iter().any(|own| peer.to_string() == *own)
}

fn is_private(peer: IpAddr) -> bool {
    matches!(peer, IpAddr::V4(ip) if ip.is_private())
}
