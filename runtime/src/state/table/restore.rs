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
        self.restore_expected(span, density_of(&entries, span), entries.len());
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

    /// Readies the table for a frame of `count` entries in a span, where hashes are so dense: those of a
    /// snapshot come in the order of their hashes, and would crowd in segments that are to be split later.
    fn restore_expected(&mut self, span: HashSpan, density: f64, count: usize) {
        // A frame says nothing of hashes that are far from its own: those of one key's parts are close.
        let most = count as f64 * 16.0;
        let expected = |depth: u32| (density * 2.0_f64.powi(64 - depth as i32)).min(most);
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

/// Entries of a frame that are asked how dense its hashes are.
const ASKED: usize = 64;

/// How many entries there are for each hash, as far as a frame knows. A few of its entries may be far from
/// the others: what stood at the end of a segment went on at its beginning, and what was about to change
/// was copied first.
fn density_of<K, V>(entries: &[(u64, K, V)], span: HashSpan) -> f64 {
    let per_hash = |count: usize, width: u64| count as f64 / (width as f64 + 1.0);
    let step = entries.len() / ASKED;
    if step == 0 {
        return per_hash(entries.len(), span.last - span.first);
    }
    let mut asked: [u64; ASKED] = std::array::from_fn(|at| entries[at * step].0);
    asked.sort_unstable();
    let (from, to) = (ASKED / 8, ASKED - ASKED / 8);
    per_hash((to - from) * step, asked[to] - asked[from])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of hashes of this distance, of which some stand elsewhere.
    fn density(count: usize, distance: u64, elsewhere: usize) -> f64 {
        let mut entries: Vec<_> = (0..count as u64)
            .map(|at| (at * distance, (), ()))
            .collect();
        for (at, entry) in entries.iter_mut().take(elsewhere).enumerate() {
            entry.0 = u64::MAX / 2 - at as u64;
        }
        density_of(
            &entries,
            HashSpan {
                first: 0,
                last: u64::MAX / 2,
            },
        )
    }

    #[test]
    fn a_few_entries_that_stand_elsewhere_do_not_make_a_frame_sparse() {
        for elsewhere in [0, 1, 20, 100] {
            let density = density(1_024, 1 << 40, elsewhere) * 2.0_f64.powi(40);
            assert!((0.85..1.15).contains(&density), "{elsewhere}: {density}");
        }
    }
}
