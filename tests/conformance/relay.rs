//! A relay on loopback for the suites.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use peerage::auth::{RelayCredentials, Secret, TimeLimited};
use peerage::metrics::{Registry, RelaySnapshot};
use peerage::relay::{Listener, Relay, RelayAddress, Settings, TcpRelay};
use peerage::time::Now;
use peerage::turn::{Cidr, Transport};

use crate::tls;

pub(crate) const REALM: &str = "example.org";
pub(crate) const SECRET: &str = "north";
pub(crate) const USER: (&str, &str) = ("alice", "alice's password");

/// A relay on free ports of 127.0.0.1 and of ::1, which relays between its own clients and to
/// `allow_peers`. Its first two listeners are for UDP.
pub(crate) fn start(allow_peers: &[&str]) -> Relay {
    run(settings(allow_peers))
}

/// The same, but relayed addresses have no sockets.
pub(crate) fn start_portless(allow_peers: &[&str]) -> Relay {
    start_adapted(|settings| {
        settings.allow_peers = ranges(allow_peers);
        settings.relay_ports = None;
    })
}

/// The same with TCP allocations, to any peer on loopback.
pub(crate) fn start_for_tcp() -> Relay {
    start_adapted(|settings| {
        settings.allow_peers = ranges(&["127.0.0.0/8", "::1"]);
        settings.tcp_relay = Some(TcpRelay {
            connections: 1_000,
            connections_per_user: 0,
            services: Vec::new(),
        });
    })
}

/// The same with other settings.
pub(crate) fn start_adapted(adapt: impl FnOnce(&mut Settings)) -> Relay {
    let mut settings = settings(&[]);
    adapt(&mut settings);
    run(settings)
}

fn run(settings: Settings) -> Relay {
    Relay::start(settings).expect("loopback has free ports")
}

fn ranges(texts: &[&str]) -> Vec<Cidr> {
    let parse = |range: &&str| range.parse().expect("a range");
    texts.iter().map(parse).collect()
}

fn settings(allow_peers: &[&str]) -> Settings {
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
    let listeners = Transport::ALL.map(|transport| {
        ["127.0.0.1:0", "[::1]:0"].map(|text| Listener {
            transport,
            address: address(text),
        })
    });
    Settings {
        listen: listeners.concat(),
        realm: REALM.to_owned(),
        credentials,
        username_anonymity: false,
        audit: None,
        alternate_servers: vec![],
        nat_discovery_alternate: None,
        relay_addresses: vec![relay("127.0.0.1"), relay("::1")],
        relay_ports: Some(49_152..=65_535),
        allow_peers: ranges(allow_peers),
        max_allocations: 0,
        within_rooms: false,
        max_allocations_per_user: 0,
        unauthenticated_rate: 0,
        max_bandwidth_per_allocation: 0,
        max_bandwidth_per_user: 0,
        max_new_peers_per_user: 0,
        strict_expiry: false,
        mobility: true,
        tcp_relay: None,
        connections: 1_000,
        connections_per_address: 0,
        tls: Some(tls::server()),
        dtls: Some(tls::server_by_datagrams()),
        proxies: Vec::new(),
        copy_traffic_class: false,
        workers: 2,
        pin_workers: false,
        // The suite runs both ways.
        batching: std::env::var_os("SUITE_WITHOUT_BATCHING").is_none(),
    }
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The first listener of a transport, on IPv4.
pub(crate) fn server(relay: &Relay, transport: Transport) -> SocketAddr {
    let mut listeners = relay.listeners().iter();
    let listener = listeners.find(|listener| listener.transport == transport);
    listener.expect("there is one").address
}

/// Waits until the relay has counted what is expected.
pub(crate) fn await_counters(relay: &Relay, is_there: impl Fn(&RelaySnapshot) -> bool) {
    let start = Instant::now();
    while !is_there(&counters(relay)) {
        let elapsed = start.elapsed();
        assert!(elapsed < Duration::from_secs(20), "{:?}", counters(relay));
        std::thread::yield_now();
    }
}

/// Credentials as signaling hands them out.
pub(crate) fn time_limited(name: &str) -> TimeLimited {
    time_limited_with(SECRET, name)
}

/// The same, made with another secret.
pub(crate) fn time_limited_with(secret: &str, name: &str) -> TimeLimited {
    minted_at(since_1970(), secret, name, Duration::from_secs(600))
}

/// Credentials that a relay takes for about as many seconds more: they have expired already, but
/// a relay grants a minute for clocks that differ.
pub(crate) fn time_limited_for(seconds: u64, name: &str) -> TimeLimited {
    let unix = since_1970() - Duration::from_secs(60);
    minted_at(unix, SECRET, name, Duration::from_secs(seconds))
}

fn minted_at(unix: Duration, secret: &str, name: &str, lifetime: Duration) -> TimeLimited {
    let now = Now {
        unix,
        ..Now::default()
    };
    TimeLimited::mint(&Secret::new(secret), name, lifetime, now)
}

fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970")
}

pub(crate) fn counters(relay: &Relay) -> RelaySnapshot {
    Registry::new(relay.counters().to_vec(), Default::default()).relay()
}
