//! Windows restored from the snapshots of several subtasks.

use std::sync::atomic::AtomicBool;

use crate::ids::{KeyGroupCount, WorkerIndex};
use crate::key::hash_of;
use crate::protocol::{Location, SnapshotKind, SnapshotRef};
use crate::record::{Keyed, Rec, Timed};
use crate::state::{Former, KeyedLogic, Share, SnapshotScope, restore_from};
use crate::window::{ByFold, Tumbling, WindowSpec};

type Sum = fn(&mut u64, u64);

fn windows() -> impl KeyedLogic<In = Rec<Keyed<u64>, Timed, u64>> {
    let sum: Sum = |sum, value| *sum += value;
    let spec = Tumbling::new(10).expect("10 ms is a size");
    WindowSpec::<u64, u64, _>::logic(spec, 0, ByFold::new(0_u64, sum))
}

/// A snapshot of a subtask at this watermark.
fn snapshot_at(watermark: i64) -> SnapshotRef {
    let mut logic = windows();
    let _ = logic.fire(watermark, &mut Vec::new(), 1);
    logic.freeze(SnapshotScope::Full);
    let mut bytes = Vec::new();
    while let Some(chunk) = logic.copy_frozen(1_000) {
        chunk.encode(&mut bytes).expect("numbers are encoded");
    }
    SnapshotRef {
        kind: SnapshotKind::KeyedFull,
        location: Location::Inline(bytes),
    }
}

/// Whether a record of this time is late on worker 0 of `worker_count`, restored from two workers.
fn is_late(time: i64, watermarks: [i64; 2], worker: u32, worker_count: usize) -> bool {
    let groups = KeyGroupCount::DEFAULT;
    let refs = watermarks.map(|watermark| vec![snapshot_at(watermark)]);
    let former = refs.iter().zip(0..).map(|(refs, former)| Former {
        range: groups.range_of(WorkerIndex(former), 2),
        refs,
    });
    let read = |reference: &SnapshotRef| match &reference.location {
        Location::Inline(bytes) => Ok(bytes.clone()),
        Location::Object { name, .. } => panic!("{name} is inline"),
    };
    let mut logic = windows();
    let range = groups.range_of(WorkerIndex(worker), worker_count);
    let never = AtomicBool::new(false);
    let share = Share::new(groups, range, &never);
    restore_from(&mut logic, share, former, read).expect("the snapshots are whole");
    let key = (0..1_000_000)
        .find(|key| range.contains(groups.group_of(hash_of(key))))
        .expect("each range holds a key");
    let mut late = Vec::new();
    logic.process(
        &mut vec![Rec {
            key: Keyed(key),
            time: Timed(time),
            value: 1,
        }],
        i64::MIN,
        &mut Vec::new(),
        &mut late,
    );
    !late.is_empty()
}

/// Worker 1 passed the barrier late, and saw a watermark to which worker 0 had already added records
/// of the next epoch. They are read again, and were not late for worker 0.
#[test]
fn the_watermark_of_one_subtask_makes_no_records_of_another_late() {
    assert!(!is_late(60, [50, 100], 0, 2), "its own watermark counts");
    assert!(is_late(60, [50, 100], 1, 2));
    assert!(is_late(40, [50, 100], 0, 2));
    assert!(
        !is_late(60, [50, 100], 0, 1),
        "the least watermark counts where both are restored"
    );
    assert!(!is_late(60, [100, 50], 0, 1));
    assert!(is_late(40, [100, 50], 0, 1));
    assert!(is_late(60, [50, 100], 3, 4));
}
