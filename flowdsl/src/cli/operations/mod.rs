//! Looking after the checkpoints of a job: one implementation for the binary of a job and for `flowctl`.
//!
//! What was asked for goes to stdout, as text or with `--json`; what went wrong goes to stderr, in one line.
//!
//! | exit code | |
//! |---|---|
//! | 0 | done; nothing that was looked at is damaged |
//! | 1 | something is damaged |
//! | 2 | the command line, the place or the rights to it are wrong, or it does not answer; nothing was changed |

mod advise;
mod args;
mod diff;
mod history;
mod list;
mod moves;
mod offsets;
mod out;
mod prune;
mod show;
mod table;
#[cfg(test)]
mod tests;
mod verify;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use self::args::CheckpointsCommand;
use self::out::{End, Form, Verdict};
use crate::checkpoints::Checkpoints;
use crate::{CheckpointLocation, Error, ErrorKind};

pub(super) use self::args::{Operation, PlaceArgs};

/// Does what was asked for, to stdout; `job` is the job that the program has, if it has one.
pub(super) fn operate<A: Args>(operation: &Operation<A>, job: Option<&str>) -> ExitCode {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = operate_to(operation, job, &mut out);
    let done = done.and_then(|verdict| {
        out.flush()?;
        Ok(verdict)
    });
    match done {
        // Whoever reads has seen enough.
        Ok(Verdict::Fine) | Err(End::Unread) => ExitCode::SUCCESS,
        Ok(Verdict::Damaged) => ExitCode::from(1),
        Err(End::Failed(error)) => {
            // What was written before the error is not lost behind it.
            let _ = out.flush();
            tell(&error)
        }
    }
}

/// Does what was asked for.
fn operate_to<A: Args>(
    operation: &Operation<A>,
    job: Option<&str>,
    out: &mut dyn Write,
) -> Result<Verdict, End> {
    let place = operation.place();
    let (location, form) = (location_of(place)?, form(place));
    // First as a reader: who asks at the wrong place is told so, and changes nothing.
    let checkpoints = open(location, job)?;
    let command = match operation {
        Operation::Checkpoints(command) => command,
        Operation::Savepoint(with) => return moves::savepoint(location, &with.of, form, out),
        Operation::Stop(with) => return moves::stop(location, &with.of, form, out),
        Operation::Restore(with) => return moves::restore(location, &with.of, form, out),
    };
    match command {
        CheckpointsCommand::List(_) => list::list(&checkpoints, form, out),
        CheckpointsCommand::Show(with) => show::show(&checkpoints, &with.of, form, out),
        CheckpointsCommand::Verify(with) => verify::verify(&checkpoints, &with.of, form, out),
        CheckpointsCommand::Diff(with) => diff::diff(&checkpoints, &with.of, form, out),
        CheckpointsCommand::History(with) => history::history(&checkpoints, &with.of, form, out),
        CheckpointsCommand::Advise(with) => advise::advise(&checkpoints, &with.of, form, out),
        CheckpointsCommand::Export(with) => moves::export(location, &with.of, form, out),
        CheckpointsCommand::Prune(with) => {
            prune::prune(location, &checkpoints, &with.of, form, out)
        }
    }
}

/// Says in one line what is wrong.
fn tell(error: &Error) -> ExitCode {
    // A message may quote what has several lines.
    let line = error.to_string().replace('\n', " ");
    eprintln!("error: {line}");
    ExitCode::from(code_of(error.kind()))
}

/// Whether something was found to be wrong, or nothing could be found out.
const fn code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Corrupt | ErrorKind::Fenced | ErrorKind::Panicked | ErrorKind::Internal => 1,
        ErrorKind::Invalid | ErrorKind::Incompatible | ErrorKind::Unavailable => 2,
    }
}

const fn form(place: &PlaceArgs) -> Form {
    if place.json { Form::Json } else { Form::Text }
}

fn location_of(place: &PlaceArgs) -> Result<&CheckpointLocation, Error> {
    place.checkpoint_dir.as_ref().ok_or_else(|| {
        Error::invalid(
            "which checkpoints? Name the job's checkpoint directory or URL with `--checkpoint-dir`",
        )
    })
}

/// The checkpoints at a place, which must be those of `job` if there is one.
fn open(location: &CheckpointLocation, job: Option<&str>) -> Result<Checkpoints, Error> {
    let checkpoints = Checkpoints::open(location)?;
    checkpoints.check_version()?;
    match (job, checkpoints.job()) {
        (Some(mine), Some(theirs)) if mine != theirs => Err(Error::invalid(format!(
            "the checkpoints in {location} are of the job `{theirs}`, and this is `{mine}`: use the binary of `{theirs}`, or `flowctl`"
        ))),
        (_, _) => Ok(checkpoints),
    }
}
