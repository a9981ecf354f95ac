//! What is said at the end of a run, and with which code the process exits.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use super::numbers::{counted, grouped, short};
use super::progress::per_second;
use crate::{Error, ErrorKind, JobReport, Options, Outcome};

/// Why the process does not exit with 0.
#[derive(Debug)]
pub(super) enum Failure {
    /// The settings are wrong; nothing was touched.
    Refused(Error),
    /// The job failed.
    Failed(Error),
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Refused(error) | Self::Failed(error) => error,
        }
    }

    /// Says what is wrong and what to do about it.
    pub(super) fn tell(self) -> ExitCode {
        let code = match &self {
            Self::Refused(_) => 2,
            Self::Failed(_) => 1,
        };
        let error = self.into_error();
        eprintln!("error: {error}");
        if let Some(advice) = advice(error.kind()) {
            eprintln!("  {advice}");
        }
        ExitCode::from(code)
    }
}

/// What to do about an error, where its message alone does not say it.
const fn advice(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Invalid | ErrorKind::Incompatible | ErrorKind::Corrupt => None,
        ErrorKind::Unavailable => {
            Some("The last checkpoint is intact: start the job again when the cause is gone.")
        }
        ErrorKind::Fenced => Some("This run has stopped; the newer one goes on."),
        ErrorKind::Panicked => {
            Some("The last checkpoint is intact: mend the closure, and start the job again.")
        }
        ErrorKind::Internal => {
            Some("This is a bug in flowdsl: please report it, with this message.")
        }
    }
}

/// Says how a run ended.
pub(super) fn tell(job: &str, report: &JobReport, took: Duration, options: &Options) {
    let text = sentence(report, took, options);
    if io::stderr().is_terminal() {
        eprintln!("{job}: {text}");
        return;
    }
    let (metrics, from) = (&report.metrics, report.restored_from.map(|epoch| epoch.0));
    tracing::info!(
        job,
        outcome = word(report.outcome),
        records = metrics.records_in,
        checkpoints = metrics.checkpoints,
        checkpoints_failed = metrics.checkpoints_failed,
        late_dropped = metrics.late_dropped,
        malformed = metrics.malformed,
        restored_from = from,
        restarts = report.restarts,
        seconds = took.as_secs_f64(),
        "{text}"
    );
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Finished => "finished",
        Outcome::Stopped => "stopped",
        Outcome::AlreadyFinished => "already_finished",
    }
}

/// How a run ended, in words.
pub(super) fn sentence(report: &JobReport, took: Duration, options: &Options) -> String {
    let metrics = &report.metrics;
    let speed = grouped(per_second(metrics.records_in, took));
    let mut did = vec![
        format!(
            "{} in {} ({speed}/s)",
            counted(metrics.records_in, "record"),
            short(took)
        ),
        counted(metrics.checkpoints, "checkpoint"),
    ];
    if let Some(epoch) = report.restored_from {
        did.push(format!("from checkpoint {epoch} on"));
    }
    if report.restarts > 0 {
        did.push(counted(u64::from(report.restarts), "restart"));
    }
    if metrics.late_dropped > 0 {
        did.push(format!(
            "{} dropped",
            counted(metrics.late_dropped, "late record")
        ));
    }
    if metrics.malformed > 0 {
        did.push(counted(metrics.malformed, "malformed record"));
    }
    let did = did.join(", ");
    let how = match (report.outcome, &options.checkpoint_dir) {
        (Outcome::Finished, _) => return format!("finished: {did}"),
        (Outcome::AlreadyFinished, _) => {
            return "had finished already: there was nothing left to do (`--fresh` runs it anew)"
                .to_owned();
        }
        (Outcome::Stopped, Some(_)) if options.fresh => {
            "The same command without `--fresh` goes on from here"
        }
        (Outcome::Stopped, Some(_)) => "The same command goes on from here",
        (Outcome::Stopped, None) => {
            "Without `--checkpoint-dir` nothing is kept: the next run begins anew"
        }
    };
    format!("stopped: {did}. {how}")
}
