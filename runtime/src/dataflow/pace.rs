//! How long an operator works before it lets others work, and how much it takes up at a time.

use std::time::Duration;

use crate::clock::Stopwatch;

/// An operator yields after about this long: a barrier or a stop waits no longer than one slice of
/// each operator before it.
const SLICE: Duration = Duration::from_micros(500);

/// A piece of work that took longer than this is made smaller next time.
const PIECE: Duration = Duration::from_micros(250);

/// Sizes pieces of work so that a slow closure cannot hold its worker for long, and looks at the
/// clock seldom when the work is fast.
pub(crate) struct Pace {
    piece: usize,
    most: usize,
    slice: Option<Slice>,
}

struct Slice {
    watch: Stopwatch,
    /// Records done since the last look at the clock, and when that was.
    since_look: usize,
    looked: Duration,
    over: bool,
}

impl Pace {
    /// Pieces of at most `most` records.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            piece: most.min(64),
            most,
            slice: None,
        }
    }

    /// Begins a slice.
    pub(crate) fn begin(&mut self) {
        self.slice = Some(Slice {
            watch: Stopwatch::start(),
            since_look: 0,
            looked: Duration::ZERO,
            over: false,
        });
    }

    /// How many records to take up next; `None` when the slice is over.
    #[inline]
    pub(crate) fn next_piece(&mut self) -> Option<usize> {
        match &self.slice {
            Some(slice) if !slice.over => Some(self.piece),
            _ => None,
        }
    }

    /// Notes that `records` were done.
    #[inline]
    pub(crate) fn did(&mut self, records: usize) {
        let Some(slice) = &mut self.slice else { return };
        slice.since_look += records.max(1);
        // Full-sized pieces are known to be fast: sixteen of them between two looks.
        if self.piece == self.most && slice.since_look < self.most * 16 {
            return;
        }
        let now = slice.watch.elapsed();
        let pieces = (slice.since_look / self.piece).max(1) as u32;
        let each = now.saturating_sub(slice.looked) / pieces;
        if each > PIECE {
            self.piece = (self.piece / 2).max(1);
        } else if each < PIECE / 4 && records >= self.piece {
            self.piece = (self.piece * 2).min(self.most);
        }
        slice.since_look = 0;
        slice.looked = now;
        slice.over = now >= SLICE;
    }
}
