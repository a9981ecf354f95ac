//! What of a segment changed since the last freeze, and what the image frozen then still needs: a
//! bit for each bucket and either.
//!
//! Both bits move with the entry. `changed` says that the entry changed in the present mark, and so
//! belongs to the next increment. `frozen` says that the entry, as it is, belongs to the frozen image
//! and is in no piece of it yet: so it is cloned before its first change. A segment turns to a mark
//! when it is next visited: then what was changed becomes frozen.

use crate::state::logic::SnapshotScope;

/// Where a table is in the row of its freezes.
#[derive(Clone, Copy, Debug)]
pub(in crate::state) struct Mark {
    /// The number of freezes, plus one.
    pub(in crate::state) number: u32,
    /// What the image of the last freeze holds.
    pub(in crate::state) scope: SnapshotScope,
}

/// The bits of 64 buckets.
#[derive(Clone, Copy, Default)]
struct Word {
    changed: u64,
    frozen: u64,
}

/// The bits of a segment, and what was cloned out of it.
pub(super) struct Marks<K, V> {
    /// The mark that `changed` is of.
    turned_in: u32,
    has_changed: bool,
    /// Whether any bucket may have to be copied yet.
    has_frozen: bool,
    words: Box<[Word]>,
    /// Entries of the frozen image, as they were before they changed.
    saved: Vec<(K, V)>,
}

impl<K: Clone, V: Clone> Marks<K, V> {
    /// For a segment whose entries are neither changed nor frozen.
    pub(super) fn new(turned_in: u32, bucket_count: usize) -> Self {
        Self {
            turned_in,
            has_changed: false,
            has_frozen: false,
            words: vec![Word::default(); bucket_count.div_ceil(64)].into(),
            saved: Vec::new(),
        }
    }

    /// For the same entries in other buckets.
    pub(super) fn like(&self, bucket_count: usize) -> Self {
        Self {
            has_frozen: self.has_frozen,
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
            !self.has_frozen && self.saved.is_empty(),
            "a freeze begins when the image before was handed over"
        );
        match mark.scope {
            SnapshotScope::Full => {
                let frozen = Word {
                    changed: 0,
                    frozen: u64::MAX,
                };
                self.words.fill(frozen);
                self.has_frozen = true;
            }
            SnapshotScope::Increment if self.has_changed => {
                for word in &mut self.words {
                    word.frozen = std::mem::take(&mut word.changed);
                }
                self.has_frozen = true;
            }
            SnapshotScope::Increment => {}
        }
        self.turned_in = mark.number;
        self.has_changed = false;
    }

    /// Notes the first change of an entry in a mark, which has yet to be made.
    #[inline(never)]
    pub(super) fn first_change(&mut self, at: usize, mark: Mark, key: &K, value: &V) {
        self.turn_to(mark);
        self.save(at, key, value);
        self.words[at / 64].changed |= bit(at);
        self.has_changed = true;
    }

    /// Clones an entry that is about to change or to go, if the frozen image needs it as it is.
    #[inline]
    pub(super) fn save(&mut self, at: usize, key: &K, value: &V) {
        let word = &mut self.words[at / 64];
        if word.frozen & bit(at) != 0 {
            word.frozen &= !bit(at);
            self.saved.push((key.clone(), value.clone()));
        }
    }

    /// Notes that a bucket was filled with an entry that changed in a mark.
    #[inline]
    pub(super) fn fill(&mut self, at: usize, changed_in: u32, is_frozen: bool) {
        let word = &mut self.words[at / 64];
        set(&mut word.frozen, at, is_frozen);
        let is_changed = changed_in == self.turned_in;
        set(&mut word.changed, at, is_changed);
        self.has_changed |= is_changed;
    }

    /// Notes that a bucket is empty now.
    #[inline]
    pub(super) fn empty(&mut self, at: usize) {
        self.words[at / 64].frozen &= !bit(at);
        self.words[at / 64].changed &= !bit(at);
    }

    /// Whether the entry of a bucket, as it is, is still to be copied.
    #[inline]
    pub(super) fn is_frozen(&self, at: usize) -> bool {
        self.words[at / 64].frozen & bit(at) != 0
    }

    /// Moves the bits of a bucket to an empty one.
    #[inline]
    pub(super) fn relocate(&mut self, from: usize, to: usize) {
        let Word { changed, frozen } = self.words[from / 64];
        self.empty(from);
        set(
            &mut self.words[to / 64].changed,
            to,
            changed & bit(from) != 0,
        );
        set(&mut self.words[to / 64].frozen, to, frozen & bit(from) != 0);
    }

    /// The number of buckets still to be copied, some of which may be empty.
    pub(super) fn frozen_count(&self) -> usize {
        let ones = |word: &Word| word.frozen.count_ones() as usize;
        if self.has_frozen {
            self.words.iter().map(ones).sum()
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

    /// Gives to `copy` the buckets that are still to be copied, until `budget` is used up (a few
    /// beyond it: words are copied whole).
    #[inline]
    pub(super) fn copy_frozen(&mut self, budget: &mut usize, mut copy: impl FnMut(usize)) {
        if !self.has_frozen {
            return;
        }
        for (at, word) in self.words.iter_mut().enumerate() {
            let mut rest = word.frozen;
            if rest != 0 && *budget == 0 {
                return;
            }
            *budget = budget.saturating_sub(rest.count_ones() as usize);
            while rest != 0 {
                copy(at * 64 + rest.trailing_zeros() as usize);
                rest &= rest - 1;
            }
            word.frozen = 0;
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

#[inline]
const fn bit(at: usize) -> u64 {
    1 << (at % 64)
}

#[inline]
fn set(word: &mut u64, at: usize, to: bool) {
    *word = *word & !bit(at) | u64::from(to) << (at % 64);
}
