//! What the simulation (`tests/sim`) drives step by step. No interface: it changes with any commit.
//!
//! The simulation runs the code that a job runs, but moves it by a clock and a scheduler of its own,
//! and so needs the parts between the public ends of the crate. Nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::publisher::PublisherParts;
use super::recovery::{self, Beginning};
use super::restoring::{Found, Restoration, Sought};
use super::start::{Environment, Versions};
use crate::dataflow::{Blueprint, Restored};
use crate::error::Result;
use crate::ids::{Epoch, KeyGroupCount, WorkerIndex};
use crate::protocol::{
    Asker, Claimant, Keep, Manifest, Origin, Phase, SlotNumber, SnapshotRef, objects_of,
};
use crate::settings::{Options, RestoreFrom};
pub use crate::state::ChainLimits;
use crate::state::{
    self, Compacted, CompactionOrder, Former, KeyedLogic, Share, SnapshotScope, StateStore,
};
use crate::storage::log::LogWriter;
use crate::storage::{self, CheckpointStorage};

/// Makes the nonces of this thread follow from `seed`, so that a simulation can be repeated.
pub fn plan_nonces(seed: u64) {
    storage::nonce::plan_nonces(seed);
}

/// What a run begins with.
#[derive(Debug)]
pub struct Recovered {
    /// The first epoch that the run closes.
    pub first_epoch: Epoch,
    /// The number of key groups.
    pub key_groups: KeyGroupCount,
    /// Splits and snapshots.
    pub restored: Arc<Restored>,
    /// The checkpoint that the run begins from.
    pub from: Option<Epoch>,
    /// All input was read in an earlier run.
    pub finished: bool,
    /// Manifests that name damaged objects.
    pub damaged: BTreeSet<SlotNumber>,
    /// The restores that the checkpoint descends from.
    pub origins: Vec<Origin>,
}

/// Claims the log, chooses a checkpoint, puts the sinks in order.
pub fn recover(
    job: &Arc<str>,
    blueprint: &Blueprint,
    (options, environment): (&Options, &Environment),
    claimant: &mut Claimant,
    storage: Arc<dyn CheckpointStorage>,
) -> Result<(LogWriter, Recovered)> {
    let begin = Beginning {
        versions: &Versions::default(),
        job,
        blueprint,
        options,
        environment,
        worker_count: options.worker_count,
    };
    let recovered = recovery::recover(begin, claimant, storage)?;
    let begins = Recovered {
        first_epoch: recovered.first_epoch,
        key_groups: recovered.key_groups,
        restored: recovered.restored,
        from: recovered.from,
        finished: recovered.finished,
        damaged: recovered.damaged,
        origins: recovered.origins,
    };
    Ok((recovered.writer, begins))
}

/// Makes a checkpoint the one that the next run begins from: an older one of the log, or a savepoint at hand.
pub fn restore(
    job: &str,
    storage: Arc<dyn CheckpointStorage>,
    from: RestoredFrom,
) -> Result<Restoration> {
    let (wanted, found) = match from {
        RestoredFrom::Own(epoch) => (RestoreFrom::own(epoch), None),
        RestoredFrom::Savepoint(storage, manifest) => {
            let manifest = *manifest;
            (
                RestoreFrom::place("a savepoint"),
                Some(Found { storage, manifest }),
            )
        }
    };
    Sought::at_hand(&wanted, found).bring_in(job, storage, 0)
}

/// What is restored.
#[derive(Clone, Debug)]
pub enum RestoredFrom {
    /// An older checkpoint of the log.
    Own(Epoch),
    /// A savepoint, and where its objects are.
    Savepoint(Arc<dyn CheckpointStorage>, Box<Manifest>),
}

/// What the publisher's thread works with.
pub struct Publisher(PublisherParts);

impl Publisher {
    /// The publisher of a run that keeps so many checkpoints.
    pub fn new(writer: LogWriter, retained: NonZeroUsize, damaged: BTreeSet<SlotNumber>) -> Self {
        Self(PublisherParts {
            writer,
            keep: Keep::Newest(retained),
            damaged,
            history: None,
            claimed: None,
            pinned: BTreeMap::new(),
            ended_with: None,
        })
    }

    /// The log.
    pub fn writer(&mut self) -> &mut LogWriter {
        &mut self.0.writer
    }

    /// Keeps what a savepoint is copied from.
    pub fn pin(&mut self, asker: Asker, manifest: &Manifest) {
        let names = objects_of(manifest).map(str::to_owned).collect();
        self.0.pinned.insert(asker, names);
    }

    /// It need not stay any more.
    pub fn unpin(&mut self, asker: Asker) {
        self.0.pinned.remove(&asker);
    }

    /// Deletes what need not stay.
    pub fn clean_up(&mut self) {
        self.0.clean_up(self.0.keep, Phase::Running);
    }
}

/// The snapshot references of a keyed subtask from checkpoint to checkpoint.
#[derive(Debug)]
pub struct Chain(state::Chain);

impl Chain {
    /// A chain of nothing.
    pub fn new(limits: ChainLimits) -> Self {
        Self(state::Chain::new(limits))
    }

    /// The chain that a restored subtask goes on with.
    pub fn restored(refs: Vec<SnapshotRef>, limits: ChainLimits) -> Self {
        Self(state::Chain::restored(refs, limits))
    }

    /// What the next snapshot has to hold.
    pub fn next_scope(&mut self, entries: usize) -> SnapshotScope {
        self.0.next_scope(entries)
    }

    /// Takes in a snapshot; why its checkpoint fails, if it does.
    pub fn take(
        &mut self,
        scope: SnapshotScope,
        snapshot: Result<Vec<SnapshotRef>>,
    ) -> Option<String> {
        self.0.take(scope, snapshot)
    }

    /// The references for the answer of an epoch, oldest first.
    pub fn answer(&mut self, epoch: Epoch) -> Vec<SnapshotRef> {
        self.0.answer(epoch)
    }

    /// The next compaction to be begun.
    pub fn next_order(&mut self) -> Option<CompactionOrder> {
        self.0.next_order()
    }

    /// Takes in what has come of a compaction.
    pub fn compacted(&mut self, number: u32, outcome: Result<Compacted>) {
        self.0.compacted(number, outcome);
    }
}

/// The bytes with which every object of a keyed snapshot begins.
pub const SNAPSHOT_HEADER_LEN: usize = state::frames::HEADER_LEN;

/// Gives the subtask of `worker`, of `worker_count`, its part of what `former_count` subtasks left.
pub fn restore_keyed<L: KeyedLogic>(
    logic: &mut L,
    groups: KeyGroupCount,
    (worker, worker_count): (WorkerIndex, usize),
    (former, former_count): (&[(WorkerIndex, Vec<SnapshotRef>)], usize),
    store: &StateStore,
) -> Result<()> {
    let former = former.iter().map(|(worker, refs)| Former {
        range: groups.range_of(*worker, former_count),
        refs,
    });
    let range = groups.range_of(worker, worker_count);
    let never = AtomicBool::new(false);
    let share = Share::new(groups, range, &never);
    state::restore_from(logic, share, former, |reference| store.read(reference))
}
