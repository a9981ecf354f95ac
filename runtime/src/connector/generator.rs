//! A source that makes its records from their numbers.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::connector::{Fill, Offset, Source, Split, SplitReader};
use crate::error::{Error, Result};
use crate::ids::SplitId;
use crate::record::RecordError;

/// Makes record `i` by calling a function with `i`, from 0 on.
///
/// The function must give the same record for the same number, or a restart counts other records
/// than the run before it did.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::connector::{Generator, Source};
///
/// let squares = Generator::new(1_000, |i| i * i).splits(2);
/// let splits = squares.discover()?;
/// let (mut records, mut errors) = (Vec::new(), Vec::new());
/// let _more = squares.open(&splits[1], None)?.fill(&mut records, &mut errors, 3)?;
/// assert_eq!(records, [1, 9, 25]); // the odd numbers
/// # Ok::<(), flowdsl_runtime::Error>(())
/// ```
pub struct Generator<T, F> {
    count: u64,
    splits: u64,
    make: Arc<F>,
    item: PhantomData<fn() -> T>,
}

impl<T, F: Fn(u64) -> T> Generator<T, F> {
    /// A generator of `count` records.
    pub fn new(count: u64, make: F) -> Self {
        Self {
            count,
            splits: 1,
            make: Arc::new(make),
            item: PhantomData,
        }
    }

    /// A generator that never ends.
    pub fn unbounded(make: F) -> Self {
        Self::new(u64::MAX, make)
    }

    /// Shares the numbers among `n` splits, so that as many workers can make records: split `p`
    /// makes the records `i` with `i % n == p`.
    pub fn splits(mut self, n: usize) -> Self {
        self.splits = n.max(1) as u64;
        self
    }
}

impl<T, F> Clone for Generator<T, F> {
    fn clone(&self) -> Self {
        Self {
            count: self.count,
            splits: self.splits,
            make: Arc::clone(&self.make),
            item: PhantomData,
        }
    }
}

impl<T, F> fmt::Debug for Generator<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator")
            .field("count", &self.count)
            .field("splits", &self.splits)
            .finish_non_exhaustive()
    }
}

/// Every `step`-th number from `first` to before `count`.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Numbers {
    first: u64,
    step: u64,
    count: u64,
}

impl<T, F> Source for Generator<T, F>
where
    T: 'static,
    F: Fn(u64) -> T + Send + Sync + 'static,
{
    type Item = T;

    fn describe(&self) -> String {
        match self.count {
            u64::MAX => "generator".to_owned(),
            count => format!("generator of {count}"),
        }
    }

    fn discover(&self) -> Result<Vec<Split>> {
        let split = |first| {
            let numbers = Numbers {
                first,
                step: self.splits,
                count: self.count,
            };
            Split::new(SplitId::new(format!("generator@{first:06}")), &numbers)
        };
        Ok((0..self.splits).map(split).collect())
    }

    fn open(&self, split: &Split, from: Option<&Offset>) -> Result<Box<dyn SplitReader<Item = T>>> {
        let Numbers { first, step, count } = split.decode_spec()?;
        let next = from.map_or(Ok(first), Offset::decode)?;
        if step == 0 {
            return Err(Error::corrupt(format!(
                "the spec of split {} has a step of zero",
                split.id
            )));
        }
        Ok(Box::new(GeneratorReader {
            next,
            step,
            count,
            make: Arc::clone(&self.make),
            item: PhantomData,
        }))
    }
}

struct GeneratorReader<T, F> {
    next: u64,
    step: u64,
    count: u64,
    make: Arc<F>,
    item: PhantomData<fn() -> T>,
}

impl<T, F: Fn(u64) -> T> SplitReader for GeneratorReader<T, F> {
    type Item = T;

    fn fill(
        &mut self,
        out: &mut Vec<T>,
        _errors: &mut Vec<RecordError>,
        limit: usize,
    ) -> Result<Fill> {
        let left = self.count.saturating_sub(self.next).div_ceil(self.step);
        let n = left.min(limit as u64);
        let (make, next, step) = (&*self.make, self.next, self.step);
        // One loop for the common step, so that the compiler sees a run of numbers.
        if step == 1 {
            out.extend((0..n as usize).map(|i| make(next + i as u64)));
        } else {
            out.extend((0..n as usize).map(|i| make(next + i as u64 * step)));
        }
        self.next += n * step;
        Ok(if n == left {
            Fill::Finished
        } else {
            Fill::More
        })
    }

    fn offset(&self) -> Offset {
        Offset::encode(&self.next)
    }
}
