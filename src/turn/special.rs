//! The addresses that are not of the public internet, whatever form they come in.
//!
//! The tables follow IANA's special-purpose address registries for IPv4 and IPv6 (RFC 6890,
//! RFC 8190), with multicast (RFC 5771, RFC 4291) and the parts of the IPv6 space that nobody has
//! been given.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cidr::Cidr;

type RangeV4 = (Ipv4Addr, u8);
type RangeV6 = (Ipv6Addr, u8);

/// IPv4 ranges that are refused unless the operator allows them.
const SPECIAL_V4: [RangeV4; 16] = [
    // Private networks, shared address space, loopback, link-local (cloud metadata is there).
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // IETF protocol assignments; documentation; benchmarking.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Anycast to whatever is nearest: AS112, AMT, the former 6to4 relays, AS112 again.
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    // Reserved.
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// IPv6 ranges likewise.
const SPECIAL_V6: [RangeV6; 7] = [
    // All that is not global unicast (2000::/3): loopback, IPv4-compatible and -translated,
    // local-use NAT64, discard-only, segment routing, unique local, link-local, site-local, and
    // what is not assigned. IPv4-mapped and well-known NAT64 addresses are unwrapped before.
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 3),
    (Ipv6Addr::new(0x4000, 0, 0, 0, 0, 0, 0, 0), 2),
    (Ipv6Addr::new(0x8000, 0, 0, 0, 0, 0, 0, 0), 1),
    // IETF protocol assignments: benchmarking, ORCHID, AMT, AS112.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // AS112; documentation, the old and the new.
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// What can be no peer at all: "this network", multicast, broadcast.
const IMPOSSIBLE_V4: [RangeV4; 3] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::BROADCAST, 32),
];

/// Likewise: unspecified, multicast; and the tunnels that RFC 8656 section 21.4 forbids, Teredo
/// and 6to4.
const IMPOSSIBLE_V6: [RangeV6; 4] = [
    (Ipv6Addr::UNSPECIFIED, 128),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
    TEREDO,
    SIX_TO_FOUR,
];

/// What embeds an IPv4 address in its last bits and reaches it: IPv4-mapped, well-known NAT64.
const EMBEDDING: [RangeV6; 2] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
];

const TEREDO: RangeV6 = (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32);
const SIX_TO_FOUR: RangeV6 = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

/// The one form in which an address is judged: IPv4-mapped (`::ffff:0:0/96`) and well-known NAT64
/// (`64:ff9b::/96`) addresses reach the IPv4 address that they embed.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    if EMBEDDING.iter().any(|range| holds_v6(*range, v6)) {
        return IpAddr::V4(Ipv4Addr::from_bits((v6.to_bits() & 0xffff_ffff) as u32));
    }
    address
}

/// Whether all addresses of a range are judged in another form than they have there, as the IPv4
/// addresses that they embed.
pub(super) fn is_never_canonical(range: &Cidr) -> bool {
    EMBEDDING
        .iter()
        .any(|embedding| is_within_v6(range, *embedding))
}

/// Whether all addresses of a range can be no peer, whatever the operator allows.
pub(super) fn is_all_impossible(range: &Cidr) -> bool {
    let of_v4 =
        |(network, prefix): &RangeV4| range.is_within(&Cidr::new((*network).into(), *prefix));
    let of_v6 = |impossible: &RangeV6| is_within_v6(range, *impossible);
    IMPOSSIBLE_V4.iter().any(of_v4) || IMPOSSIBLE_V6.iter().any(of_v6)
}

fn is_within_v6(range: &Cidr, (network, prefix): RangeV6) -> bool {
    range.is_within(&Cidr::new(network.into(), prefix))
}

/// Whether an address, in its canonical form, is not of the public internet.
pub(super) fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_special_v4(v4),
        IpAddr::V6(v6) => {
            let embedded = isatap(v6).is_some_and(is_special_v4);
            embedded || SPECIAL_V6.iter().any(|range| holds_v6(*range, v6))
        }
    }
}

/// Whether an address, in its canonical form, can be no peer, whatever the operator allows.
pub(super) fn is_impossible(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => IMPOSSIBLE_V4.iter().any(|range| holds_v4(*range, v4)),
        IpAddr::V6(v6) => IMPOSSIBLE_V6.iter().any(|range| holds_v6(*range, v6)),
    }
}

/// Whether an address is of a tunnel that may be neither peer nor client (RFC 8656 section 21.4).
pub(super) fn is_tunnel(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => holds_v6(TEREDO, v6) || holds_v6(SIX_TO_FOUR, v6),
    }
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    let all = SPECIAL_V4.iter().chain(&IMPOSSIBLE_V4);
    all.into_iter().any(|range| holds_v4(*range, address))
}

/// The IPv4 address in an ISATAP interface identifier (RFC 5214 section 6.1): routers of such a
/// network tunnel to it.
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., marker, high, low] = match address.segments() {
        [.., 0 | 0x0200, marker, high, low] => [marker, high, low],
        _ => return None,
    };
    (marker == 0x5efe).then(|| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

fn holds_v4((network, prefix): RangeV4, address: Ipv4Addr) -> bool {
    (network.to_bits() ^ address.to_bits()) >> (32 - prefix) == 0
}

fn holds_v6((network, prefix): RangeV6, address: Ipv6Addr) -> bool {
    (network.to_bits() ^ address.to_bits()) >> (128 - prefix) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the last address of every range, and the public addresses beside it; "" where
    /// the neighbour is special, too.
    const BORDERS: &[[&str; 4]] = &[
        // IANA's IPv4 registry.
        ["", "0.0.0.0", "0.255.255.255", "1.0.0.0"],
        ["9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"],
        [
            "100.63.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "100.128.0.0",
        ],
        [
            "126.255.255.255",
            "127.0.0.0",
            "127.255.255.255",
            "128.0.0.0",
        ],
        [
            "169.253.255.255",
            "169.254.0.0",
            "169.254.255.255",
            "169.255.0.0",
        ],
        [
            "172.15.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "172.32.0.0",
        ],
        ["191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"],
        ["192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"],
        [
            "192.31.195.255",
            "192.31.196.0",
            "192.31.196.255",
            "192.31.197.0",
        ],
        [
            "192.52.192.255",
            "192.52.193.0",
            "192.52.193.255",
            "192.52.194.0",
        ],
        [
            "192.88.98.255",
            "192.88.99.0",
            "192.88.99.255",
            "192.88.100.0",
        ],
        [
            "192.167.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "192.169.0.0",
        ],
        [
            "192.175.47.255",
            "192.175.48.0",
            "192.175.48.255",
            "192.175.49.0",
        ],
        [
            "198.17.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.20.0.0",
        ],
        [
            "198.51.99.255",
            "198.51.100.0",
            "198.51.100.255",
            "198.51.101.0",
        ],
        [
            "203.0.112.255",
            "203.0.113.0",
            "203.0.113.255",
            "203.0.114.0",
        ],
        ["223.255.255.255", "224.0.0.0", "239.255.255.255", ""],
        ["", "240.0.0.0", "255.255.255.254", ""],
        ["", "255.255.255.255", "255.255.255.255", ""],
        // IANA's IPv6 registry, and multicast.
        ["", "::", "::", ""],
        ["", "::1", "::1", ""],
        ["", "::2", "::ffff:ffff", ""],
        ["", "::ffff:0:0:0", "::ffff:0:ffff:ffff", ""],
        ["", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", ""],
        ["", "100::", "100::ffff:ffff:ffff:ffff", ""],
        ["", "100:0:0:1::", "100::1:ffff:ffff:ffff:ffff", ""],
        [
            "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001::",
            "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:200::",
        ],
        ["", "2001:1::1", "2001:1::3", ""],
        ["", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", ""],
        ["", "2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", ""],
        [
            "",
            "2001:4:112::",
            "2001:4:112:ffff:ffff:ffff:ffff:ffff",
            "",
        ],
        ["", "2001:10::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", ""],
        [
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db8::",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
        ],
        [
            "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2002::",
            "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2003::",
        ],
        [
            "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff",
            "2620:4f:8000::",
            "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
            "2620:4f:8001::",
        ],
        [
            "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff::",
            "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff:1000::",
        ],
        ["", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
        ["", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
        ["", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
        ["", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
        ["", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""],
        // Global unicast as a whole.
        [
            "",
            "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2000::",
        ],
        [
            "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "4000::",
            "4000::",
            "",
        ],
    ];

    fn parsed(address: &str) -> IpAddr {
        address.parse().expect("an address")
    }

    fn is_refused(address: IpAddr) -> bool {
        is_special(canonical(address)) || is_impossible(canonical(address))
    }

    #[test]
    fn every_range_is_special_up_to_its_borders_and_no_further() {
        for [before, first, last, after] in BORDERS {
            for inside in [first, last] {
                assert!(is_refused(parsed(inside)), "{inside}");
            }
            for outside in [before, after].into_iter().filter(|text| !text.is_empty()) {
                assert!(!is_refused(parsed(outside)), "{outside}");
            }
        }
    }

    #[test]
    fn an_ipv4_border_is_the_same_in_every_form_that_embeds_it() {
        let forms = |v4: Ipv4Addr| {
            let bits = u128::from(v4.to_bits());
            // IPv4-mapped, NAT64, and ISATAP, local and universal, in a public network.
            [0xffff_u128, 0x0064_ff9b_0000_0000_0000_0000]
                .map(|prefix| prefix << 32 | bits)
                .into_iter()
                .chain([0x5efe_u128, 0x0200_5efe].map(|id| 0x2a00_u128 << 112 | id << 32 | bits))
                .map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
        };
        for address in BORDERS.iter().flatten().filter(|text| !text.is_empty()) {
            if let IpAddr::V4(v4) = parsed(address) {
                for form in forms(v4) {
                    assert_eq!(is_refused(form), is_refused(v4.into()), "{form}");
                }
            }
        }
    }

    #[test]
    fn what_embeds_an_address_that_nobody_can_check_is_special_whatever_it_embeds() {
        for address in [
            "::8.8.8.8",
            "::ffff:0:8.8.8.8",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b:1:808:8:800::",
            "2002:808:808::1",
            "2001:0:808:808::1",
            "fe80::5efe:8.8.8.8",
            "fe80::200:5efe:8.8.8.8",
        ] {
            assert!(is_refused(parsed(address)), "{address}");
        }
    }

    #[test]
    fn names_that_attackers_know_are_special() {
        // Metadata services, container hosts, an overlay network.
        for address in [
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "fd00:ec2::254",
            "172.17.0.1",
            "200::1",
        ] {
            assert!(is_refused(parsed(address)), "{address}");
        }
    }

    #[test]
    fn a_tunnel_is_impossible_as_a_peer_too() {
        for address in ["2001::1", "2001:0:ffff::", "2002::", "2002:ffff::1"] {
            let address = parsed(address);
            assert!(is_tunnel(address) && is_impossible(address), "{address}");
        }
        for address in ["2001:1::1", "2003::1", "8.8.8.8"] {
            assert!(!is_tunnel(parsed(address)), "{address}");
        }
    }
}
