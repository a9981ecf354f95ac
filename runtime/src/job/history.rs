//! The history of the job: what is written of this run, behind whatever counts.
//!
//! It is written on the publisher's thread, and nothing depends on it: what cannot be written is missing,
//! with a warning, and fails no checkpoint. One that is slow delays the manifest behind it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::protocol::{
    CheckpointCost, CheckpointRecord, HistoryEntry, JobEnd, RunBegan, RunEnd, SignOfLife,
    SlotContent,
};
use crate::settings::Options;
use crate::storage::history::HistoryWriter;
use crate::storage::log::LogWriter;

use crate::ids::{Epoch, Generation};

/// Where the history of a run goes.
pub(super) struct HistoryKeeping {
    writer: HistoryWriter,
    metrics: Arc<Metrics>,
}

impl HistoryKeeping {
    /// That of the run that has claimed this log; `None` if none is kept.
    pub(super) fn of(log: &LogWriter, keep: usize, metrics: &Arc<Metrics>) -> Option<Self> {
        let run = (log.generation(), log.nonce());
        (keep > 0).then(|| Self {
            writer: HistoryWriter::new(Arc::clone(log.storage()), run, keep),
            metrics: Arc::clone(metrics),
        })
    }

    /// Writes an entry, and removes old ones now and then.
    pub(super) fn note(&mut self, entry: &HistoryEntry, log: &LogWriter) {
        if let Err(error) = self.writer.write(entry) {
            self.metrics.lost_history();
            tracing::warn!(%error, "an entry of the history could not be written");
        }
        if let Err(error) = self.remove_surplus(log) {
            // They are found again by the next look.
            tracing::warn!(%error, "old entries of the history could not be removed");
        }
    }

    fn remove_surplus(&mut self, log: &LogWriter) -> Result<()> {
        let surplus = self.writer.surplus()?;
        if surplus.is_empty() {
            return Ok(());
        }
        // Whoever was overtaken removes nothing any more.
        log.check_newest()?;
        log.storage().delete(&surplus)
    }
}

/// How a run begins that has just recovered.
pub(super) fn began(
    log: &LogWriter,
    options: &Options,
    (at_unix_ms, recovery): (u64, Duration),
) -> RunBegan {
    RunBegan {
        at_unix_ms,
        recovery,
        cores: cores(),
        interval: options.checkpoints.interval,
        retained: options.checkpoints.retained as u64,
        before: last_sign_of_life(log),
        ..RunBegan::default()
    }
}

fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// The last sign of life that the log has of an earlier run: its newest manifest.
fn last_sign_of_life(log: &LogWriter) -> Option<SignOfLife> {
    let manifests = log
        .log()
        .slots
        .iter()
        .filter_map(|slot| match &slot.content {
            SlotContent::Manifest(manifest) => Some(manifest),
            SlotContent::Claim(_)
            | SlotContent::Damaged { .. }
            | SlotContent::OtherVersion { .. } => None,
        });
    manifests
        .filter(|manifest| manifest.generation < log.generation())
        .map(|manifest| SignOfLife {
            generation: manifest.generation,
            at_unix_ms: manifest.written_unix_ms,
        })
        .max_by_key(|sign| (sign.generation, sign.at_unix_ms))
}

/// How a run ended whose workers have ended: by this error, or as it was meant to.
pub(super) fn end_of(error: Option<&Error>, end: Option<JobEnd>) -> RunEnd {
    match (error, end) {
        (Some(error), _) => RunEnd::failed(error.kind(), error.to_string()),
        (None, Some(JobEnd::Success)) => RunEnd::Finished,
        (None, Some(JobEnd::Cancel)) => RunEnd::Stopped,
        (None, None) => RunEnd::Open,
    }
}

/// A checkpoint that has ended.
pub(super) struct EndedCheckpoint {
    pub(super) epoch: Epoch,
    pub(super) failure: Option<String>,
    pub(super) cost: CheckpointCost,
}

impl EndedCheckpoint {
    pub(super) fn record(
        self,
        generation: Generation,
        at_unix_ms: u64,
        metrics: &Metrics,
    ) -> CheckpointRecord {
        CheckpointRecord {
            generation,
            epoch: self.epoch,
            at_unix_ms,
            failure: self.failure,
            restore: metrics.longest_restore(),
            cost: self.cost,
        }
    }
}

/// The last checkpoint that ended, for everybody to read.
#[derive(Clone, Debug, Default)]
pub(super) struct LastCheckpoint(Arc<Mutex<Option<CheckpointRecord>>>);

impl LastCheckpoint {
    pub(super) fn show(&self, record: CheckpointRecord) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
    }

    pub(super) fn get(&self) -> Option<CheckpointRecord> {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.clone()
    }
}
