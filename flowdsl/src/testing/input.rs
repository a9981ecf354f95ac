//! A source that reads what a test pushes.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flowdsl_runtime::connector::{Fill, Offset, Source, Split, SplitReader};
use flowdsl_runtime::ids::SplitId;
use flowdsl_runtime::record::RecordError;

use super::feeds::Feeds;
use crate::Result;

/// A source that a test pushes records into; made by [`Harness::input`](super::Harness::input).
///
/// Clones are the same input: one goes into the flow, another stays with the test. Everything
/// that was pushed is kept, so that a run after a crash reads on from its checkpoint.
///
/// # Examples
///
/// ```
/// use flowdsl::prelude::*;
/// use flowdsl::{flow, testing::Harness};
///
/// let mut harness = Harness::new();
/// let numbers = harness.input::<u64>();
/// let doubles = Collect::new();
/// harness.start(&flow! {
///     capture numbers, doubles;
///     source(numbers) -> map(|n| n * 2) -> sink(doubles);
/// });
/// numbers.push(21);
/// harness.settle()?;
/// assert_eq!(doubles.take(), [42]);
/// # Ok::<(), flowdsl::Error>(())
/// ```
pub struct Input<T> {
    entries: Arc<Mutex<Vec<Entry<T>>>>,
    feeds: Feeds,
    feed: usize,
}

#[derive(Clone)]
enum Entry<T> {
    Record(T),
    Watermark(i64),
}

impl<T> Input<T> {
    pub(super) fn new(feeds: Feeds) -> Self {
        let feed = feeds.add();
        Self {
            entries: Arc::default(),
            feeds,
            feed,
        }
    }

    /// Pushes a record.
    ///
    /// # Panics
    ///
    /// Behind [`finish`](Self::finish).
    pub fn push(&self, record: T) {
        self.append(Entry::Record(record));
    }

    /// Pushes records in their order.
    ///
    /// # Panics
    ///
    /// Behind [`finish`](Self::finish).
    pub fn push_all(&self, records: impl IntoIterator<Item = T>) {
        records.into_iter().for_each(|record| self.push(record));
    }

    /// Moves the watermark of this input up to an event time in milliseconds since the Unix
    /// epoch, even if no record says that it is so late: windows that end there are due.
    ///
    /// The flow's `event_time` moves the watermark by itself as records come in; of both the
    /// greater counts. A record that is pushed behind a watermark is certainly late only after
    /// [`Harness::settle`](super::Harness::settle): before, both may be on their way together.
    ///
    /// # Panics
    ///
    /// Behind [`finish`](Self::finish).
    pub fn advance_to(&self, watermark_ms: i64) {
        self.append(Entry::Watermark(watermark_ms));
    }

    /// Ends the input. When all inputs of a job have ended, so does the job.
    pub fn finish(&self) {
        self.feeds.finish(self.feed);
    }

    fn append(&self, entry: Entry<T>) {
        let mut entries = self.lock();
        self.feeds.pushed(self.feed, entries.len() + 1);
        entries.push(entry);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry<T>>> {
        // Nothing panics half-way through a change of the list.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Input<T> {
    fn clone(&self) -> Self {
        Self {
            entries: Arc::clone(&self.entries),
            feeds: self.feeds.clone(),
            feed: self.feed,
        }
    }
}

impl<T> fmt::Debug for Input<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}

impl<T: Clone + Send + 'static> Source for Input<T> {
    type Item = T;

    fn describe(&self) -> String {
        "input of a test".to_owned()
    }

    fn discover(&self) -> Result<Vec<Split>> {
        Ok(vec![Split::new(SplitId::new("input"), &())])
    }

    fn open(&self, _: &Split, from: Option<&Offset>) -> Result<Box<dyn SplitReader<Item = T>>> {
        let next: usize = from.map_or(Ok(0), Offset::decode)?;
        self.feeds.read(self.feed, next);
        Ok(Box::new(Reader {
            input: self.clone(),
            next,
            watermark: None,
        }))
    }
}

struct Reader<T> {
    input: Input<T>,
    next: usize,
    /// The greatest watermark since the split was opened; what came before is in the checkpoint.
    watermark: Option<i64>,
}

impl<T: Clone> SplitReader for Reader<T> {
    type Item = T;

    fn fill(&mut self, out: &mut Vec<T>, _: &mut Vec<RecordError>, limit: usize) -> Result<Fill> {
        let Self {
            input,
            next,
            watermark,
        } = self;
        let entries = input.lock();
        for entry in entries[*next..].iter().take(limit) {
            match entry {
                Entry::Record(record) => out.push(record.clone()),
                Entry::Watermark(ms) => *watermark = (*watermark).max(Some(*ms)),
            }
            *next += 1;
        }
        input.feeds.read(input.feed, *next);
        if *next < entries.len() {
            Ok(Fill::More)
        } else if input.feeds.reads_end(input.feed) {
            Ok(Fill::Finished)
        } else {
            Ok(Fill::Pending)
        }
    }

    fn offset(&self) -> Offset {
        Offset::encode(&self.next)
    }

    fn watermark(&self) -> Option<i64> {
        self.watermark
    }
}
