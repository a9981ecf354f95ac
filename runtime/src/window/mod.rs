//! Windows over event time, and what is computed in them.
//!
//! A [`WindowSpec`] says which windows a record is in, an [`Aggregator`] what a window makes of its
//! records; together they are a [`KeyedLogic`](crate::state::KeyedLogic). The rules:
//!
//! - a window is half-open, `[start, end)`, and aligned to the Unix epoch plus the offset;
//! - it fires when the watermark reaches `end`; the event time of the result is `end - 1`;
//! - a record is late when, for each window that it is in, `end + allowed_lateness <= watermark`;
//! - a late but allowed record fires its window again at once, with the full updated value;
//! - sessions of a key that overlap merge; records exactly `gap` apart are in two sessions.
//!
//! The watermark of a stage is part of its snapshot, so that a record that was late before a restart
//! is late after it. Nothing here performs I/O, knows timely, or looks at a clock.

mod aggregate;
mod aggregator;
mod grid;
mod numbers;
mod pane;
mod panes;
mod sessions;
mod spec;
#[cfg(test)]
mod tests;

pub use aggregate::{Aggregate, Aggregates};
pub use aggregator::{Aggregator, ByAggregate, ByFold, ByReduce, MergingAggregator};
pub use numbers::{Average, Ordered, Summand};
pub use panes::PaneWindows;
pub use sessions::{SessionState, SessionWindows};
pub use spec::{Session, Sliding, Tumbling, WindowSpec};
