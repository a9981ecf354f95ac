//! What the references of the stages cannot see: how much is in memory, what is written, what is refused.
//! That a compacted chain holds the same is tested with every restore of theirs
//! (`testing::compacted_somewhere`).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::*;
use crate::ids::{Generation, StageId, WorkerIndex};
use crate::key::hash_of;
use crate::protocol::Location;
use crate::state::KeyedTable;
use crate::state::SnapshotScope;
use crate::state::frames::{self, Frame, LogicKind, Preamble};
use crate::state::testing::{compacted, share_of_all};
use crate::storage::{CheckpointStorage, Creation, MemoryStorage};

type Table = KeyedTable<u64, u64>;

/// More than the tests need.
const ROOM: usize = 1 << 30;

fn types() -> TableTypes {
    TableTypes::alike::<u64, u64>(LogicKind::Values)
}

/// The object of the table's next snapshot.
fn snapshot(table: &mut Table, scope: SnapshotScope) -> Vec<u8> {
    let cleared = table.freeze(scope);
    let preamble = Preamble {
        kind: LogicKind::Values,
        watermark: i64::MIN,
        cleared: cleared
            .map(|span| (Namespace::Whole, span))
            .into_iter()
            .collect(),
    };
    let mut object = Vec::new();
    preamble.encode(&mut object);
    while let Some(piece) = table.copy_frozen(500) {
        piece
            .encode(Namespace::Whole, &mut object)
            .expect("integers encode");
    }
    object
}

/// The frames of some objects, as text: `+` keys that are set, `-` keys that are gone, `clear`.
fn frames_of(objects: &[Vec<u8>]) -> Vec<String> {
    let mut said = Vec::new();
    for object in objects {
        frames::read::<u64, u64>(
            object,
            LogicKind::Values,
            share_of_all(),
            |frame| match frame {
                Frame::Watermark(_) => {}
                Frame::Clear(..) => said.push("clear".to_owned()),
                Frame::Removed(_, keys) => said.extend(keys.iter().map(|(_, k)| format!("-{k}"))),
                Frame::Entries(_, entries) => {
                    said.extend(entries.iter().map(|(_, k, v)| format!("+{k}={v}")));
                }
            },
        )
        .expect("what was written is read");
    }
    said.sort();
    said
}

fn set(table: &mut Table, key: u64, value: u64) {
    *table.upsert(hash_of(&key), &key, || 0) = value;
}

#[test]
fn what_stands_alone_says_nothing_of_what_is_gone_and_an_increment_does() {
    let mut table = Table::new();
    (1..=3).for_each(|key| set(&mut table, key, 10));
    let full = snapshot(&mut table, SnapshotScope::Full);
    set(&mut table, 1, 11);
    table.remove(hash_of(&2), &2);
    set(&mut table, 4, 10);
    let first = snapshot(&mut table, SnapshotScope::Increment);
    set(&mut table, 1, 12);
    table.remove(hash_of(&4), &4);
    let second = snapshot(&mut table, SnapshotScope::Increment);

    let all = [full, first.clone(), second.clone()];
    let alone = compacted(&types(), &all, SnapshotKind::KeyedFull, 1 << 20);
    assert_eq!(frames_of(&alone), ["+1=12", "+3=10"]);
    let increment = compacted(
        &types(),
        &[first, second],
        SnapshotKind::KeyedIncrement,
        1 << 20,
    );
    // That 4 was never in what is older, an increment does not know.
    assert_eq!(frames_of(&increment), ["+1=12", "-2", "-4"]);
}

#[test]
fn what_was_forgotten_as_a_whole_is_not_written_again() {
    let mut table = Table::new();
    (0..5_000).for_each(|key| set(&mut table, key, 10));
    let full = snapshot(&mut table, SnapshotScope::Full);
    while table.pop().is_some() {}
    set(&mut table, 7, 20);
    let emptied = snapshot(&mut table, SnapshotScope::Increment);
    set(&mut table, 8, 30);
    let after = snapshot(&mut table, SnapshotScope::Increment);
    let increments = [emptied, after];
    let increment = compacted(&types(), &increments, SnapshotKind::KeyedIncrement, 1 << 20);
    assert_eq!(frames_of(&increment), ["+7=20", "+8=30", "clear"]);
    let all = [full, increments[0].clone(), increments[1].clone()];
    let alone = compacted(&types(), &all, SnapshotKind::KeyedFull, 1 << 20);
    assert_eq!(frames_of(&alone), ["+7=20", "+8=30"]);
}

#[test]
fn a_chain_without_entries_becomes_a_header_that_stands_alone() {
    let mut table = Table::new();
    let chain = [
        snapshot(&mut table, SnapshotScope::Full),
        snapshot(&mut table, SnapshotScope::Increment),
    ];
    let alone = compacted(&types(), &chain, SnapshotKind::KeyedFull, 1 << 20);
    assert_eq!(alone.len(), 1);
    assert_eq!(alone[0].len(), frames::HEADER_LEN);
}

/// Memory that counts the bytes that are read.
#[derive(Debug, Default)]
struct Counting {
    memory: MemoryStorage,
    read: AtomicU64,
}

impl Counting {
    fn count(&self, bytes: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let read = bytes.as_ref().map_or(0, Vec::len) as u64;
        self.read.fetch_add(read, Ordering::Relaxed);
        bytes
    }
}

impl CheckpointStorage for Counting {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        self.memory.create(name, bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.memory.write(name, bytes)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.count(self.memory.read(name)?))
    }

    fn read_range(&self, name: &str, range: Range<u64>) -> Result<Option<Vec<u8>>> {
        Ok(self.count(self.memory.read_range(name, range)?))
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

/// A compaction of a table of so many keys, of which each increment changes some.
fn large(storage: &Arc<Counting>, keys: u64) -> (Compaction, StateStore) {
    changed(storage, keys, |table, epoch| {
        (0..keys).step_by(97).for_each(|key| set(table, key, epoch));
    })
}

/// A compaction of a table of so many keys, in which `change` happens before each increment.
fn changed(
    storage: &Arc<Counting>,
    keys: u64,
    change: impl Fn(&mut Table, u64),
) -> (Compaction, StateStore) {
    let store = StateStore::new(Arc::clone(storage) as Arc<_>, Generation(1), 1);
    let subtask = SubtaskId {
        stage: StageId::new("sums"),
        worker: WorkerIndex(0),
    };
    let mut table = Table::new();
    (0..keys).for_each(|key| set(&mut table, key, 1));
    let mut refs = Vec::new();
    for epoch in 1..=5 {
        let (scope, kind) = if epoch == 1 {
            (SnapshotScope::Full, SnapshotKind::KeyedFull)
        } else {
            (SnapshotScope::Increment, SnapshotKind::KeyedIncrement)
        };
        let object = snapshot(&mut table, scope);
        let written = store.write(&subtask, Epoch(epoch), 0, kind, &object);
        refs.push(written.expect("nothing fails in memory"));
        change(&mut table, epoch);
    }
    let order = CompactionOrder {
        number: 3,
        refs,
        bytes: 0,
        kind: SnapshotKind::KeyedFull,
        due: Epoch(9),
        part_bytes: 100_000,
        stop: Stop::default(),
    };
    (
        Compaction::new(order, types(), store.clone(), subtask),
        store,
    )
}

#[test]
fn a_compaction_goes_on_in_small_steps_and_keeps_little_in_memory() {
    let storage = Arc::new(Counting::default());
    let (mut compaction, store) = large(&storage, 200_000);
    let mut most = 0;
    while compaction.step(ROOM).expect("it is whole") == Progress::More {
        if let Stage::Merging(_, Some(present)) = &compaction.stage {
            most = most.max(present.merge.waiting());
        }
    }
    // A segment has up to 13,107 entries, within which a snapshot is in no order.
    assert!(most < 100_000, "{most} of 200,000 entries waited at once");
    let compacted = compaction.finish().expect("nothing fails in memory");
    assert_eq!(compacted.entries, 200_000);
    assert!(compacted.refs.len() > 5, "parts of 100,000 bytes");
    for reference in &compacted.refs {
        let Location::Object { name, len, .. } = &reference.location else {
            panic!("a part is an object");
        };
        assert!(
            name.contains("-e00000000000000000009-sums-w0-c3-"),
            "{name}"
        );
        assert!(*len < 300_000, "{len}");
        store.read(reference).expect("it is durable");
    }
}

#[test]
fn the_entries_of_a_compacted_snapshot_stand_in_the_order_of_their_hashes() {
    let storage = Arc::new(Counting::default());
    let (compaction, store) = large(&storage, 50_000);
    let compacted = compaction.run(ROOM).expect("it is whole");
    let mut last = 0;
    for reference in &compacted.refs {
        let object = store.read(reference).expect("it was written");
        frames::read::<u64, u64>(&object, LogicKind::Values, share_of_all(), |frame| {
            if let Frame::Entries(_, entries) = frame {
                for (hash, ..) in entries {
                    assert!(hash >= last);
                    last = hash;
                }
            }
        })
        .expect("it is whole");
    }
}

/// It kept the objects of all increments from their first frame to their last, however many there were: of
/// a stage with several tables that is nearly all the time.
#[test]
fn a_compaction_keeps_no_more_of_what_it_reads_than_there_is_room_for_and_hardly_reads_it_again() {
    let storage = Arc::new(Counting::default());
    // Much is removed, and stands in front of what is set.
    let changed = || {
        changed(&storage, 50_000, |table, epoch| {
            let fifth = |n: u64| (n % 5..50_000).step_by(5);
            fifth(epoch).for_each(|key| _ = table.remove(hash_of(&key), &key));
            fifth(epoch + 1).for_each(|key| set(table, key, epoch));
        })
    };
    let (compaction, store) = changed();
    let all: u64 = compaction.order.refs.iter().map(SnapshotRef::len).sum();
    let at_once = compaction.run(ROOM).expect("it is whole");
    let written = |refs: &[SnapshotRef]| -> Vec<Vec<u8>> {
        let read = |reference| store.read(reference).expect("it was written");
        refs.iter().map(read).collect()
    };
    let expected = written(&at_once.refs);
    // More than a frame takes, and less than all objects are together.
    for room in [30_000, 100_000, 200_000] {
        let (mut compaction, _) = changed();
        storage.read.store(0, Ordering::Relaxed);
        while compaction.step(room).expect("it is whole") == Progress::More {
            assert!(compaction.held() <= room, "{} of {room}", compaction.held());
        }
        let read = storage.read.load(Ordering::Relaxed);
        assert!(read <= 3 * all, "{read} bytes were read of {all}: {room}");
        let compacted = compaction.finish().expect("nothing fails in memory");
        assert!(written(&compacted.refs) == expected, "{room}");
    }
}

#[test]
fn a_compaction_that_rests_lets_go_of_what_it_has_read_and_goes_on_behind_it() {
    let storage = Arc::new(Counting::default());
    let (mut compaction, _) = large(&storage, 5_000);
    let mut held = 0;
    while compaction.step(ROOM).expect("it is whole") == Progress::More {
        held += compaction.held();
        compaction.rest();
        assert_eq!(compaction.held(), 0);
    }
    assert!(held > 0);
    let compacted = compaction.finish().expect("nothing fails in memory");
    assert_eq!(compacted.entries, 5_000);
}

#[test]
fn what_is_read_again_is_checked_again() {
    let storage = Arc::new(Counting::default());
    let (mut compaction, _) = large(&storage, 5_000);
    while matches!(compaction.stage, Stage::Looking(_)) {
        let progress = compaction.step(0).expect("it is whole");
        assert_eq!(progress, Progress::More);
    }
    let Location::Object { name, .. } = &compaction.order.refs[0].location else {
        panic!("a full snapshot is an object");
    };
    let name = name.clone();
    let mut bytes = storage
        .read(&name)
        .expect("in memory")
        .expect("it is there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    storage.write(&name, &bytes).expect("in memory");
    let error = compaction.run(0).expect_err("a bit was changed");
    assert!(error.to_string().contains(&name), "{error}");
}

#[test]
fn a_damaged_object_ends_the_compaction() {
    let storage = Arc::new(Counting::default());
    let (compaction, _) = large(&storage, 5_000);
    let order = compaction.order.clone();
    let Location::Object { name, .. } = &order.refs[0].location else {
        panic!("a full snapshot is an object");
    };
    storage.write(name, b"damaged").expect("in memory");
    let error = compaction.run(ROOM).expect_err("an object is damaged");
    assert!(error.to_string().contains(name), "{error}");
}
