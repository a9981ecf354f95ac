//! The contract between a stateful stage and the operator that drives it.
//!
//! The operator owns time and alignment; the stage owns what it remembers. The operator calls
//! [`process`](KeyedLogic::process) with records of the current epoch,
//! [`fire`](KeyedLogic::fire) when the watermark has moved, and at a barrier
//! [`freeze`](KeyedLogic::freeze), which must not depend on the size of the state. The frozen
//! image is then handed over piece by piece with [`copy_frozen`](KeyedLogic::copy_frozen),
//! between batches; an entry that a record is about to change is copied before the change.

use super::backend::StageBackend;
use crate::error::Result;
use crate::schema::Schema;

use super::compaction::TableTypes;
use super::share::Share;

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotScope {
    /// All state.
    Full,
    /// Only what changed since the freeze before.
    Increment,
}

/// Whether a call with a budget finished its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// There is more to do: call again.
    More,
    /// Nothing is left.
    Done,
}

/// A piece of frozen state, to be encoded on another thread.
///
/// Encoded pieces follow each other in one snapshot object; each is self-describing.
pub struct FrozenChunk {
    encode: Box<Encode>,
    size: usize,
}

type Encode = dyn FnOnce(&mut Vec<u8>) -> Result<()> + Send;

impl FrozenChunk {
    /// A chunk that appends its encoding to a buffer.
    pub fn new(encode: impl FnOnce(&mut Vec<u8>) -> Result<()> + Send + 'static) -> Self {
        Self {
            encode: Box::new(encode),
            size: 0,
        }
    }

    /// Notes how many bytes the chunk takes up in memory, beside what it holds on the heap: for figures.
    pub fn of_size(self, size: usize) -> Self {
        Self { size, ..self }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Appends the encoding of the chunk to `bytes`.
    ///
    /// # Errors
    ///
    /// `Invalid` where the serde implementation of a state type refuses, or asks for what no
    /// binary format has (`#[serde(flatten)]`, `#[serde(untagged)]`).
    pub fn encode(self, bytes: &mut Vec<u8>) -> Result<()> {
        (self.encode)(bytes)
    }
}

/// What a stateful stage does with records, watermarks and barriers.
///
/// `In` is the whole record (`Rec<Keyed<K>, E, T>`), and so is `Out`.
pub trait KeyedLogic: 'static {
    /// A record with its key.
    type In: 'static;
    /// A record that the stage emits.
    type Out: 'static;

    /// The schema of key and value, for the manifest.
    fn schema(&self) -> Schema;

    /// Says where the stage keeps its state, before anything else. A stage that is never told keeps it
    /// in memory.
    fn open(&mut self, backend: &StageBackend);

    /// Goes on with state that stands in the backend already, taken over from a snapshot as it was.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it does not decode, `Unavailable` if the backend does not answer.
    fn resume(&mut self) -> Result<()>;

    /// Drains `batch` into the state. Results that are due at once go to `out`, records that are
    /// late against `watermark` (and so changed nothing) to `late`.
    fn process(
        &mut self,
        batch: &mut Vec<Self::In>,
        watermark: i64,
        out: &mut Vec<Self::Out>,
        late: &mut Vec<Self::In>,
    );

    /// Emits what is due at `watermark`, about `budget` results a call (one key may overshoot).
    /// The watermark of successive calls never falls.
    fn fire(&mut self, watermark: i64, out: &mut Vec<Self::Out>, budget: usize) -> Progress;

    /// Whether the stage goes by processing time, and so asks for [`tick`](Self::tick).
    const USES_CLOCK: bool = false;

    /// Moves the stage's processing time to `now`, in milliseconds since the Unix epoch, and emits what
    /// is due at it, about `budget` results a call; cleans up a little. Called before the records of each
    /// activation, so that a stage asks for no clock.
    fn tick(&mut self, now: i64, out: &mut Vec<Self::Out>, budget: usize) -> Progress {
        let _ = (now, out, budget);
        Progress::Done
    }

    /// The processing time at which something is due next: the operator is woken for it.
    fn next_tick(&mut self) -> Option<i64> {
        None
    }

    /// Has the tables of the stage give memory back to each other, where the backend says that one of them
    /// needs it. A stage with one table has nothing to do.
    fn give_back(&mut self) {}

    /// Takes the image that the next snapshot holds, in time that does not depend on the number of
    /// keys. The first snapshot of a chain is full; after one that came to nothing (failed, aborted),
    /// either the next is full or the bytes of the one that failed go before those of the next. Not called again until [`copy_frozen`](Self::copy_frozen) has returned `None`.
    fn freeze(&mut self, scope: SnapshotScope);

    /// Hands over about `budget` entries of the frozen image; `None` when all were handed over.
    fn copy_frozen(&mut self, budget: usize) -> Option<FrozenChunk>;

    /// The types of the tables in its snapshots, by which these are compacted beside the stage; `None` if
    /// it keeps none.
    fn table_types(&self) -> Option<TableTypes>;

    /// The number of entries (keys, or keys in windows) in the state.
    fn len(&self) -> usize;

    /// Whether there is no state.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The watermark that the stage keeps in its snapshots, if it keeps one: whoever restores it from
    /// several former subtasks decides which of theirs counts.
    fn watermark(&mut self) -> Option<&mut i64> {
        None
    }

    /// Reads a stored snapshot object (a sequence of encoded chunks), keeping the keys of the subtask's
    /// share.
    ///
    /// Objects of one subtask are given oldest first, from a full one on; a later entry replaces an
    /// earlier one. Subtasks may follow each other in any order, if no object is given twice: so a
    /// job that is restored with another number of workers writes its next snapshots in full.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the bytes do not decode, `Incompatible` where another kind of stage wrote
    /// them, `Unavailable` if the restore is given up meanwhile. Never panics, whatever the bytes.
    fn restore(&mut self, object: &[u8], share: Share<'_>) -> Result<()>;
}
