//! A source that reads a vector.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::connector::{Fill, Offset, Source, Split, SplitReader};
use crate::error::{Error, Result};
use crate::ids::SplitId;
use crate::record::RecordError;

/// Reads records from memory, in their order.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::connector::{Memory, Source};
///
/// let words = Memory::new(vec!["a", "b", "c"]);
/// assert_eq!(words.discover()?.len(), 1);
/// assert_eq!(words.splits(2).discover()?.len(), 2);
/// # Ok::<(), flowdsl_runtime::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Memory<T> {
    records: Arc<[T]>,
    splits: usize,
}

impl<T> Memory<T> {
    /// A source of these records, in one split.
    pub fn new(records: Vec<T>) -> Self {
        Self {
            records: Arc::from(records),
            splits: 1,
        }
    }

    /// Cuts the records into `n` parts of equal length, each one split.
    pub fn splits(mut self, n: usize) -> Self {
        self.splits = n.max(1);
        self
    }
}

/// The records from `start` to before `end`, of `count` in all.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Part {
    start: usize,
    end: usize,
    count: usize,
}

impl<T: Clone + Send + Sync + 'static> Source for Memory<T> {
    type Item = T;

    fn describe(&self) -> String {
        format!("memory of {}", self.records.len())
    }

    fn discover(&self) -> Result<Vec<Split>> {
        let (n, count) = (self.splits, self.records.len());
        let part = |i| Part {
            start: i * count / n,
            end: (i + 1) * count / n,
            count,
        };
        Ok((0..n)
            .map(|i| Split::new(SplitId::new(format!("memory@{i:06}")), &part(i)))
            .collect())
    }

    fn open(&self, split: &Split, from: Option<&Offset>) -> Result<Box<dyn SplitReader<Item = T>>> {
        let Part { start, end, count } = split.decode_spec()?;
        if count != self.records.len() {
            let now = self.records.len();
            return Err(Error::invalid(format!(
                "the checkpoint reads {count} records from memory, the flow now has {now}"
            )));
        }
        let next = from.map_or(Ok(start), Offset::decode)?;
        if next > end || end > count {
            return Err(Error::corrupt(format!(
                "record {next} of memory is outside split {}",
                split.id
            )));
        }
        Ok(Box::new(MemoryReader {
            records: Arc::clone(&self.records),
            next,
            end,
        }))
    }
}

struct MemoryReader<T> {
    records: Arc<[T]>,
    next: usize,
    end: usize,
}

impl<T: Clone> SplitReader for MemoryReader<T> {
    type Item = T;

    fn fill(
        &mut self,
        out: &mut Vec<T>,
        _errors: &mut Vec<RecordError>,
        limit: usize,
    ) -> Result<Fill> {
        let end = self.end.min(self.next.saturating_add(limit));
        out.extend_from_slice(&self.records[self.next..end]);
        self.next = end;
        Ok(if end == self.end {
            Fill::Finished
        } else {
            Fill::More
        })
    }

    fn offset(&self) -> Offset {
        Offset::encode(&self.next)
    }
}
