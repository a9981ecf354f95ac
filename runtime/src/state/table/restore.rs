//! A table made again from the snapshots of a chain: later entries replace earlier ones.

use crate::key::{Key, hash_of};
use crate::state::State;
use crate::state::segment::{FULL, Restored};
use crate::state::span::HashSpan;

use super::KeyedTable;

/// The mark of entries that no run has changed: an increment need not hold them.
const UNCHANGED: u32 = 0;

/// Segments that were made room in for more entries than the frame held.
#[derive(Debug)]
pub(super) struct Promised(Vec<u32>);

impl<K: Key, V: State> KeyedTable<K, V> {
    /// Puts the entries of a frame in their places.
    pub(crate) fn restore_entries(&mut self, entries: Vec<(u64, K, V)>) {
        let Some(crowd) = Crowd::of(&entries) else {
            return;
        };
        self.ready(&crowd);
        let HashSpan { first, last } = crowd.span;
        self.span = Some(
            self.span
                .map_or(crowd.span, |all| all.with(first).with(last)),
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

    /// Readies the table for a frame: the entries of a snapshot come in the order of their hashes, and
    /// would crowd in segments that are to be split later.
    fn ready(&mut self, crowd: &Crowd) {
        // A frame says nothing of hashes that are far from its own: those of one key's parts are close.
        // So whatever the frame promises, there is not made room for more than this.
        let most = crowd.count * 16;
        let expected =
            |depth: u32| (crowd.density * 2.0_f64.powi(64 - depth as i32)).min(most as f64);
        let mut left = most;
        let mut before = self
            .promised
            .take()
            .map_or_else(Vec::new, |promised| promised.0);
        let mut promised = Vec::new();
        let mut hash = crowd.dense.first;
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
            let capacity = ((expected(depth) * 1.1) as usize).min(FULL).min(left);
            let made = self.segments[index as usize].reserve(capacity);
            left -= made;
            let was_promised = before.iter().position(|before| *before == index);
            if let Some(at) = was_promised {
                before.swap_remove(at);
            }
            if made > crowd.count || was_promised.is_some() {
                promised.push(index);
            }
            let last = hash | (u64::MAX >> depth);
            if last >= crowd.dense.last || left == 0 {
                break;
            }
            hash = last + 1;
        }
        // The frames went on elsewhere: what has not come yet to these segments does not come.
        for index in before {
            self.segments[index as usize].give_back();
        }
        self.promised = (!promised.is_empty()).then(|| Box::new(Promised(promised)));
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

/// What a frame says of how many entries there are.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Crowd {
    /// The entries of the frame.
    count: usize,
    /// All of their hashes.
    span: HashSpan,
    /// Where most of them are. A few may be far from the others: what stood at the end of a segment went
    /// on at its beginning, what was about to change was copied first, and a compaction goes on in the
    /// same frame where the parts of a key end and those of another begin, at the far side of a gap.
    dense: HashSpan,
    /// How many there are for each hash, there.
    density: f64,
}

/// Entries of a frame that are asked how dense its hashes are.
const ASKED: usize = 64;

impl Crowd {
    fn of<K, V>(entries: &[(u64, K, V)]) -> Option<Self> {
        let hashes = entries.iter().map(|(hash, ..)| HashSpan::of(*hash));
        let span = hashes.reduce(|span, hash| span.with(hash.first))?;
        let count = entries.len();
        let step = count / ASKED;
        let (dense, within) = if step == 0 {
            (span, count)
        } else {
            let mut asked: [u64; ASKED] = std::array::from_fn(|at| entries[at * step].0);
            asked.sort_unstable();
            let (from, to) = (ASKED / 8, ASKED - ASKED / 8);
            let dense = HashSpan {
                first: asked[from],
                last: asked[to],
            };
            (dense, (to - from) * step)
        };
        let width = dense.last - dense.first;
        // As far on either side as those that were not asked lie, if they lie like the others.
        let rim = width / 4;
        Some(Self {
            count,
            span,
            dense: HashSpan {
                first: dense.first.saturating_sub(rim).max(span.first),
                last: dense.last.saturating_add(rim).min(span.last),
            },
            density: within as f64 / (width as f64 + 1.0),
        })
    }
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
