//! Windows whose keys are in RocksDB.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::ids::{Generation, StageId, SubtaskId, WorkerIndex};
use crate::settings::{RocksDbSettings, StateBackend};
use crate::state::testing::{GROUPS, ranges};
use crate::state::{Backend, Restoring, Share, StageBackend, StateStore, WorkPlace};
use crate::storage::MemoryStorage;
use crate::window::{Tumbling, WindowSpec};

const KEYS: u64 = 10_000;

/// Adds records of keys at a time. Whether the stage was asked to give memory back.
fn batch(logic: &mut impl Stage, home: &StageBackend, (keys, time): (Range<u64>, i64)) -> bool {
    let records: Vec<_> = keys.map(|key| (key, time, 1)).collect();
    let (_, late) = add(logic, i64::MIN, &records);
    assert_eq!(late, []);
    let is_pressed = home.is_pressed();
    if is_pressed {
        logic.give_back();
    }
    home.check().expect("the database works");
    is_pressed
}

/// A window that has fired, and is kept for late records, holds the whole cache of its stage. It is not asked
/// for anything; the next one asked for room with each batch, and never got any.
#[test]
fn a_window_that_is_kept_for_late_records_leaves_room_to_the_next_one() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let settings = StateBackend::RocksDb(RocksDbSettings {
        memory_budget: 1 << 20,
        work_dir: None,
    });
    let place = WorkPlace {
        root: dir.path().to_owned(),
        name: "run".to_owned(),
    };
    let backend = Backend::start(&settings, place, 1).expect("a directory is made");
    let mut logic = Tumbling::new(10).expect("a size").logic(1_000, stats());
    let subtask = SubtaskId {
        stage: StageId::new("windows"),
        worker: WorkerIndex(0),
    };
    let given_up = AtomicBool::new(false);
    let restoring = Restoring {
        subtask: &subtask,
        share: Share::new(GROUPS, ranges(1)[0], &given_up),
        former: Vec::new(),
        store: &StateStore::new(Arc::new(MemoryStorage::new()), Generation(1), 1),
        evolving: None,
    };
    let home = backend.open(&mut logic, &restoring).expect("a database");
    for first in (0..KEYS).step_by(500) {
        batch(&mut logic, &home, (first..first + 500, 0));
    }
    assert_eq!(fire_all(&mut logic, 10, 100).len() as u64, KEYS);
    let next = (0..1_000, 12);
    assert!(batch(&mut logic, &home, next.clone()), "the cache is full");
    for _ in 0..5 {
        batch(&mut logic, &home, next.clone());
    }
    assert!(
        !batch(&mut logic, &home, next),
        "there is room for all of them"
    );
    assert_eq!(fire_all(&mut logic, 20, 100).len(), 1_000);
}
