//! What a child is told of the run that it is to make of the job.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use flowdsl::{CheckpointMode, Options, RestartStrategy, StateBackend};
use flowdsl_tests::backends::tiny_rocksdb;
use serde::{Deserialize, Serialize};

use crate::gate::Trap;

/// The directory of checkpoints in a world.
pub(crate) const CHECKPOINTS: &str = "checkpoints";

/// The directory of output in a world.
pub(crate) const OUTPUT: &str = "output";

/// The directory, among temporary files, of databases that are not with their checkpoints.
pub(crate) const DATABASES: &str = "databases";

/// A life: one run of the job in a process of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Life {
    /// Where output goes.
    pub(crate) output: PathBuf,
    /// Where checkpoints are kept, a directory or a URL.
    pub(crate) checkpoints: String,
    pub(crate) policy: Policy,
    pub(crate) backend: Backend,
    pub(crate) workers: usize,
    pub(crate) plan: Plan,
}

/// What is to happen to a life.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Where it asks its parent.
    pub(crate) traps: Vec<Trap>,
    /// The parent kills it when it hears that so many points have been passed; the child does not wait.
    pub(crate) killed_behind: Option<u64>,
}

impl Plan {
    /// Asks the parent at one point.
    pub(crate) fn at(trap: Trap) -> Self {
        Self {
            traps: vec![trap],
            killed_behind: None,
        }
    }
}

/// Where state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Backend {
    Memory,
    RocksDb,
    /// RocksDB, with its databases elsewhere than its checkpoints.
    RocksDbApart,
}

/// Settings of checkpoints and restarts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) mode: Mode,
    pub(crate) interval_ms: u64,
    pub(crate) min_pause_ms: u64,
    pub(crate) max_concurrent: usize,
    pub(crate) retained: usize,
    pub(crate) tolerable_failures: u32,
    pub(crate) restart: Restart,
}

/// What a checkpoint promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    ExactlyOnce,
    AtLeastOnce,
}

/// What follows a failure in the same process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Restart {
    Never,
    Fixed { attempts: u32 },
    Exponential,
    Rate,
}

impl Mode {
    pub(crate) fn of_checkpoints(self) -> CheckpointMode {
        match self {
            Self::ExactlyOnce => CheckpointMode::ExactlyOnce,
            Self::AtLeastOnce => CheckpointMode::AtLeastOnce,
        }
    }
}

impl Backend {
    /// RocksDB has little memory, so that state comes and goes.
    pub(crate) fn of_state(self) -> StateBackend {
        match self {
            Self::Memory => StateBackend::Memory,
            Self::RocksDb => tiny_rocksdb(None),
            Self::RocksDbApart => tiny_rocksdb(Some(env::temp_dir().join(DATABASES))),
        }
    }
}

impl Restart {
    fn strategy(self) -> RestartStrategy {
        let delay = Duration::from_millis(1);
        match self {
            Self::Never => RestartStrategy::None,
            Self::Fixed { attempts } => RestartStrategy::FixedDelay { attempts, delay },
            Self::Exponential => RestartStrategy::ExponentialDelay {
                first: delay,
                longest: 4 * delay,
                factor: 1.5,
                reset_after: Duration::from_secs(3_600),
            },
            Self::Rate => RestartStrategy::FailureRate {
                failures: 5,
                within: Duration::from_secs(3_600),
                delay,
            },
        }
    }
}

impl Life {
    /// The settings of the job but for the place of its checkpoints.
    pub(crate) fn options(&self) -> Options {
        let Policy {
            mode,
            interval_ms,
            min_pause_ms,
            max_concurrent,
            retained,
            tolerable_failures,
            restart,
        } = self.policy;
        let mut options = Options::new()
            .workers(self.workers)
            .checkpoint_interval(Duration::from_millis(interval_ms))
            .restart(restart.strategy());
        let checkpoints = &mut options.checkpoints;
        checkpoints.mode = mode.of_checkpoints();
        checkpoints.min_pause = Duration::from_millis(min_pause_ms);
        checkpoints.max_concurrent = max_concurrent;
        checkpoints.retained = retained;
        checkpoints.tolerable_failures = tolerable_failures;
        options.backend(self.backend.of_state())
    }
}
