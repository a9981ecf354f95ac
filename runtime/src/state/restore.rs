//! Giving a stage its state back, from the snapshots of its former subtasks.

use std::sync::mpsc::sync_channel;
use std::thread;

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
    read: impl Fn(&SnapshotRef) -> Result<Vec<u8>> + Sync,
) -> Result<()> {
    let mut least = i64::MAX;
    for Former { refs, .. } in former
        .into_iter()
        .filter(|former| former.range.overlaps(range))
    {
        set_watermark(logic, i64::MIN);
        read_ahead(refs, &read, |object| logic.restore(object, groups, range))?;
        least = least.min(logic.watermark().map_or(i64::MIN, |watermark| *watermark));
        set_watermark(logic, least);
    }
    Ok(())
}

/// Bytes below which objects are read before a thread has begun.
const WORTH_A_THREAD: u64 = 8 << 20;

/// Reads objects and takes them in, in their order; where they are many, the next one is read meanwhile.
fn read_ahead(
    refs: &[SnapshotRef],
    read: &(impl Fn(&SnapshotRef) -> Result<Vec<u8>> + Sync),
    mut take_in: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    if refs.iter().map(SnapshotRef::len).sum::<u64>() < WORTH_A_THREAD {
        return refs
            .iter()
            .try_for_each(|reference| take_in(&read(reference)?));
    }
    thread::scope(|scope| {
        // No object is read before the one before is wanted: two are in memory.
        let (objects, read_ones) = sync_channel(0);
        scope.spawn(move || {
            for reference in refs {
                if objects.send(read(reference)).is_err() {
                    // What was read before could not be taken in.
                    return;
                }
            }
        });
        read_ones
            .into_iter()
            .try_for_each(|object| take_in(&object?))
    })
}

fn set_watermark<L: KeyedLogic>(logic: &mut L, to: i64) {
    if let Some(watermark) = logic.watermark() {
        *watermark = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::protocol::{Location, SnapshotKind};

    /// Objects of a chain that are large, or small ones, named by their places in it.
    fn chain(len: u64) -> Vec<SnapshotRef> {
        let object = |at: u64| SnapshotRef {
            kind: SnapshotKind::KeyedIncrement,
            location: Location::Object {
                name: at.to_string(),
                len,
                checksum: 0,
            },
        };
        (0..5).map(object).collect()
    }

    fn name_of(reference: &SnapshotRef) -> Result<Vec<u8>> {
        match &reference.location {
            Location::Inline(_) => Err(Error::internal("the tests have objects")),
            Location::Object { name, .. } => Ok(name.clone().into_bytes()),
        }
    }

    #[test]
    fn objects_are_taken_in_in_their_order_and_up_to_the_first_error_however_large_they_are() {
        for len in [10, WORTH_A_THREAD] {
            let mut taken = Vec::new();
            let all = read_ahead(&chain(len), &name_of, |object| {
                taken.extend_from_slice(object);
                Ok(())
            });
            assert!(all.is_ok());
            assert_eq!(taken, b"01234");

            let fails = |reference: &SnapshotRef| match name_of(reference)?.as_slice() {
                b"3" => Err(Error::unavailable("it cannot be read")),
                name => Ok(name.to_vec()),
            };
            let mut taken = Vec::new();
            let unread = read_ahead(&chain(len), &fails, |object| {
                taken.extend_from_slice(object);
                Ok(())
            });
            assert!(unread.is_err());
            assert_eq!(taken, b"012");

            let mut taken = 0;
            let damaged = read_ahead(&chain(len), &name_of, |_| {
                taken += 1;
                Err(Error::corrupt("it does not decode"))
            });
            assert!(damaged.is_err());
            assert_eq!(taken, 1);
        }
    }
}
