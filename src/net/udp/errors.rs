//! What the network says of datagrams that did not arrive: ICMP errors, as the kernel hands them
//! to the socket that has sent the datagram. That takes no privilege.

use std::io;
use std::net::SocketAddr;

use super::UdpSocket;

/// A datagram did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Where it was to go.
    pub to: SocketAddr,
    /// The type of the ICMP message, or ICMPv6 where `to` is of IPv6.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// The next link's MTU, where the datagram was too long for that.
    pub mtu: u32,
}

impl UdpSocket {
    /// Takes out the next report that waits at the socket. `None` if it is of another kind.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is none, and others of the operating system.
    #[cfg(target_os = "linux")]
    pub fn take_undelivered(&self) -> io::Result<Option<Undelivered>> {
        linux::take(self)
    }

    /// Takes out the next report: this system has none to give.
    #[cfg(not(target_os = "linux"))]
    pub fn take_undelivered(&self) -> io::Result<Option<Undelivered>> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// From now on, reports are kept for [`UdpSocket::take_undelivered`]. A system that cannot
    /// loses them.
    pub(super) fn keep_undelivered(&self) {
        #[cfg(target_os = "linux")]
        let _ = match self.local() {
            SocketAddr::V4(_) => self.set_option(libc::IPPROTO_IP, libc::IP_RECVERR, 1),
            SocketAddr::V6(_) => self.set_option(libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1),
        };
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::mem::zeroed;
    use std::os::fd::AsRawFd;

    use libc::{msghdr, sock_extended_err};

    use super::Undelivered;
    use crate::net::udp::UdpSocket;
    use crate::net::udp::address::{RAW_ADDRESS_LENGTH, RawAddress};
    use crate::net::udp::control::{self, CONTROL_LENGTH, Control};

    pub(super) fn take(socket: &UdpSocket) -> io::Result<Option<Undelivered>> {
        let (mut name, mut control) = (RawAddress::empty(), Control::EMPTY);
        #[expect(unsafe_code, reason = "msghdr has private padding on some systems")]
        // SAFETY: null pointers and zero lengths are a valid msghdr.
        let mut message: msghdr = unsafe { zeroed() };
        message.msg_name = name.as_mut_ptr();
        message.msg_namelen = RAW_ADDRESS_LENGTH;
        message.msg_control = control.as_mut_ptr();
        message.msg_controllen = CONTROL_LENGTH as _;
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        #[expect(
            unsafe_code,
            reason = "there is no safe form of recvmsg with control messages"
        )]
        // SAFETY: the message points to live memory of the lengths that it says. It has no room
        // for the datagram itself, of which nothing is wanted.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
        if received < 0 {
            return Err(io::Error::last_os_error());
        }
        let error = control::read_error(&message);
        Ok(error.zip(name.to_socket_address()).and_then(|(error, to)| {
            let (kind, code) = meaning(&error, to.is_ipv4())?;
            let mtu = error.ee_info;
            Some(Undelivered {
                to,
                kind,
                code,
                mtu,
            })
        }))
    }

    /// Type and code of the ICMP message. What was too long for this machine's own link brings no
    /// ICMP message; it is told like one of the first router.
    fn meaning(error: &sock_extended_err, is_ipv4: bool) -> Option<(u8, u8)> {
        match (error.ee_origin, is_ipv4) {
            (libc::SO_EE_ORIGIN_ICMP, true) | (libc::SO_EE_ORIGIN_ICMP6, false) => {
                Some((error.ee_type, error.ee_code))
            }
            (libc::SO_EE_ORIGIN_LOCAL, true) if error.ee_errno == libc::EMSGSIZE as u32 => {
                Some((3, 4))
            }
            _ => None,
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::net::{Outgoing, SendSpace};

    fn relay(ip: &str) -> UdpSocket {
        UdpSocket::relay(SocketAddr::new(ip.parse().expect("an address"), 0)).expect("bound")
    }

    fn send(socket: &UdpSocket, to: &[SocketAddr]) -> u64 {
        let mut space = SendSpace::new(true);
        let mut batch = space.batch();
        for &to in to {
            batch.push(Outgoing {
                to,
                from: None,
                prefix: b"",
                payload: b"hello",
                padding: 0,
            });
        }
        batch.send(socket).sent
    }

    /// The next report; loopback has it at once, but in another thread's time.
    fn undelivered(socket: &UdpSocket) -> Undelivered {
        loop {
            match socket.take_undelivered() {
                Ok(Some(undelivered)) => return undelivered,
                Ok(None) => {}
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    }

    #[test]
    fn a_closed_port_is_reported_with_the_peer_that_it_was() {
        for (ip, kind, code) in [("127.0.0.1", 3, 3), ("::1", 1, 4)] {
            let (socket, closed) = (relay(ip), relay(ip).local());
            assert_eq!(send(&socket, &[closed]), 1);
            let expected = Undelivered {
                to: closed,
                kind,
                code,
                mtu: 0,
            };
            assert_eq!(undelivered(&socket), expected);
            let error = socket.take_undelivered().expect_err("there was one");
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn a_report_that_nobody_has_taken_costs_no_other_datagram() {
        let (socket, closed, open) = (relay("127.0.0.1"), relay("127.0.0.1"), relay("127.0.0.1"));
        let closed = closed.local();
        // Every second one meets the error that the one before has brought.
        let places: Vec<SocketAddr> = (0..40)
            .map(|number| {
                if number % 2 == 0 {
                    closed
                } else {
                    open.local()
                }
            })
            .collect();
        assert_eq!(send(&socket, &places), 40);
    }
}
