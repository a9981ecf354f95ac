//! What goes into the machine, and what comes out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation, KeyGroupCount};
use crate::protocol::{
    Acknowledgement, CheckpointCost, Control, Manifest, Origin, Report, StoredPlan,
};

/// What a run is, as its manifests say it.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// The job's name.
    pub job: String,
    /// The run's generation.
    pub generation: Generation,
    /// The run's nonce.
    pub nonce: u64,
    /// The plan of the flow.
    pub plan: StoredPlan,
    /// The number of workers.
    pub worker_count: usize,
    /// The number of key groups.
    pub key_groups: KeyGroupCount,
    /// The first epoch that the run may close.
    pub first_epoch: Epoch,
    /// The checkpoint that the run began from.
    pub restored_from: Option<Epoch>,
    /// The restores that this checkpoint descends from.
    pub origins: Vec<Origin>,
    /// The pause behind a failed checkpoint, for each failure in a row.
    pub failure_pause: Duration,
}

/// Who asked for a checkpoint: a number that whoever drives the machine understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker(pub u64);

/// What the coordinator hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// The answer of a subtask.
    Ack(Acknowledgement),
    /// The ack frontier: every answer for epochs before this one has arrived. `None` when nothing
    /// can arrive any more.
    AnsweredBefore(Option<Epoch>),
    /// Something else that a subtask says.
    Report(Report),
    /// What came of an [`Action::Publish`].
    Published(Box<Manifest>, PublicationOutcome),
    /// What came of an [`Action::LookAtLog`]: `Fenced` if another run has taken over.
    LookedAtLog(Result<()>),
    /// The job is to stop.
    Stop,
    /// The job is to stop, and somebody wants to hear of its last checkpoint.
    StopAsked(Asker),
    /// Somebody wants a checkpoint now.
    CheckpointAsked(Asker),
    /// Somebody wants a savepoint now.
    SavepointAsked(Asker),
    /// The job is to stop, and its last checkpoint is wanted as a savepoint, too.
    StopWithSavepoint(Asker, Drain),
    /// Something of what an [`Action::Copy`] is about has been copied.
    Copying(Asker),
    /// What came of an [`Action::Copy`].
    Copied(Asker, Result<()>),
}

/// What becomes of open windows and timers when a job stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Drain {
    /// They wait for the next run: nothing fires that was not due.
    #[default]
    No,
    /// They fire, as at the end of the input. The job is finished then.
    Yes,
}

/// What came of a publication.
#[derive(Clone, Debug)]
pub enum PublicationOutcome {
    /// The manifest is durable: the checkpoint is complete.
    Durable,
    /// A newer run has taken over.
    Fenced {
        /// Its generation.
        by: Generation,
    },
    /// It failed. If the error is `Unavailable`, the manifest may be durable all the same.
    Failed(Error),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Tell every worker.
    Send(Control),
    /// Publish this manifest, and report the outcome. There is never more than one under way.
    Publish(Box<Manifest>),
    /// Delete nothing that this manifest names, until this asker is answered.
    Keep(Asker, Box<Manifest>),
    /// Copy what this manifest names to the place that was asked for, publish the manifest there, and report the
    /// outcome.
    Copy(Asker, Box<Manifest>),
    /// See whether another run has taken over, and report it. There is never more than one look under way.
    LookAtLog,
    /// Tell somebody who asked for a checkpoint what became of it: complete with its output
    /// visible, or failed; or for a savepoint: it is there, or failed.
    Answer(Asker, Result<Epoch>),
    /// End the run with this error.
    Fail(Error),
    /// Tell whoever watches.
    Tell(Notice),
}

/// What whoever watches the job wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A checkpoint is complete.
    Completed {
        /// Its epoch.
        epoch: Epoch,
        /// What it cost.
        cost: Box<CheckpointCost>,
    },
    /// A checkpoint failed.
    Failed {
        /// Its epoch.
        epoch: Epoch,
        /// Why.
        reason: String,
        /// What it cost, as far as subtasks have answered.
        cost: Box<CheckpointCost>,
    },
    /// A savepoint is complete.
    SavepointCompleted {
        /// Its epoch.
        epoch: Epoch,
    },
    /// A savepoint failed; the job goes on.
    SavepointFailed {
        /// Its epoch.
        epoch: Epoch,
        /// Why.
        reason: String,
    },
}
