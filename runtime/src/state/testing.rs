//! What tests of stages have in common: taking a snapshot, and restoring it on some workers.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::Builder;

use xxhash_rust::xxh3::xxh3_64;

use crate::ids::{
    Epoch, Generation, KeyGroupCount, KeyGroupRange, StageId, SubtaskId, WorkerIndex,
};
use crate::protocol::{Location, SnapshotKind, SnapshotRef};
use crate::storage::MemoryStorage;

use super::chain::ChainLimits;
use super::compaction::{Compaction, CompactionOrder, Stop, TableTypes};
use super::logic::{KeyedLogic, SnapshotScope};
use super::share::Share;
use super::store::StateStore;

pub(crate) const GROUPS: KeyGroupCount = KeyGroupCount::DEFAULT;

/// The share of a subtask with these groups, which is not given up.
pub(crate) fn share(range: KeyGroupRange) -> Share<'static> {
    static NEVER: AtomicBool = AtomicBool::new(false);
    Share::new(GROUPS, range, &NEVER)
}

/// What starts no thread: no machine has so much room for its stack.
pub(crate) fn cannot_start() -> Builder {
    Builder::new().stack_size(1 << 47)
}

/// All of a snapshot.
pub(crate) fn share_of_all() -> Share<'static> {
    share(ranges(1)[0])
}

/// The groups of each of `worker_count` workers.
pub(crate) fn ranges(worker_count: usize) -> Vec<KeyGroupRange> {
    (0..worker_count)
        .map(|worker| GROUPS.range_of(WorkerIndex(worker as u32), worker_count))
        .collect()
}

/// A snapshot taken at once.
pub(crate) fn snapshot(logic: &mut impl KeyedLogic, scope: SnapshotScope) -> Vec<u8> {
    logic.freeze(scope);
    let mut object = Vec::new();
    copy_rest(logic, &mut object);
    object
}

/// Hands over all that is left of the frozen image.
pub(crate) fn copy_rest(logic: &mut impl KeyedLogic, object: &mut Vec<u8>) {
    while let Some(chunk) = logic.copy_frozen(7) {
        chunk.encode(object).expect("the types of the tests encode");
    }
}

/// The same in other objects: neighbours in the chain become one snapshot. Which ones, the bytes decide.
pub(crate) fn compacted_somewhere(types: &TableTypes, chain: &[Vec<u8>]) -> Vec<Vec<u8>> {
    if chain.is_empty() {
        return Vec::new();
    }
    let chance = xxh3_64(&chain.concat()) as usize;
    let start = chance % chain.len();
    let end = start + 1 + (chance >> 16) % (chain.len() - start);
    // One that stands alone begins the chain.
    let kind = if start == 0 {
        SnapshotKind::KeyedFull
    } else {
        SnapshotKind::KeyedIncrement
    };
    let part_bytes = [100, 3_000, ChainLimits::default().part_bytes][(chance >> 32) % 3];
    let mut objects = chain[..start].to_vec();
    objects.extend(compacted(types, &chain[start..end], kind, part_bytes));
    objects.extend_from_slice(&chain[end..]);
    objects
}

/// What a compaction makes of some objects.
pub(crate) fn compacted(
    types: &TableTypes,
    objects: &[Vec<u8>],
    kind: SnapshotKind,
    part_bytes: usize,
) -> Vec<Vec<u8>> {
    let inline = |object: &Vec<u8>| SnapshotRef {
        kind,
        location: Location::Inline(object.clone()),
    };
    let order = CompactionOrder {
        number: 1,
        refs: objects.iter().map(inline).collect(),
        bytes: 0,
        kind,
        due: Epoch(7),
        part_bytes,
        stop: Stop::default(),
    };
    let store = StateStore::new(Arc::new(MemoryStorage::new()), Generation(1), 1);
    let subtask = SubtaskId {
        stage: StageId::new("compacted"),
        worker: WorkerIndex(0),
    };
    let compaction = Compaction::new(order, types.clone(), store.clone(), subtask);
    // Frame by frame, as where memory is short; or at once.
    let room = if part_bytes < 1_000 { 0 } else { usize::MAX };
    let compacted = compaction.run(room).expect("whole objects are compacted");
    let read = |reference| store.read(reference).expect("it was written");
    compacted.refs.iter().map(read).collect()
}

/// One stage for each worker, with the state that a chain of snapshots holds for it.
pub(crate) fn restore<L: KeyedLogic>(
    make: impl Fn() -> L,
    chain: &[Vec<u8>],
    worker_count: usize,
) -> Vec<L> {
    let restore_one = |range| {
        let mut logic = make();
        let types = logic.table_types().expect("the stage has tables");
        for object in &compacted_somewhere(&types, chain) {
            logic
                .restore(object, share(range))
                .expect("a whole snapshot is restored");
        }
        logic
    };
    ranges(worker_count).into_iter().map(restore_one).collect()
}
