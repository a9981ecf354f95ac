//! The checkpoint protocol as pure decisions: facts in, decision out.
//!
//! Nothing here performs I/O, reads a clock, starts a thread or knows timely (invariant 1).

mod ack;
mod commit;
mod manifest;

pub use ack::{Acknowledgement, AfterBarrier, Control, Report};
pub use commit::CommitPermit;
pub use manifest::{CheckpointKind, Location, Manifest, PlanEdge, PlanStage, SnapshotKind, SnapshotRef, StageKind, StoredPlan, SubtaskSnapshot};
