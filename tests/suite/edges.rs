//! Jobs at the edges: without records, without splits for some workers, ended before they begin,
//! and overtaken by another run.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::runtime::storage::MemoryStorage;
use flowdsl::{Environment, JobHandle, Outcome};

fn pairs(source: Generator<u64, fn(u64) -> u64>, pairs: &Collect<(u64, u64)>) -> Job {
    let pairs = pairs.clone();
    Job::new("pairs", move |flow| {
        flow.source("numbers", source.clone())
            .key_by(|n| *n)
            .fold(0_u64, |count, _| *count += 1)
            .map(|counted| (counted.key, counted.value))
            .sink(pairs.clone());
    })
}

#[test]
fn a_job_without_records_finishes_and_says_so_again() {
    for worker_count in [1, 4] {
        let (collect, storage) = (Collect::new(), Arc::new(MemoryStorage::new()));
        let job = pairs(Generator::new(0, |n| n), &collect);
        let run = || {
            let environment = Environment {
                storage: Some(storage.clone()),
                ..Environment::default()
            };
            job.run_in(&Options::new().workers(worker_count), &environment)
        };
        assert_eq!(run().expect("nothing to do").outcome, Outcome::Finished);
        assert_eq!(
            run().expect("nothing to do").outcome,
            Outcome::AlreadyFinished
        );
        assert!(collect.take().is_empty());
    }
}

#[test]
fn a_job_that_is_stopped_before_it_begins_reads_nothing_and_loses_nothing() {
    let (collect, storage) = (Collect::new(), Arc::new(MemoryStorage::new()));
    let job = pairs(Generator::new(5_000, |n| n), &collect);
    for outcome in [Outcome::Stopped, Outcome::Stopped, Outcome::Finished] {
        let environment = Environment {
            storage: Some(storage.clone()),
            ..Environment::default()
        };
        if outcome == Outcome::Stopped {
            environment.handle.stop();
        }
        let report = job
            .run_in(&Options::new().workers(2), &environment)
            .expect("no fault");
        assert_eq!(report.outcome, outcome);
    }
    let mut seen = collect.take();
    seen.sort_unstable();
    assert!(seen.into_iter().eq((0..5_000).map(|n| (n, 1))));
}

#[test]
fn whoever_waits_for_a_checkpoint_of_a_run_that_is_refused_is_told() {
    let environment = Environment::default();
    let asker = thread::spawn({
        let handle = environment.handle.clone();
        move || handle.checkpoint()
    });
    let job = Job::new("refused", |flow| {
        flow.source("twice", Memory::new(vec![1]))
            .sink(Discard::new());
        flow.source("twice", Memory::new(vec![1]))
            .sink(Discard::new());
    });
    job.run_in(&Options::new(), &environment)
        .expect_err("two stages of one name");
    drop(environment);
    assert_eq!(
        asker
            .join()
            .expect("it only asks")
            .expect("no checkpoint was begun"),
        None
    );
}

#[test]
fn a_run_that_is_overtaken_by_another_ends_and_doubles_nothing() {
    for worker_count in [1, 2] {
        let (collect, storage) = (Collect::new(), Arc::new(MemoryStorage::new()));
        let job = pairs(Generator::unbounded(|n| n), &collect);
        let options = Options::new()
            .workers(worker_count)
            .checkpoint_interval(Duration::from_millis(1))
            .rate(200_000.0);
        let start = || {
            let handle = JobHandle::new();
            let environment = Environment {
                storage: Some(storage.clone()),
                handle: handle.clone(),
                ..Environment::default()
            };
            let (job, options) = (job.clone(), options.clone());
            (
                handle,
                thread::spawn(move || job.run_in(&options, &environment)),
            )
        };
        let (first, first_run) = start();
        first.checkpoint().expect("no fault");
        let (second, second_run) = start();
        second.checkpoint().expect("the second run has taken over");
        let error = first_run
            .join()
            .expect("it returns")
            .expect_err("it was overtaken");
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
        second.checkpoint().expect("nobody disturbs it any more");
        second.stop();
        second_run
            .join()
            .expect("it returns")
            .expect("nobody disturbs it any more");
        let mut seen = collect.take();
        seen.sort_unstable();
        assert!(!seen.is_empty());
        assert!(
            seen.iter()
                .enumerate()
                .all(|(at, pair)| *pair == (at as u64, 1)),
            "a gap, or a record twice"
        );
    }
}
