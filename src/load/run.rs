//! A load from its beginning to its end: the threads are led from part to part, and between two
//! parts the server's process is looked at.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::allocation::{Allocation, Request};
use super::error::LoadError;
use super::report::{Report, SetupReport, TrafficReport};
use super::settings::{Carriage, Login, Mode, Protocol, Settings};
use super::setup::Setup;
use super::sources::Sources;
use super::stages::{Board, Progress, Stage, Step};
use super::traffic::{Batches, CHANNEL, Counts, Traffic, header};
use crate::auth::TimeLimited;
use crate::net::{Clock, UdpSocket};
use crate::stun::ChannelNumber;

/// How long packets flow before they count, and how long late ones may take in the end.
const WARM_UP: Duration = Duration::from_millis(300);
const DRAIN: Duration = Duration::from_millis(400);

/// How often progress is told.
const TELL: Duration = Duration::from_millis(200);

/// For how long credentials are good.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// The first allocations cost what a server makes once: they are made before the others are
/// measured. This many at most.
const FIRST_ALLOCATIONS: usize = 100;

/// Makes a load and measures.
///
/// # Errors
/// If the server does not play along, or the system.
pub fn run(settings: &Settings, progress: &dyn Fn(Progress)) -> Result<Report, LoadError> {
    settings.check()?;
    let start = Instant::now();
    let boards: Vec<Board> = (0..settings.threads).map(|_| Board::default()).collect();
    thread::scope(|scope| {
        let (reached, reports) = mpsc::channel();
        let (mut go, mut threads, mut first) = (Vec::new(), Vec::new(), 0);
        for (number, board) in boards.iter().enumerate() {
            let (sender, receiver) = mpsc::channel();
            go.push(sender);
            let step = Step {
                reached: reached.clone(),
                go: receiver,
            };
            let place = Place {
                settings,
                board,
                number,
                first,
                start,
            };
            first += settings.clients_of_thread(number);
            threads.push(scope.spawn(move || place.work(&step)));
        }
        drop(reached);
        let lead = Lead {
            settings,
            boards: &boards,
            reports,
            go,
            progress,
        };
        let report = lead.run();
        // Without those that say go, every thread that still waits ends.
        boards.iter().for_each(|board| board.set_stage(Stage::Over));
        drop(lead);
        let mut counts = Counts::default();
        for thread in threads {
            match thread.join() {
                Ok(Some(more)) => counts.add(&more),
                Ok(None) => {}
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        report?.with(settings, &counts)
    })
}

/// A thread of the load.
struct Place<'a> {
    settings: &'a Settings,
    board: &'a Board,
    number: usize,
    /// The number of its first client among all.
    first: usize,
    start: Instant,
}

impl Place<'_> {
    /// Does everything; what goes wrong is told to the lead.
    fn work(&self, step: &Step) -> Option<Counts> {
        match self.parts(step) {
            Ok(counts) => Some(counts),
            Err(error) => {
                // If nobody listens any more, the load has failed before.
                let _ = step.reached.send(Err(error));
                None
            }
        }
    }

    fn parts(&self, step: &Step) -> Result<Counts, LoadError> {
        let mut sources = Sources::open(self.settings, self.number, self.first)?;
        let mut batches = Batches::new(self.settings);
        let mut clients = match &self.settings.protocol {
            Protocol::Turn(login) => self.clients(login),
            Protocol::Forwarder => Vec::new(),
        };
        let counts = self
            .set_up(step, &mut clients, &mut sources, &mut batches)
            .and_then(|()| self.traffic(&clients, &mut sources, &mut batches));
        if counts.is_ok() {
            step.next()?;
        }
        self.release(&mut clients, &mut sources, &mut batches);
        let counts = counts?;
        step.next()?;
        Ok(counts)
    }

    /// Makes the allocations and what they need for packets; those that are not measured first.
    fn set_up(
        &self,
        step: &Step,
        clients: &mut [Allocation],
        sources: &mut Sources,
        batches: &mut Batches,
    ) -> Result<(), LoadError> {
        let peer = sources.peer().map(UdpSocket::local);
        let carriage = self.settings.carriage;
        let grant = |clients: &[Allocation], client: usize| {
            let other = || clients[client ^ 1].relayed();
            let peer = peer.or_else(other).unwrap_or(self.settings.server);
            match carriage {
                Carriage::Channels => {
                    let number = ChannelNumber::new(CHANNEL).expect("a channel's number");
                    Request::Bind(number, peer)
                }
                Carriage::Indications => Request::Permit(peer),
            }
        };
        let has_traffic = self.settings.mode != Mode::Idle;
        let (early, end) = (first_allocations(clients.len()), clients.len());
        let families = self.settings.families;
        let allocate = |client| Request::Allocate(families.of(client));
        let mut setup = self.setup(clients, sources, batches);
        setup.ask(0..early, |_, client| allocate(client))?;
        if has_traffic {
            setup.ask(0..early, grant)?;
        }
        step.next()?;
        setup.ask(early..end, |_, client| allocate(client))?;
        step.next()?;
        if has_traffic {
            setup.ask(early..end, grant)?;
        }
        step.next()
    }

    fn setup<'s>(
        &'s self,
        clients: &'s mut [Allocation],
        sources: &'s mut Sources,
        batches: &'s mut Batches,
    ) -> Setup<'s> {
        Setup {
            server: self.settings.server,
            sources,
            clients,
            board: self.board,
            batch: &mut batches.receive,
            space: &mut batches.send,
        }
    }

    fn traffic(
        &self,
        clients: &[Allocation],
        sources: &mut Sources,
        batches: &mut Batches,
    ) -> Result<Counts, LoadError> {
        if self.settings.mode == Mode::Idle {
            self.idle();
            return Ok(Counts::default());
        }
        let headers = self.headers(clients, sources.peer().map(UdpSocket::local));
        let traffic = Traffic::new(self.settings, self.board, self.first, headers, self.start);
        traffic.run(sources, batches)
    }

    fn clients(&self, login: &Login) -> Vec<Allocation> {
        let now = Clock::start().now();
        // A server may remember the clients of a load before this one.
        let salt = now.unix.as_nanos() as u64;
        let count = self.settings.clients_of_thread(self.number);
        (self.first..self.first + count)
            .map(|number| {
                let salt = salt.wrapping_add(number as u64);
                match login {
                    Login::Secret(secret) => {
                        let name = format!("bench-{number}");
                        let minted = TimeLimited::mint(secret, &name, LIFETIME, now);
                        Allocation::new(minted.username, minted.password, salt)
                    }
                    Login::User { username, password } => {
                        Allocation::new(username.clone(), password.clone(), salt)
                    }
                }
            })
            .collect()
    }

    /// What each client puts before its payloads.
    fn headers(&self, clients: &[Allocation], peer: Option<SocketAddr>) -> Vec<Box<[u8]>> {
        let count = self.settings.clients_of_thread(self.number);
        let to = |client: usize| {
            let other = || clients.get(client ^ 1).and_then(Allocation::relayed);
            peer.or_else(other).unwrap_or(self.settings.server)
        };
        (0..count)
            .map(|client| header(self.settings, to(client)))
            .collect()
    }

    fn idle(&self) {
        while self.board.stage() != Stage::Over {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Gives back the allocations that there are. A server that does not take them ends them by
    /// itself.
    fn release(&self, clients: &mut [Allocation], sources: &mut Sources, batches: &mut Batches) {
        let has_one = |client: &usize| clients[*client].relayed().is_some();
        let owners: Vec<usize> = (0..clients.len()).filter(has_one).collect();
        let mut setup = self.setup(clients, sources, batches);
        let _ = setup.ask(owners, |_, _| Request::Release);
    }
}

/// How many of a thread's clients are made before the measuring begins; an even number.
fn first_allocations(clients: usize) -> usize {
    (clients / 10).min(FIRST_ALLOCATIONS) / 2 * 2
}

/// The server's process and the clock at one moment.
#[derive(Clone, Copy)]
struct Snapshot {
    at: Instant,
    cpu: Option<Duration>,
    resident: Option<u64>,
    crossings: u64,
}

/// Leads the threads.
struct Lead<'a> {
    settings: &'a Settings,
    boards: &'a [Board],
    reports: Receiver<Result<(), LoadError>>,
    go: Vec<Sender<()>>,
    progress: &'a dyn Fn(Progress),
}

impl Lead<'_> {
    fn run(&self) -> Result<Report, LoadError> {
        let of = self.settings.allocations;
        let allocating = |done| Progress::Allocating { done, of };
        self.await_all(&allocating)?;
        let empty = self.snapshot()?;
        self.go();
        self.await_all(&allocating)?;
        let allocated = self.snapshot()?;
        self.go();
        self.await_all(&|done| Progress::Binding { done, of })?;
        let bound = self.snapshot()?;
        let setup = self.setup_report(empty, allocated, bound);
        self.go();
        let traffic = self.traffic()?;
        self.await_all(&|_| Progress::Measuring)?;
        self.go();
        self.await_all(&|done| Progress::Releasing { done, of })?;
        self.go();
        Ok(Report::new(setup, traffic))
    }

    /// Waits until every thread has come to the end of its part.
    fn await_all(&self, progress: &dyn Fn(usize) -> Progress) -> Result<(), LoadError> {
        let mut reached = 0;
        while reached < self.boards.len() {
            match self.reports.recv_timeout(TELL) {
                Ok(result) => {
                    result?;
                    reached += 1;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let done = self.boards.iter().map(Board::answered).sum();
                    (self.progress)(progress(done));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(LoadError::Stopped),
            }
        }
        Ok(())
    }

    fn go(&self) {
        for go in &self.go {
            // A thread that is gone has told why, or will be joined.
            let _ = go.send(());
        }
    }

    fn snapshot(&self) -> Result<Snapshot, LoadError> {
        let process = self.settings.process;
        let read = LoadError::system("read the server's process");
        let cpu = process.map(|process| process.cpu()).transpose();
        let resident = process.map(|process| process.resident()).transpose();
        let (cpu, resident) = cpu.and_then(|cpu| Ok((cpu, resident?))).map_err(read)?;
        Ok(Snapshot {
            at: Instant::now(),
            cpu,
            resident,
            crossings: self.boards.iter().map(Board::crossings).sum(),
        })
    }

    fn setup_report(
        &self,
        empty: Snapshot,
        allocated: Snapshot,
        bound: Snapshot,
    ) -> Option<SetupReport> {
        if matches!(self.settings.protocol, Protocol::Forwarder) {
            return None;
        }
        let threads = 0..self.settings.threads;
        let counts = threads.map(|thread| {
            let clients = self.settings.clients_of_thread(thread);
            clients - first_allocations(clients)
        });
        let count = counts.sum::<usize>() as f64;
        let cpu = empty.cpu.zip(allocated.cpu);
        let resident = empty.resident.zip(bound.resident);
        Some(SetupReport {
            allocations_per_second: count / (allocated.at - empty.at).as_secs_f64(),
            cpu_microseconds_per_allocation: cpu
                .map(|(before, after)| (after - before).as_secs_f64() * 1e6 / count),
            bytes_per_allocation: resident
                .map(|(before, after)| after.saturating_sub(before) as f64 / count),
        })
    }

    /// Lets packets flow, and measures in the middle of it.
    fn traffic(&self) -> Result<TrafficReport, LoadError> {
        let set_stage = |stage| self.boards.iter().for_each(|board| board.set_stage(stage));
        let has_traffic = self.settings.mode != Mode::Idle;
        if has_traffic {
            self.wait(WARM_UP)?;
        }
        let before = self.snapshot()?;
        set_stage(Stage::Measure);
        self.wait(self.settings.duration)?;
        let after = self.snapshot()?;
        set_stage(Stage::Drain);
        if has_traffic {
            self.wait(DRAIN)?;
        }
        set_stage(Stage::Over);
        let seconds = (after.at - before.at).as_secs_f64();
        let crossings = after.crossings - before.crossings;
        let cpu = before.cpu.zip(after.cpu);
        let cpu = cpu.map(|(before, after)| (after - before).as_secs_f64());
        Ok(TrafficReport {
            seconds,
            packets: crossings,
            packets_per_second: crossings as f64 / seconds,
            cpu_nanoseconds_per_packet: cpu
                .filter(|_| crossings > 0)
                .map(|cpu| cpu * 1e9 / crossings as f64),
            cpu_cores: cpu.map(|cpu| cpu / seconds),
            ..TrafficReport::default()
        })
    }

    /// Lets time pass, unless a thread fails.
    fn wait(&self, duration: Duration) -> Result<(), LoadError> {
        (self.progress)(Progress::Measuring);
        match self.reports.recv_timeout(duration) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) | Err(RecvTimeoutError::Disconnected) => Err(LoadError::Stopped),
        }
    }
}
