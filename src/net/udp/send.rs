//! Giving datagrams away, many a call.

use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::ptr;

use libc::{iovec, msghdr};

use super::UdpSocket;
use super::address::RawAddress;
use super::control::Control;

/// The longest train that the kernel takes at once.
const TRAIN_DATAGRAMS: usize = 64;
const TRAIN_BYTES: usize = 65_000;

/// How many datagrams a batch has room for.
const DATAGRAMS: usize = 256;

/// Vectors of one datagram: what goes before the payload, the payload, padding.
const PARTS: usize = 3;

/// The longest thing that goes before a payload.
const PREFIX_LENGTH: usize = 48;

static PADDING: [u8; 3] = [0; 3];

#[cfg(target_os = "linux")]
type Header = libc::mmsghdr;

/// What the kernel reads of a message; elsewhere than on Linux, like there.
#[cfg(not(target_os = "linux"))]
struct Header {
    msg_hdr: msghdr,
    msg_len: libc::c_uint,
}

/// A datagram to send: its parts are gathered from where they lie.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a, 'p> {
    /// Where to.
    pub to: SocketAddr,
    /// From which address of ours; only asked for where the socket has several.
    pub from: Option<IpAddr>,
    /// What goes before the payload, at most 48 bytes; it is copied.
    pub prefix: &'a [u8],
    /// The payload; it is not copied.
    pub payload: &'p [u8],
    /// How many zero bytes go behind it, at most 3.
    pub padding: usize,
}

impl Outgoing<'_, '_> {
    fn length(&self) -> usize {
        self.prefix.len() + self.payload.len() + self.padding
    }
}

/// What has become of a batch, in datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The operating system has them.
    pub sent: u64,
    /// It did not take them: full buffers, unreachable networks.
    pub unsent: u64,
    /// Bytes of the payloads that were sent.
    pub payload_bytes: u64,
}

/// Memory for [`SendBatch`]es, used again and again.
pub struct SendSpace {
    /// How many datagrams a batch has room for.
    capacity: usize,
    headers: Vec<Header>,
    iovecs: Vec<iovec>,
    prefixes: Vec<[u8; PREFIX_LENGTH]>,
    trains: Vec<Train>,
    /// How the messages of a call are addressed; written when they are sent.
    names: Vec<RawAddress>,
    controls: Vec<Control>,
    /// Datagrams longer than this are not sent as trains: the way out has refused it.
    segment_limit: usize,
}

#[expect(unsafe_code, reason = "pointers are not Send by themselves")]
// SAFETY: between two batches no pointer is left in the vectors: they are empty then.
unsafe impl Send for SendSpace {}

impl std::fmt::Debug for SendSpace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendSpace")
            .field("segment_limit", &self.segment_limit)
            .finish_non_exhaustive()
    }
}

/// Datagrams to one address, all of one size, but for the last, which may be shorter.
#[derive(Clone, Copy, Debug)]
struct Train {
    to: SocketAddr,
    from: Option<IpAddr>,
    segment: usize,
    datagrams: usize,
    bytes: usize,
    /// Those of the bytes that are payload.
    payload_bytes: usize,
    traffic_class: u8,
    /// Whether another datagram may follow.
    is_open: bool,
    first_iovec: usize,
    iovecs: usize,
}

impl SendSpace {
    /// Room for one batch. Trains are only made if `can_segment`.
    #[must_use]
    pub fn new(can_segment: bool) -> Self {
        Self::with_capacity(DATAGRAMS, can_segment)
    }

    /// Room for one datagram: each leaves by a call of its own.
    #[must_use]
    pub fn single() -> Self {
        Self::with_capacity(1, false)
    }

    fn with_capacity(capacity: usize, can_segment: bool) -> Self {
        Self {
            capacity,
            headers: Vec::with_capacity(DATAGRAMS),
            iovecs: Vec::with_capacity(DATAGRAMS * PARTS),
            prefixes: Vec::with_capacity(DATAGRAMS),
            trains: Vec::with_capacity(DATAGRAMS),
            names: vec![RawAddress::empty(); DATAGRAMS],
            controls: vec![Control::EMPTY; DATAGRAMS],
            segment_limit: if can_segment {
                usize::from(u16::MAX)
            } else {
                0
            },
        }
    }

    /// An empty batch, for payloads that live as long as it does.
    pub fn batch<'p>(&'p mut self) -> SendBatch<'p> {
        self.clear();
        SendBatch {
            space: self,
            payloads: PhantomData,
            traffic_class: 0,
        }
    }

    fn clear(&mut self) {
        self.headers.clear();
        self.iovecs.clear();
        self.prefixes.clear();
        self.trains.clear();
    }
}

/// Datagrams that leave together, by one socket. Neighbours of one size and one traffic class to
/// one address become a train.
#[derive(Debug)]
pub struct SendBatch<'p> {
    space: &'p mut SendSpace,
    payloads: PhantomData<&'p [u8]>,
    /// Of what is pushed next.
    traffic_class: u8,
}

impl Drop for SendBatch<'_> {
    fn drop(&mut self) {
        // No pointer to a payload outlives the batch.
        self.space.clear();
    }
}

impl<'p> SendBatch<'p> {
    /// Whether nothing is to be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.space.trains.is_empty()
    }

    /// Whether [`SendBatch::send`] must come before another [`SendBatch::push`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.space.prefixes.len() == self.space.capacity
    }

    /// What is pushed from now on leaves with this traffic class, DSCP and ECN as one byte. It is 0
    /// at first: best effort and Not-ECT, unless the system has another default.
    pub fn set_traffic_class(&mut self, class: u8) {
        if class == self.traffic_class {
            return;
        }
        self.traffic_class = class;
        // A train has one header for all of its datagrams.
        if let Some(last) = self.space.trains.last_mut() {
            last.is_open = false;
        }
    }

    /// Adds a datagram.
    ///
    /// # Panics
    /// If the batch is full or a part is longer than [`Outgoing`] says.
    pub fn push(&mut self, datagram: Outgoing<'_, 'p>) {
        assert!(!self.is_full(), "a full batch is sent first");
        let first_iovec = self.space.iovecs.len();
        self.push_parts(&datagram);
        let iovecs = self.space.iovecs.len() - first_iovec;
        let length = datagram.length();
        if let Some(last) = self.space.trains.last_mut()
            && last.takes(&datagram, length)
        {
            last.datagrams += 1;
            last.bytes += length;
            last.payload_bytes += datagram.payload.len();
            last.iovecs += iovecs;
            last.is_open = length == last.segment;
            return;
        }
        self.space.trains.push(Train {
            to: datagram.to,
            from: datagram.from,
            segment: length,
            datagrams: 1,
            bytes: length,
            payload_bytes: datagram.payload.len(),
            traffic_class: self.traffic_class,
            is_open: (1..=self.space.segment_limit).contains(&length),
            first_iovec,
            iovecs,
        });
    }

    fn push_parts(&mut self, datagram: &Outgoing<'_, 'p>) {
        let mut prefix = [0; PREFIX_LENGTH];
        prefix[..datagram.prefix.len()].copy_from_slice(datagram.prefix);
        // Within the capacity, so that no pointer to an earlier one becomes stale.
        self.space.prefixes.push(prefix);
        let prefix = self.space.prefixes.last().expect("just pushed");
        let parts = [
            &prefix[..datagram.prefix.len()],
            datagram.payload,
            &PADDING[..datagram.padding],
        ];
        for part in parts {
            if !part.is_empty() {
                let iov_base = part.as_ptr().cast_mut().cast();
                self.space.iovecs.push(iovec {
                    iov_base,
                    iov_len: part.len(),
                });
            }
        }
    }

    /// Sends everything through `socket` and empties the batch. What the system does not take is
    /// lost, as datagrams may be.
    pub fn send(&mut self, socket: &UdpSocket) -> Sent {
        let mut outcome = Sent::default();
        self.write_headers(socket);
        let (mut next, mut tried_again) = (0, None);
        while next < self.space.trains.len() {
            match send_messages(socket, &mut self.space.headers[next..]) {
                Ok(count) => {
                    for train in &self.space.trains[next..next + count] {
                        outcome.sent += train.datagrams as u64;
                        outcome.payload_bytes += train.payload_bytes as u64;
                    }
                    next += count;
                }
                Err(error) if tried_again != Some(next) && may_be_of_another(&error) => {
                    tried_again = Some(next);
                }
                Err(error) => {
                    self.send_refused(socket, next, &error, &mut outcome);
                    next += 1;
                }
            }
        }
        self.space.clear();
        outcome
    }

    /// Empties the batch and sends nothing.
    pub fn discard(&mut self) -> Sent {
        let datagrams = self.space.trains.iter().map(|train| train.datagrams as u64);
        let unsent = datagrams.sum();
        self.space.clear();
        Sent {
            unsent,
            ..Sent::default()
        }
    }

    /// The message of a train, or of a single datagram, has been refused with `error`.
    fn send_refused(
        &mut self,
        socket: &UdpSocket,
        number: usize,
        error: &io::Error,
        outcome: &mut Sent,
    ) {
        let train = self.space.trains[number];
        let cannot_be_cut = matches!(
            error.raw_os_error(),
            Some(libc::EINVAL | libc::EIO | libc::EMSGSIZE)
        );
        if train.datagrams == 1 || !cannot_be_cut {
            outcome.unsent += train.datagrams as u64;
            return;
        }
        // The device cannot cut trains, or not ones of such long datagrams.
        self.space.segment_limit = self.space.segment_limit.min(train.segment - 1);
        let before = outcome.sent;
        self.send_one_by_one(socket, number, outcome);
        let all = (outcome.sent - before) as usize == train.datagrams;
        outcome.payload_bytes += if all { train.payload_bytes as u64 } else { 0 };
    }

    fn send_one_by_one(&mut self, socket: &UdpSocket, number: usize, outcome: &mut Sent) {
        let train = self.space.trains[number];
        let (mut first, end) = (train.first_iovec, train.first_iovec + train.iovecs);
        while first < end {
            let mut length = 0;
            let count = self.space.iovecs[first..end]
                .iter()
                .take_while(|part| {
                    let is_within = length < train.segment;
                    length += part.iov_len;
                    is_within
                })
                .count();
            let single = Train {
                first_iovec: first,
                iovecs: count,
                datagrams: 1,
                ..train
            };
            let mut header = self.header(socket, number, &single);
            match send_messages(socket, std::slice::from_mut(&mut header)) {
                Ok(_) => outcome.sent += 1,
                Err(_) => outcome.unsent += 1,
            }
            first += count;
        }
    }

    fn write_headers(&mut self, socket: &UdpSocket) {
        for number in 0..self.space.trains.len() {
            let train = self.space.trains[number];
            let header = self.header(socket, number, &train);
            self.space.headers.push(header);
        }
    }

    /// The message for `train`, addressed in the memory of message `number`.
    fn header(&mut self, socket: &UdpSocket, number: usize, train: &Train) -> Header {
        let (name, name_length) = RawAddress::from_socket_address(train.to);
        self.space.names[number] = name;
        let control = &mut self.space.controls[number];
        let mut control_length = 0;
        if let Some(from) = train.from
            && socket.tells_arrival()
        {
            control.push_departure(&mut control_length, from);
        }
        if train.traffic_class != 0 {
            let class = train.traffic_class;
            control.push_traffic_class(&mut control_length, train.to.ip(), class);
        }
        #[cfg(target_os = "linux")]
        if train.datagrams > 1 {
            let segment = u16::try_from(train.segment).expect("trains are of short datagrams");
            control.push_segment(&mut control_length, segment);
        }
        #[expect(unsafe_code, reason = "msghdr has private padding on some systems")]
        // SAFETY: null pointers and zero lengths are a valid msghdr.
        let mut header: msghdr = unsafe { std::mem::zeroed() };
        header.msg_name = self.space.names[number].as_mut_ptr();
        header.msg_namelen = name_length;
        header.msg_iov = self.space.iovecs[train.first_iovec..].as_mut_ptr();
        header.msg_iovlen = train.iovecs as _;
        if control_length > 0 {
            header.msg_control = self.space.controls[number].as_mut_ptr();
            header.msg_controllen = control_length as _;
        }
        Header {
            msg_hdr: header,
            msg_len: 0,
        }
    }
}

impl Train {
    fn takes(&self, datagram: &Outgoing<'_, '_>, length: usize) -> bool {
        self.is_open
            && length > 0
            && length <= self.segment
            && self.datagrams < TRAIN_DATAGRAMS
            && self.bytes + length <= TRAIN_BYTES
            && self.to == datagram.to
            && self.from == datagram.from
    }
}

/// Whether an error may be what the network has said of an earlier datagram. Told once, it is
/// gone, and what was to be sent now has not been tried.
fn may_be_of_another(error: &io::Error) -> bool {
    !matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EINVAL | libc::EIO)
    )
}

/// Sends the first messages; gives how many were sent, at least one.
fn send_messages(socket: &UdpSocket, headers: &mut [Header]) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    if headers.len() > 1 {
        let count = libc::c_uint::try_from(headers.len()).unwrap_or(libc::c_uint::MAX);
        #[expect(unsafe_code, reason = "there is no safe form of sendmmsg")]
        // SAFETY: `count` headers follow the pointer, and each points to memory that lives as
        // long as the batch: its space, and payloads that are borrowed for that long.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
        return usize::try_from(sent).map_err(|_| io::Error::last_os_error());
    }
    let header = headers
        .first()
        .map_or(ptr::null(), |header| &raw const header.msg_hdr);
    #[expect(
        unsafe_code,
        reason = "there is no safe form of sendmsg with control messages"
    )]
    // SAFETY: as above; a null pointer is answered by an error.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), header, 0) };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(1)
    }
}
