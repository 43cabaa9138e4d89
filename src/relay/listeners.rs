//! Binding the listeners, one of each for every worker.

use std::io;
use std::net::{SocketAddr, TcpListener};

use super::listener::Listener;
use super::settings::StartError;
use crate::net::{Buffers, UdpSocket, listen_tcp};
use crate::turn::{NatDiscovery, PeerPolicy, Transport};

/// What may wait at a listener: half a second of a hundred video streams.
const LISTENER_BUFFERS: Buffers = Buffers {
    receive: 8 << 20,
    send: 8 << 20,
};

/// The listeners of one worker.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) dtls: Vec<UdpSocket>,
    pub(super) tcp: Vec<TcpListener>,
}

impl Listeners {
    /// Those for datagrams, plain or in DTLS.
    fn for_datagrams(&self) -> impl Iterator<Item = &UdpSocket> {
        self.udp.iter().chain(&self.dtls)
    }

    /// Binds `address`, which other workers share.
    fn bind(&mut self, transport: Transport, address: SocketAddr) -> io::Result<()> {
        match transport {
            Transport::Udp => self.udp.push(UdpSocket::listen(address, true)?),
            Transport::Dtls => self.dtls.push(UdpSocket::listen(address, true)?),
            Transport::Tcp | Transport::Tls => self.tcp.push(listen_tcp(address, true)?),
        }
        Ok(())
    }
}

/// Everything that is bound for clients.
#[derive(Debug)]
pub(super) struct Bound {
    /// The listeners as bound, in the order of the settings.
    pub(super) listeners: Vec<Listener>,
    pub(super) nat_discovery: Option<NatDiscovery>,
    pub(super) of_workers: Vec<Listeners>,
}

impl Bound {
    /// All addresses where something is bound.
    pub(super) fn addresses(&self) -> Addresses {
        let extra = self.nat_discovery.iter().flat_map(NatDiscovery::extra);
        let (streams, datagrams): (Vec<_>, Vec<_>) = self
            .listeners
            .iter()
            .partition(|listener| listener.transport.is_stream());
        let of = |listeners: Vec<&Listener>| -> Vec<_> {
            listeners.iter().map(|listener| listener.address).collect()
        };
        let mut datagrams = of(datagrams);
        datagrams.extend(extra);
        Addresses {
            datagrams,
            streams: of(streams),
        }
    }
}

/// Where clients are served, and more that is bound for them.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    datagrams: Vec<SocketAddr>,
    streams: Vec<SocketAddr>,
}

impl Addresses {
    /// The policy that refuses them as peers, too.
    pub(super) fn refused_by(&self, policy: PeerPolicy) -> PeerPolicy {
        policy
            .with_listeners(self.datagrams.clone())
            .with_stream_listeners(self.streams.clone())
    }

    /// All of them, whatever carries what comes to them.
    pub(super) fn all(&self) -> Vec<SocketAddr> {
        [&self.datagrams[..], &self.streams].concat()
    }
}

/// Binds every listener once for each of `workers`, and what NAT behaviour discovery needs beside
/// them if there is an `alternate` address for it.
pub(super) fn bind_listeners(
    wanted: &[Listener],
    alternate: Option<SocketAddr>,
    workers: usize,
) -> Result<Bound, StartError> {
    let mut bound = Vec::new();
    let mut listeners: Vec<Listeners> = (0..workers).map(|_| Listeners::default()).collect();
    for &listener in wanted {
        let failed = |source| StartError::Listen { listener, source };
        let address = try_alone(listener).map_err(failed)?;
        for of_worker in &mut listeners {
            of_worker
                .bind(listener.transport, address)
                .map_err(failed)?;
        }
        bound.push(Listener {
            address,
            ..listener
        });
    }
    enlarge_all(listeners.iter().flat_map(Listeners::for_datagrams));
    if let Some(first) = listeners.first() {
        tell_without_trains(&first.udp);
    }
    let nat_discovery = alternate
        .map(|alternate| bind_discovery(&bound, alternate, &mut listeners))
        .transpose()?;
    Ok(Bound {
        listeners: bound,
        nat_discovery,
        of_workers: listeners,
    })
}

/// Binds those of the four places of NAT behaviour discovery that are not `bound`.
fn bind_discovery(
    bound: &[Listener],
    alternate: SocketAddr,
    listeners: &mut [Listeners],
) -> Result<NatDiscovery, StartError> {
    let failed = |address, source| StartError::NatDiscovery { address, source };
    let primary = Listener::discovery_primary(bound, alternate)
        .ok_or_else(|| failed(alternate, io::ErrorKind::InvalidInput.into()))?;
    let discovery = NatDiscovery::new(primary, alternate, &datagram_addresses(bound));
    for &address in discovery.extra() {
        let failed = |source| failed(address, source);
        let listener = Listener {
            transport: Transport::Udp,
            address,
        };
        try_alone(listener).map_err(failed)?;
        for of_worker in &mut *listeners {
            of_worker.bind(Transport::Udp, address).map_err(failed)?;
        }
    }
    Ok(discovery)
}

/// A shared bind would succeed beside another server's shared bind; an unshared one tells. Gives
/// the address as bound.
fn try_alone(listener: Listener) -> io::Result<SocketAddr> {
    match listener.transport {
        Transport::Udp | Transport::Dtls => Ok(UdpSocket::listen(listener.address, false)?.local()),
        Transport::Tcp | Transport::Tls => listen_tcp(listener.address, false)?.local_addr(),
    }
}

/// Tells where the system lacks what makes trains cheap.
fn tell_without_trains(sockets: &[UdpSocket]) {
    if sockets.first().is_some_and(|socket| !socket.can_segment()) {
        tracing::info!(
            "this system cannot cut trains of datagrams (UDP_SEGMENT, Linux 4.18 and later); \
             each is sent by itself"
        );
    }
}

/// Lets much wait at the listeners, or tells that it cannot.
fn enlarge_all<'a>(sockets: impl Iterator<Item = &'a UdpSocket>) {
    let granted = sockets
        .map(|socket| enlarge(socket, LISTENER_BUFFERS))
        .min();
    if let Some(granted) = granted.filter(|granted| *granted < LISTENER_BUFFERS.receive) {
        tracing::warn!(
            wanted = LISTENER_BUFFERS.receive,
            granted,
            "the system keeps socket buffers small, so bursts may be lost; \
             set net.core.rmem_max and net.core.wmem_max to {}",
            LISTENER_BUFFERS.receive
        );
    }
}

/// Gives how many bytes may wait in `socket` to be received.
fn enlarge(socket: &UdpSocket, wanted: Buffers) -> usize {
    // A socket that does not take the option works with what it has.
    socket
        .enlarge_buffers(wanted)
        .map_or(0, |granted| granted.receive)
}

/// Where the listeners for plain datagrams are bound.
pub(super) fn datagram_addresses(listeners: &[Listener]) -> Vec<SocketAddr> {
    let by_datagrams = |listener: &&Listener| listener.transport == Transport::Udp;
    let listeners = listeners.iter().filter(by_datagrams);
    listeners.map(|listener| listener.address).collect()
}
