//! The frozen image of a table: taken at once, handed over piece by piece in the order of the hashes.

use crate::key::Key;
use crate::state::State;
use crate::state::frames::FrozenPiece;
use crate::state::logic::SnapshotScope;
use crate::state::segment::Mark;
use crate::state::span::HashSpan;

use super::KeyedTable;

/// What a visit to a segment costs at least, as a number of entries.
const VISIT: usize = 8;

/// The rest of a frozen image.
pub(super) struct Frozen<K> {
    /// What has this hash or a greater one is still to be handed over. Segments that split meanwhile
    /// stay on their side of it.
    next: Option<u64>,
    /// Keys that the image says are gone.
    removed: Vec<K>,
    /// Keys that are gone, of which a full image says nothing. They are dropped where the image is
    /// encoded: so many may take a while.
    unnamed: Vec<K>,
}

impl<K> Frozen<K> {
    pub(super) const fn nothing() -> Self {
        Self {
            next: None,
            removed: Vec::new(),
            unnamed: Vec::new(),
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
        if self.mark.number == Mark::LAST {
            self.restart_marks_at(1);
        }
        let replaces = std::mem::take(&mut self.replaces);
        let scope = if replaces { SnapshotScope::Full } else { scope };
        self.mark = Mark {
            number: self.mark.number + 1,
            scope,
        };
        self.stored = true;
        let gone = std::mem::take(&mut self.removed);
        let (removed, unnamed) = match scope {
            SnapshotScope::Full => (Vec::new(), gone),
            SnapshotScope::Increment => (gone, Vec::new()),
        };
        self.frozen = Frozen {
            next: (!self.segments.is_empty()).then_some(0),
            removed,
            unnamed,
        };
        if replaces { self.span } else { None }
    }

    /// Hands over about `budget` entries of the frozen image; `None` when all were handed over. A
    /// piece may hold none: looking for them costs, too.
    pub(crate) fn copy_frozen(&mut self, budget: usize) -> Option<FrozenPiece<K, V>> {
        if !self.is_frozen() {
            return None;
        }
        let mut piece = FrozenPiece {
            removed: std::mem::take(&mut self.frozen.removed),
            unnamed: std::mem::take(&mut self.frozen.unnamed),
            entries: Vec::new(),
            cost: 0,
        };
        let budget = budget.max(1);
        let mut left = budget;
        while left > 0
            && let Some(hash) = self.frozen.next
        {
            let index = self.directory[self.index_of(hash)];
            let segment = &mut self.segments[index as usize];
            segment.turn_to(self.mark);
            let copied = segment.copy_frozen(&mut left);
            if !copied.is_empty() {
                piece.entries.push(copied);
            }
            if segment.is_copied() {
                self.frozen.next = segment.last_hash().checked_add(1);
                left = left.saturating_sub(VISIT);
            }
        }
        piece.cost = budget - left;
        Some(piece)
    }

    /// Whether any of the frozen image is still to be handed over.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.next.is_some()
            || !(self.frozen.removed.is_empty() && self.frozen.unnamed.is_empty())
    }

    /// What snapshots may hold of this table: the hashes to clear when it goes.
    pub(crate) fn stored_span(&self) -> Option<HashSpan> {
        if self.stored { self.span } else { None }
    }

    /// Counts the freezes from `number` again, so that no mark comes twice: after 2^31 of them.
    #[cold]
    pub(super) fn restart_marks_at(&mut self, number: u32) {
        for segment in &mut self.segments {
            segment.restart_marks(self.mark.number, number);
        }
        self.mark.number = number;
    }
}
