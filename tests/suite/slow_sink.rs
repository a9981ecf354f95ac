//! A slow sink slows the sources: what is on its way stays bounded, and so does memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flowdsl::Environment;
use flowdsl::prelude::*;

/// Resident memory of this process in KiB, where the system tells.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn an_unlimited_source_runs_no_further_ahead_of_a_slow_sink_than_its_credit() {
    const WORKERS: u64 = 2;
    const WRITTEN: u64 = 2_000;
    let environment = Environment::default();
    let written = Arc::new(AtomicU64::new(0));
    let furthest = Arc::new(AtomicU64::new(0));
    let (metrics, handle) = (Arc::clone(&environment.metrics), environment.handle.clone());
    let (count, ahead) = (Arc::clone(&written), Arc::clone(&furthest));
    let job = Job::new("slow", move |flow| {
        let (metrics, handle) = (Arc::clone(&metrics), handle.clone());
        let (count, ahead) = (Arc::clone(&count), Arc::clone(&ahead));
        flow.source("numbers", Generator::unbounded(|i| i).splits(2))
            .key_by(|n| n % 64)
            .fold(0_u64, |count, _| *count += 1)
            .sink(ForEach::new(move |_| {
                // A millisecond of work.
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_millis(1) {
                    std::hint::spin_loop();
                }
                let written = count.fetch_add(1, Ordering::Relaxed) + 1;
                ahead.fetch_max(
                    metrics.snapshot().records_in.saturating_sub(written),
                    Ordering::Relaxed,
                );
                if written == WRITTEN {
                    handle.crash();
                }
            }));
    });
    let before = resident_kib();
    let outcome = job.run_in(&Options::new().workers(WORKERS as usize), &environment);
    assert!(outcome.is_err(), "the job was ended by the test");
    let after = resident_kib();
    let furthest = furthest.load(Ordering::Relaxed);
    eprintln!(
        "at most {furthest} records on their way; resident memory {before:?} -> {after:?} KiB"
    );
    // A sender begins with credit for 1,024 records, and one batch may overshoot it.
    assert!(
        furthest <= WORKERS * 4_096,
        "{furthest} records were on their way to a sink of 1 ms a record"
    );
}
