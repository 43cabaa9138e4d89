//! The text that a Prometheus scraper reads.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::labelled;
use super::{Counter, KeySetCounters, Ports, RelayCounters, RelaySnapshot, SignalCounters};

/// All that the process counts.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    relay: Arc<[Arc<RelayCounters>]>,
    signal: Arc<SignalCounters>,
    certificate_expiry: Option<Arc<Counter>>,
    key_set: Option<Arc<KeySetCounters>>,
    ports: Arc<[Arc<Ports>]>,
}

impl Registry {
    /// A registry over the counters of each relay worker and of signaling.
    #[must_use]
    pub fn new(relay: Vec<Arc<RelayCounters>>, signal: Arc<SignalCounters>) -> Self {
        Self {
            relay: relay.into(),
            signal,
            certificate_expiry: None,
            key_set: None,
            ports: Arc::default(),
        }
    }

    /// Also tells how many of these ports are free.
    #[must_use]
    pub fn with_ports(mut self, ports: Vec<Arc<Ports>>) -> Self {
        self.ports = ports.into();
        self
    }

    /// Also tells how fetching the keys of access tokens goes.
    #[must_use]
    pub fn with_key_set(mut self, counters: Arc<KeySetCounters>) -> Self {
        self.key_set = Some(counters);
        self
    }

    /// Also tells when the certificate ends, in seconds since 1970.
    #[must_use]
    pub fn with_certificate_expiry(mut self, expiry: Arc<Counter>) -> Self {
        self.certificate_expiry = Some(expiry);
        self
    }

    /// The sum over all relay workers now.
    #[must_use]
    pub fn relay(&self) -> RelaySnapshot {
        self.relay
            .iter()
            .fold(RelaySnapshot::default(), |sum, worker| sum.plus(worker))
    }

    /// The text of `GET /metrics` (OpenMetrics 1.0).
    #[must_use]
    pub fn exposition(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::with_prefix("peerage");
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing into a string cannot fail");
        text
    }

    fn encode_relay(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let relay = self.relay();
        for (name, help, value) in relay_counters(&relay)
            .into_iter()
            .chain(relay_losses(&relay))
        {
            counter(encoder, name, help, value)?;
        }
        gauge(
            encoder,
            "turn_allocations",
            "Allocations that live now",
            relay.allocations(),
        )?;
        gauge(
            encoder,
            "turn_tcp_allocations",
            "TCP allocations that live now",
            relay.tcp_allocations,
        )?;
        gauge(
            encoder,
            "turn_connections",
            "Connections of relay clients that live now",
            relay.connections(),
        )
    }

    fn encode_signal(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let signal = &self.signal;
        gauge(
            encoder,
            "connections",
            "Signaling connections",
            read(&signal.connections),
        )?;
        gauge(
            encoder,
            "sessions",
            "Sessions, suspended ones included",
            read(&signal.sessions),
        )?;
        gauge(encoder, "rooms", "Rooms with a member", read(&signal.rooms))?;
        gauge(
            encoder,
            "empty_rooms",
            "Rooms without a member",
            read(&signal.empty_rooms),
        )?;
        gauge(
            encoder,
            "knocks",
            "Those who wait to be let into a room",
            read(&signal.knocks),
        )?;
        let delay = Duration::from_micros(read(&signal.hub_delay));
        seconds(
            encoder,
            "hub_delay_seconds",
            "How long an input has last waited for the hub",
            delay,
        )?;
        for (name, help, value) in signal_counters(signal) {
            counter(encoder, name, help, value)?;
        }
        encode_tallies(encoder, signal)
    }
}

/// What signaling counts: name, what it is, and how many.
fn signal_counters(signal: &SignalCounters) -> [(&'static str, &'static str, u64); 6] {
    let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
    [
        (
            "messages_in",
            "Messages from clients",
            read(&signal.messages_in),
        ),
        (
            "messages_out",
            "Messages to clients",
            read(&signal.messages_out),
        ),
        (
            "access_tokens_refused",
            "Access tokens that were not good",
            read(&signal.tokens_refused),
        ),
        (
            "joins_not_allowed",
            "Joins that no access token allowed",
            read(&signal.joins_refused),
        ),
        (
            "connections_barred",
            "Connections refused to addresses that have guessed too often",
            read(&signal.barred),
        ),
        (
            "slow_consumers",
            "Sessions suspended for not reading",
            read(&signal.slow_consumers),
        ),
    ]
}

/// What signaling counts by a label.
fn encode_tallies(encoder: &mut DescriptorEncoder<'_>, signal: &SignalCounters) -> fmt::Result {
    let rejected = ("messages_rejected", "Messages answered by an error", "code");
    signal.rejected.encode(encoder, rejected)?;
    let refused = (
        "connections_refused",
        "Connections that were not let in",
        "reason",
    );
    signal.refused.encode(encoder, refused)?;
    let closed = (
        "connections_closed",
        "Connections that the server has ended",
        "reason",
    );
    signal.closed.encode(encoder, closed)
}

impl Collector for Registry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(expiry) = &self.certificate_expiry {
            gauge(
                &mut encoder,
                "certificate_expiry_seconds",
                "When the certificate ends, in seconds since 1970",
                expiry.read(),
            )?;
        }
        if let Some(key_set) = &self.key_set {
            let (fetched, failures) = key_set.read();
            let help = "When the keys of access tokens have last come, in seconds since 1970";
            gauge(&mut encoder, "key_set_fetched_seconds", help, fetched)?;
            let help = "Attempts to fetch the keys of access tokens that failed";
            counter(&mut encoder, "key_set_fetch_failures", help, failures)?;
        }
        self.encode_relay(&mut encoder)?;
        labelled::encode(&mut encoder, &self.relay, &self.ports)?;
        self.encode_signal(&mut encoder)
    }
}

/// What was lost on its way: name, what it is, and how many.
fn relay_losses(relay: &RelaySnapshot) -> [(&'static str, &'static str, u64); 3] {
    [
        (
            "turn_packets_unsent",
            "Datagrams the system did not take",
            relay.packets_unsent,
        ),
        (
            "turn_packets_shed",
            "Datagrams beyond a client's share in an overload",
            relay.packets_shed,
        ),
        (
            "turn_packets_dropped",
            "Datagrams that found a full receive buffer",
            relay.packets_dropped,
        ),
    ]
}

/// What the relay counts: name, what it is, and how many.
fn relay_counters(relay: &RelaySnapshot) -> [(&'static str, &'static str, u64); 11] {
    [
        (
            "turn_packets_to_peers",
            "Datagrams relayed from clients",
            relay.packets_to_peers,
        ),
        (
            "turn_bytes_to_peers",
            "Bytes relayed from clients",
            relay.bytes_to_peers,
        ),
        (
            "turn_packets_to_clients",
            "Datagrams relayed to clients",
            relay.packets_to_clients,
        ),
        (
            "turn_bytes_to_clients",
            "Bytes relayed to clients",
            relay.bytes_to_clients,
        ),
        (
            "turn_packets_posted",
            "Datagrams handed to another worker",
            relay.packets_posted,
        ),
        (
            "turn_allocations_made",
            "Allocations made",
            relay.allocations_made,
        ),
        (
            "turn_audit_records_lost",
            "Records of the audit log without room",
            relay.records_lost,
        ),
        (
            "turn_unanswered",
            "Answers that strangers did not get",
            relay.unanswered,
        ),
        (
            "turn_peers_outside_rooms",
            "Requests refused for peers outside the rooms of the session",
            relay.peers_outside_rooms,
        ),
        (
            "turn_connections_made",
            "Connections of relay clients taken",
            relay.connections_made,
        ),
        (
            "turn_connections_refused",
            "Connections of relay clients without a place",
            relay.connections_refused,
        ),
    ]
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let metric = ConstCounter::new(value);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn seconds(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: Duration,
) -> fmt::Result {
    let metric = ConstGauge::new(value.as_secs_f64());
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_sums_all_workers() {
        let workers = [
            Arc::new(RelayCounters::default()),
            Arc::new(RelayCounters::default()),
        ];
        workers[0].packets_to_peers.add(2);
        workers[1].packets_to_peers.add(3);
        let registry = Registry::new(workers.to_vec(), Arc::default());
        assert!(
            registry
                .exposition()
                .contains("peerage_turn_packets_to_peers_total 5")
        );
    }

    #[test]
    fn labels_say_why_and_how() {
        let worker = Arc::new(RelayCounters::default());
        worker.packets_refused[2].add(7);
        worker.failures[1].add(8);
        worker.relayed[1][0].set(9);
        worker.peers[2].set(3);
        worker.peers_opened[1].add(5);
        worker.peers_lost[0].add(4);
        let ports = Ports::new("ipv4", 100);
        ports.take();
        let signal = SignalCounters::default();
        signal.rejected.count("room_full");
        signal.rejected.count("room_full");
        signal.closed.count("silent");
        let text = Registry::new(vec![worker], Arc::new(signal))
            .with_ports(vec![Arc::new(ports)])
            .exposition();
        for line in [
            r#"peerage_turn_packets_refused_total{reason="permission"} 7"#,
            r#"peerage_turn_unauthenticated_total{reason="wrong"} 8"#,
            r#"peerage_turn_relayed_addresses{transport="tcp",family="ipv4"} 9"#,
            r#"peerage_turn_relay_ports_free{family="ipv4"} 99"#,
            r#"peerage_turn_peer_connections{progress="bound"} 3"#,
            r#"peerage_turn_peer_connections_opened_total{origin="peer"} 5"#,
            r#"peerage_turn_peer_connections_lost_total{reason="unreachable"} 4"#,
            r#"peerage_messages_rejected_total{code="room_full"} 2"#,
            r#"peerage_connections_closed_total{reason="silent"} 1"#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in {text}");
        }
    }

    #[test]
    fn allocations_that_live_are_made_less_ended() {
        let worker = Arc::new(RelayCounters::default());
        worker.allocations_made.add(5);
        worker.allocations_ended.add(2);
        let registry = Registry::new(vec![worker], Arc::default());
        assert!(registry.exposition().contains("peerage_turn_allocations 3"));
    }
}
