//! A storage that hangs: checkpoints are given up, nothing is lost, and the run goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{TryRecvError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use flowdsl::prelude::*;
use flowdsl::runtime::Result;
use flowdsl::runtime::protocol::objects_of;
use flowdsl::runtime::storage::log::{list_state, read_log};
use flowdsl::runtime::storage::{CheckpointStorage, Creation, MemoryStorage};
use flowdsl::testing::{Harness, Input};
use flowdsl_tests::backends::rocksdb;

/// Storage whose writes of state objects, or of slots of the log, hang while it is shut.
#[derive(Debug, Default)]
struct Gate {
    storage: MemoryStorage,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    shut: bool,
    /// Only writes of objects with this in their names hang.
    only: &'static str,
    /// Slots cannot be created.
    log_is_shut: bool,
    /// How many writes have hung so far.
    hanging: usize,
    /// What hangs fails when the gate opens.
    fails: bool,
}

impl Gate {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().expect("no test panics under the lock"));
        self.changed.notify_all();
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) {
        let state = self.state.lock().expect("no test panics under the lock");
        drop(
            self.changed
                .wait_while(state, |state| condition(state))
                .expect("no test panics under the lock"),
        );
    }
}

impl CheckpointStorage for Gate {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        self.change(|state| state.hanging += usize::from(state.log_is_shut));
        self.wait_while(|state| state.log_is_shut);
        self.storage.create(name, bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let hangs = |state: &State| state.shut && name.contains(state.only);
        let hung = hangs(&self.state.lock().expect("no test panics under the lock"));
        if hung {
            self.change(|state| state.hanging += 1);
            self.wait_while(|state| state.shut);
            if self
                .state
                .lock()
                .expect("no test panics under the lock")
                .fails
            {
                return Err(Error::unavailable("the disk came back without it"));
            }
        }
        self.storage.write(name, bytes)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.storage.read(name)
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.storage.list(dir)
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        self.storage.delete(names)
    }

    fn place(&self) -> String {
        self.storage.place()
    }
}

/// Counts numbers, with a state that is too large for a manifest.
struct Counts {
    gate: Arc<Gate>,
    harness: Harness,
    input: Input<u64>,
    seen: Collect<(u64, u64)>,
    job: Job,
}

const KEYS: u64 = 500;

impl Counts {
    fn new() -> Self {
        let (gate, mut harness, seen) = (Arc::new(Gate::default()), Harness::new(), Collect::new());
        harness.store_checkpoints_in(gate.clone());
        let input = harness.input::<u64>();
        let (source, sink) = (input.clone(), seen.clone());
        let job = Job::new("counts", move |flow| {
            flow.source("numbers", source.clone())
                .key_by(|n| *n)
                .at("count")
                .fold((0_u64, String::new()), |(count, text), n| {
                    *count += 1;
                    *text = format!("{n:60}");
                })
                .map(|counted| (counted.key, counted.value.0))
                .sink(sink.clone());
        });
        Self {
            gate,
            harness,
            input,
            seen,
            job,
        }
    }

    fn start(&mut self) {
        self.harness
            .start_with(&self.job, Options::new().without_checkpoints());
    }

    /// Shuts the gate, and lets the checkpoint that hangs at it be given up.
    fn give_up_a_checkpoint(&mut self) {
        self.gate.change(|state| state.shut = true);
        let (gate, clock) = (Arc::clone(&self.gate), self.harness.clock().clone());
        let time = thread::spawn(move || {
            gate.wait_while(|state| state.hanging == 0);
            clock.advance(Duration::from_secs(601));
        });
        let error = self.harness.settle().expect_err("the storage hangs");
        assert!(
            error
                .to_string()
                .contains("no answer within 600s from count/0"),
            "{error}"
        );
        time.join().expect("it only waits");
    }

    /// Checks that each number below `KEYS` was counted up to `times`.
    fn check(&self, times: u64) {
        let mut by_key = BTreeMap::<u64, Vec<u64>>::new();
        for (key, count) in self.seen.records() {
            by_key.entry(key).or_default().push(count);
        }
        for key in 0..KEYS {
            assert_eq!(
                by_key.remove(&key),
                Some((1..=times).collect()),
                "number {key}"
            );
        }
    }
}

#[test]
fn a_checkpoint_that_hangs_is_given_up_and_the_next_one_holds_everything() {
    let mut counts = Counts::new();
    counts.start();
    counts.input.push_all(0..KEYS);
    counts.harness.settle().expect("the gate is open");
    counts.input.push_all(0..KEYS);
    counts.give_up_a_checkpoint();
    counts.check(1);
    counts.gate.change(|state| state.shut = false);
    counts.input.push_all(0..KEYS);
    counts.harness.settle().expect("the gate is open");
    counts.check(3);
    counts.harness.crash();
    counts.start();
    counts.input.push_all(0..KEYS);
    counts.harness.finish().expect("the gate is open");
    counts.check(4);
}

/// A checkpoint is given up while its image hangs; the next image is frozen as an increment behind
/// it; then the first one fails. The second must not complete: it would be a chain with a hole.
#[test]
fn a_checkpoint_behind_one_that_was_given_up_and_then_failed_leaves_no_hole() {
    let mut counts = Counts::new();
    counts.start();
    counts.input.push_all(0..KEYS);
    counts.harness.settle().expect("the gate is open");
    counts.input.push_all(0..KEYS);
    counts.give_up_a_checkpoint();
    let (gate, input) = (Arc::clone(&counts.gate), counts.input.clone());
    let opener = thread::spawn(move || {
        // By the time these have gone through, the next barrier most likely has, too.
        input.push_all(KEYS..KEYS + 20_000);
        thread::yield_now();
        input.push_all(KEYS..KEYS + 20_000);
        gate.change(|state| (state.shut, state.fails) = (false, true));
    });
    let behind = counts.harness.checkpoint();
    opener.join().expect("it only pushes");
    println!("the checkpoint behind it: {behind:?}");
    counts.gate.change(|state| state.fails = false);
    counts.harness.crash();
    counts.start();
    counts.input.push_all(0..KEYS);
    counts.harness.finish().expect("the gate is open");
    counts.check(3);
}

/// The image of a checkpoint that was given up is stored in the end, and is in no manifest.
#[test]
fn the_files_of_a_checkpoint_that_was_given_up_are_removed_in_the_end() {
    let mut counts = Counts::new();
    let mut options = Options::new().without_checkpoints();
    options.checkpoints.retained = 1;
    counts.harness.start_with(&counts.job, options);
    counts.input.push_all(0..KEYS);
    counts.harness.settle().expect("the gate is open");
    counts.input.push_all(0..KEYS);
    counts.give_up_a_checkpoint();
    counts.gate.change(|state| state.shut = false);
    for _ in 0..20 {
        // Increments, until a full snapshot needs none of what was before.
        counts.input.push_all(0..KEYS);
        counts.harness.settle().expect("the gate is open");
    }
    // The publisher has cleaned up when the run has ended.
    counts.harness.stop().expect("the gate is open");
    let log = read_log(&*counts.gate).expect("the gate is open");
    let named: BTreeSet<String> = log
        .manifests_newest_first()
        .flat_map(|(_, manifest)| objects_of(manifest))
        .map(str::to_owned)
        .collect();
    let stored: BTreeSet<String> = list_state(&*counts.gate)
        .expect("the gate is open")
        .into_iter()
        .map(|object| object.name)
        .collect();
    assert_eq!(log.manifests_newest_first().count(), 1);
    assert_eq!(
        stored, named,
        "what is stored is what the one checkpoint names"
    );
}

#[test]
fn a_manifest_that_hangs_ends_the_run_and_the_next_one_goes_on() {
    let mut counts = Counts::new();
    counts.start();
    counts.input.push_all(0..KEYS);
    counts.harness.settle().expect("the gate is open");
    counts.input.push_all(0..KEYS);
    counts.gate.change(|state| state.log_is_shut = true);
    let (gate, clock) = (Arc::clone(&counts.gate), counts.harness.clock().clone());
    let (end, ended) = channel::<()>();
    let time = thread::spawn(move || {
        // Time stands still until every subtask has answered, or they would be late themselves.
        gate.wait_while(|state| state.hanging == 0);
        while ended.try_recv() == Err(TryRecvError::Empty) {
            clock.advance(Duration::from_secs(60));
            thread::yield_now();
        }
    });
    let error = counts.harness.settle().expect_err("the storage hangs");
    drop(end);
    time.join().expect("it only waits");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("was not written within 600s"),
        "{error}"
    );
    counts.gate.change(|state| state.log_is_shut = false);
    counts.start();
    counts.input.push_all(0..KEYS);
    counts.harness.finish().expect("the gate is open");
    counts.check(3);
}

/// Lets time pass, once a write hangs, until a checkpoint has been given up.
fn give_up(harness: &mut Harness, gate: &Arc<Gate>) {
    let (gate, clock) = (Arc::clone(gate), harness.clock().clone());
    let (end, ended) = channel::<()>();
    let time = thread::spawn(move || {
        gate.wait_while(|state| state.hanging == 0);
        while ended.try_recv() == Err(TryRecvError::Empty) {
            clock.advance(Duration::from_secs(60));
            thread::yield_now();
        }
    });
    let error = harness.checkpoint().expect_err("an upload hangs");
    drop(end);
    time.join().expect("it only waits");
    assert!(
        error.to_string().contains("no answer within 600s from"),
        "{error}"
    );
}

/// The images of all stages of a worker, and their uploads, stood in one queue: while one upload hung, no
/// window of any other stage fired, and no barrier passed them, so that a checkpoint was not even given up.
#[test]
fn an_upload_that_hangs_holds_up_no_stage_whose_state_is_in_rocksdb() {
    let Some(backend) = rocksdb(1 << 20) else {
        return;
    };
    let (gate, mut harness) = (Arc::new(Gate::default()), Harness::new());
    harness.store_checkpoints_in(gate.clone());
    let input = harness.input::<(u64, i64)>();
    let seen = Collect::new();
    // What has left the stages, before any checkpoint makes it visible.
    let (counts, counted) = channel();
    let (windows, fired) = channel();
    let (source, sink) = (input.clone(), seen.clone());
    let job = Job::new("two stages", move |flow| {
        let (counts, windows) = (counts.clone(), windows.clone());
        let keyed = flow
            .source("numbers", source.clone())
            .event_time(|(_, at): &(u64, i64)| *at, Duration::ZERO)
            .key_by(|(n, _)| *n)
            .shared();
        keyed
            .branch()
            .at("counts")
            .fold((0_u64, String::new()), |(count, text), (n, _)| {
                *count += 1;
                *text = format!("{n:60}");
            })
            .inspect(move |count| _ = counts.send(count.value.0))
            .map(|count| (count.key, count.value.0))
            .sink(sink.clone());
        keyed
            .branch()
            .window(tumbling(Duration::from_millis(10)))
            .at("windows")
            .aggregate(|a| (a.count(), a.max(|(_, at): &(u64, i64)| *at)))
            .inspect(move |window| _ = windows.send(window.start))
            .map(|window| (window.key, window.value.0))
            .at("windows out")
            .sink(Collect::new());
    });
    let mut options = Options::new().without_checkpoints().backend(backend);
    options.checkpoints.tolerable_failures = 10;
    harness.start_with(&job, options.clone());
    // Each key once in each window, which fires when the next one has begun.
    let next_window = |n: i64| {
        input.push_all((0..KEYS).map(|key| (key, 10 * n)));
        let patience = Duration::from_secs(60);
        for _ in 0..KEYS {
            assert_eq!(counted.recv_timeout(patience), Ok(n as u64 + 1));
        }
        for _ in 0..if n > 0 { KEYS } else { 0 } {
            assert_eq!(fired.recv_timeout(patience), Ok(10 * (n - 1)));
        }
    };
    next_window(0);
    harness.settle().expect("the gate is open");
    next_window(1);
    gate.change(|state| (state.shut, state.only) = (true, "counts-w"));
    for n in 2..5 {
        give_up(&mut harness, &gate);
        next_window(n);
    }
    gate.change(|state| state.shut = false);
    next_window(5);
    harness.settle().expect("the gate is open");
    assert_eq!(seen.records().len() as u64, 6 * KEYS);
    harness.crash();
    harness.start_with(&job, options);
    next_window(6);
    harness.finish().expect("the gate is open");
    assert_eq!(seen.records().len() as u64, 7 * KEYS);
}
