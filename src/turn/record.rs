//! What is told of an allocation to whoever must account for it: who, from where, which relayed
//! addresses, how much.

use std::net::SocketAddr;

use super::five_tuple::FiveTuple;
use super::meter::Direction;

/// A change in the life of an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What has happened.
    pub event: Event,
    /// The user's name.
    pub user: Box<str>,
    /// Where the client is.
    pub client: FiveTuple,
    /// Whether that is for TCP (RFC 6062) and not for UDP.
    pub is_tcp: bool,
    /// What others see in its place; those that have ended before are not told again.
    pub relayed: Vec<SocketAddr>,
    /// What was relayed so far. What two clients of this process send each other counts with the
    /// sender.
    pub traffic: Traffic,
}

/// What has happened to an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It can be used.
    Started,
    /// Its client has moved to another address (RFC 8016); it is the new one that is told.
    Moved,
    /// It is gone.
    Ended(End),
}

/// Why an allocation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client has given it back.
    Released,
    /// Its lifetime is over.
    Expired,
    /// The client's connection has ended.
    Disconnected,
    /// Its user is known no more.
    Revoked,
    /// The server stops.
    Stopped,
    /// It never came to be used: there was no port.
    Failed,
}

/// Payloads that an allocation has relayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From the client.
    pub packets_from_client: u64,
    /// Their bytes.
    pub bytes_from_client: u64,
    /// To the client.
    pub packets_to_client: u64,
    /// Their bytes.
    pub bytes_to_client: u64,
}

impl Traffic {
    pub(super) fn count(&mut self, direction: Direction, length: usize) {
        let (packets, bytes) = match direction {
            Direction::FromClient => (&mut self.packets_from_client, &mut self.bytes_from_client),
            Direction::ToClient => (&mut self.packets_to_client, &mut self.bytes_to_client),
        };
        *packets += 1;
        *bytes += length as u64;
    }

    /// Counts bytes of a connection, which has no packets.
    pub(super) fn count_stream(&mut self, direction: Direction, length: usize) {
        match direction {
            Direction::FromClient => self.bytes_from_client += length as u64,
            Direction::ToClient => self.bytes_to_client += length as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{World, address};
    use super::*;
    use crate::stun::Family;

    fn records(world: &mut World) -> Vec<Record> {
        std::iter::from_fn(|| world.server.poll_record()).collect()
    }

    #[test]
    fn a_life_is_told_with_its_traffic() {
        let mut world = World::new().recording();
        let client = world.allocated("alice");
        let peer = address("8.8.8.8:1");
        world.permit(&client, peer);
        world.send(&client, peer, b"hello");
        world.at_relayed(&client, peer, b"hi");
        world.release(&client);
        let told = records(&mut world);
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|it| &*it.user == "alice"
            && it.client == client.five_tuple
            && it.relayed == [client.relayed]));
        assert_eq!(told[0].event, Event::Started);
        assert_eq!(told[1].event, Event::Ended(End::Released));
        let traffic = told[1].traffic;
        assert_eq!(
            (traffic.packets_from_client, traffic.bytes_from_client),
            (1, 5)
        );
        assert_eq!((traffic.packets_to_client, traffic.bytes_to_client), (1, 2));
    }

    #[test]
    fn every_end_has_its_reason() {
        let mut world = World::new().recording();
        let mut ended = |change: &dyn Fn(&mut World)| {
            change(&mut world);
            records(&mut world).last().map(|record| record.event)
        };
        let client = |world: &mut World| world.allocated("alice").five_tuple;
        let expired = ended(&|world| {
            client(world);
            world.pass(600);
        });
        let disconnected = ended(&|world| {
            let client = client(world);
            world.server.handle_disconnect(client);
        });
        let stopped = ended(&|world| {
            client(world);
            world.server.handle_stop();
        });
        assert_eq!(expired, Some(Event::Ended(End::Expired)));
        assert_eq!(disconnected, Some(Event::Ended(End::Disconnected)));
        assert_eq!(stopped, Some(Event::Ended(End::Stopped)));
    }

    #[test]
    fn what_never_was_is_not_told() {
        let mut world = World::new().recording();
        world.fail_binds(&[Family::V4]);
        let client = world.client("alice");
        assert_eq!(world.allocate(&client), Err(508));
        assert_eq!(records(&mut world), []);
    }

    #[test]
    fn nothing_is_told_unless_asked_for() {
        let mut world = World::new();
        let client = world.allocated("alice");
        world.release(&client);
        assert_eq!(world.server.poll_record(), None);
    }
}
