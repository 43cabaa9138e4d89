//! Both sides of an association for tests: a worker's, and a client's.

use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;
use std::time::{Duration, Instant as SystemInstant};

use arc_swap::ArcSwap;
use dimpl::{Config, Dtls, DtlsCertificate, Output};

use super::associations::{Associations, Due, Heard};
use super::dtls_step::{Arrival, Plaintexts};
use super::sockets::{Reception, Sockets};
use crate::metrics::RelayCounters;
use crate::net::{Admission, Clock, Cookies, DtlsIdentity, UdpSocket};
use crate::time::Instant;
use crate::turn::{FiveTuple, Transport};

/// A listener, a client's socket, and what is between them, under virtual time.
pub(super) struct World {
    pub(super) associations: Associations,
    pub(super) sockets: Sockets,
    pub(super) plaintexts: Plaintexts,
    pub(super) counters: RelayCounters,
    socket: StdSocket,
    pub(super) client: FiveTuple,
    now: Instant,
    _poll: mio::Poll,
}

fn certificate() -> DtlsCertificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.expect("a certificate");
    DtlsCertificate {
        certificate: made.cert.der().to_vec(),
        private_key: made.signing_key.serialize_der(),
    }
}

impl World {
    pub(super) fn new(places: usize) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = UdpSocket::listen(any, false).expect("bound");
        let server = listener.local();
        let poll = mio::Poll::new().expect("a poller");
        let reception = Reception {
            batching: true,
            traffic_class: false,
        };
        let sockets = Sockets::new(vec![], vec![listener], reception, poll.registry());
        let socket = StdSocket::bind(any).expect("bound");
        socket.set_nonblocking(true).expect("not blocking");
        let DtlsCertificate {
            certificate,
            private_key,
        } = certificate();
        let identity = DtlsIdentity::new(&certificate, &private_key).expect("fit");
        let associations = Associations::new(
            Some(Arc::new(ArcSwap::from_pointee(identity))),
            Cookies::new().expect("randomness"),
            Arc::new(Admission::new(places, 0)),
            Clock::start(),
        );
        Self {
            associations,
            sockets: sockets.expect("registered"),
            plaintexts: Plaintexts::new(true),
            counters: RelayCounters::default(),
            client: FiveTuple {
                client: socket.local_addr().expect("bound"),
                server,
                transport: Transport::Dtls,
            },
            socket,
            now: Instant::from_start(Duration::from_secs(100)),
            _poll: poll,
        }
    }

    pub(super) fn hear(&mut self, datagram: &[u8]) -> Heard {
        let socket = self.sockets.socket_of(self.client).expect("there is one");
        let arrival = Arrival {
            client: self.client,
            datagram,
            socket,
        };
        self.associations
            .hear(arrival, &mut self.plaintexts, &self.counters, self.now)
    }

    /// What has been sent to the client.
    pub(super) fn sent(&self) -> Vec<Vec<u8>> {
        let mut buffer = [0; 4_096];
        let next = || Some(self.socket.recv(&mut buffer).ok()?).map(|n| buffer[..n].to_vec());
        std::iter::from_fn(next).collect()
    }

    /// What the server wants when its time has come, until `seconds` later.
    pub(super) fn wait(&mut self, seconds: u64, has_allocation: bool) -> Vec<Due> {
        let end = self.now + Duration::from_secs(seconds);
        let mut over = Vec::new();
        while let Some(next) = self
            .associations
            .next_deadline()
            .filter(|next| *next <= end)
        {
            self.now = self.now.max(next);
            let (sockets, plaintexts) = (&self.sockets, &mut self.plaintexts);
            while let Some(due) = self.associations.pop_due(sockets, plaintexts, self.now) {
                let is_spared = due == Due::Silent(self.client)
                    && self
                        .associations
                        .spare(self.client, has_allocation, self.now);
                if !is_spared {
                    over.push(due);
                }
            }
        }
        self.now = end;
        over
    }

    pub(super) fn is_known(&self) -> bool {
        self.associations.by_client.contains_key(&self.client)
    }
}

/// The other side.
pub(super) struct Client(pub(super) Dtls);

impl Client {
    pub(super) fn new() -> Self {
        let config = Config::builder().build().expect("a configuration");
        let now = SystemInstant::now();
        let mut dtls = Dtls::new_12(Arc::new(config), certificate(), now);
        dtls.set_active(true);
        dtls.handle_timeout(now).expect("a client");
        Self(dtls)
    }

    /// What it says next; whether it has been told that the handshake is done.
    pub(super) fn says(&mut self) -> (Vec<Vec<u8>>, bool) {
        let (mut datagrams, mut is_done) = (Vec::new(), false);
        let mut buffer = [0; 4_096];
        loop {
            match self.0.poll_output(&mut buffer) {
                Output::Packet(datagram) => datagrams.push(datagram.to_vec()),
                Output::Connected => is_done = true,
                Output::Timeout(_) => return (datagrams, is_done),
                _ => {}
            }
        }
    }

    pub(super) fn take(&mut self, datagrams: Vec<Vec<u8>>) {
        for datagram in datagrams {
            self.0.handle_packet(&datagram).expect("understood");
        }
    }

    /// Goes on with the handshake for so many flights; gives what came of the last.
    pub(super) fn shake(&mut self, world: &mut World, flights: usize) -> Heard {
        let mut heard = Heard::Messages;
        for _ in 0..flights {
            for datagram in self.says().0 {
                heard = world.hear(&datagram);
            }
            self.take(world.sent());
        }
        heard
    }

    pub(super) fn seals(&mut self, message: &[u8]) -> Vec<u8> {
        self.0.send_application_data(message).expect("connected");
        self.says().0.remove(0)
    }
}

/// The hello, that with the cookie, and the rest.
pub(super) const FLIGHTS: usize = 3;
