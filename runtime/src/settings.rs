//! What a user may set, checked together before the job starts.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::ids::KeyGroupCount;

/// Limits of every queue and buffer (invariant 11).
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The most records that one sender may have on their way over one edge. Default 65,536.
    pub edge_records: usize,
    /// Records in a batch on an edge. Default 4,096.
    pub batch_records: usize,
    /// The most splits that one source subtask holds open at a time. Default 64.
    pub open_splits: usize,
    /// Records a second that all sources of the job read together; unlimited by default.
    pub rate: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            edge_records: 65_536,
            batch_records: 4_096,
            open_splits: 64,
            rate: None,
        }
    }
}

/// Where state is kept while the job runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StateBackend {
    /// In memory: as fast as it can be, and no larger than that.
    #[default]
    Memory,
    /// In RocksDB: larger than memory. Needs the feature `rocksdb`.
    RocksDb(RocksDbSettings),
}

impl StateBackend {
    /// Whether this program was built with what the backend needs.
    pub const fn is_available(&self) -> bool {
        match self {
            Self::Memory => true,
            Self::RocksDb(_) => cfg!(feature = "rocksdb"),
        }
    }
}

/// How state in RocksDB is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RocksDbSettings {
    /// Bytes of memory that the state of all stages of the process may take: caches and buffers.
    /// Default 256 MiB.
    pub memory_budget: usize,
    /// Where the databases of a run are, which end with it. By default in the checkpoint directory,
    /// where that is a directory of this machine, and otherwise where temporary files are.
    pub work_dir: Option<PathBuf>,
}

impl Default for RocksDbSettings {
    fn default() -> Self {
        Self {
            memory_budget: 256 << 20,
            work_dir: None,
        }
    }
}

impl RocksDbSettings {
    /// Less memory than this holds no database.
    const LEAST_BUDGET: usize = 64 << 10;
}

/// When checkpoints are taken, and what is done about failing ones.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointSettings {
    /// Time between two triggers; `None` takes one at the end only. Default 10 s.
    pub interval: Option<Duration>,
    /// A checkpoint that takes longer is given up. Default 10 min.
    pub timeout: Duration,
    /// How many checkpoints may fail in a row before the job stops. Default 3.
    pub tolerable_failures: u32,
    /// How many completed checkpoints are kept. Default 3, at least 1.
    pub retained: usize,
    /// How long a failing commit is retried before the job stops. Default 1 min.
    pub commit_timeout: Duration,
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        Self {
            interval: Some(Duration::from_secs(10)),
            timeout: Duration::from_secs(600),
            tolerable_failures: 3,
            retained: 3,
            commit_timeout: Duration::from_secs(60),
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
    pub checkpoint_dir: Option<PathBuf>,
    /// When checkpoints are taken.
    pub checkpoints: CheckpointSettings,
    /// Removes the checkpoints and the output that this job owns, and starts anew.
    pub fresh: bool,
    /// Starts from an older checkpoint even if a sink cannot take back what it committed later.
    pub accept_duplicates: bool,
    /// The number of key groups of a new job.
    pub key_groups: KeyGroupCount,
    /// Limits of queues and buffers.
    pub limits: Limits,
    /// Where state is kept.
    pub backend: StateBackend,
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

    /// Keeps checkpoints in this directory.
    pub fn checkpoint_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.checkpoint_dir = Some(dir.into());
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
        let checkpoints = &self.checkpoints;
        check(
            checkpoints.interval.is_none_or(|i| !i.is_zero()),
            "the checkpoint interval is zero: the shortest useful one is some milliseconds".into(),
        );
        check(
            !checkpoints.timeout.is_zero(),
            "the checkpoint timeout is zero: every checkpoint would be given up".into(),
        );
        check(
            checkpoints.retained >= 1,
            "no checkpoint is retained: keep at least 1, or a crash loses the job".into(),
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
        if let StateBackend::RocksDb(rocksdb) = &self.backend {
            check(
                self.backend.is_available(),
                "state in RocksDB needs the feature `rocksdb` of the crate `flowdsl`, which this program was built without".into(),
            );
            check(
                rocksdb.memory_budget >= RocksDbSettings::LEAST_BUDGET,
                format!(
                    "a memory budget of {} bytes holds no database: the least is 64 KiB",
                    rocksdb.memory_budget
                ),
            );
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid(wrong.join("; ")))
        }
    }
}
