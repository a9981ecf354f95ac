//! Checkpoints that fail, and what that means for the job.

use std::time::Duration;

use super::{Action, Coordination, Life, Notice};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Epoch;
use crate::protocol::{FailureVerdict, PendingCheckpoint, judge_failures};

impl Coordination {
    pub(super) fn checkpoint_failed(&mut self, now: Duration, epoch: Epoch, reason: String) {
        if self.savepoints.is_of(epoch) {
            self.savepoint_failed(epoch, &reason);
            return;
        }
        let pending = self.pending.remove(&epoch);
        let cost = pending.map(|pending| pending.cost(None, now));
        if self.last == Some(epoch) {
            // The next one is the last one instead.
            self.last = None;
        }
        self.last_end = Some(now);
        let error =
            || Error::unavailable(format!("the checkpoint of epoch {epoch} failed: {reason}"));
        for asker in self.askers.take_of(epoch) {
            self.actions.push(Action::Answer(asker, Err(error())));
        }
        self.actions.push(Action::Tell(Notice::Failed {
            epoch,
            reason: reason.clone(),
            cost: Box::new(cost.unwrap_or_default()),
        }));
        self.failures.push((epoch, reason));
        let failures = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        self.not_before = now.saturating_add(self.run.failure_pause.saturating_mul(failures));
        if judge_failures(failures, self.settings.tolerable_failures) == FailureVerdict::Stop {
            let causes: Vec<String> = self
                .failures
                .iter()
                .map(|(epoch, reason)| format!("epoch {epoch}: {reason}"))
                .collect();
            self.fail(Error::unavailable(format!(
                "{failures} checkpoints failed in a row, and {} may: {}",
                self.settings.tolerable_failures,
                causes.join("; ")
            )));
        } else {
            self.look_at_log();
        }
    }

    /// Whoever publishes nothing never hears from the log that another run has taken over, which may be why its
    /// snapshots fail.
    pub(super) fn look_at_log(&mut self) {
        if !self.looking {
            self.looking = true;
            self.actions.push(Action::LookAtLog);
        }
    }

    pub(super) fn looked_at_log(&mut self, found: Result<()>) {
        self.looking = false;
        match found {
            Err(error) if error.kind() == ErrorKind::Fenced && self.life == Life::Running => {
                self.fail(error);
            }
            // A log that cannot be read says nothing; the next failure looks again.
            Err(_) | Ok(()) => {}
        }
    }

    pub(super) fn fail(&mut self, error: Error) {
        if self.life != Life::Failed {
            self.life = Life::Failed;
            self.actions.push(Action::Fail(error));
        }
    }
}

pub(super) fn too_late(pending: &PendingCheckpoint, timeout: Duration) -> String {
    let mut missing: Vec<String> = pending.missing().map(ToString::to_string).collect();
    if missing.is_empty() {
        // Those have no snapshot, and are in no plan of one.
        missing.push("a sink that is still writing what came before the barrier".to_owned());
    }
    format!("no answer within {timeout:?} from {}", missing.join(", "))
}
