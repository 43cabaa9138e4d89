//! A relay on loopback for the suites.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peerage::auth::{RelayCredentials, Secret, TimeLimited};
use peerage::metrics::{Registry, RelaySnapshot};
use peerage::relay::{Relay, RelayAddress, Settings};
use peerage::time::Now;

pub(crate) const REALM: &str = "example.org";
pub(crate) const SECRET: &str = "north";
pub(crate) const USER: (&str, &str) = ("alice", "alice's password");

/// A relay on a free port of 127.0.0.1 and one of ::1, which relays between its own clients and
/// to `allow_peers`.
pub(crate) fn start(allow_peers: &[&str]) -> Relay {
    start_with(allow_peers, Some(49_152..=65_535))
}

/// The same, but relayed addresses have no sockets.
pub(crate) fn start_portless(allow_peers: &[&str]) -> Relay {
    start_with(allow_peers, None)
}

/// The same as [`start`], but for what `adapt` changes.
pub(crate) fn start_adapted(adapt: impl FnOnce(&mut Settings)) -> Relay {
    let mut settings = settings(&[], Some(49_152..=65_535));
    adapt(&mut settings);
    Relay::start(settings).expect("loopback has free ports")
}

fn start_with(allow_peers: &[&str], relay_ports: Option<RangeInclusive<u16>>) -> Relay {
    Relay::start(settings(allow_peers, relay_ports)).expect("loopback has free ports")
}

fn settings(allow_peers: &[&str], relay_ports: Option<RangeInclusive<u16>>) -> Settings {
    let relay = |ip: &str| {
        let ip: IpAddr = ip.parse().expect("an address");
        RelayAddress {
            bound: ip,
            advertised: ip,
        }
    };
    let credentials = RelayCredentials::new(REALM)
        .with_secret(Secret::new(SECRET))
        .with_user(USER.0, &Secret::new(USER.1));
    Settings {
        listen: vec![address("127.0.0.1:0"), address("[::1]:0")],
        realm: REALM.to_owned(),
        credentials,
        username_anonymity: false,
        relay_addresses: vec![relay("127.0.0.1"), relay("::1")],
        relay_ports,
        allow_peers: allow_peers
            .iter()
            .map(|range| range.parse().expect("a range"))
            .collect(),
        max_allocations: 0,
        max_allocations_per_user: 0,
        unauthenticated_rate: 0,
        workers: 2,
    }
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Credentials as signaling hands them out.
pub(crate) fn time_limited(name: &str) -> TimeLimited {
    time_limited_with(SECRET, name)
}

/// The same, made with another secret.
pub(crate) fn time_limited_with(secret: &str, name: &str) -> TimeLimited {
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let now = Now {
        unix,
        ..Now::default()
    };
    TimeLimited::mint(&Secret::new(secret), name, Duration::from_secs(600), now)
}

pub(crate) fn counters(relay: &Relay) -> RelaySnapshot {
    Registry::new(relay.counters().to_vec(), Default::default()).relay()
}
