//! The frozen image of a stage on its way to a disk: handed over piece by piece, encoded and
//! written on the worker's offload threads.
//!
//! A stage whose state is in a database waits until that has its image. So no image waits there behind
//! what goes to the storage, which may be slow or hang: that is the work of another thread.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::answers::{Answers, GivenUp, OwnSnapshot, Spent};
use super::graph::WorkerContext;
use crate::clock::Clock;
use crate::connector::PendingCommit;
use crate::error::{Error, Result};
use crate::ids::{Epoch, SubtaskId};
use crate::metrics::Metrics;
use crate::protocol::{SnapshotCost, SnapshotKind, SnapshotRef};
use crate::state::frames::HEADER_LEN;
use crate::state::{FrozenChunk, SnapshotScope, StageBackend, StateStore, TakenImage, Taking};

/// Pieces that wait for a slow disk at most; the rest stays in the table until then.
const QUEUED: usize = 16;
/// Encoded state beyond this many bytes goes to an object of its own.
const OBJECT: usize = 64 << 20;

/// Which snapshot an image is of, and where it goes.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) subtask: SubtaskId,
    pub(crate) epoch: Epoch,
    pub(crate) scope: SnapshotScope,
    pub(crate) store: StateStore,
    pub(crate) backend: StageBackend,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
}

/// An image that is being copied.
pub(crate) struct Image {
    snapshot: Snapshot,
    /// What a sink fused behind the stage prepares after the image.
    prepared: Option<PendingCommit>,
    encoded: Arc<Mutex<Encoded>>,
    /// Pieces that were handed over and are not encoded.
    queued: Arc<AtomicUsize>,
}

/// The encoded image so far; touched by one offload thread at a time.
#[derive(Default)]
struct Encoded {
    bytes: Vec<u8>,
    refs: Vec<SnapshotRef>,
    /// What of the image is not in frames.
    taken: TakenImage,
    failed: Option<Error>,
    spent: Spent,
}

impl Image {
    pub(crate) fn new(snapshot: Snapshot, prepared: Option<PendingCommit>) -> Self {
        Self {
            snapshot,
            prepared,
            encoded: Arc::default(),
            queued: Arc::default(),
        }
    }

    /// Whether the next piece may be handed over. If not, the operator is woken when it may.
    pub(crate) fn takes_more(&self) -> bool {
        self.queued.load(Ordering::SeqCst) < QUEUED
    }

    /// Hands over a piece.
    pub(crate) fn push(&self, chunk: FrozenChunk, context: &WorkerContext, answers: &Answers) {
        let offload = if self.snapshot.backend.writes_ahead() {
            &context.images
        } else {
            &context.snapshots
        };
        let (encoded, queued) = (Arc::clone(&self.encoded), Arc::clone(&self.queued));
        let (snapshot, wake) = (self.snapshot.clone(), answers.wake());
        snapshot.metrics.add_state_changed(chunk.size() as u64);
        queued.fetch_add(1, Ordering::SeqCst);
        offload.run(move || {
            let mut encoded = encoded.lock().unwrap_or_else(PoisonError::into_inner);
            let began = snapshot.clock.now();
            if let Err(error) = chunk.encode(&mut encoded.bytes) {
                encoded.failed.get_or_insert(error);
            }
            encoded.spent.encode += snapshot.clock.now().saturating_sub(began);
            if encoded.bytes.len() >= OBJECT {
                encoded.store(&snapshot);
            }
            if queued.fetch_sub(1, Ordering::SeqCst) == QUEUED {
                let _ = wake.activate();
            }
        });
    }

    /// Everything was handed over: it is stored, and the sink prepared.
    pub(crate) fn submit(self, answers: &Answers, cost: SnapshotCost) {
        let Self {
            snapshot,
            prepared,
            encoded,
            queued: _,
        } = self;
        let (epoch, scope) = (snapshot.epoch, snapshot.scope);
        let ahead = snapshot.backend.writes_ahead().then(|| {
            let (encoded, snapshot) = (Arc::clone(&encoded), snapshot.clone());
            let wake = answers.wake();
            let ahead = move || {
                let mut encoded = encoded.lock().unwrap_or_else(PoisonError::into_inner);
                encoded.take(&snapshot);
                let _ = wake.activate();
            };
            Box::new(ahead) as Box<dyn FnOnce() + Send>
        });
        let given_up = answers.given_up();
        let store = move || {
            let mut encoded = encoded.lock().unwrap_or_else(PoisonError::into_inner);
            let refs = encoded.finish(&snapshot, &given_up);
            (refs, encoded.spent)
        };
        let own = OwnSnapshot {
            ahead,
            store: Box::new(store),
        };
        answers.submit(epoch, scope, Some(own), prepared, cost);
    }
}

impl Encoded {
    /// Has the backend take what it stores of the image itself.
    fn take(&mut self, snapshot: &Snapshot) {
        let began = snapshot.clock.now();
        match snapshot.backend.take_image(snapshot.epoch) {
            Ok(taken) => self.taken = taken,
            Err(error) => drop(self.failed.get_or_insert(error)),
        }
        self.spent.encode += snapshot.clock.now().saturating_sub(began);
    }

    fn finish(&mut self, snapshot: &Snapshot, given_up: &GivenUp) -> Result<Vec<SnapshotRef>> {
        // Where a storage has come back, the newest checkpoint is not to wait for those that nobody
        // wants. A chain is another matter: its next increment follows this image.
        if snapshot.backend.writes_ahead() && given_up.holds(snapshot.epoch) {
            self.taken = TakenImage::default();
            return Err(Error::unavailable(
                "the checkpoint was given up before its state was stored",
            ));
        }
        // Behind a part that was stored, a header alone says nothing.
        if self.bytes.len() > HEADER_LEN || (self.refs.is_empty() && !self.bytes.is_empty()) {
            self.store(snapshot);
        }
        let taking = Taking {
            subtask: &snapshot.subtask,
            epoch: snapshot.epoch,
            store: &snapshot.store,
            part: self.refs.len() as u32,
            metrics: &snapshot.metrics,
        };
        if self.failed.is_none() {
            let began = snapshot.clock.now();
            match snapshot.backend.store_image(&self.taken, &taking) {
                Ok(refs) => self.refs.extend(refs),
                Err(error) => self.failed = Some(error),
            }
            self.spent.upload += snapshot.clock.now().saturating_sub(began);
        }
        self.failed
            .take()
            .map_or_else(|| Ok(mem::take(&mut self.refs)), Err)
    }

    fn store(&mut self, snapshot: &Snapshot) {
        if self.failed.is_none() {
            let began = snapshot.clock.now();
            match self.write(snapshot) {
                Ok(reference) => self.refs.push(reference),
                Err(error) => self.failed = Some(error),
            }
            self.spent.upload += snapshot.clock.now().saturating_sub(began);
        }
        // The next part begins with the same header: each object is read by itself.
        self.bytes.truncate(HEADER_LEN);
    }

    fn write(&self, snapshot: &Snapshot) -> Result<SnapshotRef> {
        let kind = match snapshot.scope {
            SnapshotScope::Full => SnapshotKind::KeyedFull,
            SnapshotScope::Increment => SnapshotKind::KeyedIncrement,
        };
        snapshot.metrics.add_state_written(self.bytes.len() as u64);
        let (subtask, epoch, part) = (&snapshot.subtask, snapshot.epoch, self.refs.len() as u32);
        snapshot
            .store
            .write(subtask, epoch, part, kind, &self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::ids::{Generation, KeyGroupCount, StageId, WorkerIndex};
    use crate::record::{Keyed, Rec, Untimed};
    use crate::state::{Fold, KeyedLogic, Share};
    use crate::storage::MemoryStorage;

    /// The simulation's seed 95: of a snapshot that went on in a second object, only the first one began
    /// with a header, and no job with so much state could be restored.
    #[test]
    fn each_object_of_a_long_snapshot_is_read_by_itself() {
        let sum = || Fold::new(0_u64, |sum: &mut u64, value: u64| *sum += value);
        let mut fold = sum();
        let record = |key| Rec {
            key: Keyed(key),
            time: Untimed,
            value: 1,
        };
        let mut batch: Vec<Rec<Keyed<u64>, Untimed, u64>> = (0..20_000).map(record).collect();
        fold.process(&mut batch, i64::MIN, &mut Vec::new(), &mut Vec::new());
        let snapshot = Snapshot {
            subtask: SubtaskId {
                stage: StageId::new("sums"),
                worker: WorkerIndex(0),
            },
            epoch: Epoch(1),
            scope: SnapshotScope::Full,
            store: StateStore::new(Arc::new(MemoryStorage::new()), Generation(1), 1),
            backend: StageBackend::default(),
            metrics: Arc::new(Metrics::new()),
            clock: Clock::manual(),
        };
        let mut encoded = Encoded::default();
        fold.freeze(SnapshotScope::Full);
        while let Some(chunk) = fold.copy_frozen(1_000) {
            chunk.encode(&mut encoded.bytes).expect("numbers encode");
            encoded.store(&snapshot);
        }
        let refs = encoded
            .finish(&snapshot, &GivenUp::default())
            .expect("nothing fails in memory");
        assert!(refs.len() > 1, "the image went to several objects");
        let (groups, never) = (KeyGroupCount::DEFAULT, AtomicBool::new(false));
        let share = Share::new(groups, groups.range_of(WorkerIndex(0), 1), &never);
        let mut restored = sum();
        for reference in &refs {
            let object = snapshot.store.read(reference).expect("it was written");
            restored
                .restore(&object, share)
                .expect("it is read by itself");
        }
        assert_eq!(restored.len(), 20_000);
    }
}
