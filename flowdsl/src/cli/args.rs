//! What stands on the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::operations::Operation;
use super::values::{Every, bytes, rate, restart, span};
use crate::runtime::ids::Epoch;
use crate::{
    CheckpointLocation, CheckpointMode, Options, RestartStrategy, RestoreFrom, RestoreMode,
    RocksDbSettings, StateBackend,
};

/// The options of `run` that every job has.
///
/// A binary with a command line of its own flattens them into it and calls [`run`](super::run).
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Running")]
pub struct RunArgs {
    /// The number of workers; 0 means one for each core
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub workers: usize,

    /// Where checkpoints are kept: a run with the same directory
    /// or URL (`file://`, `s3://`, `gs://`, `az://`) goes on where the last one ended
    #[arg(long, value_name = "DIR")]
    pub checkpoint_dir: Option<CheckpointLocation>,

    /// The time between two checkpoints: `50ms`, `1s`, `5min`, `2h`, or `off` for one at the end only
    #[arg(long, value_name = "INTERVAL", default_value = "10s")]
    pub checkpoint_interval: Every,

    /// A checkpoint that takes longer is given up
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = span)]
    pub checkpoint_timeout: Duration,

    /// The least time between the end of a checkpoint and the beginning of the next
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub min_pause: Option<Duration>,

    /// How many checkpoints may be under way at a time
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub max_concurrent: usize,

    /// How many checkpoints in a row may fail before the run does
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub tolerable_failures: u32,

    /// How many completed checkpoints are kept
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub retained: usize,

    /// What a restart does to records around the last checkpoint
    #[arg(long, value_enum, default_value_t = Mode::ExactlyOnce)]
    pub mode: Mode,

    /// How a run that failed begins again: `none`, `fixed:ATTEMPTS:DELAY`, `exponential:FIRST:LONGEST`
    /// or `rate:FAILURES:WITHIN:DELAY` [default: exponential:1s:1min]
    #[arg(long, value_name = "STRATEGY", value_parser = restart)]
    pub restart: Option<RestartStrategy>,

    /// Removes the checkpoints and the output of this job, and starts anew
    #[arg(long)]
    pub fresh: bool,

    /// Begins from this savepoint, or the newest checkpoint of another job directory. Once it is brought into
    /// the checkpoint directory, the same command goes on from there
    #[arg(long, value_name = "DIR", conflicts_with = "fresh")]
    pub restore_from: Option<CheckpointLocation>,

    /// Begins from the checkpoint of this epoch: one of `--restore-from`, or an older one of the job's own directory
    #[arg(long, value_name = "EPOCH", conflicts_with = "fresh")]
    pub restore_epoch: Option<u64>,

    /// The savepoint of `--restore-from` belongs to the job then, which deletes it behind its first checkpoint
    #[arg(long, requires = "restore_from")]
    pub claim: bool,

    /// Goes on from an older checkpoint even where later output cannot be taken back
    #[arg(long)]
    pub accept_duplicates: bool,

    /// Gives up the state that this stage of an earlier version had, as far as this one cannot keep it
    #[arg(long, value_name = "STAGE")]
    pub allow_dropped: Vec<String>,

    /// Where state is kept: in memory, or in RocksDB, which holds more than memory does
    #[arg(long, value_enum, value_name = "BACKEND", default_value_t = BackendName::Memory)]
    pub state_backend: BackendName,

    /// The memory that state in RocksDB may take in this process, such as `64MiB` or `2GiB`
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "256MiB")]
    pub state_memory: usize,

    /// Where the databases of state in RocksDB are while the job runs
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// The most records that all sources together read in a second
    #[arg(long, value_name = "RECORDS_PER_S", value_parser = rate)]
    pub rate: Option<f64>,

    /// The time between two reports of progress, or `off` [default: 200ms on a terminal, else 1s]
    #[arg(long, value_name = "INTERVAL")]
    pub progress_interval: Option<Every>,
}

impl RunArgs {
    /// The options for [`Job::run`](crate::Job::run).
    pub fn options(&self) -> Options {
        let mut options = Options::new().workers(self.workers);
        options.checkpoint_dir.clone_from(&self.checkpoint_dir);
        let checkpoints = &mut options.checkpoints;
        checkpoints.interval = self.checkpoint_interval.interval();
        checkpoints.timeout = self.checkpoint_timeout;
        checkpoints.min_pause = self.min_pause.unwrap_or_default();
        checkpoints.max_concurrent = self.max_concurrent;
        checkpoints.tolerable_failures = self.tolerable_failures;
        checkpoints.retained = self.retained;
        checkpoints.mode = match self.mode {
            Mode::ExactlyOnce => CheckpointMode::ExactlyOnce,
            Mode::AtLeastOnce => CheckpointMode::AtLeastOnce,
        };
        options.restart = self.restart;
        options.fresh = self.fresh;
        options.accept_duplicates = self.accept_duplicates;
        let dropped = self.allow_dropped.iter();
        options.allow_dropped = dropped.map(|stage| stage.as_str().into()).collect();
        options.restore_from = self.restore_from();
        options.limits.rate = self.rate;
        options.backend = match self.state_backend {
            BackendName::Memory => StateBackend::Memory,
            BackendName::Rocksdb => StateBackend::RocksDb(RocksDbSettings {
                memory_budget: self.state_memory,
                work_dir: self.state_dir.clone(),
            }),
        };
        options
    }

    fn restore_from(&self) -> Option<RestoreFrom> {
        let from = RestoreFrom {
            location: self.restore_from.clone(),
            epoch: self.restore_epoch.map(Epoch),
            mode: if self.claim {
                RestoreMode::Claim
            } else {
                RestoreMode::NoClaim
            },
        };
        (from.location.is_some() || from.epoch.is_some()).then_some(from)
    }
}

/// The backends that state can be in.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendName {
    /// As fast as it can be, and no larger than memory
    Memory,
    /// Larger than memory; needs the feature `rocksdb`
    Rocksdb,
}

/// What a checkpoint promises.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each record counts once
    ExactlyOnce,
    /// None is lost, some count twice; a slow input holds up no other
    AtLeastOnce,
}

/// The options of a job that has none of its own.
#[derive(Args, Clone, Copy, Debug)]
pub struct NoArgs {}

/// The command line of a job.
#[derive(Parser, Debug)]
#[command(
    about = "A flowdsl job. Without a command it runs",
    disable_help_subcommand = true
)]
pub(super) struct CommandLine<A: Args> {
    #[command(subcommand)]
    pub(super) command: Command<A>,
}

/// What a job binary can be asked to do.
#[derive(Subcommand, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one is made in the life of a process"
)]
pub(super) enum Command<A: Args> {
    /// Runs the job, from its last checkpoint if there is one
    Run(Run<A>),
    /// Prints the stages and edges of the job, and runs nothing
    Plan(Plan<A>),
    #[command(flatten)]
    Operation(Operation<A>),
}

/// The command line of `flowctl`.
#[derive(Parser, Debug)]
#[command(
    name = "flowctl",
    version,
    about = "Looks after the checkpoints of flowdsl jobs, without their code",
    disable_help_subcommand = true
)]
pub(super) struct FlowctlCommandLine {
    #[command(subcommand)]
    pub(super) operation: Operation<NoArgs>,
}

#[derive(Args, Debug)]
pub(super) struct Run<A: Args> {
    #[command(flatten)]
    pub(super) own: A,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Args, Debug)]
pub(super) struct Plan<A: Args> {
    #[command(flatten)]
    pub(super) own: A,
    /// How the plan is written
    #[arg(long, value_enum, default_value_t = PlanFormat::Mermaid)]
    pub(super) format: PlanFormat,
}

/// The ways to write a plan.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlanFormat {
    /// For Markdown and <https://mermaid.live>
    Mermaid,
    /// For Graphviz
    Dot,
    /// For programs
    Json,
}

/// A command whose examples name the binary that it is in.
pub(super) fn with_examples(command: clap::Command, name: &str) -> clap::Command {
    let help = command.get_after_help().map(ToString::to_string);
    let command = command.mut_subcommands(|command| with_examples(command, name));
    match help {
        Some(help) => command.after_help(help.replace("{name}", name)),
        None => command,
    }
}

/// The name of the binary, by its arguments.
pub(super) fn name_of(args: &[OsString]) -> String {
    let path = args.first().map(PathBuf::from).unwrap_or_default();
    let name = path
        .file_stem()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "job".to_owned())
}

/// The arguments with `run` put in where no command is named.
pub(super) fn with_command(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let first = args.get(1).map(|arg| arg.to_string_lossy().into_owned());
    let named = match first.as_deref() {
        None => false,
        Some("-h" | "--help") => true,
        Some(first) => !first.starts_with('-'),
    };
    if !named {
        args.insert(1.min(args.len()), "run".into());
    }
    args
}
