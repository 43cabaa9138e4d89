//! Pairs of ports: an even one, and the next higher one that waits for whoever shows the token
//! (RFC 8656 sections 7.2, 18.4 and 18.6).

use std::net::SocketAddr;

use super::action::Action;
use super::request::User;
use super::reservation::{Reservation, ReservationToken};
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use crate::auth::Credentials;
use crate::stun::ErrorCode;
use crate::time::Now;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// Takes the reserved address. It has counted on the quota of whoever reserved it; from now on
    /// it counts on the user's. Where that is exhausted, the reservation stays.
    pub(super) fn redeem(
        &mut self,
        token: ReservationToken,
        user: User<'_>,
    ) -> Result<SocketAddr, ErrorCode> {
        let reservation = self.siblings.redeem(token);
        let reservation = reservation.ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        let Reservation { relayed, username } = &reservation;
        self.siblings.release(username);
        let refused = match self.claim(user.name) {
            Ok(()) => return Ok(*relayed),
            Err(code) => code,
        };
        if self.siblings.claim(username).is_ok() {
            self.siblings.hold(token, reservation);
        } else {
            self.actions
                .push_back(Action::Release { relayed: *relayed });
        }
        Err(refused)
    }

    /// The socket on the next higher port waits for whoever shows the token.
    pub(super) fn reserve_next(&mut self, id: AllocationId, now: Now) -> Result<(), ErrorCode> {
        let entry = self.table.allocation(id);
        let entry = entry.ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        let mut relayed = entry.relayed.address();
        relayed.set_port(relayed.port() + 1);
        let username = entry.username.clone();
        if let Err(refused) = self.claim(&username) {
            self.actions.push_back(Action::Release { relayed });
            return Err(refused);
        }
        let token = self.reservations.make(now.instant);
        let entry = self.table.allocation_mut(id);
        let entry = entry.ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        entry.extras.get_or_insert_default().token = Some(token);
        let reservation = Reservation { relayed, username };
        if self.siblings.hold(token, reservation) {
            return Ok(());
        }
        self.reservations.forget(token);
        self.siblings.release(&entry.username);
        self.actions.push_back(Action::Release { relayed });
        Err(ErrorCode::INSUFFICIENT_CAPACITY)
    }

    /// A reservation's time is over: if nobody has used it, the address is free again.
    pub(super) fn end_reservation(&mut self, token: ReservationToken) {
        if let Some(Reservation { relayed, username }) = self.siblings.redeem(token) {
            self.siblings.release(&username);
            self.actions.push_back(Action::Release { relayed });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{Client, Granted, World};
    use crate::stun::{Attribute, Family};

    /// The R bit, and others that are reserved.
    const PAIR: &[u8] = &[0xff];

    fn redeem(world: &mut World, client: &Client, token: &[u8]) -> Result<Granted, u16> {
        world.allocate_with(client, &[(Attribute::RESERVATION_TOKEN, token)])
    }

    #[test]
    fn a_pair_of_ports_is_had_by_two_allocations_and_a_token() {
        let mut world = World::new();
        world.allocated("bob");
        let first = world.client("alice");
        world.transaction(7);
        let granted = world
            .allocate_with(&first, &[(Attribute::EVEN_PORT, PAIR)])
            .expect("a pair");
        let token = granted.token.clone().expect("a token");
        assert_eq!(token.len(), 8);
        // A retransmission brings the same token, not another pair.
        world.transaction(7);
        let again = world.allocate_with(&first, &[(Attribute::EVEN_PORT, PAIR)]);
        assert_eq!(again, Ok(granted.clone()));
        // Nobody else gets the second port, and another client may use it, once.
        let stranger = world.allocated("bob");
        let next = granted.relayed[0].port() + 1;
        assert_ne!(stranger.relayed.port(), next);
        let second = world.client("bob");
        let redeemed = redeem(&mut world, &second, &token).expect("the second port");
        assert_eq!(redeemed.relayed[0].port(), next);
        assert_eq!(redeemed.token, None);
        let third = world.client("alice");
        assert_eq!(redeem(&mut world, &third, &token), Err(508));
    }

    #[test]
    fn a_reservation_ends_after_half_a_minute_and_leaves_nothing() {
        let mut world = World::new();
        for round in 0..1_000 {
            let client = world.client("alice");
            let granted = world
                .allocate_with(&client, &[(Attribute::EVEN_PORT, PAIR)])
                .expect("a pair");
            assert_eq!(granted.relayed[0].port(), 50_000, "round {round}");
            world.release(&client);
            world.pass(29);
            assert_ne!(world.left_behind(), 0);
            world.pass(1);
            assert_eq!(world.left_behind(), 0);
            let token = granted.token.expect("a token");
            assert_eq!(redeem(&mut world, &client, &token), Err(508));
        }
    }

    #[test]
    fn a_reservation_counts_on_the_quota_until_it_is_used() {
        let mut world = World::new();
        world.set_quota(2);
        let (first, second) = (world.client("alice"), world.client("alice"));
        let granted = world
            .allocate_with(&first, &[(Attribute::EVEN_PORT, PAIR)])
            .expect("a pair");
        assert_eq!(world.allocate(&second), Err(486));
        // Somebody without quota leaves the reservation where it is.
        let others = [world.allocated("bob"), world.allocated("bob")];
        let token = granted.token.expect("a token");
        let other = world.client("bob");
        assert_eq!(redeem(&mut world, &other, &token), Err(486));
        assert!(redeem(&mut world, &second, &token).is_ok());
        for client in [first, second].iter().chain(&others) {
            world.release(client);
        }
        assert_eq!(world.left_behind(), 0);
        world.set_quota(1);
        let client = world.client("alice");
        let pair = world.allocate_with(&client, &[(Attribute::EVEN_PORT, PAIR)]);
        assert_eq!((pair, world.left_behind()), (Err(486), 0));
    }

    #[test]
    fn a_pair_that_cannot_be_reserved_is_no_allocation() {
        let mut world = World::new();
        let client = world.client("alice");
        world.refuse_reservations(true);
        let pair = world.allocate_with(&client, &[(Attribute::EVEN_PORT, PAIR)]);
        assert_eq!((pair, world.left_behind()), (Err(508), 0));
        world.refuse_reservations(false);
        world.fail_binds(&[Family::V4]);
        let pair = world.allocate_with(&client, &[(Attribute::EVEN_PORT, PAIR)]);
        assert_eq!((pair, world.left_behind()), (Err(508), 0));
    }
}
