//! The handle by which others talk to a running job.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::coordinator::Event;
use super::history::LastCheckpoint;
use super::savepoints::{Occasion, SavepointOrder};
use super::stop_sign::StopSign;
use crate::error::{Error, Result};
use crate::ids::Epoch;
use crate::metrics::Metrics;
use crate::protocol::{CheckpointRecord, Drain, Health};
use crate::storage::CheckpointLocation;

/// Asks a running job to stop, to take a checkpoint, or how it is; clones talk to the same job.
///
/// A handle is made before its job runs, stays good through all restarts of the job, and does
/// nothing after the job's end.
#[derive(Clone, Debug)]
pub struct JobHandle {
    events: Sender<Event>,
    inbox: Arc<Mutex<Option<Receiver<Event>>>>,
    health: HealthBoard,
    last_checkpoint: LastCheckpoint,
    stop_sign: Arc<StopSign>,
}

/// How the job is, for everybody to read.
#[derive(Clone, Debug, Default)]
pub(super) struct HealthBoard(Arc<Mutex<Health>>);

impl HealthBoard {
    /// Shows how the job is, and says so where that is news.
    pub(super) fn show(&self, health: Health, metrics: &Metrics) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown == health {
            return;
        }
        match (&*shown, &health) {
            (Health::Healthy, Health::Unhealthy { why }) => {
                tracing::warn!(why, "the job is unhealthy");
            }
            (Health::Unhealthy { .. }, Health::Healthy) => {
                tracing::info!("the job is healthy again");
            }
            // The same trouble in other words.
            (Health::Unhealthy { .. }, Health::Unhealthy { .. })
            | (Health::Healthy, Health::Healthy) => {}
        }
        metrics.set_health(&health);
        *shown = health;
    }
}

impl Default for JobHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl JobHandle {
    /// A handle for one run of one job.
    pub fn new() -> Self {
        let (events, inbox) = channel();
        Self {
            events,
            inbox: Arc::new(Mutex::new(Some(inbox))),
            health: HealthBoard::default(),
            last_checkpoint: LastCheckpoint::default(),
            stop_sign: Arc::default(),
        }
    }

    /// Asks the job to stop: a last checkpoint closes the epoch at the present watermark, nothing
    /// fires that was not due, and a later run goes on from there. Where it still verifies or brings in the checkpoint
    /// that it is to begin from, it gives that up, and the later run begins there.
    pub fn stop(&self) {
        self.stop_sign.raise();
        let _ = self.events.send(Event::Stop);
    }

    /// Takes a checkpoint now, and waits until it is complete and its output is visible.
    ///
    /// `None` if the job ended first: what it returned says why.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the checkpoint failed, or the run that was to take it; the job goes on.
    pub fn checkpoint(&self) -> Result<Option<Epoch>> {
        let (reply, answer) = channel();
        if self.events.send(Event::TakeCheckpoint(reply)).is_err() {
            return Ok(None);
        }
        answer.recv().map_or(Ok(None), |outcome| outcome.map(Some))
    }

    /// Takes a savepoint now: a checkpoint in a place of its own, which nobody but its owner ever deletes, and from
    /// which a run can begin (`Options::restore_from`). Waits until it is complete. The job goes on meanwhile.
    ///
    /// `None` if the job ended first: what it returned says why.
    ///
    /// # Errors
    ///
    /// `Invalid` if there is anything in the place, or it is a part of the job's own checkpoint directory;
    /// `Unavailable` if the savepoint failed. The job goes on.
    pub fn savepoint(&self, to: impl Into<CheckpointLocation>) -> Result<Option<Epoch>> {
        self.take_savepoint(to.into(), Occasion::Now)
    }

    /// Stops the job with a savepoint, and waits until that is complete. The last checkpoint is in the job's own
    /// directory, too, and its output is visible.
    ///
    /// With [`Drain::Yes`] everything fires that waits for a time, and the job is finished; otherwise nothing fires
    /// that was not due.
    ///
    /// `None` if the job ended first: what it returned says why.
    ///
    /// # Errors
    ///
    /// `Invalid` as of [`savepoint`](Self::savepoint): the job goes on. `Unavailable` if the savepoint failed: the
    /// message says whether the job has stopped.
    pub fn stop_with_savepoint(
        &self,
        to: impl Into<CheckpointLocation>,
        drain: Drain,
    ) -> Result<Option<Epoch>> {
        self.take_savepoint(to.into(), Occasion::Stop(drain))
    }

    fn take_savepoint(&self, to: CheckpointLocation, occasion: Occasion) -> Result<Option<Epoch>> {
        let (reply, answer) = channel();
        let order = SavepointOrder {
            to,
            occasion,
            reply,
        };
        if self.events.send(Event::TakeSavepoint(order)).is_err() {
            return Ok(None);
        }
        answer.recv().map_or(Ok(None), |outcome| outcome.map(Some))
    }

    /// Whether the job takes the checkpoints that it is meant to take.
    pub fn health(&self) -> Health {
        self.health
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The last checkpoint that ended, complete or failed, with what it cost.
    pub fn last_checkpoint(&self) -> Option<CheckpointRecord> {
        self.last_checkpoint.get()
    }

    /// Ends the job at once, without a checkpoint or a restart: what a crash of the process would do.
    pub fn crash(&self) {
        let _ = self.events.send(Event::Crash);
    }

    pub(super) fn health_board(&self) -> &HealthBoard {
        &self.health
    }

    pub(super) fn last_checkpoint_board(&self) -> &LastCheckpoint {
        &self.last_checkpoint
    }

    pub(super) fn stop_sign(&self) -> &StopSign {
        &self.stop_sign
    }

    pub(super) fn sender(&self) -> Sender<Event> {
        self.events.clone()
    }

    pub(super) fn take_inbox(&self) -> Result<Receiver<Event>> {
        let inbox = self
            .inbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        inbox.ok_or_else(|| {
            Error::invalid("this handle belongs to a job that has run already: make a new one")
        })
    }
}
