//! A command line for any job binary: `run`, `plan`, and commands that look after its checkpoints.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use flowdsl::{cli, prelude::*};
//!
//! fn main() -> ExitCode {
//!     cli::main(&Job::new("numbers", |flow| {
//!         flow.source("numbers", Memory::new(vec![1_u64, 2, 3])).sink(Stdout::display());
//!     }))
//! }
//! ```
//!
//! On a terminal a run shows one line of progress; elsewhere it logs JSON lines. Both go to stderr,
//! as stdout belongs to the job. Ctrl-C and SIGTERM stop the job with a last checkpoint; the second
//! one ends it at once. So does one behind the end of the run. One that comes before the run has begun ends the process as
//! it does any other; one that comes while a run still verifies or brings in the checkpoint that it is to begin from ends
//! that without a checkpoint, and the same command begins there again.
//!
//! | exit code | |
//! |---|---|
//! | 0 | finished, stopped, or had finished already |
//! | 1 | the job failed, or something that was looked at is damaged |
//! | 2 | the command line, the settings or the place are wrong; nothing was touched |
//! | 130 | ended at once by a second signal, or by one behind the end of the run |
//!
//! `RUST_LOG` sets what is logged; by default warnings on a terminal, and `info` elsewhere.

mod args;
mod ending;
mod logs;
mod numbers;
mod operations;
mod progress;
mod values;
mod watch;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use ::clap::{Args, CommandFactory, FromArgMatches};

use self::args::{
    Command, CommandLine, FlowctlCommandLine, Plan, PlanFormat, Run, name_of, with_command,
    with_examples,
};
use self::ending::Failure;
use crate::{CheckpointLocation, Environment, Error, Job, JobReport, plan};

pub use self::args::{BackendName, Mode, NoArgs, RunArgs};
pub use self::numbers::utc;
pub use self::values::Every;
/// The crate that options are derived with: `use flowdsl::cli::clap;`.
pub use ::clap;

/// The whole `main` of a job that has no options of its own.
pub fn main(job: &Job) -> ExitCode {
    Cli::<NoArgs>::parse().main(job)
}

/// The command line of a job with options `A` of its own, which `run` and `plan` both take.
///
/// # Examples
///
/// ```
/// use flowdsl::cli::{Cli, clap};
///
/// #[derive(clap::Args)]
/// struct Places {
///     /// The file to read
///     #[arg(long, default_value = "flights.csv")]
///     input: String,
/// }
///
/// let cli = Cli::<Places>::try_parse_from(["job", "--input", "may.csv"])?;
/// assert_eq!(cli.args().input, "may.csv");
/// # Ok::<(), clap::Error>(())
/// ```
#[derive(Debug)]
pub struct Cli<A: Args> {
    command: Command<A>,
    /// Another one than that of every process.
    environment: Option<Environment>,
}

impl<A: Args> Cli<A> {
    /// Reads the command line of this process; ends it with a message if it is wrong.
    pub fn parse() -> Self {
        Self::try_parse_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Reads these arguments, of which the first is the name of the binary.
    pub fn try_parse_from<T: Into<OsString>>(
        args: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        let args = with_command(args.into_iter().map(Into::into));
        let command = with_examples(CommandLine::<A>::command(), &name_of(&args));
        let matches = command.try_get_matches_from(args)?;
        let CommandLine { command } = CommandLine::from_arg_matches(&matches)?;
        Ok(Self {
            command,
            environment: None,
        })
    }

    /// The job's own options.
    pub fn args(&self) -> &A {
        match &self.command {
            Command::Run(Run { own, .. }) | Command::Plan(Plan { own, .. }) => own,
            Command::Operation(operation) => operation.own(),
        }
    }

    /// Keeps checkpoints in `dir`, and looks for them there, unless the command line names a directory.
    pub fn default_checkpoint_dir(mut self, dir: impl Into<CheckpointLocation>) -> Self {
        let named = match &mut self.command {
            Command::Run(Run { run, .. }) => &mut run.checkpoint_dir,
            Command::Operation(operation) => &mut operation.place_mut().checkpoint_dir,
            Command::Plan(_) => return self,
        };
        named.get_or_insert_with(|| dir.into());
        self
    }

    /// Runs the job in an environment: with a handle to talk to it, or another disk.
    pub fn in_environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Does what the command line asks for.
    pub fn main(&self, job: &Job) -> ExitCode {
        self.main_then(job, |_| Ok(()))
    }

    /// Does what the command line asks for, and `then` something behind a run that did not fail.
    pub fn main_then(
        &self,
        job: &Job,
        then: impl FnOnce(&JobReport) -> Result<(), Error>,
    ) -> ExitCode {
        let done = match &self.command {
            Command::Run(Run { run, .. }) => run_shown(job, run, self.environment.as_ref())
                .and_then(|report| then(&report).map_err(Failure::Failed)),
            Command::Plan(Plan { format, .. }) => print_plan(job, *format).map_err(Failure::Failed),
            Command::Operation(operation) => {
                return operations::operate(operation, Some(job.name()));
            }
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.tell(),
        }
    }
}

/// The whole `main` of `flowctl`, which looks after the checkpoints of any job.
pub fn flowctl() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let command = with_examples(FlowctlCommandLine::command(), "flowctl");
    let parsed = command
        .try_get_matches_from(args)
        .and_then(|matches| FlowctlCommandLine::from_arg_matches(&matches));
    let FlowctlCommandLine { operation } = parsed.unwrap_or_else(|error| error.exit());
    operations::operate(&operation, None)
}

/// Runs a job as `run` does: with progress, logs and signals. For binaries with their own commands.
///
/// # Errors
///
/// Those of [`Job::run`].
pub fn run(job: &Job, args: &RunArgs) -> Result<JobReport, Error> {
    run_shown(job, args, None).map_err(Failure::into_error)
}

fn run_shown(
    job: &Job,
    args: &RunArgs,
    environment: Option<&Environment>,
) -> Result<JobReport, Failure> {
    let environment = environment.cloned().unwrap_or_default();
    let options = args.options();
    options.validate().map_err(Failure::Refused)?;
    let mut view = progress::View::start(job.name(), &options);
    let every = args.progress_interval;
    let run = watch::run(job, &options, &environment, every, &mut view).map_err(Failure::Failed);
    view.end();
    let (report, took) = run?;
    ending::tell(job.name(), &report, took, &options);
    Ok(report)
}

fn print_plan(job: &Job, format: PlanFormat) -> Result<(), Error> {
    let plan = job.plan()?;
    let text = match format {
        PlanFormat::Mermaid => plan::to_mermaid(&plan),
        PlanFormat::Dot => plan::to_dot(&plan),
        PlanFormat::Json => plan::to_json(&plan),
    };
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|e| Error::unavailable(format!("the plan cannot be printed: {e}")))
}
