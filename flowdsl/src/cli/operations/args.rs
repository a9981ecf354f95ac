//! What stands on the command line of operations: the same for a job's binary and for `flowctl`.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::CheckpointLocation;
use crate::cli::values::{bytes, span, times};

/// What can be done about a job beside running it.
#[derive(Subcommand, Debug)]
pub(in crate::cli) enum Operation<A: Args> {
    /// Looks at the checkpoints of a job, or removes old ones
    #[command(subcommand)]
    Checkpoints(CheckpointsCommand<A>),

    /// Asks the running job for a savepoint, and waits for it; the job goes on
    ///
    /// A savepoint holds all that it needs in a place of its own, and no job deletes it.
    #[command(
        after_help = "Example:\n  {name} savepoint --to /backups/monday --checkpoint-dir checkpoints"
    )]
    Savepoint(With<A, SavepointArgs>),

    /// Asks the running job to stop with a last checkpoint, and waits for it
    #[command(
        after_help = "Examples:\n  {name} stop --checkpoint-dir checkpoints\n  \
                      {name} stop --savepoint /backups/monday --checkpoint-dir checkpoints"
    )]
    Stop(With<A, StopArgs>),

    /// Makes a checkpoint the one that the next run begins from: an older one, or a savepoint
    ///
    /// Nothing runs. Output that is later is taken back by the next run.
    #[command(
        after_help = "Examples:\n  {name} restore --epoch 41 --offline --checkpoint-dir checkpoints\n  \
                      {name} restore --from /backups/monday --offline --checkpoint-dir checkpoints"
    )]
    Restore(With<A, RestoreArgs>),
}

/// What can be done about checkpoints.
#[derive(Subcommand, Debug)]
pub(in crate::cli) enum CheckpointsCommand<A: Args> {
    /// Lists the checkpoints, newest first
    ///
    /// SIZE is what a checkpoint names; NEW is what of it no older one names.
    #[command(after_help = "Example:\n  {name} checkpoints list --checkpoint-dir checkpoints")]
    List(With<A, ListArgs>),

    /// Shows one checkpoint: its stages, where sources stand, what state there is
    #[command(
        after_help = "Examples:\n  {name} checkpoints show --checkpoint-dir checkpoints\n  \
                      {name} checkpoints show 42 --checkpoint-dir checkpoints --state totals --key '\"ORD\"'"
    )]
    Show(With<A, ShowArgs>),

    /// Reads all that checkpoints hold, and says what is damaged
    ///
    /// The exit code is 1 if anything is. A job may be running.
    #[command(
        after_help = "Examples:\n  {name} checkpoints verify --checkpoint-dir checkpoints\n  \
                      {name} checkpoints verify --all --checkpoint-dir s3://bucket/prefix"
    )]
    Verify(With<A, VerifyArgs>),

    /// Says what has changed from one checkpoint to another
    #[command(
        after_help = "Examples:\n  {name} checkpoints diff 41 42 --checkpoint-dir checkpoints\n  \
                      {name} checkpoints diff 41 42 --checkpoint-dir checkpoints --entries totals"
    )]
    Diff(With<A, DiffArgs>),

    /// Tells what past checkpoints cost, and how runs ended; of one checkpoint, what each subtask had to do with it
    ///
    /// Beside the time that one took stands what it should have taken: the slowest subtask, and the publication.
    #[command(
        after_help = "Examples:\n  {name} checkpoints history --checkpoint-dir checkpoints\n  \
                      {name} checkpoints history 42 --checkpoint-dir checkpoints"
    )]
    History(With<A, HistoryArgs>),

    /// Says how often to take checkpoints, from what they cost and how often the job failed
    ///
    /// The interval at which least time is lost, unless an objective allows no such long one.
    #[command(
        after_help = "Examples:\n  {name} checkpoints advise --checkpoint-dir checkpoints\n  \
                      {name} checkpoints advise --recovery 30s --output-delay 5s --checkpoint-dir checkpoints"
    )]
    Advise(With<A, AdviseArgs>),

    /// Copies a checkpoint to a place of its own, as a savepoint; the job may be running
    #[command(
        after_help = "Example:\n  {name} checkpoints export 42 --to /backups/monday --checkpoint-dir checkpoints"
    )]
    Export(With<A, ExportArgs>),

    /// Removes old checkpoints, and files that no checkpoint names
    ///
    /// A job removes them itself while it runs (`run --retained`). This is for a job that does not run: savepoints stay, and so does
    /// whatever does not read. Nothing is removed while the newest checkpoint is damaged.
    #[command(
        after_help = "Examples:\n  {name} checkpoints prune --keep 1 --dry-run --checkpoint-dir checkpoints\n  \
                      {name} checkpoints prune --keep 1 --offline --checkpoint-dir checkpoints"
    )]
    Prune(With<A, PruneArgs>),
}

/// The options of a command, with those of the job and those that all commands have.
#[derive(Args, Debug)]
#[group(skip)]
pub(in crate::cli) struct With<A: Args, L: Args> {
    #[command(flatten)]
    pub(in crate::cli) own: A,
    #[command(flatten)]
    pub(in crate::cli) of: L,
    #[command(flatten)]
    pub(in crate::cli) place: PlaceArgs,
}

/// Where checkpoints are, and how they are written about.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(in crate::cli) struct PlaceArgs {
    /// The checkpoint directory of the job, or its URL (`file://`, `s3://`, `gs://`, `az://`)
    #[arg(long, value_name = "DIR|URL")]
    pub(in crate::cli) checkpoint_dir: Option<CheckpointLocation>,

    /// Writes JSON, for programs
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in crate::cli) struct ListArgs {}

#[derive(Args, Debug)]
#[group(skip)]
pub(in crate::cli) struct ShowArgs {
    /// The checkpoint of this epoch [default: the newest]
    #[arg(value_name = "EPOCH")]
    pub(in crate::cli) epoch: Option<u64>,

    /// Lists the files that it names, too
    #[arg(long, conflicts_with = "state")]
    pub(in crate::cli) files: bool,

    /// Writes what this stage keeps per key instead, a line of JSON for each entry
    #[arg(long, value_name = "STAGE")]
    pub(in crate::cli) state: Option<String>,

    /// The most entries that are written
    #[arg(long, value_name = "N", requires = "state")]
    pub(in crate::cli) limit: Option<u64>,

    /// Writes the entries of one key only, which is JSON as in the entries: `7`, `'"ORD"'`
    #[arg(long, value_name = "JSON", requires = "state")]
    pub(in crate::cli) key: Option<String>,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in crate::cli) struct VerifyArgs {
    /// The checkpoint of this epoch [default: the newest]
    #[arg(value_name = "EPOCH", conflicts_with = "all")]
    pub(in crate::cli) epoch: Option<u64>,

    /// All checkpoints
    #[arg(long)]
    pub(in crate::cli) all: bool,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in crate::cli) struct DiffArgs {
    /// The epoch of the earlier checkpoint
    #[arg(value_name = "A")]
    pub(in crate::cli) earlier: u64,

    /// The epoch of the later one
    #[arg(value_name = "B")]
    pub(in crate::cli) later: u64,

    /// Writes each entry of this stage that differs, a line of JSON for each
    #[arg(long, value_name = "STAGE")]
    pub(in crate::cli) entries: Option<String>,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in crate::cli) struct HistoryArgs {
    /// The checkpoint of this epoch, subtask by subtask
    pub(in crate::cli) epoch: Option<u64>,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in crate::cli) struct AdviseArgs {
    /// How long behind a failure the job may take to be where it was, such as `30s`
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(in crate::cli) recovery: Option<Duration>,

    /// How long transactional output may take to become visible
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(in crate::cli) output_delay: Option<Duration>,

    /// How many bytes the state in the checkpoint directory may have, such as `10GiB`
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(in crate::cli) storage: Option<usize>,

    /// How much faster than it came the job reads input again
    #[arg(long, value_name = "TIMES", value_parser = times)]
    pub(in crate::cli) replay_speed: Option<f64>,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in crate::cli) struct ExportArgs {
    /// The checkpoint of this epoch [default: the newest]
    #[arg(value_name = "EPOCH")]
    pub(in crate::cli) epoch: Option<u64>,

    /// Where it goes: a directory or a URL, empty or not there
    #[arg(long, value_name = "DIR|URL")]
    pub(in crate::cli) to: CheckpointLocation,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in crate::cli) struct SavepointArgs {
    /// Where it goes: a directory of the machine that the job runs on, or a URL; empty or not there
    #[arg(long, value_name = "DIR|URL")]
    pub(in crate::cli) to: CheckpointLocation,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in crate::cli) struct StopArgs {
    /// Stops with a savepoint there: a directory of the machine that the job runs on, or a URL; empty or not there
    #[arg(long, value_name = "DIR|URL")]
    pub(in crate::cli) savepoint: Option<CheckpointLocation>,

    /// Fires open windows and timers first, as at the end of the input: the job is finished then
    #[arg(long, requires = "savepoint")]
    pub(in crate::cli) drain: bool,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in crate::cli) struct RestoreArgs {
    /// A savepoint, or another job directory [default: the job's own checkpoints]
    #[arg(long, value_name = "DIR|URL", required_unless_present = "epoch")]
    pub(in crate::cli) from: Option<CheckpointLocation>,

    /// The checkpoint of this epoch [default: the newest in `--from`]
    #[arg(long, value_name = "EPOCH")]
    pub(in crate::cli) epoch: Option<u64>,

    /// Says that the job does not run: one that does would end, as another has taken over
    #[arg(long)]
    pub(in crate::cli) offline: bool,
}

#[derive(Args, Debug)]
#[group(skip)]
pub(in crate::cli) struct PruneArgs {
    /// How many checkpoints stay, the newest whole ones; at least 1
    #[arg(long, value_name = "N")]
    pub(in crate::cli) keep: NonZeroUsize,

    /// Says what would be removed, and removes nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,

    /// Says that the job does not run: one that does would end, as another has taken over
    #[arg(long, conflicts_with = "dry_run")]
    pub(in crate::cli) offline: bool,
}

/// Does the same with the arguments of each command.
macro_rules! of_each {
    ($operation:expr, $with:ident => $do:expr) => {
        match $operation {
            Operation::Checkpoints(command) => match command {
                CheckpointsCommand::List($with) => $do,
                CheckpointsCommand::Show($with) => $do,
                CheckpointsCommand::Verify($with) => $do,
                CheckpointsCommand::Diff($with) => $do,
                CheckpointsCommand::History($with) => $do,
                CheckpointsCommand::Advise($with) => $do,
                CheckpointsCommand::Export($with) => $do,
                CheckpointsCommand::Prune($with) => $do,
            },
            Operation::Savepoint($with) => $do,
            Operation::Stop($with) => $do,
            Operation::Restore($with) => $do,
        }
    };
}

impl<A: Args> Operation<A> {
    /// The job's own options.
    pub(in crate::cli) fn own(&self) -> &A {
        of_each!(self, with => &with.own)
    }

    /// Where it looks.
    pub(in crate::cli) fn place(&self) -> &PlaceArgs {
        of_each!(self, with => &with.place)
    }

    /// The same, to be changed.
    pub(in crate::cli) fn place_mut(&mut self) -> &mut PlaceArgs {
        of_each!(self, with => &mut with.place)
    }
}
