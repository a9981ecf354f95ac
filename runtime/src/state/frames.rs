//! The bytes of a keyed snapshot: a sequence of frames, read strictly in order.
//!
//! All integers are little-endian. `bitcode` is the serde encoding of the `bitcode` crate, 0.6.
//! Objects that follow each other may also be joined into one: each frame says all that it means.
//!
//! ```text
//! object    := frame*
//! frame     := tag: u8, length: u32, payload: [u8; length]
//!
//! tag 1, header   (opens each object of a snapshot; a joined object has several)
//!   layout: u8     1
//!   logic: u8      1 values, 2 panes of windows, 3 sessions, 4 process
//!   watermark: i64 the stage's watermark at the freeze, in ms; the greatest of all headers counts
//!
//! tag 2, clear    (forget the entries of the namespace whose key hashes are in the span)
//!   namespace, span
//!
//! tag 3, removed  (forget these keys)
//!   namespace, span, count: u32, bitcode of a sequence of `count` keys
//!
//! tag 4, entries  (set these keys; a later entry of a key replaces an earlier one)
//!   namespace, span, count: u32, bitcode of a sequence of `count` pairs (key, value)
//!
//! tag 5, raw      (as tag 4, with the bytes that RocksDB held; stored nowhere)
//!   namespace, span, count: u32, count times: length: u32, key, length: u32, value
//!
//! namespace := table: u8, end: i64
//!              table 0: the only table of the stage, end = 0
//!              table 1: the pane that ends at `end`, values that have not fired
//!              table 2: the pane that ends at `end`, values that have fired and may fire again
//!              table 3: the value whose name has the xxh3-64 `end`
//!              table 4: the map of that name
//!              table 5: the list of that name, its bounds
//!              table 6: the list of that name, its items
//!              table 7: the timers of the stage, end = 0
//! span      := first: u64, last: u64   (inclusive bounds of the routing hashes of the keys)
//! ```
//!
//! A key group is the top bits of the routing hash. Entries are written nearly in the order of their
//! hashes, in frames of at most 1,024 whose spans are narrow, so that a worker that owns some of the
//! groups skips the frames of others. Nothing but that depends on the order.
//! Integrity is the business of the file around the object (length and checksum); what decodes
//! here is checked all the same, and never trusted for the size of an allocation.

mod ahead;
pub(crate) mod index;
#[cfg(feature = "rocksdb")]
mod raw;
mod reader;
pub(crate) mod untyped;

use std::thread::Builder;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::key::{Key, hash_of};

#[cfg(feature = "rocksdb")]
pub(crate) use self::raw::RawEntries;
use self::reader::Reader;
use super::share::Share;
use super::span::HashSpan;
use super::types::State;

const LAYOUT: u8 = 1;
const HEADER: u8 = 1;
const CLEAR: u8 = 2;
const REMOVED: u8 = 3;
const ENTRIES: u8 = 4;
const RAW: u8 = 5;

/// The bytes of a header's frame, with which every object of a snapshot begins.
pub(crate) const HEADER_LEN: usize = 1 + 4 + 10;

/// Keys in one frame, at most.
pub(crate) const FRAME_LIMIT: usize = 1_024;

/// Which stage wrote a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogicKind {
    /// A value for each key.
    Values = 1,
    /// A value for each key in each pane.
    Panes = 2,
    /// Sessions for each key.
    Sessions = 3,
    /// Named states for each key, and timers.
    Process = 4,
}

/// Which table of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Namespace {
    /// Its only one.
    Whole,
    /// The pane with this end: what has not fired.
    Waiting(i64),
    /// The pane with this end: what has fired, and may fire again.
    Fired(i64),
    /// The value whose name has this checksum.
    Value(u64),
    /// The map whose name has this checksum.
    Map(u64),
    /// The bounds of the list whose name has this checksum.
    Bounds(u64),
    /// The items of the list whose name has this checksum.
    Items(u64),
    /// The timers.
    Timers,
}

/// The frames that open a snapshot.
pub(crate) struct Preamble {
    pub(crate) kind: LogicKind,
    pub(crate) watermark: i64,
    pub(crate) cleared: Vec<(Namespace, HashSpan)>,
}

impl Preamble {
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        frame(bytes, HEADER, |bytes| {
            bytes.extend([LAYOUT, self.kind as u8]);
            bytes.extend(self.watermark.to_le_bytes());
        });
        for (namespace, span) in &self.cleared {
            frame(bytes, CLEAR, |bytes| put_place(bytes, *namespace, *span));
        }
    }
}

/// Some of a frozen table, cloned, to be encoded elsewhere.
pub(crate) struct FrozenPiece<K, V> {
    pub(crate) removed: Vec<K>,
    /// Keys that nobody asks for any more, to be dropped with the piece.
    pub(crate) unnamed: Vec<K>,
    /// Entries whose hashes are neighbours, nearly in order; no part is empty.
    pub(crate) entries: Vec<Vec<(K, V)>>,
    /// How much of its budget the piece took.
    pub(crate) cost: usize,
}

impl<K: Key, V: State> FrozenPiece<K, V> {
    /// The bytes of keys and values, beside what they hold on the heap.
    pub(crate) fn size(&self) -> usize {
        let entries: usize = self.entries.iter().map(Vec::len).sum();
        entries * size_of::<(K, V)>() + self.removed.len() * size_of::<K>()
    }

    pub(crate) fn encode(mut self, namespace: Namespace, bytes: &mut Vec<u8>) -> Result<()> {
        drop(self.unnamed);
        self.removed.sort_by_cached_key(hash_of);
        put(bytes, REMOVED, namespace, &self.removed, |key| key)?;
        for entries in &self.entries {
            put(bytes, ENTRIES, namespace, entries, |entry| &entry.0)?;
        }
        Ok(())
    }
}

/// Writes items as frames.
fn put<K: Key, T: Serialize>(
    bytes: &mut Vec<u8>,
    tag: u8,
    namespace: Namespace,
    items: &[T],
    key: impl Fn(&T) -> &K,
) -> Result<()> {
    for items in items.chunks(FRAME_LIMIT) {
        let hashes = items.iter().map(|item| HashSpan::of(hash_of(key(item))));
        let span = hashes
            .reduce(|span, hash| span.with(hash.first))
            .expect("a chunk is not empty");
        let encoded = bitcode::serialize(items)
            .map_err(|e| Error::invalid(format!("a state type refuses to be encoded: {e}")))?;
        frame(bytes, tag, |bytes| {
            put_place(bytes, namespace, span);
            bytes.extend((items.len() as u32).to_le_bytes());
            bytes.extend(encoded);
        });
    }
    Ok(())
}

/// Writes a frame that sets keys, whose pairs with their values are encoded already.
pub(crate) fn put_set(
    bytes: &mut Vec<u8>,
    namespace: Namespace,
    span: HashSpan,
    (count, encoded): (usize, &[u8]),
) {
    frame(bytes, ENTRIES, |bytes| {
        put_place(bytes, namespace, span);
        bytes.extend((count as u32).to_le_bytes());
        bytes.extend(encoded);
    });
}

fn put_place(bytes: &mut Vec<u8>, namespace: Namespace, span: HashSpan) {
    let (table, end) = match namespace {
        Namespace::Whole => (0, 0),
        Namespace::Waiting(end) => (1, end),
        Namespace::Fired(end) => (2, end),
        Namespace::Value(name) => (3, name.cast_signed()),
        Namespace::Map(name) => (4, name.cast_signed()),
        Namespace::Bounds(name) => (5, name.cast_signed()),
        Namespace::Items(name) => (6, name.cast_signed()),
        Namespace::Timers => (7, 0),
    };
    bytes.push(table);
    bytes.extend(end.to_le_bytes());
    bytes.extend(span.first.to_le_bytes());
    bytes.extend(span.last.to_le_bytes());
}

fn frame(bytes: &mut Vec<u8>, tag: u8, payload: impl FnOnce(&mut Vec<u8>)) {
    bytes.push(tag);
    let at = bytes.len();
    bytes.extend([0; 4]);
    payload(bytes);
    let length =
        u32::try_from(bytes.len() - at - 4).expect("1,024 entries of state take less than 4 GiB");
    bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// What a frame says, with its keys already narrowed to the reader's span.
pub(crate) enum Frame<K, V> {
    /// The stage's watermark at the freeze.
    Watermark(i64),
    /// Forget the namespace in the span.
    Clear(Namespace, HashSpan),
    /// Forget keys.
    Removed(Namespace, Vec<(u64, K)>),
    /// Set keys.
    Entries(Namespace, Vec<(u64, K, V)>),
}

/// Reads an object frame by frame, and gives to `apply` what concerns a share of it.
///
/// # Errors
///
/// `Corrupt` where the bytes do not decode, `Incompatible` where another kind of stage, or a newer
/// version, wrote them, `Unavailable` if the restore is given up meanwhile.
pub(crate) fn read<K: Key, V: State>(
    object: &[u8],
    kind: LogicKind,
    share: Share<'_>,
    apply: impl FnMut(Frame<K, V>),
) -> Result<()> {
    if object.len() >= ahead::WORTH_A_THREAD {
        ahead::read(Builder::new(), object, kind, share, apply)
    } else {
        read_in_turn(object, kind, share, apply)
    }
}

/// As [`read`], without another thread.
fn read_in_turn<K: Key, V: State>(
    object: &[u8],
    kind: LogicKind,
    share: Share<'_>,
    mut apply: impl FnMut(Frame<K, V>),
) -> Result<()> {
    let Some(owned) = share.span() else {
        return Ok(());
    };
    read_stored(object, kind, owned, |stored| {
        share.check()?;
        apply(stored.decode(owned)?);
        Ok(())
    })
}

/// As [`read`], for stages whose tables have several types: the namespace says which. It is up to `apply`
/// to end it when nobody waits for it any more.
pub(crate) fn read_stored(
    object: &[u8],
    kind: LogicKind,
    owned: HashSpan,
    mut apply: impl FnMut(Stored<'_>) -> Result<()>,
) -> Result<()> {
    let mut rest = Reader(object);
    let mut headed = false;
    while !rest.0.is_empty() {
        let tag = rest.u8()?;
        let length = rest.u32()? as usize;
        let mut payload = Reader(rest.take(length)?);
        if tag == HEADER {
            apply(Stored::Watermark(payload.header(kind)?))?;
            headed = true;
            continue;
        }
        if !headed {
            return Err(corrupt("it does not begin with a header"));
        }
        let (namespace, span) = payload.place()?;
        let table = StoredTable {
            tag,
            namespace,
            span,
            payload,
        };
        match tag {
            REMOVED | ENTRIES if !span.overlaps(owned) => {}
            CLEAR | REMOVED | ENTRIES => apply(Stored::Table(table))?,
            RAW if cfg!(feature = "rocksdb") => apply(Stored::Table(table))?,
            other => return Err(corrupt(format!("there is no frame with tag {other}"))),
        }
    }
    Ok(())
}

/// A frame as it is stored.
pub(crate) enum Stored<'a> {
    /// The stage's watermark at the freeze.
    Watermark(i64),
    /// What happened in a table.
    Table(StoredTable<'a>),
}

/// What happened in a table, whose types are not known yet.
pub(crate) struct StoredTable<'a> {
    tag: u8,
    pub(crate) namespace: Namespace,
    span: HashSpan,
    payload: Reader<'a>,
}

impl Stored<'_> {
    fn decode<K: Key, V: State>(self, owned: HashSpan) -> Result<Frame<K, V>> {
        match self {
            Self::Watermark(watermark) => Ok(Frame::Watermark(watermark)),
            Self::Table(table) => table.decode(owned),
        }
    }
}

impl StoredTable<'_> {
    /// What the frame says of a table of these types.
    pub(crate) fn decode<K: Key, V: State>(mut self, owned: HashSpan) -> Result<Frame<K, V>> {
        let (namespace, span) = (self.namespace, self.span);
        if self.tag == CLEAR {
            self.payload.end()?;
            return Ok(Frame::Clear(namespace, span));
        }
        if self.tag == REMOVED {
            let keys: Vec<K> = self.payload.items()?;
            let keys = keys.into_iter().map(|key| (hash_of(&key), key));
            let keys = keys.map(|(hash, key)| check(span, hash).map(|()| (hash, key)));
            let keys = keys.filter(|item| {
                item.as_ref()
                    .map_or(true, |(hash, _)| owned.contains(*hash))
            });
            return Ok(Frame::Removed(namespace, keys.collect::<Result<_>>()?));
        }
        #[cfg(feature = "rocksdb")]
        if self.tag == RAW {
            return Ok(Frame::Entries(namespace, self.payload.raw_items(span)?));
        }
        let entries: Vec<(K, V)> = self.payload.items()?;
        let entries = entries
            .into_iter()
            .map(|(key, value)| (hash_of(&key), key, value));
        let entries =
            entries.map(|(hash, key, value)| check(span, hash).map(|()| (hash, key, value)));
        let entries = entries.filter(|item| {
            item.as_ref()
                .map_or(true, |(hash, ..)| owned.contains(*hash))
        });
        Ok(Frame::Entries(namespace, entries.collect::<Result<_>>()?))
    }
}

/// A key outside of its frame's span would be lost or doubled on rescaling.
fn check(span: HashSpan, hash: u64) -> Result<()> {
    if span.contains(hash) {
        Ok(())
    } else {
        Err(corrupt("a key is outside of the span of its frame"))
    }
}

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("keyed snapshot: {what}"))
}
