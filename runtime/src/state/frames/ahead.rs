//! Reading a large object on two threads: one decodes frames, the other takes them in, in their order.

use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::error::Result;
use crate::key::Key;
use crate::state::span::HashSpan;
use crate::state::types::State;

use super::{Frame, LogicKind, read_stored};

/// Objects below this many bytes are read before a thread has begun.
pub(super) const WORTH_A_THREAD: usize = 1 << 20;

/// Frames that are decoded ahead.
const AHEAD: usize = 32;

/// As [`read`](super::read).
pub(super) fn read<K: Key, V: State>(
    object: &[u8],
    kind: LogicKind,
    owned: HashSpan,
    mut apply: impl FnMut(Frame<K, V>),
) -> Result<()> {
    let (frames, decoded) = sync_channel(AHEAD);
    thread::scope(|scope| {
        let decoding = scope.spawn(move || {
            read_stored(object, kind, owned, |stored| {
                // Nobody takes it in any more: a panic is on its way out of there.
                let _ = frames.send(stored.decode::<K, V>(owned)?);
                Ok(())
            })
        });
        decoded.into_iter().for_each(&mut apply);
        // What panics is the `Deserialize` of a state type, and it does so for whoever reads it.
        decoding.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::hash_of;
    use crate::state::frames::index::put_entries;
    use crate::state::frames::{Namespace, Preamble};

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
        let (mut keys, mut first) = (Vec::new(), Vec::new());
        super::super::read::<u64, u64>(
            &bytes,
            LogicKind::Values,
            HashSpan::ALL,
            |frame| match frame {
                Frame::Watermark(watermark) => first.push(watermark),
                Frame::Clear(..) => first.push(-1),
                Frame::Removed(..) => panic!("nothing was removed"),
                Frame::Entries(_, entries) => keys.extend(entries.iter().map(|(_, key, _)| *key)),
            },
        )
        .expect("it is whole");
        assert_eq!(first, [5, -1]);
        assert!(keys.into_iter().eq(0..200_000));
    }

    #[test]
    fn an_error_in_a_large_object_comes_behind_what_stands_before_it() {
        let mut bytes = object(200_000);
        bytes.truncate(bytes.len() - 1);
        let mut keys = 0;
        let read = read::<u64, u64>(&bytes, LogicKind::Values, HashSpan::ALL, |frame| {
            if let Frame::Entries(_, entries) = frame {
                keys += entries.len();
            }
        });
        assert!(read.is_err());
        assert!(keys > 190_000, "{keys}");
    }
}
