//! Sockets of peers, which say and hear anything.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// How long a datagram may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket on a free port of the machine's address that `like` has.
pub(crate) fn bound(like: SocketAddr) -> UdpSocket {
    UdpSocket::bind((like.ip(), 0)).expect("a free port")
}

/// The next datagram at `socket`, and who sent it.
pub(crate) fn receive_from(
    socket: &UdpSocket,
    patience: Duration,
) -> Option<(Vec<u8>, SocketAddr)> {
    socket.set_read_timeout(Some(patience)).expect("not zero");
    let mut buffer = vec![0; 70_000];
    match socket.recv_from(&mut buffer) {
        Ok((length, from)) => Some((buffer[..length].to_vec(), from)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}

/// The next datagram at a peer: it must come.
pub(crate) fn at_peer(peer: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    receive_from(peer, PATIENCE).expect("in time")
}
