//! Binds TCP listeners.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use tokio::net::TcpListener;

use super::error::StartError;
use super::holder::Protocol;

/// Connections that the kernel keeps until they are taken.
const BACKLOG: i32 = 1024;

/// A listener that is bound, and where.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) socket: TcpListener,
    pub(super) address: SocketAddr,
}

/// Binds all addresses of a key, or none.
pub(super) fn bind_all(addresses: &[SocketAddr], key: &str) -> Result<Vec<Bound>, StartError> {
    let bind_one = |address: &SocketAddr| {
        bind(*address).map_err(|error| StartError::bind(Protocol::Tcp, *address, key, &error))
    };
    addresses.iter().map(bind_one).collect()
}

fn bind(address: SocketAddr) -> io::Result<Bound> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(SocketProtocol::TCP))?;
    if address.is_ipv6() {
        // So that `0.0.0.0` and `[::]` can stand beside each other.
        socket.set_only_v6(true)?;
    }
    // On Unix this takes over an address whose old connections still linger; on Windows it would
    // take over one that is in use.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let socket = TcpListener::from_std(socket.into())?;
    let address = socket.local_addr()?;
    Ok(Bound { socket, address })
}
