//! Giving a stage its state back, from the snapshots of its former subtasks.

use std::sync::mpsc::sync_channel;
use std::thread::{self, Builder};

use super::KeyedLogic;
use super::share::Share;
use crate::error::Result;
use crate::ids::KeyGroupRange;
use crate::protocol::SnapshotRef;

/// What a former subtask of the stage left.
pub(crate) struct Former<'a> {
    /// The key groups that it owned.
    pub(crate) range: KeyGroupRange,
    /// Its snapshot, oldest part first.
    pub(crate) refs: &'a [SnapshotRef],
}

/// Restores the share of a stage; `read` fetches the bytes behind a reference.
///
/// Subtasks pass a barrier at different watermarks. One that was ahead must not make records late
/// that were not late for the subtask whose they were, so that the least watermark counts, and
/// only of the subtasks whose key groups are restored.
///
/// # Errors
///
/// Those of `read` and of the logic; `Unavailable` if the restore is given up meanwhile.
pub(crate) fn restore_from<'a, L: KeyedLogic>(
    logic: &mut L,
    share: Share<'_>,
    former: impl IntoIterator<Item = Former<'a>>,
    read: impl Fn(&SnapshotRef) -> Result<Vec<u8>> + Sync,
) -> Result<()> {
    let read = |reference: &SnapshotRef| {
        share.check()?;
        read(reference)
    };
    let mut least = i64::MAX;
    for Former { refs, .. } in former
        .into_iter()
        .filter(|former| former.range.overlaps(share.range()))
    {
        set_watermark(logic, i64::MIN);
        read_ahead(Builder::new(), refs, &read, |object| {
            share.check()?;
            logic.restore(object, share)
        })?;
        least = least.min(logic.watermark().map_or(i64::MIN, |watermark| *watermark));
        set_watermark(logic, least);
    }
    Ok(())
}

/// Bytes below which objects are read before a thread has begun.
const WORTH_A_THREAD: u64 = 8 << 20;

/// Reads objects and takes them in, in their order; where they are many, the next one is read meanwhile,
/// on a thread that `builder` starts, if it can.
fn read_ahead(
    builder: Builder,
    refs: &[SnapshotRef],
    read: &(impl Fn(&SnapshotRef) -> Result<Vec<u8>> + Sync),
    mut take_in: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    if refs.iter().map(SnapshotRef::len).sum::<u64>() < WORTH_A_THREAD {
        return read_in_turn(refs, read, take_in);
    }
    thread::scope(|scope| {
        // No object is read before the one before is wanted: two are in memory.
        let (objects, read_ones) = sync_channel(0);
        let read_all = move || {
            for reference in refs {
                if objects.send(read(reference)).is_err() {
                    // What was read before could not be taken in.
                    return;
                }
            }
        };
        if builder.spawn_scoped(scope, read_all).is_err() {
            return read_in_turn(refs, read, take_in);
        }
        read_ones
            .into_iter()
            .try_for_each(|object| take_in(&object?))
    })
}

/// As [`read_ahead`], without another thread.
fn read_in_turn(
    refs: &[SnapshotRef],
    read: &impl Fn(&SnapshotRef) -> Result<Vec<u8>>,
    mut take_in: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    refs.iter()
        .try_for_each(|reference| take_in(&read(reference)?))
}

fn set_watermark<L: KeyedLogic>(logic: &mut L, to: i64) {
    if let Some(watermark) = logic.watermark() {
        *watermark = to;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::error::Error;
    use crate::protocol::{Location, SnapshotKind};
    use crate::record::{Keyed, Rec, Untimed};
    use crate::state::testing::{GROUPS, cannot_start, ranges, snapshot};
    use crate::state::{Fold, SnapshotScope};

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
        for (len, builder) in [
            (10, Builder::new as fn() -> Builder),
            (WORTH_A_THREAD, Builder::new),
            (WORTH_A_THREAD, cannot_start),
        ] {
            let mut taken = Vec::new();
            let all = read_ahead(builder(), &chain(len), &name_of, |object| {
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
            let unread = read_ahead(builder(), &chain(len), &fails, |object| {
                taken.extend_from_slice(object);
                Ok(())
            });
            assert!(unread.is_err());
            assert_eq!(taken, b"012");

            let mut taken = 0;
            let damaged = read_ahead(builder(), &chain(len), &name_of, |_| {
                taken += 1;
                Err(Error::corrupt("it does not decode"))
            });
            assert!(damaged.is_err());
            assert_eq!(taken, 1);
        }
    }

    type Sum = fn(&mut u64, u64);

    fn sum() -> Fold<u64, Untimed, u64, u64, Sum> {
        Fold::new(0, |sum, value| *sum += value)
    }

    #[test]
    fn a_restore_that_is_given_up_takes_in_no_further_object() {
        let mut logic = sum();
        let mut batch = vec![Rec {
            key: Keyed(7),
            time: Untimed,
            value: 1,
        }];
        logic.process(&mut batch, i64::MIN, &mut Vec::new(), &mut Vec::new());
        let object = snapshot(&mut logic, SnapshotScope::Full);
        for len in [10, WORTH_A_THREAD] {
            let given_up = AtomicBool::new(false);
            let share = Share::new(GROUPS, ranges(1)[0], &given_up);
            let read = |reference: &SnapshotRef| {
                if name_of(reference)? == b"1" {
                    given_up.store(true, Ordering::Relaxed);
                }
                Ok(object.clone())
            };
            let refs = chain(len);
            let former = Former {
                range: share.range(),
                refs: &refs,
            };
            let error = restore_from(&mut sum(), share, [former], read).expect_err("given up");
            assert!(error.message().contains("given up"), "{error}");
        }
    }
}
