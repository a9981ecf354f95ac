//! Checkpoints for whoever looks at them: listed, verified and read without the code of the job.
//!
//! A manifest holds the plan of its job with the schema of each stage's state, so that what is stored can
//! be read by anybody. Nothing is written there, and nothing removed: a job may be running on the
//! directory. State in RocksDB is read by RocksDB, from a directory for temporary files. A checkpoint may then vanish while it is read, which is `Unavailable`.
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
mod summary;
#[cfg(test)]
mod tests;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

pub use crate::storage::export::export;
pub use changes::{StateChange, StateChanges};
pub use entry::{Stamp, StateClock, StateEntry, StatePlace};
pub use history::History;
pub use summary::{CheckpointSummary, Holding, StageSummary};
pub use walk::StateEntries;

pub use crate::protocol::{
    Advice, CheckpointCost, CheckpointRecord, Objectives, RunEnd, RunRecord, SubtaskCost,
};

use crate::connector::{SinkSnapshot, SourceSnapshot};
use crate::error::{Error, Result};
use crate::ids::{Epoch, StageId};
use crate::protocol::{
    Location, LogView, Manifest, PlanStage, SlotContent, SlotNumber, StageKind, StateFile,
    SubtaskSnapshot, Verification, catalogue, files_of,
};
use crate::storage::log::read_log;
use crate::storage::snapshots::verify_object;
use crate::storage::{CheckpointLocation, CheckpointStorage, RealDisk, TransferLimits};

/// The checkpoints of a directory, as they were when it was opened.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    storage: Arc<dyn CheckpointStorage>,
    log: LogView,
    work_dir: PathBuf,
}

/// A slot of the log that does not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DamagedSlot {
    /// Its position.
    pub slot: SlotNumber,
    /// The epoch that it tells of, if its header is whole.
    pub epoch: Option<Epoch>,
    /// What is wrong with it.
    pub reason: String,
}

/// A state object that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DamagedFile {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Checkpoints {
    /// Reads what checkpoints there are at a location.
    ///
    /// # Errors
    ///
    /// `Invalid` if there is no checkpoint directory; `Unavailable` if the storage does not answer.
    pub fn open(location: &CheckpointLocation) -> Result<Self> {
        Self::open_in(location.open_to_read(Arc::new(RealDisk), &TransferLimits::default())?)
    }

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
        log.leave_out_latecomers();
        Ok(Self {
            storage,
            log,
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
        self.iter().next().ok_or_else(|| self.no_checkpoint("yet"))
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
            .ok_or_else(|| self.no_checkpoint(&format!("of epoch {epoch}")))
    }

    /// The slots that do not read, or that another version has written.
    pub fn damaged_slots(&self) -> Vec<DamagedSlot> {
        let slots = self.log.since_fresh_start().iter();
        slots
            .filter_map(|slot| match &slot.content {
                SlotContent::Damaged { author, reason } => Some(DamagedSlot {
                    slot: slot.number,
                    epoch: author.map(|author| author.epoch),
                    reason: reason.clone(),
                }),
                SlotContent::OtherVersion { reason } => Some(DamagedSlot {
                    slot: slot.number,
                    epoch: None,
                    reason: reason.clone(),
                }),
                SlotContent::Claim(_) | SlotContent::Manifest(_) => None,
            })
            .collect()
    }

    /// Every state object that a checkpoint names, with the checkpoints that name it.
    pub fn files(&self) -> Vec<StateFile> {
        catalogue(&self.log)
    }

    fn no_checkpoint(&self, which: &str) -> Error {
        let place = self.storage.place();
        Error::invalid(format!("there is no checkpoint {which} in {place}"))
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

    /// Reads every state object, and says which ones are not what was written.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the storage does not answer: that says nothing about the bytes.
    pub fn verify(&self) -> Result<Vec<DamagedFile>> {
        let mut damaged = Vec::new();
        for snapshot in &self.manifest.snapshots {
            for reference in &snapshot.refs {
                match verify_object(self.storage, reference)? {
                    Verification::Whole => {}
                    Verification::Damaged { object, reason } => damaged.push(DamagedFile {
                        name: object,
                        reason,
                    }),
                }
            }
        }
        Ok(damaged)
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
