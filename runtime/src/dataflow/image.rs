//! The frozen image of a stage on its way to a disk: handed over piece by piece, encoded and
//! written on the worker's offload thread.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::answers::Answers;
use super::offload::Offload;
use crate::connector::PendingCommit;
use crate::error::{Error, Result};
use crate::ids::{Epoch, SubtaskId};
use crate::protocol::{SnapshotKind, SnapshotRef};
use crate::state::{FrozenChunk, SnapshotScope, StageBackend, StateStore, Taking};

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

/// The encoded image so far; touched by the offload thread only.
#[derive(Default)]
struct Encoded {
    bytes: Vec<u8>,
    refs: Vec<SnapshotRef>,
    failed: Option<Error>,
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
    pub(crate) fn push(&self, chunk: FrozenChunk, offload: &Offload, answers: &Answers) {
        let (encoded, queued) = (Arc::clone(&self.encoded), Arc::clone(&self.queued));
        let (snapshot, wake) = (self.snapshot.clone(), answers.wake());
        queued.fetch_add(1, Ordering::SeqCst);
        offload.run(move || {
            let mut encoded = encoded.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = chunk.encode(&mut encoded.bytes) {
                encoded.failed.get_or_insert(error);
            }
            if encoded.bytes.len() >= OBJECT {
                encoded.store(&snapshot);
            }
            if queued.fetch_sub(1, Ordering::SeqCst) == QUEUED {
                let _ = wake.activate();
            }
        });
    }

    /// Everything was handed over: the offload thread writes it, and then prepares the sink.
    pub(crate) fn submit(self, answers: &Answers) {
        let Self {
            snapshot,
            prepared,
            encoded,
            queued: _,
        } = self;
        let (epoch, scope) = (snapshot.epoch, snapshot.scope);
        let wake = answers.wake();
        let own = move || {
            let mut encoded = encoded.lock().unwrap_or_else(PoisonError::into_inner);
            encoded.finish(&snapshot, || {
                let _ = wake.activate();
            })
        };
        answers.submit(epoch, scope, Some(Box::new(own)), prepared);
    }
}

impl Encoded {
    fn finish(&mut self, snapshot: &Snapshot, settled: impl FnOnce()) -> Result<Vec<SnapshotRef>> {
        if !self.bytes.is_empty() {
            self.store(snapshot);
        }
        let taking = Taking {
            subtask: &snapshot.subtask,
            epoch: snapshot.epoch,
            store: &snapshot.store,
            part: self.refs.len() as u32,
        };
        // Also where the frames could not be written: the stage waits for it.
        match snapshot.backend.store_image(&taking, settled) {
            Ok(refs) => self.refs.extend(refs),
            Err(error) => drop(self.failed.get_or_insert(error)),
        }
        self.failed
            .take()
            .map_or_else(|| Ok(mem::take(&mut self.refs)), Err)
    }

    fn store(&mut self, snapshot: &Snapshot) {
        if self.failed.is_none() {
            match self.write(snapshot) {
                Ok(reference) => self.refs.push(reference),
                Err(error) => self.failed = Some(error),
            }
        }
        self.bytes.clear();
    }

    fn write(&self, snapshot: &Snapshot) -> Result<SnapshotRef> {
        let kind = match snapshot.scope {
            SnapshotScope::Full => SnapshotKind::KeyedFull,
            SnapshotScope::Increment => SnapshotKind::KeyedIncrement,
        };
        let (subtask, epoch, part) = (&snapshot.subtask, snapshot.epoch, self.refs.len() as u32);
        snapshot
            .store
            .write(subtask, epoch, part, kind, &self.bytes)
    }
}
