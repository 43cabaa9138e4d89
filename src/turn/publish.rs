//! What stands behind relayed addresses, as all servers of the process know it.

use std::sync::Arc;

use super::reachable::Reachable;
use super::server::Server;
use super::siblings::Siblings;
use super::table::AllocationId;
use crate::auth::Credentials;

impl<C: Credentials, S: Siblings> Server<C, S> {
    /// Replaces what stands behind an allocation's relayed addresses.
    pub(super) fn change<E>(
        &mut self,
        id: AllocationId,
        change: impl FnOnce(&mut Reachable) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(allocation) = self.table.allocation_mut(id) else {
            return Ok(());
        };
        let mut reachable = Reachable::clone(&allocation.reachable);
        change(&mut reachable)?;
        allocation.reachable = Arc::new(reachable);
        self.publish(id);
        Ok(())
    }

    /// Lets all servers of the process know what stands behind an allocation's relayed addresses.
    pub(super) fn publish(&self, id: AllocationId) {
        let Some(allocation) = self.table.allocation(id) else {
            return;
        };
        for relayed in allocation.all_relayed() {
            if allocation.is_tcp() {
                let party = allocation.reachable.circle.as_ref();
                let party = party.map(|circle| Arc::clone(&circle.party));
                self.siblings.set_party(relayed.address(), party);
                self.siblings.set_listening(relayed.address(), true);
            } else {
                let published = Arc::clone(&allocation.reachable);
                self.siblings.publish(relayed.address(), Some(published));
            }
        }
    }
}
