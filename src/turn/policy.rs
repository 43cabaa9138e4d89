//! Which peers the relay refuses.
//!
//! A relay that forwards anywhere is a way into the network that it stands in. So addresses that
//! are not of the public internet are refused, whatever form they come in, until the operator
//! allows them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::cidr::Cidr;
use crate::stun::Family;

/// An address of this machine for relayed addresses, and how the world sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayAddress {
    /// What sockets are bound to.
    pub bound: IpAddr,
    /// What clients are told; differs from `bound` behind a 1:1 NAT.
    pub advertised: IpAddr,
}

/// IPv4 ranges that are not of the public internet (RFC 6890, RFC 8190 and the IANA registry).
const REFUSED_V4: [(Ipv4Addr, u8); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved, and broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// IPv6 ranges likewise. What embeds an IPv4 address and may be used for it is judged by that
/// address; Teredo and 6to4 are refused whatever they embed (RFC 8656 section 21.4).
const REFUSED_V6: [(Ipv6Addr, u8); 12] = [
    // Unspecified, loopback, IPv4-compatible; IPv4-mapped is unwrapped before.
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96),
    // IPv4-translated (RFC 2765) and local-use NAT64 (RFC 8215).
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    // Discard-only and dummy (RFC 6666, RFC 9780).
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 63),
    // IETF protocol assignments with Teredo, benchmarking and ORCHID.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    // Documentation (RFC 9637) and SRv6 SIDs (RFC 9602).
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),
    // Unique local; link-local and the former site-local; multicast.
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 9),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

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

/// What the relay forwards to.
#[derive(Clone, Debug, Default)]
pub struct PeerPolicy {
    relay_addresses: Vec<RelayAddress>,
    own_addresses: Vec<IpAddr>,
    allowed: Vec<Cidr>,
}

impl PeerPolicy {
    /// A policy that refuses the built-in list and this machine's `own_addresses`, but for
    /// `allowed`. The relay addresses are own addresses, too.
    #[must_use]
    pub fn new(
        relay_addresses: Vec<RelayAddress>,
        own_addresses: Vec<IpAddr>,
        allowed: Vec<Cidr>,
    ) -> Self {
        Self {
            relay_addresses,
            own_addresses,
            allowed,
        }
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
        if self.allowed.iter().any(|range| range.contains(peer)) {
            Standing::Permitted
        } else if self.is_relay_address(peer) {
            Standing::Relayed
        } else if self.own_addresses.contains(&peer) || is_refused(peer) {
            Standing::Refused
        } else {
            Standing::Permitted
        }
    }

    /// Whether relayed addresses are made on `address`.
    pub(super) fn is_relay_address(&self, address: IpAddr) -> bool {
        let is = |relay: &RelayAddress| relay.advertised == address || relay.bound == address;
        self.relay_addresses.iter().any(is)
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

/// The one form in which an address is judged: IPv4-mapped (`::ffff:0:0/96`) and well-known NAT64
/// (`64:ff9b::/96`) addresses reach the IPv4 address that they embed.
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let bits = v6.to_bits();
    match bits >> 32 {
        0xffff | 0x0064_ff9b_0000_0000_0000_0000 => {
            IpAddr::V4(Ipv4Addr::from_bits((bits & 0xffff_ffff) as u32))
        }
        _ => address,
    }
}

fn is_refused(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => REFUSED_V4.iter().any(|&(network, prefix)| {
            (address.to_bits() ^ network.to_bits()) >> (32 - prefix) == 0
        }),
        IpAddr::V6(address) => REFUSED_V6.iter().any(|&(network, prefix)| {
            (address.to_bits() ^ network.to_bits()) >> (128 - prefix) == 0
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing(policy: &PeerPolicy, address: &str) -> Standing {
        policy.standing(address.parse().expect("an address"))
    }

    #[test]
    fn special_addresses_are_refused_in_every_form() {
        let policy = PeerPolicy::default();
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "::ffff:0:8.8.8.8",
            "100::1",
            "2001::1",
            "2001:0:4136:e378::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert_eq!(standing(&policy, address), Standing::Refused, "{address}");
        }
    }

    #[test]
    fn public_addresses_are_permitted_up_to_the_border() {
        let policy = PeerPolicy::default();
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:db9::1",
            "2003::1",
            "2a00:1450::1",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(standing(&policy, address), Standing::Permitted, "{address}");
        }
    }

    #[test]
    fn the_operator_may_allow_a_refused_range() {
        let allowed = vec!["10.1.0.0/16".parse().expect("a range")];
        let policy = PeerPolicy::new(vec![], vec![], allowed);
        assert_eq!(standing(&policy, "10.1.2.3"), Standing::Permitted);
        assert_eq!(standing(&policy, "::ffff:10.1.2.3"), Standing::Permitted);
        assert_eq!(standing(&policy, "10.2.2.3"), Standing::Refused);
    }

    #[test]
    fn own_addresses_are_refused_but_for_relayed_ports() {
        let relay = RelayAddress {
            bound: "192.168.0.9".parse().expect("an address"),
            advertised: "8.8.4.4".parse().expect("an address"),
        };
        let own = vec!["8.8.8.8".parse().expect("an address")];
        let policy = PeerPolicy::new(vec![relay], own, vec![]);
        assert_eq!(standing(&policy, "8.8.8.8"), Standing::Refused);
        assert_eq!(standing(&policy, "8.8.4.4"), Standing::Relayed);
        assert_eq!(standing(&policy, "192.168.0.9"), Standing::Relayed);
        let advertised = "8.8.4.4:50000".parse().expect("an address");
        let bound = "192.168.0.9:50000".parse().expect("an address");
        assert_eq!(policy.bound(advertised), bound);
        assert_eq!(policy.advertised(bound), advertised);
    }

    proptest! {
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
