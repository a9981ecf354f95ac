//! The contract of a source.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ids::SplitId;
use crate::protocol::Backlog;
use crate::record::RecordError;

/// A unit of reading that a source can hand to a subtask: a file or a part of one, a partition.
///
/// Splits are fixed when they are first discovered, and stored in every checkpoint, whatever the
/// number of workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The name, unique in its source and stable across restarts; splits are sorted by it.
    pub id: SplitId,
    /// What the connector needs to open the split again, in its own encoding.
    pub spec: Vec<u8>,
    /// The least event time (ms) in the split, where it is known without reading it.
    pub least_event_time: Option<i64>,
}

impl Split {
    /// A split with a connector's own spec, of which no event time is known before it is read.
    ///
    /// # Panics
    ///
    /// If the spec's own `Serialize` fails.
    pub fn new<T: Serialize>(id: SplitId, spec: &T) -> Self {
        let spec = bitcode::serialize(spec).expect("a spec is plain data: numbers and strings");
        Self {
            id,
            spec,
            least_event_time: None,
        }
    }

    /// Decodes a connector's own spec.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the bytes are not such a spec.
    pub fn decode_spec<T: DeserializeOwned>(&self) -> Result<T> {
        bitcode::deserialize(&self.spec).map_err(|e| {
            Error::corrupt(format!(
                "the spec of split {} does not decode: {e}",
                self.id
            ))
        })
    }
}

/// A position in a split: the next record to read, in the connector's own encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offset(Vec<u8>);

impl Offset {
    /// Encodes a connector's own position.
    ///
    /// # Panics
    ///
    /// If the position's own `Serialize` fails.
    pub fn encode<T: Serialize>(position: &T) -> Self {
        Self(bitcode::serialize(position).expect("a position is plain data: numbers and strings"))
    }

    /// The position as it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Decodes a connector's own position.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the bytes are not such a position.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        bitcode::deserialize(&self.0)
            .map_err(|e| Error::corrupt(format!("an offset does not decode: {e}")))
    }
}

/// What a call of [`SplitReader::fill`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fill {
    /// There may be more: call again.
    More,
    /// Nothing to read just now: call again later.
    Pending,
    /// The split has been read to its end.
    Finished,
}

/// A source: something that has splits and can read each of them from an offset.
///
/// The flow's body, and so the constructor of the source, runs once per worker and once for the
/// plan: a constructor must not act. [`discover`](Self::discover) runs once, when a job starts
/// afresh; [`open`](Self::open) runs on the worker that was given the split.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source",
    label = "expected a source, such as `File::csv(..)`, `Memory::new(..)` or `Generator::new(..)`"
)]
pub trait Source: Send + Sync + 'static {
    /// What a record of the source is.
    type Item: 'static;

    /// One line for plans and messages: `csv flights.csv`.
    fn describe(&self) -> String;

    /// Finds the splits.
    fn discover(&self) -> Result<Vec<Split>>;

    /// Opens a split at an offset, or at its start.
    fn open(
        &self,
        split: &Split,
        from: Option<&Offset>,
    ) -> Result<Box<dyn SplitReader<Item = Self::Item>>>;
}

/// An open split. Reading never blocks for longer than a disk takes.
pub trait SplitReader {
    /// What a record is.
    type Item;

    /// Appends up to `limit` records to `out` and the records that cannot be read to `errors`
    /// (each of them counts towards `limit` and moves the offset).
    ///
    /// # Errors
    ///
    /// `Unavailable` if the world did not answer, `Invalid` if the split is not what it should be.
    fn fill(
        &mut self,
        out: &mut Vec<Self::Item>,
        errors: &mut Vec<RecordError>,
        limit: usize,
    ) -> Result<Fill>;

    /// The offset of the next record.
    fn offset(&self) -> Offset;

    /// A watermark that the split itself promises at its offset: no record before it follows,
    /// other than late ones. The flow's `event_time` goes by the greater of this and its own.
    fn watermark(&self) -> Option<i64> {
        None
    }

    /// Whether the split works off input that has waited for it: a connector that knows how far it is
    /// behind the end of its partition says so. While any split says it, checkpoints may be
    /// taken less often (`CheckpointSettings::during_backlog`).
    ///
    /// By default nothing is a backlog, bounded files included: to read what is there already is all
    /// that such a job does, and its checkpoints are meant for just that.
    fn backlog(&self) -> Backlog {
        Backlog::None
    }
}
