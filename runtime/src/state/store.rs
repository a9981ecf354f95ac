//! Where the subtasks of one run keep their state.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use crate::ids::{Epoch, Generation, SubtaskId};
use crate::protocol::{SnapshotKind, SnapshotRef};
use crate::storage::CheckpointStorage;
use crate::storage::snapshots::{
    SnapshotPart, read_part, read_snapshot, write_compacted, write_foreign, write_snapshot,
};

/// The checkpoint storage, with what marks the objects of this run as its own.
#[derive(Clone, Debug)]
pub struct StateStore {
    storage: Arc<dyn CheckpointStorage>,
    generation: Generation,
    nonce: u64,
}

impl StateStore {
    /// The store of the run with this generation and nonce.
    pub fn new(storage: Arc<dyn CheckpointStorage>, generation: Generation, nonce: u64) -> Self {
        Self {
            storage,
            generation,
            nonce,
        }
    }

    /// A part that this run writes.
    fn part<'a>(
        &self,
        subtask: &'a SubtaskId,
        epoch: Epoch,
        part: u32,
        kind: SnapshotKind,
    ) -> SnapshotPart<'a> {
        SnapshotPart {
            generation: self.generation,
            nonce: self.nonce,
            epoch,
            subtask,
            part,
            kind,
        }
    }

    /// Makes the `part`-th part of a subtask's snapshot durable.
    pub fn write(
        &self,
        subtask: &SubtaskId,
        epoch: Epoch,
        part: u32,
        kind: SnapshotKind,
        bytes: &[u8],
    ) -> Result<SnapshotRef> {
        let part = self.part(subtask, epoch, part, kind);
        write_snapshot(&*self.storage, &part, bytes)
    }

    /// Makes a file of another program durable, as the `part`-th part of a subtask's snapshot.
    pub fn write_foreign(
        &self,
        subtask: &SubtaskId,
        epoch: Epoch,
        part: u32,
        kind: SnapshotKind,
        bytes: &[u8],
    ) -> Result<SnapshotRef> {
        let part = self.part(subtask, epoch, part, kind);
        write_foreign(&*self.storage, &part, bytes)
    }

    /// The checkpoint storage.
    pub(crate) fn storage(&self) -> &dyn CheckpointStorage {
        &*self.storage
    }

    /// Makes a part of a compaction of this number durable, whose first manifest may be that of `due`.
    pub(crate) fn write_compacted(
        &self,
        subtask: &SubtaskId,
        due: Epoch,
        (number, part): (u32, u32),
        kind: SnapshotKind,
        bytes: &[u8],
    ) -> Result<SnapshotRef> {
        let part = self.part(subtask, due, part, kind);
        write_compacted(&*self.storage, number, &part, bytes)
    }

    /// Reads some of what a reference points to, unchecked.
    pub(crate) fn read_part(
        &self,
        reference: &SnapshotRef,
        range: Range<usize>,
    ) -> Result<Vec<u8>> {
        read_part(&*self.storage, reference, range)
    }

    /// Reads what a reference points to, checked.
    pub fn read(&self, reference: &SnapshotRef) -> Result<Vec<u8>> {
        read_snapshot(&*self.storage, reference)
    }
}
