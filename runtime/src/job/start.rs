//! One run of a job, from its settings to its report: attempts, until one ends well or none may follow.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::attempt::{Attempt, AttemptFailure, Finished, run_of};
use super::coordinator::{AttemptNumber, Event};
use super::handle::JobHandle;
use super::requests::Listener;
use super::savepoints::Occasion;
use crate::clock::Clock;
use crate::dataflow::{self, Blueprint, Body};
use crate::error::{Error, Result};
use crate::ids::{Epoch, StageId};
use crate::metrics::{Metrics, MetricsSnapshot};
use crate::protocol::{Failure, FailureHistory, Health, Migration, Restart, may_restart};
use crate::settings::Options;
use crate::storage::log::new_claimant;
use crate::storage::{CheckpointStorage, Disk, MemoryStorage, RealDisk};

/// A job: a name and the body of its flow.
#[derive(Clone)]
pub struct JobSpec {
    /// The name, which its checkpoints and its output carry.
    pub name: Arc<str>,
    /// The body, which builds the same graph each time it is called.
    pub body: Body,
    /// What is to be known of the versions before.
    pub versions: Versions,
}

/// What a version of a job says of those before it, whose checkpoints it goes on from.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    /// The functions that make new state of old, by stage.
    pub migrations: Vec<(StageId, Migration)>,
    /// What stages were called, and what they are called now.
    pub renamed: Vec<(StageId, StageId)>,
}

/// The world that a job runs in; tests bring their own.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The clock.
    pub clock: Clock,
    /// Where checkpoints are kept; by default what the options say.
    pub storage: Option<Arc<dyn CheckpointStorage>>,
    /// By which others talk to the job.
    pub handle: JobHandle,
    /// What the job counts.
    pub metrics: Arc<Metrics>,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            disk: Arc::new(RealDisk),
            clock: Clock::system(),
            storage: None,
            handle: JobHandle::new(),
            metrics: Arc::new(Metrics::new()),
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All input was read, and all output is visible.
    Finished,
    /// It was asked to stop; the next run goes on from its last checkpoint.
    Stopped,
    /// There was nothing to do: an earlier run had read all input.
    AlreadyFinished,
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobReport {
    /// How it ended.
    pub outcome: Outcome,
    /// The checkpoint that it began from, before any restart.
    pub restored_from: Option<Epoch>,
    /// How often it was restarted behind a failure.
    pub restarts: u32,
    /// What it counted.
    pub metrics: MetricsSnapshot,
}

/// The plan of a job, with what is wrong with it.
pub fn blueprint(spec: &JobSpec) -> Result<Blueprint> {
    let environment = Environment::default();
    let options = Options::new();
    let storage: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new());
    let run = run_of(spec, &options, &environment, storage, 1);
    let mut blueprint = dataflow::blueprint(&run)?;
    if blueprint.errors.is_empty() {
        return Ok(blueprint);
    }
    let errors: Vec<String> = blueprint.errors.drain(..).map(|e| e.to_string()).collect();
    Err(Error::invalid(errors.join("; ")))
}

/// Runs a job until it ends: restarts it behind failures that a restart can mend, as the options say.
pub fn run(spec: &JobSpec, options: &Options, environment: &Environment) -> Result<JobReport> {
    // Taken first: whoever waits for an answer hears of a run that ends before it has begun.
    let inbox = environment.handle.take_inbox()?;
    let (report, listener) = run_attempts(spec, options, environment, &inbox);
    // Whoever waits for an outcome that will never come hears of it.
    drop(inbox);
    if let Some(listener) = listener {
        listener.finish(report.as_ref().map(drop).map_err(Error::clone));
    }
    if let Err(error) = &report {
        let why = format!("the job has ended: {error}");
        let health = Health::Unhealthy { why };
        environment
            .handle
            .health_board()
            .show(health, &environment.metrics);
    }
    report
}

fn run_attempts(
    spec: &JobSpec,
    options: &Options,
    environment: &Environment,
    inbox: &Receiver<Event>,
) -> (Result<JobReport>, Option<Listener>) {
    let blueprint = match options.validate().and_then(|()| blueprint(spec)) {
        Ok(blueprint) => blueprint,
        Err(error) => return (Err(error), None),
    };
    let mut attempt = Attempt {
        number: AttemptNumber(0),
        spec,
        blueprint: &blueprint,
        options: options.clone(),
        environment,
        memory: Arc::new(MemoryStorage::new()),
        inbox,
        restored_from: None,
        claimant: new_claimant(),
        listener: None,
    };
    let report = attempts(&mut attempt);
    (report, attempt.listener)
}

fn attempts(attempt: &mut Attempt<'_>) -> Result<JobReport> {
    let mut history = FailureHistory::default();
    loop {
        let outcome = match attempt.run() {
            Ok(Finished::Now(outcome)) => outcome,
            // The attempt before had failed behind its last checkpoint, and recovery has done the rest.
            Ok(Finished::Before) if attempt.number.0 > 0 => Outcome::Finished,
            Ok(Finished::Before) => Outcome::AlreadyFinished,
            Err(failure) => {
                let wait = Wait::decide(attempt, &failure, &mut history)?;
                match wait.until_over(attempt) {
                    Waited::Over => {
                        attempt.follow();
                        continue;
                    }
                    Waited::Stopped => Outcome::Stopped,
                    Waited::Crashed => return Err(failure.error),
                }
            }
        };
        return Ok(JobReport {
            outcome,
            restored_from: attempt.restored_from,
            restarts: attempt.number.0,
            metrics: attempt.environment.metrics.snapshot(),
        });
    }
}

/// The time between two attempts.
struct Wait {
    delay: Duration,
    why: String,
}

enum Waited {
    Over,
    Stopped,
    Crashed,
}

impl Wait {
    /// Whether a failure is followed by another attempt, and when; the error if it is not.
    fn decide(
        attempt: &Attempt<'_>,
        failure: &AttemptFailure,
        history: &mut FailureHistory,
    ) -> Result<Self> {
        let AttemptFailure { error, during, .. } = failure;
        let Environment { clock, metrics, .. } = attempt.environment;
        let facts = Failure {
            kind: error.kind(),
            during: *during,
            at: clock.now(),
        };
        let options = &attempt.options;
        let rules = (options.restart_strategy(), options.on_panic);
        match may_restart(facts, rules, history, failure.seed) {
            Restart::End { why: None } => Err(error.clone()),
            Restart::End { why: Some(why) } => Err(error.clone().and(why)),
            Restart::After(delay) => {
                tracing::warn!(%error, ?delay, "the run failed and begins again from its last checkpoint");
                metrics.restarted();
                let why = format!("the run failed and begins again in {delay:?}: {error}");
                for reply in &failure.unanswered {
                    let _ = reply.send(Err(Error::unavailable(&why)));
                }
                Ok(Self { delay, why })
            }
        }
    }

    fn until_over(&self, attempt: &Attempt<'_>) -> Waited {
        let Environment {
            clock,
            metrics,
            handle,
            ..
        } = attempt.environment;
        let why = self.why.clone();
        handle
            .health_board()
            .show(Health::Unhealthy { why }, metrics);
        let end = clock.now() + clock.pause(self.delay);
        loop {
            let left = end.saturating_sub(clock.now());
            match attempt.inbox.recv_timeout(left) {
                Ok(Event::Stop | Event::StopAndTell(_)) => return Waited::Stopped,
                Ok(Event::Crash) => return Waited::Crashed,
                Ok(Event::TakeCheckpoint(reply)) => {
                    let _ = reply.send(Err(Error::unavailable(&self.why)));
                }
                Ok(Event::TakeSavepoint(order)) => {
                    let error = Error::unavailable(&self.why);
                    let is_stop = matches!(order.occasion, Occasion::Stop(_));
                    let error = if is_stop {
                        error.and("it stops without a savepoint: export its last checkpoint")
                    } else {
                        error
                    };
                    let _ = order.reply.send(Err(error));
                    if is_stop {
                        return Waited::Stopped;
                    }
                }
                // A thread that was left behind.
                Ok(Event::Inside(..)) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Waited::Over;
                }
            }
        }
    }
}
