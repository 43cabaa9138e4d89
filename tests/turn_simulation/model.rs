//! The reference: what the server has to answer and to relay, written down once more without a
//! byte, a table or a timer. What has expired is found out by looking at the time.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use peerage::stun::Family;

use super::ask::{Ask, Time, What};
use super::host::{SERVER, Setting};

const SECOND: Time = 1_000;
/// How long a permission lasts.
const PERMISSION: Time = 300 * SECOND;
/// How long a channel lasts.
const CHANNEL: Time = 600 * SECOND;
/// How long a nonce may be used.
const NONCE: Time = 600;
/// What a client gets that asks for less, and for more than the most.
const LIFETIMES: (u32, u32) = (600, 3_600);

#[derive(Clone, Debug)]
struct Allocation {
    user: usize,
    relayed: SocketAddr,
    expires: Time,
    made_by: u64,
    permissions: BTreeMap<IpAddr, Time>,
    channels: BTreeMap<u16, (SocketAddr, Time)>,
}

/// What must become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Refused(u16),
    /// A new allocation.
    Allocated {
        family: Family,
        even: bool,
        lifetime: u32,
    },
    /// The one that the same request has made before.
    AllocatedBefore {
        relayed: SocketAddr,
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

pub(crate) struct Model {
    setting: Setting,
    allocations: BTreeMap<SocketAddr, Allocation>,
    /// To whom each nonce was given, and when.
    nonces: BTreeMap<(SocketAddr, Vec<u8>), Time>,
}

impl Model {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self {
            setting: setting.clone(),
            allocations: BTreeMap::new(),
            nonces: BTreeMap::new(),
        }
    }

    /// The server has given `client` a nonce.
    pub(crate) fn note_nonce(&mut self, client: SocketAddr, nonce: &[u8], now: Time) {
        let given = self.nonces.entry((client, nonce.to_vec()));
        given.or_insert(now);
    }

    /// Forgets the allocations whose time has come.
    pub(crate) fn pass_to(&mut self, now: Time) {
        self.allocations.retain(|_, known| known.expires > now);
    }

    pub(crate) fn relayed(&self) -> impl Iterator<Item = SocketAddr> {
        self.allocations.values().map(|known| known.relayed)
    }

    /// When the next allocation ends.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.allocations.values().map(|known| known.expires).min()
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
        if let What::Allocate {
            family,
            even,
            lifetime,
        } = ask.what
        {
            return match known {
                Some(known) if known.made_by == ask.id => Outcome::AllocatedBefore {
                    relayed: known.relayed,
                    lifetime: u32::try_from((known.expires - now) / SECOND).expect("short"),
                },
                Some(_) => Outcome::Refused(437),
                None => self.allocate(ask.user, family.unwrap_or(Family::V4), even, lifetime),
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

    fn allocate(&self, user: usize, family: Family, even: bool, lifetime: Option<u32>) -> Outcome {
        let of_user = self.allocations.values().filter(|known| known.user == user);
        if of_user.count() >= self.setting.quota {
            return Outcome::Refused(486);
        }
        let is_taken = |port| {
            let of_family = self.relayed().filter(|at| Family::of(at.ip()) == family);
            of_family.into_iter().any(|at| at.port() == port)
        };
        let mut ports = self.setting.ports.clone();
        if !ports.any(|port| !is_taken(port) && (!even || port % 2 == 0)) {
            return Outcome::Refused(508);
        }
        Outcome::Allocated {
            family,
            even,
            lifetime: granted(lifetime),
        }
    }

    fn of_owner(&self, known: &Allocation, what: &What, now: Time) -> Outcome {
        match what {
            What::Allocate { .. } => unreachable!("handled before"),
            What::Refresh { lifetime: Some(0) } => Outcome::Refreshed { lifetime: 0 },
            What::Refresh { lifetime } => Outcome::Refreshed {
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
        if peer.is_ipv4() != known.relayed.is_ipv4() {
            Some(443)
        } else if is_own(peer) {
            None
        } else if self.setting.portless || is_private(peer) {
            Some(403)
        } else {
            None
        }
    }

    /// The server has done what was asked; a new allocation got the address `relayed`.
    pub(crate) fn apply(
        &mut self,
        client: SocketAddr,
        ask: &Ask,
        outcome: &Outcome,
        relayed: Option<SocketAddr>,
        now: Time,
    ) {
        match (&ask.what, outcome) {
            (_, Outcome::Refused(_) | Outcome::AllocatedBefore { .. }) => {}
            (_, Outcome::Allocated { lifetime, .. }) => {
                let allocation = Allocation {
                    user: ask.user,
                    relayed: relayed.expect("a relayed address"),
                    expires: now + Time::from(*lifetime) * SECOND,
                    made_by: ask.id,
                    permissions: BTreeMap::new(),
                    channels: BTreeMap::new(),
                };
                self.allocations.insert(client, allocation);
            }
            (_, Outcome::Refreshed { lifetime: 0 }) => {
                self.allocations.remove(&client);
            }
            (what, outcome) => {
                let known = self.allocations.get_mut(&client).expect("it was there");
                known.change(what, outcome, now);
            }
        }
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
        if is_own(peer.ip()) {
            return self.peer_data(from.relayed, peer, now);
        }
        Some(Delivery::ToPeer {
            relayed: from.relayed,
            peer,
        })
    }

    /// What must become of a datagram from `peer` at the relayed address `relayed`.
    pub(crate) fn peer_data(
        &self,
        peer: SocketAddr,
        relayed: SocketAddr,
        now: Time,
    ) -> Option<Delivery> {
        let mut all = self.allocations.iter();
        let (&client, known) = all.find(|(_, known)| known.relayed == relayed)?;
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

    fn change(&mut self, what: &What, outcome: &Outcome, now: Time) {
        if let Outcome::Refreshed { lifetime } = outcome {
            self.expires = now + Time::from(*lifetime) * SECOND;
        }
        match what {
            What::CreatePermission { peers } => {
                let until = now + PERMISSION;
                self.permissions
                    .extend(peers.iter().map(|peer| (peer.ip(), until)));
            }
            What::ChannelBind { number, peer } => {
                self.permissions.insert(peer.ip(), now + PERMISSION);
                self.channels.insert(*number, (*peer, now + CHANNEL));
            }
            _ => {}
        }
    }
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
