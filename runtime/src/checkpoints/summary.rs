//! What a checkpoint is, without a look at its state: all of it stands in the manifest.

use serde::Serialize;

use crate::ids::{Epoch, Generation, StageId};
use crate::protocol::{
    CheckpointKind, Location, Manifest, PlanStage, SlotNumber, StageKind, SubtaskSnapshot,
};

/// A checkpoint in a few numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckpointSummary {
    /// The epoch that it closes.
    pub epoch: Epoch,
    /// The slot of the log that holds its manifest.
    pub slot: SlotNumber,
    /// Why it was taken.
    pub kind: CheckpointKind,
    /// Whether all input had been read.
    pub finished: bool,
    /// The job's name.
    pub job: String,
    /// The generation that wrote it.
    pub generation: Generation,
    /// When its manifest was written, in milliseconds since the Unix epoch.
    pub written_unix_ms: u64,
    /// The number of workers that wrote it.
    pub worker_count: u32,
    /// The number of key groups.
    pub key_groups: u32,
    /// What it holds.
    #[serde(flatten)]
    pub holds: Holding,
    /// The same, of each stage that has a snapshot, in the order of the plan.
    pub stages: Vec<StageSummary>,
}

/// What one stage keeps in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageSummary {
    /// The stage.
    pub stage: StageId,
    /// The word in the flow: `map`, `window`, `sink`.
    pub operation: String,
    /// What a person wants to know of it.
    pub detail: String,
    /// What it is to a checkpoint.
    pub kind: StageKind,
    /// The schema of its state, if it is keyed.
    pub schema: Option<String>,
    /// What it keeps.
    #[serde(flatten)]
    pub holds: Holding,
}

/// How much snapshots hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// The number of subtasks.
    pub subtasks: usize,
    /// The number of state objects.
    pub files: usize,
    /// Bytes in state objects. Other checkpoints may name the same objects.
    pub file_bytes: u64,
    /// Bytes of small snapshots in the manifest itself.
    pub inline_bytes: u64,
}

impl Holding {
    fn of<'a>(snapshots: impl Iterator<Item = &'a SubtaskSnapshot>) -> Self {
        let mut holding = Self::default();
        for snapshot in snapshots {
            holding.subtasks += 1;
            for reference in &snapshot.refs {
                match &reference.location {
                    Location::Inline(bytes) => holding.inline_bytes += bytes.len() as u64,
                    Location::Object { len, .. } => {
                        holding.files += 1;
                        holding.file_bytes = holding.file_bytes.saturating_add(*len);
                    }
                }
            }
        }
        holding
    }
}

/// Sums a manifest up.
pub(super) fn summary_of(slot: SlotNumber, manifest: &Manifest) -> CheckpointSummary {
    let stage = |stage: &PlanStage| StageSummary {
        stage: stage.id.clone(),
        operation: stage.operation.clone(),
        detail: stage.detail.clone(),
        kind: stage.kind,
        schema: stage.schema.as_ref().map(ToString::to_string),
        holds: Holding::of(
            manifest
                .snapshots
                .iter()
                .filter(|snapshot| snapshot.subtask.stage == stage.id),
        ),
    };
    CheckpointSummary {
        epoch: manifest.epoch,
        slot,
        kind: manifest.kind,
        finished: manifest.finished,
        job: manifest.job.clone(),
        generation: manifest.generation,
        written_unix_ms: manifest.written_unix_ms,
        worker_count: manifest.worker_count,
        key_groups: manifest.key_groups.get(),
        holds: Holding::of(manifest.snapshots.iter()),
        stages: manifest
            .plan
            .stages
            .iter()
            .filter(|stage| stage.kind.has_snapshot())
            .map(stage)
            .collect(),
    }
}
