//! The in-memory backend: a keyed table that freezes in constant time.
//!
//! An extendible hash: a directory, indexed by bits of the routing hash, of segments with at most
//! 896 entries. A full segment splits in two, so that no insertion ever moves more than one
//! segment. (The directory itself doubles now and then: four bytes for each 448 entries.)
//!
//! A freeze moves the table's mark and takes the list of dirty segments. A segment whose own mark
//! is older belongs to the frozen image until it has been copied: by
//! [`copy_frozen`](KeyedTable::copy_frozen), a few segments a call, or by the first change to it,
//! which copies it before it changes. So neither a freeze nor a change ever pauses for longer
//! than one segment takes.

use std::collections::VecDeque;

use crate::key::{Key, hash_of};
use crate::state::State;

use super::frames::FrozenPiece;
use super::logic::SnapshotScope;
use super::segment::{FULL, Segment};
use super::span::HashSpan;

/// The first bit of the routing hash that the directory uses.
const DIRECTORY_SHIFT: u32 = 23;
/// The directory uses at most 25 bits: 32 M segments.
const MAX_DEPTH: u32 = 25;
/// Removed keys that are remembered beside as many as there are entries; with more of them, the next
/// snapshot is written in full.
const REMOVED_LIMIT: usize = 4_096;

/// The place of an entry, until the table next changes its shape (by an insertion or a removal).
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    segment: u32,
    bucket: u32,
}

/// Keys with their values, in memory, with snapshots that cost what changed.
///
/// Every method takes the routing hash of the key beside the key: the caller has it at hand.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::key::hash_of;
/// use flowdsl_runtime::state::KeyedTable;
///
/// let mut counts = KeyedTable::<String, u64>::new();
/// for airport in ["ABE", "ORD", "ABE"] {
///     let key = airport.to_owned();
///     *counts.upsert(hash_of(&key), &key, || 0) += 1;
/// }
/// assert_eq!(counts.get(hash_of(&"ABE".to_owned()), &"ABE".to_owned()), Some(&2));
/// assert_eq!(counts.len(), 2);
/// ```
pub struct KeyedTable<K, V> {
    directory: Vec<u32>,
    segments: Vec<Segment<K, V>>,
    len: usize,
    /// The number of freezes, plus one.
    mark: u64,
    /// The segments that changed since the last freeze.
    dirty: Vec<u32>,
    /// The scope of the last freeze.
    scope: SnapshotScope,
    /// What of the frozen image is still to be copied.
    frozen: Frozen<K, V>,
    /// Keys removed since the last freeze that a snapshot may hold.
    removed: Vec<K>,
    /// Whether the next snapshot replaces all earlier ones, because too much was removed.
    replaces: bool,
    /// Whether any snapshot holds entries of this table.
    stored: bool,
    /// All hashes ever placed.
    span: Option<HashSpan>,
    /// Where [`pop`](Self::pop) goes on.
    popped: (usize, usize),
}

/// The rest of a frozen image.
struct Frozen<K, V> {
    segments: FrozenSegments,
    removed: Vec<K>,
    /// Copied before a change, not yet handed over.
    copied: VecDeque<Vec<(K, V)>>,
}

enum FrozenSegments {
    /// These, from the back.
    Listed(Vec<u32>),
    /// From the first to before the second.
    Range(u32, u32),
}

impl<K: Key, V: State> Default for KeyedTable<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Key, V: State> KeyedTable<K, V> {
    /// An empty table, which allocates nothing.
    pub fn new() -> Self {
        Self {
            directory: Vec::new(),
            segments: Vec::new(),
            len: 0,
            mark: 1,
            dirty: Vec::new(),
            scope: SnapshotScope::Full,
            frozen: Frozen { segments: FrozenSegments::Range(0, 0), removed: Vec::new(), copied: VecDeque::new() },
            removed: Vec::new(),
            replaces: false,
            stored: false,
            span: None,
            popped: (0, 0),
        }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The place of a key, if it is there. Costs one probe and changes nothing.
    #[inline]
    pub fn find(&self, hash: u64, key: &K) -> Option<Slot> {
        let segment = *self.directory.get(self.index_of(hash))?;
        let bucket = self.segments[segment as usize].find(hash, key)?;
        Some(Slot { segment, bucket: bucket as u32 })
    }

    /// The value at a place, to be changed: the next snapshot holds it.
    ///
    /// # Panics
    ///
    /// If the slot is not of this table in its present shape.
    #[inline]
    pub fn at(&mut self, slot: Slot) -> &mut V {
        let mark = self.mark;
        if self.segments[slot.segment as usize].dirty_in != mark {
            self.settle(slot.segment);
        }
        self.segments[slot.segment as usize].change(slot.bucket as usize).expect("a slot of this table in its present shape")
    }

    /// The value of a key, to be read.
    pub fn get(&self, hash: u64, key: &K) -> Option<&V> {
        let slot = self.find(hash, key)?;
        self.segments[slot.segment as usize].value(slot.bucket as usize)
    }

    /// The value of a key, to be changed, made first if the key is new.
    #[inline]
    pub fn upsert(&mut self, hash: u64, key: &K, init: impl FnOnce() -> V) -> &mut V {
        let slot = match self.find(hash, key) {
            Some(slot) => slot,
            None => self.insert(hash, key.clone(), init()),
        };
        self.at(slot)
    }

    /// Adds a key that is not in the table.
    pub fn insert(&mut self, hash: u64, key: K, value: V) -> Slot {
        let segment = self.segment_with_room(hash);
        if self.segments[segment as usize].dirty_in != self.mark {
            self.settle(segment);
        }
        let slot = self.place(segment, hash, (key, value));
        self.at(slot);
        slot
    }

    /// Removes a key.
    pub fn remove(&mut self, hash: u64, key: &K) -> Option<V> {
        let slot = self.find(hash, key)?;
        self.at(slot);
        let (key, value) = self.segments[slot.segment as usize].take(slot.bucket as usize)?;
        self.len -= 1;
        if self.stored && !self.replaces {
            if self.removed.len() < self.len.max(REMOVED_LIMIT) {
                self.removed.push(key);
            } else {
                self.removed = Vec::new();
                self.replaces = true;
            }
        }
        Some(value)
    }

    /// Removes any one entry: how a window that is due is emptied, a budget at a time.
    pub fn pop(&mut self) -> Option<(K, V)> {
        while self.popped.0 < self.segments.len() {
            let (segment, bucket) = self.popped;
            // A freeze may stand between two calls, in the middle of a segment.
            if self.segments[segment].dirty_in != self.mark {
                self.settle(segment as u32);
            }
            let from = &mut self.segments[segment];
            let count = if from.len() == 0 { 0 } else { from.bucket_count() };
            for at in bucket..count {
                if let Some(entry) = from.take(at) {
                    self.popped.1 = at + 1;
                    self.len -= 1;
                    self.replaces = self.stored;
                    return Some(entry);
                }
            }
            self.popped = (segment + 1, 0);
        }
        None
    }

    /// The place of a hash in the directory.
    #[inline]
    fn index_of(&self, hash: u64) -> usize {
        // The length of the directory is a power of two, or zero: then nothing is found there.
        (hash >> DIRECTORY_SHIFT) as usize & self.directory.len().wrapping_sub(1)
    }

    fn place(&mut self, segment: u32, hash: u64, entry: (K, V)) -> Slot {
        let bucket = self.segments[segment as usize].place(hash, entry);
        self.len += 1;
        self.span = Some(self.span.map_or(HashSpan::of(hash), |span| span.with(hash)));
        self.popped = (0, 0);
        Slot { segment, bucket: bucket as u32 }
    }

    /// Readies a segment for its first change since the last freeze: what the frozen image holds
    /// of it is copied before the change.
    #[cold]
    #[inline(never)]
    fn settle(&mut self, index: u32) {
        let segment = &mut self.segments[index as usize];
        if segment.copied_in != self.mark {
            let mut copied = Vec::new();
            segment.copy(self.scope, &mut copied);
            segment.copied_in = self.mark;
            if !copied.is_empty() {
                self.frozen.copied.push_back(copied);
            }
        }
        if segment.dirty_in != self.mark {
            segment.dirty_in = self.mark;
            self.dirty.push(index);
        }
    }

    /// The segment for a new key, with room for it.
    fn segment_with_room(&mut self, hash: u64) -> u32 {
        if self.directory.is_empty() {
            self.segments.push(Segment::new(self.mark, 0, 0));
            self.directory.push(0);
        }
        loop {
            let index = self.directory[self.index_of(hash)];
            let segment = &mut self.segments[index as usize];
            if segment.has_room() {
                return index;
            }
            // The shape of a segment changes below, so that the frozen part of it goes first.
            self.settle(index);
            let segment = &mut self.segments[index as usize];
            if segment.len() <= FULL / 2 {
                segment.rebuild((segment.len() * 2).max(3));
            } else if self.may_split(index) {
                self.split(index, hash);
            } else {
                let segment = &mut self.segments[index as usize];
                segment.rebuild(segment.len() * 2);
            }
        }
    }

    /// Whether a segment may be split: not where hashes are so unevenly spread that the directory
    /// would outgrow the entries.
    fn may_split(&self, index: u32) -> bool {
        let depth = self.segments[index as usize].depth;
        let doubles = 1 << depth == self.directory.len();
        depth < MAX_DEPTH && !(doubles && self.directory.len() >= 64 * self.segments.len())
    }

    fn split(&mut self, index: u32, hash: u64) {
        let depth = self.segments[index as usize].depth;
        if 1 << depth == self.directory.len() {
            self.directory.extend_from_within(..);
        }
        let upper = self.segments.len() as u32;
        let bit = 1_u64 << depth;
        let split_off = self.segments[index as usize].split(bit << DIRECTORY_SHIFT);
        self.segments.push(split_off);
        self.dirty.push(upper);
        // The places of the segment agree in the bits below `bit`; those with it go to the new half.
        let first = (self.index_of(hash) & (bit as usize - 1)) | bit as usize;
        for at in (first..self.directory.len()).step_by(2 * bit as usize) {
            self.directory[at] = upper;
        }
    }
}

/// Snapshots.
impl<K: Key, V: State> KeyedTable<K, V> {
    /// Takes the image of the next snapshot. The span is returned if the image replaces what earlier
    /// snapshots hold in it.
    pub(crate) fn freeze(&mut self, scope: SnapshotScope) -> Option<HashSpan> {
        assert!(!self.is_frozen(), "frozen again before the image before was handed over");
        let replaces = std::mem::take(&mut self.replaces);
        self.mark += 1;
        self.stored = true;
        let dirty = std::mem::take(&mut self.dirty);
        let removed = std::mem::take(&mut self.removed);
        if replaces || scope == SnapshotScope::Full {
            self.scope = SnapshotScope::Full;
            self.frozen.segments = FrozenSegments::Range(0, self.segments.len() as u32);
        } else {
            self.scope = SnapshotScope::Increment;
            self.frozen.segments = FrozenSegments::Listed(dirty);
            self.frozen.removed = removed;
        }
        if replaces { self.span } else { None }
    }

    /// Hands over about `budget` entries of the frozen image; `None` when all were handed over.
    pub(crate) fn copy_frozen(&mut self, budget: usize) -> Option<FrozenPiece<K, V>> {
        let removed = std::mem::take(&mut self.frozen.removed);
        let mut entries = Vec::new();
        while entries.len() < budget.max(1) {
            if let Some(copied) = self.frozen.copied.pop_front() {
                if entries.is_empty() {
                    entries = copied;
                } else {
                    entries.extend(copied);
                }
                continue;
            }
            let Some(index) = self.frozen.segments.next() else { break };
            let segment = &mut self.segments[index as usize];
            if segment.copied_in != self.mark {
                segment.copy(self.scope, &mut entries);
                segment.copied_in = self.mark;
            }
        }
        (!entries.is_empty() || !removed.is_empty()).then_some(FrozenPiece { removed, entries })
    }

    /// Whether any of the frozen image is still to be handed over.
    pub(crate) fn is_frozen(&self) -> bool {
        !(self.frozen.copied.is_empty() && self.frozen.removed.is_empty() && self.frozen.segments.is_done())
    }

    /// What snapshots may hold of this table: the hashes to clear when it goes.
    pub(crate) fn stored_span(&self) -> Option<HashSpan> {
        if self.stored { self.span } else { None }
    }

    /// Puts an entry of a snapshot in its place.
    pub(crate) fn restore(&mut self, hash: u64, key: K, value: V) {
        self.stored = true;
        if let Some(slot) = self.find(hash, &key) {
            let at = self.segments[slot.segment as usize].overwrite(slot.bucket as usize);
            *at.expect("the slot was found just now") = value;
        } else {
            let segment = self.segment_with_room(hash);
            self.place(segment, hash, (key, value));
        }
    }

    /// Takes back an entry of an earlier snapshot.
    pub(crate) fn restore_removal(&mut self, hash: u64, key: &K) {
        if let Some(slot) = self.find(hash, key) {
            self.segments[slot.segment as usize].take(slot.bucket as usize);
            self.len -= 1;
        }
    }

    /// Takes back all entries of earlier snapshots in a span.
    pub(crate) fn restore_clear(&mut self, span: HashSpan) {
        for segment in &mut self.segments {
            for bucket in 0..segment.bucket_count() {
                if segment.key(bucket).is_some_and(|key| span.contains(hash_of(key))) {
                    segment.take(bucket);
                    self.len -= 1;
                }
            }
        }
    }
}

impl FrozenSegments {
    fn next(&mut self) -> Option<u32> {
        match self {
            Self::Listed(list) => list.pop(),
            Self::Range(first, behind) => (*first < *behind).then(|| {
                *first += 1;
                *first - 1
            }),
        }
    }

    fn is_done(&self) -> bool {
        match self {
            Self::Listed(list) => list.is_empty(),
            Self::Range(first, behind) => first >= behind,
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
