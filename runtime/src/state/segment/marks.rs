//! What of a segment changed since the last freeze, and what the image frozen then still needs.
//!
//! An entry says itself in which mark it last changed. To find the entries of one mark without
//! looking at all, each group of buckets has two bits: `changed`, that an entry of it changed in the
//! present mark, and `frozen`, that some of it may belong to the frozen image and be in no piece of
//! it yet. A segment turns to a mark when it is next visited: then what was changed becomes frozen.
//! The groups are so large that the bits of a million entries fit into the nearest cache, where a
//! change of any entry finds them.

use std::ops::Range;

use crate::state::logic::SnapshotScope;

/// Buckets of a group: few enough that looking for one entry among them costs little.
const GROUP: usize = 16;
/// Buckets of a word of groups.
const WORD: usize = GROUP * 64;

/// Where a table is in the row of its freezes.
#[derive(Clone, Copy, Debug)]
pub(in crate::state) struct Mark {
    /// The number of freezes, plus one.
    pub(in crate::state) number: u32,
    /// What the image of the last freeze holds.
    pub(in crate::state) scope: SnapshotScope,
}

impl Mark {
    /// The greatest number: the bit above it says of an entry that it was copied.
    pub(in crate::state) const LAST: u32 = (1 << 31) - 1;
}

/// Which entries a frozen image holds, by the marks in which they last changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frozen {
    /// The mark behind the freeze.
    before: u32,
    /// The mark that it closed, for an increment.
    changed_in: Option<u32>,
}

impl Frozen {
    /// Whether the image holds an entry as it is.
    #[inline]
    pub(super) fn holds(self, changed_in: u32) -> bool {
        match self.changed_in {
            Some(mark) => changed_in == mark,
            None => changed_in != self.before && changed_in != self.copied(),
        }
    }

    /// What is noted as the mark of an entry that was copied, where its place does not say so. It
    /// comes in no other image.
    fn copied(self) -> u32 {
        self.before | (Mark::LAST + 1)
    }
}

/// The bits of 64 groups.
#[derive(Clone, Copy, Default)]
struct Word {
    changed: u64,
    frozen: u64,
}

/// The bits of a segment, and what was cloned out of it.
pub(super) struct Marks<K, V> {
    /// The mark that `changed` is of.
    turned_in: u32,
    /// Entries that changed in it, and some that have gone since.
    changed_count: usize,
    /// Whether any entry may have to be copied yet.
    has_frozen: bool,
    /// Of what the frozen image is.
    image: Frozen,
    /// Entries that it holds at most.
    frozen_count: usize,
    words: Box<[Word]>,
    /// Entries of the frozen image, as they were before they changed.
    saved: Vec<(K, V)>,
}

impl<K: Clone, V: Clone> Marks<K, V> {
    /// For a segment whose entries are neither changed nor frozen.
    pub(super) fn new(turned_in: u32, bucket_count: usize) -> Self {
        Self {
            turned_in,
            changed_count: 0,
            has_frozen: false,
            image: Frozen {
                before: turned_in,
                changed_in: None,
            },
            frozen_count: 0,
            words: vec![Word::default(); bucket_count.div_ceil(WORD)].into(),
            saved: Vec::new(),
        }
    }

    /// For some of the same entries in other buckets, which are to be [filled](Self::fill).
    pub(super) fn like(&self, bucket_count: usize) -> Self {
        Self {
            has_frozen: self.has_frozen,
            image: self.image,
            frozen_count: self.frozen_count,
            ..Self::new(self.turned_in, bucket_count)
        }
    }

    /// Notes the freezes up to a mark: every change and every copy begins with it.
    #[inline]
    pub(super) fn turn_to(&mut self, mark: Mark) {
        if self.turned_in != mark.number {
            self.turn(mark);
        }
    }

    #[cold]
    fn turn(&mut self, mark: Mark) {
        debug_assert!(
            self.is_copied(),
            "a freeze begins when the image before was handed over"
        );
        let changed_count = std::mem::take(&mut self.changed_count);
        let (changed_in, frozen_count) = match mark.scope {
            SnapshotScope::Full => (None, usize::MAX),
            SnapshotScope::Increment => (Some(self.turned_in), changed_count),
        };
        self.image = Frozen {
            before: mark.number,
            changed_in,
        };
        self.frozen_count = frozen_count;
        self.has_frozen = frozen_count > 0;
        if self.has_frozen {
            for word in &mut self.words {
                let changed = std::mem::take(&mut word.changed);
                word.frozen = changed_in.map_or(u64::MAX, |_| changed);
            }
        }
        self.turned_in = mark.number;
    }

    /// Notes the first change in a mark of an entry, which has yet to be made.
    #[inline(never)]
    pub(super) fn first_change(&mut self, at: usize, mark: Mark, last: u32, entry: (&K, &V)) {
        self.turn_to(mark);
        self.save(at, last, entry);
        self.words[at / WORD].changed |= bit(at);
        self.changed_count += 1;
    }

    /// Clones an entry that is about to change or to go, if the frozen image needs it as it is.
    #[inline]
    pub(super) fn save(&mut self, at: usize, changed_in: u32, (key, value): (&K, &V)) {
        // Mostly all was copied long ago.
        if self.has_frozen && self.is_frozen(at, changed_in) {
            self.saved.push((key.clone(), value.clone()));
        }
    }

    /// Whether an entry, as it is, is still to be copied.
    #[inline]
    fn is_frozen(&self, at: usize, changed_in: u32) -> bool {
        self.has_frozen
            && self.words[at / WORD].frozen & bit(at) != 0
            && self.image.holds(changed_in)
    }

    /// What an entry is to carry as its mark on the way to another bucket: so that wherever that is,
    /// it is copied if it has not been.
    #[inline]
    pub(super) fn lifted(&self, at: usize, changed_in: u32) -> u32 {
        if self.has_frozen && self.image.holds(changed_in) && !self.is_frozen(at, changed_in) {
            self.image.copied()
        } else {
            changed_in
        }
    }

    /// Notes that a bucket was filled with a new or a [lifted](Self::lifted) entry.
    #[inline]
    pub(super) fn fill(&mut self, at: usize, changed_in: u32) {
        let word = &mut self.words[at / WORD];
        if changed_in == self.turned_in {
            word.changed |= bit(at);
            self.changed_count += 1;
        } else if self.has_frozen && self.image.holds(changed_in) {
            word.frozen |= bit(at);
        }
    }

    /// Notes that an entry moves from a bucket to one that others of its group have been in before:
    /// returns what it is to carry as its mark.
    pub(super) fn relocate(
        &mut self,
        from: usize,
        to: usize,
        changed_in: u32,
        entry: (&K, &V),
    ) -> u32 {
        let word = &mut self.words[to / WORD];
        if changed_in == self.turned_in {
            word.changed |= bit(to);
        }
        let covers_target = word.frozen & bit(to) != 0;
        if self.is_frozen(from, changed_in) && !covers_target {
            // The others there were copied, and would be again.
            self.saved.push((entry.0.clone(), entry.1.clone()));
            self.image.copied()
        } else {
            self.lifted(from, changed_in)
        }
    }

    /// The number of entries still to be copied, at most.
    pub(super) fn frozen_count(&self) -> usize {
        if self.has_frozen {
            self.frozen_count
        } else {
            0
        }
    }

    /// What was cloned before it changed.
    pub(super) fn take_saved(&mut self) -> Vec<(K, V)> {
        std::mem::take(&mut self.saved)
    }

    /// Keeps what was cloned out of the same entries in other buckets.
    pub(super) fn keep(&mut self, saved: Vec<(K, V)>) {
        self.saved = saved;
    }

    /// Whether nothing is left to be copied.
    pub(super) fn is_copied(&self) -> bool {
        !self.has_frozen && self.saved.is_empty()
    }

    /// Has `copy` look at the groups of which some may still have to be copied, until `budget` is used
    /// up (a few beyond it: groups are copied whole). It gets the buckets of a group, of which some may
    /// not be there, and what the image holds, and returns how many it copied.
    #[inline]
    pub(super) fn copy_frozen(
        &mut self,
        budget: &mut usize,
        mut copy: impl FnMut(Range<usize>, Frozen) -> usize,
    ) {
        if !self.has_frozen {
            return;
        }
        for (at, word) in self.words.iter_mut().enumerate() {
            while word.frozen != 0 {
                if *budget == 0 {
                    return;
                }
                let first = at * WORD + word.frozen.trailing_zeros() as usize * GROUP;
                let copied = copy(first..first + GROUP, self.image);
                *budget = budget.saturating_sub(copied.max(1));
                self.frozen_count = self.frozen_count.saturating_sub(copied);
                word.frozen &= word.frozen - 1;
            }
        }
        self.has_frozen = false;
    }

    /// Goes to another mark in which the same has changed.
    pub(super) fn restart(&mut self, number: u32) {
        debug_assert!(self.is_copied(), "marks restart at a freeze");
        self.turned_in = number;
    }

    /// Bytes on the heap, for figures.
    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.words.len() * size_of::<Word>()
    }
}

/// The bit of a bucket's group.
#[inline]
const fn bit(at: usize) -> u64 {
    1 << (at / GROUP % 64)
}
