//! The addresses of this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// The addresses of this machine's network interfaces.
#[derive(Clone, Debug, Default)]
pub struct Interfaces {
    addresses: Vec<IpAddr>,
}

impl Interfaces {
    /// Interfaces with these addresses.
    #[must_use]
    pub fn new(addresses: Vec<IpAddr>) -> Self {
        Self { addresses }
    }

    /// Asks the system. The IPv4 address that packets to the internet leave from comes first,
    /// since a machine may have others, such as those of container bridges.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let mut addresses: Vec<IpAddr> = if_addrs::get_if_addrs()
            .unwrap_or_default()
            .into_iter()
            .map(|interface| interface.ip())
            .collect();
        let outward = outward_address();
        addresses.sort_by_key(|address| Some(*address) != outward);
        Self { addresses }
    }

    /// All addresses.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Whether any interface has an IPv6 address, if only loopback.
    #[must_use]
    pub fn has_ipv6(&self) -> bool {
        self.addresses.iter().any(IpAddr::is_ipv6)
    }

    /// The IPv4 address that others on the same network can reach.
    #[must_use]
    pub fn ipv4(&self) -> Option<IpAddr> {
        self.addresses
            .iter()
            .copied()
            .find(|address| match address {
                IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
                IpAddr::V6(_) => false,
            })
    }

    /// The IPv6 address that others can reach.
    #[must_use]
    pub fn ipv6(&self) -> Option<IpAddr> {
        self.addresses
            .iter()
            .copied()
            .find(|address| match address {
                IpAddr::V4(_) => false,
                IpAddr::V6(v6) => {
                    !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified()
                }
            })
    }

    /// Where relayed addresses are made when nobody says otherwise: an IPv4 and an IPv6 address
    /// that others can reach, or loopback on a machine without a network.
    #[must_use]
    pub fn relay_addresses(&self) -> Vec<IpAddr> {
        let found: Vec<IpAddr> = self.ipv4().into_iter().chain(self.ipv6()).collect();
        if found.is_empty() {
            vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]
        } else {
            found
        }
    }
}

/// The source address of packets to the internet. Connecting a UDP socket sends nothing.
fn outward_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().as_ref().map(SocketAddr::ip)
}

/// This machine's name, as far as it can be had.
#[must_use]
pub fn hostname() -> Option<String> {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    from_kernel
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map(|name| name.trim().to_lowercase())
        .filter(|name| is_dns_name(name))
}

fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces(addresses: &[&str]) -> Interfaces {
        let parse = |address: &&str| address.parse().expect("an address");
        Interfaces::new(addresses.iter().map(parse).collect())
    }

    #[test]
    fn relay_addresses_are_those_that_others_can_reach() {
        let all = interfaces(&[
            "127.0.0.1",
            "::1",
            "169.254.1.1",
            "10.0.0.2",
            "fe80::1",
            "fd00::2",
        ]);
        let expected = interfaces(&["10.0.0.2", "fd00::2"]);
        assert_eq!(all.relay_addresses(), expected.addresses());
    }

    #[test]
    fn a_machine_without_a_network_relays_on_loopback() {
        let lonely = interfaces(&["127.0.0.1", "::1", "fe80::1"]);
        assert_eq!(
            lonely.relay_addresses(),
            interfaces(&["127.0.0.1"]).addresses()
        );
        assert!(lonely.has_ipv6());
    }

    #[test]
    fn only_what_dns_allows_is_a_name() {
        assert!(is_dns_name("box-1.example"));
        for wrong in ["", "a b", "a..b", "a_b", "(none)"] {
            assert!(!is_dns_name(wrong), "{wrong}");
        }
    }
}
