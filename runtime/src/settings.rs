//! What a user may set, checked together before the job starts.

mod backend;
mod checkpoints;
mod restart;
mod restore;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::error::{Error, Result};
use crate::ids::{KeyGroupCount, StageId};
use crate::storage::{CheckpointLocation, TransferLimits};

pub use backend::{RocksDbSettings, StateBackend};
pub use checkpoints::{AtEnd, CheckpointMode, CheckpointSettings, DuringBacklog};
pub use restart::{OnPanic, RestartStrategy};
pub use restore::{RestoreFrom, RestoreMode};

/// Limits of every queue and buffer (invariant 11).
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The most records that one sender may have on their way over one edge. Default 65,536.
    pub edge_records: usize,
    /// Records in a batch on an edge. Default 4,096.
    pub batch_records: usize,
    /// The most splits that one source subtask holds open at a time. Default 64.
    pub open_splits: usize,
    /// Bytes of snapshots that the compactions of one worker keep in memory; what is beyond them is read
    /// again. Beside them there are the object that is read, and those that two compactions write, of 64 MB
    /// each. Default 128 MB.
    pub compaction_bytes: usize,
    /// Records a second that all sources of the job read together; unlimited by default.
    pub rate: Option<f64>,
    /// What may be on its way to and from object stores.
    pub transfers: TransferLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            edge_records: 65_536,
            batch_records: 4_096,
            open_splits: 64,
            compaction_bytes: 128 << 20,
            rate: None,
            transfers: TransferLimits::default(),
        }
    }
}

/// How a job is run.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::settings::Options;
/// use std::time::Duration;
///
/// let options = Options::new().workers(2).checkpoint_dir("checkpoints").checkpoint_interval(Duration::from_secs(1));
/// assert_eq!(options.worker_count, 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The number of workers; 0 means as many as the machine has cores.
    pub worker_count: usize,
    /// Where checkpoints are kept; without it they live in memory, and end with the process.
    pub checkpoint_dir: Option<CheckpointLocation>,
    /// When checkpoints are taken.
    pub checkpoints: CheckpointSettings,
    /// How a run that failed begins again; `None` is the default strategy.
    pub restart: Option<RestartStrategy>,
    /// Whether a panic of a user's closure is restarted, too.
    pub on_panic: OnPanic,
    /// Removes the checkpoints and the output that this job owns, and starts anew.
    pub fresh: bool,
    /// Starts from an older checkpoint even if a sink cannot take back what it committed later.
    pub accept_duplicates: bool,
    /// The checkpoint to begin from, where that is not the newest one of the checkpoint directory.
    pub restore_from: Option<RestoreFrom>,
    /// How often the run looks for requests of other processes; `None` is 0.5 s, and 5 s where checkpoints are in an
    /// object store, of which each look is a request.
    pub request_interval: Option<Duration>,
    /// The number of key groups of a new job.
    pub key_groups: KeyGroupCount,
    /// Limits of queues and buffers.
    pub limits: Limits,
    /// Where state is kept.
    pub backend: StateBackend,
    /// Stages of earlier versions of the job whose state may be lost.
    pub allow_dropped: Vec<StageId>,
}

impl Options {
    /// The defaults: one worker, checkpoints in memory.
    pub fn new() -> Self {
        Self {
            worker_count: 1,
            ..Self::default()
        }
    }

    /// Runs on this many workers.
    pub fn workers(mut self, count: usize) -> Self {
        self.worker_count = count;
        self
    }

    /// Keeps checkpoints in this directory, or at this URL.
    pub fn checkpoint_dir(mut self, location: impl Into<CheckpointLocation>) -> Self {
        self.checkpoint_dir = Some(location.into());
        self
    }

    /// Takes a checkpoint this often.
    pub fn checkpoint_interval(mut self, interval: Duration) -> Self {
        self.checkpoints.interval = Some(interval);
        self
    }

    /// Takes no checkpoint but the last one.
    pub fn without_checkpoints(mut self) -> Self {
        self.checkpoints.interval = None;
        self
    }

    /// Allows the state to be lost that a stage of an earlier version of the job had, as far as this version
    /// cannot keep it: the stage is gone, or something else.
    pub fn allow_dropped(mut self, stage: &str) -> Self {
        self.allow_dropped.push(StageId::new(stage));
        self
    }

    /// Begins a run that failed again by this strategy.
    pub fn restart(mut self, strategy: RestartStrategy) -> Self {
        self.restart = Some(strategy);
        self
    }

    /// The strategy by which a run that failed begins again.
    pub fn restart_strategy(&self) -> RestartStrategy {
        self.restart.unwrap_or_default()
    }

    /// Reads this many records a second at most, over all sources together.
    pub fn rate(mut self, records_per_second: f64) -> Self {
        self.limits.rate = Some(records_per_second);
        self
    }

    /// Removes what an earlier run of this job left, and starts anew.
    pub fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// Allows output to appear twice where a sink cannot take it back.
    pub fn accept_duplicates(mut self) -> Self {
        self.accept_duplicates = true;
        self
    }

    /// Begins from this checkpoint.
    pub fn restore_from(mut self, from: RestoreFrom) -> Self {
        self.restore_from = Some(from);
        self
    }

    /// Keeps state here.
    pub fn backend(mut self, backend: StateBackend) -> Self {
        self.backend = backend;
        self
    }

    /// Checks all settings together.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming every setting that is wrong and why.
    pub fn validate(&self) -> Result<()> {
        let mut wrong = Vec::new();
        let mut check = |holds: bool, text: String| {
            if !holds {
                wrong.push(text);
            }
        };
        let groups = self.key_groups.get() as usize;
        check(
            self.worker_count <= groups,
            format!(
                "{} workers share {groups} key groups: set `key_groups` to at least the number of workers",
                self.worker_count
            ),
        );
        check(
            self.limits.edge_records >= 1,
            "`edge_records` is zero: nothing could be sent".into(),
        );
        check(
            self.limits.batch_records >= 1,
            "`batch_records` is zero: nothing could be sent".into(),
        );
        check(
            self.limits.open_splits >= 1,
            "`open_splits` is zero: nothing could be read".into(),
        );
        check(
            self.limits.rate.is_none_or(|r| r.is_finite() && r > 0.0),
            "the rate must be a positive number of records a second".into(),
        );
        check(
            !self.fresh || self.restore_from.is_none(),
            "`fresh` and `restore_from` exclude each other: a run that starts anew begins from no checkpoint".into(),
        );
        check(
            self.request_interval.is_none_or(|every| !every.is_zero()),
            "the interval at which requests are looked for is zero".into(),
        );
        self.backend.wrong(&mut wrong);
        if let Some(from) = &self.restore_from {
            from.wrong(self.checkpoint_dir.as_ref(), &mut wrong);
        }
        self.checkpoints.wrong(&mut wrong);
        self.restart_strategy().wrong(&mut wrong);
        wrong.extend(self.limits.transfers.wrong());
        let location = self.checkpoint_dir.as_ref().map(CheckpointLocation::check);
        if let Some(Err(error)) = location {
            wrong.push(error.message().to_owned());
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid(wrong.join("; ")))
        }
    }
}
