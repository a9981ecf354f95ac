//! The runtime of flowdsl: checkpoints on timely dataflow, keyed state, connectors.
//!
//! Users write against the `flowdsl` crate; this one holds what a flow becomes. One idea decides
//! every border: *decisions, bytes and timely never share a file*.
//!
//! | module | holds | never contains |
//! |---|---|---|
//! | [`protocol`] | decisions over facts already read | I/O, clock, threads, timely |
//! | [`storage`] | bytes: the checkpoint log, objects, disks | timely, user types, decisions |
//! | [`state`] | keyed state and its snapshots | timely, file names |
//! | [`window`] | windows and aggregates over event time | timely, I/O |
//! | [`connector`] | sources and sinks | timely, checkpoint decisions |
//! | [`dataflow`] | timely operators | file system, choice of recovery |
//! | [`checkpoints`] | checkpoints for whoever looks at them | timely, user types, writes |
//! | [`job`] | starting, stopping, recovering, the coordinator | — |

pub mod checkpoints;
pub mod clock;
pub mod connector;
pub mod dataflow;
pub mod error;
#[cfg(test)]
mod fuzz;
mod histogram;
pub mod ids;
pub mod job;
pub mod key;
pub mod metrics;
pub mod protocol;
pub mod record;
pub mod schema;
pub mod settings;
pub mod state;
pub mod storage;
pub mod window;
#[cfg(feature = "abomonation")]
pub mod wire;

pub use error::{Error, ErrorKind, Result};
