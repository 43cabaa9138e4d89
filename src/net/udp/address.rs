//! Socket addresses as the kernel has them.

use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

use libc::{sa_family_t, sockaddr_in, sockaddr_in6, socklen_t};

/// Room for an address of either family: less than half of what `sockaddr_storage` takes.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) union RawAddress {
    v4: sockaddr_in,
    v6: sockaddr_in6,
}

pub(super) const RAW_ADDRESS_LENGTH: socklen_t = mem::size_of::<RawAddress>() as socklen_t;

impl RawAddress {
    pub(super) fn empty() -> Self {
        #[expect(
            unsafe_code,
            reason = "the structures have private fields on some systems"
        )]
        // SAFETY: all bytes zero is a valid value of both structures.
        unsafe {
            MaybeUninit::zeroed().assume_init()
        }
    }

    /// The address in the kernel's form, and how long that is.
    pub(super) fn from_socket_address(address: SocketAddr) -> (Self, socklen_t) {
        let mut raw = Self::empty();
        match address {
            SocketAddr::V4(address) => {
                // A write to a union's field is safe as long as the field is `Copy`.
                raw.v4.sin_family = libc::AF_INET as sa_family_t;
                raw.v4.sin_port = address.port().to_be();
                raw.v4.sin_addr.s_addr = address.ip().to_bits().to_be();
                (raw, mem::size_of::<sockaddr_in>() as socklen_t)
            }
            SocketAddr::V6(address) => {
                raw.v6.sin6_family = libc::AF_INET6 as sa_family_t;
                raw.v6.sin6_port = address.port().to_be();
                raw.v6.sin6_addr.s6_addr = address.ip().octets();
                raw.v6.sin6_scope_id = address.scope_id();
                (raw, mem::size_of::<sockaddr_in6>() as socklen_t)
            }
        }
    }

    /// The address that the kernel has written, if it is of one of the two families.
    pub(super) fn to_socket_address(self) -> Option<SocketAddr> {
        #[expect(
            unsafe_code,
            reason = "which field of the union holds is told by the family"
        )]
        // SAFETY: the value was zeroed when made, so both fields are initialised, and the family
        // lies at the same place in both.
        unsafe {
            match i32::from(self.v4.sin_family) {
                libc::AF_INET => {
                    let ip = Ipv4Addr::from_bits(u32::from_be(self.v4.sin_addr.s_addr));
                    let port = u16::from_be(self.v4.sin_port);
                    Some(SocketAddrV4::new(ip, port).into())
                }
                libc::AF_INET6 => {
                    let ip = Ipv6Addr::from(self.v6.sin6_addr.s6_addr);
                    let port = u16::from_be(self.v6.sin6_port);
                    Some(SocketAddrV6::new(ip, port, 0, self.v6.sin6_scope_id).into())
                }
                _ => None,
            }
        }
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        ptr::from_mut(self).cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_round_trip() {
        for address in ["192.0.2.1:3478", "[2001:db8::1]:65535", "[fe80::1%3]:1"] {
            let address: SocketAddr = address.parse().expect("an address");
            let (raw, _) = RawAddress::from_socket_address(address);
            assert_eq!(raw.to_socket_address(), Some(address));
        }
        assert_eq!(RawAddress::empty().to_socket_address(), None);
    }
}
