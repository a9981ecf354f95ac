//! Keyed state: what stages remember for each key, and how it becomes a snapshot.
//!
//! Nothing here knows timely, a file name, or when a checkpoint happens. A stateful stage is a
//! [`KeyedLogic`]: the operator in `dataflow/` feeds it records and watermarks, and asks it to
//! freeze when a barrier passes.

mod chain;
mod logic;
mod types;

pub(crate) use chain::Chain;
pub use logic::{FrozenChunk, KeyedLogic, Progress, SnapshotScope};
pub use types::State;
