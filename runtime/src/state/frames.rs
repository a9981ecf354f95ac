//! The bytes of a keyed snapshot: a sequence of frames, read strictly in order.
//!
//! All integers are little-endian. `bitcode` is the serde encoding of the `bitcode` crate, 0.6.
//! Objects that follow each other may also be joined into one: each frame says all that it means.
//!
//! ```text
//! object    := frame*
//! frame     := tag: u8, length: u32, payload: [u8; length]
//!
//! tag 1, header   (opens each snapshot; a joined object has several)
//!   layout: u8     1
//!   logic: u8      1 values, 2 panes of windows, 3 sessions
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
//! span      := first: u64, last: u64   (inclusive bounds of the routing hashes of the keys)
//! ```
//!
//! A key group is the top bits of the routing hash. Entries are written nearly in the order of their
//! hashes, in frames of at most 1,024 whose spans are narrow, so that a worker that owns some of the
//! groups skips the frames of others. Nothing but that depends on the order.
//! Integrity is the business of the file around the object (length and checksum); what decodes
//! here is checked all the same, and never trusted for the size of an allocation.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::key::{Key, hash_of};

use super::span::HashSpan;
use super::types::State;

const LAYOUT: u8 = 1;
const HEADER: u8 = 1;
const CLEAR: u8 = 2;
const REMOVED: u8 = 3;
const ENTRIES: u8 = 4;
#[cfg(feature = "rocksdb")]
const RAW: u8 = 5;

/// Keys in one frame, at most.
const FRAME_LIMIT: usize = 1_024;

/// Which stage wrote a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogicKind {
    /// A value for each key.
    Values = 1,
    /// A value for each key in each pane.
    Panes = 2,
    /// Sessions for each key.
    Sessions = 3,
}

/// Which table of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// Its only one.
    Whole,
    /// The pane with this end: what has not fired.
    Waiting(i64),
    /// The pane with this end: what has fired, and may fire again.
    Fired(i64),
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
    /// Entries whose hashes are neighbours, nearly in order; no part is empty.
    pub(crate) entries: Vec<Vec<(K, V)>>,
}

impl<K: Key, V: State> FrozenPiece<K, V> {
    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.iter().map(Vec::len).sum()
    }

    pub(crate) fn encode(mut self, namespace: Namespace, bytes: &mut Vec<u8>) -> Result<()> {
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

fn put_place(bytes: &mut Vec<u8>, namespace: Namespace, span: HashSpan) {
    let (table, end) = match namespace {
        Namespace::Whole => (0, 0),
        Namespace::Waiting(end) => (1, end),
        Namespace::Fired(end) => (2, end),
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

/// Entries as RocksDB holds them, on their way into a frame.
#[cfg(feature = "rocksdb")]
#[derive(Default)]
pub(crate) struct RawEntries {
    bytes: Vec<u8>,
    span: Option<HashSpan>,
    count: u32,
}

#[cfg(feature = "rocksdb")]
impl RawEntries {
    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    pub(crate) fn push(&mut self, hash: u64, key: &[u8], value: &[u8]) {
        for part in [key, value] {
            self.bytes.extend((part.len() as u32).to_le_bytes());
            self.bytes.extend_from_slice(part);
        }
        self.span = Some(self.span.map_or(HashSpan::of(hash), |span| span.with(hash)));
        self.count += 1;
    }

    /// Appends the frame, and begins the next one.
    pub(crate) fn encode(&mut self, namespace: Namespace, bytes: &mut Vec<u8>) {
        let Self {
            bytes: entries,
            span,
            count,
        } = std::mem::take(self);
        if let Some(span) = span {
            frame(bytes, RAW, |bytes| {
                put_place(bytes, namespace, span);
                bytes.extend(count.to_le_bytes());
                bytes.extend(entries);
            });
        }
    }
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

/// Reads an object frame by frame, and gives to `apply` what concerns the hashes in `owned`.
///
/// # Errors
///
/// `Corrupt` where the bytes do not decode, `Incompatible` where another kind of stage, or a newer
/// version, wrote them.
pub(crate) fn read<K: Key, V: State>(
    object: &[u8],
    kind: LogicKind,
    owned: HashSpan,
    mut apply: impl FnMut(Frame<K, V>),
) -> Result<()> {
    let mut rest = Reader(object);
    let mut headed = false;
    while !rest.0.is_empty() {
        let tag = rest.u8()?;
        let length = rest.u32()? as usize;
        let mut payload = Reader(rest.take(length)?);
        if tag == HEADER {
            apply(Frame::Watermark(payload.header(kind)?));
            headed = true;
            continue;
        }
        if !headed {
            return Err(corrupt("it does not begin with a header"));
        }
        let (namespace, span) = payload.place()?;
        match tag {
            CLEAR => {
                payload.end()?;
                apply(Frame::Clear(namespace, span));
            }
            REMOVED | ENTRIES if !span.overlaps(owned) => {}
            REMOVED => {
                let keys: Vec<K> = payload.items()?;
                let keys = keys.into_iter().map(|key| (hash_of(&key), key));
                let keys = keys.map(|(hash, key)| check(span, hash).map(|()| (hash, key)));
                let keys = keys.filter(|item| {
                    item.as_ref()
                        .map_or(true, |(hash, _)| owned.contains(*hash))
                });
                apply(Frame::Removed(namespace, keys.collect::<Result<_>>()?));
            }
            ENTRIES => {
                let entries: Vec<(K, V)> = payload.items()?;
                let entries = entries
                    .into_iter()
                    .map(|(key, value)| (hash_of(&key), key, value));
                let entries = entries
                    .map(|(hash, key, value)| check(span, hash).map(|()| (hash, key, value)));
                let entries = entries.filter(|item| {
                    item.as_ref()
                        .map_or(true, |(hash, ..)| owned.contains(*hash))
                });
                apply(Frame::Entries(namespace, entries.collect::<Result<_>>()?));
            }
            #[cfg(feature = "rocksdb")]
            RAW => apply(Frame::Entries(namespace, payload.raw_items(span)?)),
            other => return Err(corrupt(format!("there is no frame with tag {other}"))),
        }
    }
    Ok(())
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

/// The bytes not yet read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(n)
            .ok_or_else(|| corrupt("it ends in the middle of a frame"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or_else(|| corrupt("it ends in the middle of a frame"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    fn end(&self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(corrupt("a frame is longer than what it holds"))
        }
    }

    fn header(&mut self, kind: LogicKind) -> Result<i64> {
        let (layout, logic, watermark) = (self.u8()?, self.u8()?, self.i64()?);
        self.end()?;
        if layout != LAYOUT {
            let message = format!(
                "keyed snapshot: layout {layout} is not known, this version reads layout {LAYOUT}"
            );
            return Err(Error::incompatible(message));
        }
        if logic != kind as u8 {
            let message = format!(
                "keyed snapshot: written by a stage of kind {logic}, read by one of kind {}",
                kind as u8
            );
            return Err(Error::incompatible(message));
        }
        Ok(watermark)
    }

    fn place(&mut self) -> Result<(Namespace, HashSpan)> {
        let (table, end) = (self.u8()?, self.i64()?);
        let namespace = match (table, end) {
            (0, 0) => Namespace::Whole,
            (1, end) => Namespace::Waiting(end),
            (2, end) => Namespace::Fired(end),
            _ => return Err(corrupt(format!("there is no table {table}"))),
        };
        let span = HashSpan {
            first: self.u64()?,
            last: self.u64()?,
        };
        if span.first > span.last {
            return Err(corrupt("a span is empty"));
        }
        Ok((namespace, span))
    }

    #[cfg(feature = "rocksdb")]
    fn raw_items<K: Key, V: State>(&mut self, span: HashSpan) -> Result<Vec<(u64, K, V)>> {
        let count = self.u32()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let mut part = || {
                let length = self.u32()? as usize;
                self.take(length)
            };
            let (key, _) = super::rocks::take::<K>(part()?)?;
            let (value, _) = super::rocks::take(part()?)?;
            let hash = hash_of(&key);
            check(span, hash)?;
            entries.push((hash, key, value));
        }
        self.end()?;
        Ok(entries)
    }

    fn items<T: DeserializeOwned>(&mut self) -> Result<Vec<T>> {
        let count = self.u32()? as usize;
        if count == 0 || count > FRAME_LIMIT {
            return Err(corrupt(format!("a frame holds {count} items")));
        }
        let items: Vec<T> = bitcode::deserialize(self.0)
            .map_err(|e| corrupt(format!("an item does not decode: {e}")))?;
        if items.len() != count {
            return Err(corrupt(format!(
                "a frame holds {} items and says {count}",
                items.len()
            )));
        }
        Ok(items)
    }
}
