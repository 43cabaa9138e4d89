//! XOR addresses (RFC 8489 section 14.2) and address families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::header::{MAGIC_COOKIE, TransactionId};

/// An address family, as address attributes number it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// 0x01.
    V4,
    /// 0x02.
    V6,
}

impl Family {
    /// The family that `number` stands for.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::V4),
            2 => Some(Self::V6),
            _ => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }

    /// The family of `address`.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// The value of an address attribute has the wrong length or an unknown family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressError;

/// Reads the value of an XOR address attribute of the message with `transaction_id`.
///
/// # Errors
/// If the length does not fit the family, or the family is neither IPv4 nor IPv6.
pub fn decode_xor_address(
    value: &[u8],
    transaction_id: TransactionId,
) -> Result<SocketAddr, AddressError> {
    let (&[_, family, p0, p1], address) = value.split_first_chunk().ok_or(AddressError)?;
    let port = u16::from_be_bytes([p0, p1]) ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = match Family::from_number(family).ok_or(AddressError)? {
        Family::V4 => {
            let bytes: [u8; 4] = address.try_into().map_err(|_| AddressError)?;
            IpAddr::V4(Ipv4Addr::from_bits(
                u32::from_be_bytes(bytes) ^ MAGIC_COOKIE,
            ))
        }
        Family::V6 => {
            let bytes: [u8; 16] = address.try_into().map_err(|_| AddressError)?;
            let bits = u128::from_be_bytes(bytes) ^ mask_v6(transaction_id);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
    };
    Ok(SocketAddr::new(ip, port))
}

/// Reads the value of an address attribute that is not XORed (RFC 8489 section 14.1).
///
/// # Errors
/// If the length does not fit the family, or the family is neither IPv4 nor IPv6.
pub fn decode_address(value: &[u8]) -> Result<SocketAddr, AddressError> {
    let (&[_, family, p0, p1], address) = value.split_first_chunk().ok_or(AddressError)?;
    let ip = match Family::from_number(family).ok_or(AddressError)? {
        Family::V4 => IpAddr::from(<[u8; 4]>::try_from(address).map_err(|_| AddressError)?),
        Family::V6 => IpAddr::from(<[u8; 16]>::try_from(address).map_err(|_| AddressError)?),
    };
    Ok(SocketAddr::new(ip, u16::from_be_bytes([p0, p1])))
}

/// Writes the value of an address attribute that is not XORed; gives its length, 8 or 20 bytes.
pub(super) fn encode_address(address: SocketAddr, value: &mut [u8; 20]) -> usize {
    value[0] = 0;
    value[1] = Family::of(address.ip()).number();
    value[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => {
            value[4..8].copy_from_slice(&ip.octets());
            8
        }
        IpAddr::V6(ip) => {
            value[4..20].copy_from_slice(&ip.octets());
            20
        }
    }
}

/// Writes the value of an XOR address attribute; gives its length, 8 or 20 bytes.
pub(super) fn encode_xor_address(
    address: SocketAddr,
    transaction_id: TransactionId,
    value: &mut [u8; 20],
) -> usize {
    let port = address.port() ^ (MAGIC_COOKIE >> 16) as u16;
    value[0] = 0;
    value[1] = Family::of(address.ip()).number();
    value[2..4].copy_from_slice(&port.to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => {
            value[4..8].copy_from_slice(&(ip.to_bits() ^ MAGIC_COOKIE).to_be_bytes());
            8
        }
        IpAddr::V6(ip) => {
            let bits = ip.to_bits() ^ mask_v6(transaction_id);
            value[4..20].copy_from_slice(&bits.to_be_bytes());
            20
        }
    }
}

/// IPv6 addresses are XORed with the cookie and the transaction id.
fn mask_v6(transaction_id: TransactionId) -> u128 {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(&transaction_id.0);
    u128::from_be_bytes(mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_address_survives_the_round_trip(
            ip: IpAddr, port: u16, id: [u8; 12],
        ) {
            let address = SocketAddr::new(ip, port);
            let mut value = [0; 20];
            let length = encode_xor_address(address, TransactionId(id), &mut value);
            prop_assert_eq!(
                decode_xor_address(&value[..length], TransactionId(id)), Ok(address)
            );
        }

        #[test]
        fn every_plain_address_survives_the_round_trip(ip: IpAddr, port: u16) {
            let address = SocketAddr::new(ip, port);
            let mut value = [0xff; 20];
            let length = encode_address(address, &mut value);
            prop_assert_eq!(decode_address(&value[..length]), Ok(address));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(value: Vec<u8>, id: [u8; 12]) {
            let _ = decode_address(&value);
            let _ = decode_xor_address(&value, TransactionId(id));
        }
    }

    #[test]
    fn wrong_lengths_and_families_are_refused() {
        let id = TransactionId([0; 12]);
        for value in [
            &[][..],
            &[0, 1, 0, 0],
            &[0, 1, 0, 0, 1, 2, 3],
            &[0, 3, 0, 0, 1, 2, 3, 4],
        ] {
            assert_eq!(
                decode_xor_address(value, id),
                Err(AddressError),
                "{value:?}"
            );
        }
    }
}
