//! Whole jobs with tiny queues, many checkpoints, and an end at any moment, against a plain loop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::runtime::storage::MemoryStorage;
use flowdsl::{Environment, JobHandle, Outcome};

const RECORDS: u64 = 6_000;
const WINDOW_MS: u64 = 40;

/// Two exchanges, windows, a diamond, and records that become several.
fn job(splits: usize, results: &[Collect<(u64, u64)>; 2]) -> Job {
    let [windows, totals] = results.clone();
    Job::new("stress", move |flow| {
        let rows = flow
            .source("rows", Generator::new(RECORDS, |n| n).splits(splits))
            .event_time(|n| n / 3, Duration::ZERO)
            .flat_map(|n| (0..=n % 2).map(move |_| n))
            .key_by(|n| n % 97)
            .shared();
        let counted = rows
            .branch()
            .window(tumbling(Duration::from_millis(WINDOW_MS)))
            .at("windows")
            .aggregate(Aggregates::count)
            .map(|w| (w.start as u64, w.value))
            .shared();
        counted.branch().at("windows_out").sink(windows.clone());
        let passed = rows.branch().at("passed").map(|_| (u64::MAX, 1));
        let passed = passed
            .key_by(|row| row.0 % 2)
            .at("passed_sum")
            .fold(0_u64, |sum, row| *sum += row.1);
        let passed = passed.at("passed_row").map(|_| (u64::MAX, 1));
        flow.union("all")
            .and(counted.branch().at("again").map(|row| row))
            .and(passed)
            .merge()
            .key_by(|row| row.0)
            .at("totals")
            .fold(0_u64, |sum, row| *sum += row.1)
            .at("totals_row")
            .map(|total| (total.key, total.value))
            .at("totals_out")
            .sink(totals.clone());
    })
}

/// Start and count of each window of each key, and the total of each start.
fn expected() -> (Vec<(u64, u64)>, BTreeMap<u64, u64>) {
    let mut windows = BTreeMap::<(u64, u64), u64>::new();
    let mut totals = BTreeMap::<u64, u64>::new();
    for n in 0..RECORDS {
        let (time, times) = (n / 3, n % 2 + 1);
        let start = time - time % WINDOW_MS;
        *windows.entry((start, n % 97)).or_default() += times;
        *totals.entry(start).or_default() += times;
        *totals.entry(u64::MAX).or_default() += times;
    }
    let mut windows: Vec<_> = windows
        .into_iter()
        .map(|((start, _), count)| (start, count))
        .collect();
    windows.sort_unstable();
    (windows, totals)
}

/// A number from 0 to below `n`, from a seed that it moves on.
fn draw(seed: &mut u64, n: u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % n
}

/// How a run is ended before its input is.
#[derive(Clone, Copy, Debug)]
enum End {
    Stop,
    Crash,
}

fn options(seed: &mut u64) -> Options {
    let mut options = Options::new()
        .workers(1 + draw(seed, 4) as usize)
        .checkpoint_interval(Duration::from_millis(1 + draw(seed, 3)));
    options.limits.edge_records = [1, 16, 64, 4_096][draw(seed, 4) as usize];
    options.limits.batch_records = [1, 7, 256, 4_096][draw(seed, 4) as usize];
    options.limits.open_splits = 1 + draw(seed, 3) as usize;
    options.checkpoints.max_concurrent = 1 + draw(seed, 3) as usize;
    options
}

fn check(seed: u64, end: End) {
    let mut draws = seed;
    let results = [Collect::new(), Collect::new()];
    let job = job(1 + draw(&mut draws, 5) as usize, &results);
    let storage = Arc::new(MemoryStorage::new());
    let mut runs = 0;
    loop {
        runs += 1;
        let options = options(&mut draws);
        let handle = JobHandle::new();
        let checkpoints = if runs < 6 {
            1 + draw(&mut draws, 5)
        } else {
            u64::MAX
        };
        let ender = thread::spawn({
            let handle = handle.clone();
            move || {
                let taken = (0..checkpoints)
                    .take_while(|_| !matches!(handle.checkpoint(), Ok(None)))
                    .count();
                match end {
                    _ if (taken as u64) < checkpoints => {}
                    End::Stop => handle.stop(),
                    End::Crash => handle.crash(),
                }
            }
        });
        let environment = Environment {
            storage: Some(storage.clone()),
            handle,
            ..Environment::default()
        };
        let outcome = job.run_in(&options, &environment);
        drop(environment);
        ender.join().expect("it only asks");
        match outcome.map(|report| report.outcome) {
            Ok(Outcome::Finished | Outcome::AlreadyFinished) => break,
            Ok(Outcome::Stopped) => {}
            Err(error) => assert!(
                error.to_string().contains("simulated crash"),
                "seed {seed}: {options:?}: {error}"
            ),
        }
    }
    println!("seed {seed}: {runs} runs");
    let (windows, totals) = expected();
    let mut seen = results[0].take();
    seen.sort_unstable();
    assert!(
        seen == windows,
        "seed {seed}, {end:?}: {} windows instead of {}",
        seen.len(),
        windows.len()
    );
    let mut greatest = BTreeMap::<u64, u64>::new();
    for (key, total) in results[1].take() {
        let of_key = greatest.entry(key).or_default();
        *of_key = total.max(*of_key);
    }
    assert!(greatest == totals, "seed {seed}, {end:?}: {greatest:?}");
}

#[test]
fn a_job_that_crashes_at_any_moment_counts_every_record_once() {
    for seed in 0..12 {
        check(seed, End::Crash);
    }
}

#[test]
fn a_job_that_is_stopped_at_any_moment_counts_every_record_once() {
    for seed in 100..112 {
        check(seed, End::Stop);
    }
}
