//! The frozen image of a table: taken at once, handed over piece by piece, and restored.

use std::collections::VecDeque;

use crate::key::{Key, hash_of};
use crate::state::State;
use crate::state::frames::FrozenPiece;
use crate::state::logic::SnapshotScope;
use crate::state::segment::FULL;
use crate::state::span::HashSpan;

use super::KeyedTable;

/// The rest of a frozen image.
pub(super) struct Frozen<K, V> {
    segments: FrozenSegments,
    removed: Vec<K>,
    /// Copied before a change, not yet handed over.
    pub(super) copied: VecDeque<Vec<(K, V)>>,
}

enum FrozenSegments {
    /// These, from the back.
    Listed(Vec<u32>),
    /// From the first to before the second.
    Range(u32, u32),
}

impl<K, V> Frozen<K, V> {
    pub(super) const fn nothing() -> Self {
        Self {
            segments: FrozenSegments::Range(0, 0),
            removed: Vec::new(),
            copied: VecDeque::new(),
        }
    }
}

impl<K: Key, V: State> KeyedTable<K, V> {
    /// Takes the image of the next snapshot. The span is returned if the image replaces what earlier
    /// snapshots hold in it.
    pub(crate) fn freeze(&mut self, scope: SnapshotScope) -> Option<HashSpan> {
        assert!(
            !self.is_frozen(),
            "frozen again before the image before was handed over"
        );
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
        let mut piece = FrozenPiece {
            removed: std::mem::take(&mut self.frozen.removed),
            entries: Vec::new(),
        };
        while piece.len() < budget.max(1) {
            if let Some(copied) = self.frozen.copied.pop_front() {
                piece.entries.push(copied);
            } else if let Some(index) = self.frozen.segments.next() {
                piece.entries.extend(self.copy_segment(index));
            } else {
                break;
            }
        }
        (!piece.removed.is_empty() || !piece.entries.is_empty()).then_some(piece)
    }

    /// Copies what the frozen image holds of a segment, unless it was copied before.
    pub(super) fn copy_segment(&mut self, index: u32) -> Option<Vec<(K, V)>> {
        let segment = &mut self.segments[index as usize];
        if segment.copied_in == self.mark {
            return None;
        }
        segment.copied_in = self.mark;
        let copied = match self.scope {
            SnapshotScope::Full => segment.copy_all(),
            // What changed between the two last freezes.
            SnapshotScope::Increment => segment.copy_changed(self.mark - 1),
        };
        (!copied.is_empty()).then_some(copied)
    }

    /// Whether any of the frozen image is still to be handed over.
    pub(crate) fn is_frozen(&self) -> bool {
        !(self.frozen.copied.is_empty()
            && self.frozen.removed.is_empty()
            && self.frozen.segments.is_done())
    }

    /// What snapshots may hold of this table: the hashes to clear when it goes.
    pub(crate) fn stored_span(&self) -> Option<HashSpan> {
        if self.stored { self.span } else { None }
    }

    /// Puts the entries of a frame in their places.
    pub(crate) fn restore_entries(&mut self, entries: Vec<(u64, K, V)>) {
        let hashes = entries.iter().map(|(hash, ..)| HashSpan::of(*hash));
        if let Some(span) = hashes.reduce(|span, hash| span.with(hash.first)) {
            self.restore_expected(span, entries.len());
        }
        for (hash, key, value) in entries {
            self.restore(hash, key, value);
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
            let capacity = (expected(depth) * 1.05).min(FULL as f64) as usize;
            self.segments[index as usize].reserve(capacity);
            let last = hash | (u64::MAX >> depth);
            if last >= span.last {
                return;
            }
            hash = last + 1;
        }
    }

    /// Puts an entry of a snapshot in its place.
    fn restore(&mut self, hash: u64, key: K, value: V) {
        self.stored = true;
        if let Some(slot) = self.find(hash, &key) {
            let at = self.segments[slot.segment as usize].change(slot.bucket as usize, 0);
            *at.expect("the slot was found just now") = value;
        } else {
            let segment = self.segment_with_room(hash);
            self.place(segment, hash, (key, value), 0);
        }
    }

    /// Takes back an entry of an earlier snapshot.
    pub(crate) fn restore_removal(&mut self, hash: u64, key: &K) {
        if let Some(slot) = self.find(hash, key) {
            self.segments[slot.segment as usize].take(slot.bucket as usize);
            self.len -= 1;
            self.popped = (0, 0);
        }
    }

    /// Takes back all entries of earlier snapshots in a span.
    pub(crate) fn restore_clear(&mut self, span: HashSpan) {
        self.popped = (0, 0);
        for segment in &mut self.segments {
            let mut bucket = 0;
            while bucket < segment.bucket_count() {
                if segment
                    .key(bucket)
                    .is_some_and(|key| span.contains(hash_of(key)))
                {
                    // Another entry may have moved up to this bucket.
                    segment.take(bucket);
                    self.len -= 1;
                } else {
                    bucket += 1;
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
