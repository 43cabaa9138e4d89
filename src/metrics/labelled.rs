//! Metrics of the relay that have labels. The values of each label are a fixed list.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::ports::Ports;
use super::relay::{Counter, FAILURES, FAMILIES, REFUSALS, RelayCounters, TRANSPORTS};

type Workers = [Arc<RelayCounters>];

/// Everything that is told with labels.
pub(super) fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    workers: &Workers,
    ports: &[Arc<Ports>],
) -> fmt::Result {
    by_reason(
        encoder,
        ("turn_packets_refused", "Datagrams not relayed by rule"),
        REFUSALS.iter().zip(sums(workers, |it| &it.packets_refused)),
    )?;
    by_reason(
        encoder,
        ("turn_requests_refused", "Authenticated requests refused"),
        REFUSALS
            .iter()
            .zip(sums(workers, |it| &it.requests_refused)),
    )?;
    by_reason(
        encoder,
        ("turn_unauthenticated", "Requests not authenticated"),
        FAILURES.iter().zip(sums(workers, |it| &it.failures)),
    )?;
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

fn by_reason<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    rows: impl Iterator<Item = (&'a &'static str, u64)>,
) -> fmt::Result {
    let kind = ConstCounter::new(0_u64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (reason, value) in rows {
        let labels = [("reason", *reason)];
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
