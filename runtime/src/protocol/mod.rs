//! The checkpoint protocol as pure decisions: facts in, decision out.
//!
//! Nothing here performs I/O, reads a clock, starts a thread or knows timely (invariant 1).
//!
//! | question | answered by |
//! |---|---|
//! | is it time for a checkpoint? | [`may_trigger`] |
//! | what do the answers make of it? | [`PendingCheckpoint::judge`] |
//! | what does an operator answer, and when does it commit? | [`Answering`] |
//! | what does the coordinator do next? | [`Coordination`] |
//! | is the job well? | [`judge_health`] |
//! | does a run that failed begin again? | [`may_restart`] |
//! | was a slot of the log written by us? | [`judge_occupant`] |
//! | may a process claim the log once more? | [`Claimant`] |
//! | does a slot stand where it was written? | [`misplaced_slots`] |
//! | what may become visible? | [`CommitPermit`] |
//! | which checkpoint does a job start from? | [`choose_checkpoint`] |
//! | is a checkpoint to be brought in first? | [`judge_restore`] |
//! | does its state fit this flow, and what is to be done for it? | [`compare_plans`], [`may_restore`] |
//! | who answers a request, and which are stale? | [`addressee_of`], [`is_stale_request`] |
//! | what may be deleted? | [`plan_cleanup`] |
//! | which files make up a checkpoint? | [`catalogue`] |
//! | what did a checkpoint cost, and who was last? | [`CheckpointCost`] |
//! | how often did the job fail? | [`runs_of`], [`Observed`] |
//! | how often should it take checkpoints? | [`advise`] |

mod ack;
pub mod advice;
mod answering;
mod catalogue;
mod claimant;
mod commit;
mod coordination;
mod cost;
mod evolution;
mod health;
mod history;
pub mod log;
mod manifest;
mod origin;
mod pending;
mod plan;
mod recover;
mod request;
mod restart;
mod restore;
mod retention;
mod seed;
#[cfg(test)]
pub(crate) mod testing;
mod trigger;
mod units;

pub use ack::{Acknowledgement, AfterBarrier, Control, Report};
pub use advice::{Advice, AdviceFacts, Bound, Limit, Losses, Objectives, advise};
pub use answering::{
    Answer, Answering, AnsweringEffect, AnsweringSettings, Decided, Output, Participants,
    SnapshotOutcome,
};
pub use catalogue::{StateFile, catalogue, files_of};
pub use claimant::Claimant;
pub use commit::CommitPermit;
pub use coordination::{
    Action, Asker, Coordination, Drain, Heard, Notice, PublicationOutcome, RunFacts,
};
pub use cost::{
    CheckpointCost, CheckpointTimes, Last, NamedBefore, SnapshotCost, SubtaskCost, Weight, Why,
    contention,
};
pub use evolution::{Difference, Migration};
pub(crate) use evolution::{Migrated, NamedStep, Values};
pub use health::{Health, HealthFacts, judge_health};
pub use history::{
    CheckpointRecord, HistoryEntry, HistoryEvent, HistoryKey, Observed, RunBegan, RunEnd, RunEnded,
    RunRecord, SignOfLife, runs_of, surplus,
};
pub use log::{
    Claim, LogView, MisplacedSlot, Occupant, Slot, SlotAuthor, SlotContent, SlotNumber, SlotRole,
    StateObject, claim_counts, judge_occupant, may_claim, may_delete, misplaced_slots,
};
pub use manifest::{
    CheckpointKind, Location, Manifest, PlanEdge, PlanStage, SnapshotKind, SnapshotRef, StageKind,
    StoredPlan, SubtaskSnapshot,
};
pub use origin::{MOST_ORIGINS, Origin, OriginPlace};
pub use pending::{
    BarrierPassed, FailureVerdict, Judgement, PendingCheckpoint, SnapshotAck, is_timed_out,
    judge_failures,
};
pub(crate) use plan::Evolving;
pub use plan::{
    Allowance, PlanDiff, RestorePlan, StageChange, StageDiff, VersionRules, check_migrations,
    compare_plans, may_restore, rename_stages,
};
pub use recover::{
    ChosenCheckpoint, DamagedCheckpoint, RecoveryDecision, RecoveryFacts, RecoveryOptions,
    SinkFacts, Verification, choose_checkpoint,
};
pub use request::{
    Addressee, Reply, RequestName, Wish, addressee_of, is_stale_reply, is_stale_request,
};
pub use restart::{During, Failure, FailureHistory, Restart, may_restart};
pub use restore::{Insist, RestoreDecision, Wanted, judge_restore, left_behind};
pub use retention::{
    CleanupPlan, JobEnd, Keep, Phase, RetentionFacts, keep_at_end, objects_of, plan_cleanup,
};
pub use trigger::{
    Backlog, EndOfJob, Trigger, TriggerFacts, first_interval, interval_of, may_trigger,
};
