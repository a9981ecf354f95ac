//! The coordinator: receives, asks `protocol` to decide, acts.
//!
//! It triggers checkpoints, judges answers when the ack frontier has passed, has the manifest
//! published, permits commits, and ends the job. It runs on the thread that called `run`: a slow
//! worker or a slow disk stops no trigger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::publisher::Publisher;
use crate::clock::Clock;
use crate::dataflow::{Fate, FromWorkers, Run, Workers};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation, KeyGroupCount, StageId, SubtaskId, WorkerIndex};
use crate::metrics::Metrics;
use crate::protocol::{
    AfterBarrier, BarrierPassed, CheckpointKind, CommitPermit, Control, FailureVerdict, Judgement,
    Manifest, PendingCheckpoint, Report, StageKind, StoredPlan, SubtaskSnapshot, Trigger,
    TriggerFacts, is_timed_out, judge_failures, may_trigger,
};
use crate::settings::CheckpointSettings;
use crate::storage::log::Publication;

/// What the coordinator hears.
#[derive(Debug)]
pub(super) enum Event {
    Workers(FromWorkers),
    Published(Box<Manifest>, Result<Publication>),
    WorkerEnded(usize),
    Stop,
    TakeCheckpoint(Sender<Result<Epoch>>),
    Crash,
}

/// The longest wait for an event: the flag of a failed job is looked at this often.
const LOOK: Duration = Duration::from_millis(20);
/// A clock that is moved by hand says that a trigger is due only when it was moved: no spinning until then.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);
/// How long workers of a failed job may take to end before they count as stuck.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause behind a failed checkpoint, for each failure in a row.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Coordinator {
    job: Arc<str>,
    author: (Generation, u64),
    plan: StoredPlan,
    worker_count: usize,
    key_groups: KeyGroupCount,
    settings: CheckpointSettings,
    clock: Clock,
    metrics: Arc<Metrics>,
    fate: Arc<Fate>,
    inbox: Receiver<Event>,

    /// The next epoch to close.
    next: Epoch,
    last_trigger: Duration,
    /// When the next epoch is due, if only time is missing.
    next_trigger: Option<Duration>,
    /// No trigger before this time, behind a failure.
    not_before: Duration,
    pending: Option<PendingCheckpoint>,
    /// The epoch that is being published, and when it was triggered.
    publishing: Option<(Epoch, Duration)>,
    /// The last epoch, once it was opened.
    last: Option<Epoch>,
    /// The newest epoch whose checkpoint is complete.
    newest: Epoch,
    /// Whether the last epoch is complete.
    completed: bool,
    /// Every answer for epochs before this one has arrived.
    answered_before: Option<Epoch>,
    failures: u32,
    stopping: bool,
    /// Who asked for a checkpoint that has not been triggered yet.
    asked: Vec<Sender<Result<Epoch>>>,
    /// Who waits for the checkpoint of an epoch, and then for its output to be visible.
    awaited: Vec<(Epoch, Sender<Result<Epoch>>)>,
    unfinished_sources: BTreeSet<SubtaskId>,
    committed: BTreeMap<SubtaskId, Epoch>,
    ended: BTreeSet<usize>,
}

impl Coordinator {
    pub(super) fn new(
        run: &Run,
        plan: StoredPlan,
        author: (Generation, u64),
        settings: &CheckpointSettings,
        clock: Clock,
        inbox: Receiver<Event>,
    ) -> Self {
        let subtasks = |kind: StageKind| subtasks_of(&plan, run.worker_count, move |k| k == kind);
        let now = clock.now();
        Self {
            job: Arc::clone(&run.job),
            author,
            worker_count: run.worker_count,
            key_groups: run.key_groups,
            settings: settings.clone(),
            metrics: Arc::clone(&run.metrics),
            fate: Arc::clone(&run.fate),
            inbox,
            next: run.first_epoch,
            last_trigger: now,
            next_trigger: None,
            not_before: now,
            pending: None,
            publishing: None,
            last: None,
            newest: Epoch(0),
            completed: false,
            answered_before: Some(run.first_epoch),
            failures: 0,
            stopping: false,
            asked: Vec::new(),
            awaited: Vec::new(),
            unfinished_sources: subtasks(StageKind::Source).collect(),
            committed: subtasks(StageKind::TransactionalSink)
                .map(|subtask| (subtask, Epoch(0)))
                .collect(),
            ended: BTreeSet::new(),
            clock,
            plan,
        }
    }

    /// Runs until all workers have ended; true if the job was asked to stop.
    pub(super) fn run(mut self, mut workers: Workers, publisher: Publisher) -> Result<bool> {
        let mut failed_since = None;
        while self.ended.len() < self.worker_count {
            if self.fate.has_failed() {
                let since = *failed_since.get_or_insert(self.clock.real_now());
                if self.clock.real_now().saturating_sub(since) > PATIENCE {
                    break;
                }
            } else if !self.is_over() {
                self.decide(&mut workers, &publisher);
            }
            match self.inbox.recv_timeout(self.until_next_look()) {
                Ok(event) => self.hear(event, &mut workers),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let stuck: Vec<usize> = (0..self.worker_count)
            .filter(|w| !self.ended.contains(w))
            .collect();
        workers.finish(&stuck);
        if self.fate.has_failed() {
            publisher.abandon();
        } else {
            publisher.finish();
        }
        let stopped = self.stopping && !self.unfinished_sources.is_empty();
        if !self.fate.has_failed() && !self.is_over() {
            return Err(Error::internal(
                "the workers ended before the last checkpoint was complete",
            ));
        }
        Ok(stopped)
    }

    /// The longest that an event is waited for.
    fn until_next_look(&self) -> Duration {
        self.next_trigger.map_or(LOOK, |at| {
            at.saturating_sub(self.clock.now())
                .clamp(SHORTEST_LOOK, LOOK)
        })
    }

    /// Whether everything is done, and the workers only have to end.
    fn is_over(&self) -> bool {
        self.completed
            && self
                .last
                .is_some_and(|last| self.committed.values().all(|epoch| *epoch >= last))
    }

    fn decide(&mut self, workers: &mut Workers, publisher: &Publisher) {
        let now = self.clock.now();
        self.judge(now, workers, publisher);
        self.next_trigger = None;
        if now < self.not_before {
            self.next_trigger = Some(self.not_before);
            return;
        }
        let facts = TriggerFacts {
            interval: if self.asked.is_empty() {
                self.settings.interval
            } else {
                Some(Duration::ZERO)
            },
            last_trigger: self.last_trigger,
            in_flight: usize::from(self.pending.is_some()) + usize::from(self.publishing.is_some()),
            max_concurrent: 1,
            stopping: self.stopping,
            sources_finished: self.unfinished_sources.is_empty(),
            last_opened: self.last.is_some(),
        };
        let then = match may_trigger(now, &facts) {
            Trigger::No { until } => {
                self.next_trigger = until;
                return;
            }
            Trigger::Open => AfterBarrier::ReadOn,
            Trigger::OpenLast => AfterBarrier::Rest,
        };
        let closes = self.next;
        if then == AfterBarrier::Rest {
            self.last = Some(closes);
        }
        self.next = closes.next();
        self.last_trigger = now;
        self.awaited
            .extend(self.asked.drain(..).map(|asked| (closes, asked)));
        let expected = subtasks_of(&self.plan, self.worker_count, StageKind::has_snapshot);
        self.pending = Some(PendingCheckpoint::new(closes, now, expected));
        workers.control.send(Control::Trigger { closes, then });
    }

    /// Looks at the pending checkpoint: complete, failed, or too slow?
    fn judge(&mut self, now: Duration, workers: &mut Workers, publisher: &Publisher) {
        let Some(pending) = &self.pending else { return };
        let passed = self
            .answered_before
            .is_none_or(|before| before > pending.epoch);
        let passed = if passed {
            BarrierPassed::Yes
        } else {
            BarrierPassed::No
        };
        let (epoch, triggered) = (pending.epoch, pending.triggered);
        match pending.judge(passed) {
            Judgement::Complete(snapshots) => {
                self.pending = None;
                self.publishing = Some((epoch, triggered));
                publisher.publish(self.manifest(epoch, snapshots));
            }
            Judgement::Failed(reasons) => self.checkpoint_failed(epoch, &reasons.join("; ")),
            Judgement::Waiting if is_timed_out(now, triggered, self.settings.timeout) => {
                let mut missing: Vec<String> = pending.missing().map(ToString::to_string).collect();
                if missing.is_empty() {
                    // Those have no snapshot, and are in no plan of one.
                    missing.push(
                        "a sink that is still writing what came before the barrier".to_owned(),
                    );
                }
                workers.control.send(Control::Abort(epoch));
                let text = format!(
                    "no answer within {:?} from {}",
                    self.settings.timeout,
                    missing.join(", ")
                );
                self.checkpoint_failed(epoch, &text);
            }
            Judgement::Waiting => {}
        }
    }

    fn manifest(&self, epoch: Epoch, snapshots: Vec<SubtaskSnapshot>) -> Manifest {
        Manifest {
            job: self.job.to_string(),
            generation: self.author.0,
            nonce: self.author.1,
            epoch,
            kind: CheckpointKind::Checkpoint,
            finished: self.last == Some(epoch) && self.unfinished_sources.is_empty(),
            worker_count: self.worker_count as u32,
            key_groups: self.key_groups,
            written_unix_ms: self.clock.unix_millis(),
            plan: self.plan.clone(),
            snapshots,
        }
    }

    fn checkpoint_failed(&mut self, epoch: Epoch, reason: &str) {
        self.pending = None;
        self.publishing = None;
        if self.last == Some(epoch) {
            // The next one is the last one instead.
            self.last = None;
        }
        self.failures += 1;
        self.not_before = self.clock.now() + self.clock.pause(PAUSE * self.failures);
        self.metrics.checkpoint_failed();
        tracing::warn!(%epoch, reason, "a checkpoint failed");
        for (_, asked) in self
            .awaited
            .extract_if(.., |(awaited, _)| *awaited == epoch)
        {
            let _ = asked.send(Err(Error::unavailable(format!(
                "the checkpoint of epoch {epoch} failed: {reason}"
            ))));
        }
        if judge_failures(self.failures, self.settings.tolerable_failures) == FailureVerdict::Stop {
            self.fate.fail(Error::unavailable(format!(
                "{} checkpoints failed in a row, the last one (epoch {epoch}) because of {reason}",
                self.failures
            )));
        }
    }

    fn hear(&mut self, event: Event, workers: &mut Workers) {
        match event {
            Event::Workers(FromWorkers::Ack(ack)) => {
                if let Some(pending) = self
                    .pending
                    .as_mut()
                    .filter(|pending| pending.epoch == ack.epoch)
                {
                    pending.answer(ack.subtask, ack.ack);
                }
            }
            Event::Workers(FromWorkers::AnsweredBefore(epoch)) => self.answered_before = epoch,
            Event::Workers(FromWorkers::Report(Report::SourceFinished(subtask))) => {
                self.unfinished_sources.remove(&subtask);
            }
            Event::Workers(FromWorkers::Report(Report::Committed(subtask, epoch))) => {
                self.committed.insert(subtask, epoch);
                self.answer_awaited();
                self.finish_if_over(workers);
            }
            Event::Published(manifest, outcome) => self.published(&manifest, outcome, workers),
            Event::WorkerEnded(worker) => {
                self.ended.insert(worker);
            }
            Event::Stop => self.stopping = true,
            Event::TakeCheckpoint(reply) => match self.last {
                // Nothing is triggered behind the last one, which holds whatever was read.
                Some(last) => {
                    self.awaited.push((last, reply));
                    self.answer_awaited();
                }
                None => self.asked.push(reply),
            },
            Event::Crash => self
                .fate
                .fail(Error::unavailable("the job was ended by a simulated crash")),
        }
    }

    fn published(
        &mut self,
        manifest: &Manifest,
        outcome: Result<Publication>,
        workers: &mut Workers,
    ) {
        let epoch = manifest.epoch;
        let triggered = self
            .publishing
            .take()
            .map_or(self.clock.now(), |(_, triggered)| triggered);
        match outcome {
            Ok(Publication::Published { .. }) => {
                self.failures = 0;
                let took = self.clock.now().saturating_sub(triggered);
                self.metrics
                    .checkpoint_completed(epoch.0, took.as_micros() as u64);
                tracing::debug!(%epoch, ?took, "a checkpoint is complete");
                if let Some(permit) = CommitPermit::of_published(manifest) {
                    workers.control.send(Control::Complete(permit));
                }
                self.newest = epoch;
                self.completed = self.last == Some(epoch);
                self.answer_awaited();
                self.finish_if_over(workers);
            }
            Ok(Publication::Fenced { by }) => self.fate.fail(Error::fenced(format!(
                "generation {by} of the job `{}` has taken over: this run (generation {}) stops",
                self.job, self.author.0
            ))),
            Err(error) => self.checkpoint_failed(epoch, &error.to_string()),
        }
    }

    /// Answers those whose checkpoint is complete, and whose output is visible.
    fn answer_awaited(&mut self) {
        let visible = self
            .committed
            .values()
            .copied()
            .min()
            .unwrap_or(self.newest)
            .min(self.newest);
        for (epoch, asked) in self
            .awaited
            .extract_if(.., |(awaited, _)| *awaited <= visible)
        {
            let _ = asked.send(Ok(epoch));
        }
    }

    fn finish_if_over(&mut self, workers: &mut Workers) {
        if self.is_over() {
            workers.control.send(Control::Finish);
            workers.control.close();
        }
    }
}

/// The subtasks of all stages of some kinds.
fn subtasks_of(
    plan: &StoredPlan,
    worker_count: usize,
    of: impl Fn(StageKind) -> bool,
) -> impl Iterator<Item = SubtaskId> {
    let stages: Vec<StageId> = plan
        .stages
        .iter()
        .filter(|s| of(s.kind))
        .map(|s| s.id.clone())
        .collect();
    stages.into_iter().flat_map(move |stage| {
        (0..worker_count).map(move |w| SubtaskId {
            stage: stage.clone(),
            worker: WorkerIndex(w as u32),
        })
    })
}
