//! An alarm that a poller waits for beside its sockets.
//!
//! A time limit given to every wait costs a timer armed and disarmed at each, which a quiet relay
//! does as often as it relays. An alarm is armed once for as long as the deadline stays.

use std::time::Duration;

use super::Clock;
use crate::time::Instant;

#[cfg(target_os = "linux")]
pub use timer::Alarm;

#[cfg(not(target_os = "linux"))]
pub use limit::Alarm;

/// A little late rather than a little early, when there would be nothing to do yet.
fn remaining(at: Instant, clock: &Clock) -> Duration {
    at.saturating_since(clock.now().instant) + Duration::from_millis(1)
}

#[cfg(target_os = "linux")]
mod timer {
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::time::Duration;

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};

    use super::{Clock, Instant, remaining};

    /// A timer of the system's.
    #[derive(Debug)]
    pub struct Alarm {
        timer: OwnedFd,
        set_for: Option<Instant>,
    }

    impl Alarm {
        /// An alarm that is not set, whose ringing comes as an event of `token`.
        ///
        /// # Errors
        /// Those of the operating system.
        pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
            let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
            #[expect(unsafe_code, reason = "there is no safe form of timerfd_create")]
            // SAFETY: the call takes no pointers.
            let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            #[expect(unsafe_code, reason = "the descriptor comes from a C function")]
            // SAFETY: the descriptor is new and nobody else's.
            let timer = unsafe { OwnedFd::from_raw_fd(fd) };
            registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
            Ok(Self {
                timer,
                set_for: None,
            })
        }

        /// Sets it for `deadline`, unless it rings by then anyway.
        ///
        /// # Errors
        /// Those of the operating system.
        pub fn set(&mut self, deadline: Option<Instant>, clock: &Clock) -> io::Result<()> {
            let Some(deadline) = deadline else {
                return Ok(());
            };
            if self.set_for.is_some_and(|set_for| set_for <= deadline) {
                return Ok(());
            }
            self.arm(remaining(deadline, clock))?;
            self.set_for = Some(deadline);
            Ok(())
        }

        /// It has rung.
        pub fn rang(&mut self) {
            self.set_for = None;
        }

        /// How long the poller may wait at most: this alarm wakes it.
        #[must_use]
        pub fn patience(&self, _clock: &Clock) -> Option<Duration> {
            None
        }

        fn arm(&self, after: Duration) -> io::Result<()> {
            let zero = libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            let time = libc::itimerspec {
                it_interval: zero,
                it_value: libc::timespec {
                    tv_sec: after.as_secs().try_into().unwrap_or(libc::time_t::MAX),
                    tv_nsec: after.subsec_nanos().into(),
                },
            };
            #[expect(unsafe_code, reason = "there is no safe form of timerfd_settime")]
            // SAFETY: the first pointer is to a live itimerspec, and the second may be null.
            let result = unsafe {
                libc::timerfd_settime(
                    self.timer.as_raw_fd(),
                    0,
                    &raw const time,
                    std::ptr::null_mut(),
                )
            };
            if result == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod limit {
    use std::io;
    use std::time::Duration;

    use mio::{Registry, Token};

    use super::{Clock, Instant, remaining};

    /// A limit to how long the poller waits.
    #[derive(Debug)]
    pub struct Alarm {
        set_for: Option<Instant>,
    }

    impl Alarm {
        /// An alarm that is not set. It has no events here: ask [`Alarm::patience`].
        ///
        /// # Errors
        /// None.
        pub fn new(_registry: &Registry, _token: Token) -> io::Result<Self> {
            Ok(Self { set_for: None })
        }

        /// Sets it for `deadline`.
        ///
        /// # Errors
        /// None.
        pub fn set(&mut self, deadline: Option<Instant>, _clock: &Clock) -> io::Result<()> {
            self.set_for = deadline;
            Ok(())
        }

        /// It has rung.
        pub fn rang(&mut self) {
            self.set_for = None;
        }

        /// How long the poller may wait at most.
        #[must_use]
        pub fn patience(&self, clock: &Clock) -> Option<Duration> {
            self.set_for.map(|at| remaining(at, clock))
        }
    }
}

#[cfg(test)]
mod tests {
    use mio::{Events, Poll, Token};

    use super::*;

    /// Whether the poller wakes up by the time of the deadline, which it must not do before.
    fn rings_for(alarm: &mut Alarm, poll: &mut Poll, clock: &Clock, deadline: Instant) {
        let mut events = Events::with_capacity(1);
        while clock.now().instant < deadline {
            poll.poll(&mut events, alarm.patience(clock))
                .expect("nothing is wrong");
        }
        alarm.rang();
    }

    #[test]
    fn it_rings_at_its_deadline_again_and_again() {
        let clock = Clock::start();
        let mut poll = Poll::new().expect("a poller");
        let mut alarm = Alarm::new(poll.registry(), Token(1)).expect("an alarm");
        alarm.set(None, &clock).expect("not set");
        for _ in 0..3 {
            let deadline = clock.now().instant + Duration::from_millis(3);
            alarm.set(Some(deadline), &clock).expect("set");
            rings_for(&mut alarm, &mut poll, &clock, deadline);
        }
    }

    #[test]
    fn an_earlier_deadline_takes_the_place_of_a_later_one() {
        let clock = Clock::start();
        let mut poll = Poll::new().expect("a poller");
        let mut alarm = Alarm::new(poll.registry(), Token(1)).expect("an alarm");
        let now = clock.now().instant;
        for seconds in [3_600, 7_200] {
            let deadline = now + Duration::from_secs(seconds);
            alarm.set(Some(deadline), &clock).expect("set");
        }
        let deadline = now + Duration::from_millis(3);
        alarm.set(Some(deadline), &clock).expect("set");
        rings_for(&mut alarm, &mut poll, &clock, deadline);
    }
}
