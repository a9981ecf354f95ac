//! Where the frames of an object stand: so that they are read in another order than they come in.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::Result;
use crate::key::Key;
use crate::state::span::HashSpan;
use crate::state::types::State;

use super::{
    CLEAR, ENTRIES, LogicKind, Namespace, REMOVED, Reader, Stored, StoredTable, corrupt, put,
    read_stored,
};

/// What stands in an object, without what it holds.
pub(crate) struct Index {
    /// The greatest watermark of its headers.
    pub(crate) watermark: i64,
    /// The frames of its tables, in their order.
    pub(crate) frames: Vec<FrameAt>,
}

/// Where a frame of a table stands.
#[derive(Clone, Debug)]
pub(crate) struct FrameAt {
    pub(crate) namespace: Namespace,
    pub(crate) span: HashSpan,
    tag: u8,
    /// Its payload, behind namespace and span.
    pub(crate) payload: Range<usize>,
    /// xxh3-64 of that: an object is read again in parts, and its checksum is that of the whole.
    checksum: u64,
}

impl Index {
    /// Looks through an object of a stage of this kind.
    ///
    /// # Errors
    ///
    /// As [`read`](super::read), but for what stands in the frames.
    pub(crate) fn of(object: &[u8], kind: LogicKind) -> Result<Self> {
        let mut index = Self {
            watermark: i64::MIN,
            frames: Vec::new(),
        };
        read_stored(object, kind, HashSpan::ALL, |stored| {
            match stored {
                Stored::Watermark(watermark) => index.watermark = watermark.max(index.watermark),
                Stored::Table(table) => {
                    let payload = table.payload.0;
                    let start = payload.as_ptr().addr() - object.as_ptr().addr();
                    index.frames.push(FrameAt {
                        namespace: table.namespace,
                        span: table.span,
                        tag: table.tag,
                        payload: start..start + payload.len(),
                        checksum: xxh3_64(payload),
                    });
                }
            }
            Ok(())
        })?;
        Ok(index)
    }
}

impl FrameAt {
    /// Whether the frame says that its whole span is to be forgotten.
    pub(crate) const fn is_clear(&self) -> bool {
        self.tag == CLEAR
    }

    /// Whether the frame lists keys that are to be forgotten.
    pub(crate) const fn is_removed(&self) -> bool {
        self.tag == REMOVED
    }

    /// The frame with this payload.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the payload is not what it was.
    pub(crate) fn of<'a>(&self, payload: &'a [u8]) -> Result<StoredTable<'a>> {
        if xxh3_64(payload) != self.checksum {
            return Err(corrupt("a frame has changed since it was last read"));
        }
        Ok(StoredTable {
            tag: self.tag,
            namespace: self.namespace,
            span: self.span,
            payload: Reader(payload),
        })
    }
}

impl StoredTable<'_> {
    /// The bytes of what it holds.
    pub(crate) const fn len(&self) -> usize {
        self.payload.0.len()
    }
}

/// Writes frames that set keys.
pub(crate) fn put_entries<K: Key, V: State>(
    bytes: &mut Vec<u8>,
    namespace: Namespace,
    entries: &[(K, V)],
) -> Result<()> {
    put(bytes, ENTRIES, namespace, entries, |(key, _)| key)
}

/// Writes frames that forget keys.
pub(crate) fn put_removed<K: Key>(
    bytes: &mut Vec<u8>,
    namespace: Namespace,
    removed: &[K],
) -> Result<()> {
    put(bytes, REMOVED, namespace, removed, |key| key)
}
