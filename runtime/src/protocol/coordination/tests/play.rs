//! A run that is played by hand: the time is moved, what happens is said, and what is to be done looked at.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation, KeyGroupCount, SubtaskId, WorkerIndex};
use crate::protocol::coordination::*;
use crate::protocol::{
    Acknowledgement, Manifest, PlanStage, SnapshotAck, SnapshotCost, StoredPlan,
};

pub(super) const S: Duration = Duration::from_secs(1);

/// A run of one worker with a source, a keyed stage and a transactional sink.
pub(super) struct Play {
    pub(super) machine: Coordination,
    pub(super) now: Duration,
    /// What is to be done and was not looked at.
    pub(super) actions: Vec<Action>,
    /// Manifests that were to be published, with no outcome yet.
    pub(super) under_way: Vec<Manifest>,
    /// What a look at the log finds at once, if it finds anything.
    pub(super) log: Option<Result<()>>,
    /// How often the log was to be looked at.
    pub(super) looks: usize,
}

fn stage(id: &str, kind: StageKind) -> PlanStage {
    PlanStage {
        id: id.into(),
        operation: id.to_owned(),
        detail: String::new(),
        kind,
        schema: None,
    }
}

pub(super) fn subtask(stage: &str) -> SubtaskId {
    SubtaskId {
        stage: stage.into(),
        worker: WorkerIndex(0),
    }
}

pub(super) const ALL: [&str; 3] = ["source", "count", "sink"];

impl Play {
    pub(super) fn begin(change: impl FnOnce(&mut CheckpointSettings)) -> Self {
        Self::begin_from(None, change)
    }

    pub(super) fn begin_from(
        restored_from: Option<Epoch>,
        change: impl FnOnce(&mut CheckpointSettings),
    ) -> Self {
        let mut settings = CheckpointSettings {
            interval: Some(S * 10),
            timeout: S * 60,
            ..CheckpointSettings::default()
        };
        change(&mut settings);
        let plan = StoredPlan {
            stages: vec![
                stage("source", StageKind::Source),
                stage("map", StageKind::Stateless),
                stage("count", StageKind::Keyed),
                stage("sink", StageKind::TransactionalSink),
            ],
            edges: Vec::new(),
        };
        let run = RunFacts {
            job: "job".to_owned(),
            generation: Generation(7),
            nonce: 1,
            plan,
            worker_count: 1,
            key_groups: KeyGroupCount::DEFAULT,
            first_epoch: Epoch(5),
            restored_from,
            origins: Vec::new(),
            failure_pause: S,
        };
        Self {
            machine: Coordination::new(run, settings, Duration::ZERO),
            now: Duration::ZERO,
            actions: Vec::new(),
            under_way: Vec::new(),
            log: Some(Ok(())),
            looks: 0,
        }
    }

    pub(super) fn take(&mut self, actions: Vec<Action>) {
        let looks = self.looks;
        for action in actions {
            if let Action::LookAtLog = action {
                self.looks += 1;
                continue;
            }
            if let Action::Publish(manifest) = &action {
                assert!(self.under_way.is_empty(), "one publication at a time");
                self.under_way.push(Manifest::clone(manifest));
            }
            self.actions.push(action);
        }
        if let (true, Some(found)) = (self.looks > looks, self.log.clone()) {
            self.hear(Heard::LookedAtLog(found));
        }
    }

    pub(super) fn hear(&mut self, heard: Heard) {
        let actions = self.machine.hear(self.now, heard);
        self.take(actions);
    }

    /// Goes on to this second, waking when the machine wants to.
    pub(super) fn until(&mut self, second: u32) {
        let end = S * second;
        loop {
            let wakes = self.machine.wakes_at(self.now).filter(|at| *at < end);
            self.now = wakes.unwrap_or(end);
            let actions = self.machine.tick(self.now);
            self.take(actions);
            if self.now == end {
                return;
            }
        }
    }

    /// What is to be done since the last look, in words.
    #[track_caller]
    pub(super) fn expect(&mut self, expected: &[&str]) {
        let words: Vec<String> = self.actions.drain(..).map(|a| word(&a)).collect();
        assert_eq!(words, expected, "at {:?}", self.now);
    }

    pub(super) fn ack(&mut self, stage: &str, epoch: u64, ack: SnapshotAck) {
        self.hear(Heard::Ack(Acknowledgement {
            subtask: subtask(stage),
            epoch: Epoch(epoch),
            ack,
        }));
    }

    pub(super) fn frontier(&mut self, before: u64) {
        self.hear(Heard::AnsweredBefore(Some(Epoch(before))));
    }

    /// Every subtask answers that it is durable.
    pub(super) fn answer(&mut self, epoch: u64) {
        for stage in ALL {
            self.ack(stage, epoch, durable());
        }
        self.frontier(epoch + 1);
    }

    /// One subtask answers that it failed.
    pub(super) fn answer_failed(&mut self, epoch: u64) {
        self.ack("source", epoch, durable());
        self.ack("sink", epoch, durable());
        self.ack("count", epoch, SnapshotAck::Failed("disk full".to_owned()));
        self.frontier(epoch + 1);
    }

    pub(super) fn published(&mut self, outcome: PublicationOutcome) {
        let manifest = self.under_way.pop().expect("a manifest is under way");
        self.hear(Heard::Published(Box::new(manifest), outcome));
    }

    pub(super) fn durable(&mut self) {
        self.published(PublicationOutcome::Durable);
    }

    pub(super) fn committed(&mut self, epoch: u64) {
        self.hear(Heard::Report(Report::Committed(
            subtask("sink"),
            Epoch(epoch),
        )));
    }

    pub(super) fn source_finished(&mut self) {
        self.hear(Heard::Report(Report::SourceFinished(subtask("source"))));
    }

    pub(super) fn backlog(&mut self, backlog: Backlog) {
        self.hear(Heard::Report(Report::Backlog(subtask("source"), backlog)));
    }

    pub(super) fn ask(&mut self, asker: u64) {
        self.hear(Heard::CheckpointAsked(Asker(asker)));
    }

    /// Opens epoch 5 by hand, since the first trigger by time is jittered.
    pub(super) fn open_first(&mut self) {
        self.ask(0);
        self.expect(&["trigger 5"]);
    }
}

fn word(action: &Action) -> String {
    match action {
        Action::Send(Control::Trigger { closes, then }) => match then {
            AfterBarrier::ReadOn => format!("trigger {closes}"),
            AfterBarrier::Rest => format!("trigger {closes} as the last"),
            AfterBarrier::RestAtEndOfTime => format!("trigger {closes} as the last, draining"),
        },
        Action::Send(Control::Abort(epoch)) => format!("abort {epoch}"),
        Action::Send(Control::Complete(permit)) => format!("permit {}", permit.epoch()),
        Action::Send(Control::Finish) => "finish".to_owned(),
        Action::Publish(manifest) if manifest.finished => {
            format!("publish {} as finished", manifest.epoch)
        }
        Action::Publish(manifest) => format!("publish {}", manifest.epoch),
        Action::Keep(Asker(asker), manifest) => format!("keep {} for {asker}", manifest.epoch),
        Action::Copy(Asker(asker), manifest) => format!("copy {} for {asker}", manifest.epoch),
        Action::LookAtLog => unreachable!("it is counted"),
        Action::Answer(Asker(asker), Ok(epoch)) => format!("tell {asker} {epoch}"),
        Action::Answer(Asker(asker), Err(_)) => format!("tell {asker} it failed"),
        Action::Fail(error) => format!("fail {}", error.kind().as_str()),
        Action::Tell(Notice::Completed { epoch, cost }) => {
            format!("{epoch} took {:?}", cost.took)
        }
        Action::Tell(Notice::Failed { epoch, .. }) => format!("{epoch} failed"),
        Action::Tell(Notice::SavepointCompleted { epoch }) => format!("savepoint {epoch}"),
        Action::Tell(Notice::SavepointFailed { epoch, .. }) => format!("savepoint {epoch} failed"),
    }
}

/// The answer of a subtask that keeps nothing.
pub(super) fn durable() -> SnapshotAck {
    SnapshotAck::Durable(Vec::new(), SnapshotCost::default())
}

pub(super) fn unavailable() -> PublicationOutcome {
    PublicationOutcome::Failed(Error::unavailable("no route to the storage"))
}
