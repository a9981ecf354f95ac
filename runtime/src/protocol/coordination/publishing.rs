//! The end of a checkpoint: its manifest, one at a time, and what follows from its publication.

use std::time::Duration;

use super::{Action, Coordination, Life, Notice, PublicationOutcome};
use crate::error::{Error, ErrorKind};
use crate::ids::Epoch;
use crate::protocol::{
    CheckpointKind, CommitPermit, Control, Manifest, SubtaskSnapshot, is_timed_out,
};

/// A manifest on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publishing {
    pub(super) epoch: Epoch,
    /// When its epoch was closed.
    triggered: Duration,
    /// When it was handed over.
    pub(super) since: Duration,
}

impl Coordination {
    pub(super) fn publish(&mut self, now: Duration, epoch: Epoch, snapshots: Vec<SubtaskSnapshot>) {
        let pending = self.pending.remove(&epoch);
        self.publishing = Some(Publishing {
            epoch,
            triggered: pending.map_or(now, |pending| pending.triggered),
            since: now,
        });
        let run = &self.run;
        let manifest = Manifest {
            job: run.job.clone(),
            generation: run.generation,
            nonce: run.nonce,
            epoch,
            kind: CheckpointKind::Checkpoint,
            finished: self.last == Some(epoch) && self.unfinished_sources.is_empty(),
            worker_count: run.worker_count as u32,
            key_groups: run.key_groups,
            // Whoever publishes it has a calendar.
            written_unix_ms: 0,
            plan: run.plan.clone(),
            snapshots,
        };
        self.actions.push(Action::Publish(Box::new(manifest)));
    }

    /// A publication cannot be given up, since its manifest may be durable. If it hangs, so would
    /// all later ones: the job stops, and its next run finds out.
    pub(super) fn judge_publication(&mut self, now: Duration) {
        let Some(Publishing { epoch, since, .. }) = self.publishing else {
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
                let took = now.saturating_sub(publishing.triggered);
                self.completed(now, manifest, took);
            }
            PublicationOutcome::Fenced { by } => self.fail(Error::fenced(format!(
                "generation {by} of the job `{}` has taken over: this run (generation {}) stops",
                self.run.job, self.run.generation
            ))),
            PublicationOutcome::Failed(error) if error.kind() == ErrorKind::Unavailable => {
                self.checkpoint_failed(now, epoch, error.to_string());
            }
            // No later manifest would fare better.
            PublicationOutcome::Failed(error) => self.fail(error),
        }
    }

    fn completed(&mut self, now: Duration, manifest: &Manifest, took: Duration) {
        let epoch = manifest.epoch;
        self.failures.clear();
        self.restored_at = None;
        self.last_end = Some(now);
        self.newest = Some(epoch);
        self.actions
            .push(Action::Tell(Notice::Completed { epoch, took }));
        if self.life == Life::Failed {
            return;
        }
        if let Some(permit) = CommitPermit::of_published(manifest) {
            self.actions.push(Action::Send(Control::Complete(permit)));
        }
    }
}
