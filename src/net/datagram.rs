//! UDP sockets that never block, and that know at which of the machine's addresses a datagram
//! arrived: an answer must leave from there, also where the socket is bound to all addresses.

use std::io::{self, IoSlice};
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use libc::{c_int, c_void, cmsghdr, in_pktinfo, in6_pktinfo, iovec, msghdr};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Room for one control message with the address of arrival. The alignment is `cmsghdr`'s.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; 64]);

/// A datagram that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many bytes of the buffer.
    pub length: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// At which address of ours it arrived.
    pub to: SocketAddr,
}

/// A UDP socket in non-blocking mode.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    local: SocketAddr,
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
        let this = Self::from_socket(socket)?;
        if address.ip().is_unspecified() {
            this.ask_for_arrival_addresses()?;
        }
        Ok(this)
    }

    /// A socket for a relayed address.
    ///
    /// # Errors
    /// Those of the operating system; [`io::ErrorKind::AddrInUse`] if the port is taken.
    pub fn relay(address: SocketAddr) -> io::Result<Self> {
        let socket = new_socket(address)?;
        socket.bind(&address.into())?;
        Self::from_socket(socket)
    }

    fn from_socket(socket: Socket) -> io::Result<Self> {
        let local = socket
            .local_addr()?
            .as_socket()
            .expect("it was bound to an IP address");
        let this = Self { socket, local };
        this.do_not_set_df();
        Ok(this)
    }

    /// The address that the socket is bound to.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Takes the next datagram.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut control = Control([MaybeUninit::uninit(); 64]);
        let mut io = iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        let mut message = empty_header();
        message.msg_iov = &raw mut io;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>() as _;
        #[expect(
            unsafe_code,
            reason = "recvmsg has no safe form that gives control messages"
        )]
        // SAFETY: `try_init` gives storage for any address and takes the length that was set.
        let (length, from) = unsafe {
            SockAddr::try_init(|storage, storage_length| {
                message.msg_name = storage.cast();
                message.msg_namelen = *storage_length;
                // SAFETY: every pointer in `message` is to a live place of the length given.
                let received = libc::recvmsg(self.as_raw_fd(), &raw mut message, 0);
                *storage_length = message.msg_namelen;
                if received < 0 {
                    Err(io::Error::last_os_error())
                } else {
                    Ok(received as usize)
                }
            })
        }?;
        let from = from.as_socket().ok_or(io::ErrorKind::InvalidData)?;
        let to = arrival_address(&message).unwrap_or(self.local.ip());
        Ok(Received {
            length,
            from,
            to: SocketAddr::new(to, self.local.port()),
        })
    }

    /// Sends `bytes` to `to`. With `from`, they leave from that address of ours.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the socket's buffer is full, and others of the operating
    /// system, such as an unreachable network. The socket goes on working.
    pub fn send(&self, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
        match from {
            Some(from) if self.local.ip().is_unspecified() => self.send_from(bytes, to, from),
            _ => self.socket.send_to(bytes, &to.into()).map(|_| ()),
        }
    }

    fn send_from(&self, bytes: &[u8], to: SocketAddr, from: IpAddr) -> io::Result<()> {
        let mut control = [0_u8; 64];
        let length = encode_departure_address(from, &mut control);
        let to = SockAddr::from(to);
        let io = [IoSlice::new(bytes)];
        let message = socket2::MsgHdr::new()
            .with_addr(&to)
            .with_buffers(&io)
            .with_control(&control[..length]);
        self.socket.sendmsg(&message, 0).map(|_| ())
    }

    /// Lets [`UdpSocket::receive`] tell the address of arrival.
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
        let _ = match self.local {
            SocketAddr::V4(_) => self.set_option(
                libc::IPPROTO_IP,
                libc::IP_MTU_DISCOVER,
                libc::IP_PMTUDISC_DONT,
            ),
            SocketAddr::V6(_) => self.set_option(
                libc::IPPROTO_IPV6,
                libc::IPV6_MTU_DISCOVER,
                libc::IPV6_PMTUDISC_DONT,
            ),
        };
    }

    fn set_option(&self, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
        #[expect(unsafe_code, reason = "socket2 does not have these options")]
        // SAFETY: the pointer is to an int and the length is an int's.
        let result = unsafe {
            libc::setsockopt(
                self.as_raw_fd(),
                level,
                name,
                (&raw const value).cast::<c_void>(),
                size_of::<c_int>() as libc::socklen_t,
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

fn empty_header() -> msghdr {
    #[expect(unsafe_code, reason = "msghdr has private padding on some systems")]
    // SAFETY: null pointers and zero lengths are a valid msghdr.
    unsafe {
        MaybeUninit::<msghdr>::zeroed().assume_init()
    }
}

/// The address of ours in the control messages of a received `message`.
fn arrival_address(message: &msghdr) -> Option<IpAddr> {
    #[expect(
        unsafe_code,
        reason = "control messages can only be walked by pointers"
    )]
    // SAFETY: the kernel has filled the control buffer that `message` points to, and the macros
    // stay within `msg_controllen`. The data may lie unaligned, so it is read as such.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(message);
        while let Some(header) = control.as_ref() {
            let data = libc::CMSG_DATA(control);
            match (header.cmsg_level, header.cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info: in_pktinfo = ptr::read_unaligned(data.cast());
                    let address = u32::from_be(info.ipi_addr.s_addr);
                    return Some(IpAddr::V4(Ipv4Addr::from_bits(address)));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info: in6_pktinfo = ptr::read_unaligned(data.cast());
                    return Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
                }
                _ => control = libc::CMSG_NXTHDR(message, control),
            }
        }
    }
    None
}

/// Writes the control message that makes a datagram leave `from` an address; gives its length.
fn encode_departure_address(from: IpAddr, control: &mut [u8; 64]) -> usize {
    match from {
        IpAddr::V4(address) => {
            let info = in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: address.to_bits().to_be(),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            encode_control(libc::IPPROTO_IP, libc::IP_PKTINFO, info, control)
        }
        IpAddr::V6(address) => {
            let info = in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: address.octets(),
                },
                ipi6_ifindex: 0,
            };
            encode_control(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info, control)
        }
    }
}

fn encode_control<T>(level: c_int, kind: c_int, data: T, control: &mut [u8; 64]) -> usize {
    const { assert!(size_of::<cmsghdr>() + size_of::<T>() + 16 <= 64) };
    #[expect(
        unsafe_code,
        reason = "control messages can only be written by pointers"
    )]
    // SAFETY: the buffer has room for the header and `T`, by the assertion above, and both are
    // written unaligned. `cmsghdr` is valid when zeroed.
    unsafe {
        let mut header: cmsghdr = MaybeUninit::zeroed().assume_init();
        header.cmsg_len = libc::CMSG_LEN(size_of::<T>() as u32) as _;
        header.cmsg_level = level;
        header.cmsg_type = kind;
        let start = control.as_mut_ptr();
        ptr::write_unaligned(start.cast(), header);
        let offset = libc::CMSG_LEN(0) as usize;
        ptr::write_unaligned(start.add(offset).cast(), data);
        libc::CMSG_SPACE(size_of::<T>() as u32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(socket: &UdpSocket) -> (Vec<u8>, Received) {
        let mut buffer = [0; 2_048];
        loop {
            match socket.receive(&mut buffer) {
                Ok(received) => return (buffer[..received.length].to_vec(), received),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn any(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().expect("an address"), 0)
    }

    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        for (wildcard, asked) in [("0.0.0.0", "127.0.0.77"), ("::", "::1")] {
            let server = UdpSocket::listen(any(wildcard), false).expect("bound");
            let client = UdpSocket::relay(any(if wildcard == "::" { "::1" } else { "127.0.0.1" }))
                .expect("bound");
            let to = SocketAddr::new(asked.parse().expect("an address"), server.local().port());
            client.send(b"ask", to, None).expect("sent");
            let (bytes, asked) = receive(&server);
            assert_eq!(
                (&bytes[..], asked.from, asked.to),
                (&b"ask"[..], client.local(), to)
            );
            server
                .send(b"answer", asked.from, Some(asked.to.ip()))
                .expect("sent");
            let (bytes, answered) = receive(&client);
            assert_eq!((&bytes[..], answered.from), (&b"answer"[..], to));
        }
    }

    #[test]
    fn a_socket_without_datagrams_does_not_block() {
        let socket = UdpSocket::relay(any("127.0.0.1")).expect("bound");
        let error = socket.receive(&mut [0; 10]).expect_err("nothing there");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn only_shared_listeners_share_a_port() {
        let first = UdpSocket::listen(any("127.0.0.1"), true).expect("bound");
        assert!(UdpSocket::listen(first.local(), true).is_ok());
        let error = UdpSocket::listen(first.local(), false).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn the_largest_datagram_passes() {
        let (a, b) = (
            UdpSocket::relay(any("127.0.0.1")).expect("bound"),
            UdpSocket::relay(any("127.0.0.1")).expect("bound"),
        );
        a.send(&[7; 65_507], b.local(), None).expect("sent");
        let mut buffer = vec![0; 65_535];
        let received = loop {
            if let Ok(received) = b.receive(&mut buffer) {
                break received;
            }
        };
        assert_eq!(received.length, 65_507);
    }
}
