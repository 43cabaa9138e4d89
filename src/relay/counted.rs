//! What a worker's server has counted, for whoever reads the metrics.

use crate::metrics::{Counter, RelayCounters};
use crate::turn::Tally;

/// Makes a tally visible.
pub(super) fn publish(tally: &Tally, counters: &RelayCounters) {
    counters.allocations_made.set(tally.allocations_made);
    counters.allocations_ended.set(tally.allocations_ended);
    counters.unanswered.set(tally.unanswered);
    counters.peers_outside_rooms.set(tally.outside_rooms);
    set_all(&counters.packets_refused, &tally.packets_refused);
    set_all(&counters.requests_refused, &tally.requests_refused);
    set_all(&counters.failures, &tally.failures);
    let peers = &tally.peers;
    counters.tcp_allocations.set(peers.allocations);
    set_all(&counters.peers, &peers.live);
    set_all(&counters.peers_opened, &peers.opened);
    set_all(&counters.peers_lost, &peers.lost);
    for (counters, values) in counters.relayed.iter().zip(&tally.relayed) {
        set_all(counters, values);
    }
}

fn set_all<const N: usize>(counters: &[Counter; N], values: &[u64; N]) {
    for (counter, value) in counters.iter().zip(values) {
        counter.set(*value);
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::{FAILURES, LOSSES, ORIGINS, PROGRESS, REFUSALS, TRANSPORTS};
    use crate::turn::{Failure, Loss, Origin, Progress, Refusal, Transport};

    #[test]
    fn the_labels_are_the_names_of_what_is_counted() {
        let name = |it: &dyn std::fmt::Debug| format!("{it:?}").to_lowercase();
        assert_eq!(Refusal::ALL.map(|it| name(&it)), REFUSALS);
        assert_eq!(Failure::ALL.map(|it| name(&it)), FAILURES);
        assert_eq!(Origin::ALL.map(|it| name(&it)), ORIGINS);
        assert_eq!(Progress::ALL.map(|it| name(&it)), PROGRESS);
        assert_eq!(Loss::ALL.map(|it| name(&it)), LOSSES);
        assert_eq!(Transport::ALL.map(|it| name(&it)), TRANSPORTS);
    }
}
