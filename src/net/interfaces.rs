//! The addresses of this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// Every address of every interface, loopback included.
///
/// # Errors
/// If the operating system does not tell.
pub fn local_addresses() -> io::Result<Vec<IpAddr>> {
    Ok(if_addrs::get_if_addrs()?
        .iter()
        .map(if_addrs::Interface::ip)
        .collect())
}

/// The directed broadcast addresses of every interface: the last address of its network, and the
/// first, which old systems take for the same.
///
/// # Errors
/// If the operating system does not tell.
pub fn broadcast_addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()?;
    let networks = interfaces.iter().filter_map(|interface| {
        let if_addrs::IfAddr::V4(v4) = &interface.addr else {
            return None;
        };
        Some((v4.ip, v4.netmask))
    });
    let ends = networks.flat_map(|(ip, mask)| ends(ip, mask));
    Ok(ends.map(IpAddr::V4).collect())
}

/// The first and the last address of a network, unless all of its addresses are machines
/// (RFC 3021).
fn ends(ip: Ipv4Addr, mask: Ipv4Addr) -> impl Iterator<Item = Ipv4Addr> {
    let ends = [ip & mask, ip | !mask];
    let is_network = mask.to_bits().count_zeros() > 1;
    ends.into_iter().filter(move |_| is_network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_two_ends_and_a_line_between_two_machines_none() {
        let of = |ip: [u8; 4], mask: [u8; 4]| ends(ip.into(), mask.into()).collect::<Vec<_>>();
        assert_eq!(
            of([10, 1, 2, 3], [255, 255, 252, 0]),
            [[10, 1, 0, 0], [10, 1, 3, 255]].map(Ipv4Addr::from)
        );
        assert!(of([10, 1, 2, 3], [255, 255, 255, 254]).is_empty());
        assert!(of([10, 1, 2, 3], [255, 255, 255, 255]).is_empty());
    }

    #[test]
    fn loopback_is_among_them() {
        let addresses = local_addresses().expect("the system tells");
        assert!(addresses.iter().any(IpAddr::is_loopback));
    }
}
