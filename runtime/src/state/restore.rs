//! Giving a stage its state back, from the snapshots of its former subtasks.

use super::KeyedLogic;
use crate::error::Result;
use crate::ids::{KeyGroupCount, KeyGroupRange};
use crate::protocol::SnapshotRef;

/// What a former subtask of the stage left.
pub(crate) struct Former<'a> {
    /// The key groups that it owned.
    pub(crate) range: KeyGroupRange,
    /// Its snapshot, oldest part first.
    pub(crate) refs: &'a [SnapshotRef],
}

/// Restores the key groups in `range` of a stage; `read` fetches the bytes behind a reference.
///
/// Subtasks pass a barrier at different watermarks. One that was ahead must not make records late
/// that were not late for the subtask whose they were, so that the least watermark counts, and
/// only of the subtasks whose key groups are restored.
pub(crate) fn restore_from<'a, L: KeyedLogic>(
    logic: &mut L,
    groups: KeyGroupCount,
    range: KeyGroupRange,
    former: impl IntoIterator<Item = Former<'a>>,
    read: impl Fn(&SnapshotRef) -> Result<Vec<u8>>,
) -> Result<()> {
    let mut least = i64::MAX;
    for Former { refs, .. } in former
        .into_iter()
        .filter(|former| former.range.overlaps(range))
    {
        set_watermark(logic, i64::MIN);
        for reference in refs {
            logic.restore(&read(reference)?, groups, range)?;
        }
        least = least.min(logic.watermark().map_or(i64::MIN, |watermark| *watermark));
        set_watermark(logic, least);
    }
    Ok(())
}

fn set_watermark<L: KeyedLogic>(logic: &mut L, to: i64) {
    if let Some(watermark) = logic.watermark() {
        *watermark = to;
    }
}
