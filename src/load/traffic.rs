//! The packets of a thread: sending at a pace, echoing, and checking what arrives.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::allocation::send_indication_header;
use super::error::LoadError;
use super::histogram::Histogram;
use super::settings::{Carriage, Mode, Pace, Settings};
use super::sources::{Owner, Sources};
use super::stages::{Board, Stage};
use super::stamp::Stamp;
use crate::net::{Arrived, Outgoing, ReceiveBatch, SendSpace, UdpSocket};
use crate::stun::{Attribute, ChannelData, ChannelNumber, Message, padding};

/// Every client binds the same one.
pub(super) const CHANNEL: u16 = ChannelNumber::MIN;

/// After how long a packet is taken for lost, and another is sent in its place.
const PATIENCE: Duration = Duration::from_millis(250);

/// A generator that has fallen behind its rate does not catch up by more than this at once.
const CATCH_UP: usize = 256;

/// The most packets that leave by one call.
const BATCH: usize = 256;

/// The longest header of a Send indication, and a stamp.
const PREFIX: usize = 48;

/// What has been sent and what has arrived, in packets.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) unsent: u64,
    /// At the end of the whole way.
    pub(super) arrived: u64,
    /// Those that have turned at the peer.
    pub(super) echoed: u64,
    /// Bytes or sender are wrong.
    pub(super) corrupted: u64,
    /// Came after a later one of the same client, or twice.
    pub(super) misordered: u64,
    /// How long the way took in the measured time, in nanoseconds.
    pub(super) delays: Histogram,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.arrived += other.arrived;
        self.echoed += other.echoed;
        self.corrupted += other.corrupted;
        self.misordered += other.misordered;
        self.delays.add(&other.delays);
    }
}

/// One client's packets.
struct Flow {
    /// What goes before the stamp.
    header: Box<[u8]>,
    sent: u32,
    /// The sequence number that comes next if none is lost.
    expected: u32,
}

pub(super) struct Traffic<'a> {
    settings: &'a Settings,
    board: &'a Board,
    /// The number of the first flow among those of all threads.
    first: usize,
    flows: Vec<Flow>,
    /// What follows the stamp in each payload.
    filler: Box<[u8]>,
    /// Whose turn it is.
    next_flow: usize,
    under_way: usize,
    since_sweep: usize,
    swept: Instant,
    start: Instant,
    counts: Counts,
}

/// Memory for batches.
pub(super) struct Batches {
    pub(super) receive: ReceiveBatch,
    pub(super) send: SendSpace,
}

impl Batches {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            receive: ReceiveBatch::new(64),
            // Without trains each packet must go on its own, also where several follow each other.
            send: SendSpace::new(settings.train > 1),
        }
    }
}

impl<'a> Traffic<'a> {
    /// `start` is the same for all threads.
    pub(super) fn new(
        settings: &'a Settings,
        board: &'a Board,
        first: usize,
        headers: Vec<Box<[u8]>>,
        start: Instant,
    ) -> Self {
        let flow = |header| Flow {
            header,
            sent: 0,
            expected: 0,
        };
        let filler = (0..settings.payload - Stamp::LENGTH).map(|n| (n * 7 + 1) as u8);
        Self {
            settings,
            board,
            first,
            flows: headers.into_iter().map(flow).collect(),
            filler: filler.collect(),
            next_flow: 0,
            under_way: 0,
            since_sweep: 0,
            swept: start,
            start,
            counts: Counts::default(),
        }
    }

    /// Sends and receives until the load is over.
    pub(super) fn run(
        mut self,
        sources: &mut Sources,
        batches: &mut Batches,
    ) -> Result<Counts, LoadError> {
        let began = Instant::now();
        loop {
            let stage = self.board.stage();
            if stage == Stage::Over {
                return Ok(self.counts);
            }
            sources.poll(Duration::ZERO)?;
            let ready = sources.ready();
            for _ in 0..ready {
                self.receive(sources, batches, stage);
            }
            let now = Instant::now();
            self.sweep(now);
            if stage != Stage::Drain {
                let packets = self.due(now - began);
                self.send(packets, sources, &mut batches.send);
            }
            self.board
                .set_crossings(self.counts.arrived + self.counts.echoed);
            if ready == 0 {
                std::thread::yield_now();
            }
        }
    }

    /// Packets that have not come back for long will not come any more.
    fn sweep(&mut self, now: Instant) {
        if now - self.swept >= PATIENCE {
            self.under_way = self.under_way.min(self.since_sweep);
            self.since_sweep = 0;
            self.swept = now;
        }
    }

    /// How many packets should leave now, `since_start` of the traffic.
    fn due(&self, since_start: Duration) -> usize {
        let train = self.settings.train;
        match self.settings.pace {
            Pace::Saturate { window } => {
                let window = window / self.settings.threads;
                window.max(train).saturating_sub(self.under_way) / train * train
            }
            Pace::Rate(rate) => {
                let rate = rate / self.settings.threads as f64;
                let sent = self.counts.sent + self.counts.unsent;
                let should = (since_start.as_secs_f64() * rate) as u64;
                let behind = should.saturating_sub(sent) as usize;
                behind.min(CATCH_UP.max(train)) / train * train
            }
            Pace::Bursts(packets) if self.under_way == 0 => packets,
            Pace::Bursts(_) => 0,
        }
    }

    /// Sends this many packets, by the flows in turn: a train of each, or a whole burst of one.
    fn send(&mut self, packets: usize, sources: &Sources, space: &mut SendSpace) {
        let is_burst = matches!(self.settings.pace, Pace::Bursts(_));
        let joins = sources.shares() || self.flows.len() == 1;
        let (in_a_call, stays) = match self.settings.train {
            1 if is_burst => (BATCH, true),
            1 if joins => (BATCH, false),
            train => (train, true),
        };
        let ticks = Stamp::ticks(self.start.elapsed());
        let mut left = packets;
        while left > 0 {
            let count = left.min(in_a_call);
            let (socket, _) = sources.of_client(self.next_flow);
            let mut batch = space.batch();
            for _ in 0..count {
                let number = self.next_flow;
                let flow = &mut self.flows[number];
                let mut prefix = [0; PREFIX];
                let length = flow.prefix((self.first + number) as u32, ticks, &mut prefix);
                batch.push(Outgoing {
                    to: self.settings.server,
                    from: sources.of_client(number).1,
                    prefix: &prefix[..length],
                    payload: &self.filler,
                    padding: match self.settings.carriage {
                        Carriage::Channels => 0,
                        Carriage::Indications => padding(self.settings.payload),
                    },
                });
                if !stays {
                    self.next_flow = (number + 1) % self.flows.len();
                }
            }
            let outcome = batch.send(socket);
            self.counts.sent += outcome.sent;
            self.counts.unsent += outcome.unsent;
            self.under_way += outcome.sent as usize;
            self.since_sweep += outcome.sent as usize;
            left -= count;
            if stays && !is_burst {
                self.next_flow = (self.next_flow + 1) % self.flows.len();
            }
        }
        if is_burst && packets > 0 {
            self.next_flow = (self.next_flow + 1) % self.flows.len();
        }
    }

    /// Takes what one socket has.
    fn receive(&mut self, sources: &mut Sources, batches: &mut Batches, stage: Stage) {
        let owner = sources.receive(&mut batches.receive);
        if let (Some(Owner::Peer), Mode::Echo, Some(peer)) =
            (owner, self.settings.mode, sources.peer())
        {
            self.echo(peer, batches);
            return;
        }
        let ticks = (stage == Stage::Measure).then(|| Stamp::ticks(self.start.elapsed()));
        for number in 0..batches.receive.len() {
            let Some(arrived) = batches.receive.arrived(number) else {
                continue;
            };
            let client = match owner {
                Some(Owner::Client(client)) => Some(client),
                Some(Owner::Clients) => sources.client_at(arrived.to),
                Some(Owner::Peer) | None => None,
            };
            for datagram in arrived.datagrams() {
                self.take(datagram, client, ticks);
            }
        }
    }

    /// A datagram at a client, or at the peer that does not echo.
    fn take(&mut self, datagram: &[u8], client: Option<usize>, ticks: Option<u32>) {
        let (payload, sender) = match (client, self.settings.mode) {
            (None, _) => (Some(datagram), None),
            (Some(client), Mode::Relay) => (payload(datagram), Some(client ^ 1)),
            (Some(client), _) => (payload(datagram), Some(client)),
        };
        // Late answers of the setup are no packets.
        let Some(payload) = payload else { return };
        self.counts.arrived += 1;
        self.under_way = self.under_way.saturating_sub(1);
        let flow = self.check(payload, sender);
        match flow {
            None => self.counts.corrupted += 1,
            Some((flow, stamp)) => {
                let in_order = stamp.sequence >= flow.expected;
                flow.expected = flow.expected.max(stamp.sequence.wrapping_add(1));
                self.counts.misordered += u64::from(!in_order);
                if let Some(ticks) = ticks {
                    self.counts.delays.record(stamp.age(ticks));
                }
            }
        }
    }

    /// The flow that a payload belongs to, if its bytes are right and it is where it should be.
    fn check(&mut self, payload: &[u8], sender: Option<usize>) -> Option<(&mut Flow, Stamp)> {
        let (stamp, rest) = Stamp::read(payload)?;
        let number = (stamp.flow as usize).checked_sub(self.first)?;
        let is_right = *rest == *self.filler && sender.is_none_or(|sender| sender == number);
        let flow = self.flows.get_mut(number)?;
        is_right.then_some((flow, stamp))
    }

    /// Sends what has arrived at the peer back, in trains no longer than those of clients.
    fn echo(&mut self, peer: &UdpSocket, batches: &mut Batches) {
        let mut batch = batches.send.batch();
        let (mut last, mut run) = (None, 0);
        for number in 0..batches.receive.len() {
            let Some(arrived) = batches.receive.arrived(number) else {
                continue;
            };
            for datagram in arrived.datagrams() {
                run = if last == Some(arrived.from) {
                    run + 1
                } else {
                    1
                };
                last = Some(arrived.from);
                let is_train_over = self.settings.train > 1 && run > self.settings.train;
                if is_train_over || batch.is_full() {
                    batch.send(peer);
                    run = 1;
                }
                batch.push(back(&arrived, datagram));
                self.counts.echoed += 1;
            }
        }
        batch.send(peer);
    }
}

impl Flow {
    /// Writes what goes before the filler of the next packet; gives its length.
    fn prefix(&mut self, flow: u32, ticks: u32, prefix: &mut [u8; PREFIX]) -> usize {
        let stamp = Stamp {
            flow,
            sequence: self.sent,
            ticks,
        };
        self.sent = self.sent.wrapping_add(1);
        let header = self.header.len();
        prefix[..header].copy_from_slice(&self.header);
        prefix[header..header + Stamp::LENGTH].copy_from_slice(&stamp.to_bytes());
        header + Stamp::LENGTH
    }
}

fn back<'p>(arrived: &Arrived<'_>, payload: &'p [u8]) -> Outgoing<'static, 'p> {
    Outgoing {
        to: arrived.from,
        from: None,
        prefix: &[],
        payload,
        padding: 0,
    }
}

/// The application's bytes in what a server has sent.
fn payload(datagram: &[u8]) -> Option<&[u8]> {
    match ChannelData::parse(datagram) {
        Some(data) => (data.number.value() == CHANNEL).then_some(data.payload),
        None => Message::parse(datagram).ok()?.find(Attribute::DATA),
    }
}

/// What a client puts before each payload to `peer`.
pub(super) fn header(settings: &Settings, peer: SocketAddr) -> Box<[u8]> {
    match settings.carriage {
        Carriage::Channels => {
            let number = ChannelNumber::new(CHANNEL).expect("a channel's number");
            ChannelData::header(number, settings.payload as u16).into()
        }
        Carriage::Indications => send_indication_header(peer, settings.payload).into(),
    }
}
