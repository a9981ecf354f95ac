//! A table made again from the snapshots of a chain: later entries replace earlier ones.

use crate::key::{Key, hash_of};
use crate::state::State;
use crate::state::segment::{FULL, Restored};
use crate::state::span::HashSpan;

use super::KeyedTable;

/// The mark of entries that no run has changed: an increment need not hold them.
const UNCHANGED: u32 = 0;

impl<K: Key, V: State> KeyedTable<K, V> {
    /// Puts the entries of a frame in their places.
    pub(crate) fn restore_entries(&mut self, entries: Vec<(u64, K, V)>) {
        let hashes = entries.iter().map(|(hash, ..)| HashSpan::of(*hash));
        let Some(span) = hashes.reduce(|span, hash| span.with(hash.first)) else {
            return;
        };
        self.restore_expected(span, entries.len());
        self.span = Some(
            self.span
                .map_or(span, |all| all.with(span.first).with(span.last)),
        );
        self.stored = true;
        self.popped = (0, 0);
        for (hash, key, value) in entries {
            let index = self.directory[self.index_of(hash)] as usize;
            match self.segments[index].restore(hash, (key, value), UNCHANGED, self.mark) {
                Ok(Restored::Added) => self.len += 1,
                Ok(Restored::Replaced) => {}
                Err(entry) => self.restore_far(hash, entry),
            }
        }
    }

    /// Puts an entry of a snapshot in its place where the segment has to be changed for it, or where it
    /// stands far from its home.
    #[cold]
    fn restore_far(&mut self, hash: u64, (key, value): (K, V)) {
        if let Some(slot) = self.find(hash, &key) {
            let at = self.segments[slot.segment as usize].restored(slot.bucket as usize);
            *at.expect("the slot was found just now") = value;
        } else {
            let segment = self.segment_with_room(hash);
            self.place(segment, hash, (key, value), UNCHANGED);
        }
    }

    /// Readies the table for `count` entries in a span: those of a snapshot come in the order of their
    /// hashes, and would crowd in segments that are to be split later.
    fn restore_expected(&mut self, span: HashSpan, count: usize) {
        let width = (span.last - span.first) as f64 + 1.0;
        // A frame says nothing of hashes that are far from its own: those of one key's parts are close.
        let most = count as f64 * 16.0;
        let expected =
            |depth: u32| (count as f64 / width * 2.0_f64.powi(64 - depth as i32)).min(most);
        let mut hash = span.first;
        loop {
            let (index, depth) = loop {
                let index = self.segment_of(hash);
                let depth = self.segments[index as usize].depth;
                if expected(depth) <= FULL as f64 * 0.9 || !self.may_split(index) {
                    break (index, depth);
                }
                self.split(index, hash);
            };
            // A little more than that: an estimate is off by a few in a hundred. And only once, or each
            // frame would have the segment moved that says a little more than those before.
            let capacity = (expected(depth) * 1.1).min(FULL as f64) as usize;
            self.segments[index as usize].reserve(capacity);
            let last = hash | (u64::MAX >> depth);
            if last >= span.last {
                return;
            }
            hash = last + 1;
        }
    }

    /// Takes back an entry of an earlier snapshot.
    pub(crate) fn restore_removal(&mut self, hash: u64, key: &K) {
        if let Some(slot) = self.find(hash, key) {
            self.segments[slot.segment as usize].take(slot.bucket as usize, self.mark);
            self.len -= 1;
            self.popped = (0, 0);
        }
    }

    /// Takes back all entries of earlier snapshots in a span.
    pub(crate) fn restore_clear(&mut self, span: HashSpan) {
        self.popped = (0, 0);
        let mark = self.mark;
        for segment in &mut self.segments {
            let mut bucket = 0;
            while bucket < segment.bucket_count() {
                if segment
                    .key(bucket)
                    .is_some_and(|key| span.contains(hash_of(key)))
                {
                    // Another entry may have moved up to this bucket.
                    segment.take(bucket, mark);
                    self.len -= 1;
                } else {
                    bucket += 1;
                }
            }
        }
    }
}
