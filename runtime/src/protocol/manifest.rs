//! The manifest: the immutable list of snapshot references that *is* a checkpoint.

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, Generation, KeyGroupCount, StageId, SubtaskId};
use crate::protocol::Origin;
use crate::schema::Schema;

/// Why a checkpoint was taken, and who owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckpointKind {
    /// Taken by the coordinator, collected by retention.
    Checkpoint,
    /// Asked for and owned by the user; permits no commit.
    Savepoint,
}

/// What a stage is to a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StageKind {
    /// Reads splits; its snapshot holds their offsets.
    Source,
    /// Keeps nothing.
    Stateless,
    /// Keeps state per key.
    Keyed,
    /// Writes at once.
    Sink,
    /// Stages output and commits it; its snapshot holds committables.
    TransactionalSink,
}

impl StageKind {
    /// Whether each subtask of the stage answers every barrier with a snapshot.
    pub const fn has_snapshot(self) -> bool {
        match self {
            Self::Source | Self::Keyed | Self::TransactionalSink => true,
            Self::Stateless | Self::Sink => false,
        }
    }
}

/// One stage of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStage {
    /// The stable id.
    pub id: StageId,
    /// The word in the flow: `map`, `window`, `sink`.
    pub operation: String,
    /// What a person wants to know of it: a path, a window's size.
    pub detail: String,
    /// What it is to a checkpoint.
    pub kind: StageKind,
    /// The schema of its state, if it is keyed.
    pub schema: Option<Schema>,
}

/// One edge of the plan, between positions in its list of stages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanEdge {
    /// Position of the stage that sends.
    pub from: usize,
    /// Position of the stage that receives.
    pub to: usize,
    /// Whether records change the worker on the way.
    pub exchange: bool,
}

/// The plan of a job as every manifest stores it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPlan {
    /// The stages, in the order of the flow.
    pub stages: Vec<PlanStage>,
    /// The edges.
    pub edges: Vec<PlanEdge>,
}

/// What the bytes behind a snapshot reference are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotKind {
    /// State of one subtask as a whole: offsets, a watermark, committables.
    Operator,
    /// All keyed state of a subtask.
    KeyedFull,
    /// What changed since the reference before.
    KeyedIncrement,
    /// The names that the files in the references behind this one have for RocksDB.
    RocksCatalogue,
    /// A file of RocksDB, as it is.
    RocksFile,
}

/// Where the bytes of a snapshot reference are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Location {
    /// In the manifest itself (small ones).
    Inline(Vec<u8>),
    /// In an object of the checkpoint directory.
    Object {
        /// The object's name, relative to the checkpoint directory.
        name: String,
        /// Its length in bytes.
        len: u64,
        /// xxh3-64 of all its bytes.
        checksum: u64,
    },
}

/// A pointer in a manifest to stored bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRef {
    /// What the bytes are.
    pub kind: SnapshotKind,
    /// Where they are.
    pub location: Location,
}

impl SnapshotRef {
    /// How many bytes it points to.
    pub const fn len(&self) -> u64 {
        match &self.location {
            Location::Inline(bytes) => bytes.len() as u64,
            Location::Object { len, .. } => *len,
        }
    }

    /// Whether it points to nothing.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The snapshot of one subtask: references in the order in which they are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskSnapshot {
    /// The subtask.
    pub subtask: SubtaskId,
    /// Its references, oldest first.
    pub refs: Vec<SnapshotRef>,
}

/// A checkpoint: it exists if and only if its manifest does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The job's name.
    pub job: String,
    /// The generation that wrote it.
    pub generation: Generation,
    /// The writer's nonce, by which it knows its own write again.
    pub nonce: u64,
    /// The epoch that the checkpoint closes.
    pub epoch: Epoch,
    /// Why it was taken.
    pub kind: CheckpointKind,
    /// Whether all input had been read: starting the job again does nothing.
    pub finished: bool,
    /// The number of workers that wrote it.
    pub worker_count: u32,
    /// The number of key groups, fixed for the job's life.
    pub key_groups: KeyGroupCount,
    /// When it was written, in milliseconds since the Unix epoch; for people only.
    pub written_unix_ms: u64,
    /// The plan of the flow that wrote it.
    pub plan: StoredPlan,
    /// The snapshot of every subtask that has one.
    pub snapshots: Vec<SubtaskSnapshot>,
    /// The restores that it descends from, oldest first.
    pub origins: Vec<Origin>,
}
