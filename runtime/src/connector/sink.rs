//! The contract of a sink.
//!
//! A plain sink ([`SinkGuarantee::Plain`]) writes at once: after a crash it sees some records again.
//! A transactional sink stages what it wrote at each barrier. The committable goes into the
//! checkpoint; once the manifest that names it is durable, its committer makes it visible.
//!
//! In a job with `CheckpointMode::AtLeastOnce` a transactional sink does the same, but what it staged
//! for an epoch may hold results of records of later ones: behind a restart they come again.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::error::Result;
use crate::ids::{Epoch, Generation, StageId, WorkerIndex};
use crate::protocol::CommitPermit;
use crate::storage::Disk;

/// What a sink is told when it is opened on a worker.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// The job's name.
    pub job: Arc<str>,
    /// The sink's stage.
    pub stage: StageId,
    /// The worker that opens it.
    pub worker: WorkerIndex,
    /// The number of workers.
    pub worker_count: usize,
    /// The generation of this run.
    pub generation: Generation,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The clock (for `roll` by time).
    pub clock: Clock,
    /// What the stage was called in earlier versions of the job.
    pub formerly: Vec<StageId>,
}

impl SinkContext {
    /// The path as it is; a hook for harnesses that move a job's output.
    pub fn path<'a>(&self, path: &'a Path) -> &'a Path {
        path
    }
}

/// A serialisable token of staged output, in the sink's own encoding. It stays in every snapshot
/// until its commit has succeeded and was reported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Committable(pub Vec<u8>);

/// What a barrier leaves behind in a transactional sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Output that may become visible when the epoch's checkpoint is complete; none for an empty epoch.
    pub committables: Vec<Committable>,
    /// Output that is not finished, such as a file that goes on in the next epoch. After a
    /// restore it is given to [`Transactional::finish`], which makes committables of it.
    pub unfinished: Option<Vec<u8>>,
}

/// The part of a barrier that waits for a disk; runs on another thread.
///
/// It is always run, also when its checkpoint was aborted or has failed: what it prepared is then
/// part of every later snapshot. The ones of a writer run in the order of their epochs, while the
/// writer goes on writing.
pub type PendingCommit = Box<dyn FnOnce() -> Result<Prepared> + Send>;

/// What follows a barrier, as a sink needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// More records may follow: output may go on in the next epoch.
    Open,
    /// The job has read all its input: whatever is unfinished is finished now, since nobody will
    /// come back for it.
    Last,
}

/// A sink: something that can be opened on each worker and written to.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a sink for records of type `{Item}`",
    label = "expected a sink, such as `File::jsonl(..)`, `Stdout::new()` or `Collect::new(..)`",
    note = "file sinks need `{Item}: serde::Serialize`"
)]
pub trait Sink<Item>: 'static {
    /// The open sink on one worker.
    type Writer: SinkWriter<Item>;

    /// One line for plans and messages: `jsonl alarms/`.
    fn describe(&self) -> String;

    /// What the sink promises, with what it needs to keep the promise.
    fn guarantee(&self) -> SinkGuarantee;

    /// Opens the sink on a worker.
    fn open(&self, context: &SinkContext) -> Result<Self::Writer>;
}

/// An open sink. `write` is called once per record inside the fused loop of its stage.
pub trait SinkWriter<Item>: 'static {
    /// Writes one record.
    fn write(&mut self, record: Item) -> Result<()>;

    /// Hands over what was written since the barrier before, as the output of `epoch`; the part
    /// that waits for a disk is the returned closure. Plain sinks flush, and return `None`.
    ///
    /// With [`Barrier::Last`] the prepared output leaves nothing unfinished.
    fn prepare_commit(&mut self, epoch: Epoch, barrier: Barrier) -> Result<Option<PendingCommit>>;
}

/// What a sink promises.
#[derive(Clone)]
pub enum SinkGuarantee {
    /// Records are written at once; after a crash some are written again.
    Plain,
    /// Every record becomes visible exactly once.
    ExactlyOnce(Arc<dyn Transactional>),
}

/// Makes staged output visible.
pub trait Committer: Send + Sync {
    /// Makes the committable's output visible. Idempotent, also when it is visible already.
    fn commit(&self, permit: &CommitPermit, committable: &Committable) -> Result<()>;
}

/// What is in the place that a sink writes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputFacts {
    /// The place, for messages.
    pub place: String,
    /// The number of visible outputs (files) of this job and stage.
    pub visible: usize,
    /// The greatest epoch that any of them holds.
    pub newest_epoch: Option<Epoch>,
    /// The greatest generation that has written any of them, or what is staged.
    pub newest_generation: Option<Generation>,
}

/// What a job does with a transactional sink outside of the flow: before the first record, and to commit.
///
/// All calls of one job come from one place, in the order inspect, clear or discard, take back, finish, commit.
///
/// A run that slept in the middle of them may have been overtaken. It must not touch what a newer run
/// has written, so that nothing is removed that a generation later than the context's has begun.
pub trait Transactional: Send + Sync {
    /// Looks at what is visible already.
    fn inspect(&self, context: &SinkContext) -> Result<OutputFacts>;

    /// Takes back all visible output of epochs later than `kept`, of which there is some behind a fall-back
    /// to an older checkpoint: removes it; what also holds output of `kept` or before becomes staged again,
    /// and [`finish`](Self::finish) cuts it to what the checkpoint held.
    fn take_back(&self, context: &SinkContext, kept: Epoch) -> Result<()>;

    /// Removes all visible and staged output of this job and stage (`--fresh`).
    fn clear(&self, context: &SinkContext) -> Result<()>;

    /// Removes staged output that is neither in `named` nor in `unfinished`, whichever subtask wrote it,
    /// of this generation and those before it.
    fn discard_staged(
        &self,
        context: &SinkContext,
        named: &[Committable],
        unfinished: &[Vec<u8>],
    ) -> Result<()>;

    /// Makes committables of output that was not finished when the checkpoint was taken, cutting
    /// it to what the checkpoint held.
    fn finish(&self, context: &SinkContext, unfinished: &[u8]) -> Result<Vec<Committable>>;

    /// The committer, which may be used from any thread.
    fn committer(&self, context: &SinkContext) -> Arc<dyn Committer>;
}
