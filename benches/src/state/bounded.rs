//! The memory of a process whose state is larger than its budget.

use std::time::{Duration, Instant};

use flowdsl::prelude::*;
use flowdsl::{Environment, StateBackend};

use crate::job::{Sum, hash};
use crate::{budget, process};

/// Bytes of each value.
const VALUE: u64 = 1_000;

pub(crate) fn heading() -> String {
    "state MiB  budget MiB | peak of resident memory MiB | records/s | checkpoints checksum"
        .to_owned()
}

/// Measures and prints a row; whether the sum is right.
pub(crate) fn measure(mib: u64, backend: &StateBackend) -> bool {
    process::forget_peak();
    let keys = (mib << 20) / VALUE;
    // Each key once, and then any.
    let (records, sum) = (keys * 3 / 2, Sum::default());
    let key = move |i| if i < keys { i } else { hash(i) % keys };
    let counted = sum.clone();
    let job = Job::new("texts", move |flow| {
        flow.source("keys", Generator::new(records, key))
            .key_by(|key| *key)
            .fold(String::new(), |text, _| {
                if text.is_empty() {
                    *text = "x".repeat(VALUE as usize);
                }
                let last = text.pop();
                text.insert(0, last.unwrap_or('y'));
            })
            .map(|kept| kept.value.len() as u64)
            .sink(counted.clone());
    });
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let options = Options::new()
        .workers(1)
        .checkpoint_dir(dir.path())
        .checkpoint_interval(Duration::from_secs(2))
        .backend(backend.clone());
    let begin = Instant::now();
    let report = job
        .run_in(&options, &Environment::default())
        .expect("the job runs to its end");
    let ok = sum.total() == records * VALUE;
    println!(
        "{mib:>9} {:>11} | {:>27.1} | {:>9.0} | {:>11} {:>8}",
        budget(backend).map_or_else(|| "memory".to_owned(), |bytes| (bytes >> 20).to_string()),
        process::peak() as f64 / f64::from(1 << 20),
        records as f64 / begin.elapsed().as_secs_f64(),
        report.metrics.checkpoints,
        if ok { "ok" } else { "WRONG" },
    );
    ok
}
