//! The job: a count per key, summed up by its sink.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use flowdsl::Result;
use flowdsl::prelude::*;
use flowdsl::runtime::connector::{
    Barrier, PendingCommit, Sink, SinkContext, SinkGuarantee, SinkWriter,
};
use flowdsl::runtime::ids::Epoch;

/// A count per key of so many records.
pub(crate) fn counts(
    records: u64,
    workers: usize,
    key: impl Fn(u64) -> u64 + Send + Sync + 'static,
    sum: Sum,
) -> Job {
    let key = Arc::new(key);
    Job::new("counts", move |flow| {
        let key = Arc::clone(&key);
        let source = Generator::new(records, move |i| key(i)).splits(workers);
        flow.source("keys", source)
            .key_by(|key| *key)
            .fold(0_u64, |count, _| *count += 1)
            .map(|counted| counted.value)
            .sink(sum.clone());
    })
}

/// Splitmix64 of the record number.
pub(crate) const fn hash(i: u64) -> u64 {
    let mut z = i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Adds up all counts, and notes when the first came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    total: Arc<Mutex<u64>>,
    first: Arc<OnceLock<Instant>>,
}

impl Sum {
    /// The sum of all counts up to the last barrier.
    pub(crate) fn total(&self) -> u64 {
        *self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the first count came.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.first.get().copied()
    }
}

impl Sink<u64> for Sum {
    type Writer = Writer;

    fn describe(&self) -> String {
        "sum".to_owned()
    }

    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::Plain
    }

    fn open(&self, _: &SinkContext) -> Result<Writer> {
        Ok(Writer {
            here: 0,
            begun: false,
            sum: self.clone(),
        })
    }
}

pub(crate) struct Writer {
    here: u64,
    begun: bool,
    sum: Sum,
}

impl SinkWriter<u64> for Writer {
    #[inline]
    fn write(&mut self, value: u64) -> Result<()> {
        if !self.begun {
            self.begun = true;
            self.sum.first.get_or_init(Instant::now);
        }
        self.here = self.here.wrapping_add(value);
        Ok(())
    }

    fn prepare_commit(&mut self, _: Epoch, _: Barrier) -> Result<Option<PendingCommit>> {
        let mut total = self
            .sum
            .total
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *total = total.wrapping_add(std::mem::take(&mut self.here));
        Ok(None)
    }
}
