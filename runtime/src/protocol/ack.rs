//! What the coordinator and the subtasks say to each other.

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, SubtaskId};
use crate::protocol::{Backlog, CommitPermit, SnapshotAck};

/// The answer of one subtask for one epoch, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who answers.
    pub subtask: SubtaskId,
    /// For which epoch.
    pub epoch: Epoch,
    /// The answer.
    pub ack: SnapshotAck,
}

/// What the coordinator tells every worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// Close this epoch: sources follow at their next batch.
    Trigger {
        /// The epoch that ends.
        closes: Epoch,
        /// Whether sources read on behind the barrier.
        then: AfterBarrier,
    },
    /// This epoch's checkpoint was given up: answer at once if you have not.
    Abort(Epoch),
    /// A checkpoint is published: commit.
    Complete(CommitPermit),
    /// The last checkpoint is published and committed: let go.
    Finish,
}

/// What sources do behind a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterBarrier {
    /// Read on.
    ReadOn,
    /// Read no more: the barrier is the last one, unless its checkpoint fails.
    Rest,
    /// The same, and the barrier comes behind the end of time, as if all input had been read: whatever
    /// waits for a time fires before it.
    RestAtEndOfTime,
}

/// What subtasks tell the coordinator beside their answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// All splits of this source subtask have been read to their end.
    SourceFinished(SubtaskId),
    /// Every committable of this subtask up to the epoch is visible.
    Committed(SubtaskId, Epoch),
    /// This source subtask begins to work off input that waited for it, or has done so.
    Backlog(SubtaskId, Backlog),
}
