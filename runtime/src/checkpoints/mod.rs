//! Checkpoints for whoever looks at them: listed, verified and read without the code of the job.
//!
//! A manifest holds the plan of its job with the schema of each stage's state, so that what is stored can
//! be read by anybody. Nothing is written there, and nothing removed (but by [`prune`]): a job may be running on the
//! directory, and a checkpoint may vanish while it is read, which is `Unavailable`. State in RocksDB is read by RocksDB,
//! from a directory for temporary files.
//!
//! # Examples
//!
//! ```
//! use flowdsl_runtime::checkpoints::Checkpoints;
//! use flowdsl_runtime::storage::CheckpointLocation;
//!
//! fn print(dir: &str) -> flowdsl_runtime::Result<()> {
//!     let checkpoints = Checkpoints::open(&CheckpointLocation::from(dir))?;
//!     let newest = checkpoints.newest()?;
//!     for damaged in newest.verify()? {
//!         println!("{}: {}", damaged.name, damaged.reason);
//!     }
//!     for stage in newest.keyed_stages() {
//!         for entry in newest.state(&stage.id)? {
//!             let entry = entry?;
//!             println!("{}: {:?} {} {}", stage.id, entry.place, entry.key, entry.value);
//!         }
//!     }
//!     Ok(())
//! }
//! # assert!(print("no-such-directory").is_err());
//! ```

mod changes;
mod entry;
mod history;
mod place;
mod prune;
mod summary;
#[cfg(test)]
mod tests;
mod verify;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

pub use crate::storage::export::export;
pub use changes::{StateChange, StateChanges};
pub use entry::{Stamp, StateClock, StateEntry, StatePlace};
pub use history::History;
pub use prune::{Pruning, prune};
pub use summary::{CheckpointSummary, Holding, StageSummary};
pub use verify::{DamagedFile, DamagedSlot, Verified};
pub use walk::StateEntries;

pub use crate::protocol::{
    Advice, CheckpointCost, CheckpointRecord, Objectives, RunEnd, RunRecord, SubtaskCost,
};

use crate::connector::{SinkSnapshot, SourceSnapshot};
use crate::error::{Error, Result};
use crate::ids::{Epoch, StageId};
use crate::protocol::{
    Location, LogView, Manifest, MisplacedSlot, PlanStage, SlotNumber, StageKind, StateFile,
    SubtaskSnapshot, catalogue, files_of, misplaced_slots,
};
use crate::state::stored::StageShape;
use crate::storage::CheckpointStorage;
use crate::storage::log::read_log;

/// The checkpoints of a directory, as they were when it was opened.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    storage: Arc<dyn CheckpointStorage>,
    log: LogView,
    misplaced: Vec<MisplacedSlot>,
    work_dir: PathBuf,
}

impl Checkpoints {
    /// Reads what checkpoints there are in a storage.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_in(storage: Arc<dyn CheckpointStorage>) -> Result<Self> {
        let mut log = read_log(&*storage)?;
        if log.slots.is_empty() {
            return Err(Error::invalid(format!(
                "{} is no checkpoint directory: no job has begun there",
                storage.place()
            )));
        }
        let misplaced = misplaced_slots(&log);
        log.leave_out_latecomers();
        Ok(Self {
            storage,
            log,
            misplaced,
            work_dir: std::env::temp_dir(),
        })
    }

    /// The same, with the databases of state in RocksDB put together in this directory while they are read. By
    /// default that is the one for temporary files.
    ///
    /// On the file system of the checkpoints their tables are linked, elsewhere they are copied: room is needed
    /// for the state of a stage. The directory must be there, and is left as it was.
    pub fn with_work_dir(self, work_dir: impl Into<PathBuf>) -> Self {
        Self {
            work_dir: work_dir.into(),
            ..self
        }
    }

    /// The checkpoints that a start would choose from, newest first.
    pub fn iter(&self) -> impl Iterator<Item = Checkpoint<'_>> {
        let manifests = self.log.manifests_newest_first();
        manifests.map(|(slot, manifest)| Checkpoint {
            storage: &*self.storage,
            work_dir: &self.work_dir,
            slot,
            manifest,
        })
    }

    /// The newest checkpoint, damaged or not.
    ///
    /// # Errors
    ///
    /// `Invalid` if there is none.
    pub fn newest(&self) -> Result<Checkpoint<'_>> {
        self.iter().next().ok_or_else(|| self.no_checkpoint())
    }

    /// The checkpoint of an epoch.
    ///
    /// # Errors
    ///
    /// `Invalid` if there is none.
    pub fn of_epoch(&self, epoch: Epoch) -> Result<Checkpoint<'_>> {
        let mut checkpoints = self.iter();
        checkpoints
            .find(|checkpoint| checkpoint.manifest.epoch == epoch)
            .ok_or_else(|| self.no_such_checkpoint(epoch))
    }

    /// Every state object that a checkpoint names, with the checkpoints that name it.
    pub fn files(&self) -> Vec<StateFile> {
        catalogue(&self.log)
    }
}

/// One checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint<'a> {
    storage: &'a dyn CheckpointStorage,
    work_dir: &'a Path,
    slot: SlotNumber,
    manifest: &'a Manifest,
}

impl<'a> Checkpoint<'a> {
    /// Its manifest.
    pub fn manifest(&self) -> &'a Manifest {
        self.manifest
    }

    /// What it is, in a few numbers.
    pub fn summary(&self) -> CheckpointSummary {
        summary::summary_of(self.slot, self.manifest)
    }

    /// The state objects that it names.
    pub fn files(&self) -> Vec<StateFile> {
        files_of(self.manifest).collect()
    }

    /// The stages that keep state per key.
    pub fn keyed_stages(&self) -> impl Iterator<Item = &'a PlanStage> + use<'a> {
        let stages = self.manifest.plan.stages.iter();
        stages.filter(|stage| stage.kind == StageKind::Keyed)
    }

    /// The keyed state of a stage, entry by entry.
    ///
    /// # Errors
    ///
    /// `Invalid` if there is no such stage, or it keeps no state per key, or keeps it in RocksDB and this program was
    /// built without the feature `rocksdb`; `Corrupt`, with the object and the
    /// place in it, where stored bytes are wrong; `Incompatible` where a type can be read by its code only;
    /// `Unavailable` if the storage does not answer.
    pub fn state(&self, stage: &StageId) -> Result<StateEntries<'a>> {
        let planned = self.stage(stage, StageKind::Keyed)?;
        let from = (self.storage, self.work_dir);
        StateEntries::of(from, self.manifest, planned).map_err(|e| e.in_stage(stage))
    }

    /// What a stage keeps of one key, which is JSON as in its entries.
    ///
    /// # Errors
    ///
    /// As [`state`](Self::state), and `Invalid` if the stage has no such keys.
    pub fn state_of(&self, stage: &StageId, key: &Value) -> Result<StateEntries<'a>> {
        let planned = self.stage(stage, StageKind::Keyed)?;
        let entries = self.state(stage)?;
        let shape = planned.schema.as_ref().and_then(StageShape::of);
        let shape = shape.ok_or_else(|| Error::internal("it was read by its schema"))?;
        entries.of_key(key, &shape).map_err(|e| e.in_stage(stage))
    }

    /// How far the splits of a source had been read, subtask by subtask.
    ///
    /// # Errors
    ///
    /// `Invalid` if there is no such source; `Corrupt` if what is stored does not read.
    pub fn source(&self, stage: &StageId) -> Result<Vec<SourceSnapshot>> {
        self.stage(stage, StageKind::Source)?;
        self.operator(stage, SourceSnapshot::decode)
    }

    /// What an exactly-once sink had staged and not reported as committed, subtask by subtask.
    ///
    /// # Errors
    ///
    /// `Invalid` if there is no such sink; `Corrupt` if what is stored does not read.
    pub fn sink(&self, stage: &StageId) -> Result<Vec<SinkSnapshot>> {
        self.stage(stage, StageKind::TransactionalSink)?;
        self.operator(stage, SinkSnapshot::decode)
    }

    fn operator<T>(&self, stage: &StageId, decode: impl Fn(&[u8]) -> Result<T>) -> Result<Vec<T>> {
        let of_stage = |snapshot: &&SubtaskSnapshot| snapshot.subtask.stage == *stage;
        let snapshots = self.manifest.snapshots.iter().filter(of_stage);
        snapshots
            .flat_map(|snapshot| &snapshot.refs)
            .map(|reference| match &reference.location {
                Location::Inline(bytes) => decode(bytes).map_err(|e| e.in_stage(stage)),
                Location::Object { name, .. } => Err(Error::corrupt(format!(
                    "its snapshot stands in the object `{name}`, not in the manifest"
                ))
                .in_stage(stage)),
            })
            .collect()
    }

    fn stage(&self, id: &StageId, kind: StageKind) -> Result<&'a PlanStage> {
        let stages = &self.manifest.plan.stages;
        match stages.iter().find(|stage| stage.id == *id) {
            Some(stage) if stage.kind == kind => Ok(stage),
            Some(stage) => Err(Error::invalid(format!(
                "the stage `{id}` is a {:?}, not a {kind:?}",
                stage.kind
            ))),
            None => {
                let ids: Vec<String> = stages
                    .iter()
                    .map(|stage| format!("`{}`", stage.id))
                    .collect();
                Err(Error::invalid(format!(
                    "the checkpoint has no stage `{id}`; it has {}",
                    ids.join(", ")
                )))
            }
        }
    }
}
