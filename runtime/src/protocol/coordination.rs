//! The coordinator as a state machine: what it hears goes in with the time, what is to be done comes out.
//!
//! It triggers checkpoints, judges their answers, has manifests published in the order of the
//! epochs, permits commits, counts failures and ends the job. It reads no clock, sends nothing and
//! waits for nothing: whoever drives it calls [`Coordination::hear`] for each thing that happens,
//! [`Coordination::tick`] when nothing does for the time that [`Coordination::wakes_at`] names, and
//! carries out every [`Action`] in order. The same calls give the same actions.

mod askers;
mod failing;
mod messages;
mod publishing;
mod savepoints;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::Duration;

use self::askers::Askers;
use self::publishing::Publishing;
use self::savepoints::Savepoints;
use crate::ids::{Epoch, StageId, SubtaskId, WorkerIndex};
use crate::protocol::{
    AfterBarrier, Backlog, BarrierPassed, Control, EndOfJob, Health, HealthFacts, JobEnd,
    Judgement, PendingCheckpoint, Report, StageKind, Trigger, TriggerFacts, first_interval,
    interval_of, is_timed_out, judge_health, may_trigger,
};
use crate::settings::CheckpointSettings;

pub use self::messages::{Action, Asker, Drain, Heard, Notice, PublicationOutcome, RunFacts};

/// The coordinator's memory.
#[derive(Debug)]
pub struct Coordination {
    run: RunFacts,
    settings: CheckpointSettings,
    actions: Vec<Action>,
    life: Life,

    /// The next epoch to close.
    next: Epoch,
    /// When the last epoch was opened, or the run began.
    last_trigger: Duration,
    opened_any: bool,
    /// When the last checkpoint ended, complete or not.
    last_end: Option<Duration>,
    /// No trigger before this time, behind a failure.
    not_before: Duration,
    /// When the next epoch is due, if only time is missing.
    next_trigger: Option<Duration>,
    pending: BTreeMap<Epoch, PendingCheckpoint>,
    publishing: Option<Publishing>,
    /// A look at the log is under way.
    looking: bool,
    /// The last epoch, once it was opened.
    last: Option<Epoch>,
    /// The newest epoch whose checkpoint is complete.
    newest: Option<Epoch>,
    /// Every answer for epochs before this one has arrived.
    answered_before: Option<Epoch>,
    /// The checkpoints that failed in a row, with the reasons.
    failures: Vec<(Epoch, String)>,
    /// When the run began, until its first checkpoint if it was restored.
    restored_at: Option<Duration>,
    ending: Ending,
    askers: Askers,
    savepoints: Savepoints,
    unfinished_sources: BTreeSet<SubtaskId>,
    behind: BTreeSet<SubtaskId>,
    /// How far each subtask of a transactional sink has committed.
    committed: BTreeMap<SubtaskId, Epoch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// The workers were told that everything is done.
    Finished,
    /// The job has failed: nothing is decided any more.
    Failed,
}

/// Whether the job was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    Stop,
    /// As if all input had been read.
    Drain,
}

impl Coordination {
    /// The coordinator of a run that begins at `now`.
    pub fn new(run: RunFacts, settings: CheckpointSettings, now: Duration) -> Self {
        let subtasks = |kind| subtasks_of(&run, move |k| k == kind);
        Self {
            actions: Vec::new(),
            life: Life::Running,
            next: run.first_epoch,
            last_trigger: now,
            opened_any: false,
            last_end: None,
            not_before: now,
            next_trigger: None,
            pending: BTreeMap::new(),
            publishing: None,
            looking: false,
            last: None,
            newest: None,
            answered_before: Some(run.first_epoch),
            failures: Vec::new(),
            restored_at: run.restored_from.map(|_| now),
            ending: Ending::No,
            askers: Askers::default(),
            savepoints: Savepoints::default(),
            unfinished_sources: subtasks(StageKind::Source).collect(),
            behind: BTreeSet::new(),
            committed: subtasks(StageKind::TransactionalSink)
                .map(|subtask| (subtask, Epoch(0)))
                .collect(),
            run,
            settings,
        }
    }

    /// Takes in what has happened, and decides.
    pub fn hear(&mut self, now: Duration, heard: Heard) -> Vec<Action> {
        match heard {
            Heard::Ack(ack) => {
                // The answer for a checkpoint that was given up changes nothing.
                if let Some(pending) = self.pending.get_mut(&ack.epoch) {
                    pending.answer(ack.subtask, ack.ack);
                }
            }
            Heard::AnsweredBefore(epoch) => self.answered_before = epoch,
            Heard::Report(report) => self.reported(report),
            Heard::Published(manifest, outcome) => self.published(now, &manifest, outcome),
            Heard::LookedAtLog(found) => self.looked_at_log(found),
            Heard::Stop => self.stop(),
            Heard::StopAsked(asker) => {
                self.stop();
                self.checkpoint_asked(asker);
            }
            Heard::CheckpointAsked(asker) => self.checkpoint_asked(asker),
            Heard::SavepointAsked(asker) => self.savepoint_asked(asker),
            Heard::StopWithSavepoint(asker, drain) => self.stop_with_savepoint(asker, drain),
            Heard::Copying(asker) => self.savepoints.copying_goes_on(now, asker),
            Heard::Copied(asker, outcome) => self.copied(asker, outcome),
        }
        self.tick(now)
    }

    fn stop(&mut self) {
        // A job that drains stops, too.
        if self.ending == Ending::No {
            self.ending = Ending::Stop;
        }
    }

    fn checkpoint_asked(&mut self, asker: Asker) {
        // Nothing is triggered behind the last one, which holds whatever was read.
        match self.last {
            Some(last) => self.askers.wait_for(last, asker),
            None => self.askers.ask(asker),
        }
    }

    /// Decides what time alone brings about.
    pub fn tick(&mut self, now: Duration) -> Vec<Action> {
        if self.life == Life::Running && !self.is_over() {
            self.judge(now);
            self.judge_publication(now);
            self.trigger(now);
            self.judge_copies(now);
        }
        self.answer_askers();
        if self.life == Life::Running && self.is_over() {
            self.life = Life::Finished;
            self.actions.push(Action::Send(Control::Finish));
        }
        mem::take(&mut self.actions)
    }

    /// The next time behind `now` at which [`tick`](Self::tick) may have something to decide, or
    /// the job's health may change, if nothing happens before.
    pub fn wakes_at(&self, now: Duration) -> Option<Duration> {
        let given_up = self
            .pending
            .values()
            .map(|pending| pending.triggered.saturating_add(self.settings.timeout));
        let publishing = self
            .publishing
            .as_ref()
            .map(|publishing| publishing.since.saturating_add(self.settings.timeout));
        given_up
            .chain(publishing)
            .chain(self.next_trigger)
            .chain(self.savepoints.copies_given_up_at(self.settings.timeout))
            .chain(self.health_facts().worsens_at(now))
            .filter(|at| *at > now)
            .min()
    }

    /// Whether everything is done, and the workers only have to end.
    pub fn is_over(&self) -> bool {
        self.is_complete() && !self.savepoints.any_unfinished()
    }

    /// Whether the last checkpoint is complete, and its output visible.
    fn is_complete(&self) -> bool {
        let done = |last| self.newest >= Some(last) && self.committed.values().all(|e| *e >= last);
        self.last.is_some_and(done)
    }

    /// How the job has ended, once its last checkpoint is complete and committed. Before that nothing says what
    /// may be deleted.
    pub fn job_end(&self) -> Option<JobEnd> {
        let end = if self.has_read_all() {
            JobEnd::Success
        } else {
            JobEnd::Cancel
        };
        self.is_over().then_some(end)
    }

    /// Whether the last checkpoint must stay, whatever the settings say: it was to become a savepoint, and has not.
    pub fn must_keep_last(&self) -> bool {
        self.savepoints.lost_last
    }

    /// Whether nothing is left to be read, or to fire.
    fn has_read_all(&self) -> bool {
        self.unfinished_sources.is_empty() || self.ending == Ending::Drain
    }

    /// Whether the job was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.ending != Ending::No
    }

    /// Whether the job is well at `now`.
    pub fn health(&self, now: Duration) -> Health {
        judge_health(now, &self.health_facts())
    }

    fn health_facts(&self) -> HealthFacts<'_> {
        HealthFacts {
            restored_at: self.restored_at,
            first_window: self.settings.first_window(),
            failed: &self.failures,
            publishing: self.publishing.as_ref().map(|p| (p.epoch, p.since)),
            timeout: self.settings.timeout,
        }
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::SourceFinished(subtask) => {
                self.behind.remove(&subtask);
                self.unfinished_sources.remove(&subtask);
            }
            Report::Backlog(subtask, Backlog::Some) => drop(self.behind.insert(subtask)),
            Report::Backlog(subtask, Backlog::None) => drop(self.behind.remove(&subtask)),
            Report::Committed(subtask, epoch) => {
                let committed = self.committed.entry(subtask).or_default();
                *committed = epoch.max(*committed);
            }
        }
    }

    /// Looks at the pending checkpoints, oldest first: complete, failed, or too slow?
    fn judge(&mut self, now: Duration) {
        let epochs: Vec<Epoch> = self.pending.keys().copied().collect();
        for epoch in epochs {
            let pending = &self.pending[&epoch];
            let passed = if self.answered_before.is_none_or(|before| before > epoch) {
                BarrierPassed::Yes
            } else {
                BarrierPassed::No
            };
            match pending.judge(passed) {
                Judgement::Complete(snapshots) if self.savepoints.is_of(epoch) => {
                    self.keep_savepoint(epoch, &snapshots);
                }
                Judgement::Complete(snapshots) => {
                    // Checkpoints complete in the order of their epochs.
                    let is_next = self.pending.keys().next() == Some(&epoch);
                    if is_next && self.publishing.is_none() {
                        self.publish(now, epoch, snapshots);
                    }
                }
                Judgement::Failed(reasons) => {
                    self.checkpoint_failed(now, epoch, reasons.join("; "));
                }
                Judgement::Waiting => {
                    let is_late = is_timed_out(now, pending.triggered, self.settings.timeout);
                    if is_late {
                        let reason = failing::too_late(pending, self.settings.timeout);
                        self.actions.push(Action::Send(Control::Abort(epoch)));
                        self.checkpoint_failed(now, epoch, reason);
                    }
                }
            }
        }
    }

    fn trigger(&mut self, now: Duration) {
        self.next_trigger = None;
        if self.life != Life::Running {
            return;
        }
        let closes = self.next;
        let then = match may_trigger(now, &self.trigger_facts()) {
            Trigger::No { until } => {
                self.next_trigger = until;
                return;
            }
            Trigger::Open => AfterBarrier::ReadOn,
            Trigger::OpenLast => {
                self.last = Some(closes);
                self.savepoints.opened_last();
                match self.ending {
                    Ending::Drain => AfterBarrier::RestAtEndOfTime,
                    Ending::No | Ending::Stop => AfterBarrier::Rest,
                }
            }
        };
        self.next = closes.next();
        // The next checkpoint is due as if the savepoint had never been.
        if !self.savepoints.opened(closes) {
            self.last_trigger = now;
            self.opened_any = true;
            self.askers.opened(closes);
        }
        let expected = subtasks_of(&self.run, StageKind::has_snapshot);
        self.pending
            .insert(closes, PendingCheckpoint::new(closes, now, expected));
        self.actions
            .push(Action::Send(Control::Trigger { closes, then }));
        // With room for more than one, the next one may only be a matter of time.
        if let Trigger::No { until } = may_trigger(now, &self.trigger_facts()) {
            self.next_trigger = until;
        }
    }

    fn trigger_facts(&self) -> TriggerFacts {
        let backlog = if self.behind.is_empty() {
            Backlog::None
        } else {
            Backlog::Some
        };
        let interval = interval_of(&self.settings, backlog);
        let pause = self.settings.min_pause;
        TriggerFacts {
            interval: if self.opened_any {
                interval
            } else {
                interval.map(|interval| first_interval(interval, self.run.nonce))
            },
            last_trigger: self.last_trigger,
            pause_until: self
                .last_end
                .map_or(Duration::ZERO, |end| end.saturating_add(pause)),
            not_before: self.not_before,
            in_flight: self.pending.len() + usize::from(self.publishing.is_some()),
            max_concurrent: self.settings.max_concurrent,
            asked: self.askers.any_asked()
                || self.savepoints.any_asked()
                || self.savepoint_wants_checkpoint(),
            end: if self.last.is_some() {
                EndOfJob::Opened
            } else if self.is_stopping() || self.unfinished_sources.is_empty() {
                EndOfJob::Due
            } else {
                EndOfJob::NotInSight
            },
        }
    }

    /// Answers those whose checkpoint is complete, and whose output is visible.
    fn answer_askers(&mut self) {
        let Some(newest) = self.newest else { return };
        let committed = self.committed.values().copied().min();
        let visible = committed.map_or(newest, |committed| committed.min(newest));
        for (epoch, asker) in self.askers.take_up_to(visible) {
            self.actions.push(Action::Answer(asker, Ok(epoch)));
        }
    }
}

/// The subtasks of all stages of some kinds.
fn subtasks_of(run: &RunFacts, of: impl Fn(StageKind) -> bool) -> impl Iterator<Item = SubtaskId> {
    let stages = run.plan.stages.iter().filter(|s| of(s.kind));
    let stages: Vec<StageId> = stages.map(|s| s.id.clone()).collect();
    let worker_count = run.worker_count;
    stages.into_iter().flat_map(move |stage| {
        (0..worker_count).map(move |w| SubtaskId {
            stage: stage.clone(),
            worker: WorkerIndex(w as u32),
        })
    })
}
