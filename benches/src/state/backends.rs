//! A job with its state in RocksDB beside the same with its state in memory.
//!
//! First each key comes once, so that all state is there; what is measured is behind that.

use std::thread;
use std::time::{Duration, Instant};

use flowdsl::prelude::*;
use flowdsl::runtime::metrics::{Metrics, MetricsSnapshot};
use flowdsl::{Environment, StateBackend};

use crate::job::{Sum, counts, hash};
use crate::{budget, process};

/// What is measured in turn.
pub(crate) struct Plan<'a> {
    pub(crate) keys: u64,
    pub(crate) workers: usize,
    pub(crate) backend: &'a StateBackend,
    /// Between checkpoints, in milliseconds.
    pub(crate) intervals: &'a [u64],
    pub(crate) turns: usize,
}

struct Measured {
    rate: f64,
    /// Nanoseconds of processor time a record, of all threads.
    cpu: f64,
    sum: u64,
    metrics: MetricsSnapshot,
}

pub(crate) fn heading() -> String {
    [
        "                                | M records/s           of   | cpu ns/record  | bytes per    |",
        "  keys workers  MiB  checkpoint | memory rocksdb      memory | memory rocksdb | checkpoint M | complete checksum",
    ]
    .join("\n")
}

/// Measures and prints a row without checkpoints, and one an interval; whether every run came to the
/// same sum.
pub(crate) fn measure(plan: &Plan<'_>) -> bool {
    let intervals: Vec<Option<u64>> = [None]
        .into_iter()
        .chain(plan.intervals.iter().copied().map(Some))
        .collect();
    let mut all_ok = true;
    for interval in intervals {
        let mut turns: Vec<(Measured, Measured)> = (0..plan.turns)
            .map(|_| {
                let memory = run(plan, &StateBackend::Memory, interval);
                (memory, run(plan, plan.backend, interval))
            })
            .collect();
        turns.sort_unstable_by(|a, b| ratio(a).total_cmp(&ratio(b)));
        let ok = turns.iter().all(|(memory, rocks)| memory.sum == rocks.sum);
        all_ok &= ok;
        println!("{}", line(plan, interval, &turns[turns.len() / 2], ok));
    }
    all_ok
}

fn ratio((memory, rocks): &(Measured, Measured)) -> f64 {
    rocks.rate / memory.rate
}

/// The figures of the turn with the median ratio.
fn line(plan: &Plan<'_>, interval: Option<u64>, turn: &(Measured, Measured), ok: bool) -> String {
    let (memory, rocks) = turn;
    let m = &rocks.metrics;
    format!(
        "{:>4} M {:>7} {:>4} {:>11} | {:>6.2} {:>7.2} {:>11.3} | {:>6.0} {:>7.0} | {:>12.2} | {:>8} {:>8}",
        plan.keys / 1_000_000,
        plan.workers,
        budget(plan.backend).unwrap_or(0) >> 20,
        interval.map_or_else(|| "off".to_owned(), |interval| format!("{interval} ms")),
        memory.rate / 1e6,
        rocks.rate / 1e6,
        ratio(turn),
        memory.cpu,
        rocks.cpu,
        m.state_written_bytes as f64 / 1e6 / m.checkpoints.max(1) as f64,
        m.checkpoints,
        if ok { "ok" } else { "WRONG" },
    )
}

fn run(plan: &Plan<'_>, backend: &StateBackend, interval: Option<u64>) -> Measured {
    let (keys, sum) = (plan.keys, Sum::default());
    let measured = (2 * keys).max(20_000_000);
    let key = move |i| if i < keys { i } else { hash(i) % keys };
    let job = counts(keys + measured, plan.workers, key, sum.clone());
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let options = Options::new()
        .workers(plan.workers)
        .backend(backend.clone());
    let options = options.checkpoint_dir(dir.path());
    let options = match interval {
        None => options.without_checkpoints(),
        Some(interval) => options.checkpoint_interval(Duration::from_millis(interval)),
    };
    let environment = Environment::default();
    let metrics = environment.metrics.clone();
    // The last checkpoint, which writes what changed since the one before, is beside the question.
    let watch = thread::spawn(move || {
        let begin = wait_for(&metrics, keys);
        (begin, wait_for(&metrics, keys + measured))
    });
    let report = job
        .run_in(&options, &environment)
        .expect("the job runs to its end");
    let (begin, end) = watch.join().expect("the watch does not panic");
    let records = (end.read - begin.read) as f64;
    Measured {
        rate: records / end.at.duration_since(begin.at).as_secs_f64(),
        cpu: end.cpu.saturating_sub(begin.cpu).as_nanos() as f64 / records,
        sum: sum.total(),
        metrics: report.metrics,
    }
}

/// A moment of a run.
struct Moment {
    read: u64,
    at: Instant,
    cpu: Duration,
}

fn wait_for(metrics: &Metrics, records: u64) -> Moment {
    loop {
        let read = metrics.snapshot().records_in;
        if read >= records {
            return Moment {
                read,
                at: Instant::now(),
                cpu: process::cpu(),
            };
        }
        thread::sleep(Duration::from_millis(1));
    }
}
