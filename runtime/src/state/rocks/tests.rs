//! Tables in RocksDB against a plain hash map, with a cache so small that entries come and go all the
//! time, and with freezes, pieces, snapshots and restores in between.

mod files;
mod inspect;
mod memory;

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::sizes::Sizes;
use super::takeover::{Part, read_into, take_over};
use super::{RocksTable, Settings, Store, Stores, Upload};
use crate::error::ErrorKind;
use crate::ids::{Epoch, Generation, StageId, SubtaskId, WorkerIndex};
use crate::key::hash_of;
use crate::metrics::Metrics;
use crate::protocol::{Location, SnapshotKind, SnapshotRef};
use crate::state::StateStore;
use crate::state::frames::{self, Frame, LogicKind, Namespace, Preamble};
use crate::state::span::HashSpan;
use crate::state::tables::Begun;
use crate::state::testing::{GROUPS, ranges, share};
use crate::storage::{CheckpointStorage, MemoryStorage, WorkDir};

/// Keys of more than one length, so that they are encoded in more than one.
type Table = RocksTable<u64, String>;

const NAMESPACE: Namespace = Namespace::Waiting(-7);

/// What the databases of a test share.
struct World {
    _dir: tempfile::TempDir,
    stores: Arc<Stores>,
    storage: MemoryStorage,
    opened: usize,
}

impl World {
    fn new() -> Self {
        Self::with(64 << 10, |_| {})
    }

    /// With so much memory, and sizes of a test's own.
    fn with(memory_budget: usize, change: impl FnOnce(&mut Sizes)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let settings = Settings {
            memory_budget,
            stores: 1,
        };
        let mut sizes = Sizes::new(settings, None);
        change(&mut sizes);
        let work = WorkDir::create(dir.path(), "work").expect("a directory in it");
        Self {
            stores: Arc::new(Stores::with_sizes(settings, sizes, work)),
            _dir: dir,
            storage: MemoryStorage::new(),
            opened: 0,
        }
    }

    fn state(&self) -> StateStore {
        StateStore::new(Arc::new(self.storage.clone()), Generation(1), 1)
    }

    fn try_open(&mut self, parts: Vec<Part<'_>>) -> crate::Result<Arc<Store>> {
        self.opened += 1;
        let name = format!("{}", self.opened);
        take_over(&self.stores, &name, parts, &self.state()).map(Arc::new)
    }

    fn open(&mut self, parts: Vec<Part<'_>>) -> Arc<Store> {
        self.try_open(parts).expect("a database is opened")
    }
}

fn resumed(store: &Arc<Store>) -> Table {
    let mut table = Table::new(Arc::clone(store), NAMESPACE);
    table.resume().expect("a database answers");
    table
}

fn contents(mut table: Table) -> HashMap<u64, String> {
    let mut found = HashMap::new();
    while let Some((key, value)) = table.pop() {
        assert_eq!(found.insert(key, value), None, "key {key} twice");
    }
    assert!(table.is_empty());
    found
}

const ALL: HashSpan = HashSpan {
    first: 0,
    last: u64::MAX,
};

fn whole(refs: &[SnapshotRef]) -> Part<'_> {
    Part {
        refs,
        whole: ALL,
        wanted: ALL,
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Appends to the values of some keys.
    Append(u64, u64),
    /// Reads the values of some keys.
    Read(u64, u64),
    /// Removes some keys.
    Remove(u64, u64),
    /// Pops some entries.
    Pop(usize),
    /// Hands over some of the frozen image.
    Copy(usize),
    /// Ends the snapshot before, and begins the next.
    Freeze,
    /// Goes on from the last snapshot in another database.
    Restore,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let keys = || (0_u64..3_000, 0_u64..900);
    prop::collection::vec(
        prop_oneof![
            6 => keys().prop_map(|(first, n)| Step::Append(first, n)),
            2 => keys().prop_map(|(first, n)| Step::Read(first, n)),
            2 => keys().prop_map(|(first, n)| Step::Remove(first, n)),
            1 => (0_usize..900).prop_map(Step::Pop),
            4 => (0_usize..400).prop_map(Step::Copy),
            3 => Just(Step::Freeze),
            1 => Just(Step::Restore),
        ],
        1..30,
    )
}

/// A table with the snapshots taken of it.
struct Run {
    world: World,
    store: Arc<Store>,
    table: Table,
    model: HashMap<u64, String>,
    /// What the image that is being handed over holds.
    frozen: Option<HashMap<u64, String>>,
    snapshot: Option<(Vec<SnapshotRef>, HashMap<u64, String>)>,
    epoch: Epoch,
}

impl Run {
    fn new() -> Self {
        Self::within(World::new())
    }

    fn within(mut world: World) -> Self {
        let store = world.open(Vec::new());
        Self {
            table: Table::new(Arc::clone(&store), NAMESPACE),
            store,
            world,
            model: HashMap::new(),
            frozen: None,
            snapshot: None,
            epoch: Epoch(0),
        }
    }

    fn copy(&mut self, budget: usize) -> bool {
        let piece = self.table.copy_frozen(budget);
        piece.is_some_and(|piece| {
            piece.write().expect("a database takes a piece");
            true
        })
    }

    /// Ends the snapshot that is being taken, if one is.
    fn settle(&mut self) {
        let Some(frozen) = self.frozen.take() else {
            return;
        };
        while self.copy(100) {}
        let upload = Upload {
            subtask: &SubtaskId {
                stage: StageId::new("stage"),
                worker: WorkerIndex(0),
            },
            epoch: self.epoch,
            store: &self.world.state(),
            part: 0,
            metrics: &Metrics::new(),
        };
        let taken = self.store.take(self.epoch).expect("a checkpoint");
        let refs = self.store.upload(&taken, &upload);
        self.snapshot = Some((refs.expect("a snapshot is stored"), frozen));
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Append(first, n) => self.append(first, n),
            Step::Read(first, n) => (first..first + n).for_each(|key| {
                let found = self.table.get(hash_of(&key), &key);
                assert_eq!(found, self.model.get(&key), "key {key}");
            }),
            Step::Remove(first, n) => (first..first + n).for_each(|key| {
                let removed = self.table.remove(hash_of(&key), &key);
                assert_eq!(removed, self.model.remove(&key), "key {key}");
            }),
            Step::Pop(n) => {
                // As a stage does: nothing fires in the window.
                self.settle();
                for _ in 0..n {
                    let Some((key, value)) = self.table.pop() else {
                        assert!(self.model.is_empty());
                        break;
                    };
                    assert_eq!(self.model.remove(&key), Some(value), "key {key}");
                }
            }
            Step::Copy(budget) => {
                self.copy(budget);
            }
            Step::Freeze => {
                self.settle();
                self.store.open_window();
                self.table.freeze();
                self.epoch = self.epoch.next();
                self.frozen = Some(self.model.clone());
            }
            Step::Restore => {
                self.frozen = None;
                let (refs, model) = self.snapshot.clone().unwrap_or_default();
                let parts = if refs.is_empty() {
                    Vec::new()
                } else {
                    vec![whole(&refs)]
                };
                self.store = self.world.open(parts);
                self.table = resumed(&self.store);
                self.model = model;
            }
        }
        self.store.check().expect("the database works");
        assert_eq!(self.table.is_empty(), self.model.is_empty());
    }

    fn append(&mut self, first: u64, n: u64) {
        let keys: Vec<u64> = (first..first + n).chain(first..first + n / 3).collect();
        for key in &keys {
            self.model.entry(*key).or_default().push('x');
        }
        let mut said = 0;
        self.table.take_in(
            &mut keys.clone().drain(..),
            |key| (key, 'x'),
            |key| key,
            |value: &mut String, with| value.push(with),
            |key, with| Begun {
                key,
                value: with.to_string(),
                said: Some((key, ())),
            },
            |_, ()| said += 1,
        );
        assert_eq!(said, keys.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_snapshot_holds_what_the_table_held_at_the_freeze_whoever_reads_it(steps in steps(), workers in 1_usize..4) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        run.settle();
        prop_assert_eq!(contents(run.table), run.model);
        let Some((refs, frozen)) = run.snapshot else { return Ok(()) };
        let mut found = HashMap::new();
        for range in ranges(workers) {
            let wanted = HashSpan::of_groups(GROUPS, range).expect("the range is not empty");
            let part = Part { refs: &refs, whole: ALL, wanted };
            let table = resumed(&run.world.open(vec![part]));
            for (key, value) in contents(table) {
                prop_assert!(wanted.contains(hash_of(&key)));
                prop_assert_eq!(found.insert(key, value), None);
            }
        }
        prop_assert_eq!(&found, &frozen);
        prop_assert_eq!(in_frames(&run.world, &refs), frozen);
    }
}

/// What stands in a snapshot, as a stage in memory reads it.
fn in_frames(world: &World, refs: &[SnapshotRef]) -> HashMap<u64, String> {
    let mut head = Vec::new();
    Preamble {
        kind: LogicKind::Values,
        watermark: 0,
        cleared: Vec::new(),
    }
    .encode(&mut head);
    let dir = world.stores.dir().make("read").expect("a new directory");
    let mut found = HashMap::new();
    read_into(&whole(refs), &world.state(), &dir, &head, |object| {
        frames::read(
            object,
            LogicKind::Values,
            share(ranges(1)[0]),
            |frame| match frame {
                Frame::Watermark(_) => {}
                Frame::Entries(namespace, entries) => {
                    assert_eq!(namespace, NAMESPACE);
                    found.extend(entries.into_iter().map(|(_, key, value)| (key, value)));
                }
                Frame::Clear(..) | Frame::Removed(..) => panic!("nothing was removed"),
            },
        )
    })
    .expect("a whole snapshot is read");
    found
}

/// A key that was popped and comes back took its old place, at which the hand had been already: the window
/// fired without it.
#[test]
fn a_key_that_comes_back_while_a_table_is_emptied_is_popped_too() {
    let mut run = Run::new();
    run.append(0, 100);
    run.step(&Step::Freeze);
    run.step(&Step::Pop(40));
    run.append(0, 100);
    assert!(contents(run.table) == run.model);
}

#[test]
fn the_parts_of_several_databases_become_one() {
    let mut run = Run::new();
    let mut halves = Vec::new();
    for range in ranges(2) {
        let wanted = HashSpan::of_groups(GROUPS, range).expect("half of the groups");
        run.store = run.world.open(Vec::new());
        run.table = Table::new(Arc::clone(&run.store), NAMESPACE);
        run.model.clear();
        for key in (0..2_000_u64).filter(|key| wanted.contains(hash_of(key))) {
            run.table.insert(hash_of(&key), key, key.to_string());
            run.model.insert(key, key.to_string());
        }
        run.step(&Step::Freeze);
        run.settle();
        halves.push((run.snapshot.take().expect("it was taken").0, wanted));
    }
    let parts = halves.iter().map(|(refs, whole)| Part {
        refs,
        whole: *whole,
        wanted: *whole,
    });
    let table = resumed(&run.world.open(parts.collect()));
    let expected: HashMap<u64, String> = (0..2_000).map(|key| (key, key.to_string())).collect();
    assert!(contents(table) == expected);
}

#[test]
fn a_file_that_has_not_changed_is_uploaded_once() {
    let mut run = Run::new();
    run.append(0, 3_000);
    run.step(&Step::Freeze);
    run.settle();
    // RocksDB has nothing more to join, and joins no two files either.
    run.store.db.compact_range::<&[u8], &[u8]>(None, None);
    run.step(&Step::Freeze);
    run.settle();
    let before = run.snapshot.clone().expect("it was taken").0;
    run.append(5, 1);
    run.step(&Step::Freeze);
    run.settle();
    let after = run.snapshot.clone().expect("it was taken").0;
    let tables = |refs: &[SnapshotRef]| {
        refs.iter()
            .filter_map(|reference| match &reference.location {
                Location::Object { name, .. } => Some(name.clone()),
                Location::Inline(_) => None,
            })
            .collect::<Vec<_>>()
    };
    let first = tables(&before);
    assert!(!first.is_empty());
    let second = tables(&after);
    assert!(second.iter().any(|name| first.contains(name)), "{second:?}");
}

#[test]
fn a_damaged_file_is_reported_as_corrupt() {
    let mut run = Run::new();
    run.append(0, 3_000);
    run.step(&Step::Freeze);
    run.settle();
    let refs = run.snapshot.clone().expect("it was taken").0;
    let object = refs.iter().find_map(|reference| match &reference.location {
        Location::Object { name, .. } => Some(name.clone()),
        Location::Inline(_) => None,
    });
    let name = object.expect("a table is larger than what stands in a manifest");
    let mut bytes = run.world.storage.read(&name).expect("memory").expect("it");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    run.world.storage.write(&name, &bytes).expect("memory");
    let error = run.world.try_open(vec![whole(&refs)]).expect_err("damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains(&name), "{error}");
}

#[test]
fn a_catalogue_that_does_not_fit_its_files_is_corrupt() {
    let mut run = Run::new();
    run.append(0, 10);
    run.step(&Step::Freeze);
    run.settle();
    let refs = run.snapshot.clone().expect("it was taken").0;
    let of_names = |names: &[&str]| SnapshotRef {
        kind: SnapshotKind::RocksCatalogue,
        location: Location::Inline(bitcode::serialize(&names).expect("names encode")),
    };
    let files: Vec<SnapshotRef> = refs[1..].to_vec();
    let escaping: Vec<&str> = files.iter().map(|_| "../CURRENT").collect();
    for wrong in [of_names(&["CURRENT"]), of_names(&escaping)] {
        let refs = [vec![wrong], files.clone()].concat();
        let error = run.world.try_open(vec![whole(&refs)]).expect_err("wrong");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}
