//! Workers that stay on cores of their own.

use core_affinity::CoreId;

/// The cores to pin so many workers to: one each, as far as there are any.
pub(super) fn for_workers(workers: usize) -> Vec<CoreId> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    if cores.len() < workers {
        let cores = cores.len();
        tracing::warn!(
            workers,
            cores,
            "not every relay worker has a core to be pinned to"
        );
    }
    cores
}

/// Keeps this thread on `core`, if there is one for it.
pub(super) fn pin_to(core: Option<CoreId>) {
    if let Some(core) = core
        && !core_affinity::set_for_current(core)
    {
        tracing::warn!(
            core = core.id,
            "a relay worker cannot be pinned to its core"
        );
    }
}
