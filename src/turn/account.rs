//! Account of what has happened to allocations, for whoever wants to know.

use std::collections::VecDeque;

use super::allocation::Allocation;
use super::record::{Event, Record};
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use crate::auth::Credentials;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// Also keeps account of every allocation: see [`Server::poll_record`].
    #[must_use]
    pub fn with_records(mut self) -> Self {
        self.records = Some(VecDeque::new());
        self
    }

    /// Whether account is kept.
    pub(super) fn has_records(&self) -> bool {
        self.records.is_some()
    }

    /// What has happened to allocations since the last call.
    pub fn poll_record(&mut self) -> Option<Record> {
        self.records.as_mut()?.pop_front()
    }

    /// Something has happened to an allocation.
    pub(super) fn record(&mut self, id: AllocationId, event: Event) {
        if self.has_records()
            && let Some(allocation) = self.table.allocation(id)
        {
            let record = self.record_of(allocation, event);
            self.records.get_or_insert_default().push_back(record);
        }
    }

    pub(super) fn record_of(&self, allocation: &Allocation, event: Event) -> Record {
        let relayed = allocation.all_relayed();
        let relayed = relayed.map(|it| self.config.policy.advertised(it.address()));
        let extras = allocation.extras.as_ref();
        Record {
            event,
            user: allocation.username.clone(),
            client: allocation.client(),
            is_tcp: allocation.is_tcp(),
            relayed: relayed.collect(),
            traffic: extras.and_then(|it| it.traffic).unwrap_or_default(),
        }
    }
}
