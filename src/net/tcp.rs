//! TCP listeners, and connections that leave from a given address.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel keeps until they are taken.
const BACKLOG: i32 = 1_024;

/// The same for a relayed address, of which there are many.
const RELAYED_BACKLOG: i32 = 64;

/// What the kernel keeps for a client that does not read, in bytes. More would only be older by
/// the time it arrives.
const SEND_BUFFER: usize = 256 << 10;

/// A listener in non-blocking mode. With `shared`, several may be bound to the address, and the
/// kernel spreads the connections over them.
///
/// # Errors
/// Those of the operating system.
pub fn listen_tcp(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = new_socket(address)?;
    socket.set_reuse_port(shared)?;
    // Connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A listener at a relayed address, in non-blocking mode. Nobody else is bound to the address, but
/// [`connect_tcp`] may leave from it.
///
/// # Errors
/// Those of the operating system.
pub fn listen_relayed_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = new_socket(address)?;
    // Other systems than Linux want to know before.
    let is_shared_later = cfg!(target_os = "linux");
    socket.set_reuse_port(!is_shared_later)?;
    socket.bind(&address.into())?;
    socket.listen(RELAYED_BACKLOG)?;
    // From here on it is ours to share.
    socket.set_reuse_port(true)?;
    Ok(socket.into())
}

/// Begins a connection to `to` that leaves from `from`, where a listener of
/// [`listen_relayed_tcp`] may be. The poller tells when it is there.
///
/// # Errors
/// Those of the operating system.
pub fn connect_tcp(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = new_socket(from)?;
    socket.set_reuse_port(true)?;
    socket.bind(&from.into())?;
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// A socket in non-blocking mode for an address whose old connections may still linger.
fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // So that `0.0.0.0` and `[::]` can stand beside each other.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_leaves_from_where_a_listener_is_and_nobody_else_listens_there() {
        let listener = listen_relayed_tcp("127.0.0.1:0".parse().expect("an address"));
        let listener = listener.expect("a free port");
        let relayed = listener.local_addr().expect("bound");
        assert!(listen_relayed_tcp(relayed).is_err());
        assert!(listen_tcp(relayed, false).is_err());
        let peers = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        for peer in &peers {
            let to = peer.local_addr().expect("bound");
            let _connection = connect_tcp(relayed, to).expect("begun");
            assert_eq!(peer.accept().expect("a connection").1, relayed);
        }
        let outside = TcpStream::connect(relayed).expect("connected");
        let (_, from) = listener.accept().expect("a connection");
        assert_eq!(from, outside.local_addr().expect("connected"));
    }
}
