//! What a job keeps of its checkpoints and runs, and the advice that comes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flowdsl::checkpoints::{Checkpoints, History};
use flowdsl::prelude::*;
use flowdsl::runtime::protocol::{Bound, Losses, Objectives, RunEnd, SubtaskCost};
use flowdsl::runtime::storage::{CheckpointStorage, Creation, MemoryStorage};
use flowdsl::runtime::{Error, ErrorKind, Result};
use flowdsl::testing::Harness;
use flowdsl::{Environment, JobReport, StateBackend};
use flowdsl_tests::backends::backends;

/// Checkpoint storage in memory, of which parts can be made to fail.
#[derive(Clone, Debug, Default)]
struct Storage {
    memory: MemoryStorage,
    takes_no_notes: Arc<AtomicBool>,
    publishes_nothing: Arc<AtomicBool>,
}

impl Storage {
    fn entries(&self) -> Vec<String> {
        self.memory.list("history").expect("memory answers")
    }

    fn history(&self) -> History {
        let checkpoints = Checkpoints::open_in(Arc::new(self.clone())).expect("a job has begun");
        checkpoints.history().expect("memory answers")
    }

    fn refuse(switch: &AtomicBool) -> Result<()> {
        if switch.load(Ordering::SeqCst) {
            Err(Error::unavailable("the storage is full"))
        } else {
            Ok(())
        }
    }
}

impl CheckpointStorage for Storage {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        Self::refuse(&self.publishes_nothing)?;
        self.memory.create(name, bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.memory.write(name, bytes)
    }

    fn note(&self, name: &str, bytes: &[u8]) -> Result<()> {
        Self::refuse(&self.takes_no_notes)?;
        self.memory.note(name, bytes)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.memory.read(name)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.memory.list(dir)
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        self.memory.delete(names)
    }

    fn place(&self) -> String {
        self.memory.place()
    }
}

/// A job that keeps a sum for each of many keys.
fn sums() -> Job {
    Job::new("sums", |flow| {
        flow.source("numbers", Generator::unbounded(|n| n).splits(2))
            .key_by(|n| n % 5_000)
            .fold(0_u64, |sum, n| *sum += n)
            .sink(Collect::new());
    })
}

/// Runs it on two workers until it has taken so many checkpoints, and stops it.
fn run_for(checkpoints: u64, storage: &Storage, history: usize) -> (JobReport, Environment) {
    run_on(StateBackend::Memory, checkpoints, storage, history)
}

fn run_on(
    backend: StateBackend,
    checkpoints: u64,
    storage: &Storage,
    history: usize,
) -> (JobReport, Environment) {
    let environment = Environment {
        storage: Some(Arc::new(storage.clone())),
        ..Environment::default()
    };
    let mut options = Options::new()
        .workers(2)
        .rate(100_000.0)
        .backend(backend)
        .checkpoint_interval(Duration::from_millis(5));
    options.checkpoints.history = history;
    let is_over = AtomicBool::new(false);
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            let taken = || environment.metrics.snapshot().checkpoints;
            while taken() < checkpoints && !is_over.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            environment.handle.stop();
        });
        let report = sums().run_in(&options, &environment);
        is_over.store(true, Ordering::SeqCst);
        report
    });
    (report.expect("no fault"), environment)
}

#[test]
fn each_checkpoint_tells_what_it_cost_each_subtask() {
    for backend in backends() {
        check_costs(backend);
    }
}

#[track_caller]
fn check_costs(backend: StateBackend) {
    let storage = Storage::default();
    let (report, environment) = run_on(backend, 5, &storage, 1_000);
    let history = storage.history();
    assert_eq!(history.damaged, []);
    assert_eq!(
        history.checkpoints.len() as u64,
        report.metrics.checkpoints + report.metrics.checkpoints_failed
    );
    for checkpoint in &history.checkpoints {
        assert_eq!(checkpoint.failure, None);
        let cost = &checkpoint.cost;
        let subtasks: Vec<(&str, u32)> = cost
            .subtasks
            .iter()
            .map(|subtask| (subtask.stage.as_str(), subtask.worker))
            .collect();
        let stages = ["numbers", "numbers.fold", "numbers.sink"];
        let expected: Vec<_> = stages.iter().flat_map(|s| [(*s, 0), (*s, 1)]).collect();
        assert_eq!(subtasks, expected);
        for subtask in &cost.subtasks {
            assert!(
                subtask.start_delay + subtask.copy <= subtask.took && subtask.took <= cost.took,
                "{checkpoint:#?}"
            );
        }
        // Nothing is published before the slowest subtask has answered.
        assert!(cost.publish > Duration::ZERO, "{checkpoint:#?}");
        assert!(cost.estimate <= cost.took, "{checkpoint:#?}");
        let last = cost.last.as_ref().expect("somebody was last");
        let slowest = cost.subtasks.iter().map(|s| s.took).max();
        let of_last = cost
            .subtasks
            .iter()
            .find(|s| (&s.stage, s.worker) == (&last.stage, last.worker));
        assert_eq!(of_last.map(|s| s.took), slowest);
        assert!(cost.weight.new_bytes <= cost.weight.total_bytes);
        assert!(cost.weight.total_bytes > 0);
    }
    // Somewhere state was frozen, encoded and stored.
    let sums = history.checkpoints.iter().flat_map(|c| &c.cost.subtasks);
    let sums: Vec<_> = sums
        .filter(|s| s.stage.as_str() == "numbers.fold")
        .collect();
    assert!(sums.iter().any(|s| s.weight.new_files > 0));
    let any = |part: fn(&SubtaskCost) -> Duration| sums.iter().any(|s| part(s) > Duration::ZERO);
    assert!(
        any(|s| s.pause) && any(|s| s.encode) && any(|s| s.upload),
        "{sums:#?}"
    );
    let shown = environment.handle.last_checkpoint();
    // What is kept has whole microseconds.
    let written = |record| serde_json::to_string(&record).expect("a record is written");
    let kept = history.checkpoints.last().cloned();
    assert_eq!(written(shown), written(kept));
}

#[test]
fn what_a_checkpoint_calls_new_is_what_the_storage_has_got_since() {
    let storage = Storage::default();
    run_for(5, &storage, 1_000);
    let history = storage.history();
    let new: u64 = history
        .checkpoints
        .iter()
        .map(|c| c.cost.weight.new_files)
        .sum();
    // Compactions and cleanup take away; of what is there, all was new once.
    let kept = storage.list("state").expect("memory answers").len();
    assert!(new >= kept as u64, "{new} files were new, {kept} are there");
    let first = &history.checkpoints[0].cost.weight;
    assert_eq!(first.new_bytes, first.total_bytes);
}

#[test]
fn a_run_that_was_killed_is_known_when_another_one_follows() {
    let storage = Storage::default();
    let mut harness = Harness::new();
    harness.store_checkpoints_in(Arc::new(storage.clone()));
    let (input, seen) = (harness.input::<u64>(), Collect::new());
    let (source, sink) = (input.clone(), seen.clone());
    let job = Job::new("killed", move |flow| {
        flow.source("numbers", source.clone()).sink(sink.clone());
    });
    harness.start(&job);
    input.push(1);
    harness.settle().expect("no fault");
    harness.crash();
    assert_eq!(ends(&storage.history()), [RunEnd::Open]);

    harness.start(&job);
    input.push(2);
    harness.settle().expect("no fault");
    harness.stop().expect("no fault");
    let history = storage.history();
    assert_eq!(ends(&history), [RunEnd::Killed, RunEnd::Stopped]);
    assert_eq!(history.observed().failures, 1);
    let began = history.runs.iter().map(|run| run.began.as_ref());
    let from: Vec<_> = began.map(|began| began.expect("both began").from).collect();
    assert_eq!(from[0], None);
    assert!(from[1].is_some());

    harness.start(&job);
    harness.finish().expect("no fault");
    let finished = ends(&storage.history());
    assert_eq!(
        finished,
        [RunEnd::Killed, RunEnd::Stopped, RunEnd::Finished]
    );
    // Nothing is left to do: that is no run.
    harness.start(&job);
    harness.finish().expect("no fault");
    assert_eq!(ends(&storage.history()), finished);
}

fn ends(history: &History) -> Vec<RunEnd> {
    history.runs.iter().map(|run| run.end.clone()).collect()
}

#[test]
fn a_checkpoint_that_failed_is_kept_with_its_reason_and_so_is_the_run_that_failed() {
    let storage = Storage::default();
    let mut harness = Harness::new();
    harness.store_checkpoints_in(Arc::new(storage.clone()));
    let (input, seen) = (harness.input::<u64>(), Collect::new());
    let (source, sink) = (input.clone(), seen.clone());
    let job = Job::new("failing", move |flow| {
        flow.source("numbers", source.clone())
            .map(|n| {
                assert_ne!(n, 13, "unlucky");
                n
            })
            .sink(sink.clone());
    });
    harness.start(&job);
    input.push(1);
    harness.settle().expect("no fault yet");
    input.push(2);
    storage.publishes_nothing.store(true, Ordering::SeqCst);
    let failed = harness.settle().expect_err("the storage refuses");
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    storage.publishes_nothing.store(false, Ordering::SeqCst);
    harness.settle().expect("the storage is there again");
    input.push(13);
    let panicked = harness.settle().expect_err("13 is unlucky");
    assert_eq!(panicked.kind(), ErrorKind::Panicked);

    let history = storage.history();
    let failures: Vec<_> = history.checkpoints.iter().map(|c| &c.failure).collect();
    let [None, Some(reason), None] = failures.as_slice() else {
        panic!("{failures:?}");
    };
    assert!(reason.contains("the storage is full"), "{reason}");
    // All subtasks had answered by then.
    assert_eq!(history.checkpoints[1].cost.subtasks.len(), 2);
    let [RunEnd::Failed { kind, reason }] = &*ends(&history) else {
        panic!("{history:?}");
    };
    assert_eq!(kind, "panicked");
    assert!(reason.contains("map"), "{reason}");
}

#[test]
fn a_history_that_cannot_be_written_harms_nothing_and_is_counted() {
    let storage = Storage::default();
    storage.takes_no_notes.store(true, Ordering::SeqCst);
    let (report, _) = run_for(5, &storage, 100);
    assert_eq!(report.metrics.checkpoints_failed, 0);
    assert_eq!(storage.entries(), [""; 0]);
    // The beginning, the end and each checkpoint; the last of them may still be under way.
    assert!(report.metrics.history_lost >= report.metrics.checkpoints);
    assert_eq!(storage.history().runs, []);
}

#[test]
fn as_much_of_the_history_is_kept_as_is_set() {
    let storage = Storage::default();
    run_for(50, &storage, 5);
    let checkpoints = storage.history().checkpoints.len();
    assert!((5..5 + 16).contains(&checkpoints), "{checkpoints}");

    let none = Storage::default();
    run_for(5, &none, 0);
    assert_eq!(none.entries(), [""; 0]);
    let nothing = Checkpoints::open_in(Arc::new(none)).expect("a job has begun");
    let refused = nothing
        .advise(&Objectives::default())
        .expect_err("there is nothing to advise from");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

#[test]
fn a_job_is_advised_from_what_its_checkpoints_cost() {
    let storage = Storage::default();
    run_for(5, &storage, 100);
    let checkpoints = Checkpoints::open_in(Arc::new(storage)).expect("a job has begun");
    let advice = checkpoints
        .advise(&Objectives::default())
        .expect("checkpoints were measured");
    assert_eq!(advice.facts.interval, Some(Duration::from_millis(5)));
    assert!(advice.facts.measured >= 5);
    assert_eq!(advice.facts.observed.failures, 0);
    let lost = |losses: &Losses| losses.checkpoints + losses.failures;
    let present = advice.present.as_ref().expect("an interval is set");
    assert!(lost(&advice.advised) <= lost(present), "{advice}");

    let objectives = Objectives {
        output_delay: Some(advice.facts.took + Duration::from_millis(500)),
        ..Objectives::default()
    };
    let bounded = checkpoints.advise(&objectives).expect("it was measured");
    if advice.interval > Duration::from_millis(500) {
        assert_eq!(bounded.bound, Bound::OutputDelay, "{bounded}");
    }
}
