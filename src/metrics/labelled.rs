//! Metrics of the relay that have labels. The values of each label are a fixed list.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::ports::Ports;
use super::relay::{
    Counter, FAILURES, FAMILIES, LOSSES, ORIGINS, PROGRESS, REFUSALS, RelayCounters, TRANSPORTS,
};

type Workers = [Arc<RelayCounters>];

/// Everything that is told with labels.
pub(super) fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    workers: &Workers,
    ports: &[Arc<Ports>],
) -> fmt::Result {
    counters(
        encoder,
        ("turn_packets_refused", "Datagrams not relayed by rule"),
        "reason",
        REFUSALS.iter().zip(sums(workers, |it| &it.packets_refused)),
    )?;
    counters(
        encoder,
        ("turn_requests_refused", "Authenticated requests refused"),
        "reason",
        REFUSALS
            .iter()
            .zip(sums(workers, |it| &it.requests_refused)),
    )?;
    counters(
        encoder,
        ("turn_unauthenticated", "Requests not authenticated"),
        "reason",
        FAILURES.iter().zip(sums(workers, |it| &it.failures)),
    )?;
    peer_connections(encoder, workers)?;
    relayed_addresses(encoder, workers)?;
    free_ports(encoder, ports)
}

/// What all workers have counted, place by place.
fn sums<const N: usize>(
    workers: &Workers,
    counters: impl Fn(&RelayCounters) -> &[Counter; N],
) -> [u64; N] {
    std::array::from_fn(|at| {
        let of_all = workers.iter().map(|worker| counters(worker)[at].read());
        of_all.sum()
    })
}

/// The connections of TCP allocations to peers.
fn peer_connections(encoder: &mut DescriptorEncoder<'_>, workers: &Workers) -> fmt::Result {
    counters(
        encoder,
        (
            "turn_peer_connections_opened",
            "Connections to peers opened",
        ),
        "origin",
        ORIGINS.iter().zip(sums(workers, |it| &it.peers_opened)),
    )?;
    counters(
        encoder,
        (
            "turn_peer_connections_lost",
            "Connections to peers that came to nothing",
        ),
        "reason",
        LOSSES.iter().zip(sums(workers, |it| &it.peers_lost)),
    )?;
    let (name, help) = (
        "turn_peer_connections",
        "Connections to peers that live now",
    );
    let kind = ConstGauge::new(0_i64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (progress, value) in PROGRESS.iter().zip(sums(workers, |it| &it.peers)) {
        let labels = [("progress", *progress)];
        gauge(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn counters<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    label: &str,
    rows: impl Iterator<Item = (&'a &'static str, u64)>,
) -> fmt::Result {
    let kind = ConstCounter::new(0_u64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (value_of_label, value) in rows {
        let labels = [(label, *value_of_label)];
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn relayed_addresses(encoder: &mut DescriptorEncoder<'_>, workers: &Workers) -> fmt::Result {
    let (name, help) = (
        "turn_relayed_addresses",
        "Relayed addresses that live now, by the transport of their client",
    );
    let kind = ConstGauge::new(0_i64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (at, transport) in TRANSPORTS.iter().enumerate() {
        let by_family = sums(workers, |it| &it.relayed[at]);
        for (of, value) in FAMILIES.iter().zip(by_family) {
            let labels = [("transport", *transport), ("family", *of)];
            gauge(value).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn free_ports(encoder: &mut DescriptorEncoder<'_>, ports: &[Arc<Ports>]) -> fmt::Result {
    let (name, help) = ("turn_relay_ports_free", "Ports for relayed addresses");
    let kind = ConstGauge::new(0_i64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for ports in ports {
        let labels = [("family", ports.family())];
        gauge(ports.free()).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
