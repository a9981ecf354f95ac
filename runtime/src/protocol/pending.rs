//! A checkpoint whose answers are still coming in, and what they make of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, SubtaskId};
use crate::protocol::{
    CheckpointCost, CheckpointTimes, SnapshotCost, SnapshotRef, SubtaskSnapshot,
};

/// The answer of a subtask for an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotAck {
    /// Its snapshot is durable, at this cost.
    Durable(Vec<SnapshotRef>, SnapshotCost),
    /// It has none, for this reason; what was dirty stays dirty.
    Failed(String),
}

/// A checkpoint that is neither complete nor given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingCheckpoint {
    /// The epoch it closes.
    pub epoch: Epoch,
    /// When its epoch was closed.
    pub triggered: Duration,
    expected: BTreeSet<SubtaskId>,
    answers: BTreeMap<SubtaskId, SnapshotAck>,
}

/// What the answers make of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Every subtask has a durable snapshot: publish these.
    Complete(Vec<SubtaskSnapshot>),
    /// It cannot complete.
    Failed(Vec<String>),
    /// Some answers are still to come.
    Waiting,
}

impl PendingCheckpoint {
    /// A checkpoint that waits for the answers of these subtasks.
    pub fn new(
        epoch: Epoch,
        triggered: Duration,
        expected: impl IntoIterator<Item = SubtaskId>,
    ) -> Self {
        Self {
            epoch,
            triggered,
            expected: expected.into_iter().collect(),
            answers: BTreeMap::new(),
        }
    }

    /// Notes the answer of a subtask. Of two answers, a failure counts.
    pub fn answer(&mut self, subtask: SubtaskId, ack: SnapshotAck) {
        match self.answers.get(&subtask) {
            Some(SnapshotAck::Failed(_)) => {}
            Some(SnapshotAck::Durable(..)) | None => {
                self.answers.insert(subtask, ack);
            }
        }
    }

    /// The subtasks that have not answered, for a message on time-out.
    pub fn missing(&self) -> impl Iterator<Item = &SubtaskId> {
        self.expected
            .iter()
            .filter(|subtask| !self.answers.contains_key(subtask))
    }

    /// What it has cost by now, as far as subtasks have answered.
    pub fn cost(&self, published: Option<Duration>, now: Duration) -> CheckpointCost {
        let times = CheckpointTimes {
            triggered: self.triggered,
            published,
            ended: now,
        };
        let answers = self.answers.iter();
        let costs = answers.filter_map(|(subtask, ack)| match ack {
            SnapshotAck::Durable(_, cost) => Some((subtask, cost)),
            SnapshotAck::Failed(_) => None,
        });
        CheckpointCost::of(times, costs)
    }

    /// What the answers make of it; `barrier_passed` says that the ack frontier has passed the
    /// epoch, so that no further answer will come.
    pub fn judge(&self, barrier_passed: BarrierPassed) -> Judgement {
        match barrier_passed {
            BarrierPassed::No => Judgement::Waiting,
            BarrierPassed::Yes => self.judge_final(),
        }
    }

    fn judge_final(&self) -> Judgement {
        let failed = self.answers.iter().filter_map(|(subtask, ack)| match ack {
            SnapshotAck::Failed(reason) => Some(format!("{subtask}: {reason}")),
            SnapshotAck::Durable(..) => None,
        });
        let missing = self
            .missing()
            .map(|subtask| format!("{subtask}: no answer"));
        let unexpected = self
            .answers
            .keys()
            .filter(|subtask| !self.expected.contains(subtask));
        let unexpected =
            unexpected.map(|subtask| format!("{subtask}: an answer, but it is not in the plan"));
        let reasons: Vec<String> = failed.chain(missing).chain(unexpected).collect();
        if !reasons.is_empty() {
            return Judgement::Failed(reasons);
        }
        let snapshots = self.answers.iter().filter_map(|(subtask, ack)| match ack {
            SnapshotAck::Durable(refs, _) => Some(SubtaskSnapshot {
                subtask: subtask.clone(),
                refs: refs.clone(),
            }),
            SnapshotAck::Failed(_) => None,
        });
        Judgement::Complete(snapshots.collect())
    }
}

/// Whether the ack frontier has passed an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierPassed {
    /// Answers may still come.
    No,
    /// No further answer will come.
    Yes,
}

/// Whether a checkpoint that still waits is given up at `now`. Once publishing has begun it is no
/// longer pending, and cannot be given up.
pub fn is_timed_out(now: Duration, triggered: Duration, timeout: Duration) -> bool {
    now >= triggered.saturating_add(timeout)
}

/// What failed checkpoints mean for the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureVerdict {
    /// Goes on: nothing is lost, the next checkpoint holds it all.
    GoOn,
    /// Stops: checkpoints keep failing.
    Stop,
}

/// Whether the job goes on after so many failed checkpoints in a row.
pub fn judge_failures(consecutive: u32, tolerable: u32) -> FailureVerdict {
    if consecutive > tolerable {
        FailureVerdict::Stop
    } else {
        FailureVerdict::GoOn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{StageId, WorkerIndex};

    fn subtask(worker: u32) -> SubtaskId {
        SubtaskId {
            stage: StageId::new("s"),
            worker: WorkerIndex(worker),
        }
    }

    fn durable() -> SnapshotAck {
        SnapshotAck::Durable(Vec::new(), SnapshotCost::default())
    }

    fn failed() -> SnapshotAck {
        SnapshotAck::Failed("disk full".to_owned())
    }

    #[track_caller]
    fn check(answers: &[(u32, SnapshotAck)], barrier: BarrierPassed, expected: &Judgement) {
        let mut pending =
            PendingCheckpoint::new(Epoch(1), Duration::ZERO, [subtask(0), subtask(1)]);
        for (worker, ack) in answers {
            pending.answer(subtask(*worker), ack.clone());
        }
        assert_eq!(pending.judge(barrier), *expected);
    }

    fn failed_for(reason: &str) -> Judgement {
        Judgement::Failed(vec![reason.to_owned()])
    }

    #[test]
    fn a_checkpoint_is_complete_when_the_barrier_has_passed_and_every_subtask_is_durable() {
        let snapshot = |worker| SubtaskSnapshot {
            subtask: subtask(worker),
            refs: Vec::new(),
        };
        let complete = Judgement::Complete(vec![snapshot(0), snapshot(1)]);
        check(
            &[(1, durable()), (0, durable())],
            BarrierPassed::Yes,
            &complete,
        );
    }

    #[test]
    fn nothing_is_judged_before_the_barrier_has_passed() {
        check(
            &[(0, durable()), (1, durable())],
            BarrierPassed::No,
            &Judgement::Waiting,
        );
        check(&[(0, failed())], BarrierPassed::No, &Judgement::Waiting);
    }

    #[test]
    fn one_failure_fails_the_checkpoint_also_after_a_durable_answer() {
        check(
            &[(0, durable()), (1, failed())],
            BarrierPassed::Yes,
            &failed_for("s/1: disk full"),
        );
        check(
            &[(0, durable()), (1, failed()), (1, durable())],
            BarrierPassed::Yes,
            &failed_for("s/1: disk full"),
        );
        check(
            &[(0, durable()), (1, durable()), (1, failed())],
            BarrierPassed::Yes,
            &failed_for("s/1: disk full"),
        );
    }

    #[test]
    fn a_missing_answer_and_one_too_many_fail_the_checkpoint() {
        check(
            &[(0, durable())],
            BarrierPassed::Yes,
            &failed_for("s/1: no answer"),
        );
        let unexpected = failed_for("s/2: an answer, but it is not in the plan");
        check(
            &[(0, durable()), (1, durable()), (2, durable())],
            BarrierPassed::Yes,
            &unexpected,
        );
    }

    #[test]
    fn a_checkpoint_is_given_up_when_its_time_is_over() {
        let s = Duration::from_secs;
        assert!(!is_timed_out(s(69), s(10), s(60)));
        assert!(is_timed_out(s(70), s(10), s(60)));
        assert!(!is_timed_out(s(70), s(10), Duration::MAX));
    }

    #[test]
    fn a_job_stops_when_more_checkpoints_in_a_row_fail_than_are_tolerable() {
        assert_eq!(judge_failures(1, 0), FailureVerdict::Stop);
        assert_eq!(judge_failures(3, 3), FailureVerdict::GoOn);
        assert_eq!(judge_failures(4, 3), FailureVerdict::Stop);
    }
}
