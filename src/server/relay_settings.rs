//! The relay as the configuration wants it.

use std::net::SocketAddr;

use super::config::{Config, Peers, RelayPorts};
use super::dtls;
use super::relay_users::RelayUsers;
use super::tls::{self, Tls};
use crate::relay::{self, AuditSink};

/// What to start the relay with; `None` if it has no listener. `services` are the other listeners
/// of the process.
pub(super) fn relay_settings(
    config: &Config,
    users: &RelayUsers,
    tls: Option<&Tls>,
    audit: Option<AuditSink>,
    services: Vec<SocketAddr>,
) -> Option<relay::Settings> {
    let turn = &config.turn;
    let (listen, dtls) = dtls::listeners(config, tls);
    if listen.is_empty() {
        return None;
    }
    Some(relay::Settings {
        listen,
        realm: turn.realm.clone(),
        credentials: users.credentials(),
        username_anonymity: turn.username_anonymity,
        relay_addresses: turn.relay_addresses.clone(),
        relay_ports: match turn.relay_ports {
            RelayPorts::Range { first, last } => Some(first..=last),
            RelayPorts::None => None,
        },
        audit,
        alternate_servers: turn.alternate_servers.clone(),
        nat_discovery_alternate: turn.nat_discovery_alternate,
        allow_peers: turn.allow_peers.clone(),
        within_rooms: turn.peer_policy == Peers::Room,
        max_allocations: turn.max_allocations,
        max_allocations_per_user: turn.max_allocations_per_user,
        unauthenticated_rate: turn.unauthenticated_rate,
        max_bandwidth_per_allocation: turn.max_bandwidth_per_allocation,
        max_bandwidth_per_user: turn.max_bandwidth_per_user,
        max_new_peers_per_user: turn.max_new_peers_per_user,
        strict_expiry: turn.strict_expiry,
        mobility: turn.mobility,
        tcp_relay: turn.tcp_relay.then_some(relay::TcpRelay {
            connections: turn.peer_connections,
            connections_per_user: turn.peer_connections_per_user,
            services,
        }),
        connections: turn.connections,
        connections_per_address: turn.connections_per_address,
        proxies: turn.proxy_protocol_from.clone(),
        tls: tls.map(|tls| tls::for_relay(&tls.config)),
        dtls,
        copy_traffic_class: turn.copy_traffic_class,
        workers: turn.workers,
        pin_workers: turn.pin_workers,
        batching: turn.batching,
    })
}
