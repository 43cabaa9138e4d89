//! Whether a socket is asked to let trains arrive as one buffer (`UDP_GRO`).
//!
//! A train that arrives joined costs a fraction of what its datagrams would; but to be ready for
//! trains makes each single datagram dearer. So a socket that sees no trains is asked to stop, and
//! is given another chance from time to time.

use std::time::Duration;

use crate::net::UdpSocket;
use crate::time::Instant;

/// After how many arrivals it is judged.
const TRIAL: u32 = 64;
/// The wait before the first new chance, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(16);

/// The judgement over one socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coalescing {
    state: State,
    wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The system cannot, or is not to.
    Never,
    /// Trains come joined; so many arrivals and datagrams have come since it was last judged.
    On {
        arrivals: u32,
        datagrams: u32,
    },
    Off {
        until: Instant,
    },
}

impl Coalescing {
    /// Lets trains come joined, where the system can.
    pub(super) fn start(socket: &UdpSocket) -> Self {
        let can = socket.set_coalescing(true);
        let state = if can {
            State::On {
                arrivals: 0,
                datagrams: 0,
            }
        } else {
            State::Never
        };
        Self {
            state,
            wait: FIRST_WAIT,
        }
    }

    /// Lets every datagram come by itself.
    pub(super) fn never() -> Self {
        Self {
            state: State::Never,
            wait: FIRST_WAIT,
        }
    }

    /// Whether an arrival may be more than one datagram.
    pub(super) fn is_on(&self) -> bool {
        matches!(self.state, State::On { .. })
    }

    /// So many `datagrams` came in so many `arrivals`.
    pub(super) fn note(
        &mut self,
        arrivals: usize,
        datagrams: usize,
        now: Instant,
        socket: &UdpSocket,
    ) {
        match &mut self.state {
            State::Never => {}
            State::Off { until } if *until <= now => {
                socket.set_coalescing(true);
                self.state = State::On {
                    arrivals: 0,
                    datagrams: 0,
                };
            }
            State::Off { .. } => {}
            State::On {
                arrivals: seen,
                datagrams: all,
            } => {
                *seen = seen.saturating_add(arrivals as u32);
                *all = all.saturating_add(datagrams as u32);
                if *seen >= TRIAL {
                    let (seen, all) = (*seen, *all);
                    self.judge(seen, all, now, socket);
                }
            }
        }
    }

    /// One train in eight arrivals is worth it.
    fn judge(&mut self, arrivals: u32, datagrams: u32, now: Instant, socket: &UdpSocket) {
        if datagrams >= arrivals + arrivals / 8 {
            self.wait = FIRST_WAIT;
            self.state = State::On {
                arrivals: 0,
                datagrams: 0,
            };
        } else {
            socket.set_coalescing(false);
            self.state = State::Off {
                until: now + self.wait,
            };
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> UdpSocket {
        UdpSocket::relay("127.0.0.1:0".parse().expect("an address")).expect("bound")
    }

    fn at(milliseconds: u64) -> Instant {
        Instant::from_start(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_socket_without_trains_stops_and_gets_another_chance_ever_more_rarely() {
        let socket = socket();
        let mut coalescing = Coalescing::start(&socket);
        if coalescing.state == State::Never {
            return;
        }
        coalescing.note(63, 63, at(0), &socket);
        assert!(coalescing.is_on());
        coalescing.note(1, 1, at(0), &socket);
        assert!(!coalescing.is_on());
        coalescing.note(100, 100, at(499), &socket);
        assert!(!coalescing.is_on());
        coalescing.note(1, 1, at(500), &socket);
        assert!(coalescing.is_on());
        coalescing.note(64, 64, at(500), &socket);
        coalescing.note(1, 1, at(1_499), &socket);
        assert!(!coalescing.is_on());
        coalescing.note(1, 1, at(1_500), &socket);
        assert!(coalescing.is_on());
    }

    #[test]
    fn a_socket_with_trains_goes_on() {
        let socket = socket();
        let mut coalescing = Coalescing::start(&socket);
        for round in 0..10 {
            coalescing.note(64, 64 * 16, at(round), &socket);
            assert!(coalescing.is_on() || coalescing.state == State::Never);
        }
    }
}
