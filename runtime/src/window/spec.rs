//! Which windows a record is in, as a user says it.

use crate::error::{Error, Result};
use crate::key::Key;
use crate::record::{Keyed, Rec, Timed, Unkeyed, Windowed};
use crate::state::KeyedLogic;

use super::aggregator::{Aggregator, MergingAggregator};
use super::grid::Grid;
use super::panes::PaneWindows;
use super::sessions::SessionWindows;

/// A kind of windows, which with an aggregator makes a stage.
///
/// A trait rather than an enum: that sessions need accumulators that merge is a compile error, and the
/// stage is one type without a choice at run time.
pub trait WindowSpec<K: Key, T, G: Aggregator<T>>: Copy + 'static {
    /// The stage.
    type Logic: KeyedLogic<In = Rec<Keyed<K>, Timed, T>, Out = Rec<Unkeyed, Timed, Windowed<K, G::Out>>>;

    /// The stage that computes `aggregator` in these windows. `allowed_lateness_ms` is how far the
    /// watermark may be behind the end of a window until its records are late; less than zero counts
    /// as zero.
    fn logic(self, allowed_lateness_ms: i64, aggregator: G) -> Self::Logic;
}

/// Windows of one size that follow each other without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tumbling(Grid);

impl Tumbling {
    /// Windows of `size_ms`.
    ///
    /// # Errors
    ///
    /// `Invalid` for a size below 1 ms.
    pub fn new(size_ms: i64) -> Result<Self> {
        Grid::new(size_ms, size_ms, 0).map(Self)
    }

    /// The same windows, moved by `offset_ms`: the 22:00 of UTC that is midnight elsewhere.
    pub const fn offset(self, offset_ms: i64) -> Self {
        Self(Grid {
            offset: offset_ms,
            ..self.0
        })
    }
}

/// Windows of one size, of which one begins each `every`: a record is in several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sliding(Grid);

impl Sliding {
    /// Windows of `size_ms`, one each `every_ms`.
    ///
    /// # Errors
    ///
    /// `Invalid` unless `1 <= every_ms <= size_ms`: windows with gaps between them would drop records.
    pub fn new(size_ms: i64, every_ms: i64) -> Result<Self> {
        Grid::new(size_ms, every_ms, 0).map(Self)
    }

    /// The same windows, moved by `offset_ms`.
    pub const fn offset(self, offset_ms: i64) -> Self {
        Self(Grid {
            offset: offset_ms,
            ..self.0
        })
    }
}

/// Windows that last as long as records of a key follow each other within a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    gap: i64,
}

impl Session {
    /// Sessions that end `gap_ms` behind their last record.
    ///
    /// # Errors
    ///
    /// `Invalid` for a gap below 1 ms.
    pub fn new(gap_ms: i64) -> Result<Self> {
        if gap_ms <= 0 {
            return Err(Error::invalid(format!(
                "a session with a gap of {gap_ms} ms: the gap must be at least 1 ms"
            )));
        }
        Ok(Self { gap: gap_ms })
    }
}

impl<K: Key, T: 'static, G: Aggregator<T>> WindowSpec<K, T, G> for Tumbling {
    type Logic = PaneWindows<K, T, G>;

    fn logic(self, allowed_lateness_ms: i64, aggregator: G) -> Self::Logic {
        PaneWindows::new(self.0, allowed_lateness_ms, aggregator)
    }
}

impl<K: Key, T: 'static, G: Aggregator<T>> WindowSpec<K, T, G> for Sliding {
    type Logic = PaneWindows<K, T, G>;

    fn logic(self, allowed_lateness_ms: i64, aggregator: G) -> Self::Logic {
        PaneWindows::new(self.0, allowed_lateness_ms, aggregator)
    }
}

impl<K: Key, T: 'static, G: MergingAggregator<T>> WindowSpec<K, T, G> for Session {
    type Logic = SessionWindows<K, T, G>;

    fn logic(self, allowed_lateness_ms: i64, aggregator: G) -> Self::Logic {
        SessionWindows::new(self.gap, allowed_lateness_ms, aggregator)
    }
}
