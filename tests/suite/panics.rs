//! User code that panics: the run ends, says where, and harms nothing.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use flowdsl::prelude::*;
use flowdsl::runtime::storage::MemoryStorage;
use flowdsl::{Environment, ErrorKind, Outcome};

const WORKERS: u64 = 4;
const PER_WORKER: u64 = 2_000;

/// Which of the flow's closures panics, worker by worker.
const STAGES: [&str; 3] = ["numbers.map", "count", "out"];

thread_local! {
    /// Records that the closure that is to panic has seen on this worker.
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

/// A job that panics at `stage` on record 1,000 of one worker, while `panics` says so.
fn job(
    stage: &'static str,
    worker: u64,
    panics: Arc<AtomicBool>,
    counts: Collect<(u64, u64)>,
) -> Job {
    let due = move |at: &str| {
        let thread = thread::current();
        if at == stage && thread.name() == Some(&format!("timely:work-{worker}")) {
            let seen = SEEN.get();
            SEEN.set(seen + 1);
            let is_due = seen == 1_000 && panics.load(Ordering::Relaxed);
            assert!(!is_due, "record 1000 of worker {worker} is a bad one");
        }
    };
    Job::new("panics", move |flow| {
        let (in_map, in_fold, in_out) = (due.clone(), due.clone(), due.clone());
        flow.source(
            "numbers",
            Generator::new(WORKERS * PER_WORKER, |n| n).splits(WORKERS as usize),
        )
        .map(move |n| {
            in_map("numbers.map");
            n
        })
        .key_by(|n| *n)
        .at("count")
        .fold(0_u64, move |count, _| {
            in_fold("count");
            *count += 1;
        })
        .at("out")
        .map(move |counted| {
            in_out("out");
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

/// A job with a closure in each kind of stage, of which that of `bad` panics on record 1,000.
fn one_of_each(bad: &'static str) -> Job {
    let due = move |at: &str, n: i64| assert!(at != bad || n != 1_000, "cannot take {n}");
    Job::new("one of each", move |flow| {
        let numbers = flow
            .source(
                "source",
                Generator::new(3_000, move |n| {
                    due("source", n as i64);
                    n as i64
                }),
            )
            .at("map")
            .map(move |n| (due("map", n), n).1)
            .at("filter")
            .filter(move |n| (due("filter", *n), true).1)
            .at("filter_map")
            .filter_map(move |n| Some((due("filter_map", n), n).1))
            .at("flat_map")
            .flat_map(move |n| [(due("flat_map", n), n).1])
            .at("inspect")
            .inspect(move |n| due("inspect", *n))
            .at("event_time")
            .event_time(move |n| (due("event_time", *n), *n).1, Duration::ZERO)
            .at("key_by")
            .key_by(move |n| (due("key_by", *n), n % 2_000).1)
            .shared();
        let windows = || {
            numbers
                .branch()
                .window(tumbling(Duration::from_millis(100)))
        };
        let sums = windows()
            .at("aggregate")
            .aggregate(|a| a.sum(move |n: &i64| (due("aggregate", *n), *n).1));
        sums.map(|w| w.value).at("sums").sink(Discard::new());
        let folds = windows()
            .at("window_fold")
            .fold(0, move |sum, n| *sum += (due("window_fold", n), n).1);
        folds
            .map(|w| w.value)
            .at("folds")
            .sink(ForEach::new(|_| ()));
        let merged = numbers
            .branch()
            .at("reduce")
            .reduce(move |a, b| *a = (due("reduce", b - 1_500), *a).1);
        merged.at("merged").sink(Discard::new());
        numbers
            .branch()
            .at("sink")
            .sink(ForEach::new(move |n| due("sink", n)));
    })
}

#[test]
fn the_error_of_a_panic_names_the_stage_whatever_its_kind() {
    let stages = [
        "source",
        "map",
        "filter",
        "filter_map",
        "flat_map",
        "inspect",
        "event_time",
        "key_by",
        "aggregate",
        "window_fold",
        "reduce",
        "sink",
    ];
    for stage in stages {
        for worker_count in [1, 3] {
            let error = one_of_each(stage)
                .run(Options::new().workers(worker_count))
                .expect_err(stage);
            assert_eq!(
                error.to_string(),
                format!("stage `{stage}`: panicked: cannot take 1000"),
                "{worker_count} workers"
            );
            assert_eq!(error.kind(), ErrorKind::Panicked);
        }
    }
    one_of_each("none")
        .run(Options::new().workers(3))
        .expect("no stage panics");
}

#[test]
fn a_worker_that_never_returns_from_a_closure_is_named_and_left_behind() {
    let (release, released) = channel::<()>();
    let (say_stuck, stuck) = channel::<()>();
    let ends = Arc::new((say_stuck, Mutex::new(released), Mutex::new(stuck)));
    let job = Job::new("stuck", move |flow| {
        let ends = Arc::clone(&ends);
        let wait = |end: &Mutex<Receiver<()>>| drop(end.lock().map(|end| end.recv()));
        flow.source("numbers", Generator::new(2_000, |n| n).splits(2))
            .map(move |n| {
                let (say_stuck, released, stuck) = &*ends;
                if n == 1_000 {
                    let _ = say_stuck.send(());
                    // Until the end of the test.
                    wait(released);
                } else if n == 1_001 {
                    wait(stuck);
                    panic!("bad");
                }
                n
            })
            .sink(Discard::new());
    });
    let error = job
        .run(Options::new().workers(2))
        .expect_err("a closure panics");
    drop(release);
    let text = "stage `numbers.map`: panicked: bad; workers [0] are stuck in a user's closure or wait for a disk, and were left behind";
    assert_eq!(error.to_string(), text);
}
