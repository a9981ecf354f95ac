//! What tests of sinks need of a job.

use std::sync::Arc;

use crate::clock::Clock;
use crate::connector::SinkContext;
use crate::ids::{Epoch, Generation, KeyGroupCount, WorkerIndex};
use crate::protocol::{CheckpointKind, CommitPermit, Manifest, StoredPlan};
use crate::storage::FaultyDisk;

/// The context of the stage `alarms` on one of two workers.
pub(super) fn sink_context(disk: &FaultyDisk, generation: u64, worker: u32) -> SinkContext {
    SinkContext {
        job: "flights".into(),
        stage: "alarms".into(),
        worker: WorkerIndex(worker),
        worker_count: 2,
        generation: Generation(generation),
        disk: Arc::new(disk.clone()),
        clock: Clock::manual(),
        formerly: Vec::new(),
    }
}

/// The permit for all epochs up to `epoch`.
pub(super) fn permit(epoch: u64) -> CommitPermit {
    let manifest = Manifest {
        job: "flights".into(),
        generation: Generation(1),
        nonce: 0,
        epoch: Epoch(epoch),
        kind: CheckpointKind::Checkpoint,
        finished: false,
        worker_count: 1,
        key_groups: KeyGroupCount::DEFAULT,
        written_unix_ms: 0,
        plan: StoredPlan::default(),
        snapshots: Vec::new(),
        origins: Vec::new(),
    };
    CommitPermit::of_published(&manifest).expect("a checkpoint permits commits")
}
