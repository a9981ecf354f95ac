//! The timestamp of every dataflow: epoch and event time under the product partial order.
//!
//! A total (lexicographic) order would hide the watermark of a source that is an epoch ahead behind
//! one that is an epoch behind, and call records late that are not.

use differential_dataflow::lattice::Lattice;
use serde::{Deserialize, Serialize};
use timely::PartialOrder;
use timely::progress::Timestamp;
use timely::progress::timestamp::{PathSummary, Refines};

use crate::ids::Epoch;

/// A point in epochs and in event time: `a <= b` iff both components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment {
    /// The span between two barriers.
    pub epoch: Epoch,
    /// The watermark, in milliseconds since the Unix epoch; `i64::MAX` is the end of time.
    pub event_time: i64,
}

impl Moment {
    /// A point in epochs and in event time.
    pub const fn new(epoch: Epoch, event_time: i64) -> Self {
        Self { epoch, event_time }
    }

    /// The first moment of an epoch.
    pub const fn start_of(epoch: Epoch) -> Self {
        Self {
            epoch,
            event_time: i64::MIN,
        }
    }
}

impl PartialOrder for Moment {
    #[inline]
    fn less_equal(&self, other: &Self) -> bool {
        self.epoch <= other.epoch && self.event_time <= other.event_time
    }
}

impl Timestamp for Moment {
    type Summary = MomentSummary;

    fn minimum() -> Self {
        Self::start_of(Epoch(0))
    }
}

/// What a path adds to a moment. No path of ours adds anything (there are no loops), but epochs
/// and event time may be added, so that the summary is an honest one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct MomentSummary {
    epochs: u64,
    event_time: u64,
}

impl PartialOrder for MomentSummary {
    fn less_equal(&self, other: &Self) -> bool {
        self.epochs <= other.epochs && self.event_time <= other.event_time
    }
}

impl PathSummary<Moment> for MomentSummary {
    #[inline]
    fn results_in(&self, from: &Moment) -> Option<Moment> {
        Some(Moment {
            epoch: Epoch(from.epoch.0.checked_add(self.epochs)?),
            event_time: from.event_time.checked_add_unsigned(self.event_time)?,
        })
    }

    fn followed_by(&self, other: &Self) -> Option<Self> {
        Some(Self {
            epochs: self.epochs.checked_add(other.epochs)?,
            event_time: self.event_time.checked_add(other.event_time)?,
        })
    }
}

impl Refines<()> for Moment {
    fn to_inner((): ()) -> Self {
        Self::minimum()
    }

    fn to_outer(self) {}

    fn summarize(_: MomentSummary) {}
}

impl Lattice for Moment {
    fn join(&self, other: &Self) -> Self {
        Self {
            epoch: self.epoch.max(other.epoch),
            event_time: self.event_time.max(other.event_time),
        }
    }

    fn meet(&self, other: &Self) -> Self {
        Self {
            epoch: self.epoch.min(other.epoch),
            event_time: self.event_time.min(other.event_time),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment() -> impl Strategy<Value = Moment> {
        let time = prop_oneof![Just(i64::MIN), Just(i64::MAX), -3..3_i64, any::<i64>()];
        let epoch = prop_oneof![Just(u64::MAX), 0..4_u64];
        (epoch, time).prop_map(|(epoch, event_time)| Moment::new(Epoch(epoch), event_time))
    }

    fn summary() -> impl Strategy<Value = MomentSummary> {
        let part = || prop_oneof![Just(0), Just(u64::MAX), 0..4_u64];
        (part(), part()).prop_map(|(epochs, event_time)| MomentSummary { epochs, event_time })
    }

    proptest! {
        #[test]
        fn the_order_is_a_partial_order_that_the_total_order_extends(a in moment(), b in moment(), c in moment()) {
            prop_assert!(a.less_equal(&a));
            prop_assert!(Moment::minimum().less_equal(&a));
            prop_assert_eq!(a.less_equal(&b) && b.less_equal(&a), a == b);
            prop_assert!(!(a.less_equal(&b) && b.less_equal(&c)) || a.less_equal(&c));
            prop_assert!(!a.less_equal(&b) || a <= b);
        }

        #[test]
        fn join_and_meet_obey_the_laws_of_a_lattice(a in moment(), b in moment(), c in moment()) {
            prop_assert_eq!(a.join(&b), b.join(&a));
            prop_assert_eq!(a.meet(&b), b.meet(&a));
            prop_assert_eq!(a.join(&b.join(&c)), a.join(&b).join(&c));
            prop_assert_eq!(a.meet(&b.meet(&c)), a.meet(&b).meet(&c));
            prop_assert_eq!(a.join(&a.meet(&b)), a);
            prop_assert_eq!(a.meet(&a.join(&b)), a);
            prop_assert_eq!(a.less_equal(&b), a.join(&b) == b);
            prop_assert_eq!(a.less_equal(&b), a.meet(&b) == a);
        }

        #[test]
        fn a_summary_never_moves_a_moment_back(s in summary(), t in summary(), a in moment(), b in moment()) {
            prop_assert_eq!(MomentSummary::default().results_in(&a), Some(a));
            if let Some(later) = s.results_in(&a) {
                prop_assert!(a.less_equal(&later));
                if let (true, Some(other)) = (a.less_equal(&b), s.results_in(&b)) {
                    prop_assert!(later.less_equal(&other));
                }
                if let Some(both) = s.followed_by(&t) {
                    prop_assert_eq!(both.results_in(&a), t.results_in(&later));
                }
            }
        }
    }
}
