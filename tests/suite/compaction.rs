//! Many small checkpoints of much state: what a manifest names stays in bounds, and what was compacted is
//! restored like anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use flowdsl::prelude::*;
use flowdsl::runtime::Result;
use flowdsl::runtime::protocol::{
    Location, Manifest, SnapshotKind, SnapshotRef, StateObject, objects_of,
};
use flowdsl::runtime::storage::log::{list_state, read_log};
use flowdsl::runtime::storage::{CheckpointStorage, Creation, MemoryStorage};
use flowdsl::testing::{Harness, Input};

/// Memory that refuses what compactions write, if it is told to.
#[derive(Debug, Default)]
struct Storage {
    memory: MemoryStorage,
    refuses: AtomicBool,
    refused: AtomicU64,
}

/// The stage is named so that nothing else in the name looks like it.
fn is_compacted(name: &str) -> bool {
    name.contains("-c")
}

impl CheckpointStorage for Storage {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        self.memory.create(name, bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        if is_compacted(name) && self.refuses.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(Error::unavailable("there is no room for it"));
        }
        self.memory.write(name, bytes)
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

const KEYS: u64 = 3_000;
/// Bytes of a worker's chain that never matter, and its increments, at most.
const FLOOR: u64 = 64 << 10;
const MOST_INCREMENTS: usize = 32;
/// Checkpoints within which everything must have been compacted.
const PATIENCE: u64 = 1_000;

/// Counts numbers by key; each value carries a text.
struct Counts {
    storage: Arc<Storage>,
    harness: Harness,
    input: Input<u64>,
    seen: Collect<(u64, u64)>,
    job: Job,
    options: Options,
    worker_count: usize,
    /// What a plain loop says: records of each key.
    expected: BTreeMap<u64, u64>,
    pushed: u64,
    /// The bytes of a snapshot of all keys.
    live: u64,
}

/// A text that takes about as many bytes, however it is encoded.
fn text_of(n: u64) -> String {
    let parts = (1..=12).map(|part| (n + part).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let parts: Vec<String> = parts.map(|part| format!("{part:016x}")).collect();
    parts.concat()
}

impl Counts {
    fn new(worker_count: usize) -> Self {
        let storage = Arc::new(Storage::default());
        let (mut harness, seen) = (Harness::new(), Collect::new());
        harness.store_checkpoints_in(storage.clone());
        let input = harness.input::<u64>();
        let (source, sink) = (input.clone(), seen.clone());
        let job = Job::new("counts", move |flow| {
            flow.source("numbers", source.clone())
                .key_by(|n| *n)
                .at("sums")
                .fold((0_u64, String::new()), |(count, text), n| {
                    *count += 1;
                    *text = text_of(n);
                })
                .map(|counted| (counted.key, counted.value.0))
                .sink(sink.clone());
        });
        let mut options = Options::new().workers(worker_count);
        options.checkpoints.retained = 2;
        let mut counts = Self {
            storage,
            harness,
            input,
            seen,
            job,
            options,
            worker_count,
            expected: BTreeMap::new(),
            pushed: 0,
            live: 0,
        };
        counts.start(worker_count);
        counts.push(0..KEYS);
        counts.harness.settle().expect("the storage is memory");
        counts.live = counts.refs().iter().map(SnapshotRef::len).sum();
        counts
    }

    fn start(&mut self, worker_count: usize) {
        self.worker_count = worker_count;
        let options = self.options.clone().workers(worker_count);
        self.harness.start_with(&self.job, options);
    }

    fn push(&mut self, keys: impl IntoIterator<Item = u64>) {
        for key in keys {
            *self.expected.entry(key).or_default() += 1;
            self.input.push(key);
        }
    }

    /// A few keys change, here and there, and a checkpoint is taken.
    fn next(&mut self) {
        let first = self.pushed * 12;
        self.push((first..first + 12).map(|n| n * 37 % KEYS));
        self.pushed += 1;
        self.harness.settle().expect("the storage is memory");
        // However fast the machine is: what a checkpoint begins is done before the next one.
        while self.harness.metrics().compactions_under_way > 0 {
            thread::yield_now();
        }
    }

    fn newest(&self) -> Manifest {
        let log = read_log(&*self.storage).expect("the storage is memory");
        let newest = log.manifests_newest_first().next();
        newest.expect("a checkpoint was taken").1.clone()
    }

    /// What the newest manifest names of the state.
    fn refs(&self) -> Vec<SnapshotRef> {
        let snapshots = self.newest().snapshots.into_iter();
        let keyed = snapshots.filter(|snapshot| snapshot.subtask.stage.as_str() == "sums");
        keyed.flat_map(|snapshot| snapshot.refs).collect()
    }

    #[track_caller]
    fn check_bounds(&self) {
        let refs = self.refs();
        let bytes: u64 = refs.iter().map(SnapshotRef::len).sum();
        // Counts have grown since, and frames are not all full.
        let live = self.live + self.live / 10;
        let workers = self.worker_count as u64;
        assert!(
            bytes <= 2 * live + FLOOR * workers,
            "{bytes} bytes are named, of a state of {live}"
        );
        assert!(
            refs.len() <= (1 + MOST_INCREMENTS) * self.worker_count,
            "{}",
            refs.len()
        );
    }

    fn stored(&self) -> impl Iterator<Item = StateObject> {
        let stored = list_state(&*self.storage).expect("the storage is memory");
        stored.into_iter()
    }

    /// Every object that is there, some manifest names.
    #[track_caller]
    fn check_all_is_named(&self) {
        let log = read_log(&*self.storage).expect("the storage is memory");
        let manifests = log.manifests_newest_first();
        let named: BTreeSet<String> = manifests
            .flat_map(|(_, manifest)| objects_of(manifest))
            .map(str::to_owned)
            .collect();
        let stored: BTreeSet<String> = self.stored().map(|object| object.name).collect();
        assert_eq!(stored, named);
    }

    /// Whether the newest manifest names what was compacted to such a snapshot.
    fn names_compacted(&self, kind: SnapshotKind) -> bool {
        self.refs().iter().any(|reference| {
            let name = name_of(reference);
            reference.kind == kind && name.is_some_and(is_compacted)
        })
    }

    /// Takes checkpoints until the newest one names what was compacted to such a snapshot.
    #[track_caller]
    fn until_compacted_to(&mut self, kind: SnapshotKind) {
        for _ in 0..PATIENCE {
            self.next();
            self.check_bounds();
            if self.names_compacted(kind) {
                return;
            }
        }
        panic!("nothing was compacted to {kind:?} in {PATIENCE} checkpoints");
    }

    /// Ends the job; of each key the last count is that of the plain loop, and none is there twice.
    #[track_caller]
    fn check_end(&mut self) {
        self.harness.finish().expect("the storage is memory");
        let mut counted: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (key, count) in self.seen.records() {
            counted.entry(key).or_default().push(count);
        }
        for (key, expected) in &self.expected {
            let mut counts = counted.remove(key).unwrap_or_default();
            counts.sort_unstable();
            assert!(
                counts.into_iter().eq(1..=*expected),
                "the counts of key {key}"
            );
        }
        assert!(counted.is_empty());
    }
}

fn name_of(reference: &SnapshotRef) -> Option<&str> {
    match &reference.location {
        Location::Inline(_) => None,
        Location::Object { name, .. } => Some(name),
    }
}

#[test]
fn many_small_checkpoints_name_a_bounded_number_of_files_and_bytes() {
    let mut counts = Counts::new(2);
    counts.until_compacted_to(SnapshotKind::KeyedIncrement);
    counts.until_compacted_to(SnapshotKind::KeyedFull);
    counts.check_end();
}

#[test]
fn what_was_compacted_is_restored_on_as_many_workers_and_on_others() {
    let mut counts = Counts::new(2);
    for (kind, worker_count) in [
        (SnapshotKind::KeyedIncrement, 2),
        (SnapshotKind::KeyedFull, 2),
        (SnapshotKind::KeyedFull, 1),
        (SnapshotKind::KeyedFull, 3),
    ] {
        counts.until_compacted_to(kind);
        // What came behind the last checkpoint is read again.
        counts.push(0..100);
        counts.harness.crash();
        counts.start(worker_count);
    }
    counts.check_end();
}

#[test]
fn what_was_replaced_is_deleted_when_no_manifest_names_it_any_more() {
    let mut counts = Counts::new(1);
    counts.until_compacted_to(SnapshotKind::KeyedFull);
    counts.until_compacted_to(SnapshotKind::KeyedIncrement);
    // The publisher cleans up behind a checkpoint, and has done so when the job has ended.
    counts.check_end();
    counts.check_all_is_named();
}

#[test]
fn what_was_compacted_for_an_epoch_that_does_not_come_is_deleted_behind_the_end_of_the_workers() {
    let mut counts = Counts::new(1);
    let mut taken = 0;
    let due = loop {
        counts.next();
        // The last checkpoint is the next one.
        let last = counts.newest().epoch.next();
        if let Some(due) = counts.stored().map(|object| object.epoch).max()
            && due > last
        {
            break due;
        }
        taken += 1;
        assert!(taken < PATIENCE, "nothing was compacted");
    };
    counts.check_end();
    assert!(counts.newest().epoch < due, "the epoch has come after all");
    counts.check_all_is_named();
}

#[test]
fn a_job_whose_compactions_fail_goes_on_and_keeps_the_bounds_by_full_snapshots() {
    let mut counts = Counts::new(1);
    counts.storage.refuses.store(true, Ordering::SeqCst);
    let first = counts.newest().epoch;
    let mut full = BTreeSet::new();
    while full.len() < 2 || counts.storage.refused.load(Ordering::SeqCst) == 0 {
        counts.next();
        counts.check_bounds();
        let taken = counts.newest().epoch.0 - first.0;
        assert!(taken < PATIENCE, "{full:?}");
        let refs = counts.refs();
        let is_full = |reference: &&SnapshotRef| reference.kind == SnapshotKind::KeyedFull;
        full.extend(
            refs.iter()
                .filter(is_full)
                .filter_map(name_of)
                .map(str::to_owned),
        );
    }
    counts.harness.crash();
    counts.storage.refuses.store(false, Ordering::SeqCst);
    counts.start(1);
    counts.until_compacted_to(SnapshotKind::KeyedIncrement);
    counts.check_end();
}
