//! The in-memory backend: a keyed table that freezes in constant time.
//!
//! An extendible hash: a directory, indexed by the top bits of the routing hash, of segments with at
//! most 13,107 entries. A full segment splits in two, so that no insertion ever moves more than one
//! segment. (The directory itself doubles now and then: four bytes for each 6,553 entries.) Because
//! the top bits come first, a segment is an interval of hashes, and its entries lie nearly in order:
//! a snapshot taken segment by segment has each key group nearly in one piece, and sorts nothing.
//!
//! A freeze moves the table's mark, and no more. What it froze is cloned by `copy_frozen`, about as
//! many entries a call as the caller asks for, in the order of the hashes; and an entry that is about
//! to change before that is cloned first, by itself. So neither a freeze nor a change ever pauses for
//! the size of anything, and an increment costs what changed.

mod image;
mod reach;
mod records;
mod restore;

use crate::key::{Key, hash_of};
use crate::state::State;

use self::image::Frozen;
pub(crate) use self::reach::Cursor;
pub(crate) use self::records::{Next, Records};
use self::restore::Promised;
use super::logic::SnapshotScope;
use super::segment::{Mark, Segment};
use super::span::HashSpan;

/// The directory uses at most 25 bits: 32 M segments.
const MAX_DEPTH: u32 = 25;
/// Removed keys that are remembered beside as many as there are entries; with more of them, the next
/// snapshot is written in full.
const REMOVED_LIMIT: usize = 4_096;

/// Records whose look-ups wait for memory together.
const AHEAD: usize = 64;

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
    /// The segment of each prefix of `depth` bits of a hash.
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Segment<K, V>>,
    len: usize,
    mark: Mark,
    /// What of the frozen image is still to be handed over.
    frozen: Frozen<K>,
    /// Keys removed since the last freeze that a snapshot may hold.
    removed: Vec<K>,
    /// Whether the next snapshot replaces all earlier ones, because too much was removed.
    replaces: bool,
    /// Whether any snapshot holds entries of this table.
    stored: bool,
    /// All hashes ever placed.
    span: Option<HashSpan>,
    /// Where [`pop`](Self::pop) goes on: a segment, and how many buckets at its end are empty.
    popped: (usize, usize),
    /// What the last frame of a snapshot promised, while the table is being restored.
    promised: Option<Box<Promised>>,
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
            depth: 0,
            segments: Vec::new(),
            len: 0,
            mark: Mark {
                number: 1,
                scope: SnapshotScope::Full,
            },
            frozen: Frozen::nothing(),
            removed: Vec::new(),
            replaces: false,
            stored: false,
            span: None,
            popped: (0, 0),
            promised: None,
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
        Some(Slot {
            segment,
            bucket: bucket as u32,
        })
    }

    /// The value at a place, to be changed: the next snapshot holds it.
    ///
    /// # Panics
    ///
    /// If the slot is not of this table in its present shape.
    #[inline]
    pub fn at(&mut self, slot: Slot) -> &mut V {
        self.segments[slot.segment as usize]
            .change(slot.bucket as usize, self.mark)
            .expect("a slot of this table in its present shape")
    }

    /// The value of a key, to be read.
    pub fn get(&self, hash: u64, key: &K) -> Option<&V> {
        let slot = self.find(hash, key)?;
        self.segments[slot.segment as usize].value(slot.bucket as usize)
    }

    /// Changes the value of a key with something: `Err` gives it back if the key is not there.
    ///
    /// One probe, and the next snapshot holds the change.
    #[inline]
    pub fn change<X, R>(
        &mut self,
        hash: u64,
        key: &K,
        with: X,
        change: impl FnOnce(&mut V, X) -> R,
    ) -> Result<R, X> {
        let Some(index) = self.directory.get(self.index_of(hash)).copied() else {
            return Err(with);
        };
        self.segments[index as usize].change_key(hash, key, self.mark, with, change)
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

    /// Takes in records: `change` changes the value of a key that is there, and `begin` inserts one
    /// that is not. What either has to say about the record goes to `done`, with its key.
    #[inline]
    pub(crate) fn take_in<R, X, D>(
        &mut self,
        records: &mut impl Records<R>,
        open: impl Fn(R) -> (K, X),
        key_of: impl Fn(&R) -> &K,
        change: impl Fn(&mut V, X) -> D,
        begin: impl Fn(&mut Self, u64, K, X) -> Option<(K, D)>,
        mut done: impl FnMut(K, D),
    ) {
        let mut hashes = [0; AHEAD];
        loop {
            if let [_] = self.segments[..] {
                // Small tables lie in the nearest caches: what counts is the number of steps.
                let mark = self.mark;
                let segment = &mut self.segments[0];
                let Some((hash, key, with)) = records.by_ref().find_map(|record| {
                    let (key, with) = open(record);
                    let hash = hash_of(&key);
                    match segment.change_key(hash, &key, mark, with, &change) {
                        Ok(said) => {
                            done(key, said);
                            None
                        }
                        Err(with) => Some((hash, key, with)),
                    }
                }) else {
                    return;
                };
                if let Some((key, said)) = begin(self, hash, key, with) {
                    done(key, said);
                }
                continue;
            }
            let coming = records.coming();
            if coming.is_empty() {
                return;
            }
            let count = coming.len().min(AHEAD);
            self.look_ahead(coming.iter().map(&key_of), &mut hashes[..count]);
            for (hash, record) in hashes.iter().zip(records.by_ref().take(count)) {
                let (key, with) = open(record);
                match self.change(*hash, &key, with, &change) {
                    Ok(said) => done(key, said),
                    Err(with) => {
                        if let Some((key, said)) = begin(self, *hash, key, with) {
                            done(key, said);
                        }
                    }
                }
            }
        }
    }

    /// Hashes the keys of the records that come next, and readies their look-ups.
    ///
    /// A look-up in a large table waits for memory; those of a few records, begun one behind the other
    /// with no decision in between, wait together.
    #[inline]
    fn look_ahead<'k>(&self, keys: impl Iterator<Item = &'k K>, hashes: &mut [u64]) {
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = hash_of(key);
        }
        for hash in hashes {
            if let Some(segment) = self.directory.get(self.index_of(*hash)) {
                self.segments[*segment as usize].touch(*hash);
            }
        }
    }

    /// Adds a key that is not in the table.
    #[cold]
    #[inline(never)]
    pub fn insert(&mut self, hash: u64, key: K, value: V) -> Slot {
        let segment = self.segment_with_room(hash);
        self.place(segment, hash, (key, value), self.mark.number)
    }

    /// Removes a key.
    pub fn remove(&mut self, hash: u64, key: &K) -> Option<V> {
        let slot = self.find(hash, key)?;
        let segment = &mut self.segments[slot.segment as usize];
        let (key, value) = segment.take(slot.bucket as usize, self.mark)?;
        self.len -= 1;
        self.popped = (0, 0);
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
        while let Some(from) = self.segments.get_mut(self.popped.0) {
            if from.len() == 0 {
                self.popped = (self.popped.0 + 1, 0);
                continue;
            }
            // From the end: so nothing stands behind an entry that would have to move.
            while self.popped.1 < from.bucket_count() {
                let last = from.bucket_count() - 1 - self.popped.1;
                if let Some(entry) = from.take(last, self.mark) {
                    self.len -= 1;
                    self.replaces = self.stored;
                    return Some(entry);
                }
                self.popped.1 += 1;
            }
        }
        None
    }

    /// The place of a hash in the directory.
    #[inline]
    fn index_of(&self, hash: u64) -> usize {
        // `>> 1 >> (63 - depth)` avoids the overflow of `>> 64` for a directory of one segment.
        (hash >> 1 >> (63 - self.depth)) as usize
    }

    #[inline]
    fn place(&mut self, segment: u32, hash: u64, entry: (K, V), changed_in: u32) -> Slot {
        let bucket = self.segments[segment as usize].place(hash, entry, changed_in, self.mark);
        self.len += 1;
        self.span = Some(self.span.map_or(HashSpan::of(hash), |span| span.with(hash)));
        self.popped = (0, 0);
        Slot {
            segment,
            bucket: bucket as u32,
        }
    }

    /// The segment for a hash, made first where there is none at all.
    fn segment_of(&mut self, hash: u64) -> u32 {
        if self.directory.is_empty() {
            self.segments.push(Segment::new(self.mark.number, 0, 0, 0));
            self.directory.push(0);
        }
        self.directory[self.index_of(hash)]
    }

    /// The segment for a new key, with room for it.
    fn segment_with_room(&mut self, hash: u64) -> u32 {
        loop {
            let index = self.segment_of(hash);
            let segment = &self.segments[index as usize];
            let (has_room, is_crowded) = (segment.has_room(), segment.is_crowded(hash));
            let splits = (is_crowded || segment.is_full() && !has_room) && self.may_split(index);
            if has_room && !splits {
                return index;
            }
            if splits {
                self.split(index, hash);
            } else {
                self.segments[index as usize].turn_to(self.mark);
                self.segments[index as usize].grow();
            }
        }
    }

    /// Whether a segment may be split: not where hashes are so unevenly spread that the directory
    /// would outgrow the entries. Those of one key with much state have 16 bits in common, and are
    /// worth a directory that tells them from others.
    fn may_split(&self, index: u32) -> bool {
        let depth = self.segments[index as usize].depth;
        let doubles = depth == self.depth;
        let most = (64 * self.segments.len()).max(2 * self.len);
        depth < MAX_DEPTH && !(doubles && self.directory.len() >= most)
    }

    fn split(&mut self, index: u32, hash: u64) {
        let depth = self.segments[index as usize].depth;
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|at| [*at, *at]).collect();
            self.depth += 1;
        }
        let upper = self.segments.len() as u32;
        self.segments[index as usize].turn_to(self.mark);
        let split_off = self.segments[index as usize].split();
        self.segments.push(split_off);
        // The places of a segment are neighbours; the upper half of them goes to the new one.
        let count = 1 << (self.depth - depth);
        let first = self.index_of(hash) & !(count - 1);
        self.directory[first + count / 2..first + count].fill(upper);
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
