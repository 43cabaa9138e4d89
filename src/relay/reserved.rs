//! Relayed addresses that are reserved (RFC 8656 section 7.2): any worker may use them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::net::UdpSocket;
use crate::turn::{Reservation, ReservationToken};

/// How many there may be at a time.
const MAX: usize = 1_024;

/// What is reserved, and the sockets that keep the ports from other programs.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    by_token: Mutex<HashMap<ReservationToken, Reservation>>,
    sockets: Mutex<HashMap<SocketAddr, UdpSocket>>,
}

impl Reserved {
    pub(super) fn hold(&self, token: ReservationToken, reservation: Reservation) -> bool {
        let mut by_token = locked(&self.by_token);
        let has_room = by_token.len() < MAX;
        if has_room {
            by_token.insert(token, reservation);
        }
        has_room
    }

    pub(super) fn redeem(&self, token: ReservationToken) -> Option<Reservation> {
        locked(&self.by_token).remove(&token)
    }

    pub(super) fn keep(&self, socket: UdpSocket) {
        locked(&self.sockets).insert(socket.local(), socket);
    }

    pub(super) fn take(&self, relayed: SocketAddr) -> Option<UdpSocket> {
        locked(&self.sockets).remove(&relayed)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_end_to_reservations() {
        let reserved = Reserved::default();
        let reservation = Reservation {
            relayed: "192.0.2.1:50001".parse().expect("an address"),
            username: "ada".into(),
        };
        let token = |number: usize| ReservationToken((number as u64).to_be_bytes());
        assert!((0..MAX).all(|number| reserved.hold(token(number), reservation.clone())));
        assert!(!reserved.hold(token(MAX), reservation.clone()));
        assert_eq!(reserved.redeem(token(7)), Some(reservation.clone()));
        assert_eq!(reserved.redeem(token(7)), None);
        assert!(reserved.hold(token(MAX), reservation));
    }
}
