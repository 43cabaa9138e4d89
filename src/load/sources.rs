//! The sockets of a thread: those of its clients, and its peer's.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::error::LoadError;
use super::settings::{Mode, Settings};
use crate::net::{Buffers, ReceiveBatch, UdpSocket};

/// What every socket asks for; the system may give less.
const BUFFERS: Buffers = Buffers {
    receive: 4 << 20,
    send: 4 << 20,
};

/// Where the addresses of clients with a shared socket begin.
const FIRST_ADDRESS: u32 = u32::from_be_bytes([127, 1, 0, 1]);

/// How many ready sockets one call of the poller tells about.
const EVENTS: usize = 1_024;

/// Who has a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The client with this number.
    Client(usize),
    /// All clients.
    Clients,
    Peer,
}

pub(super) struct Sources {
    sockets: Vec<UdpSocket>,
    clients: usize,
    shares: bool,
    /// The address of client 0, if they share a socket.
    first_address: u32,
    poll: Poll,
    events: Events,
    ready: VecDeque<usize>,
    is_ready: Vec<bool>,
}

impl Sources {
    /// Opens the sockets of `thread`, whose first client has the number `first`.
    pub(super) fn open(
        settings: &Settings,
        thread: usize,
        first: usize,
    ) -> Result<Self, LoadError> {
        let clients = settings.clients_of_thread(thread);
        let local = local_ip(settings.server)?;
        let mut sockets = Vec::new();
        if settings.shared_socket {
            let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            sockets.push(UdpSocket::listen(any, false));
        } else {
            let own = || UdpSocket::relay(SocketAddr::new(local, 0));
            sockets.extend(std::iter::repeat_with(own).take(clients));
        }
        if matches!(settings.mode, Mode::Echo | Mode::Oneway) {
            let mut peer = settings.peer.unwrap_or(SocketAddr::new(local, 0));
            if peer.port() != 0 {
                peer.set_port(peer.port() + thread as u16);
            }
            sockets.push(UdpSocket::relay(peer));
        }
        let sockets: io::Result<Vec<UdpSocket>> = sockets.into_iter().collect();
        let sockets = sockets.map_err(LoadError::system("open a socket"))?;
        let this = Self {
            clients,
            shares: settings.shared_socket,
            first_address: FIRST_ADDRESS + first as u32,
            poll: Poll::new().map_err(LoadError::system("make a poller"))?,
            events: Events::with_capacity(EVENTS),
            ready: VecDeque::new(),
            is_ready: vec![false; sockets.len()],
            sockets,
        };
        this.register(settings.train > 1)
            .map_err(LoadError::system("set up a socket"))?;
        Ok(this)
    }

    fn register(&self, coalesces: bool) -> io::Result<()> {
        for (number, socket) in self.sockets.iter().enumerate() {
            socket.enlarge_buffers(BUFFERS)?;
            if coalesces {
                socket.set_coalescing(true);
            }
            self.poll.registry().register(
                &mut SourceFd(&socket.as_raw_fd()),
                Token(number),
                Interest::READABLE,
            )?;
        }
        Ok(())
    }

    /// The socket of a client, and the address from which it sends if the socket has several.
    pub(super) fn of_client(&self, client: usize) -> (&UdpSocket, Option<IpAddr>) {
        if self.shares {
            let address = Ipv4Addr::from_bits(self.first_address + client as u32);
            (&self.sockets[0], Some(address.into()))
        } else {
            (&self.sockets[client], None)
        }
    }

    /// Whether all clients send through one socket.
    pub(super) fn shares(&self) -> bool {
        self.shares
    }

    /// The peer's socket.
    pub(super) fn peer(&self) -> Option<&UdpSocket> {
        self.sockets.get(if self.shares { 1 } else { self.clients })
    }

    /// Which client has `address`, where they share a socket.
    pub(super) fn client_at(&self, address: SocketAddr) -> Option<usize> {
        let IpAddr::V4(ip) = address.ip() else {
            return None;
        };
        let client = ip.to_bits().checked_sub(self.first_address)? as usize;
        (client < self.clients).then_some(client)
    }

    /// Notes which sockets have something.
    pub(super) fn poll(&mut self, patience: Duration) -> Result<(), LoadError> {
        let patience = if self.ready.is_empty() {
            patience
        } else {
            Duration::ZERO
        };
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(LoadError::system("wait for packets")(error));
            }
            _ => {}
        }
        for event in &self.events {
            let Token(number) = event.token();
            if !std::mem::replace(&mut self.is_ready[number], true) {
                self.ready.push_back(number);
            }
        }
        Ok(())
    }

    /// How many sockets have something.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Takes what the next ready socket has, as far as the batch has room.
    pub(super) fn receive(&mut self, batch: &mut ReceiveBatch) -> Option<Owner> {
        let number = self.ready.pop_front()?;
        batch.clear();
        let room = batch.room();
        match batch.receive(&self.sockets[number], room) {
            // There may be more.
            Ok(received) if received == room => self.ready.push_back(number),
            _ => self.is_ready[number] = false,
        }
        Some(match number {
            0 if self.shares => Owner::Clients,
            number if !self.shares && number < self.clients => Owner::Client(number),
            _ => Owner::Peer,
        })
    }
}

/// The address from which this machine reaches the server.
fn local_ip(server: SocketAddr) -> Result<IpAddr, LoadError> {
    let any: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let probe = || {
        let socket = std::net::UdpSocket::bind(any)?;
        socket.connect(server)?;
        Ok(socket.local_addr()?.ip())
    };
    probe().map_err(LoadError::system("find a way to the server"))
}
