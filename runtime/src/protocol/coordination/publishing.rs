//! The end of a checkpoint: its manifest, one at a time, and what follows from its publication.

use std::time::Duration;

use super::{Action, Coordination, Life, Notice, PublicationOutcome};
use crate::error::{Error, ErrorKind};
use crate::ids::Epoch;
use crate::protocol::{
    CheckpointCost, CheckpointKind, CommitPermit, Control, Manifest, PendingCheckpoint,
    SubtaskSnapshot, is_timed_out,
};

/// A manifest on its way.
#[derive(Clone, Debug)]
pub(super) struct Publishing {
    pub(super) epoch: Epoch,
    /// What the subtasks answered.
    pending: PendingCheckpoint,
    /// When it was handed over.
    pub(super) since: Duration,
}

impl Coordination {
    pub(super) fn publish(&mut self, now: Duration, epoch: Epoch, snapshots: Vec<SubtaskSnapshot>) {
        let pending = self.pending.remove(&epoch);
        self.publishing = Some(Publishing {
            epoch,
            pending: pending.unwrap_or_else(|| PendingCheckpoint::new(epoch, now, [])),
            since: now,
        });
        let manifest = self.manifest_of(epoch, snapshots);
        self.actions.push(Action::Publish(Box::new(manifest)));
    }

    /// What the answers for an epoch make, as a checkpoint.
    pub(super) fn manifest_of(&self, epoch: Epoch, snapshots: Vec<SubtaskSnapshot>) -> Manifest {
        let run = &self.run;
        Manifest {
            job: run.job.clone(),
            generation: run.generation,
            nonce: run.nonce,
            epoch,
            kind: CheckpointKind::Checkpoint,
            finished: self.last == Some(epoch) && self.has_read_all(),
            worker_count: run.worker_count as u32,
            key_groups: run.key_groups,
            // Whoever publishes it has a calendar.
            written_unix_ms: 0,
            plan: run.plan.clone(),
            snapshots,
            origins: run.origins.clone(),
        }
    }

    /// A publication cannot be given up, since its manifest may be durable. If it hangs, so would
    /// all later ones: the job stops, and its next run finds out.
    pub(super) fn judge_publication(&mut self, now: Duration) {
        let Some(&Publishing { epoch, since, .. }) = self.publishing.as_ref() else {
            return;
        };
        let timeout = self.settings.timeout;
        if is_timed_out(now, since, timeout) {
            self.fail(Error::unavailable(format!(
                "the manifest of epoch {epoch} was not written within {timeout:?}: the storage hangs, and whether the \
                 checkpoint is complete is unknown until the next run looks"
            )));
        }
    }

    pub(super) fn published(
        &mut self,
        now: Duration,
        manifest: &Manifest,
        outcome: PublicationOutcome,
    ) {
        let epoch = manifest.epoch;
        let Some(publishing) = self.publishing.take_if(|p| p.epoch == epoch) else {
            return;
        };
        match outcome {
            PublicationOutcome::Durable => {
                let Publishing { pending, since, .. } = publishing;
                self.completed(now, manifest, pending.cost(Some(since), now));
            }
            PublicationOutcome::Fenced { by } => self.fail(Error::fenced(format!(
                "generation {by} of the job `{}` has taken over: this run (generation {}) stops",
                self.run.job, self.run.generation
            ))),
            PublicationOutcome::Failed(error) if error.kind() == ErrorKind::Unavailable => {
                // What it has cost is told with its failure.
                self.pending.insert(epoch, publishing.pending);
                self.checkpoint_failed(now, epoch, error.to_string());
            }
            // No later manifest would fare better.
            PublicationOutcome::Failed(error) => self.fail(error),
        }
    }

    fn completed(&mut self, now: Duration, manifest: &Manifest, cost: CheckpointCost) {
        let epoch = manifest.epoch;
        self.failures.clear();
        self.restored_at = None;
        self.last_end = Some(now);
        self.newest = Some(epoch);
        self.actions.push(Action::Tell(Notice::Completed {
            epoch,
            cost: Box::new(cost),
        }));
        if self.life == Life::Failed {
            return;
        }
        if let Some(permit) = CommitPermit::of_published(manifest) {
            self.actions.push(Action::Send(Control::Complete(permit)));
        }
        self.copy_taken_before(epoch);
        if self.last == Some(epoch) {
            self.copy_last(manifest);
        }
    }
}
