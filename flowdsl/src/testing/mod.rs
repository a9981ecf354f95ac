//! Tests of a flow in an ordinary `#[test]`: input from the test, a clock that stands still, a disk
//! in memory, and crashes.
//!
//! A [`Harness`] is the world that a job runs in. Inputs, clock and disk outlive the job: after a
//! [`crash`](Harness::crash) the next [`start`](Harness::start) goes on from the last checkpoint and
//! reads again what came behind it. Nothing sleeps and nothing depends on time:
//! [`settle`](Harness::settle) returns when everything that was pushed has gone through the whole
//! flow and its output is visible.
//!
//! # Examples
//!
//! Each window is counted once, although the job crashes in the middle of one:
//!
//! ```
//! use flowdsl::prelude::*;
//! use flowdsl::{flow, testing::Harness};
//!
//! let mut harness = Harness::new();
//! let clicks = harness.input::<i64>();
//! let counts = Collect::new();
//! let job = flow! {
//!     capture clicks, counts;
//!
//!     source(clicks)
//!         -> event_time(|at| *at, lateness: 0 ms)
//!         -> key_by(|_| ())
//!         -> window(tumbling(100 ms))
//!         -> aggregate(count())
//!         -> map(|w| (w.start, w.value))
//!         -> sink(counts);
//! };
//!
//! harness.start(&job);
//! clicks.push_all([10, 20]);
//! harness.checkpoint()?;
//! clicks.push_all([30]);
//! harness.crash();
//!
//! harness.start(&job);
//! clicks.push_all([40, 110]);
//! harness.settle()?;
//! assert_eq!(counts.records(), [(0, 4)], "the second window is still open");
//!
//! clicks.advance_to(200);
//! harness.settle()?;
//! clicks.push_all([199]);
//! let report = harness.finish()?;
//! assert_eq!(counts.records(), [(0, 4), (100, 1)]);
//! assert_eq!(report.metrics.late_dropped, 1, "199 came behind the watermark of 200");
//! # Ok::<(), flowdsl::Error>(())
//! ```

mod feeds;
mod harness;
mod input;
mod process;

pub use flowdsl_runtime::storage::FaultyDisk;

pub use harness::Harness;
pub use input::Input;
