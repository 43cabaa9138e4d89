//! Address ranges.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses as `10.0.0.0/8` or `2001:db8::/32`; an address alone is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// Why a text is no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CidrError {
    /// What stands before the slash is no IP address.
    Address,
    /// What stands after the slash is no length from 0 to 32 (IPv4) or 128 (IPv6).
    Prefix,
    /// The address has bits set beyond the prefix, so that it is unclear what is meant.
    HostBits,
}

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "not an IP address",
            Self::Prefix => "the prefix length must be 0 to 32 (IPv4) or 0 to 128 (IPv6)",
            Self::HostBits => "the address has bits set beyond the prefix",
        })
    }
}

impl std::error::Error for CidrError {}

impl Cidr {
    /// The range of all addresses that share the first `prefix` bits with `network`, whose other
    /// bits are not set.
    pub(super) const fn new(network: IpAddr, prefix: u8) -> Self {
        Self { network, prefix }
    }

    /// Whether `address` lies in the range. An IPv4 range never holds an IPv6 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()) & mask_v4(self.prefix) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()) & mask_v6(self.prefix) == 0
            }
            _ => false,
        }
    }

    /// Whether all of the range lies in `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.prefix >= other.prefix && other.contains(self.network)
    }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| CidrError::Prefix)?,
            None => longest,
        };
        if prefix > longest {
            return Err(CidrError::Prefix);
        }
        let host_bits = match network {
            IpAddr::V4(network) => u128::from(network.to_bits() & !mask_v4(prefix)),
            IpAddr::V6(network) => network.to_bits() & !mask_v6(prefix),
        };
        if host_bits != 0 {
            return Err(CidrError::HostBits);
        }
        Ok(Self { network, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(range: &str, address: &str) -> bool {
        let range: Cidr = range.parse().expect("a range");
        range.contains(address.parse().expect("an address"))
    }

    #[test]
    fn a_range_ends_at_its_borders() {
        assert!(contains("172.16.0.0/12", "172.16.0.0"));
        assert!(contains("172.16.0.0/12", "172.31.255.255"));
        assert!(!contains("172.16.0.0/12", "172.15.255.255"));
        assert!(!contains("172.16.0.0/12", "172.32.0.0"));
        assert!(contains("fc00::/7", "fdff::1"));
        assert!(!contains("fc00::/7", "fe00::"));
    }

    #[test]
    fn the_empty_prefix_holds_its_whole_family_and_no_other() {
        assert!(contains("0.0.0.0/0", "255.255.255.255"));
        assert!(contains("::/0", "ffff::"));
        assert!(!contains("::/0", "1.2.3.4"));
    }

    #[test]
    fn an_address_alone_is_a_range_of_one() {
        assert!(contains("192.0.2.1", "192.0.2.1"));
        assert!(!contains("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn a_wrong_range_says_what_is_wrong() {
        assert_eq!("ten".parse::<Cidr>(), Err(CidrError::Address));
        assert_eq!("10.0.0.0/33".parse::<Cidr>(), Err(CidrError::Prefix));
        assert_eq!("10.0.0.0/".parse::<Cidr>(), Err(CidrError::Prefix));
        assert_eq!("10.0.0.1/8".parse::<Cidr>(), Err(CidrError::HostBits));
    }
}
