//! TCP listeners.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel keeps until they are taken.
const BACKLOG: i32 = 1_024;

/// What the kernel keeps for a client that does not read, in bytes. More would only be older by
/// the time it arrives.
const SEND_BUFFER: usize = 256 << 10;

/// A listener in non-blocking mode. With `shared`, several may be bound to the address, and the
/// kernel spreads the connections over them.
///
/// # Errors
/// Those of the operating system.
pub fn listen_tcp(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // So that `0.0.0.0` and `[::]` can stand beside each other.
        socket.set_only_v6(true)?;
    }
    // Takes over an address whose old connections still linger.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    // Connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
