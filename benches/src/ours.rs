//! The works as flows: what a user of flowdsl would write.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flowdsl::builder::tumbling;
use flowdsl::prelude::*;
use flowdsl::runtime::connector::{
    Barrier, PendingCommit, Sink, SinkContext, SinkGuarantee, SinkWriter,
};
use flowdsl::runtime::ids::Epoch;
use flowdsl::{Environment, Result};

use crate::work::{Checksum, Measured, WINDOW_MS, Work, fold, is_even, key, reading, triple};

/// Runs a work, with a checkpoint at each interval, or none but the last.
///
/// # Panics
///
/// If the job fails, or the machine has no room for its checkpoints.
pub(crate) fn run(
    work: Work,
    workers: usize,
    interval: Option<Duration>,
    records: u64,
) -> Measured {
    let total = Total::default();
    let job = job(work, workers, records, total.clone());
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let options = Options::new().workers(workers);
    let options = match interval {
        None => options.without_checkpoints(),
        Some(interval) => options
            .checkpoint_dir(dir.path())
            .checkpoint_interval(interval),
    };
    let environment = Environment::default();
    let start = Instant::now();
    let report = job
        .run_in(&options, &environment)
        .expect("the job runs to its end");
    let elapsed = start.elapsed();
    let checkpoints_completed = if interval.is_some() {
        report.metrics.checkpoints
    } else {
        0
    };
    Measured {
        records: report.metrics.records_in,
        elapsed,
        checksum: total.take(),
        checkpoints_completed,
    }
}

fn job(work: Work, workers: usize, records: u64, total: Total) -> Job {
    match work {
        Work::W0 => Job::new("w0", move |flow| {
            flow.source("numbers", Generator::new(records, |i| i).splits(workers))
                .map(triple)
                .filter(|x| is_even(*x))
                .map(fold)
                .sink(total.clone());
        }),
        Work::W1 => Job::new("w1", move |flow| {
            flow.source("keys", Generator::new(records, key).splits(workers))
                .key_by(|key| *key)
                .fold(0_u64, |count, _| *count += 1)
                .map(|counted| counted.value)
                .sink(total.clone());
        }),
        Work::W2 => Job::new("w2", move |flow| {
            flow.source("readings", Generator::new(records, reading).splits(workers))
                .event_time(|reading| reading.at_ms, Duration::ZERO)
                .key_by(|reading| reading.key)
                .map(|reading| reading.value)
                .window(tumbling(Duration::from_millis(WINDOW_MS)))
                .aggregate(|a| (a.sum(|value| *value), a.count()))
                .map(|window| window.value.0)
                .sink(total.clone());
        }),
    }
}

/// Adds everything up, on each worker by itself until a barrier.
#[derive(Clone, Debug, Default)]
struct Total(Arc<Mutex<Checksum>>);

impl Total {
    fn take(&self) -> Checksum {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink<u64> for Total {
    type Writer = Sum;

    fn describe(&self) -> String {
        "checksum".to_owned()
    }

    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::Plain
    }

    fn open(&self, _: &SinkContext) -> Result<Sum> {
        Ok(Sum {
            here: Checksum::default(),
            total: self.clone(),
        })
    }
}

struct Sum {
    here: Checksum,
    total: Total,
}

impl SinkWriter<u64> for Sum {
    #[inline]
    fn write(&mut self, value: u64) -> Result<()> {
        self.here.sum = self.here.sum.wrapping_add(value);
        self.here.results += 1;
        Ok(())
    }

    fn prepare_commit(&mut self, _: Epoch, _: Barrier) -> Result<Option<PendingCommit>> {
        let mut total = self.total.0.lock().unwrap_or_else(PoisonError::into_inner);
        *total = total.and(std::mem::take(&mut self.here));
        Ok(None)
    }
}
