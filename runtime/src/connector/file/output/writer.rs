//! The open file sink: rows to staged files, and what a barrier makes of them.

use std::mem;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names::{Finished, Part};
use super::owner;
use super::place::Place;
use super::staged::StagedFile;
use crate::clock::Clock;
use crate::connector::file::{Roll, RowEncoder, RowFormat};
use crate::connector::{Barrier, Committable, PendingCommit, Prepared, SinkContext, SinkWriter};
use crate::error::{Error, Result};
use crate::ids::{Epoch, Generation, WorkerIndex};

/// Bytes of rows that are written at once.
const BUFFER_BYTES: usize = 64 << 10;

/// What a committable of this sink says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileCommittable {
    pub(super) file: Finished,
    pub(super) len: u64,
}

impl FileCommittable {
    pub(super) fn encode(self) -> Committable {
        Committable(bitcode::serialize(&self).expect("numbers can be serialized"))
    }

    pub(super) fn decode(committable: &Committable) -> Result<Self> {
        let decoded = bitcode::deserialize(&committable.0);
        decoded.map_err(|e| {
            Error::corrupt(format!("a committable of a file sink does not decode: {e}"))
        })
    }
}

/// A file that goes on behind a barrier: it holds `len` bytes of rows up to epoch `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unfinished(pub(super) FileCommittable);

impl Unfinished {
    fn encode(self) -> Vec<u8> {
        bitcode::serialize(&self).expect("numbers can be serialized")
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        bitcode::deserialize(bytes).map_err(|e| {
            Error::corrupt(format!(
                "an unfinished file of a file sink does not decode: {e}"
            ))
        })
    }
}

/// A [`File`](crate::connector::File) sink that is open on one worker.
pub struct FileWriter<F: RowFormat> {
    place: Place,
    format: F,
    roll: Roll,
    clock: Clock,
    generation: Generation,
    worker: WorkerIndex,
    next_number: u64,
    current: Option<Current<F::Encoder>>,
    /// Files that were finished within the epoch, which is not known before its barrier.
    full: Vec<Full>,
    /// What failed for good: a file after a failed write or sync must not be trusted.
    poison: Arc<OnceLock<Error>>,
}

/// The file that is being written.
struct Current<E> {
    encoder: E,
    buffer: Vec<u8>,
    staged: Arc<StagedFile>,
    part: Part,
    /// The epoch of its first row, once the barrier of that epoch has passed.
    first: Option<Epoch>,
    /// The bytes before the buffer.
    flushed: u64,
    begun: Duration,
}

struct Full {
    staged: Arc<StagedFile>,
    part: Part,
    first: Option<Epoch>,
    len: u64,
}

impl<F: RowFormat> FileWriter<F> {
    pub(in crate::connector::file) fn open(
        dir: &Path,
        format: F,
        roll: Roll,
        context: &SinkContext,
    ) -> Result<Self> {
        let place = Place::new(context, dir, F::EXTENSION);
        owner::claim(&place, context)?;
        Ok(Self {
            place,
            format,
            roll,
            clock: context.clock.clone(),
            generation: context.generation,
            worker: context.worker,
            next_number: 0,
            current: None,
            full: Vec::new(),
            poison: Arc::default(),
        })
    }

    fn begin(&mut self) -> Current<F::Encoder> {
        let part = Part {
            generation: self.generation,
            worker: self.worker,
            number: self.next_number,
        };
        self.next_number += 1;
        Current {
            encoder: self.format.encoder(),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            staged: Arc::new(StagedFile::new(self.place.staged_path(part))),
            part,
            first: None,
            flushed: 0,
            begun: self.clock.now(),
        }
    }

    fn healthy(&self) -> Result<()> {
        self.poison.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Keeps the first error for all later calls.
    fn poison<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| {
            let _first = self.poison.set(error.clone());
        })
    }

    /// Writes the buffered rows out, and ends the file when it is full.
    #[cold]
    #[inline(never)]
    fn pass_on(&mut self) -> Result<()> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        current.flush();
        let full = matches!(self.roll, Roll::Size(max) if current.flushed >= max);
        let written = current.staged.write_queued(&*self.place.disk);
        self.poison(written)?;
        if full {
            self.full.extend(self.current.take().map(Current::end));
        }
        Ok(())
    }
}

impl<E> Current<E> {
    /// Whether there are enough rows to be written out, or to fill the file.
    fn has_enough(&self, roll: Roll) -> bool {
        let buffered = self.buffer.len();
        buffered >= BUFFER_BYTES
            || matches!(roll, Roll::Size(max) if self.flushed + buffered as u64 >= max)
    }

    fn flush(&mut self) {
        self.flushed += self.buffer.len() as u64;
        self.staged.push(mem::replace(
            &mut self.buffer,
            Vec::with_capacity(BUFFER_BYTES),
        ));
    }

    fn end(self) -> Full {
        assert!(self.buffer.is_empty(), "a file is flushed before it ends");
        Full {
            staged: self.staged,
            part: self.part,
            first: self.first,
            len: self.flushed,
        }
    }
}

/// Whether a file of this age ends at a barrier.
pub(super) fn ends_at(barrier: Barrier, roll: Roll, age: Duration) -> bool {
    match (barrier, roll) {
        (Barrier::Last, _) | (Barrier::Open, Roll::EveryCheckpoint) => true,
        // A file that is full has ended before the barrier.
        (Barrier::Open, Roll::Size(_)) => false,
        (Barrier::Open, Roll::Time(limit)) => age >= limit,
    }
}

impl<T: Serialize, F: RowFormat> SinkWriter<T> for FileWriter<F> {
    fn write(&mut self, record: T) -> Result<()> {
        self.healthy()?;
        if self.current.is_none() {
            self.current = Some(self.begin());
        }
        let current = self.current.as_mut().expect("it was begun just above");
        let encoded = current.encoder.encode(&record, &mut current.buffer);
        let enough = current.has_enough(self.roll);
        self.poison(encoded)?;
        if enough { self.pass_on() } else { Ok(()) }
    }

    fn prepare_commit(&mut self, epoch: Epoch, barrier: Barrier) -> Result<Option<PendingCommit>> {
        self.healthy()?;
        let now = self.clock.now();
        if let Some(current) = &mut self.current {
            current.flush();
            current.first.get_or_insert(epoch);
        }
        if let Some(current) = self
            .current
            .take_if(|current| ends_at(barrier, self.roll, now.saturating_sub(current.begun)))
        {
            self.full.push(current.end());
        }
        let committable = |part, first: Option<Epoch>, len| {
            let file = Finished {
                part,
                first: first.unwrap_or(epoch),
                last: epoch,
            };
            FileCommittable { file, len }
        };
        let mut prepared = Prepared::default();
        let mut files = Vec::new();
        for full in mem::take(&mut self.full) {
            prepared
                .committables
                .push(committable(full.part, full.first, full.len).encode());
            files.push((full.staged, full.len));
        }
        if let Some(Current {
            staged,
            part,
            first,
            flushed,
            ..
        }) = &self.current
        {
            prepared.unfinished = Some(Unfinished(committable(*part, *first, *flushed)).encode());
            files.push((Arc::clone(staged), *flushed));
        }
        let (place, poison) = (self.place.clone(), Arc::clone(&self.poison));
        Ok(Some(Box::new(move || {
            make_durable(&place, &files).inspect_err(|error| {
                let _first = poison.set(error.clone());
            })?;
            Ok(prepared)
        })))
    }
}

fn make_durable(place: &Place, files: &[(Arc<StagedFile>, u64)]) -> Result<()> {
    for (staged, len) in files {
        staged.sync(*len, &*place.disk)?;
    }
    // CRASH: a manifest must not name a file whose own name could still be lost.
    if files.is_empty() {
        Ok(())
    } else {
        place.sync_dir(&place.staging())
    }
}
