//! What must hold when stages and sinks are slower than what feeds them.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::runtime::storage::MemoryStorage;
use flowdsl::testing::Harness;
use flowdsl::{Environment, JobHandle, Outcome};
use flowdsl_runtime::connector::{
    Barrier, PendingCommit, Sink, SinkContext, SinkGuarantee, SinkWriter,
};
use flowdsl_runtime::ids::Epoch;

/// Keeps a worker busy for some microseconds.
fn toil() {
    for n in 0..400_u64 {
        black_box(n);
    }
}

/// A sink that writes at once, but for what its buffer holds until a barrier, as any writer does.
#[derive(Clone, Default)]
struct Buffered(Arc<Mutex<Vec<u64>>>);

struct BufferedWriter {
    buffer: Vec<u64>,
    written: Buffered,
}

impl Sink<u64> for Buffered {
    type Writer = BufferedWriter;

    fn describe(&self) -> String {
        "buffered".to_owned()
    }

    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::Plain
    }

    fn open(&self, _: &SinkContext) -> flowdsl::Result<BufferedWriter> {
        Ok(BufferedWriter {
            buffer: Vec::new(),
            written: self.clone(),
        })
    }
}

impl SinkWriter<u64> for BufferedWriter {
    fn write(&mut self, record: u64) -> flowdsl::Result<()> {
        self.buffer.push(record);
        Ok(())
    }

    fn prepare_commit(&mut self, _: Epoch, _: Barrier) -> flowdsl::Result<Option<PendingCommit>> {
        self.written
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(&mut self.buffer);
        Ok(None)
    }
}

/// A plain sink behind an edge had no part in checkpoints: the last one was complete, and the job at its end,
/// while records were still queued before the sink, which then ended without a barrier.
#[test]
fn a_plain_sink_behind_a_union_has_everything_when_the_job_ends() {
    let sink = Buffered::default();
    let written = sink.clone();
    let job = Job::new("union", move |flow| {
        let a = flow.source("a", Generator::new(20_000, |i| i));
        let b = flow.source("b", Generator::new(20_000, |i| i + 20_000));
        flow.union("both")
            .and(a)
            .and(b)
            .merge()
            .inspect(|_| toil())
            .sink(sink.clone());
    });
    for worker_count in [1, 2] {
        job.run(Options::new().workers(worker_count))
            .expect("the job runs");
        let mut written =
            std::mem::take(&mut *written.0.lock().unwrap_or_else(PoisonError::into_inner));
        written.sort_unstable();
        assert!(
            written == (0..40_000).collect::<Vec<_>>(),
            "{} records with {worker_count} workers",
            written.len()
        );
    }
}

/// A stage looked at the watermark only when it had nothing to process, and under load it always has:
/// windows fired at the next checkpoint, or at the end of the input.
#[test]
fn windows_fire_while_there_is_always_more_to_process() {
    const RECORDS: u64 = 60_000;
    let (read, lag) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let greatest_lag = Arc::clone(&lag);
    let job = Job::new("busy", move |flow| {
        let (read, now, lag) = (Arc::clone(&read), Arc::clone(&read), Arc::clone(&lag));
        flow.source("numbers", Generator::new(RECORDS, |i| i))
            .inspect(move |_| {
                read.fetch_add(1, Ordering::Relaxed);
            })
            .event_time(|n| *n, Duration::ZERO)
            .key_by(|n| n % 10)
            .window(tumbling(Duration::from_millis(100)))
            .fold(0_u64, |count, _| {
                toil();
                *count += 1;
            })
            .sink(ForEach::new(move |window: Windowed<u64, u64>| {
                lag.fetch_max(
                    now.load(Ordering::Relaxed)
                        .saturating_sub(window.end as u64),
                    Ordering::Relaxed,
                );
            }));
    });
    let mut options = Options::new().without_checkpoints();
    options.limits.edge_records = 1_024;
    job.run(options).expect("the job runs");
    let lag = greatest_lag.load(Ordering::Relaxed);
    assert!(
        lag < RECORDS / 4,
        "a window fired {lag} records behind its end"
    );
}

/// A frozen image is handed to the disk's thread a few pieces at a time: none of them is lost where
/// it has many.
#[test]
fn a_state_of_many_pieces_is_whole_after_a_restart() {
    const KEYS: u64 = 150_000;
    let (storage, handle) = (Arc::new(MemoryStorage::new()), JobHandle::new());
    let (counts, stop) = (Collect::new(), handle.clone());
    let seen = counts.clone();
    // An input of a test ends when the test says so: the stop never comes too late.
    let numbers = Harness::new().input::<u64>();
    numbers.push_all(0..KEYS + KEYS / 2);
    let input = numbers.clone();
    let job = Job::new("many keys", move |flow| {
        let stop = stop.clone();
        flow.source("numbers", input.clone())
            .inspect(move |n| {
                if *n == KEYS + KEYS / 2 - 1 {
                    stop.stop();
                }
            })
            .key_by(|n| n % KEYS)
            .fold(0_u64, |count, _| *count += 1)
            .map(|count| count.value)
            .sink(counts.clone());
    });
    let run = |handle| {
        let storage: Arc<MemoryStorage> = Arc::clone(&storage);
        let environment = Environment {
            storage: Some(storage),
            handle,
            ..Environment::default()
        };
        let report = job.run_in(&Options::new().without_checkpoints(), &environment);
        report.expect("the job runs").outcome
    };
    assert_eq!(run(handle), Outcome::Stopped);
    numbers.push_all(KEYS + KEYS / 2..2 * KEYS);
    numbers.finish();
    assert_eq!(run(JobHandle::new()), Outcome::Finished);
    let seen = seen.take();
    let of = |count| seen.iter().filter(|seen| **seen == count).count() as u64;
    assert_eq!((of(1), of(2), seen.len() as u64), (KEYS, KEYS, 2 * KEYS));
}
