//! In which stage a load is: the threads go through them together.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use super::error::LoadError;

/// A stage of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Packets flow, but do not count yet.
    WarmUp,
    /// They count.
    Measure,
    /// Nothing new is sent; what is under way may arrive.
    Drain,
    /// The end.
    Over,
}

/// What a thread and whoever leads it see of each other while packets flow.
#[derive(Debug, Default)]
pub(super) struct Board {
    stage: AtomicU8,
    /// Requests that have been answered in the present part of the setup.
    answered: AtomicUsize,
    /// Crossings of the server so far.
    crossings: AtomicU64,
}

impl Board {
    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::WarmUp,
            1 => Stage::Measure,
            2 => Stage::Drain,
            _ => Stage::Over,
        }
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    pub(super) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn set_answered(&self, count: usize) {
        self.answered.store(count, Ordering::Relaxed);
    }

    pub(super) fn crossings(&self) -> u64 {
        self.crossings.load(Ordering::Relaxed)
    }

    pub(super) fn set_crossings(&self, count: u64) {
        self.crossings.store(count, Ordering::Relaxed);
    }
}

/// How a thread keeps step: it tells that it has come to the end of a part, and waits.
pub(super) struct Step {
    pub(super) reached: Sender<Result<(), LoadError>>,
    pub(super) go: Receiver<()>,
}

impl Step {
    /// The end of a part.
    pub(super) fn next(&self) -> Result<(), LoadError> {
        self.reached.send(Ok(())).map_err(|_| LoadError::Stopped)?;
        self.go.recv().map_err(|_| LoadError::Stopped)
    }
}

/// What a load is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Allocations are being made.
    Allocating {
        /// So many are there.
        done: usize,
        /// Of so many.
        of: usize,
    },
    /// Channels are being bound, or permissions created.
    Binding {
        /// So many are there.
        done: usize,
        /// Of so many.
        of: usize,
    },
    /// Packets flow.
    Measuring,
    /// Allocations are given back.
    Releasing {
        /// So many are gone.
        done: usize,
        /// Of so many.
        of: usize,
    },
}
