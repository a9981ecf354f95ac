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
        let hung = self
            .state
            .lock()
            .expect("no test panics under the lock")
            .shut;
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
