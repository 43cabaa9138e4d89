//! Control messages: what the kernel tells and is told beside a datagram.

use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

use libc::{c_int, cmsghdr, in_pktinfo, in6_pktinfo, msghdr};

/// Bytes for the control messages of one datagram: an address, a size of segments and a traffic
/// class.
pub(super) const CONTROL_LENGTH: usize = 96;

/// Room for control messages, aligned as `cmsghdr` wants it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control([u8; CONTROL_LENGTH]);

impl Control {
    pub(super) const EMPTY: Self = Self([0; CONTROL_LENGTH]);

    pub(super) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.0.as_mut_ptr().cast()
    }

    /// Adds the message that makes a datagram leave from `address`; the length so far grows.
    pub(super) fn push_departure(&mut self, length: &mut usize, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                let info = in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: address.to_bits().to_be(),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                self.push(length, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            }
            IpAddr::V6(address) => {
                let info = in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: address.octets(),
                    },
                    ipi6_ifindex: 0,
                };
                self.push(length, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            }
        }
    }

    /// Adds the message that gives a datagram to an address of the family of `to` the traffic class
    /// `class`.
    pub(super) fn push_traffic_class(&mut self, length: &mut usize, to: IpAddr, class: u8) {
        let (level, kind) = match to {
            IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS),
            IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
        };
        self.push(length, level, kind, c_int::from(class));
    }

    /// Adds the message that makes the kernel cut what is sent into datagrams of `size` bytes.
    #[cfg(target_os = "linux")]
    pub(super) fn push_segment(&mut self, length: &mut usize, size: u16) {
        self.push(length, libc::SOL_UDP, libc::UDP_SEGMENT, size);
    }

    fn push<T>(&mut self, length: &mut usize, level: c_int, kind: c_int, data: T) {
        #[expect(
            unsafe_code,
            reason = "control messages can only be written by pointers"
        )]
        // SAFETY: `space` is computed before anything is written, and the assertion keeps all
        // writes within the array; they are unaligned ones. `cmsghdr` is valid when zeroed.
        unsafe {
            let space = libc::CMSG_SPACE(size_of::<T>() as u32) as usize;
            assert!(
                *length + space <= CONTROL_LENGTH,
                "room for all messages of a datagram"
            );
            let mut header: cmsghdr = MaybeUninit::zeroed().assume_init();
            header.cmsg_len = libc::CMSG_LEN(size_of::<T>() as u32) as _;
            header.cmsg_level = level;
            header.cmsg_type = kind;
            let start = self.0.as_mut_ptr().add(*length);
            ptr::write_unaligned(start.cast(), header);
            ptr::write_unaligned(start.add(libc::CMSG_LEN(0) as usize).cast(), data);
            *length += space;
        }
    }
}

/// What the kernel has told beside a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// At which address of ours it arrived.
    pub(super) arrived_at: Option<IpAddr>,
    /// The size of the datagrams of a train.
    pub(super) segment: Option<u16>,
    /// DSCP and ECN, where the socket was asked to tell; otherwise 0.
    pub(super) traffic_class: u8,
}

/// The error that a `message` of the error queue tells.
#[cfg(target_os = "linux")]
pub(super) fn read_error(message: &msghdr) -> Option<libc::sock_extended_err> {
    #[expect(
        unsafe_code,
        reason = "control messages can only be walked by pointers"
    )]
    // SAFETY: as in `read`.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(message);
        while let Some(header) = control.as_ref() {
            if let (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) =
                (header.cmsg_level, header.cmsg_type)
            {
                return Some(ptr::read_unaligned(libc::CMSG_DATA(control).cast()));
            }
            control = libc::CMSG_NXTHDR(message, control);
        }
    }
    None
}

/// Reads the control messages of a received `message`.
pub(super) fn read(message: &msghdr) -> Told {
    let mut told = Told::default();
    #[expect(
        unsafe_code,
        reason = "control messages can only be walked by pointers"
    )]
    // SAFETY: the kernel has filled the control buffer that `message` points to, and the macros
    // stay within `msg_controllen`. Data may lie unaligned, so it is read as such.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(message);
        while let Some(header) = control.as_ref() {
            let data = libc::CMSG_DATA(control);
            match (header.cmsg_level, header.cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info: in_pktinfo = ptr::read_unaligned(data.cast());
                    let address = u32::from_be(info.ipi_addr.s_addr);
                    told.arrived_at = Some(IpAddr::V4(Ipv4Addr::from_bits(address)));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info: in6_pktinfo = ptr::read_unaligned(data.cast());
                    told.arrived_at = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => {
                    told.traffic_class = ptr::read_unaligned(data.cast());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    let class: c_int = ptr::read_unaligned(data.cast());
                    told.traffic_class = class as u8;
                }
                #[cfg(target_os = "linux")]
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size: c_int = ptr::read_unaligned(data.cast());
                    told.segment = u16::try_from(size).ok();
                }
                _ => {}
            }
            control = libc::CMSG_NXTHDR(message, control);
        }
    }
    told
}
