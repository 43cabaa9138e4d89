//! A bare UDP forwarder: the socket calls of a relay and nothing else. It is the floor that the
//! benchmark of the relay compares with.
//!
//! `bare-forwarder LISTEN PEER [--gro]`: what a client sends to LISTEN goes, without its first four
//! bytes, to PEER through a socket of the client's own; what PEER sends back goes to the client,
//! with the four bytes in front that the client sent first. Nobody is authenticated, nothing
//! expires, nothing is parsed. With `--gro` trains are taken and sent as such.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use peerage::net::{Buffers, Outgoing, ReceiveBatch, SendSpace, UdpSocket};

type Error = Box<dyn std::error::Error>;

const HEADER: usize = 4;

/// How many datagrams or trains are taken a call.
const BATCH: usize = 64;

const BUFFERS: Buffers = Buffers {
    receive: 4 << 20,
    send: 4 << 20,
};

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, peer, options @ ..] = arguments.as_slice() else {
        return Err("usage: bare-forwarder LISTEN PEER [--gro]".into());
    };
    let gro = options.iter().any(|option| option == "--gro");
    Forwarder::new(listen.parse()?, peer.parse()?, gro)?.run()
}

/// A client's way to the peer.
struct Flow {
    client: SocketAddr,
    upstream: UdpSocket,
    header: [u8; HEADER],
}

struct Forwarder {
    listener: UdpSocket,
    peer: SocketAddr,
    gro: bool,
    poll: Poll,
    flows: Vec<Flow>,
    by_client: HashMap<SocketAddr, usize>,
    /// Sockets that may have something: 0 is the listener, then the flows.
    ready: VecDeque<usize>,
    is_ready: Vec<bool>,
    received: ReceiveBatch,
    space: SendSpace,
}

impl Forwarder {
    fn new(listen: SocketAddr, peer: SocketAddr, gro: bool) -> Result<Self, Error> {
        let listener = UdpSocket::listen(listen, false)?;
        let this = Self {
            listener,
            peer,
            gro,
            poll: Poll::new()?,
            flows: Vec::new(),
            by_client: HashMap::new(),
            ready: VecDeque::new(),
            is_ready: vec![false],
            received: ReceiveBatch::new(BATCH),
            space: SendSpace::new(gro),
        };
        this.register(&this.listener, 0)?;
        Ok(this)
    }

    fn register(&self, socket: &UdpSocket, number: usize) -> io::Result<()> {
        socket.enlarge_buffers(BUFFERS)?;
        socket.set_coalescing(self.gro);
        let mut source = SourceFd(&socket.as_raw_fd());
        let registry = self.poll.registry();
        registry.register(&mut source, Token(number), Interest::READABLE)
    }

    fn run(mut self) -> Result<(), Error> {
        let mut events = Events::with_capacity(1_024);
        loop {
            let patience = (!self.ready.is_empty()).then_some(std::time::Duration::ZERO);
            self.poll.poll(&mut events, patience)?;
            for event in &events {
                let Token(number) = event.token();
                if !std::mem::replace(&mut self.is_ready[number], true) {
                    self.ready.push_back(number);
                }
            }
            let mut upstreams = Vec::new();
            for _ in 0..self.ready.len() {
                match self.ready.pop_front() {
                    Some(0) => self.forward()?,
                    Some(number) => upstreams.push(number),
                    None => break,
                }
            }
            self.answer(&upstreams);
        }
    }

    /// Whether `number` is drained is told by how much it gave.
    fn note(&mut self, number: usize, is_drained: bool) {
        if is_drained {
            self.is_ready[number] = false;
        } else {
            self.ready.push_back(number);
        }
    }

    fn forward(&mut self) -> Result<(), Error> {
        self.received.clear();
        let taken = self.received.receive(&self.listener, BATCH).unwrap_or(0);
        self.note(0, taken < BATCH);
        let mut order = Vec::with_capacity(taken);
        for number in 0..taken {
            let Some(arrived) = self.received.arrived(number) else {
                continue;
            };
            let flow = match self.by_client.get(&arrived.from) {
                Some(&flow) => flow,
                None => {
                    let header = arrived.bytes.first_chunk().copied().unwrap_or_default();
                    open(&mut self.flows, &mut self.by_client, arrived.from, header)?
                }
            };
            order.push((flow, number));
        }
        for flow in self.is_ready.len() - 1..self.flows.len() {
            self.is_ready.push(false);
            self.register(&self.flows[flow].upstream, flow + 1)?;
        }
        // Each flow's packets leave by one call; the order within a flow stays.
        order.sort_by_key(|&(flow, number)| (flow, number));
        for run in order.chunk_by(|a, b| a.0 == b.0) {
            let upstream = &self.flows[run[0].0].upstream;
            let mut batch = self.space.batch();
            for &(_, number) in run {
                let arrived = self.received.arrived(number);
                for datagram in arrived.iter().flat_map(|arrived| arrived.datagrams()) {
                    if batch.is_full() {
                        batch.send(upstream);
                    }
                    batch.push(Outgoing {
                        to: self.peer,
                        from: None,
                        prefix: &[],
                        payload: datagram.get(HEADER..).unwrap_or_default(),
                        padding: 0,
                    });
                }
            }
            batch.send(upstream);
        }
        Ok(())
    }

    /// Takes what the upstream sockets have and sends it all by the listener.
    fn answer(&mut self, upstreams: &[usize]) {
        let mut next = 0;
        while next < upstreams.len() {
            self.received.clear();
            let mut owners = Vec::with_capacity(BATCH);
            while next < upstreams.len() && self.received.room() > 0 {
                let number = upstreams[next];
                let room = self.received.room();
                let flow = &self.flows[number - 1];
                let taken = self.received.receive(&flow.upstream, room).unwrap_or(0);
                owners.extend(std::iter::repeat_n(number - 1, taken));
                self.note(number, taken < room);
                next += 1;
            }
            let mut batch = self.space.batch();
            for (number, &flow) in owners.iter().enumerate() {
                let arrived = self.received.arrived(number);
                for datagram in arrived.iter().flat_map(|arrived| arrived.datagrams()) {
                    if batch.is_full() {
                        batch.send(&self.listener);
                    }
                    batch.push(Outgoing {
                        to: self.flows[flow].client,
                        from: None,
                        prefix: &self.flows[flow].header,
                        payload: datagram,
                        padding: 0,
                    });
                }
            }
            batch.send(&self.listener);
        }
    }
}

/// A flow for a new client.
fn open(
    flows: &mut Vec<Flow>,
    by_client: &mut HashMap<SocketAddr, usize>,
    client: SocketAddr,
    header: [u8; HEADER],
) -> io::Result<usize> {
    let upstream = UdpSocket::relay(SocketAddr::new(client.ip(), 0))?;
    flows.push(Flow {
        client,
        upstream,
        header,
    });
    by_client.insert(client, flows.len() - 1);
    Ok(flows.len() - 1)
}
