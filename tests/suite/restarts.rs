//! Runs that fail and begin again by themselves, in the same process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::runtime::Result;
use flowdsl::runtime::clock::Clock;
use flowdsl::runtime::protocol::SlotContent;
use flowdsl::runtime::settings::OnPanic;
use flowdsl::runtime::storage::log::read_log;
use flowdsl::runtime::storage::{CheckpointStorage, Creation, MemoryStorage};
use flowdsl::testing::{Harness, Input};
use flowdsl::{Environment, Health, JobReport, Outcome, RestartStrategy};

use crate::small::Small;

const AT_ONCE: RestartStrategy = RestartStrategy::FixedDelay {
    attempts: 1_000,
    delay: Duration::ZERO,
};
const NEVER_AGAIN: RestartStrategy = RestartStrategy::FixedDelay {
    attempts: 2,
    delay: Duration::ZERO,
};
const LATER: RestartStrategy = RestartStrategy::FixedDelay {
    attempts: 2,
    delay: Duration::from_secs(3_600),
};

/// Storage that is out of reach from some operation on, for some operations.
#[derive(Debug, Default)]
struct Outage {
    storage: MemoryStorage,
    operations: AtomicU64,
    /// The first operation that fails, and how many do.
    fails: Mutex<Option<(u64, u64)>>,
}

impl Outage {
    fn reach(&self) -> Result<()> {
        let at = self.operations.fetch_add(1, Ordering::SeqCst);
        let fails = self.fails.lock().expect("no test panics under the lock");
        match *fails {
            Some((from, count)) if at >= from && at - from < count => {
                Err(Error::unavailable("the storage is out of reach"))
            }
            _ => Ok(()),
        }
    }

    fn fail(&self, from: u64, count: u64) {
        *self.fails.lock().expect("no test panics under the lock") = Some((from, count));
    }

    fn operations(&self) -> u64 {
        self.operations.load(Ordering::SeqCst)
    }
}

impl CheckpointStorage for Outage {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        self.reach()?;
        self.storage.create(name, bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.reach()?;
        self.storage.write(name, bytes)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.reach()?;
        self.storage.read(name)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.reach()?;
        self.storage.list(dir)
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        self.reach()?;
        self.storage.delete(names)
    }

    fn place(&self) -> String {
        self.storage.place()
    }
}

const NUMBERS: u64 = 60_000;
const KEYS: u64 = 300;

/// The first half of the numbers. The second half follows behind a checkpoint, however slow the machine is: what
/// a test does when there is one always meets records.
fn first_half() -> Input<u64> {
    let input = Harness::new().input();
    input.push_all(0..NUMBERS / 2);
    input
}

fn push_second_half(input: &Input<u64>) {
    input.push_all(NUMBERS / 2..NUMBERS);
    input.finish();
}

fn all_numbers() -> Input<u64> {
    let input = first_half();
    push_second_half(&input);
    input
}

/// Runs a job, and lets it read the second half of its input behind the first checkpoint.
fn run_in_halves(
    (job, input): (&Job, &Input<u64>),
    options: &Options,
    environment: &Environment,
) -> Result<JobReport> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let begun = || environment.metrics.snapshot().checkpoints > 0;
            while !begun() && !is_over.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            push_second_half(input);
        });
        let report = job.run_in(options, environment);
        is_over.store(true, Ordering::SeqCst);
        report
    })
}

/// Counts numbers on two workers; the state is too large for a manifest.
fn counts(
    input: &Input<u64>,
    seen: &Collect<(u64, u64)>,
    each: impl Fn(u64) + Clone + Send + Sync + 'static,
) -> Job {
    let (input, seen) = (input.clone(), seen.clone());
    Job::new("counts", move |flow| {
        let each = each.clone();
        flow.source("numbers", input.clone())
            .key_by(|n| n % KEYS)
            .at("count")
            .fold((0_u64, String::new()), move |(count, text), n| {
                each(n);
                *count += 1;
                *text = format!("{n:60}");
            })
            .map(|counted| (counted.key, counted.value.0))
            .sink(seen.clone());
    })
}

/// Checks that each key was counted up, and each count was seen once.
#[track_caller]
fn check(seen: &Collect<(u64, u64)>) {
    let mut seen = seen.take();
    seen.sort_unstable();
    let expected = (0..KEYS).flat_map(|key| (1..=NUMBERS / KEYS).map(move |count| (key, count)));
    assert!(seen.into_iter().eq(expected), "each count once");
}

fn environment(storage: &Arc<Outage>) -> Environment {
    Environment {
        storage: Some(storage.clone()),
        clock: Clock::system(),
        ..Environment::default()
    }
}

fn every_millisecond(strategy: RestartStrategy) -> Options {
    let mut options = Options::new()
        .workers(2)
        .checkpoint_interval(Duration::from_millis(1))
        .restart(strategy);
    options.checkpoints.tolerable_failures = 0;
    options
}

#[test]
fn an_operation_that_fails_once_is_mended_by_a_restart_and_doubles_and_loses_no_line() {
    let mut restarts = 0;
    for n in 1.. {
        let mut small = Small::new(2, 3);
        small.options.restart = Some(AT_ONCE);
        small.options.checkpoints.tolerable_failures = 0;
        small.start();
        small.next_part().expect("no fault yet");
        let operations = small.harness.disk().operations();
        small.harness.disk().fail_at(operations + n);
        let report = small
            .finish()
            .unwrap_or_else(|e| panic!("the operation {n} failed once: {e}"));
        restarts += report.restarts;
        small.check_complete();
        if small.harness.disk().operations() < operations + n {
            break;
        }
    }
    println!("{restarts} restarts");
    assert!(
        restarts >= 10,
        "most operations of a checkpoint end the run"
    );
}

#[test]
fn an_outage_of_the_storage_is_waited_for_and_every_record_counts_once() {
    let mut restarts = 0;
    for count in [1, 2, 7, 40] {
        let (storage, seen) = (Arc::new(Outage::default()), Collect::new());
        let environment = environment(&storage);
        // Behind the claim and the first checkpoint: what fails before those ends the job.
        let (outage, metrics) = (Arc::clone(&storage), Arc::clone(&environment.metrics));
        let (begun, input) = (Arc::new(AtomicBool::new(false)), first_half());
        let job = counts(&input, &seen, move |_| {
            let due = metrics.snapshot().checkpoints > 0;
            if due && !begun.swap(true, Ordering::SeqCst) {
                outage.fail(outage.operations(), count);
            }
        });
        let options = every_millisecond(AT_ONCE);
        let report = run_in_halves((&job, &input), &options, &environment)
            .unwrap_or_else(|e| panic!("{count} operations failed: {e}"));
        assert_eq!(report.outcome, Outcome::Finished);
        restarts += report.restarts;
        check(&seen);
    }
    println!("{restarts} restarts");
    assert!(restarts > 0, "an outage of forty operations fails a run");
}

/// Lets the storage fail for good once a checkpoint is complete.
fn breaks(
    storage: &Arc<Outage>,
    environment: &Environment,
) -> impl Fn(u64) + Clone + Send + Sync + use<> {
    let (outage, metrics) = (Arc::clone(storage), Arc::clone(&environment.metrics));
    move |_| {
        if metrics.snapshot().checkpoints > 0 {
            outage.fail(0, u64::MAX);
        }
    }
}

#[test]
fn a_job_that_is_restarted_as_often_as_it_may_be_ends_and_says_so() {
    let storage = Arc::new(Outage::default());
    let environment = environment(&storage);
    let (input, seen) = (first_half(), Collect::new());
    let job = counts(&input, &seen, breaks(&storage, &environment));
    let options = every_millisecond(NEVER_AGAIN);
    let error = run_in_halves((&job, &input), &options, &environment)
        .expect_err("the storage is gone for good");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().ends_with("2 restarts did not help"),
        "{error}"
    );
    assert_eq!(environment.metrics.snapshot().restarts, 2);
    assert_ne!(environment.handle.health(), Health::Healthy);
    // The checkpoint is intact: a later run goes on from it.
    storage.fail(0, 0);
    let again = Environment {
        storage: Some(storage.clone()),
        ..Environment::default()
    };
    counts(&input, &seen, |_| ())
        .run_in(&every_millisecond(RestartStrategy::None), &again)
        .expect("the storage is back");
    check(&seen);
}

#[test]
fn a_failure_before_anything_has_begun_ends_the_job() {
    let storage = Arc::new(Outage::default());
    storage.fail(0, u64::MAX);
    let environment = environment(&storage);
    counts(&all_numbers(), &Collect::new(), |_| ())
        .run_in(&every_millisecond(AT_ONCE), &environment)
        .expect_err("the storage was never in reach");
    assert_eq!(environment.metrics.snapshot().restarts, 0);
}

/// Waits until the job is between two attempts.
fn wait_for_restart(environment: &Environment) {
    loop {
        match environment.handle.health() {
            Health::Unhealthy { why } if why.contains("begins again in 3600s") => return,
            Health::Healthy | Health::Unhealthy { .. } => thread::yield_now(),
        }
    }
}

#[test]
fn a_stop_ends_a_job_that_waits_for_its_next_attempt() {
    let storage = Arc::new(Outage::default());
    let environment = environment(&storage);
    let input = first_half();
    let job = counts(&input, &Collect::new(), breaks(&storage, &environment));
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            wait_for_restart(&environment);
            let asked = environment.handle.checkpoint();
            assert!(
                asked.is_err_and(|e| e.to_string().contains("begins again")),
                "nobody takes a checkpoint now"
            );
            environment.handle.stop();
        });
        run_in_halves((&job, &input), &every_millisecond(LATER), &environment)
    });
    let report = report.expect("a stop is no failure");
    assert_eq!((report.outcome, report.restarts), (Outcome::Stopped, 0));
}

#[test]
fn a_crash_ends_a_job_that_waits_for_its_next_attempt() {
    let storage = Arc::new(Outage::default());
    let environment = environment(&storage);
    let input = first_half();
    let job = counts(&input, &Collect::new(), breaks(&storage, &environment));
    thread::scope(|scope| {
        scope.spawn(|| {
            wait_for_restart(&environment);
            environment.handle.crash();
        });
        run_in_halves((&job, &input), &every_millisecond(LATER), &environment)
            .expect_err("it crashed");
    });
}

#[test]
fn a_panic_is_restarted_only_where_the_user_opts_in() {
    for (on_panic, is_restarted) in [(OnPanic::End, false), (OnPanic::Restart, true)] {
        let (storage, seen) = (Arc::new(Outage::default()), Collect::new());
        let environment = environment(&storage);
        let panicked = AtomicBool::new(false);
        let panicked = Arc::new(panicked);
        let job = counts(&all_numbers(), &seen, move |n| {
            let due = n == NUMBERS / 2 && !panicked.swap(true, Ordering::SeqCst);
            assert!(!due, "one bad moment");
        });
        let mut options = every_millisecond(AT_ONCE);
        options.on_panic = on_panic;
        match job.run_in(&options, &environment) {
            Ok(report) => {
                assert_eq!((is_restarted, report.restarts), (true, 1));
                check(&seen);
            }
            Err(error) => {
                assert!(!is_restarted, "{error}");
                assert_eq!(error.kind(), ErrorKind::Panicked);
            }
        }
    }
}

/// `fresh` removes what there was before the first attempt, and not what the first attempt has done.
#[test]
fn a_restart_of_a_fresh_run_does_not_begin_afresh() {
    let (storage, seen) = (Arc::new(Outage::default()), Collect::new());
    counts(&all_numbers(), &seen, |_| ())
        .run_in(&every_millisecond(AT_ONCE), &environment(&storage))
        .expect("no fault");
    let environment = environment(&storage);
    let (outage, metrics) = (Arc::clone(&storage), Arc::clone(&environment.metrics));
    let (begun, input) = (Arc::new(AtomicBool::new(false)), first_half());
    let job = counts(&input, &seen, move |_| {
        let due = metrics.snapshot().checkpoints > 0;
        if due && !begun.swap(true, Ordering::SeqCst) {
            outage.fail(outage.operations(), 40);
        }
    });
    let options = every_millisecond(AT_ONCE).fresh();
    let report = run_in_halves((&job, &input), &options, &environment).expect("the outage ends");
    assert!(report.restarts > 0, "an outage of forty operations");
    check(&seen);
    let log = read_log(&*storage).expect("the outage has ended");
    let fresh = log
        .slots
        .iter()
        .filter(|slot| matches!(&slot.content, SlotContent::Claim(claim) if claim.fresh));
    assert_eq!(
        fresh.count(),
        1,
        "the first attempt began afresh, and no other"
    );
}
