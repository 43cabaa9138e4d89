//! Sockets that never block, and that know at which of the machine's addresses a datagram
//! arrived: an answer must leave from there, also where the socket is bound to all addresses.

use std::io;
use std::mem::{size_of, size_of_val};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use libc::{c_int, c_void, socklen_t};
use socket2::{Domain, Protocol, Socket, Type};

/// What Linux tells of a socket's memory; libc does not name these.
#[cfg(target_os = "linux")]
const SO_MEMINFO: c_int = 55;
#[cfg(target_os = "linux")]
const SK_MEMINFO_VARS: usize = 9;
#[cfg(target_os = "linux")]
const SK_MEMINFO_DROPS: usize = 8;

/// A UDP socket in non-blocking mode.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    local: SocketAddr,
    tells_arrival: bool,
}

/// How many bytes of datagrams wait for the process, or for the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// Those that have arrived.
    pub receive: usize,
    /// Those that go out.
    pub send: usize,
}

impl UdpSocket {
    /// A socket that serves clients at `address`. With `shared`, several sockets may be bound to
    /// the address, and the kernel spreads the clients over them.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn listen(address: SocketAddr, shared: bool) -> io::Result<Self> {
        let socket = new_socket(address)?;
        socket.set_reuse_port(shared)?;
        socket.bind(&address.into())?;
        let mut this = Self::from_bound(socket)?;
        if address.ip().is_unspecified() {
            this.ask_for_arrival_addresses()?;
            this.tells_arrival = true;
        }
        Ok(this)
    }

    /// A socket for a relayed address. It keeps what the network says of datagrams that did not
    /// arrive.
    ///
    /// # Errors
    /// Those of the operating system; [`io::ErrorKind::AddrInUse`] if the port is taken.
    pub fn relay(address: SocketAddr) -> io::Result<Self> {
        let socket = new_socket(address)?;
        socket.bind(&address.into())?;
        let this = Self::from_bound(socket)?;
        this.keep_undelivered();
        Ok(this)
    }

    fn from_bound(socket: Socket) -> io::Result<Self> {
        let local = socket
            .local_addr()?
            .as_socket()
            .expect("it was bound to an IP address");
        let this = Self {
            socket,
            local,
            tells_arrival: false,
        };
        this.do_not_set_df();
        Ok(this)
    }

    /// The address that the socket is bound to.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether the socket is bound to all addresses, so that each datagram has one of its own.
    pub(super) fn tells_arrival(&self) -> bool {
        self.tells_arrival
    }

    /// Asks for buffers of this size; gives what was granted. What is above the system's limit is
    /// cut down to it, unless the process may go beyond.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn enlarge_buffers(&self, wanted: Buffers) -> io::Result<Buffers> {
        self.socket.set_recv_buffer_size(wanted.receive)?;
        self.socket.set_send_buffer_size(wanted.send)?;
        #[cfg(target_os = "linux")]
        for (name, size) in [
            (libc::SO_RCVBUFFORCE, wanted.receive),
            (libc::SO_SNDBUFFORCE, wanted.send),
        ] {
            // Only for the privileged; the others keep what was granted above.
            let size = c_int::try_from(size).unwrap_or(c_int::MAX);
            let _ = self.set_option(libc::SOL_SOCKET, name, size);
        }
        // Linux tells twice what was set, for its own book-keeping.
        let share = if cfg!(target_os = "linux") { 2 } else { 1 };
        Ok(Buffers {
            receive: self.socket.recv_buffer_size()? / share,
            send: self.socket.send_buffer_size()? / share,
        })
    }

    /// Lets trains arrive as one buffer each, or not. Gives whether the system can.
    #[cfg(target_os = "linux")]
    pub fn set_coalescing(&self, on: bool) -> bool {
        self.set_option(libc::SOL_UDP, libc::UDP_GRO, c_int::from(on))
            .is_ok()
    }

    /// Lets trains arrive as one buffer each: this system cannot.
    #[cfg(not(target_os = "linux"))]
    pub fn set_coalescing(&self, _on: bool) -> bool {
        false
    }

    /// Lets each arrival tell its traffic class: DSCP and ECN.
    ///
    /// # Errors
    /// Those of the operating system; [`io::ErrorKind::Unsupported`] where it has no such option.
    pub fn tell_traffic_class(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        return match self.local {
            SocketAddr::V4(_) => self.set_option(libc::IPPROTO_IP, libc::IP_RECVTOS, 1),
            SocketAddr::V6(_) => self.set_option(libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1),
        };
        #[cfg(not(target_os = "linux"))]
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether the system can cut trains into datagrams on their way out.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn can_segment(&self) -> bool {
        self.set_option(libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok()
    }

    /// Whether the system can cut trains into datagrams on their way out: this one cannot.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn can_segment(&self) -> bool {
        false
    }

    /// How many datagrams have been dropped so far because nobody took those before them in time.
    /// It wraps around.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn dropped(&self) -> u32 {
        let mut memory = [0_u32; SK_MEMINFO_VARS];
        let mut length = size_of_val(&memory) as socklen_t;
        #[expect(unsafe_code, reason = "socket2 does not have this option")]
        // SAFETY: both pointers are to live values, and the length is the first one's.
        let result = unsafe {
            libc::getsockopt(
                self.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_MEMINFO,
                memory.as_mut_ptr().cast::<c_void>(),
                &raw mut length,
            )
        };
        if result == 0 {
            memory[SK_MEMINFO_DROPS]
        } else {
            0
        }
    }

    /// How many datagrams have been dropped: this system does not tell.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn dropped(&self) -> u32 {
        0
    }

    fn ask_for_arrival_addresses(&self) -> io::Result<()> {
        match self.local {
            SocketAddr::V4(_) => self.set_option(libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
            SocketAddr::V6(_) => self.set_option(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
        }
    }

    /// Packets leave without DF unless a client asks for it (RFC 8656 section 15): the network
    /// may fragment what is too long. Where that cannot be set, the system's default stays.
    fn do_not_set_df(&self) {
        #[cfg(target_os = "linux")]
        if self.local.is_ipv6() {
            let _ = self.set_option(
                libc::IPPROTO_IPV6,
                libc::IPV6_MTU_DISCOVER,
                libc::IPV6_PMTUDISC_DONT,
            );
            return;
        }
        let _ = self.set_df(false);
    }

    /// Whether packets of an IPv4 socket leave with DF from now on, whatever is known of the way.
    ///
    /// # Errors
    /// Those of the operating system; [`io::ErrorKind::Unsupported`] where it has no such option.
    pub fn set_df(&self, on: bool) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        let (name, value) = if on {
            (libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
        } else {
            (libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)
        };
        #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
        let (name, value) = (libc::IP_DONTFRAG, c_int::from(on));
        #[cfg(any(target_os = "linux", target_vendor = "apple", target_os = "freebsd"))]
        return self.set_option(libc::IPPROTO_IP, name, value);
        #[cfg(not(any(target_os = "linux", target_vendor = "apple", target_os = "freebsd")))]
        return Err(io::ErrorKind::Unsupported.into());
    }

    pub(super) fn set_option(&self, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
        #[expect(unsafe_code, reason = "socket2 does not have these options")]
        // SAFETY: the pointer is to an int and the length is an int's.
        let result = unsafe {
            libc::setsockopt(
                self.as_raw_fd(),
                level,
                name,
                (&raw const value).cast::<c_void>(),
                size_of::<c_int>() as socklen_t,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // Each family has a socket of its own, so that no IPv4 address comes in an IPv6 form.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shared_listeners_share_a_port() {
        let any = "127.0.0.1:0".parse().expect("an address");
        let first = UdpSocket::listen(any, true).expect("bound");
        assert!(UdpSocket::listen(first.local(), true).is_ok());
        let error = UdpSocket::listen(first.local(), false).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let any = "127.0.0.1:0".parse().expect("an address");
        let (from, to) = (UdpSocket::relay(any), UdpSocket::relay(any));
        let (from, to) = (from.expect("bound"), to.expect("bound"));
        assert_eq!(to.dropped(), 0);
        let small = to.socket.set_recv_buffer_size(4_096);
        small.expect("always allowed");
        for _ in 0..100 {
            from.socket
                .send_to(&[0; 1_000], &to.local().into())
                .expect("sent");
        }
        assert!(to.dropped() > 50 || cfg!(not(target_os = "linux")));
    }

    #[test]
    fn buffers_within_the_systems_limit_are_granted() {
        let any = "127.0.0.1:0".parse().expect("an address");
        let socket = UdpSocket::relay(any).expect("bound");
        let wanted = Buffers {
            receive: 65_536,
            send: 65_536,
        };
        assert_eq!(socket.enlarge_buffers(wanted).expect("granted"), wanted);
    }
}
