//! Reading a large object on two threads: one decodes frames, the other takes them in, in their order.

use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread::{self, Builder};

use crate::error::Result;
use crate::key::Key;
use crate::state::share::Share;
use crate::state::types::State;

use super::{Frame, LogicKind, read_in_turn};

/// Objects below this many bytes are read before a thread has begun.
pub(super) const WORTH_A_THREAD: usize = 1 << 20;

/// Frames that are decoded ahead.
const AHEAD: usize = 32;

/// As [`read`](super::read), on a thread that `builder` starts; where it cannot, on this one alone.
pub(super) fn read<K: Key, V: State>(
    builder: Builder,
    object: &[u8],
    kind: LogicKind,
    share: Share<'_>,
    mut apply: impl FnMut(Frame<K, V>),
) -> Result<()> {
    let (frames, decoded) = sync_channel(AHEAD);
    thread::scope(|scope| {
        let decode = move || {
            read_in_turn(object, kind, share, |frame: Frame<K, V>| {
                // If nobody takes it in any more, a panic is on its way out of there.
                let _ = frames.send(frame);
            })
        };
        let Ok(decoding) = builder.spawn_scoped(scope, decode) else {
            return read_in_turn(object, kind, share, apply);
        };
        decoded.into_iter().for_each(&mut apply);
        // What panics is the `Deserialize` of a state type, and it does so for whoever reads it.
        decoding.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::key::hash_of;
    use crate::state::frames::index::put_entries;
    use crate::state::frames::{Namespace, Preamble};
    use crate::state::span::HashSpan;
    use crate::state::testing::{GROUPS, cannot_start, ranges, share_of_all};

    fn object(keys: u64) -> Vec<u8> {
        let preamble = Preamble {
            kind: LogicKind::Values,
            watermark: 5,
            cleared: vec![(Namespace::Whole, HashSpan::ALL)],
        };
        let mut bytes = Vec::new();
        preamble.encode(&mut bytes);
        let entries: Vec<(u64, u64)> = (0..keys).map(|key| (key, hash_of(&key))).collect();
        put_entries(&mut bytes, Namespace::Whole, &entries).expect("integers encode");
        bytes
    }

    #[test]
    fn a_large_object_is_taken_in_frame_by_frame_in_its_order() {
        let bytes = object(200_000);
        assert!(bytes.len() >= WORTH_A_THREAD, "{}", bytes.len());
        for builder in [Builder::new(), cannot_start()] {
            let (mut keys, mut first) = (Vec::new(), Vec::new());
            let apply = |frame: Frame<u64, u64>| match frame {
                Frame::Watermark(watermark) => first.push(watermark),
                Frame::Clear(..) => first.push(-1),
                Frame::Removed(..) => panic!("nothing was removed"),
                Frame::Entries(_, entries) => keys.extend(entries.iter().map(|(_, key, _)| *key)),
            };
            read(builder, &bytes, LogicKind::Values, share_of_all(), apply).expect("it is whole");
            assert_eq!(first, [5, -1]);
            assert!(keys.into_iter().eq(0..200_000));
        }
    }

    #[test]
    fn an_error_in_a_large_object_comes_behind_what_stands_before_it() {
        let mut bytes = object(200_000);
        bytes.truncate(bytes.len() - 1);
        let mut keys = 0;
        let apply = |frame: Frame<u64, u64>| {
            if let Frame::Entries(_, entries) = frame {
                keys += entries.len();
            }
        };
        let builder = Builder::new();
        let read = read(builder, &bytes, LogicKind::Values, share_of_all(), apply);
        assert!(read.is_err());
        assert!(keys > 190_000, "{keys}");
    }

    /// The job had failed on another worker, and waited for this one to end: five seconds, behind which it
    /// began to restore beside it.
    #[test]
    fn a_restore_that_is_given_up_ends_within_a_few_frames() {
        let (bytes, given_up) = (object(200_000), AtomicBool::new(false));
        let share = Share::new(GROUPS, ranges(1)[0], &given_up);
        for (builder, most) in [(Builder::new(), AHEAD + 4), (cannot_start(), 1)] {
            given_up.store(false, Ordering::Relaxed);
            let mut frames = 0;
            let apply = |frame: Frame<u64, u64>| {
                if let Frame::Entries(..) = frame {
                    frames += 1;
                    given_up.store(true, Ordering::Relaxed);
                }
            };
            let read = read(builder, &bytes, LogicKind::Values, share, apply);
            assert!(read.is_err_and(|error| error.message().contains("given up")));
            assert!(frames <= most, "{frames} frames");
        }
    }
}
