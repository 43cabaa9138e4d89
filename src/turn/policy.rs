//! Which peers the relay refuses.
//!
//! A relay that forwards anywhere is a way into the network that it stands in. So addresses that
//! are not of the public internet are refused, whatever form they come in, until the operator
//! allows them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::cidr::Cidr;
use super::special::{
    canonical, is_all_impossible, is_impossible, is_never_canonical, is_special, is_tunnel,
};
use crate::stun::Family;

/// The ports up to this one are those of services that are known to everybody.
const LAST_WELL_KNOWN_PORT: u16 = 1_023;

/// An address of this machine for relayed addresses, and how the world sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayAddress {
    /// What sockets are bound to.
    pub bound: IpAddr,
    /// What clients are told; differs from `bound` behind a 1:1 NAT.
    pub advertised: IpAddr,
}

/// Where a peer stands with the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Packets may go there.
    Permitted,
    /// An address of ours: only ports that are relayed addresses here may be reached.
    Relayed,
    /// Packets may not go there.
    Refused,
}

/// Why to allow a range would mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoidException {
    /// No address in it can be a peer.
    Impossible,
    /// Every address in it is judged as the IPv4 address that it embeds.
    Embedding,
}

impl fmt::Display for VoidException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Impossible => {
                "0.0.0.0/8, [::], multicast, broadcast, Teredo and 6to4 are never peers"
            }
            Self::Embedding => {
                "such addresses are judged as the IPv4 addresses in them; allow those"
            }
        })
    }
}

/// What the relay forwards to.
#[derive(Clone, Debug, Default)]
pub struct PeerPolicy {
    relay_addresses: Vec<RelayAddress>,
    machine: Machine,
    listeners: Vec<SocketAddr>,
    stream_listeners: Vec<SocketAddr>,
    services: Vec<SocketAddr>,
    allowed: Vec<Cidr>,
}

/// The addresses of this machine's interfaces.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Its own.
    pub addresses: Vec<IpAddr>,
    /// Those that all machines of one of its networks take for their own: directed broadcast.
    pub broadcasts: Vec<IpAddr>,
}

impl PeerPolicy {
    /// A policy that refuses the built-in list and the addresses of this `machine`, but for
    /// `allowed`. The relay addresses are addresses of the machine, too.
    #[must_use]
    pub fn new(relay_addresses: Vec<RelayAddress>, machine: Machine, allowed: Vec<Cidr>) -> Self {
        Self {
            relay_addresses,
            machine,
            listeners: Vec::new(),
            stream_listeners: Vec::new(),
            services: Vec::new(),
            allowed,
        }
    }

    /// Why it would mean nothing to allow `range`, if so.
    #[must_use]
    pub fn void_exception(range: &Cidr) -> Option<VoidException> {
        if is_all_impossible(range) {
            Some(VoidException::Impossible)
        } else if is_never_canonical(range) {
            Some(VoidException::Embedding)
        } else {
            None
        }
    }

    /// Also refuses where this process listens for datagrams, even where the address is allowed.
    #[must_use]
    pub fn with_listeners(mut self, listeners: Vec<SocketAddr>) -> Self {
        self.listeners = listeners;
        self
    }

    /// The same for connections. A datagram may come from such an address: another program of this
    /// machine has it.
    #[must_use]
    pub fn with_stream_listeners(mut self, listeners: Vec<SocketAddr>) -> Self {
        self.stream_listeners = listeners;
        self
    }

    /// Also refuses connections to these, which are this process's, too, but no listeners for
    /// clients: HTTP, metrics.
    #[must_use]
    pub fn with_services(mut self, services: Vec<SocketAddr>) -> Self {
        self.services = services;
        self
    }

    /// The address on which relayed addresses of `family` are made.
    pub(super) fn relay_address(&self, family: Family) -> Option<RelayAddress> {
        let of_family = |relay: &&RelayAddress| Family::of(relay.bound) == family;
        self.relay_addresses.iter().find(of_family).copied()
    }

    /// Where `peer` stands. Two relayed people meet on addresses of ours, so these come before
    /// the list of refused ranges.
    pub(super) fn standing(&self, peer: IpAddr) -> Standing {
        let peer = canonical(peer);
        if is_impossible(peer) || self.machine.broadcasts.contains(&peer) {
            Standing::Refused
        } else if self.is_allowed(peer) {
            Standing::Permitted
        } else if self.is_relay_address(peer) {
            Standing::Relayed
        } else if self.machine.addresses.contains(&peer) || is_special(peer) {
            Standing::Refused
        } else {
            Standing::Permitted
        }
    }

    /// Where `peer` stands as the other end of a connection. Whoever can open one can speak to any
    /// service: nothing of this process is reached, and no well-known port (RFC 6335) unless the
    /// operator allows the address.
    pub(super) fn standing_for_tcp(&self, peer: SocketAddr) -> Standing {
        if self.is_listener(peer) || self.is_one_of(&self.services, peer) {
            return Standing::Refused;
        }
        let is_well_known = peer.port() <= LAST_WELL_KNOWN_PORT;
        if is_well_known && !self.is_allowed(canonical(peer.ip())) {
            return Standing::Refused;
        }
        self.standing(peer.ip())
    }

    /// Whether the operator has made an exception for an address in its canonical form.
    fn is_allowed(&self, peer: IpAddr) -> bool {
        self.allowed.iter().any(|range| range.contains(peer))
    }

    /// Whether a client may have an address like `client` (RFC 8656 section 21.4).
    pub(super) fn serves(&self, client: IpAddr) -> bool {
        !is_tunnel(client)
    }

    /// Whether `address` is a listener of this process: as a peer it would make the server its own
    /// client.
    pub(super) fn is_listener(&self, address: SocketAddr) -> bool {
        self.sends_datagrams(address) || self.is_one_of(&self.stream_listeners, address)
    }

    /// Whether it is one from which datagrams are sent.
    pub(super) fn sends_datagrams(&self, address: SocketAddr) -> bool {
        self.is_one_of(&self.listeners, address)
    }

    fn is_one_of(&self, listeners: &[SocketAddr], address: SocketAddr) -> bool {
        let ip = canonical(address.ip());
        let is = |listener: &SocketAddr| {
            listener.port() == address.port()
                && (listener.ip() == ip || listener.ip().is_unspecified() && self.is_own(ip))
        };
        listeners.iter().any(is)
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.machine.addresses.contains(&ip) || self.is_relay_address(ip)
    }

    /// Whether relayed addresses are made on `address`.
    pub(super) fn is_relay_address(&self, address: IpAddr) -> bool {
        let is = |relay: &RelayAddress| relay.advertised == address || relay.bound == address;
        self.relay_addresses.iter().any(is)
    }

    /// `peer` as bound, in whatever form it comes, if relayed addresses are made on its address.
    pub(super) fn own(&self, peer: SocketAddr) -> Option<SocketAddr> {
        let peer = SocketAddr::new(canonical(peer.ip()), peer.port());
        self.is_relay_address(peer.ip()).then(|| self.bound(peer))
    }

    /// The address to send to when a client names `peer`: clients know our relay addresses as
    /// they are advertised.
    pub(super) fn bound(&self, peer: SocketAddr) -> SocketAddr {
        let relay = self
            .relay_addresses
            .iter()
            .find(|relay| relay.advertised == peer.ip());
        relay.map_or(peer, |relay| SocketAddr::new(relay.bound, peer.port()))
    }

    /// The address by which a client knows the `source` of a packet.
    pub(super) fn advertised(&self, source: SocketAddr) -> SocketAddr {
        let relay = self
            .relay_addresses
            .iter()
            .find(|relay| relay.bound == source.ip());
        relay.map_or(source, |relay| {
            SocketAddr::new(relay.advertised, source.port())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn standing(policy: &PeerPolicy, address: &str) -> Standing {
        policy.standing(address.parse().expect("an address"))
    }

    #[test]
    fn the_operator_may_allow_a_refused_range() {
        let allowed = vec!["10.1.0.0/16".parse().expect("a range")];
        let policy = PeerPolicy::new(vec![], Machine::default(), allowed);
        assert_eq!(standing(&policy, "10.1.2.3"), Standing::Permitted);
        assert_eq!(standing(&policy, "::ffff:10.1.2.3"), Standing::Permitted);
        assert_eq!(standing(&policy, "10.2.2.3"), Standing::Refused);
    }

    #[test]
    fn an_exception_that_means_nothing_is_known() {
        for (range, expected) in [
            ("0.0.0.0/8", Some(VoidException::Impossible)),
            ("0.1.2.3", Some(VoidException::Impossible)),
            ("224.0.0.0/4", Some(VoidException::Impossible)),
            ("239.1.0.0/16", Some(VoidException::Impossible)),
            ("255.255.255.255/32", Some(VoidException::Impossible)),
            ("::/128", Some(VoidException::Impossible)),
            ("ff02::/16", Some(VoidException::Impossible)),
            ("2001::/32", Some(VoidException::Impossible)),
            ("2002:a00::/24", Some(VoidException::Impossible)),
            ("::ffff:10.0.0.0/104", Some(VoidException::Embedding)),
            ("64:ff9b::/96", Some(VoidException::Embedding)),
            ("0.0.0.0/0", None),
            ("::/0", None),
            ("224.0.0.0/3", None),
            ("240.0.0.0/4", None),
            ("10.0.0.0/8", None),
            ("64:ff9b::/64", None),
            ("2001::/31", None),
            ("::1", None),
            ("fd00::/8", None),
        ] {
            let parsed = range.parse().expect("a range");
            assert_eq!(PeerPolicy::void_exception(&parsed), expected, "{range}");
        }
    }

    #[test]
    fn own_addresses_are_refused_but_for_relayed_ports() {
        let relay = RelayAddress {
            bound: "192.168.0.9".parse().expect("an address"),
            advertised: "8.8.4.4".parse().expect("an address"),
        };
        let machine = Machine {
            addresses: vec!["8.8.8.8".parse().expect("an address")],
            broadcasts: vec![],
        };
        let policy = PeerPolicy::new(vec![relay], machine, vec![]);
        assert_eq!(standing(&policy, "8.8.8.8"), Standing::Refused);
        assert_eq!(standing(&policy, "8.8.4.4"), Standing::Relayed);
        assert_eq!(standing(&policy, "192.168.0.9"), Standing::Relayed);
        let advertised = "8.8.4.4:50000".parse().expect("an address");
        let bound = "192.168.0.9:50000".parse().expect("an address");
        assert_eq!(policy.bound(advertised), bound);
        assert_eq!(policy.advertised(bound), advertised);
    }

    #[test]
    fn what_can_be_no_peer_cannot_be_allowed() {
        let machine = Machine {
            addresses: vec![],
            broadcasts: vec!["10.1.255.255".parse().expect("an address")],
        };
        let allowed = ["0.0.0.0/0", "::/0"].map(|range| range.parse().expect("a range"));
        let policy = PeerPolicy::new(vec![], machine, allowed.to_vec());
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "10.1.255.255",
            "::ffff:10.1.255.255",
            "::",
            "ff02::1",
            "2001::1",
            "2002:a00:1::",
        ] {
            assert_eq!(standing(&policy, address), Standing::Refused, "{address}");
        }
        for address in ["10.1.255.254", "127.0.0.1", "::1", "fe80::1"] {
            assert_eq!(standing(&policy, address), Standing::Permitted, "{address}");
        }
    }

    #[test]
    fn a_listener_is_known_by_every_address_that_it_has() {
        let relay = RelayAddress {
            bound: "192.168.0.9".parse().expect("an address"),
            advertised: "8.8.4.4".parse().expect("an address"),
        };
        let machine = Machine {
            addresses: vec!["10.0.0.1".parse().expect("an address")],
            broadcasts: vec![],
        };
        let listeners =
            ["0.0.0.0:3478", "10.0.0.2:5000"].map(|listener| listener.parse().expect("an address"));
        let policy =
            PeerPolicy::new(vec![relay], machine, vec![]).with_listeners(listeners.to_vec());
        for (address, expected) in [
            ("8.8.4.4:3478", true),
            ("192.168.0.9:3478", true),
            ("10.0.0.1:3478", true),
            ("127.0.0.1:3478", true),
            ("[::ffff:10.0.0.1]:3478", true),
            ("10.0.0.2:5000", true),
            ("10.0.0.1:3479", false),
            ("10.0.0.1:5000", false),
            ("8.8.8.8:3478", false),
        ] {
            let parsed = address.parse().expect("an address");
            assert_eq!(policy.is_listener(parsed), expected, "{address}");
        }
    }

    #[test]
    fn a_connection_reaches_nothing_of_this_process_whatever_is_allowed() {
        let machine = Machine {
            addresses: vec!["10.0.0.1".parse().expect("an address")],
            broadcasts: vec![],
        };
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let allowed = vec!["10.0.0.0/8".parse().expect("a range")];
        let policy = PeerPolicy::new(vec![], machine, allowed)
            .with_listeners(vec![at("0.0.0.0:3478")])
            .with_services(vec![at("0.0.0.0:8443"), at("10.0.0.1:9090")]);
        for (peer, expected) in [
            ("10.0.0.1:3478", Standing::Refused),
            ("10.0.0.1:8443", Standing::Refused),
            ("[::ffff:10.0.0.1]:8443", Standing::Refused),
            ("[64:ff9b::a00:1]:9090", Standing::Refused),
            ("10.0.0.2:8443", Standing::Permitted),
            ("10.0.0.1:22", Standing::Permitted),
            ("127.0.0.1:50000", Standing::Refused),
        ] {
            assert_eq!(policy.standing_for_tcp(at(peer)), expected, "{peer}");
        }
        // Datagrams to the port of such a service are none of its business.
        assert!(!policy.is_listener(at("10.0.0.1:8443")));
    }

    #[test]
    fn well_known_ports_are_for_connections_only_where_the_operator_allows_them() {
        let allowed = vec!["10.1.0.0/16".parse().expect("a range")];
        let policy = PeerPolicy::new(vec![], Machine::default(), allowed);
        for (peer, expected) in [
            ("8.8.8.8:1023", Standing::Refused),
            ("8.8.8.8:1024", Standing::Permitted),
            ("10.1.0.1:25", Standing::Permitted),
            ("10.2.0.1:2500", Standing::Refused),
        ] {
            let peer = peer.parse().expect("an address");
            assert_eq!(policy.standing_for_tcp(peer), expected, "{peer}");
        }
    }

    proptest! {
        /// Ranges around every border, and addresses in them.
        #[test]
        fn a_void_exception_changes_nothing(
            network in prop::sample::select(vec![
                "0.0.0.0", "224.0.0.0", "240.0.0.0", "255.255.255.255", "10.0.0.0", "::", "ff00::",
                "2001::", "2002::", "fd00::", "::ffff:0.0.0.0", "64:ff9b::",
            ]),
            prefix in 0_u8..=128,
            host: u128,
        ) {
            let network: IpAddr = network.parse().expect("an address");
            let Ok(range) = format!("{network}/{prefix}").parse::<Cidr>() else {
                return Ok(());
            };
            let peer = match network {
                IpAddr::V4(ip) => {
                    let host = (host as u32).checked_shr(u32::from(prefix)).unwrap_or(0);
                    IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() | host))
                }
                IpAddr::V6(ip) => {
                    let host = host.checked_shr(u32::from(prefix)).unwrap_or(0);
                    IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() | host))
                }
            };
            prop_assert!(range.contains(peer));
            let policy = PeerPolicy::new(vec![], Machine::default(), vec![range]);
            let without = PeerPolicy::default();
            if PeerPolicy::void_exception(&range).is_some() {
                prop_assert_eq!(policy.standing(peer), without.standing(peer));
            }
        }

        #[test]
        fn an_embedded_address_is_judged_like_itself(bits: u32) {
            let policy = PeerPolicy::default();
            let plain = policy.standing(IpAddr::V4(Ipv4Addr::from_bits(bits)));
            for prefix in [0xffff_u128, 0x0064_ff9b_0000_0000_0000_0000] {
                let embedded = Ipv6Addr::from_bits(prefix << 32 | u128::from(bits));
                prop_assert_eq!(policy.standing(IpAddr::V6(embedded)), plain);
            }
        }
    }
}
