//! The TURN server of RFC 8656 and RFC 6062 as a state machine; one file for each procedure.
//!
//! [`Server`] says in which order its methods are called. It has one owner and knows neither
//! sockets nor clocks; what it must share with the servers of other workers it asks of
//! [`Siblings`].

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

mod account;
mod action;
mod allocate;
mod allocated;
mod allocation;
mod alternate;
mod authenticate;
mod binding;
mod buckets;
mod channel_bind;
mod channels;
mod cidr;
mod circle;
mod company;
mod config;
mod connect;
mod connection_attempt;
mod connection_bind;
mod connection_id;
mod create_permission;
mod data;
mod data_connection;
mod dispatch;
mod ending;
mod even_port;
mod five_tuple;
mod icmp;
mod indication;
mod meter;
mod mobile;
mod mobility;
mod nat_discovery;
mod nonce;
mod notice;
mod party;
mod peer_connections;
mod peer_tally;
mod permissions;
mod policy;
mod publish;
mod reachable;
mod record;
mod refresh;
mod request;
mod reservation;
mod response;
mod review;
mod route;
mod server;
mod siblings;
mod special;
mod strangers;
mod table;
mod tally;
mod tcp_action;
mod tcp_allocate;
mod terms;
mod ticket;
mod wanted;

#[cfg(test)]
mod world;

pub use action::{Action, BindFailed, WantedPort};
pub use buckets::Buckets;
pub use cidr::{Cidr, CidrError};
pub use config::Config;
pub use connection_id::ConnectionId;
pub use five_tuple::{FiveTuple, Transport};
pub use meter::{Direction, SharedMeter, pause, through_at};
pub use nat_discovery::NatDiscovery;
pub use notice::Icmp;
pub use party::Party;
pub use peer_tally::{Loss, Origin, PeerTally, Progress};
pub use policy::{Machine, PeerPolicy, RelayAddress, VoidException};
pub use reachable::Reachable;
pub use record::{End, Event, Record, Traffic};
pub use reservation::{Reservation, ReservationToken};
pub use route::{Destination, EncodedHeader, Header, Route, ToClient};
pub use server::{Sender, Server, Transmit};
pub use siblings::{QuotaReached, Siblings};
pub use table::AllocationId;
pub use tally::{Failure, Refusal, Tally};
pub use tcp_action::{Bound, ConnectFailed, NoConnection, TcpAction};
pub use terms::{Terms, Users};
