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
    pub(crate) version: Version,
    pub(crate) entry: Entry,
    pub(crate) plan: Plan,
}

/// The code of the job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Version {
    #[default]
    First,
    /// It keeps what it counts as another type, and makes that of what the first one has stored.
    Second,
}

/// By which way the job is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// `Job::run_in`.
    Library,
    /// A whole `main`, with these options beside those of the life.
    Main(Vec<String>),
    /// The same, behind the run of another job in the same process.
    SecondMain,
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
    Fixed {
        attempts: u32,
    },
    Exponential,
    Rate,
    /// Behind a time that no test waits for.
    Late,
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
            Self::Late => RestartStrategy::FixedDelay {
                attempts: 3,
                delay: Duration::from_secs(3_600),
            },
            Self::Rate => RestartStrategy::FailureRate {
                failures: 5,
                within: Duration::from_secs(3_600),
                delay,
            },
        }
    }
}

impl Restart {
    fn argument(self) -> String {
        match self {
            Self::Never => "none".to_owned(),
            Self::Fixed { attempts } => format!("fixed:{attempts}:1ms"),
            Self::Exponential => "exponential:1ms:4ms".to_owned(),
            Self::Rate => "rate:5:1h:1ms".to_owned(),
            Self::Late => "fixed:3:1h".to_owned(),
        }
    }
}

impl Life {
    /// The settings as they stand on a command line.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let policy = self.policy;
        let mode = match policy.mode {
            Mode::ExactlyOnce => "exactly-once",
            Mode::AtLeastOnce => "at-least-once",
        };
        let backend = match self.backend {
            Backend::Memory => "memory",
            Backend::RocksDb | Backend::RocksDbApart => "rocksdb",
        };
        let mut arguments = vec![
            ("--workers", self.workers.to_string()),
            ("--checkpoint-dir", self.checkpoints.clone()),
            ("--checkpoint-interval", format!("{}ms", policy.interval_ms)),
            ("--max-concurrent", policy.max_concurrent.to_string()),
            (
                "--tolerable-failures",
                policy.tolerable_failures.to_string(),
            ),
            ("--retained", policy.retained.to_string()),
            ("--mode", mode.to_owned()),
            ("--restart", policy.restart.argument()),
            ("--state-backend", backend.to_owned()),
            ("--state-memory", "64KiB".to_owned()),
        ];
        if policy.min_pause_ms > 0 {
            arguments.push(("--min-pause", format!("{}ms", policy.min_pause_ms)));
        }
        if self.backend == Backend::RocksDbApart {
            let dir = env::temp_dir().join(DATABASES);
            arguments.push(("--state-dir", dir.display().to_string()));
        }
        let named = arguments.into_iter();
        named
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect()
    }

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
