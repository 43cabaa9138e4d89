//! Taking datagrams, many a call.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use libc::{iovec, msghdr};

use super::UdpSocket;
use super::address::{RAW_ADDRESS_LENGTH, RawAddress};
use super::control::{self, CONTROL_LENGTH, Control};

/// Room for the longest datagram, or train.
const SLOT_LENGTH: usize = 65_536;

#[cfg(target_os = "linux")]
type Header = libc::mmsghdr;

/// Where the kernel writes a datagram beside its bytes; elsewhere than on Linux, like there.
#[cfg(not(target_os = "linux"))]
struct Header {
    msg_hdr: msghdr,
    msg_len: libc::c_uint,
}

/// A datagram, or a train of them, that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// At which address of ours it arrived.
    pub to: SocketAddr,
    /// All its bytes.
    pub bytes: &'a [u8],
    /// DSCP and ECN as one byte, where the socket tells them; otherwise 0.
    pub traffic_class: u8,
    /// How long each datagram of the train is; the last may be shorter. Never zero.
    pub segment: usize,
}

impl<'a> Arrived<'a> {
    /// The datagrams one by one. An empty datagram is one, too.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let empty = self.bytes.is_empty().then_some(self.bytes);
        empty.into_iter().chain(self.bytes.chunks(self.segment))
    }
}

/// Buffers for datagrams of any length; filled from one or several sockets, and then emptied as a
/// whole.
pub struct ReceiveBatch {
    /// What the kernel reads and writes. The pointers are into the boxes below.
    headers: Box<[Header]>,
    bytes: Box<[u8]>,
    names: Box<[RawAddress]>,
    _controls: Box<[Control]>,
    _iovecs: Box<[iovec]>,
    /// The socket's address for each that has arrived.
    locals: Vec<SocketAddr>,
}

impl std::fmt::Debug for ReceiveBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiveBatch")
            .field("slots", &self.headers.len())
            .field("arrived", &self.len())
            .finish_non_exhaustive()
    }
}

#[expect(unsafe_code, reason = "pointers are not Send by themselves")]
// SAFETY: all pointers are into the heap memory of the value's own boxes, which moves with it.
unsafe impl Send for ReceiveBatch {}

impl ReceiveBatch {
    /// Room for `slots` datagrams or trains.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        let mut bytes = vec![0; slots * SLOT_LENGTH].into_boxed_slice();
        let mut names = vec![RawAddress::empty(); slots].into_boxed_slice();
        let mut controls = vec![Control::EMPTY; slots].into_boxed_slice();
        let mut iovecs: Box<[iovec]> = bytes
            .chunks_mut(SLOT_LENGTH)
            .map(|slot| iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: slot.len(),
            })
            .collect();
        let headers = (0..slots)
            .map(|slot| Header {
                msg_hdr: header(&mut names[slot], &mut iovecs[slot], &mut controls[slot]),
                msg_len: 0,
            })
            .collect();
        let locals = Vec::with_capacity(slots);
        Self {
            headers,
            bytes,
            names,
            _controls: controls,
            _iovecs: iovecs,
            locals,
        }
    }

    /// How many have arrived since [`ReceiveBatch::clear`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.locals.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.locals.is_empty()
    }

    /// How many there is still room for.
    #[must_use]
    pub fn room(&self) -> usize {
        self.headers.len() - self.len()
    }

    /// Forgets all that has arrived.
    pub fn clear(&mut self) {
        // The kernel has changed the headers of what has arrived, and no others.
        for header in &mut self.headers[..self.locals.len()] {
            reset(&mut header.msg_hdr);
        }
        self.locals.clear();
    }

    /// Takes up to `limit` datagrams or trains from `socket`, as far as there is room, and gives
    /// how many it has taken: fewer than it could have only if the socket has no more.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is none, and others of the operating system.
    pub fn receive(&mut self, socket: &UdpSocket, limit: usize) -> io::Result<usize> {
        let (first, count) = (self.len(), limit.min(self.room()));
        let received = receive_into(socket, &mut self.headers[first..first + count])?;
        for _ in 0..received {
            self.locals.push(socket.local());
        }
        Ok(received)
    }

    /// How many datagrams an arrival is.
    #[must_use]
    pub fn datagrams(&self, number: usize) -> usize {
        self.arrived(number)
            .map_or(0, |arrived| arrived.datagrams().count())
    }

    /// What has arrived, by its number. `None` if its sender has no address of IPv4 or IPv6.
    #[must_use]
    pub fn arrived(&self, number: usize) -> Option<Arrived<'_>> {
        let local = *self.locals.get(number)?;
        let header = &self.headers[number];
        let told = match header.msg_hdr.msg_controllen {
            0 => Default::default(),
            _ => control::read(&header.msg_hdr),
        };
        let bytes = &self.bytes[number * SLOT_LENGTH..][..header.msg_len as usize];
        let segment = told.segment.map_or(bytes.len(), usize::from);
        let ip: IpAddr = told.arrived_at.unwrap_or(local.ip());
        Some(Arrived {
            from: self.names[number].to_socket_address()?,
            to: SocketAddr::new(ip, local.port()),
            bytes,
            traffic_class: told.traffic_class,
            segment: segment.max(1),
        })
    }
}

fn header(name: &mut RawAddress, iovec: &mut iovec, control: &mut Control) -> msghdr {
    #[expect(unsafe_code, reason = "msghdr has private padding on some systems")]
    // SAFETY: null pointers and zero lengths are a valid msghdr.
    let mut header: msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = name.as_mut_ptr();
    header.msg_namelen = RAW_ADDRESS_LENGTH;
    header.msg_iov = std::ptr::from_mut(iovec);
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr();
    header.msg_controllen = CONTROL_LENGTH as _;
    header
}

/// Sets what the kernel changes in a header back to the whole room.
fn reset(header: &mut msghdr) {
    header.msg_namelen = RAW_ADDRESS_LENGTH;
    header.msg_controllen = CONTROL_LENGTH as _;
}

#[cfg(target_os = "linux")]
fn receive_into(socket: &UdpSocket, headers: &mut [Header]) -> io::Result<usize> {
    let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
    #[expect(unsafe_code, reason = "there is no safe form of recvmmsg")]
    // SAFETY: `count` headers follow the pointer, and each points to live memory of the lengths
    // that it says, as set in `ReceiveBatch::new` and by `ReceiveBatch::clear`.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
        )
    };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

#[cfg(not(target_os = "linux"))]
fn receive_into(socket: &UdpSocket, headers: &mut [Header]) -> io::Result<usize> {
    for (number, header) in headers.iter_mut().enumerate() {
        #[expect(
            unsafe_code,
            reason = "there is no safe form of recvmsg with control messages"
        )]
        // SAFETY: the header points to live memory of the lengths that it says.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header.msg_hdr, 0) };
        match libc::c_uint::try_from(received) {
            Ok(length) => header.msg_len = length,
            Err(_) if number > 0 => return Ok(number),
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    Ok(headers.len())
}
