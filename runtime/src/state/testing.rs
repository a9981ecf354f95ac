//! What tests of stages have in common: taking a snapshot, and restoring it on some workers.

use crate::ids::{KeyGroupCount, KeyGroupRange, WorkerIndex};

use super::logic::{KeyedLogic, SnapshotScope};

pub(crate) const GROUPS: KeyGroupCount = KeyGroupCount::DEFAULT;

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

/// One stage for each worker, with the state that a chain of snapshots holds for it.
pub(crate) fn restore<L: KeyedLogic>(
    make: impl Fn() -> L,
    chain: &[Vec<u8>],
    worker_count: usize,
) -> Vec<L> {
    let restore_one = |range| {
        let mut logic = make();
        for object in chain {
            logic
                .restore(object, GROUPS, range)
                .expect("a whole snapshot is restored");
        }
        logic
    };
    ranges(worker_count).into_iter().map(restore_one).collect()
}
