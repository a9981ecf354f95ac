//! User code that panics: the run ends, says where, and harms nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flowdsl::prelude::*;
use flowdsl::runtime::storage::MemoryStorage;
use flowdsl::{Environment, Outcome};

const WORKERS: u64 = 4;
const PER_WORKER: u64 = 2_000;

/// Which of the flow's closures panics.
const STAGES: [&str; 3] = ["numbers.map", "count", "out"];

/// A job that panics at `stage` on record 1,000 of one worker, while `panics` says so.
fn job(
    stage: &'static str,
    worker: u64,
    panics: Arc<AtomicBool>,
    counts: Collect<(u64, u64)>,
) -> Job {
    let due = move |at: &str, n: u64| {
        let is_due =
            at == stage && n == worker * PER_WORKER + 1_000 && panics.load(Ordering::Relaxed);
        assert!(!is_due, "record 1000 of worker {worker} is a bad one");
    };
    Job::new("panics", move |flow| {
        let (in_map, in_fold, in_out) = (due.clone(), due.clone(), due.clone());
        flow.source(
            "numbers",
            Generator::new(WORKERS * PER_WORKER, |n| n).splits(WORKERS as usize),
        )
        .map(move |n| {
            in_map("numbers.map", n);
            n
        })
        .key_by(|n| *n)
        .at("count")
        .fold(0_u64, move |count, n| {
            in_fold("count", n);
            *count += 1;
        })
        .at("out")
        .map(move |counted| {
            in_out("out", counted.key);
            (counted.key, counted.value)
        })
        .sink(counts.clone());
    })
}

#[test]
fn a_panic_on_any_worker_ends_the_run_names_the_stage_and_leaves_the_last_checkpoint_intact() {
    let mut longest = Duration::ZERO;
    for round in 0..100 {
        let (worker, stage) = (
            round % WORKERS,
            STAGES[(round / WORKERS) as usize % STAGES.len()],
        );
        let (panics, counts) = (Arc::new(AtomicBool::new(true)), Collect::new());
        let job = job(stage, worker, Arc::clone(&panics), counts.clone());
        let storage = Arc::new(MemoryStorage::new());
        let environment = || Environment {
            storage: Some(storage.clone()),
            ..Environment::default()
        };
        let options = Options::new()
            .workers(WORKERS as usize)
            .checkpoint_interval(Duration::from_millis(1));

        let begun = Instant::now();
        let error = job
            .run_in(&options, &environment())
            .expect_err("a closure panics");
        longest = longest.max(begun.elapsed());
        let expected =
            format!("stage `{stage}`: panicked: record 1000 of worker {worker} is a bad one");
        assert_eq!(error.to_string(), expected, "round {round}");

        panics.store(false, Ordering::Relaxed);
        let report = job
            .run_in(&options, &environment())
            .unwrap_or_else(|e| panic!("round {round}: {e}"));
        assert_eq!(report.outcome, Outcome::Finished);
        let mut seen = counts.take();
        seen.sort_unstable();
        assert!(
            seen.into_iter()
                .eq((0..WORKERS * PER_WORKER).map(|n| (n, 1))),
            "round {round}: each number once"
        );
    }
    println!("100 panics; the run that took longest to end took {longest:?}");
}
