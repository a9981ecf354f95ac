//! The coordinator: receives, lets [`Coordination`] decide, acts.
//!
//! It runs on the thread that called `run`: a slow worker or a slow disk stops no trigger. What is
//! decided, and when, stands in `protocol`; here are the channels, the clock and the numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::handle::HealthBoard;
use super::history::{EndedCheckpoint, LastCheckpoint, end_of};
use super::publisher::Publisher;
use super::savepoints::{Desk, SavepointOrder};
use crate::clock::Clock;
use crate::dataflow::{Fate, FromWorkers, Workers};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation};
use crate::metrics::Metrics;
use crate::protocol::{
    Action, Asker, Control, Coordination, Heard, HistoryEntry, JobEnd, Manifest, Notice,
    PublicationOutcome, RunEnded, keep_at_end,
};
use crate::settings::CheckpointSettings;
use crate::storage::export::Target;
use crate::storage::log::Publication;

/// What the thread that runs a job hears.
#[derive(Debug)]
pub(super) enum Event {
    /// What a thread of one attempt says; of an attempt that is over it counts no more.
    Inside(AttemptNumber, Inside),
    Stop,
    /// The same, for somebody who waits for the last checkpoint.
    StopAndTell(Sender<Result<Epoch>>),
    TakeCheckpoint(Sender<Result<Epoch>>),
    TakeSavepoint(SavepointOrder),
    Crash,
}

/// What the threads of an attempt say.
#[derive(Debug)]
pub(super) enum Inside {
    Workers(FromWorkers),
    Published(Box<Manifest>, Result<Publication>),
    LookedAtLog(Result<()>),
    /// The place of a savepoint was looked at.
    TargetOpened(Asker, Result<Target>),
    /// Something of a savepoint was copied.
    Copying(Asker),
    /// A savepoint was copied.
    Copied(Asker, Result<()>),
    WorkerEnded(usize),
}

/// The n-th attempt of one call of `run`, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AttemptNumber(pub(super) u32);

/// The longest wait for an event: the flag of a failed job is looked at this often.
const LOOK: Duration = Duration::from_millis(20);
/// A clock that is moved by hand says that a trigger is due only when it was moved: no spinning until then.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);
/// How many looks in a row may hear of no worker's end before those of a failed job that are left count as stuck:
/// five seconds. Looks, and not time: where this thread comes to nothing, they do not either.
const PATIENCE: u32 = 250;

/// What the coordinator acts with.
pub(super) struct Coordinator<'a> {
    pub(super) attempt: AttemptNumber,
    pub(super) generation: Generation,
    pub(super) machine: Coordination,
    pub(super) settings: &'a CheckpointSettings,
    pub(super) clock: &'a Clock,
    pub(super) metrics: &'a Metrics,
    pub(super) health: &'a HealthBoard,
    pub(super) last_checkpoint: &'a LastCheckpoint,
    pub(super) fate: Arc<Fate>,
    pub(super) inbox: &'a Receiver<Event>,
    pub(super) worker_count: usize,
    pub(super) askers: AskerBook,
    pub(super) desk: Desk,
    pub(super) crashed: bool,
}

/// Who asked for a checkpoint, by the number that the machine knows them by.
#[derive(Debug, Default)]
pub(super) struct AskerBook {
    last: u64,
    waiting: BTreeMap<Asker, Sender<Result<Epoch>>>,
}

/// How an attempt ended whose workers have ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// It was asked to stop, and left input unread.
    pub(super) stopped: bool,
    /// It was asked to stop.
    pub(super) stopping: bool,
    /// It was told to crash.
    pub(super) crashed: bool,
    /// Who has asked for a checkpoint and got no answer.
    pub(super) unanswered: Vec<Sender<Result<Epoch>>>,
}

impl AskerBook {
    fn add(&mut self, reply: Sender<Result<Epoch>>) -> Asker {
        self.last += 1;
        let asker = Asker(self.last);
        self.waiting.insert(asker, reply);
        asker
    }

    fn answer(&mut self, asker: Asker, outcome: Result<Epoch>) {
        if let Some(reply) = self.waiting.remove(&asker) {
            // Whoever has gone away needs no answer.
            let _ = reply.send(outcome);
        }
    }
}

impl Coordinator<'_> {
    /// Runs until all workers have ended.
    pub(super) fn run(mut self, mut workers: Workers, publisher: Publisher) -> Result<Ended> {
        let stuck = self.go_on(&mut workers, &publisher);
        workers.finish(&stuck);
        let end = self.machine.job_end();
        // Of a crash nothing is known afterwards.
        if !self.crashed {
            publisher.note(HistoryEntry::Ended(RunEnded {
                at_unix_ms: self.clock.unix_millis(),
                how: end_of(self.fate.error().as_ref(), end),
            }));
        }
        match end {
            _ if self.fate.has_failed() => publisher.abandon(),
            // Nothing is deleted: without the last checkpoint, the one before it is all there is.
            None => {
                publisher.abandon();
                return Err(Error::internal(
                    "the workers ended before the last checkpoint was complete",
                ));
            }
            Some(end) => {
                // Whoever was promised a savepoint is told to export the last checkpoint.
                let keep = keep_at_end(end, self.settings);
                let keep = keep.filter(|_| !self.machine.must_keep_last());
                publisher.finish(keep, self.settings.timeout);
            }
        }
        Ok(Ended {
            stopped: end == Some(JobEnd::Cancel),
            stopping: self.machine.is_stopping(),
            crashed: self.crashed,
            unanswered: self.askers.waiting.into_values().collect(),
        })
    }

    /// Receives and acts; returns the workers that did not come to their end.
    fn go_on(&mut self, workers: &mut Workers, publisher: &Publisher) -> Vec<usize> {
        let mut ended = BTreeSet::new();
        let mut looks = 0;
        let mut actions = self.machine.tick(self.clock.now());
        while ended.len() < self.worker_count {
            for action in mem::take(&mut actions) {
                // The run of a job that has failed does nothing any more.
                if !self.fate.has_failed() {
                    self.act(action, workers, publisher);
                }
            }
            let received = if self.fate.has_failed() {
                looks += 1;
                self.inbox.recv_timeout(LOOK)
            } else {
                self.inbox.recv_timeout(self.until_next_look())
            };
            if looks > PATIENCE && received.is_err() {
                break;
            }
            let now = self.clock.now();
            actions = match received {
                Ok(Event::Inside(attempt, Inside::WorkerEnded(worker))) => {
                    if attempt == self.attempt {
                        ended.insert(worker);
                        looks = 0;
                    }
                    continue;
                }
                Ok(event) => match self.heard(event) {
                    Some(heard) => self.machine.hear(now, heard),
                    None => continue,
                },
                Err(RecvTimeoutError::Timeout) => self.machine.tick(now),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            self.health.show(self.machine.health(now), self.metrics);
        }
        (0..self.worker_count)
            .filter(|worker| !ended.contains(worker))
            .collect()
    }

    /// The longest that an event is waited for.
    fn until_next_look(&self) -> Duration {
        let now = self.clock.now();
        self.machine
            .wakes_at(now)
            .map_or(LOOK, |at| at.saturating_sub(now).clamp(SHORTEST_LOOK, LOOK))
    }

    /// An event in the machine's words; `None` if it is none of the machine's business.
    fn heard(&mut self, event: Event) -> Option<Heard> {
        match event {
            Event::Inside(attempt, _) if attempt != self.attempt => None,
            Event::Inside(_, Inside::Workers(said)) => Some(match said {
                FromWorkers::Ack(ack) => Heard::Ack(ack),
                FromWorkers::AnsweredBefore(epoch) => Heard::AnsweredBefore(epoch),
                FromWorkers::Report(report) => Heard::Report(report),
            }),
            Event::Inside(_, Inside::Published(manifest, outcome)) => {
                let outcome = match outcome {
                    Ok(Publication::Published { .. }) => PublicationOutcome::Durable,
                    Ok(Publication::Fenced { by }) => PublicationOutcome::Fenced { by },
                    Err(error) => PublicationOutcome::Failed(error),
                };
                Some(Heard::Published(manifest, outcome))
            }
            Event::Inside(_, Inside::LookedAtLog(found)) => Some(Heard::LookedAtLog(found)),
            Event::Inside(_, Inside::WorkerEnded(_)) => None,
            Event::Inside(_, Inside::TargetOpened(asker, Ok(target))) => {
                self.desk.opened(asker, target)
            }
            Event::Inside(_, Inside::TargetOpened(asker, Err(refused))) => {
                self.desk.close(asker);
                self.askers.answer(asker, Err(refused));
                None
            }
            Event::Inside(_, Inside::Copying(asker)) => Some(Heard::Copying(asker)),
            Event::Inside(_, Inside::Copied(asker, copied)) => Some(Heard::Copied(asker, copied)),
            Event::TakeSavepoint(SavepointOrder {
                to,
                occasion,
                reply,
            }) => {
                let asker = self.askers.add(reply);
                self.desk.open(asker, to, occasion);
                None
            }
            Event::Stop => Some(Heard::Stop),
            Event::StopAndTell(reply) => Some(Heard::StopAsked(self.askers.add(reply))),
            Event::TakeCheckpoint(reply) => Some(Heard::CheckpointAsked(self.askers.add(reply))),
            Event::Crash => {
                self.crashed = true;
                self.fate
                    .fail(Error::unavailable("the job was ended by a simulated crash"));
                None
            }
        }
    }

    fn act(&mut self, action: Action, workers: &mut Workers, publisher: &Publisher) {
        match action {
            Action::Send(control) => {
                let is_last = control == Control::Finish;
                workers.control.send(control);
                if is_last {
                    workers.control.close();
                }
            }
            Action::Publish(mut manifest) => {
                manifest.written_unix_ms = self.clock.unix_millis();
                publisher.publish(manifest);
            }
            Action::LookAtLog => publisher.look(),
            Action::Keep(asker, manifest) => publisher.pin(asker, &manifest),
            Action::Copy(asker, mut manifest) => {
                manifest.written_unix_ms = self.clock.unix_millis();
                self.desk.copy(asker, manifest);
            }
            Action::Answer(asker, outcome) => {
                publisher.unpin(asker);
                self.desk.close(asker);
                self.askers.answer(asker, outcome);
            }
            Action::Fail(error) => self.fate.fail(error),
            Action::Tell(Notice::Completed { epoch, cost }) => {
                let took = cost.took;
                self.metrics.checkpoint_completed(epoch.0, &cost);
                tracing::debug!(%epoch, ?took, "a checkpoint is complete");
                let cost = *cost;
                self.ended(
                    EndedCheckpoint {
                        epoch,
                        failure: None,
                        cost,
                    },
                    publisher,
                );
            }
            Action::Tell(Notice::Failed {
                epoch,
                reason,
                cost,
            }) => {
                self.metrics.checkpoint_failed();
                tracing::warn!(%epoch, reason, "a checkpoint failed");
                let (failure, cost) = (Some(reason), *cost);
                self.ended(
                    EndedCheckpoint {
                        epoch,
                        failure,
                        cost,
                    },
                    publisher,
                );
            }
            Action::Tell(Notice::SavepointCompleted { epoch }) => {
                tracing::info!(%epoch, "a savepoint is complete");
            }
            Action::Tell(Notice::SavepointFailed { epoch, reason }) => {
                tracing::warn!(%epoch, reason, "a savepoint failed");
            }
        }
    }

    /// Keeps and shows what a checkpoint cost.
    fn ended(&self, checkpoint: EndedCheckpoint, publisher: &Publisher) {
        let at = self.clock.unix_millis();
        let record = checkpoint.record(self.generation, at, self.metrics);
        publisher.note(HistoryEntry::Checkpoint(Box::new(record.clone())));
        self.last_checkpoint.show(record);
    }
}
