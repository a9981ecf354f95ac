//! Keyed state: what stages remember for each key, and how it becomes a snapshot.
//!
//! Nothing here knows timely, a file name, or when a checkpoint happens. A stateful stage is a
//! [`KeyedLogic`]: the operator in `dataflow/` feeds it records and watermarks, and asks it to
//! freeze when a barrier passes.

mod accessors;
mod cells;
mod chain;
pub(crate) mod compaction;
mod context;
pub(crate) mod frames;
mod logic;
mod part;
mod process;
mod restore;
mod running;
mod segment;
pub(crate) mod span;
mod store;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod timers;
mod ttl;
mod types;

pub use accessors::{
    ClearState, Declared, Kept, ListOf, ListState, MapOf, MapState, Present, ValueOf, ValueState,
    list_state, map_state, value_state,
};
pub(crate) use chain::Chain;
pub use chain::ChainLimits;
pub use compaction::{Compacted, Compaction, CompactionOrder, TableTypes};
pub use context::{Context, RecordTime};
pub use logic::{FrozenChunk, KeyedLogic, Progress, SnapshotScope};
pub use process::{NoTimers, OnTimer, Process};
pub(crate) use restore::{Former, restore_from};
pub use running::{Fold, Reduce};
pub use store::StateStore;
pub(crate) use table::Next;
pub use table::{KeyedTable, Slot};
pub use timers::{Timer, TimerKind};
pub use ttl::{Forever, Lifetime, Ttl};
pub use types::State;
