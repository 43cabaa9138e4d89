//! A client's side of DTLS, on a socket of its own that tests may use beside it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, Dtls, DtlsCertificate, Output};

use crate::client::{Carrier, Client, PATIENCE};
use crate::tls;

/// An association, or one that is being made.
pub(crate) struct Association {
    pub(crate) socket: UdpSocket,
    dtls: Dtls,
    is_connected: bool,
    is_over: bool,
    /// The certificate that the server has shown.
    pub(crate) certificate: Vec<u8>,
}

/// A first hello.
pub(crate) fn hello() -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let mut dtls = Association::begin(socket).dtls;
    let mut buffer = [0; 2_000];
    match dtls.poll_output(&mut buffer) {
        Output::Packet(hello) => hello.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// A client with an association.
pub(crate) fn over_dtls(server: SocketAddr) -> Client<Association> {
    Client::new(Association::with(socket_to(server)))
}

pub(crate) fn socket_to(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((server.ip(), 0)).expect("bound");
    socket.connect(server).expect("connected");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

impl Association {
    /// Makes one by this socket.
    pub(crate) fn with(socket: UdpSocket) -> Self {
        let mut this = Self::begin(socket);
        while !this.is_connected {
            assert!(this.step().is_none(), "nothing has been asked yet");
            assert!(!this.is_over, "refused");
        }
        this
    }

    /// One that has not said anything yet.
    pub(crate) fn begin(socket: UdpSocket) -> Self {
        let config = Config::builder().build().expect("a configuration");
        let own = tls::certificate();
        let own = DtlsCertificate {
            certificate: own.cert.der().to_vec(),
            private_key: own.signing_key.serialize_der(),
        };
        let now = Instant::now();
        let mut dtls = Dtls::new_12(Arc::new(config), own, now);
        dtls.set_active(true);
        dtls.handle_timeout(now).expect("a client");
        Self {
            socket,
            dtls,
            is_connected: false,
            is_over: false,
            certificate: Vec::new(),
        }
    }

    /// Sends what there is to send; gives a message that has come, or waits for a datagram.
    pub(crate) fn step(&mut self) -> Option<Vec<u8>> {
        if let Some(message) = self.poll() {
            return Some(message);
        }
        let mut buffer = vec![0; 65_536];
        if let Ok(length) = self.socket.recv(&mut buffer) {
            self.take(&buffer[..length]);
        }
        self.poll()
    }

    /// Takes in a datagram.
    pub(crate) fn take(&mut self, datagram: &[u8]) {
        let now = Instant::now();
        self.dtls.handle_timeout(now).expect("in time");
        self.dtls.handle_packet(datagram).expect("understood");
    }

    /// Sends what there is to send; gives a message that has come.
    pub(crate) fn poll(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(datagram) => {
                    self.socket.send(datagram).expect("sent");
                }
                Output::ApplicationData(message) => return Some(message.to_vec()),
                Output::PeerCert(certificate) => self.certificate = certificate.to_vec(),
                Output::Connected => self.is_connected = true,
                Output::CloseNotify => self.is_over = true,
                Output::Timeout(_) => return None,
                _ => {}
            }
        }
    }

    /// The datagram that carries a message; it is not sent.
    pub(crate) fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        self.dtls.send_application_data(message).expect("connected");
        let mut buffer = vec![0; 65_536];
        match self.dtls.poll_output(&mut buffer) {
            Output::Packet(datagram) => datagram.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// Says good-bye.
    pub(crate) fn close(&mut self) {
        self.dtls.close().expect("connected");
        self.poll();
    }
}

impl Carrier for Association {
    fn send(&mut self, message: &[u8]) {
        let datagram = self.seal(message);
        self.socket.send(&datagram).expect("sent");
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        let start = Instant::now();
        while !self.is_over {
            assert!(start.elapsed() < PATIENCE, "nothing has come");
            if let Some(message) = self.step() {
                return Some(message);
            }
        }
        None
    }
}
