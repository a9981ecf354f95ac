//! A job while it runs: its rate with checkpoints against its rate without, how long snapshots
//! keep its workers, and what they write.

use std::time::{Duration, Instant};

use flowdsl::Environment;
use flowdsl::prelude::*;
use flowdsl::runtime::metrics::MetricsSnapshot;

use crate::job::{Sum, counts, hash};

/// What is measured in turn.
pub(crate) struct Plan<'a> {
    pub(crate) keys: u64,
    pub(crate) workers: usize,
    pub(crate) intervals: &'a [u64],
    pub(crate) span: Duration,
    pub(crate) turns: usize,
}

struct Measured {
    rate: f64,
    sum: u64,
    metrics: MetricsSnapshot,
}

pub(crate) fn heading() -> String {
    [
        "                                                        | pause of a worker, us    | slice of copying, us | longest freeze | bytes per checkpoint, M",
        "  keys workers checkpoint | M records/s of none complete |     p50     p99     max |     p50    p99    max |             us | written changed checksum",
    ]
    .join("\n")
}

/// Measures and prints a row an interval; whether every run came to the same sum.
pub(crate) fn measure(plan: &Plan<'_>) -> bool {
    let guess = run(plan, None, 20_000_000.max(plan.keys * 10));
    let long = run(
        plan,
        None,
        (guess.rate * plan.span.as_secs_f64() / 4.0) as u64,
    );
    let records = (long.rate * plan.span.as_secs_f64()) as u64;
    let mut ratios = vec![Vec::new(); plan.intervals.len()];
    let mut last = Vec::new();
    let mut all_ok = true;
    for _ in 0..plan.turns {
        let without = run(plan, None, records);
        last.clear();
        for (interval, ratios) in plan.intervals.iter().zip(&mut ratios) {
            let with = run(plan, Some(Duration::from_millis(*interval)), records);
            ratios.push(with.rate / without.rate);
            all_ok &= with.sum == without.sum;
            last.push(with);
        }
    }
    for ((interval, ratios), last) in plan.intervals.iter().zip(&mut ratios).zip(&last) {
        ratios.sort_unstable_by(f64::total_cmp);
        println!(
            "{}",
            line(plan, *interval, ratios[ratios.len() / 2], last, all_ok)
        );
    }
    all_ok
}

/// The figures of the last turn, with the median ratio of all turns.
fn line(plan: &Plan<'_>, interval: u64, ratio: f64, run: &Measured, ok: bool) -> String {
    let m = &run.metrics;
    let micros = |time: Duration| time.as_nanos() as f64 / 1e3;
    let each = |bytes: u64| bytes as f64 / 1e6 / m.checkpoints.max(1) as f64;
    format!(
        "{:>4} M {:>7} {:>7} ms | {:>11.1} {:>7.3} {:>8} | {:>7.1} {:>7.1} {:>7.1} | {:>7.1} {:>6.1} {:>6.1} | {:>14.1} | {:>7.2} {:>7.2} {:>8}",
        plan.keys / 1_000_000,
        plan.workers,
        interval,
        run.rate / 1e6,
        ratio,
        m.checkpoints,
        micros(m.pauses.p50),
        micros(m.pauses.p99),
        micros(m.pauses.max),
        micros(m.copies.p50),
        micros(m.copies.p99),
        micros(m.copies.max),
        micros(m.freezes.max),
        each(m.state_written_bytes),
        each(m.state_changed_bytes),
        if ok { "ok" } else { "WRONG" },
    )
}

fn run(plan: &Plan<'_>, interval: Option<Duration>, records: u64) -> Measured {
    let (keys, sum) = (plan.keys, Sum::default());
    let job = counts(records, plan.workers, move |i| hash(i) % keys, sum.clone());
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let options = Options::new().workers(plan.workers);
    let options = match interval {
        None => options.without_checkpoints(),
        Some(interval) => options
            .checkpoint_dir(dir.path())
            .checkpoint_interval(interval),
    };
    let start = Instant::now();
    let report = job
        .run_in(&options, &Environment::default())
        .expect("the job runs to its end");
    Measured {
        rate: records as f64 / start.elapsed().as_secs_f64(),
        sum: sum.total(),
        metrics: report.metrics,
    }
}
